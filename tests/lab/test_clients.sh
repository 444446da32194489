#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Clients as they are: wrk keeps connections busy, and OpenAI's and Anthropic's own packages
# understand answers, streams and errors.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

# sdks PART: each of its sentences is one of ours
sdks() {
	local verdict='' sentence why

	echo "$1" >&"${SDKS[1]}"
	while IFS=$'\t' read -t 60 -r verdict sentence why <&"${SDKS[0]}" && [ "$verdict" != end ]; do
		check "$sentence" eval '[ "$verdict" = pass ] || { echo "$why"; false; }'
	done
	[ "$verdict" = end ] || check "the clients get to the end of part $1" eval 'cat "$test_work/sdks"; false'
}
wrk_is_good() {
	echo "$1"
	! grep -E 'Non-2xx|Socket errors' <<<"$1" && [[ $1 =~ ([0-9]+)\ requests\ in ]] &&
		[ "${BASH_REMATCH[1]}" -ge 8 ]
}
nothing_in_flight() {
	equals "$(ctl_json "[.[].in_flight // 0] | add" show endpoints)" 0
}
drain_all() {
	lab_ctl drain cluster cluster-a && lab_ctl drain cluster cluster-b
}
undrain_all() {
	lab_ctl undrain cluster cluster-a && lab_ctl undrain cluster cluster-b
}

"$LAB_ROOT/tests/lab/check/install.sh" >"$test_work/install" 2>&1
installed=$?
# they start while wrk is at work, and end with what they read
[ $installed -ne 0 ] ||
	coproc SDKS { lab_in client node "$LAB_ROOT/tests/lab/check/sdks.mjs" "$LAB_VIP" 2>"$test_work/sdks"; }
if command -v wrk >/dev/null; then
	check "wrk over 8 kept connections: no error, no answer but 2xx" wrk_is_good "$(lab_in client \
		wrk -t 1 -c 8 -d 3 --timeout 20 -s "$LAB_ROOT/tests/lab/tools/chat.lua" \
		"http://$LAB_VIP/v1/chat/completions")"
else
	skip "wrk" "wrk is not installed (scripts/deps test)"
fi
if [ $installed -ne 0 ]; then
	skip "clients of npm" "$(tail -n 1 "$test_work/install")"
	test_end
fi
sdks served
check "nothing is left in flight" wait_for 10 nothing_in_flight
undo undrain_all
check "nobody serves" drain_all
sdks unserved
check "all serve again" undrain_all
check "the proxy starts with a limit" proxy_restart --client-requests 1/h
check "of one request" wait_for 10 eval 'equals "$(lab_chat_status gemma-3-27b-it)" 429'
sdks limited
check "the proxy is put back" proxy_restore
test_undo=()
test_end
