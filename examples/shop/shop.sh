#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The example system: curl -> nginx -> shop.py -> PostgreSQL, Redis, and -> RabbitMQ -> consumer -> shop.py.
# No program but the consumer knows of tracing. What is started is what its pid file names; stop ends just that.
#
#   shop.sh start              starts all of it and waits until it answers
#   shop.sh drive ID...        one GET /orders/ID each, one after the other
#   shop.sh url                where nginx answers
#   shop.sh stop
#
# DATA      data folder (default ${TMPDIR:-/tmp}/throughline-shop)
# CONSUMER  the consumer's program (default build/release/bin/shop-consumer)
# RUN       words put before every command, to have it traced: "build/release/bin/throughline run --" (default none)
# NGINX_PORT, SHOP_PORT, PGPORT, REDIS_PORT, AMQP_PORT, DIST_PORT, EPMD_PORT: a free one is taken where none is given
NAME=shop
HERE=$(cd "$(dirname "$0")" && pwd)
DATA=${DATA:-${TMPDIR:-/tmp}/throughline-shop}
# shellcheck source-path=SCRIPTDIR source=systems/lib.sh
. "$HERE/systems/lib.sh"
export RUN WAIT_S
: "${CONSUMER:=$HERE/../../build/release/bin/shop-consumer}" "${PYTHON:=/usr/bin/python3}"
PORTS=(NGINX_PORT:18080 SHOP_PORT:18081 PGPORT:15432 REDIS_PORT:16379 AMQP_PORT:15673 DIST_PORT:25673 EPMD_PORT:14369)

# Chosen once, kept beside the data: given, else the usual one when it is free, else one that the kernel does not give to
# connections, or one of our own might have it before its server starts.
choose_ports() {
    [ ! -s "$DATA/ports" ] || return 0
    $PYTHON - "${PORTS[@]}" >"$DATA/ports" <<'TXT'
import os, random, socket, sys
held = []
def is_free(port):
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    held.append(probe)
    return True
for name, usual in (word.split(":") for word in sys.argv[1:]):
    wishes = [int(usual)] + random.sample(range(20000, 32000), 200)
    print(f"export {name}={os.environ.get(name) or next(filter(is_free, wishes))}")
TXT
}

read_ports() {
    [ -s "$DATA/ports" ] || die "not started: no $DATA/ports"
    # shellcheck disable=SC1091
    . "$DATA/ports"
}

# system NAME VERB: the start script of that name, told its ports.
system() {
    local -A port=([nginx]=$NGINX_PORT [postgres]=$PGPORT [redis]=$REDIS_PORT [rabbitmq]=$AMQP_PORT)

    PORT=${port[$1]} DATA=$DATA/$1 UPSTREAM=127.0.0.1:$SHOP_PORT NODE=shop$AMQP_PORT@localhost "$HERE/systems/$1.sh" "$2"
}

table_make() {
    psql -q -h 127.0.0.1 -U postgres -c 'CREATE TABLE orders (id text NOT NULL, placed timestamptz NOT NULL DEFAULT now())'
}

do_start() {
    need "$PYTHON" curl psql
    [ -x "$CONSUMER" ] || die "$CONSUMER is missing: ./dev build makes it"
    $PYTHON -c 'import pika, psycopg2, redis' || die "a Python package is missing: ./dev deps installs it"
    choose_ports
    read_ports
    # RabbitMQ takes seconds: the others start meanwhile.
    system rabbitmq spawn
    system postgres start
    system redis start
    system rabbitmq wait
    [ -e "$DATA/table" ] || { table_make && touch "$DATA/table"; }
    PORT=$SHOP_PORT spawn "$DATA/shop.pid" "$DATA/shop.log" "$PYTHON" "$HERE/shop.py"
    until_ok "$DATA/shop.pid" curl -fsS -m 3 "http://127.0.0.1:$SHOP_PORT/stock/ready"
    OTEL_SERVICE_NAME=shop-consumer SHOP_URL=http://127.0.0.1:$SHOP_PORT \
        spawn "$DATA/consumer.pid" "$DATA/consumer.log" "$CONSUMER"
    system nginx start
}

do_wait() {
    until_ok "$DATA/consumer.pid" true
}

# From the front to the back, so that nobody's peer goes before it.
do_stop() {
    [ -s "$DATA/ports" ] || return 0
    read_ports
    system nginx stop
    unspawn "$DATA/consumer.pid"
    unspawn "$DATA/shop.pid"
    system rabbitmq stop
    system redis stop
    system postgres stop
    rm -f "$DATA/ports"
}

drive() {
    local order
    for order in "$@"; do
        # shellcheck disable=SC2086
        $RUN curl -fsS -m 20 "http://127.0.0.1:$NGINX_PORT/orders/$order"
    done
}

case ${1:-} in
drive)
    read_ports
    shift
    drive "$@"
    ;;
url)
    read_ports
    echo "http://127.0.0.1:$NGINX_PORT"
    ;;
*) main "$@" ;;
esac
