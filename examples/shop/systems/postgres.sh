#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# PostgreSQL. User postgres, no password, 127.0.0.1 only.
# PORT 15432, DATA
NAME=postgres
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
: "${PORT:=15432}"
# shellcheck disable=SC2012
BIN=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)

do_start() {
    local user
    [ -n "$BIN" ] || die "PostgreSQL is missing: ./dev deps installs it"
    user=$(user_words postgres)
    [ -z "$user" ] || chown postgres: "$DATA"
    # shellcheck disable=SC2086
    [ -f "$DATA/db/PG_VERSION" ] ||
        $user "$BIN/initdb" -D "$DATA/db" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
            >"$DATA/initdb.log" 2>&1 || die "initdb failed: see $DATA/initdb.log"
    # shellcheck disable=SC2086
    spawn "$DATA/pid" "$DATA/log" $user "$BIN/postgres" -D "$DATA/db" -p "$PORT" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories="$DATA" -c max_connections=400 -c fsync=off
}

do_wait() {
    until_ok "$DATA/pid" "$BIN/pg_isready" -h 127.0.0.1 -p "$PORT"
}

do_stop() {
    unspawn "$DATA/pid" INT
}

main "$@"
