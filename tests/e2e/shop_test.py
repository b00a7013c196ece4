#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole shop under load: 200 requests in flight at once, each with an id of its own. At least 99 % of the traces
must be complete, and none may hold a wrong parent or a span of another order."""
import collections
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../examples/shop"))
from check import check, order_of  # noqa: E402
from running import Agent, eventually  # noqa: E402

PROGRAM, CONSUMER = (os.path.abspath(path) for path in sys.argv[1:3])
HERE = os.path.dirname(os.path.abspath(__file__))
SHOP = os.path.join(HERE, "../../examples/shop/shop.sh")
AT_ONCE, ROUNDS = 200, 3
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}
PORTS = ("NGINX_PORT", "SHOP_PORT", "PGPORT", "REDIS_PORT", "AMQP_PORT", "DIST_PORT", "EPMD_PORT")


def why_not():
    """Why programs cannot be traced by eBPF here; None when they can. Asked of the host, not of the agent: what the
    agent should be able to do and does not is a failure."""
    if os.geteuid() != 0:
        return "not root"
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        return "the kernel has no type information (/sys/kernel/btf/vmlinux)"
    if not any(os.access(mount, os.W_OK) for mount in cgroup_mounts()):
        return "no cgroup v2 is mounted"
    with open("/proc/self/status", encoding="utf-8") as file:
        effective = int(re.search(r"CapEff:\s*(\w+)", file.read())[1], 16)
    lacking = [name for name, bit in CAPABILITIES.items() if not effective >> bit & 1]
    if lacking:
        return "without " + ", ".join(lacking)
    for program in ("nginx", "rabbitmq-server", "redis-server", "psql"):
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin"):
            return program + " is not installed"
    return None


def cgroup_mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return [line.split()[4] for line in file if " - cgroup2 " in line]


def cgroup_remove(name):
    for mount in cgroup_mounts():
        for folder, _, _ in os.walk(os.path.join(mount, name), topdown=False):
            try:
                os.rmdir(folder)
            except OSError as error:
                print(f"{folder} is left: {error.strerror}")


class Shop:
    def __init__(self, agent, cgroup):
        self.data = tempfile.mkdtemp(prefix="throughline-shop-")
        os.chmod(self.data, 0o755)
        self.run = [PROGRAM, "run", "--cgroup", cgroup, "--"]
        self.environment = dict(agent.environment, DATA=self.data, CONSUMER=CONSUMER, WAIT_S="120", RUN=" ".join(self.run))
        # Not of those that the kernel gives to connections: servers start seconds after they were chosen.
        self.environment.update(zip(PORTS, map(str, random.sample(range(20000, 32000), len(PORTS)))))

    def shell(self, *words):
        subprocess.run(["bash", SHOP, *words], env=self.environment, check=True)

    def at_once(self, orders):
        driver = [*self.run, "/usr/bin/python3", os.path.join(HERE, "at_once.py"), self.environment["NGINX_PORT"], *orders]
        subprocess.run(driver, env=self.environment, check=True)

    def stop(self):
        self.shell("stop")
        shutil.rmtree(self.data)


class Traces:
    """What the agent has since a time. A trace that has not grown is not asked for again."""

    def __init__(self, agent, since_ns):
        self.agent, self.since_ns, self.judged = agent, since_ns, {}

    def refresh(self):
        for summary in self.agent.get(f"/api/v1/traces?limit=1000&start_ns={self.since_ns}")["traces"]:
            trace_id, spans = summary["trace_id"], summary["spans"]
            if self.judged.get(trace_id, (0,))[0] == spans:
                continue
            trace = self.agent.get("/api/v1/traces/" + trace_id)
            order = order_of(trace)
            self.judged[trace_id] = (spans, order, check(trace, order) if order else None)

    def of(self, order):
        return [(trace_id, each[2]) for trace_id, each in self.judged.items() if each[1] == order]

    def is_complete(self, order):
        reports = self.of(order)
        return len(reports) == 1 and reports[0][1].is_complete()


def settled(traces, orders):
    traces.refresh()
    left = [order for order in orders if not traces.is_complete(order)]
    assert not left, f"{len(left)} traces are not complete"


def judge(traces, orders):
    """Prints what is not as it should be; (number of complete traces, number of traces with something wrong in them)."""
    complete = sum(traces.is_complete(order) for order in orders)
    said, wrong = collections.Counter(), 0
    for order in orders:
        reports = traces.of(order)
        if not reports:
            said["missing: the whole trace"] += 1
        if len(reports) > 1:
            said[f"in {len(reports)} traces instead of one"] += 1
        wrong += any(report.wrong for _, report in reports)
        for trace_id, report in reports:
            for line in report.lines():
                said[line.replace(order, "ID")] += 1
            if report.wrong and wrong <= 3:
                print(f"trace {trace_id} of order {order}:", *report.lines(), sep="\n  ")
    for line, count in said.most_common(20):
        print(f"{count:5d} x {line}")
    return complete, wrong


def main():
    reason = why_not()
    if reason:
        print("SKIPPED: " + reason)
        return 77
    cgroup = f"throughline-test-{os.getpid()}"
    agent = Agent(PROGRAM, cgroup=cgroup)
    try:
        return load(agent, cgroup)
    finally:
        agent.stop()
        cgroup_remove(cgroup)


def load(agent, cgroup):
    shop = Shop(agent, cgroup)
    try:
        shop.shell("start")
        complete, wrong, total = 0, 0, 0
        for number in range(ROUNDS):
            orders = [f"{number}x{each:03d}" for each in range(AT_ONCE)]
            traces = Traces(agent, time.time_ns())
            shop.at_once(orders)
            try:
                eventually(lambda orders=orders: settled(traces, orders))
            except AssertionError as error:
                print(f"round {number + 1}: {error}")
            found = judge(traces, orders)
            print(f"round {number + 1}: {AT_ONCE} at once, {found[0]} traces complete, {found[1]} with something wrong")
            complete, wrong, total = complete + found[0], wrong + found[1], total + AT_ONCE
        print(f"{complete} of {total} complete ({100 * complete / total:.1f} %), {wrong} with a wrong parent or a foreign span")
        return 0 if wrong == 0 and complete >= 0.99 * total else 1
    finally:
        shop.stop()


sys.exit(main())
