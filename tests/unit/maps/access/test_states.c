// SPDX-License-Identifier: BSD-2-Clause
/* The truth table over what the operator wants and what probes saw. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "maps/access/maps.h"
#include "userspace/base/cleanup.h"

#define ID 5
#define CLUSTER 3
#define GENERATION 9

static struct endpoint endpoints[ENDPOINTS_MAX];
static struct admin admin[ADMIN_SLOTS];
static struct health health[ENDPOINTS_MAX];
static struct inflight inflight[WORKERS_MAX * ENDPOINTS_MAX];
static struct maps maps = {
	.role = MAPS_OPERATOR,
	.endpoints = endpoints,
	.admin = admin,
	.health = health,
	.inflight = inflight,
};

static int fresh(void **state)
{
	(void)state;
	memset(admin, 0, sizeof(admin));
	memset(health, 0, sizeof(health));
	endpoints[ID] =
		(struct endpoint){.way = WAY_NAT, .cluster = CLUSTER, .generation = GENERATION};
	return 0;
}

static void admin_and_health_make_the_use(void **state)
{
	/* own admin, cluster's admin, health -> use */
	static const struct {
		uint8_t own, cluster, health;
		enum endpoint_use use;
	} cases[] = {
		{ADMIN_READY, ADMIN_READY, HEALTH_UNKNOWN, ENDPOINT_USABLE},
		{ADMIN_READY, ADMIN_READY, HEALTH_UP, ENDPOINT_USABLE},
		{ADMIN_READY, ADMIN_READY, HEALTH_DOWN, ENDPOINT_DOWN},
		{ADMIN_DRAIN, ADMIN_READY, HEALTH_UNKNOWN, ENDPOINT_DRAINING},
		{ADMIN_DRAIN, ADMIN_READY, HEALTH_UP, ENDPOINT_DRAINING},
		{ADMIN_DRAIN, ADMIN_READY, HEALTH_DOWN, ENDPOINT_DOWN},
		{ADMIN_MAINT, ADMIN_READY, HEALTH_UP, ENDPOINT_MAINT},
		{ADMIN_MAINT, ADMIN_READY, HEALTH_DOWN, ENDPOINT_MAINT},
		{ADMIN_READY, ADMIN_DRAIN, HEALTH_UP, ENDPOINT_DRAINING},
		{ADMIN_READY, ADMIN_DRAIN, HEALTH_DOWN, ENDPOINT_DOWN},
		{ADMIN_READY, ADMIN_MAINT, HEALTH_UP, ENDPOINT_MAINT},
		{ADMIN_MAINT, ADMIN_DRAIN, HEALTH_UP, ENDPOINT_MAINT},
		{ADMIN_DRAIN, ADMIN_MAINT, HEALTH_UP, ENDPOINT_MAINT},
		{200, ADMIN_READY, HEALTH_UP, ENDPOINT_MAINT}, /* a state we do not know */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		admin[ID] = (struct admin){.state = cases[i].own, .generation = GENERATION};
		admin[ADMIN_CLUSTER_BASE + CLUSTER].state = cases[i].cluster;
		health[ID] = (struct health){.state = cases[i].health, .generation = GENERATION};
		assert_int_equal(endpoint_use(&maps, ID, GENERATION), cases[i].use);
		assert_int_equal(endpoint_use(&maps, ID, 0), cases[i].use);
	}
}

static void a_drain_past_its_deadline_is_maintenance(void **state)
{
	/* own deadline, cluster's deadline -> use, the deadline that counts */
	static const struct {
		uint64_t own, cluster;
		enum endpoint_use use;
		uint64_t until;
	} cases[] = {
		{0, 0, ENDPOINT_DRAINING, 0},
		{1, 0, ENDPOINT_MAINT, 1},
		{UINT64_MAX, 0, ENDPOINT_DRAINING, UINT64_MAX},
		{0, 1, ENDPOINT_MAINT, 1},
		{0, UINT64_MAX, ENDPOINT_DRAINING, UINT64_MAX},
		{UINT64_MAX, 1, ENDPOINT_MAINT, 1},
		{1, UINT64_MAX, ENDPOINT_MAINT, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		admin[ID] = (struct admin){.state = ADMIN_DRAIN,
					   .generation = GENERATION,
					   .drain_until = cases[i].own};
		admin[ADMIN_CLUSTER_BASE + CLUSTER] =
			(struct admin){.state = ADMIN_DRAIN, .drain_until = cases[i].cluster};
		assert_int_equal(endpoint_use(&maps, ID, 0), cases[i].use);
		assert_true(endpoint_drain_until(&maps, ID) == cases[i].until);
		assert_true(cluster_drain_until(&maps, CLUSTER) == cases[i].cluster);
	}
	/* the deadline is of drains only, and of its generation */
	admin[ADMIN_CLUSTER_BASE + CLUSTER] = (struct admin){.drain_until = 1};
	admin[ID].generation--;
	assert_int_equal(endpoint_use(&maps, ID, 0), ENDPOINT_USABLE);
	assert_true(endpoint_drain_until(&maps, ID) == 0);
}

static void what_was_said_of_another_generation_does_not_count(void **state)
{
	(void)state;
	admin[ID] = (struct admin){.state = ADMIN_MAINT, .generation = GENERATION - 1};
	health[ID] = (struct health){.state = HEALTH_DOWN, .generation = GENERATION - 1};
	assert_int_equal(endpoint_use(&maps, ID, GENERATION), ENDPOINT_USABLE);
}

static void a_free_slot_or_another_generation_is_free(void **state)
{
	(void)state;
	assert_int_equal(endpoint_use(&maps, ID, GENERATION + 1), ENDPOINT_FREE);
	assert_int_equal(endpoint_use(&maps, ID + 1, 0), ENDPOINT_FREE);
	assert_int_equal(endpoint_use(&maps, ENDPOINTS_MAX, 0), ENDPOINT_FREE);
	assert_int_equal(endpoint_use(&maps, ENDPOINT_NONE, 0), ENDPOINT_FREE);
	endpoints[ID].cluster = CLUSTER_NONE; /* operator-owned ones may have none */
	assert_int_equal(endpoint_use(&maps, ID, 0), ENDPOINT_USABLE);
}

static void in_flight_is_summed_over_workers(void **state)
{
	(void)state;
	for (uint32_t row = 0; row < WORKERS_MAX; row++)
		inflight[row * ENDPOINTS_MAX + ID] = (struct inflight){
			.requests = 2, .waiting = 1, .uncached_tokens = 1ull << 40};
	assert_int_equal(inflight_sum(&maps, ID).requests, 2 * WORKERS_MAX);
	assert_int_equal(inflight_sum(&maps, ID).waiting, WORKERS_MAX);
	assert_true(inflight_sum(&maps, ID).uncached_tokens == (uint64_t)WORKERS_MAX << 40);
	assert_int_equal(inflight_sum(&maps, ID + 1).requests, 0);
	assert_int_equal(inflight_sum(&maps, ENDPOINT_NONE).requests, 0);
}

static void admin_is_put_by_operators_only(void **state)
{
	const struct admin drain = {.state = ADMIN_DRAIN,
				    .weight = 50,
				    .generation = GENERATION,
				    .since = 77,
				    .drain_until = 99};

	(void)state;
	assert_int_equal(admin_put(&maps, ID, &drain), 0);
	assert_memory_equal(&admin[ID], &drain, sizeof(drain));
	assert_int_equal(admin_put(&maps, ADMIN_SLOTS, &drain), -EINVAL);
	assert_int_equal(admin_put(&maps, ID, &(struct admin){.state = ADMIN_COUNT}), -EINVAL);
	maps.role = MAPS_CONTROLLER;
	assert_int_equal(admin_put(&maps, ID, &drain), -EPERM);
	maps.role = MAPS_OPERATOR;
}

static void names_of_any_value_are_printable(void **state)
{
	(void)state;
	assert_string_equal(verdict_name(VERDICT_FORWARDED), "forwarded");
	assert_string_equal(verdict_name((enum verdict)VERDICT_COUNT), "invalid");
	assert_non_null(verdict_text((enum verdict)250));
	assert_true(verdict_drops(VERDICT_NO_RING));
	assert_false(verdict_drops(VERDICT_FORWARDED));
	assert_string_equal(admin_state_name(ADMIN_DRAIN), "DRAIN");
	assert_string_equal(admin_state_name(255), "invalid");
	assert_string_equal(health_state_name(HEALTH_DOWN), "DOWN");
	assert_string_equal(health_reason_name(HEALTH_REASON_TIMEOUT), "timeout");
	assert_string_equal(health_reason_name(255), "invalid");
	assert_string_equal(endpoint_use_name(ENDPOINT_DRAINING), "draining");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(admin_and_health_make_the_use, fresh),
		cmocka_unit_test_setup(a_drain_past_its_deadline_is_maintenance, fresh),
		cmocka_unit_test_setup(what_was_said_of_another_generation_does_not_count, fresh),
		cmocka_unit_test_setup(a_free_slot_or_another_generation_is_free, fresh),
		cmocka_unit_test_setup(in_flight_is_summed_over_workers, fresh),
		cmocka_unit_test_setup(admin_is_put_by_operators_only, fresh),
		cmocka_unit_test(names_of_any_value_are_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
