#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""OTLP/HTTP in -> batch -> OTLP/HTTP out: CPU-seconds per million spans and memory of ours, the collector and two floors.
usage: passthrough.py FOLDER PROGRAM SINK FLOOR COLLECTOR|- REASON
Load and sink run on the last CPU, the agent on the first; every round measures each program once. Rows: name, ours, peer, ratio."""
import http.client
import json
import os
import shutil
import signal
import statistics
import socket
import subprocess
import sys
import tempfile
import time

FOLDER, PROGRAM, SINK, FLOOR, COLLECTOR, REASON = sys.argv[1:7]
SECONDS = int(os.environ.get("SECONDS_PER_RUN", "10"))
RUNS = int(os.environ.get("RUNS", "3"))
SPANS = 100
COUNTED = 20 * 82  # requests sent one by one, to know exactly what comes out of what goes in
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
                               env=dict(os.environ, THROUGHLINE_SOCKET=os.path.join(FOLDER, "agent.sock")),
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
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/")
    result = json.load(connection.getresponse())
    connection.close()
    return result


def settled(port):
    """The counts once they stand still for a second."""
    last, since = counts(port), time.time()
    while time.time() - since < 1:
        time.sleep(0.1)
        now = counts(port)
        if now != last:
            last, since = now, time.time()
    return last


def send_counted(port):
    with open(PAYLOAD, "rb") as file:
        body = file.read()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(COUNTED):
        connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"answered {answer.status}")
    connection.close()


def load(port, seconds):
    """Spans accepted."""
    script = os.path.join(FOLDER, "post.lua")
    run = subprocess.run(["wrk", "-t1", "-c8", f"-d{seconds}s", "--timeout", "30s", "-s", script, f"http://127.0.0.1:{port}/v1/traces"],
                         capture_output=True, text=True, check=True, preexec_fn=lambda: os.sched_setaffinity(0, {CPUS[-1]}))
    return int(next(line for line in run.stdout.splitlines() if line.startswith("ACCEPTED")).split()[1]) * SPANS


def figures(agent, port, sink_port):
    spans = COUNTED * SPANS
    time.sleep(2)
    idle_mb = memory_mb(agent.pid, "VmRSS")
    before = settled(sink_port)
    send_counted(port)
    after = settled(sink_port)
    load(port, 2)
    settled(sink_port)
    began = cpu_seconds(agent.pid)
    accepted = load(port, SECONDS)
    settled(sink_port)
    used = cpu_seconds(agent.pid) - began
    return {"cpu": used / accepted * 1e6, "idle": idle_mb, "peak": memory_mb(agent.pid, "VmHWM"), "accepted": accepted,
            "out": (after["wire"] - before["wire"]) / spans,
            "missing": spans - (after["plain"] - before["plain"]) * SPANS / os.path.getsize(PAYLOAD)}


def measure(kind, compression):
    folder = tempfile.mkdtemp(dir=FOLDER)
    port, sink_port = free_port(), free_port()
    config = os.path.join(folder, "config.yaml")
    command = {"ours": [PROGRAM, "agent", "-c", config, "--data-dir", folder], "theirs": [COLLECTOR, "--config", config],
               "nginx": ["nginx", "-c", config, "-p", folder], "floor": [FLOOR, str(port), str(sink_port)]}[kind]
    text = {"ours": OURS, "theirs": THEIRS, "nginx": NGINX, "floor": ""}[kind]
    with open(config, "w", encoding="utf-8") as file:
        file.write(text.format(port=port, sink=sink_port, compression=compression, folder=folder))
    started = []
    with open(os.path.join(FOLDER, kind + ".log"), "a", encoding="utf-8") as log:
        try:
            started.append(start([SINK, str(sink_port)], sink_port, CPUS[-1], log))
            started.append(start(command, port, CPUS[0], log))
            result = figures(started[1], port, sink_port)
        finally:
            for each in reversed(started):
                each.send_signal(signal.SIGTERM)
                try:
                    each.wait(20)
                except subprocess.TimeoutExpired:
                    each.kill()
                    each.wait()
            shutil.rmtree(folder, ignore_errors=True)
    print("#", kind, compression, json.dumps(result), file=sys.stderr, flush=True)
    return result


def medians(kinds, compression):
    """kind -> figure -> median; the kinds take turns, so that a busy machine troubles all alike."""
    runs = {kind: [] for kind in kinds}
    for _ in range(RUNS):
        for kind in kinds:
            runs[kind].append(measure(kind, compression))
    return {kind: {figure: statistics.median(run[figure] for run in runs[kind]) for figure in runs[kind][0]} for kind in kinds}


def row(name, ours, peer, unit, digits):
    if peer is None:
        print(f"{name}\t{ours:.{digits}f} {unit}\t-\t-", flush=True)
    else:
        print(f"{name}\t{ours:.{digits}f} {unit}\t{peer:.{digits}f} {unit}\t{ours / peer:.3f}", flush=True)


def main():
    with open(os.path.join(FOLDER, "post.lua"), "w", encoding="utf-8") as file:
        file.write(f"""local file = assert(io.open("{PAYLOAD}", "rb")); wrk.body = file:read("*a"); file:close()
wrk.method = "POST"; wrk.headers["Content-Type"] = "application/x-protobuf"
function done(summary) io.write(string.format("ACCEPTED %d\\n", summary.requests - summary.errors.status)) end
""")
    peers = [] if COLLECTOR == "-" else ["theirs"]
    if not peers:
        print(f"# no collector: {REASON}")
    floors = ["floor"] + (["nginx"] if shutil.which("nginx") else [])
    for compression, name in (("none", "passthrough_plain"), ("gzip", "passthrough_gzip")):
        found = medians(["ours"] + peers + (floors if compression == "none" else []), compression)
        ours, theirs = found["ours"], found.get("theirs")
        for figure, unit, digits in (("cpu", "s/M", 3), ("out", "B/span", 2), ("idle", "MB", 1), ("peak", "MB", 1)):
            row(f"{name}_{figure}", ours[figure], theirs and theirs[figure], unit, digits)
        row(f"{name}_missing", ours["missing"], None, "span", 0)
        for floor in floors if compression == "none" else []:
            row(f"{name}_{floor}_cpu", ours["cpu"], found[floor]["cpu"], "s/M", 3)


main()
