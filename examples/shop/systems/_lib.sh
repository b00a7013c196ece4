# Shared by the start scripts beside it (sourced, POSIX sh). Linux only (/proc).
# SPDX-License-Identifier: Apache-2.0
# A script sets NAME, then defines do_start / do_wait [/ do_stop], then calls: main "$@"
# Env: DATA (data dir, default ${TMPDIR:-/tmp}/throughline-shop/NAME), WAIT_S (default 60).
: "${DATA:=${TMPDIR:-/tmp}/throughline-shop/$NAME}"
: "${WAIT_S:=60}"
HERE=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin
die() { echo "$NAME: $*" >&2; exit 1; }
need() { for c in "$@"; do command -v "$c" >/dev/null 2>&1 || die "missing program '$c' (see the top of $0)"; done; }
# pid files hold "PID STARTTIME" so that a reused pid is never signalled
pid_start_time() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
alive() { [ -s "$1" ] || return 1; read -r p s <"$1"; [ -n "$s" ] && [ "$(pid_start_time "$p")" = "$s" ] \
  && [ "$(sed 's/^.*) //' "/proc/$p/stat" 2>/dev/null | cut -c1)" != Z ]; }
# spawn PIDFILE LOG cmd...   (own session, no inherited stdin; cmd must stay in the foreground)
spawn() { pf=$1; lg=$2; shift 2; mkdir -p "$(dirname "$pf")" "$(dirname "$lg")"
  alive "$pf" && return 0
  setsid "$@" </dev/null >>"$lg" 2>&1 9>&- & p=$!
  echo "$p $(pid_start_time "$p")" >"$pf"; }
# unspawn PIDFILE [SIGNAL [SECONDS]] : our own process only, then KILL
unspawn() { pf=$1; sig=${2:-TERM}; n=$((${3:-15} * 10))
  if alive "$pf"; then read -r p s <"$pf"; kill -"$sig" "$p" 2>/dev/null
    while [ $n -gt 0 ] && alive "$pf"; do sleep 0.1; n=$((n - 1)); done
    alive "$pf" && kill -KILL "$p" 2>/dev/null; fi
  rm -f "$pf"; }
# until_ok cmd... : until it succeeds, at most WAIT_S seconds; gives up at once if $ALIVE (a pid file) died
until_ok() { end=$(($(date +%s) + WAIT_S))
  until "$@" >/dev/null 2>&1; do
    [ -n "$ALIVE" ] && ! alive "$ALIVE" && die "process ended; see the log under $DATA"
    [ "$(date +%s)" -lt "$end" ] || die "not ready after $WAIT_S s; see the log under $DATA"
    sleep 0.1; done; }
tcp_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }          # bash
http_ok() { curl -fsS -m 3 -o /dev/null "$@"; }
# as_user USER cmd... : drop root for servers that refuse it; a plain user runs cmd as it is
as_user() { u=$1; shift; if [ "$(id -u)" = 0 ]; then set -- setpriv --reuid="$u" --regid="$u" --init-groups "$@"; fi; "$@"; }
user_prefix() { [ "$(id -u)" = 0 ] && echo "setpriv --reuid=$1 --regid=$1 --init-groups"; }
own() { [ "$(id -u)" = 0 ] && chown -R "$1": "$2"; return 0; }
do_stop() { unspawn "$DATA/pid"; }
main() { case "${1:-}" in
  start) mkdir -p "$DATA"; chmod 755 "$DATA"; do_start; do_wait ;;
  stop) do_stop ;;
  wait) do_wait ;;
  *) echo "usage: $0 start|stop|wait" >&2; exit 2 ;;
  esac; }
