#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""throughline/weak.h and the headers: every function of the API has its row and its name, and the test library calls it."""
import os
import re
import sys

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEADERS = os.path.join(TREE, "libtrace/include/throughline")


def text_of(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def functions(header):
    text = re.sub(r"//[^\n]*|#define(?:[^\n]*\\\n)*[^\n]*", "", text_of(HEADERS, header))
    return re.findall(r"TL_API\b[^;{]*?\b(tl_\w+)\((?:[^()]|\([^()]*\))*\)\s*;", text)


def main():
    weak, library = text_of(HEADERS, "weak.h"), text_of(TREE, "tests/package/weak_library.c")
    problems, count = [], 0
    for header in ("base.h", "context.h", "trace.h", "metrics.h", "logs.h", "propagate.h", "throughline.h"):
        for name in functions(header):
            count += 1
            row = rf"^TL_WEAK_\w+\((?:[^,()]+, )?{name[3:]},|\btl_weak_{name[3:]}\(\w|^#define {name}\(\.\.\.\) \({name} \?"
            if not re.search(row, weak, re.M) or not re.search(rf"^#define {name}\(\.\.\.\) ", weak, re.M):
                problems.append(f"{header}: {name} has no row in weak.h")
            if not re.search(rf"\b{name}\(", library):
                problems.append(f"{header}: {name} is not called by weak_library.c")
        others = {name for name in re.findall(r"^#define (tl_\w+)\(", weak, re.M)}
    known = {name for header in os.listdir(HEADERS) for name in functions(header)}
    problems += [f"weak.h: {name} is no function of the API" for name in sorted(others - known)]
    print(f"{count} functions")
    print("\n".join(problems))
    return 1 if problems or count < 50 else 0


sys.exit(main())
