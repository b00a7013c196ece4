# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the start scripts beside it share. A script sets NAME, reads this file, defines do_start and do_wait (and do_stop
# where one process is not all), then calls: main "$@". Nothing is left in the background but what a pid file names.
#
# DATA    data folder (default ${TMPDIR:-/tmp}/throughline-shop/NAME)
# WAIT_S  seconds until a server that does not answer is a failure (default 60)
# RUN     words put before every command that is started, e.g. "throughline run --" (default none)
set -euo pipefail
: "${DATA:=${TMPDIR:-/tmp}/throughline-shop/${NAME:?}}" "${WAIT_S:=60}" "${RUN:=}"
PATH=$PATH:/usr/sbin:/sbin

die() {
    echo "$NAME: $*" >&2
    exit 1
}

need() {
    local program

    for program in "$@"; do
        command -v "$program" >/dev/null || die "the program '$program' is missing: ./dev deps installs it"
    done
}

# Field 22 of /proc/PID/stat. A pid file holds "PID START", so that a pid used again is never signalled.
start_time() {
    local stat fields

    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    read -ra fields <<<"${stat##*) }"
    [ "${fields[0]}" != Z ] || return 1
    echo "${fields[19]}"
}

alive() {
    local pid start

    [ -s "$1" ] && read -r pid start <"$1" && [ "$(start_time "$pid")" = "$start" ]
}

# spawn PIDFILE LOG COMMAND...: in a session of its own, so that a Ctrl-C at the terminal reaches it only through stop.
spawn() {
    local pid_file=$1 log=$2

    shift 2
    ! alive "$pid_file" || return 0
    mkdir -p "$(dirname "$pid_file")" "$(dirname "$log")"
    # shellcheck disable=SC2086
    setsid $RUN "$@" </dev/null >>"$log" 2>&1 &
    echo "$! $(start_time $!)" >"$pid_file"
}

# unspawn PIDFILE [SIGNAL [SECONDS]]: our own process; at last, by SIGKILL, all that is in the group it leads.
unspawn() {
    local pid_file=$1 signal=${2:-TERM} tenths=$((${3:-15} * 10)) pid _

    if alive "$pid_file"; then
        read -r pid _ <"$pid_file"
        kill -s "$signal" "$pid" 2>/dev/null || true
        while [ $tenths -gt 0 ] && alive "$pid_file"; do
            sleep 0.1
            tenths=$((tenths - 1))
        done
        kill -s KILL -- "-$pid" 2>/dev/null || true
    fi
    rm -f "$pid_file"
}

# until_ok PIDFILE COMMAND...: until the command succeeds; gives up when the process has ended or after WAIT_S seconds.
until_ok() {
    local pid_file=$1 end=$((SECONDS + WAIT_S))

    shift
    until "$@" >/dev/null 2>&1; do
        alive "$pid_file" || die "ended before it was ready: see the log under $DATA"
        [ "$SECONDS" -lt "$end" ] || die "not ready after $WAIT_S s: see the log under $DATA"
        sleep 0.1
    done
}

# The words before a command that make it USER's, when we are root: some servers refuse root.
user_words() {
    [ "$(id -u)" != 0 ] || echo "setpriv --reuid=$1 --regid=$1 --init-groups"
}

do_stop() {
    unspawn "$DATA/pid"
}

main() {
    case ${1:-} in
    start | spawn)
        mkdir -p "$DATA"
        chmod 755 "$DATA"
        do_start
        [ "$1" = spawn ] || do_wait
        ;;
    stop) do_stop ;;
    wait) do_wait ;;
    *)
        echo "usage: $0 start|spawn|wait|stop" >&2
        exit 2
        ;;
    esac
}
