#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the OTLP/HTTP receiver refuses, how it says so, what it costs and where it is counted. One case per run."""
import gzip
import json
import socket
import struct
import sys
import threading
import time

from configured import JSON, PROTOBUF, Configured, ask, eventually

PROGRAM = sys.argv[2]
COUNTER = "throughline_agent_otlp_http_{}_total"
# ZSTD frames of zeros (RFC 8878): magic, a header of one segment with its size, blocks of 128 KiB that repeat a byte.
ZEROS_BLOCK = 128 << 10


def zstd_zeros(size):
    blocks = size // ZEROS_BLOCK
    rle = [struct.pack("<I", (number == blocks - 1) | 1 << 1 | ZEROS_BLOCK << 3)[:3] + b"\0" for number in range(blocks)]
    # Frame header: 8 byte content size (flag 3), window descriptor of 128 KiB.
    return struct.pack("<IBBQ", 0xFD2FB528, 3 << 6, 7 << 3, blocks * ZEROS_BLOCK) + b"".join(rle)


def gzip_zeros(size):
    return gzip.compress(bytes(size), 9)


def status_of(answer):
    """code and message of the google.rpc.Status in an answer, whichever its encoding."""
    if answer.getheader("Content-Type") == "application/json":
        body = json.loads(answer.data)
        return body["code"], body["message"]
    assert answer.getheader("Content-Type") == "application/x-protobuf"
    data = answer.data
    assert data[0] == 0x08 and data[2] == 0x12 and data[3] == len(data) - 4, data
    return data[1], data[4:].decode()


def refusals():
    """Each mistake has its status, a google.rpc.Status in the request's encoding, and a counter."""
    agent = Configured(PROGRAM)
    table = [  # method, path, body, headers, status, google.rpc.Code, words of the message, counter
        ("POST", "/v1/traces", b"{", JSON, 400, 3, "JSON line 1 column 2", "malformed"),
        ("POST", "/v1/traces", b"", JSON, 400, 3, "JSON line 1 column 1", "malformed"),
        ("POST", "/v1/traces", b'{"resourceSpans":7}', JSON, 400, 3, "is not a list", "malformed"),
        ("POST", "/v1/traces", b"\x0a\x05ab", PROTOBUF, 400, 3, "is cut short", "malformed"),
        ("POST", "/v1/traces", b"\x08\x01", PROTOBUF, 400, 3, "wrong wire type", "malformed"),
        ("POST", "/v1/traces", b"x", {**PROTOBUF, "Content-Encoding": "gzip"}, 400, 3, "gzip body is damaged", "malformed"),
        ("POST", "/v1/traces", gzip.compress(b"\x0a\x00")[:-4], {**PROTOBUF, "Content-Encoding": "gzip"}, 400, 3, "cut short", "malformed"),
        ("POST", "/v1/traces", b"x", {**JSON, "Content-Encoding": "zstd"}, 400, 3, "zstd body is", "malformed"),
        ("POST", "/v1/traces", zstd_zeros(1 << 20)[:-1], {**JSON, "Content-Encoding": "zstd"}, 400, 3, "cut short", "malformed"),
        ("POST", "/v1/traces", b"x", {"Content-Type": "text/plain"}, 415, 3, "Content-Type must be", "unknown"),
        ("POST", "/v1/traces", b"x", {}, 415, 3, "Content-Type must be", "unknown"),
        ("POST", "/v1/traces", b"x", {**PROTOBUF, "Content-Encoding": "br"}, 415, 3, "gzip, zstd or identity", "unknown"),
        ("GET", "/v1/traces", None, {}, 405, 12, "only POST", "unknown"),
        ("PUT", "/v1/traces", b"", PROTOBUF, 405, 12, "only POST", "unknown"),
        ("OPTIONS", "/v1/traces", None, {}, 405, 12, "only POST", "unknown"),
        ("POST", "/v1/other", b"", PROTOBUF, 404, 5, "/v1/traces", "unknown"),
        ("POST", "/", b"", JSON, 404, 5, "/v1/traces", "unknown"),
        ("POST", "/v1/metrics", b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{}]}}]}]}]}', JSON, 404, 5,
         "no pipeline takes this signal", "unknown"),
        ("POST", "/v1/traces", b"", {**JSON, "Origin": "http://evil.example"}, 403, 7, "Host or Origin", "forbidden"),
        ("POST", "/v1/traces", b"", {**PROTOBUF, "Origin": "null"}, 403, 7, "Host or Origin", "forbidden"),
        ("POST", "/v1/traces", b"", {**PROTOBUF, "Host": "evil.example"}, 403, 7, "Host or Origin", "forbidden"),
        ("POST", "/v1/traces", b"", {**PROTOBUF, "Host": f"localhost.evil.example:{agent.otlp}"}, 403, 7, "Host or Origin", "forbidden"),
    ]
    counts = {}
    for method, path, body, headers, status, code, words, counter in table:
        answer = ask(agent.otlp, method, path, body, headers)
        assert answer.status == status, (method, path, headers, answer.status, answer.data)
        wants_protobuf = headers.get("Content-Type") == PROTOBUF["Content-Type"]
        assert (answer.getheader("Content-Type") == "application/x-protobuf") == wants_protobuf, (headers, answer.getheader("Content-Type"))
        told = status_of(answer)
        assert told[0] == code and words in told[1], (method, path, headers, told)
        assert answer.getheader("Allow") == ("POST" if status == 405 else None)
        counts[counter] = counts.get(counter, 0) + 1
    for counter, count in counts.items():
        assert agent.metric(COUNTER.format(counter)) == count, (counter, count)
    for host in ("localhost", "127.0.0.1", "[::1]", f"LOCALHOST:{agent.otlp}"):
        assert agent.post(b"", {**PROTOBUF, "Host": host}).status == 200, host
    own = f"http://localhost:{agent.otlp}"
    assert agent.post(b"", {**PROTOBUF, "Host": f"localhost:{agent.otlp}", "Origin": own}).status == 200
    assert agent.post(b"", {"Content-Type": "Application/JSON; charset=utf-8", "Content-Encoding": "identity"}).status == 400
    assert agent.post(b"{}", {"Content-Type": "Application/JSON; charset=utf-8", "Content-Encoding": "identity"}).status == 200
    agent.stop()


def bombs():
    """413 beyond 64 MiB, before and after decompression, in bounded memory."""
    agent = Configured(PROGRAM)
    limit = 64 << 20
    assert agent.post(b"", PROTOBUF).status == 200
    before = agent.memory_kib("VmHWM")
    refused = 0
    list_of = b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[{"bucketCounts":['
    # Two characters of JSON become eight bytes: 20 MiB of text are too large as well.
    text = list_of + b"1," * (10 << 20) + b"1]}]}}]}]}]}"
    for body, headers, path in [
            (gzip_zeros(limit + 1), {**PROTOBUF, "Content-Encoding": "gzip"}, "/v1/traces"),
            (gzip_zeros(1 << 30), {**JSON, "Content-Encoding": "gzip"}, "/v1/traces"),
            (zstd_zeros(limit + ZEROS_BLOCK), {**PROTOBUF, "Content-Encoding": "zstd"}, "/v1/traces"),
            (zstd_zeros(8 << 30), {**JSON, "Content-Encoding": "zstd"}, "/v1/traces"),
            (gzip.compress(text), {**JSON, "Content-Encoding": "gzip"}, "/v1/metrics")]:
        answer = agent.post(body, headers, path)
        refused += 1
        assert answer.status == 413 and status_of(answer)[0] == 8, (headers, answer.status, answer.data)
        assert agent.metric(COUNTER.format("too_large")) == refused
    # Not a byte over: 64 MiB of an unknown field are taken.
    inside = limit - 6
    whole = b"\x9a\x06" + bytes([inside & 0x7f | 0x80, inside >> 7 & 0x7f | 0x80, inside >> 14 & 0x7f | 0x80, inside >> 21])
    assert agent.post(whole + bytes(inside), PROTOBUF).status == 200
    # A claim of much is refused before a byte of it came; one of little is not believed either.
    with socket.create_connection(("127.0.0.1", agent.otlp)) as client:
        client.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n")
        assert b" 413 " in client.recv(4096)
    with socket.create_connection(("127.0.0.1", agent.otlp)) as client:
        client.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(66):
                client.sendall(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
            client.sendall(b"0\r\n\r\n")
        except OSError:
            pass  # answered and closed before all was sent
        assert b" 413 " in client.recv(4096)
    # A list of nothing: a tree of its values would take a gigabyte.
    hollow = b'{"resourceSpans":[' + b"{}," * (20 << 20) + b"{}]}"
    assert agent.post(gzip.compress(hollow, 1), {**JSON, "Content-Encoding": "gzip"}).status == 200
    grown = (agent.memory_kib("VmHWM") - before) // 1024
    print(f"peak memory grew by {grown} MiB")
    # One body and what it becomes, each at most 64 MiB, held twice while a buffer grows.
    assert grown < 500, grown
    agent.stop()


def overload():
    """A destination that takes nothing: its queue fills, then 429 with Retry-After, counted; memory stays bounded."""
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))  # bound, never listening: refused at once
        agent = Configured(PROGRAM, f"""
receivers: {{otlp_http: {{endpoint: "127.0.0.1:OTLP"}}}}
exporters: {{otlp_http: {{endpoint: "http://127.0.0.1:{dead.getsockname()[1]}"}}}}
api: {{endpoint: "127.0.0.1:API"}}
service: {{pipelines: {{traces: {{receivers: [otlp_http], exporters: [otlp_http]}}}}}}
""")
        padding = b"\x9a\x06" + b"\x80\x80\x80\x02" + bytes(4 << 20)
        body = b"\x0a\x06\x12\x04\x12\x02\x2a\x00" + padding
        codes = [agent.post(body, PROTOBUF).status for _ in range(40)]
        assert codes[0] == 200 and codes[-1] == 429, codes
        answer = agent.post(body, PROTOBUF)
        assert answer.status == 429 and int(answer.getheader("Retry-After")) >= 1
        assert status_of(answer)[0] == 14, status_of(answer)
        assert agent.metric(COUNTER.format("overloaded")) == codes.count(429) + 1
        assert agent.metric(COUNTER.format("requests")) == codes.count(200)
        agent.process.kill()
        agent.process.wait()
    # Bodies that are being read have a limit together, too.
    agent = Configured(PROGRAM, """
receivers: {otlp_http: {endpoint: "127.0.0.1:OTLP", max_memory: 4MiB}}
exporters: {store: {}}
api: {endpoint: "127.0.0.1:API"}
service: {pipelines: {traces: {receivers: [otlp_http], exporters: [store]}}}
""")
    assert agent.post(b"\x9a\x06\x80\x80\x40" + bytes(1 << 20), PROTOBUF).status == 200
    answer = agent.post(b"\x9a\x06\x80\x80\x80\x04" + bytes(8 << 20), PROTOBUF)
    assert answer.status == 429 and answer.getheader("Retry-After") and status_of(answer)[0] == 14, (answer.status, answer.data)
    assert agent.metric(COUNTER.format("busy")) == 1
    assert agent.post(b"", PROTOBUF).status == 200
    agent.stop()


def slow():
    """Headers and bodies that come drop by drop end at the deadline; idle connections are left alone; both are counted right."""
    agent = Configured(PROGRAM, """
receivers: {otlp_http: {endpoint: "127.0.0.1:OTLP", request_timeout: 2s}}
exporters: {store: {}}
api: {endpoint: "127.0.0.1:API"}
service: {pipelines: {traces: {receivers: [otlp_http], exporters: [store]}}}
""")
    head = b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\nContent-Length: 1000\r\n\r\n"
    ask_whole = head.replace(b"1000", b"0")
    idle = socket.create_connection(("127.0.0.1", agent.otlp))
    idle.sendall(ask_whole)
    assert b" 200 " in idle.recv(4096)
    began = time.monotonic()
    lived = {}

    def drip(name, start, drop):
        with socket.create_connection(("127.0.0.1", agent.otlp)) as client:
            client.settimeout(0.1)
            client.sendall(start)
            while time.monotonic() - began < 20:
                try:
                    client.sendall(drop)
                    if client.recv(100) == b"":
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
            lived[name] = time.monotonic() - began

    drips = [threading.Thread(target=drip, args=each) for each in (
        ("header", b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nX: ", b"x"), ("body", head, b"\0"),
        ("silent", b"", b""), ("second request", ask_whole, b"P"))]
    for each in drips:
        each.start()
    for each in drips:
        each.join()
    assert set(lived) == {"header", "body", "silent", "second request"}
    assert all(1.5 < seconds < 10 for seconds in lived.values()), lived
    eventually(lambda: None if agent.metric(COUNTER.format("slow")) == 4 else (_ for _ in ()).throw(AssertionError(agent.metric(COUNTER.format("slow")))))
    # It has been idle for longer than a request may take, and answers still.
    idle.sendall(ask_whole)
    assert b" 200 " in idle.recv(4096)
    idle.close()
    agent.stop()


def hosts():
    """Bound elsewhere, OTLP is open to every name until a list says which."""
    config = """
receivers: {otlp_http: {endpoint: "0.0.0.0:OTLP"LIST}}
exporters: {store: {}}
api: {endpoint: "127.0.0.1:API"}
service: {pipelines: {traces: {receivers: [otlp_http], exporters: [store]}}}
"""
    agent = Configured(PROGRAM, config.replace("LIST", ""))
    assert agent.post(b"", {**PROTOBUF, "Host": "collector.example:4318"}).status == 200
    assert agent.post(b"", {**PROTOBUF, "Host": "collector.example", "Origin": "http://evil.example"}).status == 403
    agent.stop()
    agent = Configured(PROGRAM, config.replace("LIST", ", allowed_hosts: [collector.example, shop.example]"))
    for host, origin, expected in [("collector.example:4318", None, 200), ("Collector.Example", None, 200), ("evil.example", None, 403),
                                   ("localhost", None, 200), ("collector.example", "https://shop.example", 200),
                                   ("collector.example", "https://evil.example", 403)]:
        headers = {**PROTOBUF, "Host": host, **({"Origin": origin} if origin else {})}
        assert agent.post(b"", headers).status == expected, (host, origin)
    assert agent.metric(COUNTER.format("forbidden")) == 2
    agent.stop()


{"refusals": refusals, "bombs": bombs, "overload": overload, "slow": slow, "hosts": hosts}[sys.argv[1]]()
