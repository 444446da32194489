// SPDX-License-Identifier: BSD-2-Clause
/* The timer: map `live` follows the tables by itself, again and again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>

#include "maps/access/maps.h"
#include "tests/harness/pinned_maps.h"
#include "userspace/base/clock.h"
#include "userspace/base/instance.h"
#include "userspace/base/loop.h"
#include "userspace/controller/live_counts.h"

static struct instance instance;
static bool prepared;

static int group_setup(void **state)
{
	(void)state;
	prepared = pinned_maps_prepare();
	return instance_init(&instance, "unit-live-counts");
}

static void live_follows_the_table_by_itself(void **state)
{
	const struct vip vip = {.id = 1, .pool = 5, .mode = VIP_MODE_L4};
	const struct vip_key key = {.addr = {.bytes = {0xfd}}, .port = 80, .proto = IPPROTO_TCP};
	struct live_counts *counts = NULL;
	struct loop *loop = NULL;
	struct maps *maps = NULL;
	uint64_t deadline;

	(void)state;
	if (!prepared) {
		printf("skip: no pinned maps of our own\n");
		skip();
	}
	assert_int_equal(pinned_maps_make(&instance, NULL), 0);
	assert_int_equal(maps_open(&instance, MAPS_CONTROLLER, &maps), 0);
	assert_int_equal(loop_new(4, &loop), 0);
	maps->endpoints[1] = (struct endpoint){.way = WAY_IPIP, .pool = 5, .generation = 7};
	assert_int_equal(vips_put(maps, &key, &vip), 0);
	assert_int_equal(live_counts_new(loop, maps, &counts), 0);
	deadline = clock_monotonic_ns() + 10 * NS_PER_S;
	while (!maps->live[1].counted_at && clock_monotonic_ns() < deadline)
		loop_turn(loop, 100);
	assert_int_equal(maps->live[1].generation, 7);
	assert_int_equal(maps->live[1].flows, 0);
	maps->flows[0].slots[0] = (struct flow_slot){
		.where = 1 | SLOT_CONFIRMED << FLOW_ENDPOINT_BITS, .tick = (uint16_t)clock_tick()};
	while (!maps->live[1].flows && clock_monotonic_ns() < deadline)
		loop_turn(loop, 100);
	assert_int_equal(maps->live[1].flows, 1);
	live_counts_free(counts);
	loop_free(loop);
	maps_close(maps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(live_follows_the_table_by_itself),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
