#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs our bench program and the peers' in turns and prints a row per figure: name, ours, peer, ratio, bar.
usage: sdk.py RELEASE_FOLDER WORK_FOLDER PEER..."""
import fnmatch
import glob
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

RELEASE, WORK, PEERS = sys.argv[1], sys.argv[2], sys.argv[3:]
ROUNDS = int(os.environ.get("ROUNDS", "7"))
OPS = int(os.environ.get("OPS", "200000"))
ONLY = os.environ.get("ONLY", "*")
OURS = os.path.join(RELEASE, "bin", "bench_sdk")
COMMANDS = {
    "rust": [os.path.join(WORK, "rust", "release", "bench_rs")],
    "go": [os.path.join(WORK, "bench_go")],
    "java": ["java", "-Xmx2g", "-cp", f"{WORK}/java.src/target/classes:{WORK}/java.src/target/lib/*", "Bench"],
}
# Row, our case, the peers' case, bar in ns, in bursts (spans, records) or a plain loop.
FIGURES = [
    ("span_5_attributes", "a", "a", 150, True),
    ("span_5_attributes_agent_ring", "ar", "a", 150, True),
    ("span_5_copied_attributes", "a", "ad", 150, True),
    ("span_bare", "a0", "a0", None, True),
    ("span_not_sampled", "b", "b", 20, False),
    ("span_child", "c", "c", None, True),
    ("span_event_status", "d", "d", 220, True),
    ("inject", "e1", "e1", 30, False),
    ("inject_span", "e1s", "e1", 30, False),
    ("extract", "e2", "e2", 50, False),
    ("counter_add", "f1", "f1", 45, False),
    ("counter_add_100_series", "fN", "fN", None, False),
    ("counter_add_bound", "f1b", "f1", 8, False),
    ("histogram_record", "f2", "f2", 55, False),
    ("histogram_record_bound", "f2b", "f2", 12, False),
    ("log_record", "g", "g", 130, True),
    ("log_record_agent_ring", "gr", "g", 130, True),
]
LACKS = {"go": ("ad",), "java": ("ad",), "rust": ()}


def row(name, ours="-", peer="-", ratio="-", bar="-", note=""):
    print("\t".join((name, ours, peer, ratio, bar)) + (f"\t# {note}" if note else ""), flush=True)


def wanted(name):
    return fnmatch.fnmatch(name, ONLY)


def preload(allocator):
    if allocator == "glibc":
        return None
    if allocator == "mcount":
        return os.path.join(WORK, "mcount.so")
    found = glob.glob("/usr/lib/*/libjemalloc.so.2")
    return found[0] if found else ""


def run(command, case, threads, ops, extra=(), allocator="glibc", environment=None):
    """The fields of the line that one run prints; None when it cannot, with the reason on the screen."""
    # The library's modules stand beside it.
    env = dict(os.environ, LD_LIBRARY_PATH=os.path.join(RELEASE, "lib"), **(environment or {}))
    env.pop("LD_PRELOAD", None)
    if preload(allocator):
        env["LD_PRELOAD"] = preload(allocator)
    # Through a shell, which forks: a process begins with the peak memory of what it was executed from.
    done = subprocess.run(["sh", "-c", '"$@"; exit $?', "sh", *command, case, str(threads), str(ops), "1", *extra], env=env,
                          capture_output=True, text=True, check=False, timeout=600)
    lines = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") >= 8]
    if done.returncode or not lines:
        print(f"# {os.path.basename(command[0])} {case}: {done.returncode} {done.stderr.strip()[-200:]}", flush=True)
        return None
    return lines[-1]


def sides():
    return [("ours", [OURS])] + [(peer, COMMANDS[peer]) for peer in PEERS]


def measured(figure, threads, allocator):
    """Nanoseconds by side; each round asks everybody once, so that what disturbs one disturbs all."""
    _, case, peer_case, _, in_bursts = figure
    results = {side: [] for side, _ in sides()}
    for _ in range(ROUNDS):
        for side, command in sides():
            if side == "java" and allocator != "glibc" or peer_case in LACKS.get(side, ()):
                continue
            fields = run(command, case if side == "ours" else peer_case, threads, OPS if in_bursts else 5 * OPS,
                         allocator=allocator)
            if fields:
                results[side].append((float(fields[4]), float(fields[6])))
    return results


def figure_rows(figure, threads, allocator, medians):
    name, _, _, bar, _ = figure
    suffix = f"_{threads}t" + ("" if allocator == "glibc" else "_" + allocator)
    results = measured(figure, threads, allocator)
    if not results["ours"]:
        row(name + suffix, note="ours could not be measured")
        return
    times = [ns for ns, _ in results["ours"]]
    ours = statistics.median(times)
    medians[name, threads, allocator] = ours
    for peer in PEERS:
        # The bar is for one thread; only the figures to beat have one.
        shown = f"{bar} ns" if bar and threads == 1 and peer == "rust" else "-"
        if not results[peer]:
            continue
        other = statistics.median(ns for ns, _ in results[peer])
        lost = max(share for _, share in results["ours"])
        row(f"{name}{suffix}" + ("" if peer == "rust" else "_" + peer), f"{ours:.1f} ns", f"{other:.1f} ns",
            f"{ours / other:.3f}", shown, f"{min(times):.1f} to {max(times):.1f}" + (f", {lost:.4f} lost" if lost else ""))
    if not PEERS:
        row(name + suffix, f"{ours:.1f} ns", bar=f"{bar} ns" if bar else "-", note=f"{min(times):.1f} to {max(times):.1f}")


def allocation_rows():
    for name, case, peer_case, _, in_bursts in FIGURES:
        if not wanted("allocations_" + name):
            continue
        counts = {}
        for side, command in sides():
            if side not in ("ours", "rust", "go") or peer_case in LACKS.get(side, ()):
                continue
            fields = run(command, case if side == "ours" else peer_case, 1, OPS if in_bursts else 5 * OPS,
                         allocator="mcount" if side != "go" else "glibc")
            counts[side] = float(fields[7]) if fields else None
        ours = counts.get("ours")
        row("allocations_" + name, "-" if ours is None else f"{ours:.4f}",
            "-" if counts.get("rust") is None else f"{counts['rust']:.2f}", bar="0",
            note="" if counts.get("go") is None else f"go {counts['go']:.2f}")


def scaling_rows(medians):
    for name, allocator in sorted({(name, allocator) for name, _, allocator in medians}):
        if (name, 2, allocator) in medians and (name, 1, allocator) in medians and wanted("scaling_" + name):
            times = 2 * medians[name, 1, allocator] / medians[name, 2, allocator]
            row(f"scaling_{name}" + ("" if allocator == "glibc" else "_" + allocator), f"{times:.2f} times",
                bar="1.9 times" if name == "span_5_attributes" else "-", note="2 threads against 1: operations per second")


class Sink:
    def __init__(self):
        while True:
            self.port = random.randrange(20000, 32000)
            self.process = subprocess.Popen([os.path.join(WORK, "sink"), str(self.port)], stderr=subprocess.DEVNULL)
            deadline = time.time() + 5
            while self.process.poll() is None and time.time() < deadline:
                try:
                    socket.create_connection(("127.0.0.1", self.port), 1).close()
                    return
                except OSError:
                    time.sleep(0.01)

    def records(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10) as answer:
            return int(answer.read().split()[2])

    def stop(self):
        self.process.terminate()
        self.process.wait()


def end_to_end_rows(allocator):
    spans = 10 * OPS
    suffix = "" if allocator == "glibc" else "_" + allocator
    results = {}
    sink = Sink()
    environment = {"SINK": f"http://127.0.0.1:{sink.port}/v1/traces"}
    for _ in range(max(1, ROUNDS // 2)):
        for side, command, case in [(*side, "hp") for side in sides()] + [("agent", [OURS], "hr")]:
            if side == "java" and allocator != "glibc":
                continue
            sink.records()
            fields = run(command, case, 1, spans, ("2048",), allocator, environment)
            if not fields:
                continue
            values = dict(field.split("=") for field in fields[4:])
            arrived = sink.records() if side != "agent" else float(values["delivered"])
            # A peer may send the parent that it made for another case, too.
            results.setdefault(side, []).append((float(values["cpu_s_per_M_made"]), float(values["delivered_per_s"]),
                                                 float(values["peak_rss_MiB"]), max(0, spans - arrived)))
    sink.stop()

    def median(side, index):
        return statistics.median(result[index] for result in results[side]) if results.get(side) else None

    for title, side, index, unit, bar, form in (
            ("end_to_end_cpu", "ours", 0, "CPU-s per M", "0.6", ".3f"), ("end_to_end_rate", "ours", 1, "spans/s", "1500000", ".0f"),
            ("end_to_end_peak_rss", "ours", 2, "MiB", "8", ".1f"), ("end_to_end_lost", "ours", 3, "spans", "0", ".0f"),
            ("end_to_end_cpu_agent_ring", "agent", 0, "CPU-s per M", "0.15", ".3f"),
            ("end_to_end_rate_agent_ring", "agent", 1, "spans/s", "-", ".0f"),
            ("end_to_end_lost_agent_ring", "agent", 3, "spans", "0", ".0f")):
        for peer in PEERS or ["-"]:
            ours, other = median(side, index), median(peer, index)
            row(title + suffix + ("" if peer in ("rust", "-") else "_" + peer),
                "-" if ours is None else f"{ours:{form}} {unit}", "-" if other is None else f"{other:{form}} {unit}",
                f"{ours / other:.3f}" if ours is not None and other else "-", bar if peer in ("rust", "-") else "-")


def size_rows():
    library = os.path.join(RELEASE, "lib", "libthroughline.so.1")
    with tempfile.TemporaryDirectory() as folder:
        stripped = os.path.join(folder, "library.so")
        shutil.copy(library, stripped)
        subprocess.run(["strip", stripped], check=True)
        size = os.path.getsize(stripped)
    needed = re.findall(r"NEEDED.*\[(.*)\]", subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout)
    extra = [name for name in needed if not name.startswith(("libc.so", "ld-linux"))]
    row("library_stripped", f"{size / 1000:.0f} kB", "5650 kB", f"{size / 5.65e6:.3f}", "450 kB", "peer: the C API over Rust's SDK, as published")
    row("library_needs", f"{len(extra)} objects", "38 objects", bar="0", note="beside libc: " + (" ".join(extra) or "none"))


def main():
    medians = {}
    floor = subprocess.run([os.path.join(WORK, "floor")], capture_output=True, text=True, check=True)
    for line in floor.stdout.splitlines():
        print("# floor\t" + line)
    allocators = ["glibc"] + (["jemalloc"] if preload("jemalloc") else [])
    if len(allocators) == 1:
        print("# libjemalloc2 is not installed: only glibc's malloc")
    for allocator in allocators:
        for figure in FIGURES:
            for threads in (1, 2):
                if wanted(figure[0]):
                    figure_rows(figure, threads, allocator, medians)
    scaling_rows(medians)
    allocation_rows()
    if wanted("end_to_end"):
        for allocator in allocators:
            end_to_end_rows(allocator)
    if wanted("library"):
        size_rows()


main()
