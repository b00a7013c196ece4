#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The shop's checker, fed with traces made by hand that went through the agent: a whole one is complete, and each way
of being wrong is told in words."""
import json
import os
import sys
import urllib.request

sys.path.insert(0, os.path.dirname(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../examples/shop"))
from check import check, order_of  # noqa: E402
from running import Agent, eventually  # noqa: E402

PROGRAM = sys.argv[1]
KINDS = {"server": 2, "client": 3, "producer": 4, "consumer": 5}
HTTP = {"http.request.method": "GET"}


def whole(order):
    """Name of span -> [parent, kind, service, attributes], parents first."""
    orders, stock = {"url.path": f"/orders/{order}", **HTTP}, {"url.path": f"/stock/{order}", **HTTP}
    rabbitmq = {"messaging.system": "rabbitmq", "messaging.destination.name": "orders"}
    return {
        "curl": [None, "client", "curl", {"url.full": f"http://127.0.0.1:18080/orders/{order}", **HTTP}],
        "proxy": ["curl", "server", "nginx", orders],
        "proxy client": ["proxy", "client", "nginx", {"url.full": f"http://127.0.0.1/orders/{order}", **HTTP}],
        "shop": ["proxy client", "server", "shop.py", orders],
        "sql": ["shop", "client", "shop.py", {
            "db.system.name": "postgresql",
            "db.query.text": f"INSERT INTO orders (id) VALUES (?) RETURNING placed AS order_{order}"}],
        "redis": ["shop", "client", "shop.py", {"db.system.name": "redis", "db.query.text": f"SET order:{order} ?"}],
        "publish": ["shop", "producer", "shop.py", rabbitmq],
        "consume": ["publish", "consumer", "shop-consumer", {"shop.order": order, **rabbitmq}],
        "call": ["consume", "client", "shop-consumer", {"url.full": f"http://127.0.0.1:18081/stock/{order}", **HTTP}],
        "again": ["call", "server", "shop.py", stock],
    }


def without(*names):
    def change(spans):
        for name in names:
            del spans[name]
    return change


def below(name, parent):
    def change(spans):
        spans[name][0] = parent
    return change


def with_attribute(name, key, value):
    def change(spans):
        spans[name][3] = {**spans[name][3], key: value}
    return change


def another(name, copy):
    def change(spans):
        spans[copy] = list(spans[name])
    return change


def without_curl(spans):
    del spans["curl"]
    spans["proxy"][0] = None


def database_span(spans):
    spans["backend"] = ["sql", "server", "postgres", {"db.system.name": "postgresql"}]


# What was done to the whole trace, and a word of what must be said of it; None: complete.
CASES = [
    (lambda spans: None, None),
    (without_curl, None),
    (without("redis"), "missing: the Redis command"),
    (without("sql"), "missing: the PostgreSQL query"),
    (without("again"), "missing: the shop's server span of /stock/ID"),
    (without("publish"), "missing: the publishing to RabbitMQ"),
    (without("shop"), "missing: the parent of the client span 'sql' of shop.py"),
    (without("curl"), "missing: the parent of the server span 'proxy' of nginx"),
    (below("redis", "proxy"), "wrong: the client span 'redis' of shop.py is below the server span 'proxy'"),
    (below("redis", None), "it has no parent"),
    (below("proxy", None), "it has no parent"),
    (below("call", "publish"), "wrong: the client span 'call' of shop-consumer is below the producer"),
    (another("sql", "sql 2"), "wrong: 2 times: the PostgreSQL query"),
    (database_span, "wrong: not one of the order's steps: the server span 'backend' of postgres"),
    (with_attribute("redis", "db.query.text", "SET order:8 ?"), "is of order 8"),
    (with_attribute("sql", "db.query.text", "INSERT INTO orders RETURNING placed AS order_8"), "is of order 8"),
    (with_attribute("consume", "shop.order", "8"), "is of order 8"),
    (with_attribute("again", "url.path", "/stock/8"), "is of order 8"),
    (with_attribute("sql", "db.query.text", "INSERT INTO orders"), "missing: the order's id in the SQL of"),
]


def request(trace_id, spans):
    ids = {name: f"{number + 1:016x}" for number, name in enumerate([*whole(""), "sql 2", "backend"])}
    resources = []
    for name, (parent, kind, service, attributes) in spans.items():
        span = {"traceId": trace_id, "spanId": ids[name], "parentSpanId": ids[parent] if parent else "", "name": name,
                "kind": KINDS[kind], "startTimeUnixNano": str(10**18 + int(ids[name], 16)), "endTimeUnixNano": str(10**18 + 10**9),
                "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]}
        resources.append({"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
                          "scopeSpans": [{"spans": [span]}]})
    return {"resourceSpans": resources}


def stored(agent, trace_id, count):
    trace = agent.get(f"/api/v1/traces/{trace_id}")
    assert len(trace["spans"]) == count, trace
    return trace


def main():
    agent = Agent(PROGRAM)
    for number, (change, said) in enumerate(CASES):
        trace_id, spans = f"{number + 1:032x}", whole("7")
        change(spans)
        urllib.request.urlopen(urllib.request.Request(
            f"http://127.0.0.1:{agent.otlp}/v1/traces", json.dumps(request(trace_id, spans)).encode(),
            {"Content-Type": "application/json"}), timeout=10).close()
        trace = eventually(lambda trace_id=trace_id, spans=spans: stored(agent, trace_id, len(spans)))
        report = check(trace, "7")
        assert order_of(trace) == "7", trace
        if said and said.startswith("missing"):
            assert not report.wrong, report.lines()
        if said is None:
            assert report.is_complete(), report.lines()
        else:
            assert not report.is_complete() and any(said in line for line in report.lines()), (said, report.lines())
    assert not check({"spans": []}, "7").is_complete()
    print(f"{len(CASES)} traces judged")
    agent.stop()


main()
