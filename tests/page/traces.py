# SPDX-License-Identifier: Apache-2.0
"""Traces as OTLP/HTTP JSON: a small shop with its database, cache and queue, and traces with something odd."""
import http.client
import json
import random
import time

SERVER, CLIENT, PRODUCER, CONSUMER, INTERNAL = 2, 3, 4, 5, 1


def value(item):
    if isinstance(item, bool):
        return {"boolValue": item}
    if isinstance(item, int):
        return {"intValue": str(item)}
    if isinstance(item, float):
        return {"doubleValue": item}
    if isinstance(item, list):
        return {"arrayValue": {"values": [value(each) for each in item]}}
    return {"stringValue": item}


def attributes(items):
    return [{"key": key, "value": value(item)} for key, item in items.items()]


class Trace:
    """Spans of one trace. Times are milliseconds after its start; a key's dots are written as two underscores."""

    def __init__(self, number, start_ns):
        self.trace_id, self.start_ns, self.groups, self.count = f"{number:032x}", start_ns, {}, 0

    def span(self, service, name, kind, start, took, parent="", error="", events=(), links=(), **items):
        self.count += 1
        span_id = f"{int(self.trace_id[16:], 16) % (1 << 32):08x}{self.count:08x}"
        span = {"traceId": self.trace_id, "spanId": span_id, "parentSpanId": parent, "name": name, "kind": kind,
                "startTimeUnixNano": str(self.start_ns + int(start * 1e6)), "endTimeUnixNano": str(self.start_ns + int((start + took) * 1e6)),
                "attributes": attributes({key.replace("__", "."): item for key, item in items.items()}), "links": list(links),
                "events": [{"name": event, "timeUnixNano": str(self.start_ns + int(at * 1e6)), "attributes": attributes(more)} for at, event, more in events],
                "status": {"code": 2, "message": error} if error else {}}
        self.groups.setdefault(service, []).append(span)
        return span_id

    def request(self):
        return [{"resource": {"attributes": attributes({"service.name": service, "service.version": "1.4.2", "host.name": "node-7", "telemetry.sdk.language": "python"})},
                 "scopeSpans": [{"scope": {"name": "throughline.tests", "version": "1"}, "spans": spans}]} for service, spans in self.groups.items()]


def send(port, *traces):
    body = json.dumps({"resourceSpans": [group for trace in traces for group in trace.request()]})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/v1/traces", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    answer.read()
    connection.close()


STACK = """Traceback (most recent call last):
  File "/srv/orders/app.py", line 88, in create
    cursor.execute(INSERT_ORDER, (customer, total))
psycopg2.errors.DeadlockDetected: deadlock detected
DETAIL:  Process 812 waits for ShareLock on transaction 9731; blocked by process 840."""


def order(number, start_ns, fails=False, slow=1.0):
    """edge -> orders -> postgresql, redis, rabbitmq -> mailer -> stock."""
    trace, s = Trace(number, start_ns), slow
    root = trace.span("edge", "POST /orders", SERVER, 0, 64 * s, error="502 from upstream" if fails else "", http__request__method="POST", url__path="/orders", http__response__status_code=502 if fails else 201)
    call = trace.span("edge", "POST", CLIENT, 1, 61 * s, root, error="HTTP 500" if fails else "", server__address="orders", http__response__status_code=500 if fails else 201)
    serve = trace.span("orders", "POST /orders", SERVER, 2, 58 * s, call, error="DeadlockDetected" if fails else "", http__route="/orders", http__response__status_code=500 if fails else 201, customer__tier="gold")
    trace.span("orders", "GET", CLIENT, 4, 1.2, serve, db__system__name="redis", db__operation__name="GET", db__query__text="GET cart:?", server__address="10.0.0.9")
    check = trace.span("orders", "check_cart", INTERNAL, 6, 9 * s, serve, cart__items=3, cart__total=129.5)
    trace.span("orders", "SELECT items", CLIENT, 7, 6 * s, check, db__system__name="postgresql", db__namespace="shop", db__query__text="SELECT id, price FROM items WHERE cart = $1")
    trace.span("orders", "INSERT orders", CLIENT, 17 * s, 30 * s, serve, error="deadlock detected" if fails else "", db__system__name="postgresql", db__namespace="shop",
               db__query__text="INSERT INTO orders (customer, total) VALUES ($1, $2) RETURNING id",
               events=[(40 * s, "exception", {"exception.type": "psycopg2.errors.DeadlockDetected", "exception.message": "deadlock detected", "exception.stacktrace": STACK})] if fails else [])
    if fails:
        return trace
    send_id = trace.span("orders", "publish orders.created", PRODUCER, 49 * s, 3, serve, messaging__system="rabbitmq", messaging__destination__name="orders.created")
    work = trace.span("mailer", "process orders.created", CONSUMER, 70 * s, 38 * s, send_id, messaging__system="rabbitmq", messaging__destination__name="orders.created", links=[{"traceId": trace.trace_id, "spanId": send_id}])
    ask = trace.span("mailer", "GET /stock", CLIENT, 72 * s, 12 * s, work, server__address="stock")
    have = trace.span("stock", "GET /stock", SERVER, 73 * s, 10 * s, ask, http__response__status_code=200)
    trace.span("stock", "SELECT stock", CLIENT, 74 * s, 7 * s, have, db__system__name="postgresql", db__namespace="shop", db__query__text="SELECT count FROM stock WHERE item = $1")
    trace.span("mailer", "POST /mail", CLIENT, 86 * s, 20 * s, work, server__address="smtp.example.com")
    return trace


def browse(number, start_ns, slow=1.0):
    trace = Trace(number, start_ns)
    root = trace.span("edge", "GET /items", SERVER, 0, 12 * slow, http__response__status_code=200)
    call = trace.span("edge", "GET", CLIENT, 1, 10 * slow, root, server__address="stock")
    have = trace.span("stock", "GET /items", SERVER, 1.6, 8.4 * slow, call)
    trace.span("stock", "SELECT items", CLIENT, 2, 6 * slow, have, db__system__name="postgresql", db__namespace="shop")
    return trace


def shop(count, seed=1, minutes=50):
    """A believable hour: most requests browse, some order, a few fail."""
    chance, now, traces = random.Random(seed), time.time_ns(), []
    for i in range(count):
        start = now - int(chance.random() * minutes * 60e9) - 2_000_000_000
        slow = chance.lognormvariate(0, 0.5)
        if i % 3:
            traces.append(browse((seed << 96) + (i << 32) + 7919 * i + 1, start, slow))
        else:
            traces.append(order((seed << 96) + (i << 32) + 7919 * i + 1, start, fails=i % 24 == 0, slow=slow))
    return traces


def wide(number, start_ns, spans):
    """One trace of many spans: batches of queries below batches of work."""
    trace = Trace(number, start_ns)
    root = trace.span("importer", "import catalogue", SERVER, 0, spans * 2)
    parent = root
    for i in range(spans - 1):
        if i % 20 == 0:
            parent = trace.span("importer", f"batch {i // 20}", INTERNAL, i * 2, 40, root)
        else:
            trace.span("importer", "INSERT item", CLIENT, i * 2, 1.8, parent, db__system__name="postgresql", db__namespace="shop", item__number=i)
    return trace
