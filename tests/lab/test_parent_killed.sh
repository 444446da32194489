#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The proxy's parent is killed: service resumes by itself and nothing stale stays behind.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

pins() {
	find "$lab_pins" | sort
}
proxies() {
	ip netns pids "$(lab_ns gw)" | while read -r pid; do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != sluice-proxy ] || echo "$pid"
	done | sort -n
}
listeners() {
	lab_in gw ss -Hltnp | grep -c sluice-proxy
}

pins_before=$(pins)
listeners_before=$(listeners)
proxies_before=$(proxies)
kill -9 "$(lab_pid proxy)"
check "the service resumes by itself" wait_for 20 chat_is_good gemma-3-27b-it
check "ten requests in a row are answered" eval '[ "$(chats 10 llama-3-8b-instruct | grep -c "^200 ")" = 10 ]'
check "no process of the old proxy is left" wait_for 15 eval \
	'[ -z "$(comm -12 <(echo "$proxies_before") <(proxies))" ]'
check "the pins are the same as before" equals "$(pins)" "$pins_before"
check "no listening socket is left over" wait_for 15 eval 'equals "$(listeners)" "$listeners_before"'
check "nothing is counted in flight" wait_for 15 eval \
	'equals "$(ctl_json "[.[].in_flight // 0] | add" show endpoints)" 0'
test_end
