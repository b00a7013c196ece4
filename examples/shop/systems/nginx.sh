#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nginx reverse proxy in front of one upstream.
# Install: apt-get install -y --no-install-recommends nginx-light   (1.22.1)
# Env: PORT 18080, UPSTREAM 127.0.0.1:18081, DATA. Access log (JSON lines with the trace headers): $DATA/access.log
NAME=nginx; . "$(dirname "$0")/_lib.sh"
: "${PORT:=18080}" "${UPSTREAM:=127.0.0.1:18081}"
do_start() { need nginx; alive "$DATA/pid" && return; mkdir -p "$DATA/tmp"
  cat >"$DATA/nginx.conf" <<C
daemon off; worker_processes 1; pid $DATA/nginx.pid; error_log $DATA/error.log warn;
$([ "$(id -u)" = 0 ] && echo 'user www-data;')
events { worker_connections 512; }
http {
  client_body_temp_path $DATA/tmp; proxy_temp_path $DATA/tmp; fastcgi_temp_path $DATA/tmp; uwsgi_temp_path $DATA/tmp; scgi_temp_path $DATA/tmp;
  log_format j escape=json '{"t":"\$time_iso8601","m":"\$request_method","u":"\$request_uri","s":\$status,"rt":\$request_time,"ut":"\$upstream_response_time","traceparent":"\$http_traceparent","amzn":"\$http_x_amzn_trace_id","rid":"\$request_id"}';
  access_log $DATA/access.log j;
  upstream up { server $UPSTREAM; keepalive 16; }
  server { listen 127.0.0.1:$PORT; location = /__up { access_log off; return 200 "ok\n"; }
    location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host \$host; proxy_set_header X-Request-ID \$request_id; } }
}
C
  spawn "$DATA/pid" "$DATA/log" nginx -p "$DATA" -e "$DATA/error.log" -c "$DATA/nginx.conf"; }
do_wait() { ALIVE=$DATA/pid until_ok http_ok "http://127.0.0.1:$PORT/__up"; }
do_stop() { unspawn "$DATA/pid" QUIT; }
main "$@"
