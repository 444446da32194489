// SPDX-License-Identifier: BSD-2-Clause
/* Packets of one flow through the programs, in every program, family and
 * protocol. */
#include "tests/harness/way.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

const struct way ways[WAY_LIST_COUNT] = {
	{PROGRAM_XDP, false, IPPROTO_TCP}, {PROGRAM_XDP, false, IPPROTO_UDP},
	{PROGRAM_XDP, true, IPPROTO_TCP},  {PROGRAM_XDP, true, IPPROTO_UDP},
	{PROGRAM_TC, false, IPPROTO_TCP},  {PROGRAM_TC, false, IPPROTO_UDP},
	{PROGRAM_TC, true, IPPROTO_TCP},   {PROGRAM_TC, true, IPPROTO_UDP},
};

const char *way_client(const struct way *way)
{
	return way->is_ipv6 ? "fd00:1::2" : "10.1.0.2";
}

const char *way_vip(const struct way *way)
{
	return way->is_ipv6 ? "fd00:99::1" : "10.99.0.1";
}

const char *way_snat(const struct way *way)
{
	return way->is_ipv6 ? "fd00:2::1" : "10.2.0.1";
}

struct frame_spec way_request(const struct way *way, uint16_t port, uint8_t flags)
{
	return (struct frame_spec){.src = way_client(way),
				   .dst = way_vip(way),
				   .src_port = port,
				   .dst_port = 80,
				   .proto = way->proto,
				   .flags = flags ? flags : FLAG_SYN,
				   .payload_bytes = 33};
}

struct run way_send(struct bench *bench, const struct way *way, const struct frame_spec *spec,
		    bool from_endpoint)
{
	struct frame frame;

	frame_build(&frame, spec);
	return bench_run(bench, way->program,
			 from_endpoint ? bench->endpoint_ifindex : bench->client_ifindex, &frame);
}

struct run way_ask(struct bench *bench, const struct way *way, uint16_t port, uint8_t flags)
{
	struct frame_spec spec = way_request(way, port, flags);

	return way_send(bench, way, &spec, false);
}

struct frame_seen way_sent(const struct run *run)
{
	struct frame_seen seen;

	assert_true(run->is_sent);
	assert_true(frame_read(run->out.bytes, run->out.size, &seen));
	assert_true(seen.l3_checksum_right);
	assert_true(seen.l4_checksum_right);
	return seen;
}

struct run way_answer(struct bench *bench, const struct way *way, const struct frame_seen *got,
		      uint8_t flags)
{
	struct frame_spec spec = {.src = got->dst,
				  .dst = got->src,
				  .src_port = got->dst_port,
				  .dst_port = got->src_port,
				  .proto = way->proto,
				  .flags = flags,
				  .payload_bytes = 700};

	return way_send(bench, way, &spec, true);
}

uint32_t way_endpoint(const struct frame_seen *seen)
{
	return (uint32_t)(seen->dst[strlen(seen->dst) - 1] - '2');
}
