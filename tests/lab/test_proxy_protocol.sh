#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Behind another balancer: with --proxy-protocol the client is who the PROXY header names, and a
# connection that begins otherwise is closed and counted.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

proxy_stop() {
	kill -TERM "$(lab_pid proxy)"
	wait_for 10 eval '! lab_running proxy'
}
proxy_restore() {
	proxy_stop
	lab_proxy_start
	rm -f "$lab_dir/proxy.hold"
	wait_for 10 chat_is_good gemma-3-27b-it
}
counted() {
	lab_in gw curl -s http://127.0.0.1:9466/metrics |
		awk '/^sluice_proxy_errors_total\{reason="proxy_protocol"\}/ { print $2 }'
}
good_behind_balancer() {
	[[ $(chat gemma-3-27b-it --haproxy-protocol) == "200 "* ]]
}
# named HEADER: sends it (printf's format) and a request; the access log's last client
named() {
	local body='{"model":"gemma-3-27b-it","prompt":"hi","max_tokens":1}'

	# shellcheck disable=SC2016
	lab_in client timeout 10 bash -c '
		exec 3<>"/dev/tcp/$1/80"
		printf "$2" >&3
		printf "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" >&3
		printf "Connection: close\r\nContent-Length: ${#3}\r\n\r\n%s" "$3" >&3
		cat <&3' - "$LAB_VIP" "$1" "$body" >/dev/null
}
client_logged() {
	equals "$(tail -n 1 "$lab_run_dir/access.log" | jq -r .client)" "$1"
}

touch "$lab_dir/proxy.hold"
undo proxy_restore
check "the proxy stops in order" proxy_stop
SLUICE_LAB_PROXY_OPTIONS=--proxy-protocol
lab_proxy_start
unset SLUICE_LAB_PROXY_OPTIONS
check "it serves what begins with a PROXY header" wait_for 10 good_behind_balancer
before=$(counted)
check "a connection without one gets no answer" equals "$(lab_chat_status gemma-3-27b-it)" 000
check "and is counted by name" wait_for 5 eval 'equals "$(counted)" $((before + 1))'
named 'PROXY TCP4 198.51.100.7 10.0.0.1 40000 80\r\n'
check "the client of version 1 is in the access log" wait_for 5 client_logged 198.51.100.7
named '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\xc6\x33\x64\x08\x0a\0\0\1\x9c\x40\0\x50\4\0\4abcd'
check "the client of version 2 is in the access log" wait_for 5 client_logged 198.51.100.8
check "the proxy is put back" proxy_restore
test_undo=()
test_end
