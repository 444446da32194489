// SPDX-License-Identifier: BSD-2-Clause
/* Fragments of a datagram go where its first one went, on every road and through NAT
 * both ways; put together they are what was sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/road.h"
#include "userspace/base/cleanup.h"

#define PARTS 3

/* A datagram cut into three. */
static void cut(const struct frame_spec *spec, uint32_t id, struct frame parts[PARTS])
{
	struct frame whole;

	frame_build(&whole, spec);
	for (uint16_t i = 0; i < PARTS; i++)
		frame_fragment(&whole, id, (uint16_t)(i * 400), i + 1 < PARTS ? 400 : 4000,
			       &parts[i]);
}

static struct frame_spec datagram(const struct road *road, uint8_t proto, uint16_t port)
{
	struct frame_spec spec = road_request(road, proto, port, FLAG_SYN);

	spec.payload_bytes = 1000;
	spec.may_fragment = true;
	return spec;
}

/* Sends all parts; each counted once as `verdict`. */
static void send_parts(struct bench *bench, const struct road *road, const struct frame *parts,
		       bool from_endpoint, enum verdict verdict, struct frame got[PARTS])
{
	for (int i = 0; i < PARTS; i++) {
		struct run run = road_send_frame(bench, road, &parts[i], from_endpoint);

		assert_true(bench_only(bench, verdict));
		assert_true(run.is_sent);
		got[i] = run.out;
	}
}

static void later_fragments_follow_the_first_one(void **state)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP};

	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);

		for (uint16_t i = 0; i < 20; i++) {
			struct frame_spec spec =
				datagram(road, protos[i % 2], (uint16_t)(4000 + i));
			struct frame parts[PARTS];
			uint32_t id = ENDPOINT_NONE;

			if (road->way == WAY_NAT)
				continue;
			cut(&spec, 100u + i, parts);
			for (int part = 0; part < PARTS; part++) {
				struct run run = road_send_frame(bench, road, &parts[part], false);

				if (part == 0)
					id = bench_got(bench);
				road_assert_carried(bench, road, &run, &parts[part], id);
			}
		}
	}
}

static void through_nat_fragments_make_the_whole_both_ways(void **state)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP};

	for (EACH_ROAD(road)) {
		struct bench *bench;

		if (road->way != WAY_NAT)
			continue;
		bench = road_bench(state, road);
		for (uint16_t i = 0; i < 20; i++) {
			struct frame_spec spec =
				datagram(road, protos[i % 2], (uint16_t)(4000 + i));
			struct frame parts[PARTS], got[PARTS], whole;
			struct frame_seen there, back;
			struct frame_spec answer = spec;

			cut(&spec, 100u + i, parts);
			send_parts(bench, road, parts, false, VERDICT_FORWARDED, got);
			assert_true(frame_reassemble(got, PARTS, &whole));
			assert_true(frame_read(whole.bytes, whole.size, &there));
			assert_true(there.l4_checksum_right);
			assert_string_equal(there.src, road_snat(road));
			assert_int_equal(there.payload_bytes, 1000);
			assert_int_equal(there.ttl, 63);
			answer.src = there.dst;
			answer.dst = there.src;
			answer.src_port = there.dst_port;
			answer.dst_port = there.src_port;
			answer.flags = FLAG_ACK;
			cut(&answer, 100u + i, parts);
			send_parts(bench, road, parts, true, VERDICT_RETURNED, got);
			assert_true(frame_reassemble(got, PARTS, &whole));
			assert_true(frame_read(whole.bytes, whole.size, &back));
			assert_true(back.l4_checksum_right);
			assert_string_equal(back.src, road_vip(road));
			assert_string_equal(back.dst, road_client(road));
			assert_int_equal(back.dst_port, 4000 + i);
		}
	}
}

static void a_later_fragment_whose_first_one_is_unknown_is_dropped_at_a_vip(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);
		struct frame_spec spec = datagram(road, IPPROTO_UDP, 4000);
		struct frame parts[PARTS];

		cut(&spec, 1, parts);
		assert_true(road_send_frame(bench, road, &parts[1], false).is_dropped);
		assert_true(bench_only(bench, VERDICT_FRAGMENT_UNKNOWN));
		road_send_frame(bench, road, &parts[0], false);
		cut(&spec, 2, parts); /* another datagram */
		assert_true(road_send_frame(bench, road, &parts[1], false).is_dropped);
		spec.src = road->is_ipv6 ? "fd00:1::3" : "10.1.0.3"; /* another sender */
		cut(&spec, 1, parts);
		assert_true(road_send_frame(bench, road, &parts[1], false).is_dropped);
		spec.dst = road->is_ipv6 ? "fd00:99::9" : "10.99.0.9"; /* a stranger */
		cut(&spec, 1, parts);
		assert_true(road_send_frame(bench, road, &parts[1], false).is_passed);
		assert_true(bench_only(bench, VERDICT_LATER_FRAGMENT));
	}
}

static void fragments_to_what_is_passed_are_passed_though_the_address_has_l4_vips(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);
		struct frame_spec spec = datagram(road, IPPROTO_TCP, 4000);
		struct frame parts[PARTS];

		bench_vip(bench, road_vip(road), 81, IPPROTO_TCP, VIP_MODE_L7);
		spec.dst_port = 81;
		cut(&spec, 1, parts);
		assert_true(road_send_frame(bench, road, &parts[0], false).is_passed);
		assert_true(bench_only(bench, VERDICT_L7_LOCAL));
		for (int i = 1; i < PARTS; i++) {
			assert_true(road_send_frame(bench, road, &parts[i], false).is_passed);
			assert_true(bench_only(bench, VERDICT_LATER_FRAGMENT));
		}
		/* an echo request too large for one packet is the stack's to answer */
		spec = (struct frame_spec){.src = road_client(road),
					   .dst = road_vip(road),
					   .proto = road_icmp(road),
					   .icmp_type = road->is_ipv6 ? 128 : 8,
					   .may_fragment = true,
					   .payload_bytes = 1000};
		cut(&spec, 2, parts);
		for (int i = 0; i < PARTS; i++)
			assert_true(road_send_frame(bench, road, &parts[i], false).is_passed);
	}
}

static void an_endpoint_that_means_another_one_gets_no_fragments_of_the_old(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);
		struct frame_spec spec = datagram(road, IPPROTO_UDP, 4000);
		struct frame parts[PARTS];

		cut(&spec, 1, parts);
		road_send_frame(bench, road, &parts[0], false);
		bench->controller->endpoints[bench_got(bench)].generation++;
		assert_true(road_send_frame(bench, road, &parts[1], false).is_dropped);
		assert_true(bench_only(bench, VERDICT_FRAGMENT_UNKNOWN));
	}
}

static void fragments_cut_at_any_byte_are_never_sent(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);
		struct frame_spec first = road_request(road, IPPROTO_UDP, 4000, 0), later;

		first.is_fragment = true;
		first.id = 9;
		first.payload_bytes = 24;
		later = first;
		later.is_fragment = false;
		later.fragment_offset = 4;
		later.option_bytes = 0;
		cuts_hold(bench, road->program, false, &first);
		cuts_hold(bench, road->program, false, &later);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(later_fragments_follow_the_first_one),
		cmocka_unit_test(through_nat_fragments_make_the_whole_both_ways),
		cmocka_unit_test(a_later_fragment_whose_first_one_is_unknown_is_dropped_at_a_vip),
		cmocka_unit_test(
			fragments_to_what_is_passed_are_passed_though_the_address_has_l4_vips),
		cmocka_unit_test(an_endpoint_that_means_another_one_gets_no_fragments_of_the_old),
		cmocka_unit_test(fragments_cut_at_any_byte_are_never_sent),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
