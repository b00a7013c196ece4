#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The shop's HTTP service. An ordinary program: nothing here knows of tracing.

GET /orders/ID writes the order to PostgreSQL and Redis and tells RabbitMQ; GET /stock/ID is what the consumer asks.
"""
import http.server
import json
import os
import re
import threading

import pika
import psycopg2
import redis

PATH = re.compile(r"/(orders|stock)/([a-z0-9_]{1,32})")
local = threading.local()


def port(name, fallback):
    return int(os.environ.get(name, fallback))


class Backends:
    """One connection of each kind, used by one thread."""

    def __init__(self):
        self.database = psycopg2.connect(host="127.0.0.1", port=port("PGPORT", 15432), user="postgres",
                                         dbname="postgres", sslmode="disable")
        self.database.autocommit = True
        self.cache = redis.Redis("127.0.0.1", port("REDIS_PORT", 16379), single_connection_client=True)
        # No heartbeat: a thread that waits for its next request would not answer it.
        self.broker = pika.BlockingConnection(
            pika.ConnectionParameters("127.0.0.1", port("AMQP_PORT", 15673), heartbeat=0))
        self.channel = self.broker.channel()
        self.channel.queue_declare("orders")

    def close(self):
        self.broker.close()
        self.cache.close()
        self.database.close()


def backends():
    if not hasattr(local, "backends"):
        local.backends = Backends()
    return local.backends


def place(order):
    to = backends()
    # The column is named after the order, so that each statement can be told from another's.
    with to.database.cursor() as cursor:
        cursor.execute(f"INSERT INTO orders (id) VALUES ('{order}') RETURNING placed AS order_{order}")
        placed = cursor.fetchone()[0].isoformat()
    to.cache.set(f"order:{order}", placed)
    to.channel.basic_publish("", "orders", json.dumps({"order": order}).encode(),
                             pika.BasicProperties(content_type="application/json", message_id=order))
    return {"order": order, "placed": placed}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one write; small answers do not wait for an acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self):
        match = PATH.fullmatch(self.path)
        if self.path == "/ready":
            self.answer(200, {"ready": True})
        elif not match:
            self.answer(404, {"error": "no such path"})
        elif match[1] == "stock":
            self.answer(200, {"order": match[2], "in_stock": True})
        else:
            self.answer(200, place(match[2]))

    def answer(self, status, content):
        body = json.dumps(content).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def finish(self):
        super().finish()
        if hasattr(local, "backends"):
            local.backends.close()

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True


Server(("127.0.0.1", port("PORT", 18081)), Handler).serve_forever()
