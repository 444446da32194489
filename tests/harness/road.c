// SPDX-License-Identifier: BSD-2-Clause
/* Packets along every road. */
#include "tests/harness/road.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ROADS_OF(program, is_ipv6)                                                                 \
	{program, is_ipv6, WAY_NAT, is_ipv6}, {program, is_ipv6, WAY_IPIP, false},                 \
		{program, is_ipv6, WAY_IPIP, true}, {program, is_ipv6, WAY_GUE, false},            \
		{program, is_ipv6, WAY_GUE, true},                                                 \
	{                                                                                          \
		program, is_ipv6, WAY_L2, is_ipv6                                                  \
	}

const struct road roads[ROADS] = {
	ROADS_OF(PROGRAM_XDP, false),
	ROADS_OF(PROGRAM_XDP, true),
	ROADS_OF(PROGRAM_TC, false),
	ROADS_OF(PROGRAM_TC, true),
};

const char *road_client(const struct road *road)
{
	return road->is_ipv6 ? "fd00:1::2" : "10.1.0.2";
}

const char *road_vip(const struct road *road)
{
	return road->is_ipv6 ? "fd00:99::1" : "10.99.0.1";
}

const char *road_snat(const struct road *road)
{
	return road->outer_ipv6 ? "fd00:2::1" : "10.2.0.1";
}

const char *road_endpoint(const struct road *road, uint32_t id)
{
	static const char *const ipv4[] = {"10.2.0.2", "10.2.0.3", "10.2.0.4"};
	static const char *const ipv6[] = {"fd00:2::2", "fd00:2::3", "fd00:2::4"};

	assert_in_range(id, 0, 2);
	return road->outer_ipv6 ? ipv6[id] : ipv4[id];
}

uint8_t road_icmp(const struct road *road)
{
	return road->is_ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
}

struct bench *road_bench(void **state, const struct road *road)
{
	struct bench *bench = bench_of(state);

	bench_serve_way(bench, road->is_ipv6, road->way, road->outer_ipv6);
	return bench;
}

struct frame_spec road_request(const struct road *road, uint8_t proto, uint16_t port, uint8_t flags)
{
	return (struct frame_spec){.src = road_client(road),
				   .dst = road_vip(road),
				   .src_port = port,
				   .dst_port = 80,
				   .proto = proto,
				   .flags = flags ? flags : FLAG_SYN,
				   .payload_bytes = 33};
}

struct run road_send_frame(struct bench *bench, const struct road *road, const struct frame *frame,
			   bool from_endpoint)
{
	struct run run;

	bench_mark(bench);
	bench->is_poisoned = true;
	run = bench_run(bench, road->program,
			from_endpoint ? bench->endpoint_ifindex : bench->client_ifindex, frame);
	bench->is_poisoned = false;
	return run;
}

struct run road_send(struct bench *bench, const struct road *road, const struct frame_spec *spec,
		     bool from_endpoint)
{
	struct frame frame;

	frame_build(&frame, spec);
	return road_send_frame(bench, road, &frame, from_endpoint);
}

static uint8_t outer_proto(const struct road *road)
{
	if (road->way == WAY_GUE)
		return IPPROTO_UDP;
	return road->is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
}

void road_assert_carried(struct bench *bench, const struct road *road, const struct run *run,
			 const struct frame *in, uint32_t id)
{
	size_t in_at = frame_ip_offset(in->bytes, in->size);
	size_t out_at = frame_ip_offset(run->out.bytes, run->out.size);
	struct outer_wanted wanted = {
		.src = road_snat(road), .dst = road_endpoint(road, id), .proto = outer_proto(road)};

	assert_true(bench_only(bench, VERDICT_FORWARDED));
	assert_int_equal(bench_got(bench), id);
	assert_true(run->is_sent);
	if (road->program == PROGRAM_XDP)
		assert_int_equal(run->out.bytes[5], id + 2); /* the neighbour's MAC */
	if (road->way == WAY_L2)
		assert_true(ip_is_same(in->bytes + in_at, in->size - in_at, run->out.bytes + out_at,
				       run->out.size - out_at, 0));
	else
		assert_true(outer_is(run, &wanted, in, 0));
}

void road_assert_is(const struct run *run, const struct frame_spec *wanted)
{
	size_t at = frame_ip_offset(run->out.bytes, run->out.size);
	uint8_t ip[FRAME_BYTES_MAX];
	size_t size = frame_build_ip(ip, wanted);

	assert_true(run->is_sent);
	assert_true(ip_is_same(ip, size, run->out.bytes + at, run->out.size - at, 0));
}

uint32_t road_open(struct bench *bench, const struct road *road, uint8_t proto, uint16_t port,
		   uint16_t *ret_snat_port)
{
	struct frame_spec spec = road_request(road, proto, port, 0);
	struct run run = road_send(bench, road, &spec, false);
	struct frame_seen seen;
	uint32_t id;

	assert_true(bench_only(bench, VERDICT_FORWARDED));
	id = bench_got(bench);
	*ret_snat_port = 0;
	if (road->way != WAY_NAT)
		return id;
	assert_true(frame_read(run.out.bytes, run.out.size, &seen));
	*ret_snat_port = seen.src_port;
	return id;
}
