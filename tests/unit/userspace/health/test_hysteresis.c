// SPDX-License-Identifier: BSD-2-Clause
/* The health state machine, result by result. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "userspace/base/clock.h"
#include "userspace/health/hysteresis.h"

static const struct health_policy policy = {
	.interval_ms = 1000,
	.timeout_ms = 500,
	.rise = 2,
	.fall = 3,
};

/* '+' success, '-' failure; the state after each, as one letter, must follow. */
static void check_story(const char *results, const char *states)
{
	static const char letters[] = "?UD";
	struct health_track track = {0};

	for (size_t i = 0; results[i]; i++) {
		enum health_state before = track.state;
		bool changed = health_track_step(
			&track, &policy,
			results[i] == '+' ? HEALTH_REASON_OK : HEALTH_REASON_TIMEOUT, i + 1);

		assert_int_equal(letters[track.state], states[i]);
		assert_int_equal(changed, track.state != before);
		if (changed)
			assert_int_equal(track.since_ns, i + 1);
	}
}

static void one_success_makes_an_unknown_endpoint_up(void **state)
{
	(void)state;
	check_story("+", "U");
	check_story("--+", "??U");
}

static void an_endpoint_goes_down_after_fall_failures_in_a_row(void **state)
{
	(void)state;
	check_story("---", "??D");
	check_story("+---", "UUUD");
	check_story("+--+---", "UUUUUUD");
}

static void an_endpoint_comes_back_after_rise_successes_in_a_row(void **state)
{
	(void)state;
	check_story("---++", "??DDU");
	check_story("---+-++", "??DDDDU");
}

static void the_reason_is_that_of_the_last_result(void **state)
{
	struct health_track track = {0};

	(void)state;
	health_track_step(&track, &policy, HEALTH_REASON_REFUSED, 1);
	assert_int_equal(track.reason, HEALTH_REASON_REFUSED);
	health_track_step(&track, &policy, HEALTH_REASON_OK, 2);
	assert_int_equal(track.reason, HEALTH_REASON_OK);
}

static void counters_saturate_and_never_wrap_to_up_or_down(void **state)
{
	struct health_track track = {0};

	(void)state;
	for (int i = 0; i < 600; i++) {
		health_track_step(&track, &policy, HEALTH_REASON_STATUS, 1);
		if (i >= 2)
			assert_int_equal(track.state, HEALTH_DOWN);
	}
	assert_int_equal(track.fall, UINT8_MAX);
}

static void pauses_stay_within_a_tenth_of_the_interval(void **state)
{
	const struct health_track track = {.state = HEALTH_UP};
	uint64_t low = UINT64_MAX, high = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 1000; seed++) {
		uint64_t pause = health_track_pause_ns(&track, &policy, seed);

		low = pause < low ? pause : low;
		high = pause > high ? pause : high;
		assert_int_equal(pause, health_track_pause_ns(&track, &policy, seed));
	}
	assert_in_range(low, 900 * NS_PER_MS, 910 * NS_PER_MS);
	assert_in_range(high, 1090 * NS_PER_MS, 1100 * NS_PER_MS);
}

static void an_endpoint_that_refuses_is_probed_more_and_more_slowly(void **state)
{
	struct health_track track = {0};
	uint64_t pause = 0;

	(void)state;
	for (int i = 0; i < 3; i++) {
		health_track_step(&track, &policy, HEALTH_REASON_REFUSED, 1);
		pause = health_track_pause_ns(&track, &policy, 7);
		assert_in_range(pause, 900 * NS_PER_MS, 1100 * NS_PER_MS);
	}
	health_track_step(&track, &policy, HEALTH_REASON_REFUSED, 1);
	pause = health_track_pause_ns(&track, &policy, 7);
	assert_in_range(pause, 1800 * NS_PER_MS, 2200 * NS_PER_MS);
	for (int i = 0; i < 300; i++)
		health_track_step(&track, &policy, HEALTH_REASON_REFUSED, 1);
	pause = health_track_pause_ns(&track, &policy, 7);
	assert_in_range(pause, 4500 * NS_PER_MS, 5500 * NS_PER_MS);
	/* anything else it says brings the normal pace back */
	health_track_step(&track, &policy, HEALTH_REASON_STATUS, 1);
	pause = health_track_pause_ns(&track, &policy, 7);
	assert_in_range(pause, 900 * NS_PER_MS, 1100 * NS_PER_MS);
}

static void the_first_failure_of_an_endpoint_that_is_up_is_asked_about_again_at_once(void **state)
{
	const struct health_policy three = {
		.interval_ms = 1000, .timeout_ms = 1000, .rise = 2, .fall = 3};
	const struct health_policy hasty = {
		.interval_ms = 50, .timeout_ms = 50, .rise = 2, .fall = 3};
	struct health_track track = {0};

	(void)state;
	health_track_step(&track, &three, HEALTH_REASON_OK, 1);
	health_track_step(&track, &three, HEALTH_REASON_TIMEOUT, 1);
	assert_in_range(health_track_pause_ns(&track, &three, 7), 100 * NS_PER_MS, 200 * NS_PER_MS);
	assert_in_range(health_track_pause_ns(&track, &hasty, 7), 45 * NS_PER_MS, 55 * NS_PER_MS);
	/* only the first: the thresholds stay what they are for */
	health_track_step(&track, &three, HEALTH_REASON_TIMEOUT, 1);
	assert_in_range(health_track_pause_ns(&track, &three, 7), 900 * NS_PER_MS,
			1100 * NS_PER_MS);
	/* one that has never been well is not in a hurry */
	track = (struct health_track){0};
	health_track_step(&track, &three, HEALTH_REASON_TIMEOUT, 1);
	assert_in_range(health_track_pause_ns(&track, &three, 7), 900 * NS_PER_MS,
			1100 * NS_PER_MS);
}

static void a_long_interval_is_never_shortened_by_the_slow_pace(void **state)
{
	const struct health_policy slow = {.interval_ms = 30000, .rise = 1, .fall = 1};
	const struct health_track track = {
		.state = HEALTH_DOWN, .reason = HEALTH_REASON_REFUSED, .fall = 200};

	(void)state;
	assert_in_range(health_track_pause_ns(&track, &slow, 1), 27000 * NS_PER_MS,
			33000 * NS_PER_MS);
}

static void first_probes_are_spread_over_the_interval(void **state)
{
	int buckets[10] = {0};

	(void)state;
	for (uint64_t seed = 0; seed < 1000; seed++)
		buckets[health_policy_first_ns(&policy, seed) / (100 * NS_PER_MS)]++;
	for (int i = 0; i < 10; i++)
		assert_in_range(buckets[i], 50, 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_success_makes_an_unknown_endpoint_up),
		cmocka_unit_test(an_endpoint_goes_down_after_fall_failures_in_a_row),
		cmocka_unit_test(an_endpoint_comes_back_after_rise_successes_in_a_row),
		cmocka_unit_test(the_reason_is_that_of_the_last_result),
		cmocka_unit_test(counters_saturate_and_never_wrap_to_up_or_down),
		cmocka_unit_test(pauses_stay_within_a_tenth_of_the_interval),
		cmocka_unit_test(an_endpoint_that_refuses_is_probed_more_and_more_slowly),
		cmocka_unit_test(
			the_first_failure_of_an_endpoint_that_is_up_is_asked_about_again_at_once),
		cmocka_unit_test(a_long_interval_is_never_shortened_by_the_slow_pace),
		cmocka_unit_test(first_probes_are_spread_over_the_interval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
