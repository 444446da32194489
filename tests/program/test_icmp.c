// SPDX-License-Identifier: BSD-2-Clause
/* ICMP and ICMPv6: errors follow the flow that they quote, on every road and through
 * NAT both ways; echo requests to a VIP are answered; all else is let alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/road.h"
#include "userspace/base/cleanup.h"

static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP};

/* Somewhere between the gateway and the client, or between it and the endpoint. */
static const char *router(const struct road *road)
{
	return road->is_ipv6 ? "fd00:1::77" : "10.1.0.77";
}

struct error {
	uint8_t type, code;
	uint32_t word;
};

static const struct error errors4[] = {{3, 1, 0}, {3, 4, 1400}, {11, 0, 0}, {12, 0, 0x14000000}};
static const struct error errors6[] = {{1, 3, 0}, {2, 0, 1400}, {3, 0, 0}, {4, 0, 40}};

static struct frame_spec error_spec(const struct road *road, const struct error *error,
				    const char *src, const char *dst,
				    const struct frame_spec *quoted, uint16_t quoted_bytes)
{
	return (struct frame_spec){.src = src,
				   .dst = dst,
				   .proto = road_icmp(road),
				   .icmp_type = error->type,
				   .icmp_code = error->code,
				   .icmp_word = error->word,
				   .inner = quoted,
				   .inner_bytes = quoted_bytes};
}

static const struct error *error_of(const struct road *road, int i)
{
	return road->is_ipv6 ? &errors6[i] : &errors4[i];
}

/* What the client was sent, as a router on its way quotes it. */
static struct frame_spec sent_to_client(const struct road *road, uint8_t proto, uint16_t port)
{
	return (struct frame_spec){.src = road_vip(road),
				   .dst = road_client(road),
				   .src_port = 80,
				   .dst_port = port,
				   .proto = proto,
				   .flags = FLAG_ACK,
				   .ttl = 61,
				   .payload_bytes = 500};
}

/* The same as the endpoint sent it, for which it was its own and the gateway's. */
static struct frame_spec sent_by_endpoint(const struct road *road, uint8_t proto, uint32_t id,
					  uint16_t snat_port)
{
	struct frame_spec spec = sent_to_client(road, proto, snat_port);

	spec.src = road_endpoint(road, id);
	spec.dst = road_snat(road);
	spec.src_port = 8000;
	return spec;
}

/* From the least that RFC 792 asks for to all of it, past each checksum. */
static const uint16_t quotes[] = {8, 9, 16, 18, 20, 64, 500};

static size_t ip_header_bytes(const struct road *road)
{
	return road->is_ipv6 ? 40 : 20;
}

static void an_error_goes_to_the_endpoint_of_the_flow_it_quotes(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);

		for (size_t i = 0; i < 4 * ARRAY_SIZE(protos); i++) {
			uint8_t proto = protos[i / 4];
			uint16_t port = (uint16_t)(4000 + i), snat_port;
			uint32_t id = road_open(bench, road, proto, port, &snat_port);
			struct frame_spec quoted = sent_to_client(road, proto, port);
			struct frame_spec spec = error_spec(road, error_of(road, i % 4),
							    router(road), road_vip(road), &quoted,
							    0);
			struct frame frame;
			struct run run;

			if (road->way == WAY_NAT)
				continue;
			frame_build(&frame, &spec);
			run = road_send_frame(bench, road, &frame, false);
			road_assert_carried(bench, road, &run, &frame, id);
		}
	}
}

static void through_nat_an_error_and_its_quote_are_translated_for_the_endpoint(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench;

		if (road->way != WAY_NAT)
			continue;
		bench = road_bench(state, road);
		for (size_t i = 0; i < ARRAY_SIZE(quotes) * ARRAY_SIZE(protos) * 4; i++) {
			uint8_t proto = protos[i % 2];
			uint16_t bytes = (uint16_t)(ip_header_bytes(road) + quotes[i / 2 % 7]);
			const struct error *error = error_of(road, (int)(i / 14));
			uint16_t port = (uint16_t)(4000 + i % 2), snat_port;
			uint32_t id = road_open(bench, road, proto, port, &snat_port);
			struct frame_spec quoted = sent_to_client(road, proto, port);
			struct frame_spec inside = sent_by_endpoint(road, proto, id, snat_port);
			struct frame_spec in = error_spec(road, error, router(road), road_vip(road),
							  &quoted, bytes);
			struct frame_spec out = error_spec(road, error, router(road),
							   road_endpoint(road, id), &inside, bytes);
			struct run run = road_send(bench, road, &in, false);

			out.ttl = 63;
			assert_true(bench_only(bench, VERDICT_FORWARDED));
			road_assert_is(&run, &out);
		}
	}
}

static void through_nat_an_error_from_behind_the_gateway_is_translated_for_the_client(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench;

		if (road->way != WAY_NAT)
			continue;
		bench = road_bench(state, road);
		for (size_t i = 0; i < ARRAY_SIZE(quotes) * ARRAY_SIZE(protos) * 4; i++) {
			uint8_t proto = protos[i % 2];
			uint16_t bytes = (uint16_t)(ip_header_bytes(road) + quotes[i / 2 % 7]);
			const struct error *error = error_of(road, (int)(i / 14));
			uint16_t port = (uint16_t)(4000 + i % 2), snat_port;
			uint32_t id = road_open(bench, road, proto, port, &snat_port);
			struct frame_spec quoted = road_request(road, proto, snat_port, FLAG_ACK);
			struct frame_spec inside = road_request(road, proto, port, FLAG_ACK);
			struct frame_spec in = error_spec(road, error, road_endpoint(road, id),
							  road_snat(road), &quoted, bytes);
			struct frame_spec out = error_spec(road, error, road_vip(road),
							   road_client(road), &inside, bytes);
			struct run run;

			quoted.src = road_snat(road);
			quoted.dst = road_endpoint(road, id);
			quoted.dst_port = 8000;
			out.ttl = 63;
			run = road_send(bench, road, &in, true);
			assert_true(bench_only(bench, VERDICT_RETURNED));
			road_assert_is(&run, &out);
		}
	}
}

static void a_quoted_udp_packet_without_checksum_stays_without(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench;
		struct frame_spec quoted, inside, in, out;
		uint16_t snat_port;
		struct run run;
		uint32_t id;

		if (road->way != WAY_NAT || road->is_ipv6)
			continue;
		bench = road_bench(state, road);
		id = road_open(bench, road, IPPROTO_UDP, 4000, &snat_port);
		quoted = sent_to_client(road, IPPROTO_UDP, 4000);
		inside = sent_by_endpoint(road, IPPROTO_UDP, id, snat_port);
		quoted.no_udp_checksum = true;
		inside.no_udp_checksum = true;
		in = error_spec(road, &errors4[0], router(road), road_vip(road), &quoted, 28);
		out = error_spec(road, &errors4[0], router(road), road_endpoint(road, id), &inside,
				 28);
		out.ttl = 63;
		run = road_send(bench, road, &in, false);
		road_assert_is(&run, &out);
	}
}

/* Headers in front of the quoted L4 header, and of the error itself. */
static void options_and_extension_headers_do_not_hide_the_flow(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);
		uint16_t snat_port;
		uint32_t id = road_open(bench, road, IPPROTO_TCP, 4000, &snat_port);

		for (uint8_t bytes = 8; bytes <= 40; bytes += 8) {
			struct frame_spec quoted = sent_to_client(road, IPPROTO_TCP, 4000);
			struct frame_spec inside =
				sent_by_endpoint(road, IPPROTO_TCP, id, snat_port);
			struct frame_spec in = error_spec(road, error_of(road, 1), router(road),
							  road_vip(road), &quoted, 0);
			struct frame_spec out = error_spec(road, error_of(road, 1), router(road),
							   road_endpoint(road, id), &inside, 0);
			struct frame frame;
			struct run run;

			quoted.option_bytes = inside.option_bytes = bytes;
			in.option_bytes = out.option_bytes = (uint8_t)(48 - bytes);
			out.ttl = 63;
			frame_build(&frame, &in);
			run = road_send_frame(bench, road, &frame, false);
			if (road->way == WAY_NAT)
				road_assert_is(&run, &out);
			else
				road_assert_carried(bench, road, &run, &frame, id);
		}
	}
}

static void assert_unknown(struct bench *bench, const struct road *road,
			   const struct frame_spec *spec)
{
	struct run run = road_send(bench, road, spec, false);

	assert_true(bench_only(bench, VERDICT_ICMP_UNKNOWN));
	assert_true(run.is_dropped);
}

static void an_error_that_quotes_no_flow_of_ours_is_dropped_by_name(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);
		struct frame_spec quoted = sent_to_client(road, IPPROTO_TCP, 4000);
		struct frame_spec spec = error_spec(road, error_of(road, 0), router(road),
						    road_vip(road), &quoted, 0);

		if (road->way == WAY_NAT) /* others have the ring to ask */
			assert_unknown(bench, road, &spec);
		quoted.src_port = 81; /* no VIP */
		assert_unknown(bench, road, &spec);
		quoted.src_port = 80;
		quoted.src = road->is_ipv6 ? "fd00:99::2" : "10.99.0.2"; /* not who it is told to */
		assert_unknown(bench, road, &spec);
		quoted.src = road_vip(road);
		quoted.fragment_offset = 8; /* no ports */
		assert_unknown(bench, road, &spec);
		quoted.fragment_offset = 0;
		quoted.proto = 50;
		assert_unknown(bench, road, &spec);
		quoted.proto = IPPROTO_TCP;
		for (uint16_t bytes = 1; bytes < ip_header_bytes(road) + 8; bytes++) {
			spec.inner_bytes = bytes;
			assert_unknown(bench, road, &spec);
		}
	}
}

static void an_error_about_an_l7_vip_or_a_stranger_is_passed(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);
		struct frame_spec quoted = sent_to_client(road, IPPROTO_TCP, 4000);
		struct frame_spec spec = error_spec(road, error_of(road, 0), router(road),
						    road_vip(road), &quoted, 0);
		struct run run;

		bench_vip(bench, road_vip(road), 81, IPPROTO_TCP, VIP_MODE_L7);
		quoted.src_port = 81;
		run = road_send(bench, road, &spec, false);
		assert_true(run.is_passed);
		assert_true(bench_only(bench, VERDICT_L7_LOCAL));
		spec.dst = quoted.src = road->is_ipv6 ? "fd00:99::2" : "10.99.0.2";
		run = road_send(bench, road, &spec, false);
		assert_true(run.is_passed);
		assert_true(bench_only(bench, VERDICT_NOT_A_VIP));
		spec.dst = quoted.src = road->is_ipv6 ? "fd00:2::1" : "10.2.0.1"; /* our own */
		run = road_send(bench, road, &spec, true);
		assert_true(run.is_passed);
		assert_true(bench_only(bench, VERDICT_NOT_A_VIP));
	}
}

static void an_error_touches_no_flow(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);
		size_t bytes = bench->controller->contract.flow_sets * sizeof(struct flow_set);
		struct frame_spec quoted = sent_to_client(road, IPPROTO_UDP, 4000);
		struct frame_spec spec = error_spec(road, error_of(road, 0), router(road),
						    road_vip(road), &quoted, 0);
		static struct flow_set before[FLOW_SETS_DEFAULT];
		uint16_t snat_port;

		assert_true(bytes <= sizeof(before));
		road_open(bench, road, IPPROTO_UDP, 4000, &snat_port);
		memcpy(before, bench->controller->flows, bytes);
		for (uint16_t port = 4000; port < 4100; port++) {
			quoted.dst_port = port;
			road_send(bench, road, &spec, false);
		}
		assert_memory_equal(before, bench->controller->flows, bytes);
	}
}

static void an_error_cut_at_any_byte_is_never_sent(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);
		struct frame_spec quoted = sent_to_client(road, IPPROTO_TCP, 4000);
		struct frame_spec spec = error_spec(road, error_of(road, 1), router(road),
						    road_vip(road), &quoted, 0);
		uint16_t snat_port;

		quoted.payload_bytes = 20;
		quoted.option_bytes = 8;
		road_open(bench, road, IPPROTO_TCP, 4000, &snat_port);
		cuts_hold(bench, road->program, false, &spec);
	}
}

static void any_byte_of_an_error_may_be_wrong_and_its_length_stays(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);
		struct frame_spec quoted = sent_to_client(road, IPPROTO_TCP, 4000);
		struct frame_spec spec = error_spec(road, error_of(road, 1), router(road),
						    road_vip(road), &quoted, 0);
		struct frame whole;
		uint16_t snat_port;

		quoted.payload_bytes = 4;
		road_open(bench, road, IPPROTO_TCP, 4000, &snat_port);
		frame_build(&whole, &spec);
		for (size_t at = 14 + ip_header_bytes(road); at < whole.size; at++) {
			struct frame frame = whole;
			struct run run;

			frame.bytes[at] ^= 0xff;
			run = road_send_frame(bench, road, &frame, false);
			if (run.is_sent && road->way == WAY_NAT)
				assert_int_equal(run.out.size, whole.size);
			else if (run.is_sent)
				road_assert_carried(bench, road, &run, &frame, bench_got(bench));
		}
	}
}

/* ---- echo ---- */

static struct frame_spec echo_spec(const struct road *road)
{
	return (struct frame_spec){.src = road_client(road),
				   .dst = road_vip(road),
				   .proto = road_icmp(road),
				   .icmp_type = road->is_ipv6 ? 128 : 8,
				   .icmp_word = 0x00010001,
				   .tos = 0x10,
				   .payload_bytes = 56};
}

/* One road a program and family is enough. */
static bool road_is_first(const struct road *road)
{
	return road->way == WAY_L2;
}

static void an_echo_request_to_a_vip_is_answered(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench;
		struct frame_spec in, out;
		struct run run;

		if (!road_is_first(road))
			continue;
		bench = road_bench(state, road);
		in = out = echo_spec(road);
		in.ttl = 3;
		out.src = in.dst;
		out.dst = in.src;
		out.icmp_type = road->is_ipv6 ? 129 : 0;
		out.tos = 0;
		for (uint32_t i = 0; i < 500; i++) { /* every carry of the checksum */
			in.icmp_word = out.icmp_word = i * 0x9e3779b9;
			run = road_send(bench, road, &in, false);
			road_assert_is(&run, &out);
		}
		assert_true(bench_only(bench, VERDICT_ECHO_REPLY));
		assert_memory_equal(run.out.bytes, "\2\0\0\0\0\2\2\0\0\0\0\1", 12);
	}
}

static void an_echo_request_that_is_odd_or_not_to_a_vip_is_passed(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench;

		if (!road_is_first(road))
			continue;
		bench = road_bench(state, road);
		for (int i = 0; i < 5; i++) {
			struct frame_spec spec = echo_spec(road);

			if (i == 0)
				spec.dst = road->is_ipv6 ? "fd00:99::2" : "10.99.0.2";
			else if (i == 1)
				spec.option_bytes = 8;
			else if (i == 2)
				spec.icmp_type = road->is_ipv6 ? 129 : 0;
			else if (i == 3)
				spec.src = road->is_ipv6 ? "ff02::1" : "224.0.0.1";
			else
				spec.is_fragment = true;
			assert_true(road_send(bench, road, &spec, false).is_passed);
			assert_true(bench_only(bench, VERDICT_NOT_A_VIP));
		}
	}
}

static void an_echo_request_cut_at_any_byte_is_not_answered(void **state)
{
	for (EACH_ROAD(road)) {
		struct frame_spec spec = echo_spec(road);

		if (road_is_first(road))
			cuts_hold(road_bench(state, road), road->program, false, &spec);
	}
}

static void generic_xdp_leaves_answering_to_tc(void **state)
{
	const struct road *road = &roads[0];
	struct bench *bench = road_bench(state, road);
	struct frame_spec spec = echo_spec(road);
	struct frame frame;
	struct run run;

	frame_build(&frame, &spec);
	run = bench_run(bench, PROGRAM_XDP_GENERIC, bench->client_ifindex, &frame);
	assert_true(run.is_passed);
	assert_memory_equal(run.out.bytes, frame.bytes, frame.size);
	assert_int_equal(bench_counted(bench, VERDICT_ECHO_REPLY), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_goes_to_the_endpoint_of_the_flow_it_quotes),
		cmocka_unit_test(
			through_nat_an_error_and_its_quote_are_translated_for_the_endpoint),
		cmocka_unit_test(
			through_nat_an_error_from_behind_the_gateway_is_translated_for_the_client),
		cmocka_unit_test(a_quoted_udp_packet_without_checksum_stays_without),
		cmocka_unit_test(options_and_extension_headers_do_not_hide_the_flow),
		cmocka_unit_test(an_error_that_quotes_no_flow_of_ours_is_dropped_by_name),
		cmocka_unit_test(an_error_about_an_l7_vip_or_a_stranger_is_passed),
		cmocka_unit_test(an_error_touches_no_flow),
		cmocka_unit_test(an_error_cut_at_any_byte_is_never_sent),
		cmocka_unit_test(any_byte_of_an_error_may_be_wrong_and_its_length_stays),
		cmocka_unit_test(an_echo_request_to_a_vip_is_answered),
		cmocka_unit_test(an_echo_request_that_is_odd_or_not_to_a_vip_is_passed),
		cmocka_unit_test(an_echo_request_cut_at_any_byte_is_not_answered),
		cmocka_unit_test(generic_xdp_leaves_answering_to_tc),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
