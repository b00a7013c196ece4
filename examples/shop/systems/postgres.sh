#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# PostgreSQL.
# Install: apt-get install -y --no-install-recommends postgresql   (15)
# Env: PORT 15432, DATA. Login postgres, no password (trust, 127.0.0.1 only)
NAME=postgres; . "$(dirname "$0")/_lib.sh"
: "${PORT:=15432}"
BIN=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
do_start() { [ -n "$BIN" ] || die "postgresql is not installed"; own postgres "$DATA"
  [ -f "$DATA/db/PG_VERSION" ] || as_user postgres "$BIN/initdb" -D "$DATA/db" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$DATA/initdb.log" 2>&1 || die "initdb failed"
  # shellcheck disable=SC2046
  spawn "$DATA/pid" "$DATA/log" $(user_prefix postgres) "$BIN/postgres" -D "$DATA/db" -p "$PORT" -c listen_addresses=127.0.0.1 -c unix_socket_directories="$DATA"; }
do_wait() { ALIVE=$DATA/pid until_ok "$BIN/pg_isready" -h 127.0.0.1 -p "$PORT"; }
do_stop() { unspawn "$DATA/pid" INT; }
main "$@"
