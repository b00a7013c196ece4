#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# RabbitMQ (AMQP 0-9-1) with a node name and an epmd of its own. User guest, password guest.
# PORT 15673, DIST_PORT 25673, EPMD_PORT 14369, NODE shop@localhost, DATA
NAME=rabbitmq
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
: "${PORT:=15673}" "${DIST_PORT:=25673}" "${EPMD_PORT:=14369}" "${NODE:=shop@localhost}"
# shellcheck disable=SC2012
SBIN=$(ls -d /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin 2>/dev/null | head -1)

export HOME=$DATA LANG=C.UTF-8 ERL_EPMD_PORT=$EPMD_PORT ERL_EPMD_ADDRESS=127.0.0.1
export RABBITMQ_NODENAME=$NODE RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT=$PORT RABBITMQ_DIST_PORT=$DIST_PORT
export RABBITMQ_BASE=$DATA RABBITMQ_MNESIA_BASE=$DATA/mnesia RABBITMQ_LOG_BASE=$DATA/log RABBITMQ_LOGS=-
export RABBITMQ_CONFIG_FILE=$DATA/rabbitmq.conf RABBITMQ_ADVANCED_CONFIG_FILE=$DATA/none.config
export RABBITMQ_ENABLED_PLUGINS_FILE=$DATA/enabled_plugins RABBITMQ_CONF_ENV_FILE=$DATA/none-env.conf
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"

do_start() {
    need erl epmd
    [ -n "$SBIN" ] || die "RabbitMQ is missing: ./dev deps installs it"
    if [ ! -f "$DATA/.erlang.cookie" ]; then
        od -An -N 15 -tx1 /dev/urandom | tr -d ' \n' >"$DATA/.erlang.cookie"
        chmod 400 "$DATA/.erlang.cookie"
    fi
    echo 'log.console.level = warning' >"$DATA/rabbitmq.conf"
    echo '[].' >"$DATA/enabled_plugins"
    spawn "$DATA/epmd.pid" "$DATA/epmd.log" epmd -address 127.0.0.1 -port "$EPMD_PORT"
    spawn "$DATA/pid" "$DATA/server.log" "$SBIN/rabbitmq-server"
}

# RabbitMQ's own await_startup boots another Erlang machine; an answered protocol header says as much.
answers() {
    local byte
    exec 3<>"/dev/tcp/127.0.0.1/$PORT" || return 1
    printf 'AMQP\0\0\11\1' >&3
    IFS= read -r -t 2 -N 1 byte <&3 || true
    exec 3>&-
    [ -n "$byte" ]
}

do_wait() {
    until_ok "$DATA/pid" answers
}

do_stop() {
    # It stops in two seconds, but one that is still starting does not listen.
    unspawn "$DATA/pid" TERM 6
    unspawn "$DATA/epmd.pid"
}

main "$@"
