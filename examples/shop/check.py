#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Says whether one trace of the shop is whole: every step of the order there, once, below its right parent, and no
span of another order in it.

    throughline trace ID -o json | check.py ORDER
    check.py ORDER PAGE SECONDS    looks for the trace at the agent whose page is at PAGE, and waits until it is whole

Exit status 0: complete; 1: what is wrong, a line each. With a PAGE the first line is "trace ID".

The tree (the caller's own client span above it is welcome, not required):

    server  GET /orders/ID   nginx
      client                   nginx
        server  GET /orders/ID   shop.py
          client  INSERT           -> PostgreSQL
          client  SET              -> Redis
          producer                 -> RabbitMQ
            consumer                 shop-consumer
              client  GET /stock/ID    shop-consumer
                server  GET /stock/ID    shop.py
"""
import json
import re
import sys
import time
import urllib.request

# Step of an order -> what it is called in words, and the step above it (None: it may be the root).
STEPS = {
    "caller": ("the caller's request (client span)", None),
    "proxy": ("nginx's server span of /orders/ID", "caller"),
    "proxy call": ("nginx's request to the shop (client span)", "proxy"),
    "shop": ("the shop's server span of /orders/ID", "proxy call"),
    "sql": ("the PostgreSQL query (client span)", "shop"),
    "redis": ("the Redis command (client span)", "shop"),
    "publish": ("the publishing to RabbitMQ (producer span)", "shop"),
    "consume": ("the consumer's process span", "publish"),
    "call": ("the consumer's request to the shop (client span)", "consume"),
    "answer": ("the shop's server span of /stock/ID", "call"),
}
MAY_BE_ROOT = ("caller", "proxy")
# Where an order's id stays visible: the path, the column alias, the Redis key.
ID_IN_TEXT = re.compile(r"(?:/orders/|/stock/|\border_|\border:)([a-z0-9_]+)")
ID_ITSELF = ("shop.order", "messaging.message.id")
# Steps that must name their order, and where.
SPEAKS = {"sql": "SQL", "redis": "Redis key", "consume": "message body (shop.order)"}


class Span:
    def __init__(self, raw):
        self.raw = raw
        self.id, self.parent = raw["span_id"], raw["parent_id"]
        self.kind, self.name, self.service = raw["kind"], raw["name"], raw["service"]
        self.attributes = {each["key"]: each["value"] for each in raw["attributes"]}

    def __str__(self):
        return f"{self.kind} span '{self.name}' of {self.service or 'an unnamed service'}"

    def system(self):
        for key in ("db.system.name", "db.system", "messaging.system"):
            if key in self.attributes:
                return self.attributes[key]
        return "http" if "http.request.method" in self.attributes else "unknown"

    def path(self):
        if "url.path" in self.attributes:
            return self.attributes["url.path"]
        return re.sub(r"^[a-z]+://[^/]*", "", self.attributes.get("url.full", ""))

    def step(self):
        """Which step of an order this is; None: not one of the shop's."""
        what = (self.kind, self.system())
        if what == ("server", "http") and self.path().startswith("/orders/"):
            return "proxy" if self.service == "nginx" else "shop"
        if what == ("client", "http") and self.path().startswith("/orders/"):
            return "proxy call" if self.service == "nginx" else "caller"
        if what == ("client", "http") and self.path().startswith("/stock/") and self.service == "shop-consumer":
            return "call"
        if what == ("server", "http") and self.path().startswith("/stock/") and self.service != "nginx":
            return "answer"
        if what == ("consumer", "rabbitmq") and self.service == "shop-consumer":
            return "consume"
        return {("client", "postgresql"): "sql", ("client", "redis"): "redis", ("producer", "rabbitmq"): "publish"}.get(what)

    def orders(self):
        """The ids of the orders that this span speaks of."""
        texts = [self.name] + [value for value in self.attributes.values() if isinstance(value, str)]
        found = {match for text in texts for match in ID_IN_TEXT.findall(text)}
        return found | {self.attributes[key] for key in ID_ITSELF if key in self.attributes}


class Report:
    """missing: a step or its parent is not there. wrong: what must never be: a false parent, a foreign or doubled span."""

    def __init__(self):
        self.missing, self.wrong = [], []

    def is_complete(self):
        return not self.missing and not self.wrong

    def lines(self):
        return ["missing: " + text for text in self.missing] + ["wrong: " + text for text in self.wrong]


def check_parent(span, spans, report):
    step, parent = span.step(), spans.get(span.parent)
    above = STEPS[step][1]
    if parent is None:
        if span.parent:
            report.missing.append(f"the parent of the {span}")
        elif step not in MAY_BE_ROOT or (above and any(other.step() == above for other in spans.values())):
            report.missing.append(f"what the {span} belongs to: it has no parent")
    elif above is None or parent.step() != above:
        report.wrong.append(f"the {span} is below the {parent}")


def check(trace, order):
    report, spans, seen = Report(), {}, {}
    for span in map(Span, trace["spans"]):
        if span.id in spans:
            report.wrong.append(f"two spans have the id of the {span}")
        spans[span.id] = span
    for span in spans.values():
        step = span.step()
        if step is None:
            report.wrong.append(f"not one of the order's steps: the {span}")
        else:
            seen.setdefault(step, []).append(span)
            check_parent(span, spans, report)
        if step in SPEAKS and not span.orders():
            report.missing.append(f"the order's id in the {SPEAKS[step]} of the {span}")
        for other in sorted(span.orders() - {order}):
            report.wrong.append(f"the {span} is of order {other}")
    for step, (words, _) in STEPS.items():
        count = len(seen.get(step, ()))
        if count == 0 and step != "caller":
            report.missing.append(words)
        elif count > 1:
            report.wrong.append(f"{count} times: {words}")
    shops = {span.service for step in ("shop", "answer", "sql", "redis", "publish") for span in seen.get(step, ())}
    if len(shops) > 1:
        report.wrong.append("the shop goes by several names: " + ", ".join(sorted(shops)))
    return report


def order_of(trace):
    """The order that a trace speaks of first: that of its root. None when it speaks of none."""
    spans = [Span(raw) for raw in trace["spans"]]
    for span in sorted(spans, key=lambda span: (span.parent != "", int(span.raw["start_ns"]))):
        for order in span.orders():
            return order
    return None


def get(page, path):
    with urllib.request.urlopen(page + path, timeout=10) as answer:
        return json.load(answer)


def find(page, order):
    """The newest trace of an order, None while there is none."""
    for summary in get(page, "/api/v1/traces?limit=100")["traces"]:
        trace = get(page, "/api/v1/traces/" + summary["trace_id"])
        if order_of(trace) == order:
            return trace
    return None


def wait_for(page, order, seconds):
    deadline = time.monotonic() + seconds
    while True:
        trace = find(page, order)
        if (trace and check(trace, order).is_complete()) or time.monotonic() > deadline:
            return trace
        time.sleep(0.2)


def main():
    if len(sys.argv) not in (2, 4):
        print(__doc__, file=sys.stderr)
        return 2
    order = sys.argv[1]
    if len(sys.argv) == 4:
        trace = wait_for(sys.argv[2], order, float(sys.argv[3]))
        if trace is None:
            print(f"missing: any span of order {order}")
            return 1
        print("trace " + trace["trace_id"])
    else:
        trace = json.load(sys.stdin)
    report = check(trace, order)
    print("\n".join(report.lines() or [f"complete: order {order}, {len(trace['spans'])} spans, each below its right parent"]))
    return 0 if report.is_complete() else 1


if __name__ == "__main__":
    sys.exit(main())
