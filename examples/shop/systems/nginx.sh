#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nginx, a reverse proxy before one upstream, with connections to it kept open.
# PORT 18080, UPSTREAM 127.0.0.1:18081, DATA
NAME=nginx
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
: "${PORT:=18080}" "${UPSTREAM:=127.0.0.1:18081}"

configuration() {
    local user=
    [ "$(id -u)" != 0 ] || user='user www-data;'
    cat <<TXT
daemon off;
$user
worker_processes 1;
pid $DATA/nginx.pid;
error_log $DATA/error.log warn;
events { worker_connections 2048; }
http {
    client_body_temp_path $DATA/tmp;
    proxy_temp_path $DATA/tmp;
    fastcgi_temp_path $DATA/tmp;
    uwsgi_temp_path $DATA/tmp;
    scgi_temp_path $DATA/tmp;
    access_log $DATA/access.log combined;
    upstream shop {
        server $UPSTREAM;
        keepalive 32;
    }
    server {
        listen 127.0.0.1:$PORT backlog=1024;
        location = /ready {
            access_log off;
            return 200 "ready\n";
        }
        location / {
            proxy_pass http://shop;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host \$host;
        }
    }
}
TXT
}

do_start() {
    need nginx curl
    mkdir -p "$DATA/tmp"
    configuration >"$DATA/nginx.conf"
    spawn "$DATA/pid" "$DATA/log" nginx -p "$DATA" -e "$DATA/error.log" -c "$DATA/nginx.conf"
}

do_wait() {
    until_ok "$DATA/pid" curl -fsS -m 3 -o /dev/null "http://127.0.0.1:$PORT/ready"
}

do_stop() {
    unspawn "$DATA/pid" QUIT
}

main "$@"
