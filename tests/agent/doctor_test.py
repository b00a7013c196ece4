#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""doctor says what works and, for the rest, why and the one thing to do; exit 0 only when nothing is missing. As root and as
nobody, with places free, taken, closed and full of something else."""
import json
import os
import shutil
import socket
import sqlite3
import sys
import tempfile

from configured import Configured, free_port, run

PROGRAM = sys.argv[1]
NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


def doctor(config, data_dir, before=(), environment=None):
    """The checks by name (ports as a list), after text and JSON were compared."""
    command = [*before, PROGRAM, "doctor", "-c", config, "--data-dir", data_dir]
    result = run(*command, "-o", "json", env=environment)
    told = json.loads(result.stdout)
    assert result.stderr == "" and result.returncode == (0 if told["usable"] else 1), result
    checks, ports = {}, []
    for each in told["checks"]:
        assert each["detail"] and each["state"] in ("ok", "note", "missing"), each
        assert bool(each["advice"]) == (each["state"] != "ok"), each
        if each["name"] == "port":
            ports.append(each)
        checks[each["name"]] = each
    assert told["usable"] == all(each["state"] != "missing" for each in told["checks"])
    text = run(*command, env=environment)
    assert text.returncode == result.returncode and "\x1b[" not in text.stdout
    for each in told["checks"]:
        # How much is free changes while others write.
        assert each["name"] == "disk" or f"{each['state']:8} {each['name']:18} {each['detail']}\n" in text.stdout, (each, text.stdout)
        assert each["advice"] in text.stdout
    assert "\x1b[32m" in run(*command, "--color", "always", env=environment).stdout
    return checks, ports


def configuration(folder, otlp, api):
    path = os.path.join(folder, "agent.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"""
receivers: {{otlp_http: {{endpoint: "127.0.0.1:{otlp}"}}, ring: {{socket: "{folder}/sub/agent.sock"}}}}
exporters: {{store: {{}}}}
api: {{endpoint: "127.0.0.1:{api}"}}
service: {{pipelines: {{traces: {{receivers: [otlp_http, ring], exporters: [store]}}}}}}
""")
    return path


def places(folder):
    environment = {name: value for name, value in os.environ.items() if name != "THROUGHLINE_SOCKET"}
    data = os.path.join(folder, "data")
    config = configuration(folder, free_port(), free_port())
    checks, ports = doctor(config, data, environment=environment)
    assert [each["state"] for each in ports] == ["ok", "ok"] and all("is free" in each["detail"] for each in ports)
    assert checks["rings"]["state"] == "ok" and folder in checks["rings"]["detail"], checks["rings"]
    assert checks["data directory"]["detail"] == data + " will be made" and checks["store"]["detail"] == "none yet"
    assert not os.path.exists(data), "the doctor changes nothing"
    for name in ("kernel", "lockdown", "BTF", "cgroup v2", "privileges", "BPF sk_msg", "BPF tracing", "BPF ring buffer", "memlock", "disk", "clock"):
        assert name in checks, (name, list(checks))
    # A port that something else has.
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        checks, ports = doctor(configuration(folder, other.getsockname()[1], free_port()), data, environment=environment)
        assert ports[0]["state"] == "missing" and "Address already in use" in ports[0]["detail"], ports
        assert "receivers.otlp_http.endpoint" in ports[0]["advice"]
    # A data directory that is a file, a store that is none, and one of a newer version.
    checks, _ = doctor(config, config, environment=environment)
    assert checks["data directory"]["state"] == "missing" and "is not a folder" in checks["data directory"]["detail"]
    os.mkdir(data)
    path = os.path.join(data, "store.sqlite")
    with open(path, "wb") as file:
        file.write(b"not a database")
    checks, _ = doctor(config, data, environment=environment)
    assert checks["store"]["state"] == "missing" and "is damaged" in checks["store"]["detail"], checks["store"]
    os.unlink(path)
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE t(a)")
        db.execute("PRAGMA user_version = 77")
    db.close()
    checks, _ = doctor(config, data, environment=environment)
    assert checks["store"]["state"] == "missing" and "is of version 77" in checks["store"]["detail"], checks["store"]
    # The variable wins over the setting.
    checks, _ = doctor(config, data, environment={**environment, "THROUGHLINE_SOCKET": "/dev/null/agent.sock"})
    assert checks["rings"]["state"] == "missing" and "/dev/null" in checks["rings"]["detail"], checks["rings"]


def running():
    agent = Configured(PROGRAM)
    checks, ports = doctor(agent.config, agent.folder, environment=agent.environment)
    assert all(each["state"] == "ok" and "is the running agent's" in each["detail"] for each in ports), ports
    assert "is a running agent's" in checks["rings"]["detail"] and checks["store"]["detail"].startswith("version "), checks
    agent.stop()


def nobody(folder):
    os.chmod(folder, 0o755)
    closed = os.path.join(folder, "closed")
    os.mkdir(closed, 0o700)
    config = configuration(folder, free_port(), free_port())
    checks, _ = doctor(config, closed, before=NOBODY)
    assert checks["privileges"]["state"] == "missing"
    assert all(name in checks["privileges"]["detail"] for name in ("CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"))
    assert "setcap" in checks["privileges"]["advice"]
    assert checks["BPF sk_msg"]["state"] == "missing" and "privileges" in checks["BPF sk_msg"]["detail"]
    assert checks["data directory"]["state"] == "missing" and "Permission denied" in checks["data directory"]["detail"]
    assert checks["rings"]["state"] == "missing" and "Permission denied" in checks["rings"]["detail"]
    # Root without one capability.
    checks, _ = doctor(config, closed, before=["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"])
    assert checks["privileges"]["detail"].endswith("has no CAP_NET_ADMIN"), checks["privileges"]


# A mount namespace without this kernel's BTF and without cgroup v2.
WITHOUT = ["unshare", "--mount", "sh", "-c", """mount -t tmpfs none /sys/kernel/btf || exit 77
awk '$3 == "cgroup2" {print $2}' /proc/mounts | xargs -r -n 1 umount -l
exec "$@\"""", "sh"]


def without_parts(folder):
    if run(*WITHOUT, "true").returncode:
        print("SKIPPED: no mount namespace can be made, BTF and cgroup v2 are not taken away")
        return
    checks, _ = doctor(configuration(folder, free_port(), free_port()), folder, before=WITHOUT)
    assert checks["BTF"]["state"] == "missing" and "No such file" in checks["BTF"]["detail"], checks["BTF"]
    assert checks["cgroup v2"]["state"] == "missing" and "mount -t cgroup2" in checks["cgroup v2"]["advice"], checks["cgroup v2"]


def main():
    result = run(PROGRAM, "doctor", "-c", "/nonexistent")
    assert result.returncode == 2 and "No such file" in result.stderr
    folder = tempfile.mkdtemp(prefix="throughline-test-")
    places(folder)
    running()
    if os.getuid() == 0:
        nobody(folder)
        without_parts(folder)
    shutil.rmtree(folder)


main()
