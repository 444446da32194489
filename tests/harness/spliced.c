// SPDX-License-Identifier: BSD-2-Clause
/* A spliced connection as two proxies' sockets would have left it.  Nothing here is
 * computed as the programs do it: what a packet becomes is said by where the four
 * sequence spaces stood, not by the deltas between them. */
#include "tests/harness/spliced.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <cmocka.h>

#include "userspace/base/address.h"

#define CLIENT_PORT 4000
#define VIP_PORT 80
#define GATEWAY_PORT 40000
#define SERVER_PORT 8000

const struct spliced spliceds[SPLICED_LIST_COUNT] = {
	{PROGRAM_XDP, false, false}, {PROGRAM_XDP, true, true},	 {PROGRAM_XDP, false, true},
	{PROGRAM_XDP, true, false},  {PROGRAM_TC, false, false}, {PROGRAM_TC, true, true},
	{PROGRAM_TC, false, true},   {PROGRAM_TC, true, false},
};

/* The ends of one side's connection, as its packets have them. */
struct road_ends {
	const char *src, *dst;
	uint16_t src_port, dst_port;
};

static struct road_ends ends_of(const struct spliced *spliced, enum spliced_side side)
{
	if (side == SIDE_CLIENT)
		return (struct road_ends){spliced->client_ipv6 ? "fd00:1::2" : "10.1.0.2",
					  spliced->client_ipv6 ? "fd00:99::1" : "10.99.0.1",
					  CLIENT_PORT, VIP_PORT};
	return (struct road_ends){spliced->server_ipv6 ? "fd00:2::2" : "10.2.0.2",
				  spliced->server_ipv6 ? "fd00:2::1" : "10.2.0.1", SERVER_PORT,
				  GATEWAY_PORT};
}

static enum spliced_side other(enum spliced_side side)
{
	return side == SIDE_CLIENT ? SIDE_SERVER : SIDE_CLIENT;
}

struct spliced_numbers spliced_numbers(void)
{
	return (struct spliced_numbers){
		.client = 0xffffff00,
		.to_client = 0xfffffc00,
		.to_server = 0x20000000,
		.server = 0xfffffe80,
		.client_tsval_delta = 0xffff0000,
		.server_tsval_delta = 0x10000,
		.client_scale = 7,
		.to_client_scale = 7,
		.server_scale = 7,
		.to_server_scale = 7,
	};
}

struct flow_key spliced_key(const struct spliced *spliced, enum spliced_side side)
{
	struct road_ends ends = ends_of(spliced, side);
	struct flow_key key = {.src_port = htons(ends.src_port),
			       .dst_port = htons(ends.dst_port),
			       .proto = IPPROTO_TCP};

	assert_int_equal(address_parse(ends.src, &key.src), 0);
	assert_int_equal(address_parse(ends.dst, &key.dst), 0);
	return key;
}

struct splice spliced_record(const struct bench *bench, const struct spliced *spliced,
			     enum spliced_side side)
{
	struct flow_key key = spliced_key(spliced, side);
	struct splice splice;

	assert_int_equal(splices_lookup(bench->splicer, &key, &splice), 0);
	return splice;
}

void spliced_put(const struct bench *bench, const struct spliced *spliced, enum spliced_side side,
		 const struct splice *splice)
{
	struct flow_key key = spliced_key(spliced, side);

	splices_remove(bench->splicer, &key);
	assert_int_equal(splices_put(bench->splicer, &key, splice), 0);
}

/* Of the side's packets; the client's limit is where it stood. */
static struct splice record_of(const struct spliced *spliced, const struct spliced_numbers *n,
			       enum spliced_side side)
{
	struct flow_key there = spliced_key(spliced, other(side));
	bool is_client = side == SIDE_CLIENT;
	uint32_t stood = is_client ? n->client : n->server;
	uint32_t to_side = is_client ? n->to_client : n->to_server;
	uint32_t far_stood = is_client ? n->server : n->client;
	uint32_t to_far = is_client ? n->to_server : n->to_client;

	return (struct splice){
		.src = there.dst,
		.dst = there.src,
		.src_port = there.dst_port,
		.dst_port = there.src_port,
		.nexthop = is_client ? SPLICED_SERVER_HOP : SPLICED_CLIENT_HOP,
		.id = 0x700000,
		.endpoint = 3,
		.vip = 7,
		.seq_delta = to_far - stood,
		.ack_delta = far_stood - to_side,
		.tsval_delta = is_client ? n->client_tsval_delta : n->server_tsval_delta,
		.tsecr_delta = is_client ? -n->server_tsval_delta : -n->client_tsval_delta,
		.limit = stood,
		.window_shift = (int8_t)(is_client ? n->client_scale - n->to_server_scale
						   : n->server_scale - n->to_client_scale),
		.scale = is_client ? n->client_scale : n->server_scale,
		.flags = is_client ? SPLICE_F_CLIENT | SPLICE_F_LIMIT : 0,
		.next = stood,
		.acked = to_side,
		.window = 0xffff,
	};
}

struct bench *spliced_bench_numbered(void **state, const struct spliced *spliced,
				     const struct spliced_numbers *numbers)
{
	static const uint8_t client_mac[6] = {2, 0, 0, 0, 1, 2}, server_mac[6] = {2, 0, 0, 0, 2, 2};
	struct bench *bench = bench_of(state);
	uint32_t kind;

	bench_nexthop(bench, SPLICED_CLIENT_HOP, bench->client_ifindex, client_mac, 0);
	bench_nexthop(bench, SPLICED_SERVER_HOP, bench->endpoint_ifindex, server_mac, 0);
	assert_int_equal(address_parse(ends_of(spliced, SIDE_CLIENT).src,
				       &bench->controller->nexthops[SPLICED_CLIENT_HOP].addr),
			 0);
	assert_int_equal(address_parse(ends_of(spliced, SIDE_SERVER).src,
				       &bench->controller->nexthops[SPLICED_SERVER_HOP].addr),
			 0);
	for (enum spliced_side side = SIDE_CLIENT; side <= SIDE_SERVER; side++) {
		struct splice splice = record_of(spliced, numbers, side);

		spliced_put(bench, spliced, side, &splice);
	}
	assert_int_equal(splice_setup_put(bench->splicer,
					  &(struct splice_setup){.is_on = 1,
								 .port_low = GATEWAY_PORT,
								 .port_high = GATEWAY_PORT + 999}),
			 0);
	spliced_events(bench, &kind);
	bench_mark(bench);
	return bench;
}

struct bench *spliced_bench(void **state, const struct spliced *spliced)
{
	struct spliced_numbers numbers = spliced_numbers();

	return spliced_bench_numbered(state, spliced, &numbers);
}

/* ---- packets ---- */

struct frame_spec spliced_in(const struct spliced *spliced, const struct spliced_numbers *n,
			     enum spliced_side side, uint32_t seq, uint32_t ack)
{
	struct road_ends ends = ends_of(spliced, side);

	return (struct frame_spec){
		.src = ends.src,
		.dst = ends.dst,
		.src_port = ends.src_port,
		.dst_port = ends.dst_port,
		.proto = IPPROTO_TCP,
		.flags = FLAG_ACK,
		.seq = (side == SIDE_CLIENT ? n->client : n->server) + seq,
		.ack = (side == SIDE_CLIENT ? n->to_client : n->to_server) + ack,
	};
}

struct frame_spec spliced_out(const struct spliced *spliced, const struct spliced_numbers *n,
			      enum spliced_side side, uint32_t seq, uint32_t ack)
{
	struct road_ends there = ends_of(spliced, other(side));

	return (struct frame_spec){
		.src = there.dst,
		.dst = there.src,
		.src_port = there.dst_port,
		.dst_port = there.src_port,
		.proto = IPPROTO_TCP,
		.flags = FLAG_ACK,
		.ttl = 63,
		.seq = (side == SIDE_CLIENT ? n->to_server : n->to_client) + seq,
		.ack = (side == SIDE_CLIENT ? n->server : n->client) + ack,
	};
}

struct run spliced_send(struct bench *bench, const struct spliced *spliced, enum spliced_side side,
			const struct frame_spec *in)
{
	struct frame frame;
	struct run run;

	frame_build(&frame, in);
	bench_mark(bench);
	bench->is_poisoned = spliced->program == PROGRAM_XDP;
	run = bench_run(bench, spliced->program,
			side == SIDE_CLIENT ? bench->client_ifindex : bench->endpoint_ifindex,
			&frame);
	bench->is_poisoned = false;
	return run;
}

void spliced_assert_is(struct bench *bench, const struct spliced *spliced, const struct run *run,
		       enum spliced_side side, const struct frame_spec *out)
{
	uint8_t macs[12] = {2, 0, 0, 0, side == SIDE_CLIENT ? 2 : 1, 2, 2, 0, 0, 0, 9, 9};
	struct frame wanted;
	size_t at, wanted_at;

	frame_build(&wanted, out);
	assert_true(run->is_sent);
	at = frame_ip_offset(run->out.bytes, run->out.size);
	wanted_at = frame_ip_offset(wanted.bytes, wanted.size);
	assert_true(ip_is_same(wanted.bytes + wanted_at, wanted.size - wanted_at,
			       run->out.bytes + at, run->out.size - at, 0));
	if (spliced->program == PROGRAM_XDP) { /* TC's are the kernel's */
		assert_memory_equal(run->out.bytes, macs, sizeof(macs));
		assert_int_equal(at, wanted_at);
		assert_memory_equal(run->out.bytes + 12, wanted.bytes + 12, at - 12);
	}
	assert_true(bench_only(bench, VERDICT_SPLICED));
}

void spliced_becomes(struct bench *bench, const struct spliced *spliced, enum spliced_side side,
		     const struct frame_spec *in, const struct frame_spec *out)
{
	struct run run = spliced_send(bench, spliced, side, in);

	spliced_assert_is(bench, spliced, &run, side, out);
}

void spliced_pass(struct bench *bench, const struct spliced *spliced,
		  const struct spliced_numbers *numbers, enum spliced_side side, uint32_t seq,
		  uint32_t ack, uint16_t payload, uint8_t flags)
{
	struct frame_spec in = spliced_in(spliced, numbers, side, seq, ack);
	struct frame_spec out = spliced_out(spliced, numbers, side, seq, ack);

	in.payload_bytes = out.payload_bytes = payload;
	in.flags = out.flags = flags;
	if (!(flags & FLAG_ACK)) /* a field without meaning stays */
		out.ack = in.ack;
	spliced_becomes(bench, spliced, side, &in, &out);
}

void spliced_drop(struct bench *bench, const struct spliced *spliced,
		  const struct spliced_numbers *numbers, enum spliced_side side, uint32_t seq,
		  uint32_t ack, uint16_t payload, uint8_t flags, enum verdict verdict)
{
	uint64_t refused = spliced_record(bench, spliced, side).refused;
	struct frame_spec in = spliced_in(spliced, numbers, side, seq, ack);

	in.payload_bytes = payload;
	in.flags = flags;
	assert_true(spliced_send(bench, spliced, side, &in).is_dropped);
	assert_true(bench_only(bench, verdict));
	assert_int_equal(spliced_record(bench, spliced, side).refused, refused + 1);
}

/* ---- events ---- */

struct event_taken {
	unsigned count;
	uint32_t kind;
};

static int event_take(void *ctx, void *data, size_t size)
{
	struct event_taken *taken = ctx;
	const struct splice_event *event = data;

	assert_true(size >= sizeof(*event));
	assert_int_equal(event->id, 0x700000);
	taken->count++;
	taken->kind = event->kind;
	return 0;
}

unsigned spliced_events(const struct bench *bench, uint32_t *ret_kind)
{
	struct event_taken taken = {.kind = SPLICE_EVENT_COUNT};
	struct ring_buffer *ring =
		ring_buffer__new(bench->splicer->fds[MAP_SPLICE_EVENTS], event_take, &taken, NULL);

	assert_non_null(ring);
	assert_true(ring_buffer__consume(ring) >= 0);
	ring_buffer__free(ring);
	*ret_kind = taken.kind;
	return taken.count;
}
