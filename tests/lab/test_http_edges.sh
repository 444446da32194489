#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Bytes that no client library would send: what can be read in two ways is refused with one answer
# and the end of the connection, and honest but unusual requests are served.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

# raw FORMAT: the bytes printf makes of it go to the VIP; prints what comes back until the gateway
# closes, or nothing has come for three seconds
raw() {
	# shellcheck disable=SC2016
	lab_in client timeout 20 bash -c '
		exec 3<>"/dev/tcp/$1/80"
		printf "$2" >&3
		while IFS= read -r -t 3 line <&3; do
			printf "%s\n" "${line%$'"'\r'"'}"
		done
		printf "%s\n" "$line"' - "$LAB_VIP" "$1"
}

# refused STATUS FORMAT: one answer with that status, and no second one
refused() {
	local got

	got=$(raw "$2")
	echo "$got"
	[ "$(grep -c '^HTTP/1.1 ' <<<"$got")" = 1 ] && [[ $got == "HTTP/1.1 $1 "* ]] &&
		grep -qi '^connection: close$' <<<"$got"
}

# answered COUNT FORMAT: so many answers, all of them 200
answered() {
	local got

	got=$(raw "$2")
	echo "$got"
	[ "$(grep -c 'HTTP/1.1 200 ' <<<"$got")" = "$1" ] && [ "$(grep -c 'HTTP/1.1 ' <<<"$got")" = "$1" ]
}

# logged_model MODEL: the access log's last line is about that one
logged_model() {
	equals "$(tail -n 1 "$lab_run_dir/access.log" | jq -r .model)" "$1"
}

body='{"model":"gemma-3-27b-it","prompt":"hi","max_tokens":1}'
json='Content-Type: application/json\r\n'
post="POST /v1/completions HTTP/1.1\r\nHost: a\r\n$json"
whole="${post}Content-Length: ${#body}\r\n\r\n$body"
chunks="${post}Transfer-Encoding: chunked\r\n\r\n$(printf %x ${#body})\r\n$body\r\n0\r\n\r\n"

check "length and chunks together are refused" refused 400 \
	"${post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n$whole"
check "two lengths are refused" refused 400 \
	"${post}Content-Length: 0\r\nContent-Length: ${#whole}\r\n\r\n$whole"
check "an unknown transfer coding is refused" refused 501 \
	"${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n$whole"
check "a space before the colon is refused" refused 400 \
	"${post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n$whole"
check "a folded header is refused" refused 400 \
	"${post}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n$whole"
check "bare line feeds are refused" refused 400 "GET / HTTP/1.1\nHost: a\n\n$whole"
check "a chunk longer than its size is refused" refused 400 \
	"${post}Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n$whole"
check "two Hosts are refused" refused 400 "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n$whole"
check "a request without Host is refused" refused 400 "GET / HTTP/1.1\r\n\r\n$whole"
check "HTTP/2 is refused by name" refused 505 "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
check "a TLS hello is refused" refused 400 '\x16\x03\x01\x02\x00\x01\x00'
check "a server's own page is not for clients, however it is spelt" refused 404 \
	'GET /%%6detrics HTTP/1.1\r\nHost: a\r\n\r\n'
check "a chunked request is served" answered 1 "$chunks"
check "five requests in one go get five answers" answered 5 "$whole$chunks$whole$chunks$whole"
check "an HTTP/1.0 request is served, then closed" answered 1 \
	"POST /v1/completions HTTP/1.0\r\n${json}Content-Length: ${#body}\r\n\r\n$body"
check "what a client says of the model in a header is not believed" answered 1 \
	"${post}X-Gateway-Model-Name: llama-3-8b-instruct\r\nContent-Length: ${#body}\r\n\r\n$body"
check "the model in the access log is that of the body" \
	wait_for 10 logged_model gemma-3-27b-it
# extras: an interim answer, then a stream with a trailer, in that order
extras() {
	local stream='{"model":"gemma-3-27b-it","prompt":"hi","max_tokens":2,"stream":true}' got

	got=$(raw "${post}X-Extras: 1\r\nContent-Length: ${#stream}\r\n\r\n$stream")
	echo "$got"
	[[ $got == 'HTTP/1.1 103 Early Hints'*'HTTP/1.1 200 OK'*$'\n0\nx-trailer: 1' ]]
}
check "an interim answer and a trailer are passed on" extras
# upgraded TOKEN: asks for it; prints the status, and whether what was sent after a 101 came back
upgraded() {
	# shellcheck disable=SC2016
	lab_in client timeout 20 bash -c '
		exec 3<>"/dev/tcp/$1/80"
		printf "GET /v1/models/gemma-3-27b-it HTTP/1.1\r\nHost: a\r\n" >&3
		printf "Connection: Upgrade\r\nUpgrade: $2\r\n\r\n" >&3
		read -r -t 5 _ status _ <&3
		while IFS= read -r -t 5 line <&3 && [ "$line" != $'"'\r'"' ]; do :; done
		[ "$status" != 101 ] || { printf "\x81\x02hi\n" >&3; IFS= read -r -t 5 line <&3; }
		[ "$line" != $'"'\x81\x02hi'"' ] || status="$status echoed"
		echo "$status"' - "$LAB_VIP" "$1"
}
logged_upgrade() {
	equals "$(jq -r 'select(.status == 101) | .upgrade' "$lab_run_dir/access.log" | tail -n 1)" websocket
}
check "an upgrade goes through, both ways" equals "$(upgraded websocket)" "101 echoed"
check "h2c is not asked for" equals "$(upgraded h2c)" 404
check "the access log says what it became" wait_for 10 logged_upgrade
check "the gateway still answers" chat_is_good gemma-3-27b-it
test_end
