#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/sdk/tutorial.md, block by block as it stands: files are written, commands are run in one shell, and the trace that is
promised is seen. tutorial_test.py SOURCE BUILD AGENT. Blocks marked `once` are what the fixture did, or need the world outside.
And whole programs in the other pages compile."""
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

TREE, BUILD, AGENT = sys.argv[1:4]
sys.path.insert(0, os.path.join(TREE, "tests/e2e"))
from running import skip  # noqa: E402 pylint: disable=wrong-import-position
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.M | re.S)
# What a person does by looking: the agent answers before the next command is typed, a span has arrived before it is asked for.
WAITS = """
awaited() { for i in $(seq 200); do "$@" > "$HOME/out" 2>&1 && { cat "$HOME/out"; return 0; }; sleep 0.05; done; cat "$HOME/out"; return 1; }
trap 'kill $(jobs -p) 2> /dev/null; wait' EXIT
"""


def blocks(path):
    with open(path, encoding="utf-8") as file:
        return FENCE.findall(file.read())


def pattern(line):
    """A line of shown output, whatever its ids, figures and bars are."""
    words = []
    for word in line.split():
        kinds = (("[0-9a-f]{32}", "[0-9a-f]{32}"), ("us|ms", "(us|ms|s)"), (r"\d+", r"[\d.]+"), ("█+", "█+"))
        words.append(next((shown for kind, shown in kinds if re.fullmatch(kind, word)), re.escape(word)))
    return " +".join(words)


def script(place, console):
    lines, spans = ["set -eu", WAITS], ["hello", "look up"]
    for info, text in blocks(os.path.join(TREE, "docs/sdk/tutorial.md")):
        kind, _, word = info.partition(" ")
        if kind == "c":
            with open(os.path.join(place, word), "w", encoding="utf-8") as file:
                file.write(text)
        if kind != "sh" or word == "once" or (word == "console" and not console):
            continue
        for line in text.splitlines():
            line = line.replace("build/release/bin/throughline", AGENT).replace("cmake --install build/release", f"cmake --install {BUILD}/package")
            lines.append("echo + " + shlex.quote(line))
            if " trace latest" in line:
                lines.append("awaited sh -c " + repr(f"{line} | grep -q '{spans.pop(0)}'"))
            lines.append(line)
            if line.endswith("&"):
                lines.append('awaited test -S "$THROUGHLINE_SOCKET"')
    return "\n".join(lines)


def tutorial():
    if os.getuid() != 0 or not shutil.which("unshare"):
        skip("the agent's ports are everybody's: a network of its own needs root")
    with open(os.path.join(BUILD, "package-root/lib/libthroughline.so.1"), "rb") as file:
        console = b"OTEL_METRIC_EXPORT_INTERVAL" in file.read()
    with tempfile.TemporaryDirectory(prefix="throughline-test-") as place:
        environment = {"PATH": os.environ["PATH"], "HOME": place, "THROUGHLINE_SOCKET": os.path.join(place, "agent.sock"),
                       "THROUGHLINE_CGROUP": f"throughline-test-{os.getpid()}"}
        run = subprocess.run(["unshare", "--net", "bash", "-c", "ip link set lo up\n" + script(place, console)], cwd=place, env=environment,
                             capture_output=True, text=True, check=False, timeout=120)
        said = re.sub(r"^-- Install.*\n", "", run.stdout, flags=re.M)
        print(said)
        assert run.returncode == 0, said + run.stderr
        shown = [pattern(line) for info, text in blocks(os.path.join(TREE, "docs/sdk/tutorial.md")) if info == "text"
                 for line in text.splitlines() if line.strip()]
        for words in (*shown, r"\b2 spans\b", r"tutorial +GET /orders/\{id\}", r"tutorial +look up"):
            assert re.search(words, said), (words, said, run.stderr)
        if not console:
            skip("the library does not read its exporters from the environment; the rest of the tutorial ran")


def programs():
    """Whole programs on the other pages compile, with the warnings of a careful user."""
    count = 0
    for path in sorted(glob.glob(os.path.join(TREE, "docs/sdk/*.md"))):
        for info, text in blocks(path):
            if not info.startswith("c") or not text.startswith("#include"):
                continue
            count += 1
            run = subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{TREE}/libtrace/include", "-fsyntax-only",
                                  "-x", "c", "-"], input=text, capture_output=True, text=True, check=False)
            assert run.returncode == 0, (path, run.stderr)
    assert count >= 3, count


programs()
tutorial()
