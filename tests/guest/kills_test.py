#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A service dies by SIGKILL, SIGSEGV, abort: the agent still delivers every span that had ended, each once.
usage: kills_test.py PROGRAM RING_SERVICE [KILLS] [SPANS]"""
import os
import random
import signal
import subprocess
import sys

from agent_with_sink import Agent, Shown, Sink
from running import eventually

PROGRAM, SERVICE = sys.argv[1], sys.argv[2]
KILLS = int(sys.argv[3]) if len(sys.argv) > 3 else 12
SPANS = int(sys.argv[4]) if len(sys.argv) > 4 else 1000
WAYS = ("kill", "segv", "abort", "wait")
EXPECTED = {"kill": -signal.SIGKILL, "segv": -signal.SIGSEGV, "abort": -signal.SIGABRT, "wait": -signal.SIGKILL}


def kill_one(agent, number):
    """One service, from its start to its end; what it showed, and how it was killed."""
    way = WAYS[number % len(WAYS)]
    shown = Shown(agent.folder, f"shown-{number}")
    environment = dict(agent.environment, ASAN_OPTIONS="handle_segv=0:handle_abort=0:detect_leaks=0")
    spans = SPANS + random.randrange(-SPANS // 10, SPANS // 10 + 1)
    process = subprocess.Popen([SERVICE, "kill", str(number), str(spans), way, shown.path], env=environment,
                               stderr=subprocess.DEVNULL)
    if way == "wait":
        def far_enough():
            assert shown.ended() >= spans
        eventually(far_enough, 60)
        process.kill()
    status = process.wait(60)
    assert status == EXPECTED[way], (way, status)
    return shown, way


def services_die(agent, sink):
    ended, dropped, ways = {}, 0, {}
    for number in range(KILLS):
        shown, way = kill_one(agent, number)
        ended[number], ways[way] = shown.ended(), ways.get(way, 0) + 1
        dropped += shown.dropped()
        os.unlink(shown.path)
    expected = sum(ended.values())

    def all_there():
        missing = sum(count - len([1 for i in range(count) if i in sink.spans[number]])
                      for number, count in ended.items())
        assert missing == 0, f"{missing} of {expected} spans are missing"
    failed = None
    try:
        eventually(all_there, 60)
    except AssertionError as error:
        failed = str(error)
    # A service killed from outside may have ended one span more than it could say.
    more = sum(len(sink.spans[number]) - count for number, count in ended.items()) if not failed else 0
    agent.stop()
    print(f"killed\t{KILLS} services\t# " + " ".join(f"{way}={count}" for way, count in sorted(ways.items())))
    print(f"ended_before\t{expected} spans")
    print(f"lost\t{failed or 0}")
    print(f"found_no_room\t{dropped} spans")
    print(f"came_twice\t{sink.twice}\nmixed_up\t{sink.mixed}\nended_while_dying\t{more}")
    assert not failed, failed
    assert dropped == 0 and sink.twice == 0 and sink.mixed == 0
    assert 0 <= more <= ways.get("wait", 0)


def main():
    sink = Sink()
    with Agent(PROGRAM, sink) as agent:
        services_die(agent, sink)


main()
