#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# RabbitMQ (AMQP 0-9-1), no systemd, own node name, own epmd on 127.0.0.1.
# Install: apt-get install -y --no-install-recommends rabbitmq-server   (3.10.8, Erlang 25)
# Env: PORT 15673 (AMQP), DIST_PORT 25673, EPMD_PORT 14369, NODE shop@localhost, DATA. Login guest/guest, vhost /
NAME=rabbitmq; . "$(dirname "$0")/_lib.sh"
: "${PORT:=15673}" "${DIST_PORT:=25673}" "${EPMD_PORT:=14369}" "${NODE:=shop@localhost}"
SBIN=$(ls -d /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin /usr/lib/rabbitmq/bin 2>/dev/null | head -1)
export HOME="$DATA" ERL_EPMD_PORT="$EPMD_PORT" ERL_EPMD_ADDRESS=127.0.0.1 RABBITMQ_NODENAME="$NODE" \
  RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT="$PORT" RABBITMQ_DIST_PORT="$DIST_PORT" \
  RABBITMQ_BASE="$DATA" RABBITMQ_MNESIA_BASE="$DATA/mnesia" RABBITMQ_LOG_BASE="$DATA/log" RABBITMQ_LOGS=- \
  RABBITMQ_CONFIG_FILE="$DATA/rabbitmq.conf" RABBITMQ_ADVANCED_CONFIG_FILE="$DATA/none.config" \
  RABBITMQ_ENABLED_PLUGINS_FILE="$DATA/enabled_plugins" RABBITMQ_CONF_ENV_FILE="$DATA/none-env.conf" \
  RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}" LANG=C.UTF-8
do_start() { need erl epmd; [ -n "$SBIN" ] || die "rabbitmq-server is not installed"
  [ -f "$DATA/.erlang.cookie" ] || { head -c 15 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$DATA/.erlang.cookie"; chmod 400 "$DATA/.erlang.cookie"; }
  echo 'log.console.level = warning' >"$DATA/rabbitmq.conf"; [ -f "$DATA/enabled_plugins" ] || echo '[].' >"$DATA/enabled_plugins"
  spawn "$DATA/epmd.pid" "$DATA/epmd.log" epmd -address 127.0.0.1 -port "$EPMD_PORT"
  spawn "$DATA/pid" "$DATA/server.log" "$SBIN/rabbitmq-server"; }
# 'await_startup' boots an Erlang VM of its own (1-2 s); an AMQP protocol header answered is quicker and enough
amqp_up() { exec 3<>"/dev/tcp/127.0.0.1/$PORT" || return 1; printf 'AMQP\0\0\11\1' >&3; IFS= read -r -t 2 -N 1 b <&3; r=$?; exec 3>&-; return $r; }
do_wait() { ALIVE=$DATA/pid; export PORT; export -f amqp_up; until_ok bash -c "amqp_up 2>/dev/null"; }
do_stop() { unspawn "$DATA/pid" TERM 30; unspawn "$DATA/epmd.pid"; }
main "$@"
