#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The binary interface of libthroughline.so.1 against the one that was recorded: abi_test.py check|record|self SOURCE BUILD.

`record` writes tests/package/abi.xml; `check` names each function and type that is not as recorded; `self` shows that a name
taken away, a changed argument and a moved member are each seen and named, and a private type's member is not. The library is the one package_test.py built."""
import os
import shutil
import subprocess
import sys
import tempfile

CASE, TREE, BUILD = sys.argv[1:4]
RECORD = os.path.join(TREE, "tests/package/abi.xml")
LIBRARY = os.path.join(BUILD, "package-root/lib/libthroughline.so.1")
INCLUDE = os.path.join(BUILD, "package-root/include")
# What can be said to break a program that was built before: abidiff's exit code has a bit for it.
ERROR, CHANGE = 1 | 2, 4 | 8


def skip(reason):
    print("SKIPPED: " + reason)
    sys.exit(77)


def record(library, include, path):
    """No path of the machine that records gets into the record. Where a type stands must: it tells public from private."""
    subprocess.run(["abidw", "--headers-dir", include, "--drop-private-types", "--exported-interfaces-only", "--no-corpus-path", "--no-comp-dir-path",
                    "--out-file", path, library], check=True)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for place in (BUILD, TREE, os.path.dirname(include)):
        text = text.replace(place + "/", "")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def difference(baseline, library, include):
    """None, or what abidiff says."""
    run = subprocess.run(["abidiff", "--headers-dir2", include, "--drop-private-types", "--no-show-locs", baseline, library],
                         capture_output=True, text=True, check=False)
    assert not run.returncode & ERROR, run.stdout + run.stderr
    return run.stdout if run.returncode & CHANGE else None


def check():
    if not os.path.exists(RECORD):
        skip("no interface has been recorded yet: ./dev abi --record")
    changed = difference(RECORD, LIBRARY, INCLUDE)
    if changed:
        print(changed)
        print("If that is meant, record it: ./dev abi --record. What breaks built programs needs a new SONAME.")
    return 1 if changed else 0


LIBRARY_TEXT = """
#include "it.h"
struct tl_private { long own; };
TL_API long tl_opaque(struct tl_private *it) { return it->own; }
TL_API int tl_first(struct tl_thing *thing) { return (int)thing->second; }
TL_API int tl_second(long argument) { return (int)argument; }
TL_API int tl_third(void) { return 3; }
"""
HEADER_TEXT = """
#define TL_API __attribute__((visibility("default")))
struct tl_thing { long first; long second; };
TL_API int tl_first(struct tl_thing *thing);
TL_API int tl_second(long argument);
TL_API int tl_third(void);
struct tl_private;
TL_API long tl_opaque(struct tl_private *it);
"""


def made(folder, library, header):
    os.makedirs(folder)
    for name, text in (("it.c", library), ("it.h", header)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    path = os.path.join(folder, "libit.so.1")
    subprocess.run(["cc", "-g", "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-soname,libit.so.1", "-o", path,
                    os.path.join(folder, "it.c")], check=True)
    return path, folder


def self():
    with tempfile.TemporaryDirectory(prefix="throughline-test-") as folder:
        baseline = os.path.join(folder, "abi.xml")
        record(*made(os.path.join(folder, "old"), LIBRARY_TEXT, HEADER_TEXT), baseline)
        with open(baseline, encoding="utf-8") as file:
            assert folder not in file.read()
        assert difference(baseline, *made(os.path.join(folder, "same"), LIBRARY_TEXT, HEADER_TEXT)) is None
        private = LIBRARY_TEXT.replace("{ long own; }", "{ long more; long own; }")
        assert difference(baseline, *made(os.path.join(folder, "private"), private, HEADER_TEXT)) is None
        changes = {"tl_third": ("int tl_third(void)", "int tl_fourth(void)"), "tl_second": ("(long argument)", "(short argument)"),
                   "tl_thing": ("long first; long second;", "int first; int second;")}
        for name, (before, after) in changes.items():
            said = difference(baseline, *made(os.path.join(folder, name), LIBRARY_TEXT.replace(before, after), HEADER_TEXT.replace(before, after)))
            assert said and name in said, (name, said)
    return 0


if not shutil.which("abidw") or not shutil.which("abidiff"):
    skip("abigail-tools is not installed")
sys.exit({"check": check, "record": lambda: record(LIBRARY, INCLUDE, RECORD), "self": self}[CASE]())
