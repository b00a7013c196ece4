#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes down a conversation as a capture: record.py LISTEN_PORT HOST:PORT FILE [server]

Takes one connection on LISTEN_PORT, passes it on to HOST:PORT, and writes every piece as it passes.
With "server" the capture is as the server sees it. Run a client against LISTEN_PORT meanwhile.
"""
import selectors
import socket
import sys
import time


def escape(data):
    names = {13: "\\r", 10: "\\n", 9: "\\t", 0: "\\0", 34: '\\"', 92: "\\\\"}
    return "".join(names.get(b) or (chr(b) if 32 <= b < 127 else "\\x%02x" % b) for b in data)


def lines(data):
    """One string a line of at most 90 characters, broken behind a new line where there is one."""
    while data:
        run = len(data) - len(data.lstrip(data[:1]))
        if run >= 64:
            yield '  "%s"*%d\n' % (escape(data[:1]), run)
            data = data[run:]
            continue
        end = data.find(b"\n", 0, 80) + 1 or 60
        piece, data = data[:end], data[end:]
        yield '  "%s"\n' % escape(piece)


def main():
    port, target, path = sys.argv[1:4]
    role = "server" if "server" in sys.argv[4:] else "client"
    host, target_port = target.rsplit(":", 1)
    with socket.create_server(("127.0.0.1", int(port))) as listener, open(path, "w", encoding="ascii") as out:
        client = listener.accept()[0]
        server = socket.create_connection((host, int(target_port)))
        begin = time.monotonic()
        ends = "peer=10.0.0.2:%s local=10.0.0.1:40000" if role == "client" else "peer=10.0.0.1:40000 local=10.0.0.2:%s"
        out.write("connection role=%s %s pid=7\n" % (role, ends % target_port))
        waiting = selectors.DefaultSelector()
        waiting.register(client, selectors.EVENT_READ, (server, ">" if role == "client" else "<"))
        waiting.register(server, selectors.EVENT_READ, (client, "<" if role == "client" else ">"))
        while True:
            for key, _ in waiting.select():
                data = key.fileobj.recv(65536)
                at = 1 + (time.monotonic() - begin) * 1000
                if not data:
                    out.write("close %.3f\n" % at)
                    return
                key.data[0].sendall(data)
                out.write("%s %.3f\n%s" % (key.data[1], at, "".join(lines(data))))


main()
