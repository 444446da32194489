// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "userspace/base/clock.h"
#include "userspace/health/round_trip.h"

static void the_first_sample_is_taken_as_it_is(void **state)
{
	(void)state;
	assert_int_equal(round_trip_step(0, 25 * NS_PER_MS), 25000);
	assert_int_equal(round_trip_step(0, 10), 1); /* 0 would mean unknown */
}

static void the_value_follows_a_lasting_change(void **state)
{
	uint32_t rtt_us = 1000;

	(void)state;
	for (int i = 0; i < 60; i++)
		rtt_us = round_trip_step(rtt_us, 30 * NS_PER_MS);
	assert_in_range(rtt_us, 29000, 30000);
	for (int i = 0; i < 100; i++)
		rtt_us = round_trip_step(rtt_us, NS_PER_MS);
	assert_in_range(rtt_us, 1000, 1100);
}

static void one_retransmitted_syn_barely_moves_it(void **state)
{
	(void)state;
	assert_in_range(round_trip_step(10000, 1010 * NS_PER_MS), 10000, 14000);
}

/* Waits for a processor only ever add: the way itself took 1 ms each time. */
static void the_noise_of_a_busy_host_does_not_make_a_cluster_far(void **state)
{
	static const uint64_t samples_ms[] = {1, 31, 1, 6, 61, 2, 1, 21};
	uint32_t rtt_us = 1000;

	(void)state;
	for (int i = 0; i < 200; i++) {
		rtt_us = round_trip_step(rtt_us, samples_ms[i % 8] * NS_PER_MS);
		assert_in_range(rtt_us, 1000, 5000);
	}
}

static void a_first_sample_that_was_late_is_forgotten_after_a_few(void **state)
{
	uint32_t rtt_us = round_trip_step(0, 20 * NS_PER_MS);

	(void)state;
	for (int i = 0; i < 4; i++)
		rtt_us = round_trip_step(rtt_us, NS_PER_MS);
	assert_in_range(rtt_us, 1000, 3000);
}

static void absurd_samples_do_not_overflow(void **state)
{
	(void)state;
	assert_in_range(round_trip_step(UINT32_MAX, UINT64_MAX), 1, UINT32_MAX);
	assert_in_range(round_trip_step(0, UINT64_MAX), 1, UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_sample_is_taken_as_it_is),
		cmocka_unit_test(the_value_follows_a_lasting_change),
		cmocka_unit_test(one_retransmitted_syn_barely_moves_it),
		cmocka_unit_test(the_noise_of_a_busy_host_does_not_make_a_cluster_far),
		cmocka_unit_test(a_first_sample_that_was_late_is_forgotten_after_a_few),
		cmocka_unit_test(absurd_samples_do_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
