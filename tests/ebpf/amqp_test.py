#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ with unmodified clients, pika and librabbitmq: every message that a traced program publishes carries one
traceparent and is otherwise what was sent; a traced consumer's calls are below its message."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../e2e"))
from running import Agent, eventually, free_port  # noqa: E402

PROGRAM = sys.argv[1]
SYSTEMS = os.path.join(os.path.dirname(__file__), "../../examples/shop/systems")
COUNT = 400
OWN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

# Bodies of many sizes (several body frames above 128 KiB), headers of many kinds.
PUBLISH = r"""
import pika, sys
port, count = int(sys.argv[1]), int(sys.argv[2])
connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port))
channel = connection.channel()
kinds = [
    lambda n: None,
    lambda n: pika.BasicProperties(headers={"n": n, "text": "x" * 300, "list": [1, "two"], "deep": {"a": {"b": True}}}),
    lambda n: pika.BasicProperties(content_type="application/json", content_encoding="utf-8", headers={}, delivery_mode=2,
                                   correlation_id=str(n), reply_to="r", expiration="60000", message_id="m", type="t", app_id="a"),
    lambda n: pika.BasicProperties(content_type="text/plain", priority=1),
    lambda n: pika.BasicProperties(headers={"traceparent": sys.argv[3]}),
]
sizes = [0, 1, 10, 500, 4000, 40000, 300000]
for n in range(count):
    channel.basic_publish("", "check", bytes([n % 251]) * sizes[n % len(sizes)], kinds[n % len(kinds)](n))
connection.close()
"""

# Takes one message at a time, calls a service for each.
CONSUME = r"""
import pika, sys, urllib.request
port, echo, count = (int(word) for word in sys.argv[1:4])
connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port))
channel = connection.channel()
channel.basic_qos(prefetch_count=1)
for method, properties, body in channel.consume("work"):
    urllib.request.urlopen(f"http://127.0.0.1:{echo}/{body.decode()}").read()
    channel.basic_ack(method.delivery_tag)
    count -= 1
    if not count:
        break
connection.close()
"""

ECHO = r"""
import http.server, sys
class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        print(self.path, self.headers["traceparent"], flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Echo)
print("ready", flush=True)
server.serve_forever()
"""


class Check:
    def __init__(self, port):
        import pika
        self.port = port
        self.cgroup = f"throughline-amqp-{os.getpid()}"
        self.agent = Agent(PROGRAM, cgroup=self.cgroup)
        self.run = [PROGRAM, "run", "--cgroup", self.cgroup, "--"]
        self.server = None
        self.channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port)).channel()
        for queue in ("check", "work"):
            self.channel.queue_declare(queue)

    def take(self, queue, count):
        got = []
        for method, properties, body in self.channel.consume(queue, auto_ack=True, inactivity_timeout=30):
            assert method, f"{len(got)} of {count} messages came"
            got.append((properties, body))
            if len(got) == count:
                self.channel.cancel()
                return got
        raise AssertionError("no more messages")

    def pika_messages(self):
        subprocess.run([*self.run, "/usr/bin/python3", "-c", PUBLISH, str(self.port), str(COUNT), OWN], check=True, timeout=120)
        seen = set()
        sizes = [0, 1, 10, 500, 4000, 40000, 300000]
        for number, (properties, body) in enumerate(self.take("check", COUNT)):
            headers = dict(properties.headers or {})
            traceparent = headers.pop("traceparent")
            kind = number % 5
            assert body == bytes([number % 251]) * sizes[number % 7], number
            assert headers == ({"n": number, "text": "x" * 300, "list": [1, "two"], "deep": {"a": {"b": True}}} if kind == 1 else {})
            assert properties.correlation_id == (str(number) if kind == 2 else None)
            assert properties.app_id == ("a" if kind == 2 else None) and properties.priority == (1 if kind == 3 else None)
            assert (traceparent == OWN) == (kind == 4), traceparent
            seen.add(traceparent)
        assert len(seen) == COUNT * 4 // 5 + 1, len(seen)
        for traceparent in list(seen - {OWN})[:20]:
            _, trace, span, _ = traceparent.split("-")
            eventually(lambda trace=trace, span=span: self.producer(trace, span))

    def producer(self, trace, span):
        spans = self.agent.get(f"/api/v1/traces/{trace}")["spans"]
        assert [(each["kind"], each["span_id"], each["name"]) for each in spans] == [("producer", span, "send check")], spans

    def librabbitmq_messages(self):
        for size in (0, 100, 5000, 200000):
            for more in ([], ["-C", "text/plain", "-E", "utf-8"], ["-H", "a: b", "-H", "c: d"]):
                subprocess.run([*self.run, "amqp-publish", "-s", "127.0.0.1", "--port", str(self.port), "-r", "check", *more],
                               input=b"y" * size, check=True, timeout=60)
                properties, body = self.take("check", 1)[0]
                headers = dict(properties.headers or {})
                assert body == b"y" * size and len(headers.pop("traceparent")) == 55
                assert headers == ({"a": "b", "c": "d"} if "-H" in more else {}), headers

    def consumers_calls_are_below_the_message(self):
        echo = free_port()
        self.server = server = subprocess.Popen([*self.run, "python3", "-c", ECHO, str(echo)], stdout=subprocess.PIPE, text=True)
        assert server.stdout.readline() == "ready\n"
        sent = {}
        for number in range(30):
            sent[f"/{number}"] = (f"{number + 1:032x}", f"{number + 1:016x}")
            trace, span = sent[f"/{number}"]
            import pika
            self.channel.basic_publish("", "work", str(number).encode(), pika.BasicProperties(headers={"traceparent": f"00-{trace}-{span}-01"}))
        subprocess.run([*self.run, "/usr/bin/python3", "-c", CONSUME, str(self.port), str(echo), "30"], check=True, timeout=60)
        for _ in range(30):
            path, traceparent = server.stdout.readline().split()
            trace, span = sent[path]
            assert traceparent.split("-")[1] == trace, (path, traceparent)
            eventually(lambda trace=trace, span=span, call=traceparent.split("-")[2]: self.chain(trace, span, call))

    def stop(self):
        if self.server:
            self.server.terminate()
            self.server.wait(10)
        self.agent.stop()

    def chain(self, trace, sent_by, call):
        spans = {each["kind"]: each for each in self.agent.get(f"/api/v1/traces/{trace}")["spans"]}
        assert set(spans) == {"consumer", "client", "server"}, spans
        assert spans["consumer"]["parent_id"] == sent_by
        assert spans["client"]["parent_id"] == spans["consumer"]["span_id"] and spans["client"]["span_id"] == call
        assert spans["server"]["parent_id"] == call


def main():
    if os.geteuid() != 0:
        print("SKIPPED: eBPF needs root")
        return 77
    for program in ("rabbitmq-server", "amqp-publish"):
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin"):
            print(f"SKIPPED: {program} is not installed")
            return 77
    data = tempfile.mkdtemp(prefix="throughline-rabbitmq-")
    port = free_port()
    environment = dict(os.environ, DATA=data, PORT=str(port), DIST_PORT=str(free_port()), EPMD_PORT=str(free_port()), WAIT_S="120",
                       NODE=f"tap{port}@localhost")
    subprocess.run(["bash", os.path.join(SYSTEMS, "rabbitmq.sh"), "start"], env=environment, check=True)
    check = None
    try:
        check = Check(port)
        if "receiver.left_out" in open(check.agent.log.name, encoding="utf-8").read():
            print("SKIPPED: " + open(check.agent.log.name, encoding="utf-8").read())
            return 77
        for name in ("pika_messages", "librabbitmq_messages", "consumers_calls_are_below_the_message"):
            getattr(check, name)()
            print("ok", name)
        for name in ("records_dropped", "write_failed", "blocked", "malformed"):
            assert check.agent.counter(f"throughline_probe_{name}_total") == 0, name
    finally:
        if check:
            check.stop()
        subprocess.run(["bash", os.path.join(SYSTEMS, "rabbitmq.sh"), "stop"], env=environment, check=False)
        shutil.rmtree(data, ignore_errors=True)
    return 0


sys.exit(main())
