// SPDX-License-Identifier: BSD-2-Clause
/* L4 VIPs: packets to an endpoint and back, in every program, family and
 * protocol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "maps/access/maps.h"
#include "tests/harness/packet.h"
#include "tests/harness/program.h"
#include "tests/harness/way.h"

static void a_new_flow_goes_to_an_endpoint_from_the_nat_address(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct traffic before, after;
		struct frame_seen seen;
		struct run run;

		bench_serve(bench, way->is_ipv6);
		assert_int_equal(vip_stats_read(bench->controller, 7, &before), 0);
		run = way_ask(bench, way, 4000, 0);
		seen = way_sent(&run);
		assert_string_equal(seen.src, way_snat(way));
		assert_in_range(seen.src_port, BENCH_SNAT_LOW, BENCH_SNAT_HIGH);
		assert_in_range(way_endpoint(&seen), 0, 2);
		assert_int_equal(seen.dst_port, 8000);
		assert_int_equal(seen.payload_bytes, 33);
		assert_int_equal(seen.ttl, 63);
		assert_true(bench_only(bench, VERDICT_FORWARDED));
		assert_int_equal(vip_stats_read(bench->controller, 7, &after), 0);
		assert_int_equal(after.packets - before.packets, 1);
	}
}

static void xdp_writes_the_neighbours_address(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 2};

	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_seen seen;
		struct run run;

		if (way->program != PROGRAM_XDP)
			continue;
		bench_serve(bench, way->is_ipv6);
		run = way_ask(bench, way, 4000, 0);
		seen = way_sent(&run);
		assert_memory_equal(seen.dst_mac, mac, 5);
		assert_int_equal(seen.dst_mac[5], way_endpoint(&seen) + 2);
	}
}

static void an_answer_goes_back_to_the_client_from_the_vip(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_seen there, back;
		struct run run;

		bench_serve(bench, way->is_ipv6);
		run = way_ask(bench, way, 4000, 0);
		there = way_sent(&run);
		bench_mark(bench);
		run = way_answer(bench, way, &there, FLAG_SYN | FLAG_ACK);
		back = way_sent(&run);
		assert_string_equal(back.src, way_vip(way));
		assert_string_equal(back.dst, way_client(way));
		assert_int_equal(back.src_port, 80);
		assert_int_equal(back.dst_port, 4000);
		assert_int_equal(back.payload_bytes, 700);
		assert_int_equal(back.ttl, 63);
		assert_true(bench_only(bench, VERDICT_RETURNED));
	}
}

static void all_packets_of_a_flow_go_to_one_endpoint_by_one_port(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_seen first;
		struct run run;

		bench_serve(bench, way->is_ipv6);
		run = way_ask(bench, way, 4000, 0);
		first = way_sent(&run);
		for (int i = 0; i < 200; i++) { /* past the check of the other half */
			struct frame_seen seen;

			run = way_ask(bench, way, 4000, FLAG_ACK);
			seen = way_sent(&run);
			assert_string_equal(seen.dst, first.dst);
			assert_int_equal(seen.src_port, first.src_port);
		}
	}
}

static void flows_spread_over_endpoints_and_ports(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		int counts[3] = {0};

		bench_serve(bench, way->is_ipv6);
		for (uint16_t port = 1000; port < 1300; port++) {
			struct run run = way_ask(bench, way, port, 0);
			struct frame_seen seen = way_sent(&run);

			counts[way_endpoint(&seen)]++;
		}
		for (int i = 0; i < 3; i++)
			assert_in_range(counts[i], 60, 140);
	}
}

static void a_udp_packet_without_checksum_stays_so(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_spec spec = way_request(way, 4000, 0);
		struct run run;

		if (way->proto != IPPROTO_UDP || way->is_ipv6)
			continue;
		bench_serve(bench, false);
		spec.no_udp_checksum = true;
		run = way_send(bench, way, &spec, false);
		assert_int_equal(way_sent(&run).l4_checksum, 0);
	}
}

static void a_udp_checksum_that_becomes_zero_is_sent_as_ffff(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_spec spec = way_request(way, 4000, 0);
		struct frame_seen seen;
		struct run run;

		if (way->proto != IPPROTO_UDP)
			continue;
		bench_serve(bench, way->is_ipv6);
		run = way_send(bench, way, &spec, false);
		seen = way_sent(&run);
		/* the first payload word is 0x0001: raising it by the checksum makes the sum ffff
		 */
		spec.payload_word = (uint16_t)(1 + seen.l4_checksum + (seen.l4_checksum == 0xffff));
		if (spec.payload_word < seen.l4_checksum)
			spec.payload_word++; /* end-around carry */
		run = way_send(bench, way, &spec, false);
		assert_int_equal(way_sent(&run).l4_checksum, 0xffff);
	}
}

static void a_mid_flow_tcp_packet_of_no_flow_is_dropped(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct run run;

		if (way->proto != IPPROTO_TCP)
			continue;
		bench_serve(bench, way->is_ipv6);
		run = way_ask(bench, way, 4000, FLAG_ACK);
		assert_true(run.is_dropped);
		assert_true(bench_only(bench, VERDICT_NO_FLOW));
	}
}

static void the_ttl_is_not_taken_below_one(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_spec spec = way_request(way, 4000, 0);
		struct run run;

		bench_serve(bench, way->is_ipv6);
		spec.ttl = 1;
		run = way_send(bench, way, &spec, false);
		assert_true(run.is_dropped);
		assert_true(bench_only(bench, VERDICT_TTL));
		spec.ttl = 2;
		run = way_send(bench, way, &spec, false);
		assert_int_equal(way_sent(&run).ttl, 1);
	}
}

static void a_pool_without_ring_or_endpoint_drops_by_name(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		static const uint32_t ids[] = {0, 1, 2};

		bench_serve(bench, way->is_ipv6);
		rings_remove(bench->controller, 0);
		assert_true(way_ask(bench, way, 4000, 0).is_dropped);
		assert_true(bench_only(bench, VERDICT_NO_RING));
		bench_ring(bench, ids, 0);
		bench_mark(bench);
		assert_true(way_ask(bench, way, 4000, 0).is_dropped);
		assert_true(bench_only(bench, VERDICT_NO_ENDPOINT));
		bench_ring(bench, ids, 3);
		for (uint32_t id = 0; id < 3; id++)
			bench_endpoint_remove(bench, id);
		bench_mark(bench);
		assert_true(way_ask(bench, way, 4000, 0).is_dropped);
		assert_true(bench_only(bench, VERDICT_NO_ENDPOINT));
	}
}

static void an_endpoint_of_the_other_family_is_refused_by_name(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		static const uint32_t ids[] = {0};

		bench_serve(bench, way->is_ipv6);
		bench_ring(bench, ids, 1);
		bench_endpoint(bench, 0, way->is_ipv6 ? "10.2.0.2" : "fd00:2::2");
		assert_true(way_ask(bench, way, 4000, 0).is_dropped);
		assert_true(bench_only(bench, VERDICT_FAMILY_MISMATCH));
	}
}

static void without_nat_address_new_flows_are_refused_by_name(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct contract contract = bench->writer->contract;

		bench_serve(bench, way->is_ipv6);
		memset(&contract.snat4, 0, sizeof(contract.snat4));
		memset(&contract.snat6, 0, sizeof(contract.snat6));
		contract_put(bench->writer->fds[MAP_CONTRACT], &contract);
		assert_true(way_ask(bench, way, 4000, 0).is_dropped);
		assert_true(bench_only(bench, VERDICT_NO_SNAT_ADDRESS));
	}
}

static void an_unknown_neighbour_is_left_to_tc(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		static const uint32_t ids[] = {0};
		struct run run;

		bench_serve(bench, way->is_ipv6);
		bench_ring(bench, ids, 1);
		bench_endpoint(bench, 0, way->is_ipv6 ? "fd00:2::5" : "10.2.0.5");
		run = way_ask(bench, way, 4000, 0);
		if (way->program == PROGRAM_TC) {
			assert_string_equal(way_sent(&run).src, way_snat(way));
			assert_true(bench_only(bench, VERDICT_FORWARDED));
			continue;
		}
		assert_true(run.is_passed);
		assert_int_equal(run.mark_verdict, VERDICT_TO_TC);
		assert_true(bench_only(bench, VERDICT_TO_TC));
	}
}

static void xdp_sends_only_by_devices_with_native_xdp(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_spec spec = way_request(way, 4000, 0);
		struct frame frame;
		struct run run;

		if (way->program != PROGRAM_XDP)
			continue;
		bench_serve(bench, way->is_ipv6);
		devices_remove(bench->writer, bench->endpoint_ifindex);
		frame_build(&frame, &spec);
		run = bench_run(bench, PROGRAM_XDP, bench->client_ifindex, &frame);
		assert_true(run.is_passed);
		assert_int_equal(run.mark_verdict, VERDICT_TO_TC);
		assert_memory_equal(run.out.bytes, frame.bytes, frame.size);
		assert_true(bench_only(bench, VERDICT_TO_TC));
	}
}

static void generic_xdp_drops_and_leaves_all_else_to_tc(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_spec spec = way_request(way, 4000, 0);
		struct frame frame;
		struct run run;

		bench_serve(bench, way->is_ipv6);
		frame_build(&frame, &spec);
		run = bench_run(bench, PROGRAM_XDP_GENERIC, bench->client_ifindex, &frame);
		assert_true(run.is_passed);
		assert_int_equal(run.mark_verdict, VERDICT_COUNT);
		assert_memory_equal(run.out.bytes, frame.bytes, frame.size);
		assert_int_equal(bench_counted(bench, VERDICT_TO_TC), 0);
		spec.ttl = 1;
		frame_build(&frame, &spec);
		run = bench_run(bench, PROGRAM_XDP_GENERIC, bench->client_ifindex, &frame);
		assert_true(run.is_dropped);
		assert_true(bench_only(bench, VERDICT_TTL));
	}
}

static void an_endpoint_without_route_is_dropped_by_name(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		static const uint32_t ids[] = {0};

		bench_serve(bench, way->is_ipv6);
		bench_ring(bench, ids, 1);
		bench_endpoint(bench, 0, way->is_ipv6 ? "fd77::5" : "192.0.2.5");
		assert_true(way_ask(bench, way, 4000, 0).is_dropped);
		assert_true(bench_only(bench, VERDICT_NO_ROUTE));
	}
}

static int flow_count(void *ctx, const struct flow_key *key, const struct nat_flow *flow)
{
	int *count = ctx;

	(void)key;
	(void)flow;
	(*count)++;
	return 0;
}

static int flows_counted(const struct bench *bench, bool reverse)
{
	int count = 0;

	assert_int_equal(flows_each(bench->controller, reverse, flow_count, &count), 0);
	return count;
}

static void a_packet_that_cannot_be_sent_takes_no_port(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		static const uint32_t ids[] = {0};

		bench_serve(bench, way->is_ipv6);
		bench_ring(bench, ids, 1);
		bench_endpoint(bench, 0, way->is_ipv6 ? "fd77::5" : "192.0.2.5");
		way_ask(bench, way, 4000, 0);
		assert_int_equal(flows_counted(bench, false), 0);
		assert_int_equal(flows_counted(bench, true), 0);
	}
}

static void a_stray_answer_passes_to_the_stack(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_spec spec = {.src = way->is_ipv6 ? "fd00:2::2" : "10.2.0.2",
					  .dst = way_snat(way),
					  .src_port = 8000,
					  .dst_port = BENCH_SNAT_LOW + 5,
					  .proto = way->proto,
					  .flags = FLAG_ACK};

		bench_serve(bench, way->is_ipv6);
		assert_true(way_send(bench, way, &spec, true).is_passed);
		assert_true(bench_only(bench, VERDICT_NOT_A_VIP));
	}
}

static void syns_and_answers_are_noted_for_the_controller(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		static const uint32_t ids[] = {1};
		struct passive before, after;
		struct frame_seen seen;
		struct run run;

		if (way->proto != IPPROTO_TCP)
			continue;
		bench_serve(bench, way->is_ipv6);
		bench_ring(bench, ids, 1);
		assert_int_equal(passive_read(bench->controller, 1, &before), 0);
		run = way_ask(bench, way, 4000, 0);
		seen = way_sent(&run);
		way_answer(bench, way, &seen, FLAG_SYN | FLAG_ACK);
		way_answer(bench, way, &seen, FLAG_RST);
		assert_int_equal(passive_read(bench->controller, 1, &after), 0);
		assert_int_equal(after.syns - before.syns, 1);
		assert_int_equal(after.synacks - before.synacks, 1);
		assert_int_equal(after.resets - before.resets, 1);
		assert_true(after.seen_at > before.seen_at);
	}
}

static void vips_and_endpoints_count_what_was_sent_to_them(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		static const uint32_t ids[] = {1};
		struct traffic vip_before, vip, endpoint_before, endpoint;
		struct frame_spec spec = way_request(way, 4000, 0);
		struct frame_seen seen;
		struct frame frame;
		struct run run;

		bench_serve(bench, way->is_ipv6);
		bench_ring(bench, ids, 1);
		assert_int_equal(vip_stats_read(bench->controller, 7, &vip_before), 0);
		assert_int_equal(ep_stats_read(bench->controller, 1, &endpoint_before), 0);
		frame_build(&frame, &spec);
		run = way_send(bench, way, &spec, false);
		seen = way_sent(&run);
		way_answer(bench, way, &seen, FLAG_ACK); /* counts for neither */
		spec.ttl = 1;
		way_send(bench, way, &spec, false); /* dropped: for the VIP only */
		assert_int_equal(vip_stats_read(bench->controller, 7, &vip), 0);
		assert_int_equal(ep_stats_read(bench->controller, 1, &endpoint), 0);
		assert_int_equal(vip.packets - vip_before.packets, 2);
		assert_int_equal(vip.bytes - vip_before.bytes, 2 * (frame.size - 14));
		assert_int_equal(endpoint.packets - endpoint_before.packets, 1);
		assert_int_equal(endpoint.bytes - endpoint_before.bytes, frame.size - 14);
	}
}

static void forwarding_set(const char *value)
{
	static const char *const paths[] = {"/proc/sys/net/ipv4/conf/cl/forwarding",
					    "/proc/sys/net/ipv6/conf/cl/forwarding"};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		_cleanup_(fclosep) FILE *file = fopen(paths[i], "w");

		assert_non_null(file);
		fputs(value, file);
	}
}

static void a_kernel_that_does_not_forward_is_named(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct run run;

		bench_serve(bench, way->is_ipv6);
		forwarding_set("0");
		run = way_ask(bench, way, 4000, 0);
		forwarding_set("1");
		assert_true(run.is_dropped);
		assert_true(bench_only(bench, VERDICT_FORWARDING_OFF));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_flow_goes_to_an_endpoint_from_the_nat_address),
		cmocka_unit_test(xdp_writes_the_neighbours_address),
		cmocka_unit_test(an_answer_goes_back_to_the_client_from_the_vip),
		cmocka_unit_test(all_packets_of_a_flow_go_to_one_endpoint_by_one_port),
		cmocka_unit_test(flows_spread_over_endpoints_and_ports),
		cmocka_unit_test(a_udp_packet_without_checksum_stays_so),
		cmocka_unit_test(a_udp_checksum_that_becomes_zero_is_sent_as_ffff),
		cmocka_unit_test(a_mid_flow_tcp_packet_of_no_flow_is_dropped),
		cmocka_unit_test(the_ttl_is_not_taken_below_one),
		cmocka_unit_test(a_pool_without_ring_or_endpoint_drops_by_name),
		cmocka_unit_test(an_endpoint_of_the_other_family_is_refused_by_name),
		cmocka_unit_test(without_nat_address_new_flows_are_refused_by_name),
		cmocka_unit_test(an_unknown_neighbour_is_left_to_tc),
		cmocka_unit_test(xdp_sends_only_by_devices_with_native_xdp),
		cmocka_unit_test(generic_xdp_drops_and_leaves_all_else_to_tc),
		cmocka_unit_test(an_endpoint_without_route_is_dropped_by_name),
		cmocka_unit_test(a_packet_that_cannot_be_sent_takes_no_port),
		cmocka_unit_test(a_stray_answer_passes_to_the_stack),
		cmocka_unit_test(vips_and_endpoints_count_what_was_sent_to_them),
		cmocka_unit_test(a_kernel_that_does_not_forward_is_named),
		cmocka_unit_test(syns_and_answers_are_noted_for_the_controller),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
