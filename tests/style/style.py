#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks of the tree's own rules: layers, banned, shape, page, format. One rule per run."""
import hashlib
import os
import re
import subprocess
import sys

BANNED = "strcpy strcat sprintf vsprintf strtok atoi atol gets rand localtime gmtime strerror alloca system".split()
BANNED_IN_LIBTRACE = "abort exit printf signal".split()
ROOTS = ("libtrace", "exporters", "ebpf", "agent", "examples", "tests", "dashboards")


def files(*suffixes):
    for root in ROOTS:
        for folder, _, names in os.walk(root):
            for name in sorted(names):
                if name.endswith(suffixes):
                    yield os.path.join(folder, name)


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def code_of(path):
    """The text without comments and string literals, line for line."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', blank, text_of(path), flags=re.S)


def layer_table():
    rows = {}
    for line in text_of("docs/architecture.md").splitlines():
        match = re.match(r"\| ([a-z/_]+) \| (.*)\|$", line)
        if match:
            rows[match.group(1)] = [word.strip() for word in match.group(2).split(",") if word.strip()]
    return rows


def room_of(path, rooms):
    best = ""
    for room in rooms:
        if path.startswith(room + "/") and len(room) > len(best):
            best = room
    return best


def layers():
    rows = layer_table()
    problems = []
    if len(rows) < 10:
        return ["docs/architecture.md: the layer table has %d rows" % len(rows)]
    short = {room.split("/")[-1]: room for room in rows}
    short["include"] = "libtrace/include"
    rooms = list(rows) + ["libtrace/include"]
    for path in files(".c", ".h"):
        room = room_of(path, rooms)
        if not room or path.startswith("tests/"):
            continue
        allowed = {room, "libtrace/include"} if room == "libtrace/include" else {room}
        for word in rows.get(room, []):
            if word == "everything above":
                allowed.update(rooms)
            else:
                allowed.add(short.get(word, word))
        for number, line in enumerate(text_of(path).splitlines(), 1):
            match = re.match(r'#\s*include "([^"]+)"', line)
            if not match or not match.group(1).startswith(ROOTS):
                continue
            other = room_of(match.group(1), rooms)
            if match.group(1).startswith("tests/"):
                problems.append(f"{path}:{number}: {room} includes a test")
            elif other and other not in allowed and not other.startswith("agent" if room == "agent" else "\0"):
                problems.append(f"{path}:{number}: {room} may not include {other}")
    return problems


def banned():
    problems = []
    for path in files(".c", ".h"):
        words = BANNED + (BANNED_IN_LIBTRACE if path.startswith("libtrace/") else [])
        pattern = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(words))
        for number, line in enumerate(code_of(path).splitlines(), 1):
            match = pattern.search(line.replace("format(printf", "format(")) or re.search(r"\btypedef\s+struct\b", line)
            if match and "__attribute__" not in line:
                problems.append(f"{path}:{number}: {match.group(0)}")
    return problems


def shape():
    problems = []
    for path in files(".c", ".h"):
        lines = text_of(path).splitlines()
        if not lines or not lines[0].startswith("// SPDX-License-Identifier: Apache-2.0"):
            problems.append(f"{path}:1: no SPDX line")
        if len(lines) > 800 and "because" not in "\n".join(lines[:6]):
            problems.append(f"{path}: {len(lines)} lines and no reason at its top")
        if path.endswith(".h") and "#pragma once" not in lines:
            problems.append(f"{path}: no #pragma once")
        base = os.path.basename(path).split(".")[0]
        if base in ("util", "utils", "common", "misc", "helpers", "manager"):
            problems.append(f"{path}: a file is one noun")
    return problems


def page():
    """What the page is made of: every vendored file as released and with its licence; our own within the rules."""
    problems = []
    web, vendor = "dashboards/web", "dashboards/web/vendor"
    rows = [line.split("\t") for line in text_of(f"{vendor}/VENDOR.tsv").splitlines()[1:]]
    known = {"VENDOR.tsv"}
    for name, _, _, _, _, licence, digest in rows:
        known.update((name, licence))
        for needed in (name, licence):
            if not os.path.exists(f"{vendor}/{needed}"):
                problems.append(f"{vendor}/{needed}: named in VENDOR.tsv, not there")
        with open(f"{vendor}/{name}", "rb") as file:
            if hashlib.sha256(file.read()).hexdigest() != digest:
                problems.append(f"{vendor}/{name}: not the released file: its sha256 differs")
    problems += [f"{vendor}/{name}: no row in VENDOR.tsv" for name in os.listdir(vendor) if name not in known]
    for name in sorted(os.listdir(web)):
        if not name.endswith((".js", ".css")):
            continue
        text = text_of(f"{web}/{name}")
        if "SPDX-License-Identifier: Apache-2.0" not in text.split("\n", 1)[0]:
            problems.append(f"{web}/{name}:1: no SPDX line")
        if text.count("\n") > 500:
            problems.append(f"{web}/{name}: more than 500 lines")
        for number, line in enumerate(text.splitlines(), 1):
            match = re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|https?://(?!127\.0\.0\.1|www\.w3\.org)", line)
            if match:
                problems.append(f"{web}/{name}:{number}: {match.group(0)}")
    return problems


def format_():
    run = subprocess.run(["clang-format-14", "--dry-run", "-Werror", *files(".c", ".h")], capture_output=True, text=True, check=False)
    return [line for line in run.stderr.splitlines() if "error:" in line]


def main():
    rule = {"layers": layers, "banned": banned, "shape": shape, "page": page, "format": format_}[sys.argv[1]]
    problems = rule()
    print("\n".join(problems))
    return 1 if problems else 0


sys.exit(main())
