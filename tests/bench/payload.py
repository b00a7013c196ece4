#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes one OTLP trace request of 100 spans, about 505 bytes each, always the same bytes.
usage: payload.py FILE"""
import random
import sys

START_NS = 1767225600_000000000
ROUTES = ("/api/v1/orders/{id}", "/api/v1/cart/{id}/items", "/api/v1/products", "/api/v1/users/{id}")
RESOURCE = {
    "service.name": "checkout", "service.version": "2.14.3", "service.namespace": "shop",
    "service.instance.id": "627cc493-f310-47de-96bd-71410b7dec09", "telemetry.sdk.language": "java",
    "telemetry.sdk.name": "opentelemetry", "telemetry.sdk.version": "1.44.1", "process.pid": 1,
    "host.name": "ip-10-1-44-17.eu-west-1.compute.internal", "k8s.pod.name": "checkout-7d9c5f6b8-x2x7q",
}


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def body(number, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(data)) + data


def whole(number, value):
    return varint(number << 3) + varint(value)


def fixed64(number, value):
    return varint(number << 3 | 1) + value.to_bytes(8, "little")


def attributes(number, values):
    return b"".join(body(number, body(1, key) + body(2, whole(3, value) if isinstance(value, int) else body(1, value)))
                    for key, value in values.items())


def server_span(pick):
    path = pick.choice(ROUTES)
    return "GET " + path, 2, {
        "http.request.method": "GET", "http.route": path, "url.path": path.replace("{id}", str(pick.randrange(10**6))),
        "url.scheme": "https", "http.response.status_code": pick.choice((200, 200, 200, 201, 404)),
        "server.address": "shop.example.com", "server.port": 443, "network.protocol.version": "1.1",
        "client.address": f"10.1.{pick.randrange(256)}.{pick.randrange(256)}",
        "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"}


def query_span(pick):
    table = pick.choice(("orders", "order_items", "products", "users", "carts"))
    return "SELECT " + table, 3, {
        "db.system.name": "postgresql", "db.namespace": "shop", "db.operation.name": "SELECT", "db.collection.name": table,
        "db.query.text": f"SELECT id, status, total, created_at FROM {table} WHERE customer_id = $1 AND status = $2 "
                         "ORDER BY created_at DESC LIMIT 50",
        "server.address": "pg-primary.shop.svc.cluster.local", "server.port": 5432, "network.peer.address": "10.3.4.5",
        "thread.id": pick.randrange(20, 80), "thread.name": f"http-nio-8080-exec-{pick.randrange(1, 40)}"}


def request():
    pick = random.Random(1)
    spans = b""
    trace = parent = b""
    for index in range(100):
        if index % 8 == 0:
            trace, parent = pick.randbytes(16), b""
        name, kind, values = query_span(pick) if parent else server_span(pick)
        own = pick.randbytes(8)
        start = START_NS + index * 150_000
        span = body(1, trace) + body(2, own) + (body(4, parent) if parent else b"") + body(5, name) + whole(6, kind)
        span += fixed64(7, start) + fixed64(8, start + pick.randrange(10**5, 5 * 10**7)) + attributes(9, values)
        spans += body(2, span)
        parent = parent or own
    scope = body(1, body(1, "io.opentelemetry.tomcat-10.0") + body(2, "2.10.0-alpha"))
    return body(1, body(1, attributes(1, RESOURCE)) + body(2, scope + spans))


with open(sys.argv[1], "wb") as file:
    file.write(request())
