// SPDX-License-Identifier: BSD-2-Clause
/* Packets that the gateway answers itself: too big for the way to the endpoint, and
 * mid-flow to an endpoint that is out. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/road.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

#define MTU 1400

static size_t overhead(const struct road *road)
{
	size_t bytes = road->outer_ipv6 ? 40 : 20;

	if (road->way == WAY_GUE)
		return bytes + 8;
	return road->way == WAY_IPIP ? bytes : 0;
}

static size_t header_bytes(const struct road *road)
{
	return (road->is_ipv6 ? 40 : 20) + 20;
}

/* A segment so long that it needs `bytes` outside. */
static struct frame_spec segment(const struct road *road, size_t bytes)
{
	struct frame_spec spec = road_request(road, IPPROTO_TCP, 4000, FLAG_SYN);

	spec.payload_bytes = (uint16_t)(bytes - overhead(road) - header_bytes(road));
	return spec;
}

/* ICMP too big from the VIP, quoting `in`. */
static struct frame_spec too_big(const struct road *road, const struct frame_spec *in, size_t mtu)
{
	return (struct frame_spec){.src = in->dst,
				   .dst = in->src,
				   .proto = road_icmp(road),
				   .icmp_type = road->is_ipv6 ? 2 : 3,
				   .icmp_code = road->is_ipv6 ? 0 : 4,
				   .icmp_word = (uint32_t)mtu,
				   .inner = in,
				   .inner_bytes = road->is_ipv6 ? 1232 : 548};
}

static struct bench *bench_with_mtu(void **state, const struct road *road)
{
	struct bench *bench = road_bench(state, road);

	for (uint32_t id = 0; id < 3 && road->way != WAY_NAT; id++)
		bench_path(bench, id, id, MTU);
	return bench;
}

static void a_packet_too_big_for_the_way_is_told_what_fits(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = bench_with_mtu(state, road);
		size_t mtu = road->way == WAY_NAT ? 1500 : MTU;
		struct frame_spec in = segment(road, mtu + 1), out;
		struct run run;

		run = road_send(bench, road, &in, false);
		out = too_big(road, &in, mtu - overhead(road));
		assert_true(bench_only(bench, VERDICT_TOO_BIG_TOLD));
		road_assert_is(&run, &out);
		assert_memory_equal(run.out.bytes, "\2\0\0\0\0\2\2\0\0\0\0\1", 12);
		in = segment(road, mtu); /* fits exactly */
		road_send(bench, road, &in, false);
		assert_true(bench_only(bench, VERDICT_FORWARDED));
	}
}

static void an_answer_too_big_for_the_client_is_told_to_the_endpoint(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench;
		struct frame_spec in, out;
		uint16_t snat_port;
		struct run run;

		if (road->way != WAY_NAT)
			continue;
		bench = road_bench(state, road);
		in = segment(road, 1501);
		in.src = road_endpoint(road, road_open(bench, road, IPPROTO_TCP, 4000, &snat_port));
		in.dst = road_snat(road);
		in.src_port = 8000;
		in.dst_port = snat_port;
		out = too_big(road, &in, 1500);
		run = road_send(bench, road, &in, true);
		assert_true(bench_only(bench, VERDICT_TOO_BIG_TOLD));
		road_assert_is(&run, &out);
	}
}

static void errors_and_strange_senders_are_not_told(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = bench_with_mtu(state, road);
		struct frame_spec in = segment(road, MTU + 101);
		struct frame_spec quoted = {.src = road_vip(road),
					    .dst = road_client(road),
					    .src_port = 80,
					    .dst_port = 4000,
					    .proto = IPPROTO_UDP,
					    .payload_bytes = MTU};
		struct frame_spec error = {.src = road_client(road),
					   .dst = road_vip(road),
					   .proto = road_icmp(road),
					   .icmp_type = road->is_ipv6 ? 1 : 3,
					   .inner = &quoted};

		if (road->way == WAY_NAT)
			continue;
		road_send(bench, road, &error, false);
		assert_true(bench_only(bench, VERDICT_TOO_BIG));
		in.src = road->is_ipv6 ? "ff02::1" : "224.0.0.1";
		assert_true(road_send(bench, road, &in, false).is_dropped);
		assert_true(bench_only(bench, VERDICT_TOO_BIG));
	}
}

static void too_big_is_told_so_often_and_then_only_counted(void **state)
{
	const struct road *road = &roads[1];
	struct bench *bench = bench_with_mtu(state, road);
	struct frame_spec in = segment(road, MTU + 1);
	struct frame frame;
	cpu_set_t cpus;

	frame_build(&frame, &in);
	/* the budget is a CPU's and a tick's, and tests before this one have had of it */
	CPU_ZERO(&cpus);
	CPU_SET((size_t)sched_getcpu(), &cpus);
	assert_int_equal(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
	for (uint32_t tick = clock_tick(); clock_tick() == tick;)
		usleep(10000);
	bench_mark(bench);
	for (int i = 0; i < 5000; i++)
		bench_run(bench, PROGRAM_XDP, bench->client_ifindex, &frame);
	assert_true(bench_counted(bench, VERDICT_TOO_BIG_TOLD) >= 1000);
	assert_int_equal(bench_counted(bench, VERDICT_TOO_BIG_TOLD) +
				 bench_counted(bench, VERDICT_TOO_BIG),
			 5000);
}

static void a_packet_too_big_cut_at_any_byte_is_not_told(void **state)
{
	for (EACH_ROAD(road)) {
		struct frame_spec in = segment(road, MTU + 1);

		if (road->way == WAY_L2)
			cuts_hold(bench_with_mtu(state, road), road->program, false, &in);
	}
}

/* ---- reset ---- */

static void down_put(struct bench *bench, const struct road *road, uint8_t down)
{
	bench_vip_put(bench, road_vip(road), 80, IPPROTO_TCP,
		      (struct vip){.mode = VIP_MODE_L4,
				   .down = down,
				   .flags = road->way == WAY_NAT ? VIP_F_NAT : 0});
}

/* A flow whose endpoint is out. */
static struct bench *bench_with_dead_flow(void **state, const struct road *road, uint8_t down)
{
	struct bench *bench = road_bench(state, road);
	struct frame_spec spec = road_request(road, IPPROTO_TCP, 4000, FLAG_ACK);
	uint16_t snat_port;
	uint32_t id;

	down_put(bench, road, down);
	id = road_open(bench, road, IPPROTO_TCP, 4000, &snat_port);
	road_send(bench, road, &spec, false);
	assert_true(bench_only(bench, VERDICT_FORWARDED));
	bench_health(bench, id, HEALTH_DOWN);
	return bench;
}

static void the_client_of_an_endpoint_that_is_out_gets_a_reset(void **state)
{
	static const struct {
		uint8_t flags;
		uint16_t payload;
		uint8_t options; /* IPv4 options or an extension header */
	} cases[] = {{FLAG_ACK, 0, 0}, {FLAG_ACK, 33, 0}, {FLAG_ACK | FLAG_FIN, 1, 8},
		     {FLAG_FIN, 5, 0}, {0x08, 7, 40},	  {FLAG_SYN | FLAG_ACK, 0, 0}};

	for (EACH_ROAD(road)) {
		struct bench *bench = bench_with_dead_flow(state, road, VIP_DOWN_RESET);

		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			struct frame_spec in =
				road_request(road, IPPROTO_TCP, 4000, cases[i].flags);
			struct frame_spec out = {.src = road_vip(road),
						 .dst = road_client(road),
						 .src_port = 80,
						 .dst_port = 4000,
						 .proto = IPPROTO_TCP,
						 .flags = FLAG_RST};
			struct frame_seen seen;
			struct run run;

			in.seq = 0xfffffff0;
			in.ack = 0x01020304;
			in.payload_bytes = cases[i].payload;
			in.option_bytes = cases[i].options;
			in.tcp_options = FRAME_TIMESTAMPS | FRAME_SACK;
			run = road_send(bench, road, &in, false);
			assert_true(bench_only(bench, VERDICT_ENDPOINT_RESET));
			assert_true(run.is_sent);
			assert_true(frame_read(run.out.bytes, run.out.size, &seen));
			assert_true(seen.l3_checksum_right && seen.l4_checksum_right);
			assert_string_equal(seen.src, out.src);
			assert_string_equal(seen.dst, out.dst);
			assert_int_equal(seen.src_port, 80);
			assert_int_equal(seen.dst_port, 4000);
			assert_int_equal(seen.payload_bytes, 0);
			assert_int_equal(run.out.size, 14 + header_bytes(road));
			if (cases[i].flags & FLAG_ACK) {
				assert_int_equal(seen.flags, FLAG_RST);
				assert_int_equal(seen.seq, in.ack);
				continue;
			}
			assert_int_equal(seen.flags, FLAG_RST | FLAG_ACK);
			assert_int_equal(seen.seq, 0);
			assert_int_equal(seen.ack, (uint32_t)(in.seq + cases[i].payload +
							      !!(cases[i].flags & FLAG_FIN)));
		}
	}
}

static void no_reset_where_the_vip_says_drop_or_the_packet_is_a_reset_or_a_part(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = bench_with_dead_flow(state, road, VIP_DOWN_RESET);
		struct frame_spec spec = road_request(road, IPPROTO_TCP, 4000, FLAG_RST);

		assert_true(road_send(bench, road, &spec, false).is_dropped);
		assert_true(bench_only(bench, VERDICT_ENDPOINT_DOWN));
		bench = bench_with_dead_flow(state, road, VIP_DOWN_DROP);
		spec.flags = FLAG_ACK;
		assert_true(road_send(bench, road, &spec, false).is_dropped);
		assert_true(bench_only(bench, VERDICT_ENDPOINT_DOWN));
		bench = bench_with_dead_flow(state, road, VIP_DOWN_RESET);
		spec.is_fragment = true;
		assert_true(road_send(bench, road, &spec, false).is_dropped);
		assert_true(bench_only(bench, VERDICT_ENDPOINT_DOWN));
	}
}

static void a_segment_cut_at_any_byte_gets_no_reset(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = bench_with_dead_flow(state, road, VIP_DOWN_RESET);
		struct frame_spec spec = road_request(road, IPPROTO_TCP, 4000, FLAG_ACK);

		cuts_hold(bench, road->program, false, &spec);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_too_big_for_the_way_is_told_what_fits),
		cmocka_unit_test(an_answer_too_big_for_the_client_is_told_to_the_endpoint),
		cmocka_unit_test(errors_and_strange_senders_are_not_told),
		cmocka_unit_test(a_packet_too_big_cut_at_any_byte_is_not_told),
		cmocka_unit_test(the_client_of_an_endpoint_that_is_out_gets_a_reset),
		cmocka_unit_test(
			no_reset_where_the_vip_says_drop_or_the_packet_is_a_reset_or_a_part),
		cmocka_unit_test(a_segment_cut_at_any_byte_gets_no_reset),
		cmocka_unit_test(too_big_is_told_so_often_and_then_only_counted),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
