// SPDX-License-Identifier: BSD-2-Clause
/* Headers between Ethernet and ports: VLAN tags, IPv4 options, IPv6 extension headers.
 * Packets behind them are steered like any other. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/road.h"
#include "userspace/base/cleanup.h"

static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP};

/* Sends a packet of each protocol and its flow's answer on; they arrive whole. */
static void assert_steered(struct bench *bench, const struct road *road,
			   const struct frame_spec *shape)
{
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		struct frame_spec in = *shape, out = *shape;
		struct frame_seen seen;
		struct frame frame;
		struct run run;
		uint32_t id;

		in.proto = out.proto = protos[i];
		frame_build(&frame, &in);
		run = road_send_frame(bench, road, &frame, false);
		assert_true(bench_only(bench, VERDICT_FORWARDED));
		id = bench_got(bench);
		if (road->way != WAY_NAT) {
			road_assert_carried(bench, road, &run, &frame, id);
			continue;
		}
		assert_true(frame_read(run.out.bytes, run.out.size, &seen));
		assert_int_equal(seen.vlans[0], 0);
		out.src = road_snat(road);
		out.dst = road_endpoint(road, id);
		out.src_port = seen.src_port;
		out.dst_port = 8000;
		out.ttl = 63;
		road_assert_is(&run, &out);
		/* and back */
		in.src = out.dst;
		in.dst = out.src;
		in.src_port = out.dst_port;
		in.dst_port = out.src_port;
		in.flags = FLAG_ACK;
		run = road_send(bench, road, &in, true);
		assert_true(bench_only(bench, VERDICT_RETURNED));
		in.src = road_vip(road);
		in.dst = road_client(road);
		in.src_port = 80;
		in.dst_port = shape->src_port;
		in.ttl = 63;
		road_assert_is(&run, &in);
	}
}

static void options_of_any_length_are_no_hindrance(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);

		for (uint8_t bytes = 4; bytes <= 40; bytes += 4) {
			struct frame_spec spec = road_request(road, 0, 4000, 0);

			spec.option_bytes = bytes;
			if (!road->is_ipv6)
				assert_steered(bench, road, &spec);
		}
	}
}

static const struct frame_extension chain[] = {
	{IPPROTO_HOPOPTS, 8},	{IPPROTO_DSTOPTS, 256}, {IPPROTO_ROUTING, 24},
	{IPPROTO_FRAGMENT, 8},	{IPPROTO_DSTOPTS, 8},	{IPPROTO_DSTOPTS, 16},
	{IPPROTO_DSTOPTS, 800}, {IPPROTO_DSTOPTS, 8},	{IPPROTO_DSTOPTS, 8},
};

static void a_chain_of_extension_headers_is_followed_to_its_bound(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);

		for (uint8_t count = 1; count <= 9 && road->is_ipv6; count++) {
			struct frame_spec spec = road_request(road, 0, 4000, 0);

			memcpy(spec.extensions, chain, sizeof(chain));
			spec.extension_count = count;
			if (count <= 8) {
				assert_steered(bench, road, &spec);
				continue;
			}
			spec.proto = IPPROTO_UDP;
			assert_true(road_send(bench, road, &spec, false).is_dropped);
			assert_true(bench_only(bench, VERDICT_UNSUPPORTED));
			spec.dst = "fd00:99::2"; /* a stranger's may be as long as it likes */
			assert_true(road_send(bench, road, &spec, false).is_passed);
			assert_true(bench_only(bench, VERDICT_NOT_A_VIP));
		}
	}
}

static void a_routing_header_with_a_stop_to_make_is_refused_by_name(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);
		struct frame_spec spec = road_request(road, IPPROTO_UDP, 4000, 0);
		struct frame frame;

		if (!road->is_ipv6)
			continue;
		spec.extensions[0] = (struct frame_extension){IPPROTO_ROUTING, 24};
		spec.extension_count = 1;
		frame_build(&frame, &spec);
		frame.bytes[14 + 40 + 3] = 1; /* segments left */
		assert_true(road_send_frame(bench, road, &frame, false).is_dropped);
		assert_true(bench_only(bench, VERDICT_UNSUPPORTED));
	}
}

static void headers_cut_at_any_byte_are_never_sent(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);
		struct frame_spec spec = road_request(road, IPPROTO_TCP, 4000, 0);

		spec.vlans[0] = 100;
		spec.vlans[1] = 200;
		spec.payload_bytes = 4;
		spec.option_bytes = 16;
		if (road->is_ipv6) {
			memcpy(spec.extensions, chain, sizeof(chain));
			spec.extensions[1].bytes = 32;
			spec.extension_count = 5;
		}
		cuts_hold(bench, road->program, false, &spec);
	}
}

static void tags_come_off_where_the_way_has_none(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);

		for (int tags = 1; tags <= 2; tags++) {
			struct frame_spec spec = road_request(road, 0, (uint16_t)(4000 + tags), 0);

			spec.vlans[0] = 100;
			spec.vlans[1] = tags == 2 ? 200 : 0;
			assert_steered(bench, road, &spec);
			spec.option_bytes = 8;
			assert_steered(bench, road, &spec);
		}
	}
}

static void xdp_leaves_by_the_tag_of_the_next_hop(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 2, 2};

	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);
		static const uint32_t ids[] = {0};

		if (road->way == WAY_NAT || road->program != PROGRAM_XDP)
			continue;
		bench_ring(bench, ids, 1);
		bench_nexthop(bench, 0, bench->endpoint_ifindex, mac, 42);
		for (int tags = 0; tags <= 2; tags++) { /* pushed, replaced, two for one */
			struct frame_spec spec = road_request(road, IPPROTO_UDP, 4000, 0);
			struct frame_seen seen;
			struct frame frame;
			struct run run;

			spec.vlans[0] = tags ? 100 : 0;
			spec.vlans[1] = tags == 2 ? 200 : 0;
			frame_build(&frame, &spec);
			run = road_send_frame(bench, road, &frame, false);
			road_assert_carried(bench, road, &run, &frame, 0);
			assert_true(frame_read(run.out.bytes, run.out.size, &seen));
			assert_int_equal(run.out.bytes[12] << 8 | run.out.bytes[13], 0x8100);
			assert_int_equal(seen.vlans[0], 42);
			assert_int_equal(seen.vlans[1], 0);
		}
	}
}

static void a_stranger_keeps_its_tags_and_an_answer_goes_back_with_them(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);
		struct frame_spec spec = road_request(road, IPPROTO_UDP, 4000, 0);
		struct frame_seen seen;
		struct frame frame;
		struct run run;

		spec.vlans[0] = 100;
		spec.vlans[1] = 200;
		spec.dst_port = 81;
		frame_build(&frame, &spec);
		run = road_send_frame(bench, road, &frame, false);
		assert_true(run.is_passed);
		assert_int_equal(run.out.size, frame.size);
		assert_memory_equal(run.out.bytes, frame.bytes, frame.size);
		assert_true(bench_only(bench, VERDICT_NOT_A_VIP));
		spec.proto = road_icmp(road);
		spec.icmp_type = road->is_ipv6 ? 128 : 8;
		run = road_send(bench, road, &spec, false);
		assert_true(bench_only(bench, VERDICT_ECHO_REPLY));
		assert_true(frame_read(run.out.bytes, run.out.size, &seen));
		assert_int_equal(seen.vlans[0], 100);
		assert_int_equal(seen.vlans[1], 200);
		assert_true(seen.l4_checksum_right);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_of_any_length_are_no_hindrance),
		cmocka_unit_test(a_chain_of_extension_headers_is_followed_to_its_bound),
		cmocka_unit_test(a_routing_header_with_a_stop_to_make_is_refused_by_name),
		cmocka_unit_test(headers_cut_at_any_byte_are_never_sent),
		cmocka_unit_test(tags_come_off_where_the_way_has_none),
		cmocka_unit_test(xdp_leaves_by_the_tag_of_the_next_hop),
		cmocka_unit_test(a_stranger_keeps_its_tags_and_an_answer_goes_back_with_them),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
