#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Health checks take the way of traffic: a host that answers to its own address, but does not serve
# the VIP, is DOWN.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
# shellcheck source=tests/lab/probing.sh
. "$(dirname "$0")/probing.sh"
probing_up

check "endpoints reached by IPIP are added" vips_add ipip
check "without decapsulation they are DOWN" become "DOWN timeout"
check "although the host answers plain connections" plain_answers
check "the host decapsulates" decap
check "now they are UP" become "UP ok"
check "decapsulation is taken off" decap_off
check "they are DOWN again" become "DOWN timeout"
check "although the host answers plain connections" plain_answers
check "the host decapsulates again" decap
check "UP again" become "UP ok"
check "the endpoints are removed" vips_remove

check "endpoints reached by GUE are UP" eval 'vips_add gue && become "UP ok"'
check "the endpoints are removed" vips_remove
check "those of the other IP family than their VIP's, too" eval 'mixed_vips_add gue && become "UP ok"'
check "without decapsulation they are DOWN" eval 'decap_off && become "DOWN timeout"'
check "the endpoints are removed" vips_remove

check "readdressed (L2) they need no decapsulation" eval 'vips_add l2 && become "UP ok"'
stop vip4
stop vip6
check "nobody listens on the VIPs: DOWN, refused" become "DOWN refused"
check "although the host answers plain connections" plain_answers
serve vip4 $vip4
serve vip6 $vip6
check "somebody listens again: UP" become "UP ok"
check "the endpoints are removed" vips_remove
sleep 1.5
sent=$(verdict probe_sent)
sleep 4
check "what has been removed is probed no longer" equals "$(verdict probe_sent)" "$sent"
test_end
