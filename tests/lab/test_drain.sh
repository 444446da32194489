#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# sluicectl drain: an endpoint, then a whole cluster, gets no new request until undrained.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

# served MODEL COUNT: the pods that answered, sorted, once each
served() {
	chats "$2" "$1" | sed -n 's/^200 //p' | sort -u
}

home=$(chat llama-3-8b-instruct)
home=${home#* }
check "a request is answered by a pod" test -n "$home"
cluster=${home%%/*}
check "draining that endpoint is accepted" lab_ctl drain endpoint "ai/${home#*/}" --cluster "$cluster"
undo lab_ctl undrain endpoint "ai/${home#*/}" --cluster "$cluster"
check "it gets no new request" eval '! served llama-3-8b-instruct 12 | grep -qx "$home"'
check "undraining is accepted" lab_ctl undrain endpoint "ai/${home#*/}" --cluster "$cluster"
check "it gets requests again" wait_for 20 eval 'served llama-3-8b-instruct 4 | grep -qx "$home"'

check "draining cluster-a is accepted" lab_ctl drain cluster cluster-a
undo lab_ctl undrain cluster cluster-a
check "all requests go to cluster-b" eval \
	'[ "$( { served gemma-3-27b-it 10; served llama-3-8b-instruct 6; } | cut -d/ -f1 | sort -u)" = cluster-b ]'
check "the table says what was asked for" equals \
	"$(ctl_json '.[] | select(.cluster == "cluster-a") | .admin' show clusters)" DRAIN
lab_ctl drain cluster cluster-b >/dev/null
undo lab_ctl undrain cluster cluster-b
check "with both drained a request is refused with 503" equals "$(lab_chat_status gemma-3-27b-it)" 503
lab_ctl undrain cluster cluster-b >/dev/null
lab_ctl undrain cluster cluster-a >/dev/null
check "undrained, cluster-a serves again" wait_for 20 eval 'served gemma-3-27b-it 3 | grep -q "^cluster-a/"'
test_end
