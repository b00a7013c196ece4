#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Redis master + replica + Sentinel(s).
# Install: apt-get install -y --no-install-recommends redis-server redis-tools redis-sentinel   (7.0.15)
# Env: PORT 16379, REPLICA_PORT 16380, SENTINEL_PORT 26379 (+1, +2 ... with SENTINELS), SENTINELS 1, DATA
NAME=redis; . "$(dirname "$0")/_lib.sh"
: "${PORT:=16379}" "${REPLICA_PORT:=16380}" "${SENTINEL_PORT:=26379}" "${SENTINELS:=1}"
sent() { n=0; while [ $n -lt "$SENTINELS" ]; do "$1" $n $((SENTINEL_PORT + n)); n=$((n + 1)); done; }
start_sentinel() { d=$DATA/sentinel$1; mkdir -p "$d"
  alive "$d/pid" || cat >"$d/sentinel.conf" <<C
bind 127.0.0.1
port $2
dir $d
daemonize no
sentinel monitor mymaster 127.0.0.1 $PORT $((SENTINELS / 2 + 1))
sentinel down-after-milliseconds mymaster 2000
sentinel failover-timeout mymaster 6000
C
  spawn "$d/pid" "$d/log" redis-server "$d/sentinel.conf" --sentinel; }
wait_sentinel() { ALIVE=$DATA/sentinel$1/pid; until_ok sh -c "redis-cli -p $2 sentinel master mymaster | grep -A1 num-slaves | grep -qx 1"; }
do_start() { need redis-server redis-cli; mkdir -p "$DATA/m" "$DATA/r"
  spawn "$DATA/m/pid" "$DATA/m/log" redis-server --bind 127.0.0.1 --port "$PORT" --dir "$DATA/m" --daemonize no --save '' --repl-diskless-sync-delay 0
  spawn "$DATA/r/pid" "$DATA/r/log" redis-server --bind 127.0.0.1 --port "$REPLICA_PORT" --dir "$DATA/r" --daemonize no --save '' --replicaof 127.0.0.1 "$PORT"
  sent start_sentinel; }
do_wait() { ALIVE=$DATA/m/pid until_ok sh -c "redis-cli -p $PORT ping | grep -q PONG"
  ALIVE=$DATA/r/pid until_ok sh -c "redis-cli -p $REPLICA_PORT role | grep -qx connected || redis-cli -p $REPLICA_PORT role | grep -qx master"
  sent wait_sentinel; }
stop_sentinel() { unspawn "$DATA/sentinel$1/pid"; }
do_stop() { sent stop_sentinel; unspawn "$DATA/r/pid"; unspawn "$DATA/m/pid"; }
main "$@"
