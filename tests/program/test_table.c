// SPDX-License-Identifier: BSD-2-Clause
/* The flow table: who stays where, who may push whom out, and what a flood does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "maps/access/maps.h"
#include "tests/harness/packet.h"
#include "tests/harness/program.h"
#include "tests/harness/way.h"
#include "userspace/base/address.h"
#include "userspace/base/clock.h"

static uint8_t pick = VIP_PICK_MAGLEV;

/* Endpoints 0 to 2 get packets by IPIP; neighbours are known to the kernel. */
static void serve(struct bench *bench, const struct way *way)
{
	struct vip_key key = {.port = htons(80), .proto = way->proto};
	struct vip vip = {
		.id = 7, .mode = VIP_MODE_L4, .owner = VIP_OWNER_CONTROLLER, .pick = pick};

	bench_serve(bench, way->is_ipv6);
	for (uint32_t id = 0; id < 3; id++)
		bench->controller->endpoints[id].way = WAY_IPIP;
	assert_int_equal(address_parse(way_vip(way), &key.addr), 0);
	assert_int_equal(vips_put(bench->controller, &key, &vip), 0);
	memset(bench->controller->flows, 0,
	       bench->controller->contract.flow_sets * sizeof(struct flow_set));
	memset(bench->controller->live, 0, 16 * sizeof(struct live));
}

/* The endpoint that an IPIP frame is for. */
static uint32_t endpoint_of(const struct run *run, bool is_ipv6)
{
	assert_true(run->is_sent);
	return is_ipv6 ? run->out.bytes[14 + 39] - 2u : run->out.bytes[14 + 19] - 2u;
}

static uint32_t ask(struct bench *bench, const struct way *way, uint16_t port, uint8_t flags)
{
	struct run run = way_ask(bench, way, port, flags);

	return endpoint_of(&run, way->is_ipv6);
}

static uint32_t slots_in(const struct bench *bench, enum slot_state state)
{
	uint32_t count = 0;

	for (uint32_t set = 0; set < bench->controller->contract.flow_sets; set++) {
		for (int i = 0; i < FLOW_SLOTS; i++) {
			uint16_t where = bench->controller->flows[set].slots[i].where;

			count += where >> FLOW_ENDPOINT_BITS == (uint32_t)state;
		}
	}
	return count;
}

/* Makes every flow in the table a tick older. */
static void grow_old(struct bench *bench, uint16_t ticks)
{
	for (uint32_t set = 0; set < bench->controller->contract.flow_sets; set++) {
		for (int i = 0; i < FLOW_SLOTS; i++)
			bench->controller->flows[set].slots[i].tick -= ticks;
	}
}

static void a_syn_under_maglev_is_not_stored(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);

		if (way->proto != IPPROTO_TCP)
			continue;
		serve(bench, way);
		ask(bench, way, 4000, FLAG_SYN);
		assert_int_equal(slots_in(bench, SLOT_PROBATION), 0);
		assert_true(bench_only(bench, VERDICT_FORWARDED));
	}
}

static void a_flow_enters_on_probation_and_is_confirmed_by_a_later_tick(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		uint32_t first;

		serve(bench, way);
		first = ask(bench, way, 4000, FLAG_ACK);
		assert_int_equal(slots_in(bench, SLOT_PROBATION), 1);
		grow_old(bench, 1);
		assert_int_equal(ask(bench, way, 4000, FLAG_ACK), first);
		assert_int_equal(slots_in(bench, SLOT_PROBATION), 0);
		assert_int_equal(slots_in(bench, SLOT_CONFIRMED), 1);
	}
}

static void a_flow_stays_when_the_ring_changes(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		uint32_t first, other;

		serve(bench, way);
		first = ask(bench, way, 4000, FLAG_ACK);
		other = (first + 1) % 3;
		bench_ring(bench, &other, 1);
		assert_int_equal(ask(bench, way, 4000, FLAG_ACK), first);
		assert_int_equal(ask(bench, way, 5000, FLAG_ACK), other);
	}
}

static void a_flood_evicts_no_confirmed_flow(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		uint32_t first[50], confirmed, all = 2;

		serve(bench, way);
		for (uint16_t i = 0; i < 50; i++)
			first[i] = ask(bench, way, 4000 + i, FLAG_ACK);
		grow_old(bench, 1);
		for (uint16_t i = 0; i < 50; i++)
			ask(bench, way, 4000 + i, FLAG_ACK);
		confirmed = slots_in(bench, SLOT_CONFIRMED);
		assert_int_equal(confirmed, 50);
		for (uint32_t port = 10000; port < 16000; port++)
			ask(bench, way, (uint16_t)port, FLAG_ACK);
		assert_int_equal(slots_in(bench, SLOT_CONFIRMED), 50);
		assert_in_range(slots_in(bench, SLOT_PROBATION), 1,
				bench->controller->contract.flow_sets * 3);
		bench_ring(bench, &all, 1);
		for (uint16_t i = 0; i < 50; i++)
			assert_int_equal(ask(bench, way, 4000 + i, FLAG_ACK), first[i]);
	}
}

static void a_draining_endpoint_keeps_flows_and_gets_none(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		uint32_t first;

		serve(bench, way);
		first = ask(bench, way, 4000, FLAG_ACK);
		bench_admin(bench, first, ADMIN_DRAIN);
		assert_int_equal(ask(bench, way, 4000, FLAG_ACK), first);
		for (uint16_t port = 5000; port < 5100; port++)
			assert_int_not_equal(ask(bench, way, port, FLAG_SYN), first);
	}
}

static void flows_leave_a_drain_at_its_deadline(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		uint32_t first;

		serve(bench, way);
		first = ask(bench, way, 4000, FLAG_ACK);
		bench_drain_until(bench, first, clock_monotonic_ns() + 60 * NS_PER_S);
		assert_int_equal(ask(bench, way, 4000, FLAG_ACK), first);
		bench_drain_until(bench, first, clock_monotonic_ns() - NS_PER_S);
		if (way->proto == IPPROTO_TCP) {
			bench_mark(bench);
			assert_true(way_ask(bench, way, 4000, FLAG_ACK).is_sent);
			assert_true(bench_only(bench, VERDICT_ENDPOINT_RESET));
			assert_int_not_equal(ask(bench, way, 4000, FLAG_SYN), first);
		} else {
			assert_int_not_equal(ask(bench, way, 4000, FLAG_ACK), first);
		}
	}
}

static void down_moves_udp_and_syns_and_ends_tcp(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		uint32_t first;

		serve(bench, way);
		first = ask(bench, way, 4000, FLAG_ACK);
		bench_health(bench, first, HEALTH_DOWN);
		bench_mark(bench);
		if (way->proto == IPPROTO_TCP) {
			assert_true(way_ask(bench, way, 4000, FLAG_ACK).is_sent);
			assert_true(bench_only(bench, VERDICT_ENDPOINT_RESET));
		}
		assert_int_not_equal(ask(bench, way, 4000, FLAG_SYN), first);
		if (way->proto == IPPROTO_UDP) /* and stays there */
			bench_health(bench, first, HEALTH_UP);
		assert_int_not_equal(ask(bench, way, 4000, FLAG_ACK), first);
	}
}

static void a_swap_between_syn_and_ack_moves_nobody(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		_cleanup_free_ struct ring_slot *slots = NULL;
		uint32_t size, before[20], after[20];

		if (way->proto != IPPROTO_TCP)
			continue;
		serve(bench, way);
		for (uint16_t i = 0; i < 20; i++)
			before[i] = ask(bench, way, 4000 + i, FLAG_SYN);
		assert_int_equal(rings_get(bench->controller, 0, &slots, &size), 0);
		slots[0].swapped_at = clock_tick();
		for (uint32_t row = 1; row <= size; row++) {
			slots[row].previous = slots[row].endpoint;
			slots[row].endpoint = (slots[row].endpoint + 1) % 3;
		}
		assert_int_equal(rings_put(bench->controller, 0, slots, size), 0);
		/* those whose SYN came before the swap go on there; new ones go to the new */
		for (uint16_t i = 0; i < 20; i++) {
			after[i] = ask(bench, way, 5000 + i, FLAG_SYN);
			assert_int_equal(ask(bench, way, 4000 + i, FLAG_ACK), before[i]);
		}
		for (uint16_t i = 0; i < 20; i++)
			assert_int_equal(ask(bench, way, 5000 + i, FLAG_ACK), after[i]);
	}
}

static void least_takes_the_less_loaded_of_two(void **state)
{
	pick = VIP_PICK_LEAST;
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		uint32_t counts[3] = {0};

		serve(bench, way);
		for (uint32_t id = 0; id < 3; id++)
			bench->controller->live[id] =
				(struct live){.generation = 1,
					      .flows = id == 1 ? 100000 : 0,
					      .opened = bench->controller->opens[id].count};
		for (uint16_t i = 0; i < 300; i++) {
			uint32_t id = ask(bench, way, 4000 + i, FLAG_SYN);

			counts[id]++;
			assert_int_equal(ask(bench, way, 4000 + i, FLAG_ACK), id);
		}
		/* only where both rows are endpoint 1's: one ninth */
		assert_in_range(counts[1], 10, 60);
		assert_in_range(counts[0], 90, 190);
	}
	pick = VIP_PICK_MAGLEV;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_syn_under_maglev_is_not_stored),
		cmocka_unit_test(a_flow_enters_on_probation_and_is_confirmed_by_a_later_tick),
		cmocka_unit_test(a_flow_stays_when_the_ring_changes),
		cmocka_unit_test(a_flood_evicts_no_confirmed_flow),
		cmocka_unit_test(a_draining_endpoint_keeps_flows_and_gets_none),
		cmocka_unit_test(flows_leave_a_drain_at_its_deadline),
		cmocka_unit_test(down_moves_udp_and_syns_and_ends_tcp),
		cmocka_unit_test(a_swap_between_syn_and_ack_moves_nobody),
		cmocka_unit_test(least_takes_the_less_loaded_of_two),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
