// SPDX-License-Identifier: BSD-2-Clause
/* QUIC: where connection ids name a server, and where they do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/road.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

#define SHORT 0x40
#define INITIAL 0xc0
#define ZERO_RTT 0xd0
#define HANDSHAKE 0xe0
#define CLIENTS 40

static struct bench *quic_bench(void **state, const struct road *road)
{
	struct bench *bench = road_bench(state, road);

	bench_vip_put(bench, road_vip(road), 80, IPPROTO_UDP,
		      (struct vip){.mode = VIP_MODE_L4,
				   .flags = VIP_F_QUIC | (road->way == WAY_NAT ? VIP_F_NAT : 0)});
	for (uint32_t id = 0; id < 3; id++)
		bench_cid(bench, 0x0102 + id, id);
	return bench;
}

static struct frame_spec quic_spec(const struct road *road, uint16_t port, uint8_t first,
				   uint16_t server_id)
{
	struct frame_spec spec = road_request(road, IPPROTO_UDP, port, 0);

	spec.quic = (struct frame_quic){.first = first,
					.dcid_bytes = 8,
					.dcid = {0x07, (uint8_t)(server_id >> 8),
						 (uint8_t)server_id, 9, 9, 9, 9, 9}};
	return spec;
}

/* How many of many clients' packets went to endpoint 1. */
static int went_to_one(struct bench *bench, const struct road *road, struct frame_spec spec)
{
	int count = 0;

	for (uint16_t port = 1000; port < 1000 + CLIENTS; port++) {
		spec.src_port = port;
		road_send(bench, road, &spec, false);
		assert_true(bench_only(bench, VERDICT_FORWARDED));
		count += bench_got(bench) == 1;
	}
	return count;
}

static void a_server_id_says_where_to_whatever_the_address(void **state)
{
	static const uint8_t firsts[] = {SHORT, 0x00, HANDSHAKE};

	for (EACH_ROAD(road)) {
		for (size_t i = 0; i < ARRAY_SIZE(firsts); i++) {
			struct bench *bench = quic_bench(state, road);
			struct frame_spec spec = quic_spec(road, 0, firsts[i], 0x0103);

			if (!firsts[i]) /* the fixed bit greased, RFC 9287 */
				spec.quic.first = 0x01;
			assert_int_equal(went_to_one(bench, road, spec), CLIENTS);
		}
	}
}

static void what_the_client_makes_up_goes_by_flow(void **state)
{
	for (EACH_ROAD(road)) {
		struct frame_spec specs[6];

		for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
			specs[i] = quic_spec(road, 0, SHORT, 0x0103);
		specs[0].quic.first = INITIAL;
		specs[1].quic.first = ZERO_RTT;
		specs[2].quic.dcid[0] = 0xe7; /* no id in it */
		specs[3].quic.dcid[1] = 0x77; /* an id nobody has */
		specs[4].quic.first = HANDSHAKE;
		specs[4].quic.dcid_bytes = 2; /* too short for one */
		specs[5].quic.first = SHORT; /* the packet ends within it */
		specs[5].quic.dcid_bytes = 2;
		specs[5].payload_bytes = 0;
		for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
			struct bench *bench = quic_bench(state, road);

			assert_in_range(went_to_one(bench, road, specs[i]), 5, CLIENTS / 2 + 5);
		}
	}
}

/* RFC 9369: the types are one further. */
static void version_2_has_other_types(void **state)
{
	static const struct {
		uint8_t first;
		bool has_id;
	} cases[] = {{0xc0, true}, {0xd0, false}, {0xe0, false}, {0xf0, true}};

	for (EACH_ROAD(road)) {
		if (road->way != WAY_IPIP)
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			struct bench *bench = quic_bench(state, road);
			struct frame_spec spec = quic_spec(road, 0, cases[i].first, 0x0103);
			int count = 0;

			for (uint16_t port = 1000; port < 1000 + CLIENTS; port++) {
				static const uint8_t version[] = {0x6b, 0x33, 0x43, 0xcf};
				struct frame frame;
				size_t at;

				spec.src_port = port;
				spec.no_udp_checksum = true; /* nobody looks here */
				frame_build(&frame, &spec);
				at = 14 + (road->is_ipv6 ? 40 : 20) + 8 + 1;
				memcpy(frame.bytes + at, version, sizeof(version));
				road_send_frame(bench, road, &frame, false);
				count += bench_got(bench) == 1;
			}
			assert_int_equal(count == CLIENTS, cases[i].has_id);
		}
	}
}

static void a_draining_server_keeps_its_connections_and_one_that_is_out_does_not(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = quic_bench(state, road);
		struct frame_spec spec = quic_spec(road, 0, SHORT, 0x0103);

		bench_admin(bench, 1, ADMIN_DRAIN);
		assert_int_equal(went_to_one(bench, road, spec), CLIENTS);
		bench_drain_until(bench, 1, clock_monotonic_ns() + 60 * NS_PER_S);
		assert_int_equal(went_to_one(bench, road, spec), CLIENTS);
		bench_drain_until(bench, 1, clock_monotonic_ns() - NS_PER_S);
		assert_int_equal(went_to_one(bench, road, spec), 0);
		bench_admin(bench, 1, ADMIN_READY);
		bench_health(bench, 1, HEALTH_DOWN);
		assert_int_equal(went_to_one(bench, road, spec), 0);
		bench = quic_bench(state, road);
		bench->controller->endpoints[1].generation++; /* another pod now */
		assert_in_range(went_to_one(bench, road, spec), 0, CLIENTS / 2 + 5);
	}
}

static void without_the_flag_nobody_looks_at_connection_ids(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = road_bench(state, road);
		struct frame_spec spec = quic_spec(road, 0, SHORT, 0x0103);

		bench_cid(bench, 0x0103, 1);
		assert_in_range(went_to_one(bench, road, spec), 5, CLIENTS / 2 + 5);
	}
}

static void a_flow_is_counted_where_its_connection_id_sends_it(void **state)
{
	for (EACH_ROAD(road)) {
		struct bench *bench = quic_bench(state, road);
		struct frame_spec spec = quic_spec(road, 0, INITIAL, 0x0103);
		uint32_t in_table = 0;

		if (road->way == WAY_NAT)
			continue;
		went_to_one(bench, road, spec);
		spec.quic.first = SHORT;
		went_to_one(bench, road, spec);
		for (uint32_t set = 0; set < bench->controller->contract.flow_sets; set++) {
			for (int i = 0; i < FLOW_SLOTS; i++) {
				uint16_t where = bench->controller->flows[set].slots[i].where;

				in_table += where >> FLOW_ENDPOINT_BITS != SLOT_FREE &&
					    (where & FLOW_ENDPOINT_MASK) == 1;
			}
		}
		assert_in_range(in_table, CLIENTS - 3, CLIENTS);
	}
}

static void quic_cut_at_any_byte_is_never_sent(void **state)
{
	for (EACH_ROAD(road)) {
		struct frame_spec spec = quic_spec(road, 4000, HANDSHAKE, 0x0103);

		cuts_hold(quic_bench(state, road), road->program, false, &spec);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_id_says_where_to_whatever_the_address),
		cmocka_unit_test(what_the_client_makes_up_goes_by_flow),
		cmocka_unit_test(version_2_has_other_types),
		cmocka_unit_test(
			a_draining_server_keeps_its_connections_and_one_that_is_out_does_not),
		cmocka_unit_test(without_the_flag_nobody_looks_at_connection_ids),
		cmocka_unit_test(a_flow_is_counted_where_its_connection_id_sends_it),
		cmocka_unit_test(quic_cut_at_any_byte_is_never_sent),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
