#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Redis, one server, nothing written to disk.
# PORT 16379, DATA
NAME=redis
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
: "${PORT:=16379}"

do_start() {
    need redis-server redis-cli
    spawn "$DATA/pid" "$DATA/log" redis-server --bind 127.0.0.1 --port "$PORT" --dir "$DATA" --daemonize no --save ''
}

answers() {
    [ "$(redis-cli -h 127.0.0.1 -p "$PORT" ping)" = PONG ]
}

do_wait() {
    until_ok "$DATA/pid" answers
}

main "$@"
