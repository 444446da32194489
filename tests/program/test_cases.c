// SPDX-License-Identifier: BSD-2-Clause
/* Fast-path cases as data, in XDP and TC, before and after an upgrade: one packet of
 * each kind, its verdict, and the packet that leaves. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/frame_case.h"
#include "userspace/base/cleanup.h"

#define TO_VIP4 .src = "10.1.0.2", .dst = "10.99.0.1", .src_port = 4000, .dst_port = 80
#define TO_VIP6 .src = "fd00:1::2", .dst = "fd00:99::1", .src_port = 4000, .dst_port = 80

/* The endpoint takes packets by IPIP over IPv4. */
static const struct outer_wanted ipip4 = {"10.2.0.1", "10.2.0.2", IPPROTO_IPIP};
static const struct outer_wanted ipip6 = {"10.2.0.1", "10.2.0.2", IPPROTO_IPV6};
static const struct outer_wanted ipip4_tos = {"10.2.0.1", "10.2.0.2", IPPROTO_IPIP, 0xb9};
static const struct outer_wanted ipip6_tos = {"10.2.0.1", "10.2.0.2", IPPROTO_IPV6, 0xb9};

static const struct frame_spec quoted4 = {.src = "10.99.0.1",
					  .dst = "10.1.0.2",
					  .src_port = 80,
					  .dst_port = 4000,
					  .proto = IPPROTO_TCP};
static const struct frame_spec quoted6 = {.src = "fd00:99::1",
					  .dst = "fd00:1::2",
					  .src_port = 80,
					  .dst_port = 4000,
					  .proto = IPPROTO_TCP};

static const struct frame_case cases[] = {
	{"SYN with options of TCP",
	 {TO_VIP4, .proto = IPPROTO_TCP, .flags = FLAG_SYN, .mss = 1460,
	  .tcp_options = FRAME_TIMESTAMPS | FRAME_SACK},
	 .verdict = VERDICT_FORWARDED,
	 .outer = &ipip4},
	{"the same over IPv6",
	 {TO_VIP6, .proto = IPPROTO_TCP, .flags = FLAG_SYN, .mss = 1440},
	 .verdict = VERDICT_FORWARDED,
	 .outer = &ipip6},
	{"DSCP and ECN are copied, the TTL stays",
	 {TO_VIP4, .proto = IPPROTO_UDP, .tos = 0xb9, .ttl = 1, .payload_bytes = 3},
	 .verdict = VERDICT_FORWARDED,
	 .outer = &ipip4_tos},
	{"traffic class likewise",
	 {TO_VIP6, .proto = IPPROTO_UDP, .tos = 0xb9, .ttl = 1, .payload_bytes = 3},
	 .verdict = VERDICT_FORWARDED,
	 .outer = &ipip6_tos},
	{"UDP without checksum",
	 {TO_VIP4, .proto = IPPROTO_UDP, .no_udp_checksum = true},
	 .verdict = VERDICT_FORWARDED,
	 .outer = &ipip4},
	{"40 bytes of IPv4 options",
	 {TO_VIP4, .proto = IPPROTO_TCP, .flags = FLAG_SYN, .option_bytes = 40},
	 .verdict = VERDICT_FORWARDED,
	 .outer = &ipip4},
	{"hop-by-hop options",
	 {TO_VIP6, .proto = IPPROTO_TCP, .flags = FLAG_SYN, .extensions = {{IPPROTO_HOPOPTS, 8}},
	  .extension_count = 1},
	 .verdict = VERDICT_FORWARDED,
	 .outer = &ipip6},
	{"an atomic fragment is whole",
	 {TO_VIP6, .proto = IPPROTO_TCP, .flags = FLAG_SYN, .extensions = {{IPPROTO_FRAGMENT, 8}},
	  .extension_count = 1},
	 .verdict = VERDICT_FORWARDED,
	 .outer = &ipip6},
	{"an error about a flow",
	 {.src = "10.1.0.77",
	  .dst = "10.99.0.1",
	  .proto = IPPROTO_ICMP,
	  .icmp_type = 3,
	  .icmp_code = 4,
	  .icmp_word = 1400,
	  .inner = &quoted4,
	  .inner_bytes = 28},
	 .verdict = VERDICT_FORWARDED,
	 .outer = &ipip4},
	{"too big about a flow",
	 {.src = "fd00:1::77",
	  .dst = "fd00:99::1",
	  .proto = IPPROTO_ICMPV6,
	  .icmp_type = 2,
	  .icmp_word = 1400,
	  .inner = &quoted6},
	 .verdict = VERDICT_FORWARDED,
	 .outer = &ipip6},
	{"an error that quotes too little",
	 {.src = "10.1.0.77",
	  .dst = "10.99.0.1",
	  .proto = IPPROTO_ICMP,
	  .icmp_type = 3,
	  .inner = &quoted4,
	  .inner_bytes = 27},
	 .verdict = VERDICT_ICMP_UNKNOWN},
	{"echo",
	 {.src = "10.1.0.2",
	  .dst = "10.99.0.1",
	  .proto = IPPROTO_ICMP,
	  .icmp_type = 8,
	  .icmp_word = 1,
	  .payload_bytes = 5},
	 .verdict = VERDICT_ECHO_REPLY,
	 .out = {.src = "10.99.0.1",
		 .dst = "10.1.0.2",
		 .proto = IPPROTO_ICMP,
		 .icmp_word = 1,
		 .payload_bytes = 5}},
	{"a later fragment of nothing",
	 {TO_VIP4, .proto = IPPROTO_UDP, .fragment_offset = 185, .id = 7, .payload_bytes = 100},
	 .verdict = VERDICT_FRAGMENT_UNKNOWN},
	{"lengths that lie, behind options",
	 {TO_VIP4, .proto = IPPROTO_UDP, .option_bytes = 8, .length_lie = 1},
	 .verdict = VERDICT_MALFORMED},
	{"ESP to a VIP is the stack's",
	 {.src = "10.1.0.2", .dst = "10.99.0.1", .proto = 50, .payload_bytes = 40},
	 .verdict = VERDICT_NOT_A_VIP},
};

static void every_case(struct bench *bench)
{
	static const uint32_t ids[] = {0};

	for (int ipv6 = 0; ipv6 < 2; ipv6++)
		bench_serve_way(bench, ipv6, WAY_IPIP, false);
	bench_ring(bench, ids, 1);
	cases_hold(bench, PROGRAM_XDP, cases, ARRAY_SIZE(cases));
	cases_hold(bench, PROGRAM_TC, cases, ARRAY_SIZE(cases));
}

static void every_case_holds_before_and_after_an_upgrade(void **state)
{
	bench_across_upgrade(state, every_case);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_case_holds_before_and_after_an_upgrade),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
