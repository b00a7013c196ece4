#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""OTLP/HTTP in -> batch -> OTLP/HTTP out: CPU-seconds per million spans of ours, the collector and a floor.
usage: passthrough.py FOLDER PROGRAM SINK COLLECTOR|- REASON
Load and sink run on the last CPU, the agent on the first. Rows: name, ours, peer, ratio."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

FOLDER, PROGRAM, SINK, COLLECTOR, REASON = sys.argv[1:6]
SECONDS = int(os.environ.get("SECONDS_PER_RUN", "10"))
RUNS = int(os.environ.get("RUNS", "3"))
SPANS = 100
TICKS = os.sysconf("SC_CLK_TCK")
CPUS = sorted(os.sched_getaffinity(0))
PAYLOAD = os.path.join(FOLDER, "payload.pb")

OURS = """
receivers: {{otlp_http: {{endpoint: "127.0.0.1:{port}"}}}}
processors: {{batch: {{send_batch_size: 8192, timeout: 200ms}}}}
exporters: {{otlp_http: {{endpoint: "http://127.0.0.1:{sink}", compression: {compression}}}}}
api: {{endpoint: "127.0.0.1:0"}}
service: {{pipelines: {{traces: {{receivers: [otlp_http], processors: [batch], exporters: [otlp_http]}}}}}}
"""
THEIRS = """
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
processors: {{batch: {{send_batch_size: 8192, timeout: 200ms}}}}
exporters: {{otlphttp: {{endpoint: "http://127.0.0.1:{sink}", compression: {compression}}}}}
service: {{telemetry: {{metrics: {{level: none}}}}, pipelines: {{traces: {{receivers: [otlp], processors: [batch], exporters: [otlphttp]}}}}}}
"""
NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{ access_log off; client_max_body_size 64m; client_body_buffer_size 1m; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream sink {{ server 127.0.0.1:{sink}; keepalive 16; }} keepalive_requests 1000000000;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://sink; proxy_http_version 1.1; proxy_set_header Connection ""; }} }} }}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(command, port, cpu, log):
    process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True,
                               preexec_fn=lambda: os.sched_setaffinity(0, {cpu}))
    deadline = time.time() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process
        except OSError:
            if process.poll() is not None or time.time() > deadline:
                raise SystemExit(f"{command[0]} did not listen; see {log.name}") from None
            time.sleep(0.01)


def family(pid):
    """The process and its children (nginx works in a child)."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [pid] + [int(child) for child in file.read().split()]


def cpu_seconds(pid):
    total = 0
    for each in family(pid):
        with open(f"/proc/{each}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def memory_mb(pid, key):
    total = 0
    for each in family(pid):
        with open(f"/proc/{each}/status", encoding="ascii") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith(key))
    return total / 1024


def counts(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        return json.load(answer)


def settled(port):
    """The counts once they stand still for a second."""
    last, since = counts(port), time.time()
    while time.time() - since < 1:
        time.sleep(0.1)
        now = counts(port)
        if now != last:
            last, since = now, time.time()
    return last


def load(port, seconds):
    """Spans accepted."""
    script = os.path.join(FOLDER, "post.lua")
    run = subprocess.run(["wrk", "-t1", "-c8", f"-d{seconds}s", "--timeout", "30s", "-s", script, f"http://127.0.0.1:{port}/v1/traces"],
                         capture_output=True, text=True, check=True, preexec_fn=lambda: os.sched_setaffinity(0, {CPUS[-1]}))
    return int(next(line for line in run.stdout.splitlines() if line.startswith("ACCEPTED")).split()[1]) * SPANS


def measure(kind, compression):
    folder = tempfile.mkdtemp(dir=FOLDER)
    port, sink_port = free_port(), free_port()
    text = {"ours": OURS, "theirs": THEIRS, "floor": NGINX}[kind].format(port=port, sink=sink_port, compression=compression, folder=folder)
    config = os.path.join(folder, "config.yaml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(text)
    command = {"ours": [PROGRAM, "agent", "-c", config], "theirs": [COLLECTOR, "--config", config],
               "floor": ["nginx", "-c", config, "-p", folder]}[kind]
    with open(os.path.join(FOLDER, kind + ".log"), "a", encoding="utf-8") as log:
        sink = start([SINK, str(sink_port)], sink_port, CPUS[-1], log)
        agent = start(command, port, CPUS[0], log)
        try:
            idle_mb = memory_mb(agent.pid, "VmRSS")
            load(port, 2)
            before, began = settled(sink_port), cpu_seconds(agent.pid)
            accepted = load(port, SECONDS)
            after, used = settled(sink_port), cpu_seconds(agent.pid) - began
            size = os.path.getsize(PAYLOAD) / SPANS
            delivered = (after["plain"] - before["plain"]) / size
            return {"cpu": used / accepted * 1e6, "idle": idle_mb, "peak": memory_mb(agent.pid, "VmHWM"), "accepted": accepted,
                    "missing": accepted - round(delivered), "out": (after["wire"] - before["wire"]) / max(1, delivered)}
        finally:
            for each in (agent, sink):
                each.send_signal(signal.SIGTERM)
                try:
                    each.wait(20)
                except subprocess.TimeoutExpired:
                    each.kill()
            shutil.rmtree(folder, ignore_errors=True)


def median(kind, compression):
    runs = sorted((measure(kind, compression) for _ in range(RUNS)), key=lambda run: run["cpu"])
    for run in runs:
        print("#", kind, compression, json.dumps(run), file=sys.stderr)
    return runs[len(runs) // 2]


def row(name, ours, peer, unit, digits=2):
    if peer is None:
        print(f"{name}\t{ours:.{digits}f} {unit}\t-\t-")
    else:
        print(f"{name}\t{ours:.{digits}f} {unit}\t{peer:.{digits}f} {unit}\t{ours / peer:.3f}")


def main():
    with open(os.path.join(FOLDER, "post.lua"), "w", encoding="utf-8") as file:
        file.write(f"""local file = assert(io.open("{PAYLOAD}", "rb")); wrk.body = file:read("*a"); file:close()
wrk.method = "POST"; wrk.headers["Content-Type"] = "application/x-protobuf"
function done(summary) io.write(string.format("ACCEPTED %d\\n", summary.requests - summary.errors.status)) end
""")
    has_peer = COLLECTOR != "-"
    if not has_peer:
        print(f"# no collector: {REASON}")
    for compression in ("none", "gzip"):
        ours = median("ours", compression)
        theirs = median("theirs", compression) if has_peer else None
        name = "passthrough_" + ("plain" if compression == "none" else compression)
        row(name + "_cpu", ours["cpu"], theirs and theirs["cpu"], "s/M", 3)
        row(name + "_out", ours["out"], theirs and theirs["out"], "B/span", 1)
        row(name + "_idle", ours["idle"], theirs and theirs["idle"], "MB", 1)
        row(name + "_peak", ours["peak"], theirs and theirs["peak"], "MB", 1)
        row(name + "_missing", ours["missing"], None, "span", 0)
        if compression == "none" and shutil.which("nginx"):
            row("passthrough_plain_floor_cpu", ours["cpu"], median("floor", "none")["cpu"], "s/M", 3)


main()
