#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What keeps the agent from starting (a clear error, exit 1), what it only goes without (and says so), and what programs
that hand over rings may not do to it. One case per run."""
import fcntl
import os
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading

from configured import JSON, PROTOBUF, Configured, eventually, free_port, run, skip

PROGRAM = sys.argv[2]
NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs"]


def fails(command, words, environment=None):
    """Exit 1, one line with the words on stderr, nothing left behind."""
    result = run(*command, env=environment)
    said = [line for line in result.stderr.splitlines() if line.startswith("throughline: ")]
    assert result.returncode == 1 and len(said) == 1 and all(word in said[0] for word in words), (words, result)
    assert "agent.ready" not in result.stderr, result


def ports():
    """A port or a socket that another has."""
    agent = Configured(PROGRAM)
    other = Configured(PROGRAM)
    other.stop()
    text = open(agent.config, encoding="utf-8").read()
    folder = tempfile.mkdtemp(prefix="throughline-test-")
    config = os.path.join(folder, "agent.yaml")

    def with_ports(otlp, api, path=None):
        with open(config, "w", encoding="utf-8") as file:
            file.write(text.replace(str(agent.otlp), str(otlp)).replace(str(agent.api), str(api)))
        return dict(os.environ, THROUGHLINE_SOCKET=path or os.path.join(folder, "agent.sock"))
    command = [PROGRAM, "agent", "-c", config, "--data-dir", folder]
    environment = with_ports(agent.otlp, free_port())
    fails(command, ["receivers.otlp_http", f"127.0.0.1:{agent.otlp}", "Address already in use"], environment)
    environment = with_ports(free_port(), agent.api)
    fails(command, ["api", f"127.0.0.1:{agent.api}", "Address already in use"], environment)
    environment = with_ports(free_port(), free_port(), agent.socket)
    fails(command, ["receivers.ring", agent.socket], environment)
    # The other agent lost nothing by it.
    assert agent.post(b"", PROTOBUF).status == 200 and os.path.exists(agent.socket)
    agent.stop()
    shutil.rmtree(folder)


def folder():
    """A data directory that cannot be made, is a file, or is another's."""
    with tempfile.TemporaryDirectory(prefix="throughline-test-") as place:
        config = os.path.join(place, "agent.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"""
receivers: {{otlp_http: {{endpoint: "127.0.0.1:{free_port()}"}}}}
exporters: {{store: {{}}}}
api: {{endpoint: "127.0.0.1:{free_port()}"}}
service: {{pipelines: {{traces: {{receivers: [otlp_http], exporters: [store]}}}}}}
""")
        command = [PROGRAM, "agent", "-c", config, "--data-dir"]
        fails([*command, config], ["exporters.store", "data directory", config])
        fails([*command, os.path.join(config, "below")], ["exporters.store", config, "Not a directory"])
        fails([*command, os.path.join(place, "no/such")], ["exporters.store", "no/such", "No such file"])
        if os.getuid() == 0:
            os.chmod(place, 0o755)
            closed = os.path.join(place, "closed")
            os.mkdir(closed, 0o700)
            fails([*NOBODY, *command, closed], ["exporters.store", closed, "Permission denied"])
            fails([*NOBODY, *command, "/var/lib/throughline-nobody"], ["exporters.store", "Permission denied"])


def store():
    """A store from a newer version is refused untouched; a damaged one is kept aside, said and counted."""
    agent = Configured(PROGRAM)
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"0000000000000001"}]}]}]}'
    assert agent.post(body, JSON).status == 200
    agent.process.terminate()
    assert agent.process.wait(30) == 0
    path = os.path.join(agent.folder, "store.sqlite")
    with sqlite3.connect(path) as db:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        db.execute(f"PRAGMA user_version = {version + 1}")
    db.close()
    before = open(path, "rb").read()
    fails(agent.command, ["exporters.store", path, f"is of version {version + 1}", "--data-dir"], agent.environment)
    assert open(path, "rb").read() == before
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {version}")
    db.close()
    for number, damage in enumerate([lambda file: file.write(b"not a database at all"),
                                     lambda file: (file.seek(4096), file.write(os.urandom(20000)))]):
        with open(path, "r+b") as file:
            damage(file)
        kept = open(path, "rb").read()
        agent.start()
        assert "store.damaged" in agent.text()
        assert agent.metric("throughline_store_files_moved_aside_total") == 1
        aside = sorted(name for name in os.listdir(agent.folder) if ".damaged-" in name and not name.endswith(("-wal", "-shm")))
        assert open(os.path.join(agent.folder, aside[-1]), "rb").read() == kept
        assert agent.post(body, JSON).status == 200
        eventually(lambda: agent.get("/api/v1/traces/0af7651916cd43dd8448eb211c80319c"))
        agent.process.terminate()
        assert agent.process.wait(30) == 0
        for name in os.listdir(agent.folder):
            if ".damaged-" in name:
                os.unlink(os.path.join(agent.folder, name))
        print(f"damage {number}: {aside}")
    shutil.rmtree(agent.folder)


# A mount namespace without this kernel's BTF and without cgroup v2.
WITHOUT_BTF = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh"]
WITHOUT_CGROUP = ["unshare", "--mount", "sh", "-c",
                  """awk '$3 == "cgroup2" {print $2}' /proc/mounts | xargs -r -n 1 umount -l; exec "$@\"""", "sh"]


def goes_without(before, expected):
    """The default configuration starts all the same, and says for each receiver in `expected` why it was left out. In a
    network namespace of its own, because these are the default ports."""
    place = tempfile.mkdtemp(prefix="throughline-test-")
    os.chmod(place, 0o777)
    log = os.path.join(place, "log")
    # The socket's folder is a file: it can be made by nobody, root or not.
    environment = dict(os.environ, THROUGHLINE_SOCKET="/dev/null/agent.sock", THROUGHLINE_CGROUP=f"throughline-test-{os.getpid()}")
    with open(log, "w", encoding="utf-8") as file:
        process = subprocess.Popen(["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", *before, PROGRAM, "agent",
                                    "--data-dir", os.path.join(place, "data")], stderr=file, env=environment)
    try:
        def ready():
            text = open(log, encoding="utf-8").read()
            assert process.poll() is None, text
            assert "agent.ready" in text, text
            return text
        text = eventually(ready)
        left_out = {line.split("receiver=")[1].split()[0]: line for line in text.splitlines() if "receiver.left_out" in line}
        for receiver, words in expected.items():
            assert words in left_out[receiver], text
        assert "receiver.open receiver=otlp_http" in text, text
        answer = run("nsenter", "--net", "-t", str(process.pid), "curl", "-s", "http://127.0.0.1:4320/health")
        assert answer.returncode == 0, answer
    finally:
        process.terminate()
        assert process.wait(30) == 0, open(log, encoding="utf-8").read()
    shutil.rmtree(place)
    return {receiver: line.split("reason=")[1] for receiver, line in left_out.items()}


def lesser():
    """Not root, no capability, no BTF, no cgroup v2, no place for the socket."""
    if os.getuid() != 0:
        skip("a network namespace needs root")
    has_ebpf = "ebpf" in run(PROGRAM, "config", "print").stdout
    for before, words in ((NOBODY, ""), (["setpriv", "--bounding-set", "-all"], ""), (WITHOUT_BTF, "BTF"), (WITHOUT_CGROUP, "cgroup")):
        if before[0] == "unshare" and run(*before, "true").returncode:
            print("SKIPPED: no mount namespace can be made to take", words, "away")
            continue
        print(before[:3], goes_without(before, {"ring": "Not a directory", **({"ebpf": words} if has_ebpf else {})}))


F_ADD_SEALS, SHRINK_AND_GROW, RING_BYTES = 1033, 2 | 4, 3 * 4096 + 65536 + 4096


def ring(head=0, seals=SHRINK_AND_GROW):
    """The file of a ring with one part of 4096 bytes, laid out as libtrace/base/ring_layout.h has it."""
    fd = os.memfd_create("x", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, RING_BYTES)
    os.pwrite(fd, struct.pack("<QIIQII", 0x31474E4952544C54, 2, 1, 4096, 0, 0), 0)
    os.pwrite(fd, struct.pack("<Q", head), 128)
    fcntl.fcntl(fd, F_ADD_SEALS, seals)
    return fd


def guests():
    """Programs that hand over nonsense cost the agent nothing that lasts: no descriptor, no thread's time."""
    agent = Configured(PROGRAM)

    def connect():
        guest = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        guest.connect(agent.socket)
        return guest

    def descriptors():
        return len(os.listdir(f"/proc/{agent.process.pid}/fd"))

    def settled(count):
        assert descriptors() == count, (descriptors(), count)

    def refused(count):
        assert agent.metric("throughline_agent_ring_refused_total") == count

    # The connection that found the agent ready is closed when the server gets to it.
    at_rest = 0
    while at_rest != descriptors():
        at_rest = descriptors()
        threading.Event().wait(0.5)
    hello = b"throughline-ring-2"
    event, reading, writing = os.eventfd(0), *os.pipe()
    bad = [[ring(seals=2), event], [reading, event], [ring(), reading], [ring(), ring()], [event, event]]
    for number, handed in enumerate(bad):
        with connect() as guest:
            socket.send_fds(guest, [hello], handed)
            eventually(lambda number=number: refused(number + 1))
    eventually(lambda: settled(at_rest))
    # One, and again and again: what is not taken is closed. A ring already taken is not taken twice.
    with connect() as guest:
        for handed in [[event]] * 100 + [[ring(), event]] * 20 + [[event] * 3, [event] * 100] * 20:
            socket.send_fds(guest, [hello], handed)
        eventually(lambda: settled(at_rest + 3))
    eventually(lambda: settled(at_rest))
    # A head that runs away, from a program that leaves while another keeps its ring.
    kept = ring(head=2**63)
    with connect() as guest:
        socket.send_fds(guest, [hello], [kept, os.eventfd(0)])
        eventually(lambda: settled(at_rest + 3))
    eventually(lambda: settled(at_rest))
    # Silence, a text of any length, and more guests than there is room for.
    crowd = [connect() for _ in range(600)]
    for guest in crowd[:100]:
        try:
            guest.send(os.urandom(1000))
        except OSError:
            pass  # already refused
    eventually(lambda: refused(len(bad) + 600 - 512))
    for guest in crowd:
        guest.close()
    eventually(lambda: settled(at_rest))
    with open(f"/proc/{agent.process.pid}/stat", encoding="utf-8") as file:
        before = sum(map(int, file.read().split()[13:15]))
    threading.Event().wait(1)
    with open(f"/proc/{agent.process.pid}/stat", encoding="utf-8") as file:
        busy = sum(map(int, file.read().split()[13:15])) - before
    assert busy < 50, f"{busy} ticks of CPU time in a second of nothing"
    assert agent.metric("throughline_agent_ring_malformed_total") == 0
    agent.stop()
    os.close(writing)


{"ports": ports, "folder": folder, "store": store, "lesser": lesser, "guests": guests}[sys.argv[1]]()
