// SPDX-License-Identifier: BSD-2-Clause
/* Health probes on the way of traffic: out by TC egress as a client's packets to the
 * VIP, back through XDP and TC ingress to the prober's socket. */
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "maps/access/maps.h"
#include "tests/harness/packet.h"
#include "tests/harness/program.h"
#include "tests/harness/way.h"
#include "userspace/base/address.h"

#define ETHERNET_BYTES 14
#define PORT (PROBE_PORT_LOW + 3) /* of the gateway, for this probe */
#define ENDPOINT 2
#define MARK (0x51c00000u | ENDPOINT)

struct family {
	bool is_ipv6; /* the VIP */
	const char *gateway, *endpoint, *vip;
	const char *stranger;
	size_t header_bytes;
	bool outer_ipv6; /* the endpoint and the prober's socket */
	const char *vip_gateway; /* where the VIP's answers come to; NULL: gateway */
};

static const struct family families[] = {
	{false, "10.2.0.1", "10.2.0.4", "10.99.0.1", "10.2.0.3", 20},
	{true, "fd00:2::1", "fd00:2::4", "fd00:99::1", "fd00:2::3", 40, true},
};
/* A VIP of one family, endpoints of the other. */
static const struct family mixes[] = {
	{false, "fd00:2::1", "fd00:2::4", "10.99.0.1", "fd00:2::3", 40, true, "10.2.0.1"},
	{true, "10.2.0.1", "10.2.0.4", "fd00:99::1", "10.2.0.3", 20, false, "fd00:2::1"},
};
#define EACH_FAMILY(family)                                                                        \
	const struct family *family = families;                                                    \
	family < families + ARRAY_SIZE(families);                                                  \
	family++
#define EACH_MIX(family)                                                                           \
	const struct family *family = mixes;                                                       \
	family < mixes + ARRAY_SIZE(mixes);                                                        \
	family++

static struct probe_port *record_of(struct bench *bench)
{
	return &bench->controller->probes[PORT - PROBE_PORT_LOW];
}

/* Endpoint 2 of the VIP at port 80, reached by `way`, and a probe of it at its own
 * port 8000. */
static struct bench *bench_probing(void **state, const struct family *family, uint8_t way)
{
	struct bench *bench = bench_of(state);
	struct probe_port *record = record_of(bench);

	bench_serve_way(bench, family->is_ipv6, way, family->outer_ipv6);
	memset(bench->controller->probes, 0, PROBE_PORTS_MAX * sizeof(struct probe_port));
	memset(bench->controller->paths, 0, 16 * sizeof(struct path));
	*record = (struct probe_port){
		.port = htons(8000),
		.vip_port = htons(80),
		.endpoint = ENDPOINT,
		.generation = 1,
		.vip_id = 7,
	};
	address_parse(family->gateway, &record->src);
	address_parse(family->endpoint, &record->addr);
	address_parse(family->vip, &record->vip);
	address_parse(family->vip_gateway ? family->vip_gateway : family->gateway,
		      &record->vip_src);
	return bench;
}

static struct frame_spec probe_spec(const struct family *family)
{
	return (struct frame_spec){
		.src = family->gateway,
		.dst = family->endpoint,
		.src_port = PORT,
		.dst_port = 8000,
		.proto = IPPROTO_TCP,
		.flags = FLAG_SYN,
	};
}

static struct frame_spec answer_spec(const struct family *family)
{
	return (struct frame_spec){
		.src = family->vip,
		.dst = family->vip_gateway ? family->vip_gateway : family->gateway,
		.src_port = 80,
		.dst_port = PORT,
		.proto = IPPROTO_TCP,
		.flags = FLAG_SYN | FLAG_ACK,
		.ttl = 61,
	};
}

struct sent {
	struct frame frame;
	int result;
	uint32_t mark; /* afterwards */
};

static struct sent egress(const struct bench *bench, const struct frame *frame, uint32_t mark)
{
	struct __sk_buff in = {.ifindex = bench->endpoint_ifindex, .mark = mark}, out = {0};
	struct sent sent = {0};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->bytes,
		    .data_size_in = (uint32_t)frame->size, .data_out = sent.frame.bytes,
		    .data_size_out = sizeof(sent.frame.bytes), .ctx_in = &in,
		    .ctx_size_in = sizeof(in), .ctx_out = &out, .ctx_size_out = sizeof(out),
		    .repeat = 1);
	int err = bpf_prog_test_run_opts(bench->programs[PROGRAM_TC_EGRESS], &options);

	if (err)
		fail_msg("test run: %s", strerror(-err));
	sent.frame.size = options.data_size_out;
	sent.result = (int)options.retval;
	sent.mark = out.mark;
	return sent;
}

static struct sent probe(const struct bench *bench, const struct frame_spec *spec, uint32_t mark)
{
	struct frame frame;

	frame_build(&frame, spec);
	return egress(bench, &frame, mark);
}

/* What is behind the outer headers, as a frame of its own. */
static struct frame_seen inner_of(const struct frame *outer, size_t outer_bytes)
{
	struct frame inner = {.size = outer->size - outer_bytes};
	const uint8_t *ip = outer->bytes + ETHERNET_BYTES + outer_bytes;
	struct frame_seen seen;

	memcpy(inner.bytes, outer->bytes, ETHERNET_BYTES);
	memcpy(inner.bytes + 12, *ip >> 4 == 6 ? "\x86\xdd" : "\x08\x00", 2);
	memcpy(inner.bytes + ETHERNET_BYTES, ip, inner.size - ETHERNET_BYTES);
	assert_true(frame_read(inner.bytes, inner.size, &seen));
	return seen;
}

/* The outer header's source, destination and protocol. */
static void outer_check(const struct frame *frame, const struct family *family, const char *source,
			uint8_t proto)
{
	const uint8_t *ip = frame->bytes + ETHERNET_BYTES;
	struct ip_addr src = {0}, dst = {0}, wanted;

	if (family->outer_ipv6) {
		memcpy(&src, ip + 8, 16);
		memcpy(&dst, ip + 24, 16);
		assert_int_equal(ip[6], proto);
	} else {
		src.words[2] = dst.words[2] = htonl(0xffff);
		memcpy(&src.words[3], ip + 12, 4);
		memcpy(&dst.words[3], ip + 16, 4);
		assert_int_equal(ip[9], proto);
	}
	address_parse(source, &wanted);
	assert_true(address_equal(&src, &wanted));
	address_parse(family->endpoint, &wanted);
	assert_true(address_equal(&dst, &wanted));
}

static void a_probe_leaves_as_a_clients_packet_to_the_vip(void **state)
{
	static const uint8_t endpoint_ways[] = {WAY_IPIP, WAY_GUE, WAY_L2};

	for (EACH_FAMILY(family)) {
		for (size_t i = 0; i < ARRAY_SIZE(endpoint_ways); i++) {
			uint8_t way = endpoint_ways[i];
			struct bench *bench = bench_probing(state, family, way);
			struct frame_spec spec = probe_spec(family);
			size_t overhead = way == WAY_L2 ? 0 : family->header_bytes;
			struct frame_seen seen;
			struct sent sent;

			overhead += way == WAY_GUE ? 8 : 0;
			sent = probe(bench, &spec, MARK);
			assert_int_equal(sent.result, TC_ACT_UNSPEC);
			seen = inner_of(&sent.frame, overhead);
			assert_string_equal(seen.src, family->gateway);
			assert_string_equal(seen.dst, family->vip);
			assert_int_equal(seen.src_port, PORT);
			assert_int_equal(seen.dst_port, 80);
			assert_int_equal(seen.ttl, 64);
			assert_true(seen.l3_checksum_right);
			assert_true(seen.l4_checksum_right);
			if (way == WAY_IPIP)
				outer_check(&sent.frame, family, family->gateway,
					    family->is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP);
			if (way == WAY_GUE)
				outer_check(&sent.frame, family, family->gateway, IPPROTO_UDP);
			assert_int_equal(sent.mark, 0);
			assert_true(bench_only(bench, VERDICT_PROBE_SENT));
			assert_int_equal(record_of(bench)->sent, 1);
		}
	}
}

static void a_vip_of_the_other_family_gets_packets_of_its_own(void **state)
{
	static const uint8_t endpoint_ways[] = {WAY_IPIP, WAY_GUE};

	for (EACH_MIX(family)) {
		for (size_t i = 0; i < ARRAY_SIZE(endpoint_ways); i++) {
			bool is_gue = endpoint_ways[i] == WAY_GUE;
			struct bench *bench = bench_probing(state, family, endpoint_ways[i]);
			struct frame_spec spec = probe_spec(family);
			struct frame_seen seen;
			struct frame frame;
			struct sent sent;

			frame_build(&frame, &spec);
			sent = egress(bench, &frame, MARK);
			assert_int_equal(sent.result, TC_ACT_UNSPEC);
			/* the link header is the outer packet's, and that the socket's */
			assert_memory_equal(sent.frame.bytes, frame.bytes, ETHERNET_BYTES);
			seen = inner_of(&sent.frame, family->header_bytes + (is_gue ? 8 : 0));
			assert_string_equal(seen.src, family->vip_gateway);
			assert_string_equal(seen.dst, family->vip);
			assert_int_equal(seen.src_port, PORT);
			assert_int_equal(seen.dst_port, 80);
			assert_int_equal(seen.flags, FLAG_SYN);
			assert_int_equal(seen.ttl, 64);
			assert_true(seen.l3_checksum_right);
			assert_true(seen.l4_checksum_right);
			outer_check(&sent.frame, family, family->gateway,
				    is_gue	      ? IPPROTO_UDP
				    : family->is_ipv6 ? IPPROTO_IPV6
						      : IPPROTO_IPIP);
			assert_true(bench_only(bench, VERDICT_PROBE_SENT));
			assert_int_equal(record_of(bench)->sent, 1);
		}
	}
}

static void every_packet_of_a_probe_goes_the_same_way(void **state)
{
	static const uint8_t flags[] = {FLAG_ACK, FLAG_RST | FLAG_ACK, FLAG_FIN | FLAG_ACK};

	for (EACH_FAMILY(family)) {
		for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
			struct bench *bench = bench_probing(state, family, WAY_IPIP);
			struct frame_spec spec = probe_spec(family);
			struct sent sent;

			spec.flags = flags[i];
			sent = probe(bench, &spec, MARK);
			assert_string_equal(inner_of(&sent.frame, family->header_bytes).dst,
					    family->vip);
			assert_true(bench_only(bench, VERDICT_PROBE_SENT));
		}
	}
}

static void probes_are_no_traffic_of_the_vip_or_the_endpoint(void **state)
{
	for (EACH_FAMILY(family)) {
		struct bench *bench = bench_probing(state, family, WAY_IPIP);
		struct frame_spec spec = probe_spec(family);
		struct traffic vip[2], endpoint[2];

		vip_stats_read(bench->controller, 7, &vip[0]);
		ep_stats_read(bench->controller, ENDPOINT, &endpoint[0]);
		probe(bench, &spec, MARK);
		spec = answer_spec(family);
		way_send(bench, &(struct way){PROGRAM_XDP, family->is_ipv6, IPPROTO_TCP}, &spec,
			 true);
		vip_stats_read(bench->controller, 7, &vip[1]);
		ep_stats_read(bench->controller, ENDPOINT, &endpoint[1]);
		assert_int_equal(bench_counted(bench, VERDICT_PROBE_SENT), 1);
		assert_int_equal(bench_counted(bench, VERDICT_PROBE_RETURNED), 1);
		assert_memory_equal(&vip[0], &vip[1], sizeof(vip[0]));
		assert_memory_equal(&endpoint[0], &endpoint[1], sizeof(endpoint[0]));
	}
}

static void the_outer_source_is_the_paths_else_the_encap_address(void **state)
{
	for (EACH_FAMILY(family)) {
		struct bench *bench = bench_probing(state, family, WAY_IPIP);
		const char *source = family->is_ipv6 ? "fd00:77::7" : "10.77.0.7";
		const char *encap = family->is_ipv6 ? "fd00:78::8" : "10.78.0.8";
		struct frame_spec spec = probe_spec(family);
		struct contract contract = bench->writer->contract;
		struct path *path = &bench->controller->paths[ENDPOINT];
		struct sent sent;

		address_parse(encap, family->is_ipv6 ? &contract.encap6 : &contract.encap4);
		assert_int_equal(contract_put(bench->writer->fds[MAP_CONTRACT], &contract), 0);
		sent = probe(bench, &spec, MARK);
		outer_check(&sent.frame, family, encap,
			    family->is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP);
		address_parse(source, &path->src);
		path->nexthop = NEXTHOP_NONE;
		path->generation = 1;
		sent = probe(bench, &spec, MARK);
		outer_check(&sent.frame, family, source,
			    family->is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP);
	}
}

static void without_an_outer_source_it_is_dropped_by_name(void **state)
{
	for (EACH_FAMILY(family)) {
		struct bench *bench = bench_probing(state, family, WAY_GUE);
		struct frame_spec spec = probe_spec(family);
		struct contract contract = bench->writer->contract;

		memset(family->is_ipv6 ? &contract.snat6 : &contract.snat4, 0,
		       sizeof(struct ip_addr));
		assert_int_equal(contract_put(bench->writer->fds[MAP_CONTRACT], &contract), 0);
		assert_int_equal(probe(bench, &spec, MARK).result, TC_ACT_SHOT);
		assert_true(bench_only(bench, VERDICT_NO_SNAT_ADDRESS));
	}
}

static void a_probe_of_an_endpoint_that_has_gone_is_dropped(void **state)
{
	for (EACH_FAMILY(family)) {
		struct bench *bench = bench_probing(state, family, WAY_IPIP);
		struct frame_spec spec = probe_spec(family);

		bench->controller->endpoints[ENDPOINT].generation = 2;
		assert_int_equal(probe(bench, &spec, MARK).result, TC_ACT_SHOT);
		assert_true(bench_only(bench, VERDICT_NO_ENDPOINT));
		bench_mark(bench);
		bench->controller->endpoints[ENDPOINT].generation = 1;
		bench->controller->endpoints[ENDPOINT].way = WAY_NAT;
		assert_int_equal(probe(bench, &spec, MARK).result, TC_ACT_SHOT);
		assert_true(bench_only(bench, VERDICT_NO_ENDPOINT));
		assert_int_equal(record_of(bench)->sent, 0);
	}
}

/* Passes as it is, mark included, uncounted. */
static void assert_untouched(const struct bench *bench, const struct frame_spec *spec,
			     uint32_t mark)
{
	struct frame frame;
	struct sent sent;

	frame_build(&frame, spec);
	sent = egress(bench, &frame, mark);
	assert_int_equal(sent.result, TC_ACT_UNSPEC);
	assert_int_equal(sent.frame.size, frame.size);
	assert_memory_equal(sent.frame.bytes, frame.bytes, frame.size);
	assert_int_equal(sent.mark, mark);
	for (int verdict = 0; verdict < VERDICT_COUNT; verdict++)
		assert_int_equal(bench_counted(bench, (enum verdict)verdict), 0);
}

static void what_is_no_probe_leaves_untouched(void **state)
{
	static const uint32_t marks[] = {0,	   ENDPOINT,  1, 0x51c1u << 16 | ENDPOINT,
					 MARK + 1, 0xffffffff};

	for (EACH_FAMILY(family)) {
		struct bench *bench = bench_probing(state, family, WAY_IPIP);
		struct frame_spec right = probe_spec(family), spec = right;

		for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
			assert_untouched(bench, &right, marks[i]);
		spec.src_port = PROBE_PORT_LOW - 1;
		assert_untouched(bench, &spec, MARK);
		spec.src_port = PROBE_PORT_HIGH + 1;
		assert_untouched(bench, &spec, MARK);
		spec.src_port = PORT + 1; /* a record that nobody wrote yet */
		assert_untouched(bench, &spec, MARK);
		spec = right;
		spec.dst_port = 8001;
		assert_untouched(bench, &spec, MARK);
		spec = right;
		spec.dst = family->stranger;
		assert_untouched(bench, &spec, MARK);
		spec = right;
		spec.src = family->stranger;
		assert_untouched(bench, &spec, MARK);
		spec = right;
		spec.proto = IPPROTO_UDP;
		assert_untouched(bench, &spec, MARK);
		spec = right;
		spec.option_bytes = 8;
		assert_untouched(bench, &spec, MARK);
		spec = right;
		spec.length_lie = 100;
		assert_untouched(bench, &spec, MARK);
		record_of(bench)->generation = 0; /* it is being written */
		assert_untouched(bench, &right, MARK);
	}
}

static void without_a_mark_in_the_contract_nothing_is_a_probe(void **state)
{
	for (EACH_FAMILY(family)) {
		struct bench *bench = bench_probing(state, family, WAY_IPIP);
		struct frame_spec spec = probe_spec(family);
		struct contract contract = bench->writer->contract;

		contract.probe_mark = 0;
		assert_int_equal(contract_put(bench->writer->fds[MAP_CONTRACT], &contract), 0);
		assert_untouched(bench, &spec, MARK);
		assert_untouched(bench, &spec, ENDPOINT);
	}
}

static void a_frame_cut_anywhere_is_no_probe(void **state)
{
	for (EACH_FAMILY(family)) {
		struct bench *bench = bench_probing(state, family, WAY_GUE);
		struct frame_spec spec = probe_spec(family);
		struct frame frame;

		frame_build(&frame, &spec);
		while (--frame.size >= ETHERNET_BYTES + family->header_bytes)
			assert_int_equal(egress(bench, &frame, MARK).result, TC_ACT_UNSPEC);
		assert_int_equal(bench_counted(bench, VERDICT_PROBE_SENT), 0);
	}
}

/* ---- back ---- */

static const enum program_id programs[] = {PROGRAM_XDP, PROGRAM_TC};

static struct run answer(struct bench *bench, const struct family *family, enum program_id program,
			 const struct frame_spec *spec)
{
	const struct way way = {program, family->is_ipv6, IPPROTO_TCP};

	return way_send(bench, &way, spec, true);
}

static void the_answer_reaches_the_socket_as_the_endpoints(void **state)
{
	for (EACH_FAMILY(family)) {
		for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
			struct bench *bench = bench_probing(state, family, WAY_IPIP);
			struct frame_spec spec = answer_spec(family);
			struct frame_seen seen, before;
			struct frame frame;
			struct run run;

			frame_build(&frame, &spec);
			assert_true(frame_read(frame.bytes, frame.size, &before));
			run = answer(bench, family, programs[i], &spec);
			assert_true(run.is_passed);
			assert_true(frame_read(run.out.bytes, run.out.size, &seen));
			assert_string_equal(seen.src, family->endpoint);
			assert_string_equal(seen.dst, family->gateway);
			assert_int_equal(seen.src_port, 8000);
			assert_int_equal(seen.dst_port, PORT);
			assert_int_equal(seen.flags, FLAG_SYN | FLAG_ACK);
			assert_int_equal(seen.ttl, 61);
			assert_memory_equal(seen.dst_mac, before.dst_mac, 6);
			assert_memory_equal(seen.src_mac, before.src_mac, 6);
			assert_true(seen.l3_checksum_right);
			assert_true(seen.l4_checksum_right);
			if (programs[i] == PROGRAM_XDP)
				assert_int_equal(run.mark_verdict, VERDICT_PROBE_RETURNED);
			assert_true(bench_only(bench, VERDICT_PROBE_RETURNED));
			assert_int_equal(record_of(bench)->returned, 1);
		}
	}
}

static void an_answer_of_the_other_family_is_changed_by_tc(void **state)
{
	for (EACH_MIX(family)) {
		struct bench *bench = bench_probing(state, family, WAY_IPIP);
		struct frame_spec spec = answer_spec(family);
		struct frame_seen seen;
		struct frame frame;
		struct run run;

		frame_build(&frame, &spec);
		run = answer(bench, family, PROGRAM_XDP, &spec);
		assert_true(run.is_passed);
		assert_int_equal(run.mark_verdict, VERDICT_COUNT);
		assert_memory_equal(run.out.bytes, frame.bytes, frame.size);
		assert_int_equal(record_of(bench)->returned, 0);
		run = answer(bench, family, PROGRAM_TC, &spec);
		assert_true(run.is_passed);
		assert_true(frame_read(run.out.bytes, run.out.size, &seen));
		assert_string_equal(seen.src, family->endpoint);
		assert_string_equal(seen.dst, family->gateway);
		assert_int_equal(seen.src_port, 8000);
		assert_int_equal(seen.dst_port, PORT);
		assert_int_equal(seen.flags, FLAG_SYN | FLAG_ACK);
		assert_true(seen.l3_checksum_right);
		assert_true(seen.l4_checksum_right);
		assert_true(bench_only(bench, VERDICT_PROBE_RETURNED));
		assert_int_equal(record_of(bench)->returned, 1);
	}
}

static void generic_xdp_leaves_the_answer_to_tc(void **state)
{
	for (EACH_FAMILY(family)) {
		struct bench *bench = bench_probing(state, family, WAY_IPIP);
		struct frame_spec spec = answer_spec(family);
		struct frame frame;
		struct run run;

		frame_build(&frame, &spec);
		run = answer(bench, family, PROGRAM_XDP_GENERIC, &spec);
		assert_true(run.is_passed);
		assert_int_equal(run.mark_verdict, VERDICT_COUNT);
		assert_memory_equal(run.out.bytes, frame.bytes, frame.size);
		assert_int_equal(record_of(bench)->returned, 0);
	}
}

static void assert_stranger(struct bench *bench, const struct family *family,
			    const struct frame_spec *spec)
{
	struct frame frame;

	frame_build(&frame, spec);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		struct run run = answer(bench, family, programs[i], spec);

		assert_true(run.is_passed);
		assert_int_equal(run.out.size, frame.size);
		assert_memory_equal(run.out.bytes, frame.bytes, frame.size);
	}
	assert_int_equal(bench_counted(bench, VERDICT_PROBE_RETURNED), 0);
	assert_int_equal(record_of(bench)->returned, 0);
}

static void what_differs_from_the_answer_is_a_strangers(void **state)
{
	for (EACH_FAMILY(family)) {
		struct bench *bench = bench_probing(state, family, WAY_IPIP);
		struct frame_spec right = answer_spec(family), spec = right;

		spec.src_port = 81;
		assert_stranger(bench, family, &spec);
		spec = right;
		spec.src = family->endpoint; /* not the VIP: it came by another way */
		spec.src_port = 8000;
		assert_stranger(bench, family, &spec);
		spec = right;
		spec.dst = family->stranger;
		assert_stranger(bench, family, &spec);
		spec = right;
		spec.dst_port = PORT + 1;
		assert_stranger(bench, family, &spec);
		spec = right;
		spec.proto = IPPROTO_UDP;
		assert_stranger(bench, family, &spec);
		spec = right;
		spec.option_bytes = 8;
		assert_stranger(bench, family, &spec);
		record_of(bench)->generation = 0;
		assert_stranger(bench, family, &right);
	}
}

/* A probe stands for the VIP, and clients' packets to it go on as ever. */
static void a_client_with_a_port_of_a_probe_is_served(void **state)
{
	for (EACH_FAMILY(family)) {
		for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
			struct bench *bench = bench_probing(state, family, WAY_IPIP);
			const struct way way = {programs[i], family->is_ipv6, IPPROTO_TCP};

			assert_true(way_ask(bench, &way, PORT, FLAG_SYN).is_sent);
			assert_true(bench_only(bench, VERDICT_FORWARDED));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_probe_leaves_as_a_clients_packet_to_the_vip),
		cmocka_unit_test(a_vip_of_the_other_family_gets_packets_of_its_own),
		cmocka_unit_test(every_packet_of_a_probe_goes_the_same_way),
		cmocka_unit_test(probes_are_no_traffic_of_the_vip_or_the_endpoint),
		cmocka_unit_test(the_outer_source_is_the_paths_else_the_encap_address),
		cmocka_unit_test(without_an_outer_source_it_is_dropped_by_name),
		cmocka_unit_test(a_probe_of_an_endpoint_that_has_gone_is_dropped),
		cmocka_unit_test(what_is_no_probe_leaves_untouched),
		cmocka_unit_test(without_a_mark_in_the_contract_nothing_is_a_probe),
		cmocka_unit_test(a_frame_cut_anywhere_is_no_probe),
		cmocka_unit_test(the_answer_reaches_the_socket_as_the_endpoints),
		cmocka_unit_test(an_answer_of_the_other_family_is_changed_by_tc),
		cmocka_unit_test(generic_xdp_leaves_the_answer_to_tc),
		cmocka_unit_test(what_differs_from_the_answer_is_a_strangers),
		cmocka_unit_test(a_client_with_a_port_of_a_probe_is_served),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
