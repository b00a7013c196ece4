#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/reference/spec-compliance.tsv: each row of OpenTelemetry's compliance matrix and the test that shows it.

check BUILD: the rows are whole, each test named exists, and it ran and passed: as the log of this very ctest run says, else
it is run now. missing: prints which rows no test shows yet.
A test is the name CTest knows, or PROGRAM:FUNCTION for one function of a cmocka program; several are set apart by blanks."""
import collections
import json
import os
import re
import subprocess
import sys
import tempfile

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABLE = os.path.join(TREE, "docs/reference/spec-compliance.tsv")
HEAD = ["row", "feature", "done", "test"]
# How the matrix numbers its rows; gaps are what it calls deprecated.
SECTIONS = {"TR": ("traces", 64), "BA": ("baggage", 2), "ME": ("metrics", 88), "LO": ("logs", 18), "RE": ("resource", 7),
            "CP": ("context and propagation", 19), "EV": ("environment variables", 30),
            "DC": ("declarative configuration", 13), "EX": ("exporters", 59), "SO": ("the SDK about itself", 17)}
DEPRECATED = {"EV09", *(f"EX{number}" for number in range(24, 38))}
SKIPPED = 77


def matrix_ids():
    return [f"{section}{number:02}" for section, (_, count) in SECTIONS.items() for number in range(1, count + 1)
            if f"{section}{number:02}" not in DEPRECATED]


def read_rows(path):
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file if line.strip()]


def table_problems(rows):
    """What is wrong with the table itself."""
    problems = []
    if not rows or rows[0] != HEAD:
        problems.append("the first line is not " + " ".join(HEAD))
    seen = collections.Counter(row[0] for row in rows[1:])
    problems += [f"{row}: not there" for row in matrix_ids() if row not in seen]
    problems += [f"{row}: there {count} times" for row, count in seen.items() if count > 1]
    problems += [f"{row}: no such row in the matrix" for row in seen if row not in set(matrix_ids())]
    for row in rows[1:]:
        if len(row) != len(HEAD) or not row[1]:
            problems.append(f"{row[0]}: not four columns")
        elif (row[2], row[3] == "-") not in (("+", False), ("-", True)):
            problems.append(f"{row[0]}: '+' and a test, or '-' and '-'")
    return problems


def missing():
    rows = read_rows(TABLE)
    for section, (title, _) in SECTIONS.items():
        own = [row for row in rows[1:] if row[0].startswith(section)]
        absent = [row[0] for row in own if row[2] != "+"]
        print(f"{title}: {len(own) - len(absent)} of {len(own)}" + (", missing " + " ".join(absent) if absent else ""))
    problems = table_problems(rows)
    print("\n".join(problems))
    return 1 if problems else 0


def known_tests(build):
    """By name: what CTest would run, and how. Asked in a folder of its own: even this question begins a new log."""
    with tempfile.TemporaryDirectory(prefix="throughline-test-") as folder:
        with open(os.path.join(folder, "CTestTestfile.cmake"), "w", encoding="utf-8") as file:
            file.write(f'subdirs("{build}")\n')
        run = subprocess.run(["ctest", "--test-dir", folder, "--show-only=json-v1"], capture_output=True, text=True, check=True)
    return {test["name"]: test for test in json.loads(run.stdout)["tests"] if "command" in test}


def log_of_this_run(build):
    """By name: (outcome, output) of the tests that this run of ctest has ended; CTest keeps its log under this name until
    the run is over."""
    path = os.path.join(build, "Testing/Temporary/LastTest.log.tmp")
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    results = {}
    for part in re.split(r"^\d+/\d+ Testing: ", text, flags=re.M)[1:]:
        name, _, rest = part.partition("\n")
        if match := re.search(r"^<end of output>\nTest time = .*\n-+\nTest (Passed|Failed)", rest, re.M):
            output = rest[:match.start()]
            skipped = re.search(r"^SKIPPED", output, re.M) is not None
            results[name] = ("skipped" if skipped else match.group(1).lower(), output)
    return results


def run_now(test):
    """(outcome, output) of one test, run as CTest would."""
    properties = {entry["name"]: entry["value"] for entry in test.get("properties", [])}
    environment = dict(os.environ)
    for setting in properties.get("ENVIRONMENT", []):
        name, _, value = setting.partition("=")
        environment[name] = value
    try:
        run = subprocess.run(test["command"], env=environment, cwd=properties.get("WORKING_DIRECTORY"), check=False,
                             timeout=float(properties.get("TIMEOUT", 120)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired:
        return "failed", "took too long"
    except OSError as error:
        return "failed", str(error)
    outcome = {0: "passed", SKIPPED: "skipped"}.get(run.returncode, "failed")
    return outcome, run.stdout.decode(errors="replace")


class Runs:
    """What each test did: read from the log when it is there, run when it is not."""

    def __init__(self, build):
        self.known, self.ended, self.run_here = known_tests(build), log_of_this_run(build), set()

    def of(self, name):
        if name not in self.ended:
            self.run_here.add(name)
            self.ended[name] = run_now(self.known[name])
        return self.ended[name]

    def outcome(self, test):
        """passed, skipped, or a sentence that says what is wrong."""
        name, _, function = test.partition(":")
        if name not in self.known:
            return "no such test"
        outcome, output = self.of(name)
        if not function:
            return outcome
        if re.search(rf"^\[\s+OK \] {re.escape(function)}$", output, re.M):
            return "passed"
        if outcome == "skipped" or re.search(rf"^\[\s+SKIPPED \] {re.escape(function)}$", output, re.M):
            return "skipped"
        return f"{name} {outcome} and does not say that this function ran and passed"


def check(build):
    rows = read_rows(TABLE)
    problems, skipped = table_problems(rows), []
    runs = Runs(build)
    for row in rows[1:]:
        for test in [] if row[3] == "-" else row[3].split():
            outcome = runs.outcome(test)
            if outcome == "skipped":
                skipped.append(f"{row[0]} ({test})")
            elif outcome != "passed":
                problems.append(f"{row[0]}: {test}: {outcome}")
    done = sum(row[2] == "+" for row in rows[1:])
    print(f"{done} of {len(rows) - 1} rows are shown by a test; of the tests they name, {len(runs.run_here)} were run here, "
          "the others by this run of ctest")
    print("\n".join(problems))
    if skipped and not problems:
        print("SKIPPED: these rows' tests cannot run here: " + ", ".join(skipped))
        return SKIPPED
    return 1 if problems else 0


sys.exit(missing() if sys.argv[1] == "missing" else check(sys.argv[2]))
