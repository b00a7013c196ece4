#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the eBPF receiver costs: an nginx that proxies to another over kept connections, with and without an agent that
traces both, in turns. Prints one row per figure: name, with the agent, without, ratio."""
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../e2e"))
from running import Agent, eventually, free_port  # noqa: E402

PROGRAM, ROUNDS, SECONDS = sys.argv[1], int(os.environ.get("ROUNDS", "5")), os.environ.get("SECONDS_EACH", "4")
NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 100000000;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    upstream kept {{ server 127.0.0.1:{inner}; keepalive 64; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{outer};
        location / {{ proxy_pass http://kept; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
    server {{ listen 127.0.0.1:{inner}; location / {{ return 200 "ok"; }} }}
}}
"""


def cpu_seconds(process):
    """Of a process and its children."""
    pids = [process.pid] + [int(pid) for pid in open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii").read().split()]
    ticks = 0
    for pid in pids:
        fields = open(f"/proc/{pid}/stat", encoding="utf-8").read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def one_round(cgroup, is_traced):
    agent = Agent(PROGRAM, cgroup=cgroup) if is_traced else None
    folder = tempfile.mkdtemp(prefix="throughline-bench-")
    os.chmod(folder, 0o755)
    outer, inner = free_port(), free_port()
    config = os.path.join(folder, "nginx.conf")
    with open(config, "w", encoding="utf-8") as file:
        file.write(NGINX.format(folder=folder, outer=outer, inner=inner))
    environment = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin")
    nginx = subprocess.Popen([PROGRAM, "run", "--cgroup", cgroup, "--", "nginx", "-p", folder, "-c", config], env=environment)
    eventually(lambda: subprocess.run(["curl", "-sf", "-o", "/dev/null", f"http://127.0.0.1:{outer}/"], check=False).returncode == 0 or fail())
    before = cpu_seconds(nginx), cpu_seconds(agent.process) if agent else 0
    text = subprocess.run(["wrk", "-t1", "-c32", f"-d{SECONDS}s", "--latency", f"http://127.0.0.1:{outer}/"], capture_output=True, text=True, check=True).stdout
    count = int(re.search(r"(\d+) requests in", text).group(1))
    p50 = re.search(r"50%\s+([\d.]+)(us|ms)", text)
    found = {"requests/s": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)),
             "p50_us": float(p50.group(1)) * (1000 if p50.group(2) == "ms" else 1),
             "nginx_cpu_us": (cpu_seconds(nginx) - before[0]) / count * 1e6}
    if agent:
        time.sleep(1)
        found["agent_cpu_us"] = (cpu_seconds(agent.process) - before[1]) / count * 1e6
        found["dropped"] = agent.counter("throughline_probe_records_dropped_total") / max(1, agent.counter("throughline_probe_records_total"))
        found["rss_mb"] = int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{agent.process.pid}/status", encoding="ascii").read()).group(1)) / 1024
    nginx.terminate()
    nginx.wait(20)
    if agent:
        agent.stop()
    shutil.rmtree(folder, ignore_errors=True)
    return found


def fail():
    raise AssertionError("nginx does not answer")


def main():
    for program in ("nginx", "wrk"):
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin"):
            print(f"tap\t-\t-\t-\t{program} is not installed")
            return
    if os.geteuid() != 0:
        print("tap\t-\t-\t-\teBPF needs root")
        return
    cgroup = f"throughline-bench-{os.getpid()}"
    rounds = {True: [], False: []}
    for number in range(2 * ROUNDS):
        rounds[number % 2 == 1].append(one_round(cgroup, number % 2 == 1))  # the agent clears the cgroup
    print("# with the agent; without; a request through nginx twice, 32 connections")
    for name, unit in (("requests/s", "/s"), ("p50_us", "us"), ("nginx_cpu_us", "us")):
        ours, peer = (statistics.median(each[name] for each in rounds[traced]) for traced in (True, False))
        print(f"tap_{name.split('_us')[0].replace('/', '_')}\t{ours:.1f} {unit}\t{peer:.1f} {unit}\t{ours / peer:.3f}")
    for name, unit in (("agent_cpu_us", "us"), ("dropped", "of 1"), ("rss_mb", "MB")):
        print(f"tap_{name.split('_us')[0]}\t{statistics.median(each[name] for each in rounds[True]):.3f} {unit}\t-\t-")


main()
