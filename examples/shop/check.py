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

CONSUMER = "shop-consumer"
# Where an order's id stays visible: the path, the column alias, the Redis key.
ID_IN_TEXT = re.compile(r"(?:/orders/|/stock/|\border_|\border:)([a-z0-9_]+)")
ID_ITSELF = ("shop.order", "messaging.message.id")


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

    def orders(self):
        """The ids of the orders that this span speaks of."""
        texts = [self.name] + [value for value in self.attributes.values() if isinstance(value, str)]
        found = {match for text in texts for match in ID_IN_TEXT.findall(text)}
        return found | {self.attributes[key] for key in ID_ITSELF if key in self.attributes}


class Report:
    """missing: a step that is not there. wrong: what must never be: a false parent, a foreign or a doubled span."""

    def __init__(self):
        self.missing, self.wrong = [], []

    def is_complete(self):
        return not self.missing and not self.wrong

    def lines(self):
        return ["missing: " + text for text in self.missing] + ["wrong: " + text for text in self.wrong]


class Checker:
    def __init__(self, trace, order):
        self.order, self.report = order, Report()
        self.spans = {}
        for span in map(Span, trace["spans"]):
            if span.id in self.spans:
                self.report.wrong.append(f"two spans have the id {span.id}")
            self.spans[span.id] = span
        self.left = dict(self.spans)

    def below(self, parent, what, kind, system, path=None):
        """The one span of this kind right below `parent` (None: wherever it is); takes it off what is left over."""
        def fits(span):
            return (span.kind == kind and span.system() == system and (parent is None or span.parent == parent.id)
                    and (path is None or span.path() == path))
        found = [span for span in self.left.values() if fits(span)]
        if not found:
            self.report.missing.append(what + (f" below the {parent}" if parent else ""))
            return None
        if len(found) > 1:
            self.report.wrong.append(f"{len(found)} times: {what}" + (f" below the {parent}" if parent else ""))
        del self.left[found[0].id]
        return found[0]

    def tree(self):
        orders, stock = f"/orders/{self.order}", f"/stock/{self.order}"
        proxy = self.front()
        proxy_client = proxy and self.below(proxy, "nginx's request to the shop (client span)", "client", "http", orders)
        shop = proxy_client and self.below(proxy_client, "the shop's server span of " + orders, "server", "http", orders)
        if not shop:
            return
        if proxy.service != proxy_client.service:
            self.report.wrong.append(f"nginx goes by two names, '{proxy.service}' and '{proxy_client.service}'")
        if shop.service == proxy.service:
            self.report.wrong.append(f"nginx and the shop go by one name, '{shop.service}'")
        query = self.below(shop, "the PostgreSQL query", "client", "postgresql")
        command = self.below(shop, "the Redis command", "client", "redis")
        publish = self.below(shop, "the publishing to RabbitMQ (producer span)", "producer", "rabbitmq")
        for span, place in ((query, "SQL statement"), (command, "Redis key")):
            if span and not span.orders():
                self.report.missing.append(f"the order's id in the {place} of the {span}")
        consumer = publish and self.below(publish, "the consumer's process span", "consumer", "rabbitmq")
        if not consumer:
            return
        if "shop.order" not in consumer.attributes:
            self.report.missing.append("the order's id in the message body (shop.order)")
        call = self.below(consumer, "the consumer's HTTP request (client span)", "client", "http", stock)
        again = call and self.below(call, "the shop's server span of " + stock, "server", "http", stock)
        for span in (consumer, call):
            if span and span.service != CONSUMER:
                self.report.wrong.append(f"the {span} should be of {CONSUMER}")
        if again and again.service != shop.service:
            self.report.wrong.append(f"the shop goes by two names, '{shop.service}' and '{again.service}'")

    def front(self):
        """nginx's server span: the root, or below the one client span that is."""
        roots = [span for span in self.left.values() if not span.parent]
        for span in self.left.values():
            if span.parent and span.parent not in self.spans:
                self.report.wrong.append(f"the parent {span.parent} of the {span} is not in the trace")
        if len(roots) != 1:
            said = ", ".join(str(span) for span in roots) or "none"
            self.report.wrong.append(f"a trace has one root, this one {len(roots)}: {said}")
        callers = [span for span in roots if span.kind == "client" and span.system() == "http"]
        if callers:
            del self.left[callers[0].id]
        what = f"nginx's server span of /orders/{self.order}"
        if callers:
            return self.below(callers[0], what, "server", "http", f"/orders/{self.order}")
        if not any(span.kind == "server" for span in roots):
            self.report.missing.append(what)
            return None
        return self.below(Root(), what, "server", "http", f"/orders/{self.order}")

    def rest(self):
        for span in self.left.values():
            self.report.wrong.append(f"not expected there: the {span}, below "
                                     f"{self.spans[span.parent] if span.parent in self.spans else 'nothing'}")
        for span in self.spans.values():
            for other in sorted(span.orders() - {self.order}):
                self.report.wrong.append(f"the {span} is of order {other}")


class Root:
    """Stands above a root span: the parent of those without one."""
    id = ""

    def __str__(self):
        return "root"


def check(trace, order):
    checker = Checker(trace, order)
    checker.tree()
    checker.rest()
    return checker.report


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
