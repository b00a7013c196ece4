#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/sdk, each built against the installed library as a stranger would, run, and its output read. One example per run:
sdk_examples_test.py NAME SOURCE BUILD [AGENT]. An example that needs what the library does not have yet is skipped."""
import json
import os
import re
import subprocess
import sys
import tempfile

CASE, TREE, BUILD = sys.argv[1:4]
PREFIX = os.path.join(BUILD, "package-root")
LIBRARY = os.path.join(PREFIX, "lib/libthroughline.so.1")
STRICT = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{TREE}", f"-I{PREFIX}/include"]
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-0[0-3]$")


def skip(reason):
    print("SKIPPED: " + reason)
    sys.exit(77)


def text_in_library(word):
    with open(LIBRARY, "rb") as file:
        return word.encode() in file.read()


def built(folder, name, *more, link=True):
    program = os.path.join(folder, os.path.basename(name))
    run = subprocess.run(["cc", *STRICT, "-o", program, os.path.join(TREE, "examples/sdk", name + ".c"), *more,
                          *([f"-L{PREFIX}/lib", "-lthroughline"] if link else [])], capture_output=True, text=True, check=False)
    missing = sorted(set(re.findall(r"undefined reference to `(tl_\w+)'", run.stderr)))
    if missing:
        skip("the library does not have " + " ".join(missing))
    assert run.returncode == 0, run.stderr
    return program


def output(program, **environment):
    # The names of the exporters' variables are put together; this one stands beside them.
    if environment and not text_in_library("OTEL_METRIC_EXPORT_INTERVAL"):
        skip("the library does not read its exporters from the environment")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    clean.update(environment, LD_LIBRARY_PATH=os.path.join(PREFIX, "lib"), THROUGHLINE_SOCKET="/nonexistent/agent.sock")
    run = subprocess.run([program], capture_output=True, text=True, check=False, env=clean, timeout=60)
    assert run.returncode == 0 and not run.stderr, (run.returncode, run.stdout, run.stderr)
    print(run.stdout)
    return run.stdout


def first_span(folder):
    text = output(built(folder, "first_span"), OTEL_TRACES_EXPORTER="console")
    assert "hello" in text and 'greeted="world"' in text, text


def lines(_):
    """Five lines from nothing to a span: what is neither empty, nor a brace, nor a comment, nor main's own."""
    with open(os.path.join(TREE, "examples/sdk/first_span.c"), encoding="utf-8") as file:
        code = [line for line in file.read().splitlines() if re.search(r"\w", re.sub(r"//.*", "", line))]
    code = [line for line in code if "return 0" not in line]
    print("\n".join(code))
    assert len(code) <= 5, code


def metrics(folder):
    text = output(built(folder, "metrics"), OTEL_METRICS_EXPORTER="console")
    for word in ("shop.orders", 'shop.payment="card"', "shop.order.duration", "shop.stock", "42"):
        assert word in text, (word, text)
    # One series: the measurement and the bound one are added up.
    assert text.count('shop.payment="card"') >= 1 and re.search(r"shop\.orders.*\b3\b", text), text


def logs(folder):
    text = output(built(folder, "logs"), OTEL_LOGS_EXPORTER="console", OTEL_TRACES_EXPORTER="none")
    for word in ("order taken", "3 items left", "shop.order.paid", "disk sda is full"):
        assert word in text, (word, text)
    own = re.search(r"^own line trace_id=([0-9a-f]{32}) span_id=[0-9a-f]{16} trace_flags=[0-9a-f]{2}$", text, re.M)
    assert own, text
    # The ids of the records are those of the line.
    assert text.count(own.group(1)) == 5, text


def propagate(folder):
    rows = dict(line.split(": ", 1) for line in output(built(folder, "propagate")).splitlines())
    sent, answered = TRACEPARENT.match(rows["traceparent"]), TRACEPARENT.match(rows["answer"])
    assert sent.group(1) == answered.group(1) and sent.group(2) != answered.group(2), rows
    assert rows["baggage"] == "customer=gold%20card" and rows["customer"] == "gold card", rows


def manual_setup(folder):
    resource = json.loads(output(built(folder, "manual_setup")))["resourceSpans"][0]
    assert {"key": "service.name", "value": {"stringValue": "by-hand"}} in resource["resource"]["attributes"], resource
    scope = resource["scopeSpans"][0]
    assert scope["scope"] == {"name": "example", "version": "1"} and [span["name"] for span in scope["spans"]] == ["by hand"], scope


def event_loop(folder):
    program = built(folder, "event_loop")
    text = output(program, OTEL_TRACES_EXPORTER="console", OTEL_BSP_SCHEDULE_DELAY="100")
    assert text.count("from a loop") == 1, text


def fork_server(folder):
    text = output(built(folder, "fork_server"), OTEL_TRACES_EXPORTER="console")
    assert text.count("start up") == 1 and len(re.findall(r"\bworker=[01]\b", text)) == 2, text


def library(folder):
    """The same library, untouched, in a program without the SDK and in one with it."""
    so = os.path.join(folder, "liblibrary.so")
    subprocess.run(["cc", *STRICT, "-shared", "-fPIC", "-o", so, os.path.join(TREE, "examples/sdk/library.c")], check=True)
    users = {}
    for name, options in (("without", []), ("with", ["-DWITH_SDK"])):
        os.makedirs(os.path.join(folder, name))
        users[name] = built(os.path.join(folder, name), "library_user", *options, so, f"-Wl,-rpath,{folder}", link=bool(options))
    assert output(users["without"]) == "5\n"
    assert "libthroughline" not in subprocess.run(["ldd", users["without"]], capture_output=True, text=True, check=True).stdout
    text = output(users["with"], OTEL_TRACES_EXPORTER="console")
    assert "library_add" in text and "left=2" in text and "right=3" in text, text


with tempfile.TemporaryDirectory(prefix="throughline-test-") as place:
    globals()[CASE](place)
