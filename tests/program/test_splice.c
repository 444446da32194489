// SPDX-License-Identifier: BSD-2-Clause
/* Spliced connections: what packets become, both ways, in XDP and TC, within a family
 * and across. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/frame_case.h"
#include "tests/harness/spliced.h"
#include "userspace/base/cleanup.h"

static void a_side_gets_the_others_segments_as_its_own_connection(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);

		spliced_pass(bench, spliced, &n, SIDE_SERVER, 0, 0, 700, FLAG_ACK);
		spliced_pass(bench, spliced, &n, SIDE_CLIENT, 0, 700, 0, FLAG_ACK);
	}
}

/* All four sequence spaces pass zero on the way. */
static void sequence_numbers_wrap(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);

		for (uint32_t at = 0; at < 2000; at += 199) {
			spliced_pass(bench, spliced, &n, SIDE_SERVER, at, 0, 199, FLAG_ACK);
			spliced_pass(bench, spliced, &n, SIDE_CLIENT, 0, at + 199, 0, FLAG_ACK);
		}
		assert_int_equal(spliced_record(bench, spliced, SIDE_SERVER).next,
				 n.server + 11 * 199);
		assert_int_equal(spliced_record(bench, spliced, SIDE_SERVER).bytes, 11 * 199);
		assert_int_equal(spliced_record(bench, spliced, SIDE_CLIENT).acked,
				 n.to_client + 11 * 199);
	}
}

static void put_timestamps(uint8_t *option, uint32_t tsval, uint32_t tsecr)
{
	option[0] = 8;
	option[1] = 10;
	frame_put32(option + 2, tsval);
	frame_put32(option + 6, tsecr);
}

static void put_sack(uint8_t *option, uint8_t blocks, uint32_t first)
{
	option[0] = 5;
	option[1] = (uint8_t)(2 + 8 * blocks);
	for (uint8_t i = 0; i < 2 * blocks; i++)
		frame_put32(option + 2 + 4 * i, first + 1000u * i);
}

/* Sends a client's acknowledgement with these options, which become those. */
static void assert_options(struct bench *bench, const struct spliced *spliced, const uint8_t *in,
			   const uint8_t *out, uint8_t bytes)
{
	const struct spliced_numbers n = spliced_numbers();
	struct frame_spec in_spec = spliced_in(spliced, &n, SIDE_CLIENT, 0, 0);
	struct frame_spec out_spec = spliced_out(spliced, &n, SIDE_CLIENT, 0, 0);

	in_spec.option_list = in;
	out_spec.option_list = out;
	in_spec.option_list_bytes = out_spec.option_list_bytes = bytes;
	spliced_becomes(bench, spliced, SIDE_CLIENT, &in_spec, &out_spec);
}

/* The client's clock is moved one way, what it echoes the other. */
static void timestamps_are_moved_and_wrap(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		static const uint32_t stamps[] = {0, 1, 0xffff, 0x10000, 0xfffffff0};

		for (size_t i = 0; i < ARRAY_SIZE(stamps); i++) {
			uint8_t in[12] = {1, 1}, out[12] = {1, 1};

			put_timestamps(in + 2, stamps[i], ~stamps[i]);
			put_timestamps(out + 2, stamps[i] + n.client_tsval_delta,
				       ~stamps[i] - n.server_tsval_delta);
			assert_options(bench, spliced, in, out, sizeof(in));
		}
	}
}

static void sack_blocks_are_in_the_other_sides_numbers(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);

		for (uint8_t blocks = 1; blocks <= 4; blocks++) {
			uint8_t in[40], out[40], bytes = (uint8_t)(4 + 8 * blocks);

			memset(in, 1, sizeof(in));
			memset(out, 1, sizeof(out));
			put_sack(in + 2, blocks, n.to_client + 500);
			put_sack(out + 2, blocks, n.server + 500);
			assert_options(bench, spliced, in, out, bytes);
		}
	}
}

/* Any order, at odd places; kinds that are none of ours; what is behind the end. */
static void options_are_found_wherever_they_are(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		uint8_t in[40], out[40];

		for (uint8_t lead = 0; lead <= 2; lead++) {
			memset(in, 1, sizeof(in));
			put_sack(in + lead, 3, n.to_client + 77);
			memcpy(out, in, sizeof(out));
			put_sack(out + lead, 3, n.server + 77);
			put_timestamps(in + lead + 26, 5, 6);
			put_timestamps(out + lead + 26, 5 + n.client_tsval_delta,
				       6 - n.server_tsval_delta);
			assert_options(bench, spliced, in, out, 40);
		}
		memset(in, 1, sizeof(in));
		memcpy(in, (uint8_t[]){254, 5, 8, 10, 1}, 5); /* not a timestamp in it */
		memcpy(out, in, sizeof(out));
		put_timestamps(in + 5, 5, 6);
		put_timestamps(out + 5, 5 + n.client_tsval_delta, 6 - n.server_tsval_delta);
		assert_options(bench, spliced, in, out, 16);
		in[0] = out[0] = 0; /* the end: the rest is padding */
		memcpy(out + 1, in + 1, sizeof(out) - 1);
		assert_options(bench, spliced, in, out, 16);
	}
}

static void options_that_lie_are_dropped_by_name(void **state)
{
	static const uint8_t lies[][8] = {
		{8, 0},	  {8, 1},   {8, 9},	 {1, 1, 1, 1, 1, 1, 1, 8},
		{8, 10},  {5, 2},   {5, 9},	 {5, 255},
		{254, 1}, {254, 0}, {1, 254, 8}, {1, 1, 1, 5, 42},
	};
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);

		for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
			struct frame_spec in = spliced_in(spliced, &n, SIDE_CLIENT, 0, 0);

			in.option_list = lies[i];
			in.option_list_bytes = sizeof(lies[i]);
			assert_true(spliced_send(bench, spliced, SIDE_CLIENT, &in).is_dropped);
			assert_true(bench_only(bench, VERDICT_SPLICE_ODD));
			assert_int_equal(spliced_record(bench, spliced, SIDE_CLIENT).refused,
					 i + 1);
		}
	}
}

static uint16_t window_wanted(uint16_t field, int shift)
{
	uint64_t bytes = (uint64_t)field << 14 << (shift > 0 ? shift : 0);

	bytes >>= 14 + (shift < 0 ? -shift : 0);
	if (bytes == 0 && field)
		return 1;
	return bytes > 0xffff ? 0xffff : (uint16_t)bytes;
}

/* From every scale to every other; an open window is not closed on the way, a closed
 * one not opened. */
static void windows_are_rescaled(void **state)
{
	static const uint16_t fields[] = {0, 1, 2, 501, 0x7fff, 0xffff};

	for (EACH_SPLICED(spliced)) {
		struct spliced_numbers n = spliced_numbers();

		for (uint8_t i = 0; i <= 14; i++) {
			struct bench *bench;

			n.client_scale = i;
			n.to_server_scale = (uint8_t)(spliced->client_ipv6 ? 14 - i : 7);
			bench = spliced_bench_numbered(state, spliced, &n);
			for (size_t f = 0; f < ARRAY_SIZE(fields); f++) {
				struct frame_spec in = spliced_in(spliced, &n, SIDE_CLIENT, 0, 0);
				struct frame_spec out = spliced_out(spliced, &n, SIDE_CLIENT, 0, 0);

				in.window = fields[f];
				out.window = window_wanted(fields[f],
							   n.client_scale - n.to_server_scale);
				in.has_closed_window = out.has_closed_window = fields[f] == 0;
				spliced_becomes(bench, spliced, SIDE_CLIENT, &in, &out);
			}
		}
	}
}

static void dscp_and_ecn_stay(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);

		for (unsigned tos = 1; tos < 256; tos += 23) {
			struct frame_spec in = spliced_in(spliced, &n, SIDE_SERVER, 0, 0);
			struct frame_spec out = spliced_out(spliced, &n, SIDE_SERVER, 0, 0);

			in.tos = out.tos = (uint8_t)tos;
			in.flags = out.flags = FLAG_ACK | 0xc0; /* ECE, CWR */
			in.payload_bytes = out.payload_bytes = 31;
			spliced_becomes(bench, spliced, SIDE_SERVER, &in, &out);
		}
	}
}

static void the_last_hop_ends_here_by_name(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		struct frame_spec in = spliced_in(spliced, &n, SIDE_CLIENT, 0, 0);

		in.ttl = 1;
		assert_true(spliced_send(bench, spliced, SIDE_CLIENT, &in).is_dropped);
		assert_true(bench_only(bench, VERDICT_TTL));
	}
}

/* A packet that may be fragmented stays so, where there is a header to say it. */
static void what_ipv4_says_of_fragments_stays(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		struct frame_spec in = spliced_in(spliced, &n, SIDE_SERVER, 0, 0);
		struct frame_spec out = spliced_out(spliced, &n, SIDE_SERVER, 0, 0);

		if (spliced->server_ipv6)
			continue;
		in.may_fragment = true;
		in.id = 0x4711;
		if (!spliced->client_ipv6) {
			out.may_fragment = true;
			out.id = 0x4711;
		}
		spliced_becomes(bench, spliced, SIDE_SERVER, &in, &out);
		/* but of a fragment not all can be translated */
		in.is_fragment = true;
		assert_true(spliced_send(bench, spliced, SIDE_SERVER, &in).is_dropped);
		assert_true(bench_only(bench, VERDICT_SPLICE_ODD));
	}
}

static void xdp_gives_a_splice_one_flow_label(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);

		if (spliced->program != PROGRAM_XDP || !spliced->client_ipv6)
			continue;
		for (enum spliced_side side = SIDE_CLIENT; side <= SIDE_SERVER; side++) {
			struct splice splice = spliced_record(bench, spliced, side);

			splice.id = 0xfffabcde;
			spliced_put(bench, spliced, side, &splice);
		}
		for (uint32_t at = 0; at < 100; at += 50) {
			struct frame_spec in = spliced_in(spliced, &n, SIDE_SERVER, at, 0);
			struct run run = spliced_send(bench, spliced, SIDE_SERVER, &in);

			assert_true(run.is_sent);
			assert_int_equal(frame_get32(run.out.bytes + 14), 0x600abcde);
		}
	}
}

/* Tags and IP options are of one link and one connection. */
static void tags_and_options_come_off_and_the_next_hops_tag_on(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		struct frame_spec in = spliced_in(spliced, &n, SIDE_CLIENT, 0, 0);
		struct frame_spec out = spliced_out(spliced, &n, SIDE_CLIENT, 0, 0);

		in.vlans[0] = 5;
		spliced_becomes(bench, spliced, SIDE_CLIENT, &in, &out);
		in.vlans[1] = 6;
		spliced_becomes(bench, spliced, SIDE_CLIENT, &in, &out);
		if (spliced->program != PROGRAM_XDP)
			continue;
		in.option_bytes = 8;
		bench->controller->nexthops[SPLICED_SERVER_HOP].vlan = 9;
		out.vlans[0] = 9;
		spliced_becomes(bench, spliced, SIDE_CLIENT, &in, &out);
	}
}

static void tc_keeps_ip_options_within_a_family_and_drops_them_across(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		struct frame_spec in = spliced_in(spliced, &n, SIDE_CLIENT, 0, 0);
		struct frame_spec out = spliced_out(spliced, &n, SIDE_CLIENT, 0, 0);
		struct run run;

		if (spliced->program != PROGRAM_TC)
			continue;
		in.option_bytes = out.option_bytes = 8;
		run = spliced_send(bench, spliced, SIDE_CLIENT, &in);
		if (spliced->client_ipv6 == spliced->server_ipv6) {
			spliced_assert_is(bench, spliced, &run, SIDE_CLIENT, &out);
			continue;
		}
		assert_true(run.is_dropped);
		assert_true(bench_only(bench, VERDICT_SPLICE_ODD));
	}
}

static void a_hop_that_moves_is_followed(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		static const uint8_t mac[6] = {2, 0, 0, 0, 7, 7};
		struct bench *bench = spliced_bench(state, spliced);
		struct frame_spec in = spliced_in(spliced, &n, SIDE_CLIENT, 0, 0);
		struct run run;

		if (spliced->program != PROGRAM_XDP)
			continue;
		memcpy(bench->controller->nexthops[SPLICED_SERVER_HOP].dmac, mac, sizeof(mac));
		run = spliced_send(bench, spliced, SIDE_CLIENT, &in);
		assert_memory_equal(run.out.bytes, mac, sizeof(mac));
	}
}

/* Not resolved, or never named: the kernel's routes say where it is. */
static void without_a_next_hop_the_kernel_is_asked(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		struct frame_spec in = spliced_in(spliced, &n, SIDE_CLIENT, 0, 0);
		static const uint8_t mac[6] = {2, 0, 0, 0, 2, 2};
		struct run run;

		bench->controller->nexthops[SPLICED_SERVER_HOP].state = NEXTHOP_UNRESOLVED;
		run = spliced_send(bench, spliced, SIDE_CLIENT, &in);
		assert_true(run.is_sent);
		assert_true(bench_only(bench, VERDICT_SPLICED));
		if (spliced->program == PROGRAM_XDP)
			assert_memory_equal(run.out.bytes, mac, sizeof(mac));
	}
}

static void a_device_without_native_xdp_is_left_to_tc(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		struct frame_spec in = spliced_in(spliced, &n, SIDE_CLIENT, 0, 0);
		struct run run;

		if (spliced->program != PROGRAM_XDP)
			continue;
		assert_int_equal(devices_remove(bench->writer, bench->endpoint_ifindex), 0);
		run = spliced_send(bench, spliced, SIDE_CLIENT, &in);
		assert_true(run.is_passed);
		assert_int_equal(run.mark_verdict, VERDICT_TO_TC);
		assert_int_equal(spliced_record(bench, spliced, SIDE_CLIENT).packets, 0);
	}
}

static void what_does_not_fit_is_told(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		int more = (spliced->client_ipv6 ? 40 : 20) - (spliced->server_ipv6 ? 40 : 20);
		struct frame_spec in = spliced_in(spliced, &n, SIDE_SERVER, 0, 0);
		struct frame_seen seen;
		struct run run;

		bench->controller->nexthops[SPLICED_CLIENT_HOP].mtu = 1400;
		in.payload_bytes = 1400 - 60;
		if (!spliced->client_ipv6)
			in.payload_bytes += 20;
		assert_true(spliced_send(bench, spliced, SIDE_SERVER, &in).is_sent);
		in.payload_bytes++;
		run = spliced_send(bench, spliced, SIDE_SERVER, &in);
		assert_true(run.is_sent);
		assert_true(bench_only(bench, VERDICT_TOO_BIG_TOLD));
		assert_true(frame_read(run.out.bytes, run.out.size, &seen));
		assert_string_equal(seen.dst, in.src);
		assert_int_equal(seen.icmp_word, 1400 - more);
	}
}

static void a_frame_cut_anywhere_is_never_sent_and_read_no_further(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		uint8_t options[40];
		struct frame_spec in;

		memset(options, 1, sizeof(options));
		put_timestamps(options + 3, 1, 2);
		put_sack(options + 13, 3, 99);
		in = spliced_in(spliced, &n, SIDE_SERVER, 0, 0);
		in.option_list = options;
		in.option_list_bytes = sizeof(options);
		in.payload_bytes = 9;
		cuts_hold(bench, spliced->program, true, &in);
	}
}

static void where_splicing_is_off_records_do_nothing(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		struct frame_spec in = spliced_in(spliced, &n, SIDE_CLIENT, 0, 0);

		assert_int_equal(splice_setup_put(bench->splicer, &(struct splice_setup){0}), 0);
		assert_true(spliced_send(bench, spliced, SIDE_CLIENT, &in).is_passed);
		assert_true(bench_only(bench, VERDICT_NOT_A_VIP));
	}
}

static void a_connection_outlives_an_upgrade_of_the_programs(void **state)
{
	const struct spliced_numbers n = spliced_numbers();
	struct bench *bench = spliced_bench(state, &spliceds[0]);

	spliced_pass(bench, &spliceds[0], &n, SIDE_SERVER, 0, 0, 100, FLAG_ACK);
	bench_upgrade(bench);
	spliced_pass(bench, &spliceds[0], &n, SIDE_SERVER, 100, 0, 100, FLAG_ACK);
	assert_int_equal(spliced_record(bench, &spliceds[0], SIDE_SERVER).bytes, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_side_gets_the_others_segments_as_its_own_connection),
		cmocka_unit_test(sequence_numbers_wrap),
		cmocka_unit_test(timestamps_are_moved_and_wrap),
		cmocka_unit_test(sack_blocks_are_in_the_other_sides_numbers),
		cmocka_unit_test(options_are_found_wherever_they_are),
		cmocka_unit_test(options_that_lie_are_dropped_by_name),
		cmocka_unit_test(windows_are_rescaled),
		cmocka_unit_test(dscp_and_ecn_stay),
		cmocka_unit_test(the_last_hop_ends_here_by_name),
		cmocka_unit_test(what_ipv4_says_of_fragments_stays),
		cmocka_unit_test(xdp_gives_a_splice_one_flow_label),
		cmocka_unit_test(tags_and_options_come_off_and_the_next_hops_tag_on),
		cmocka_unit_test(tc_keeps_ip_options_within_a_family_and_drops_them_across),
		cmocka_unit_test(a_hop_that_moves_is_followed),
		cmocka_unit_test(without_a_next_hop_the_kernel_is_asked),
		cmocka_unit_test(a_device_without_native_xdp_is_left_to_tc),
		cmocka_unit_test(what_does_not_fit_is_told),
		cmocka_unit_test(a_frame_cut_anywhere_is_never_sent_and_read_no_further),
		cmocka_unit_test(where_splicing_is_off_records_do_nothing),
		cmocka_unit_test(a_connection_outlives_an_upgrade_of_the_programs),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
