#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every command: its help, its output as text and JSON, its colours, its exit codes 0, 1 and 2."""
import json
import os
import re
import subprocess
import sys
import time

from configured import JSON, Configured, eventually, run

PROGRAM = sys.argv[1]
TRACE = "0af7651916cd43dd8448eb211c80319c"
COMMANDS = ["agent", "trace", "traces", "validate", "config", "doctor", "version"]
SPAN = {"traceId": TRACE, "spanId": "0000000000000001", "name": "GET /orders", "kind": 2, "status": {"code": 2, "message": "no luck"},
        "startTimeUnixNano": str(time.time_ns() - 10**9), "endTimeUnixNano": str(time.time_ns() - 10**9 + 50_000_000)}


def spans(service, trace):
    return json.dumps({"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
                                          "scopeSpans": [{"spans": [{**SPAN, "traceId": trace}]}]}]}).encode()


def says(code, words, *command, where="stdout", **options):
    result = run(PROGRAM, *command, **options)
    assert result.returncode == code and words in getattr(result, where), (command, result)
    other = result.stderr if where == "stdout" else result.stdout
    assert other == "", (command, result)
    return result


def help_and_usage():
    for asked in ("help", "--help", "-h"):
        text = says(0, "usage: throughline COMMAND", asked).stdout
        assert all(re.search(rf"^  {command} ", text, re.M) for command in COMMANDS), text
    for command in COMMANDS:
        for option in ("--help", "-h"):
            assert "\n" in says(0, f"usage: throughline {command}", command, option).stdout
    says(2, "usage: throughline COMMAND", where="stderr")
    says(2, "'frobnicate' is not a command", "frobnicate", where="stderr")
    for command in COMMANDS[:1] + COMMANDS[3:]:
        extra = ["print"] if command == "config" else []
        says(2, "'surplus' was not expected", command, *extra, "surplus", where="stderr")
    for command in COMMANDS:
        says(2, "unrecognized option", command, *(["print"] if command == "config" else []), "--frobnicate", where="stderr")
        if command != "agent":
            says(2, "'xml' is not text or json", command, *(["print"] if command == "config" else []), "-o", "xml", where="stderr")
    for command in (["trace", "latest"], ["traces"], ["doctor"]):
        says(2, "'perhaps' is not auto, always or never", *command, "--color", "perhaps", where="stderr")
    says(2, "usage: throughline config print", "config", where="stderr")
    says(2, "usage: throughline config print", "config", "show", where="stderr")
    for wrong in ([], ["xyz"], ["a" * 33], ["0af7", "0af8"], [""], ["../x"]):
        says(2, "usage: throughline trace", "trace", *wrong, where="stderr")
    for limit in ("0", "-1", "many", "1001", "99999999999999999999"):
        says(2, f"--limit: '{limit}' is not a number from 1 to 1000", "traces", "--limit", limit, where="stderr")


def version():
    text = says(0, "throughline ", "version").stdout
    assert re.match(r"throughline \d+\.\d+\.\d+\n  compiler +\S+\n  build +\S+ x86_64|aarch64", text), text
    told = json.loads(says(0, "{", "version", "-o", "json").stdout)
    assert told["version"] == text.split()[1] and {"compiler", "libcurl", "sqlite", "zstd"} <= set(told["built_with"])
    assert says(0, "throughline ", "--version").stdout == text


def output_that_cannot_be_written():
    for command in (["version"], ["config", "print"], ["help"]):
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run([PROGRAM, *command], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
            assert result.returncode == 1 and "could not be written" in result.stderr, (command, result)


def traces():
    agent = Configured(PROGRAM)
    url = ["--endpoint", f"http://127.0.0.1:{agent.api}"]
    store = ["--data-dir", agent.folder]
    says(1, "trace not found", "trace", "latest", *url, where="stderr")
    assert agent.post(spans("shop & co", TRACE), JSON).status == 200
    assert agent.post(spans("other", TRACE[:-1] + "d"), JSON).status == 200
    eventually(lambda: (agent.get(f"/api/v1/traces/{TRACE}"), agent.get(f"/api/v1/traces/{TRACE[:-1]}d")))
    for place in (url, store):
        text = says(0, "GET /orders", "trace", TRACE, *place).stdout
        assert "\x1b[" not in text and "ERROR" in text, text
        assert "\x1b[" in says(0, "GET /orders", "trace", TRACE, "--color", "always", *place).stdout
        assert "\x1b[" not in says(0, "GET /orders", "trace", TRACE.upper(), "--color", "never", *place).stdout
        assert json.loads(says(0, "{", "trace", TRACE, "-o", "json", *place).stdout)["spans"][0]["status_message"] == "no luck"
        says(0, "GET /orders", "trace", "latest", *place)
        says(1, "more than one trace begins with these digits", "trace", TRACE[:8], *place, where="stderr")
        says(1, "trace not found", "trace", "ffff", *place, where="stderr")
        assert says(0, TRACE, "traces", *place).stdout.count(TRACE[:31]) == 2
        assert says(0, TRACE, "traces", "--service", "shop & co", *place).stdout.count(TRACE[:31]) == 1
        assert says(0, "TRACE", "traces", "--service", "none", *place).stdout.count("\n") == 1
        assert len(json.loads(says(0, "{", "traces", "-o", "json", "--limit", "1", *place).stdout)["traces"]) == 1
        says(2, "--service: the name is too long", "traces", "--service", "x" * 5000, *place, where="stderr")
    environment = dict(os.environ, NO_COLOR="1")
    script = f"script -qec '{PROGRAM} trace {TRACE} --endpoint http://127.0.0.1:{agent.api}' /dev/null"
    assert "\x1b[" in run("bash", "-c", script, env={**os.environ, "NO_COLOR": ""}).stdout
    assert "\x1b[" not in run("bash", "-c", script, env=environment).stdout
    agent.stop()
    says(1, "no agent answers at", "traces", *url, where="stderr")
    says(1, "no store in", "traces", *store, where="stderr")


help_and_usage()
version()
output_that_cannot_be_written()
traces()
