// SPDX-License-Identifier: BSD-2-Clause
/* What map `live` says of an endpoint, and how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "userspace/publish/live_plan.h"

#define NOW 1000000000000ull
#define MS 1000000ull

static const struct live_facts facts = {
	.generation = 7,
	.flows = 30,
	.opened = 0xfffffff0u,
	.load = {.waiting = 3, .running = 12, .generation = 7, .sampled_at = NOW - 1000 * MS},
	.admin = {.generation = 7, .weight = 50},
	.now_ns = NOW,
};

static void a_record_says_what_was_counted(void **state)
{
	struct live record = live_record(&facts);

	(void)state;
	assert_int_equal(record.generation, 7);
	assert_int_equal(record.flows, 30);
	assert_int_equal(record.opened, 0xfffffff0u);
	assert_int_equal(record.counted_at, NOW);
	assert_int_equal(record.cost, 15);
	assert_int_equal(record.weight, 50);
}

static void only_a_fresh_sample_of_the_same_endpoint_costs(void **state)
{
	struct live_facts other = facts;

	(void)state;
	other.load.generation = 6;
	assert_int_equal(live_record(&other).cost, 0);
	other = facts;
	other.load.sampled_at = 0; /* never */
	assert_int_equal(live_record(&other).cost, 0);
	other.load.sampled_at = NOW - LIVE_LOAD_FRESH_NS + 1;
	assert_int_equal(live_record(&other).cost, 15);
	other.load.sampled_at = NOW - LIVE_LOAD_FRESH_NS;
	assert_int_equal(live_record(&other).cost, 0);
	other = facts;
	other.load.running = UINT32_MAX;
	assert_int_equal(live_record(&other).cost, UINT32_MAX);
}

static void a_weight_of_zero_or_of_another_generation_is_a_hundred(void **state)
{
	struct live_facts other = facts;

	(void)state;
	other.admin.weight = 0;
	assert_int_equal(live_record(&other).weight, 100);
	other = facts;
	other.admin.generation = 6;
	assert_int_equal(live_record(&other).weight, 100);
	other = facts;
	other.admin.weight = 65535;
	assert_int_equal(live_record(&other).weight, 10000);
}

static void counting_takes_one_percent_of_a_core_at_most(void **state)
{
	(void)state;
	assert_int_equal(live_pause_ns(LIVE_DONE, 0, 0), 200 * MS);
	assert_int_equal(live_pause_ns(LIVE_DONE, 2 * MS, 0), 200 * MS);
	assert_int_equal(live_pause_ns(LIVE_DONE, 5 * MS, 0), 500 * MS);
	/* a sweep of several parts: the rest of the interval, or the last part's share */
	assert_int_equal(live_pause_ns(LIVE_PART, 1 * MS, 0), 100 * MS);
	assert_int_equal(live_pause_ns(LIVE_DONE, 1 * MS, 60 * MS), 140 * MS);
	assert_int_equal(live_pause_ns(LIVE_DONE, 1 * MS, 150 * MS), 100 * MS);
	assert_int_equal(live_pause_ns(LIVE_DONE, 1 * MS, 5000 * MS), 100 * MS);
	assert_int_equal(live_pause_ns(LIVE_IDLE, 1 * MS, 0), 2000 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_says_what_was_counted),
		cmocka_unit_test(only_a_fresh_sample_of_the_same_endpoint_costs),
		cmocka_unit_test(a_weight_of_zero_or_of_another_generation_is_a_hundred),
		cmocka_unit_test(counting_takes_one_percent_of_a_core_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
