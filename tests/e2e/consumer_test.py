#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ, the C consumer with the linked SDK, an HTTP service: one connected trace per message; and what the
consumer had ended is in the store after kill -9."""
import http.server
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(__file__))
from running import Agent, eventually, free_port  # noqa: E402

try:
    import pika
except ImportError:
    print("SKIPPED: Debian's python3-pika is not installed")
    sys.exit(77)

PROGRAM, CONSUMER = sys.argv[1], sys.argv[2]
SYSTEMS = os.path.join(os.path.dirname(__file__), "../../examples/shop/systems")
ORDERS = 50
seen = {}


class Stock(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        seen[self.path.rsplit("/", 1)[1]] = self.headers.get_all("traceparent")
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args):
        pass


def main():
    if not shutil.which("rabbitmq-server", path=os.environ["PATH"] + ":/usr/sbin"):
        print("SKIPPED: rabbitmq-server is not installed")
        return 77
    data = tempfile.mkdtemp(prefix="throughline-rabbitmq-")
    port = free_port()
    environment = dict(os.environ, DATA=data, PORT=str(port), DIST_PORT=str(free_port()), EPMD_PORT=str(free_port()), WAIT_S="120")
    subprocess.run(["bash", os.path.join(SYSTEMS, "rabbitmq.sh"), "start"], env=environment, check=True)
    try:
        run(port)
    finally:
        subprocess.run(["bash", os.path.join(SYSTEMS, "rabbitmq.sh"), "stop"], env=environment, check=False)
        shutil.rmtree(data, ignore_errors=True)
    return 0


def publish(channel, number):
    trace, span = f"{number + 1:032x}", f"{number + 1:016x}"
    properties = pika.BasicProperties(headers={"traceparent": f"00-{trace}-{span}-01", "other": 7})
    channel.basic_publish("", "orders", b'{"order": "%d"}' % number, properties)
    return trace, span


def connected(agent, number, trace, span):
    spans = agent.get(f"/api/v1/traces/{trace}")["spans"]
    by_kind = {each["kind"]: each for each in spans}
    assert set(by_kind) == {"consumer", "client"} and len(spans) == 2, spans
    consumer, client = by_kind["consumer"], by_kind["client"]
    assert consumer["parent_id"] == span and consumer["name"] == "process orders"
    assert {"key": "shop.order", "value": str(number)} in consumer["attributes"]
    assert client["parent_id"] == consumer["span_id"]
    assert seen[str(number)] == [f"00-{trace}-{client['span_id']}-01"], (seen[str(number)], client)
    assert client["service"] == "shop-consumer"


def run(port):
    stock = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stock)
    threading.Thread(target=stock.serve_forever, daemon=True).start()
    agent = Agent(PROGRAM)
    environment = dict(agent.environment, AMQP_PORT=str(port), SHOP_URL=f"http://127.0.0.1:{stock.server_port}",
                       OTEL_SERVICE_NAME="shop-consumer")
    connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port))
    channel = connection.channel()
    channel.queue_declare("orders")
    consumer = subprocess.Popen([CONSUMER], env=environment, stdout=subprocess.PIPE, text=True)
    published = [publish(channel, number) for number in range(ORDERS)]
    for number, (trace, span) in enumerate(published):
        eventually(lambda number=number, trace=trace, span=span: connected(agent, number, trace, span))
    # Killed in the middle of its work: every line it printed was followed by the span's end of the order before it.
    published = [publish(channel, number) for number in range(ORDERS, 4 * ORDERS)]
    lines = []
    while len(lines) < 2 * ORDERS:
        line = consumer.stdout.readline()
        assert line, "the consumer ended by itself"
        lines.append(line)
    consumer.send_signal(signal.SIGKILL)
    consumer.wait(10)
    handled = [int(line.split()[1].rstrip(":")) for line in lines][ORDERS:-1]
    for number in handled:
        trace, span = published[number - ORDERS]
        eventually(lambda number=number, trace=trace, span=span: connected(agent, number, trace, span))
    print(f"{ORDERS} connected traces; {len(handled)} more found after kill -9")
    connection.close()
    agent.stop()
    stock.shutdown()


sys.exit(main())
