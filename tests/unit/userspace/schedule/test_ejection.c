// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "userspace/schedule/ejection.h"

static void pauses_double_up_to_the_limit(void **state)
{
	struct ejection e = {0};
	uint64_t now = 1000, last = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		uint64_t pause;

		ejection_fail(&e, 0, now);
		pause = e.until_ns - now;
		assert_true(pause >= last);
		assert_true(pause <= EJECTION_MAX_NS);
		if (i == 0)
			assert_int_equal(pause, 2 * EJECTION_STEP_NS);
		if (i == 1)
			assert_int_equal(pause, 4 * EJECTION_STEP_NS);
		last = pause;
	}
	assert_int_equal(last, EJECTION_MAX_NS);
}

static void forgiven_failures_do_not_eject(void **state)
{
	struct ejection e = {0};

	(void)state;
	ejection_fail(&e, 1, 1000);
	assert_false(ejection_active(&e, 1000));
	ejection_fail(&e, 1, 1000);
	assert_true(ejection_active(&e, 1000));
}

static void a_success_forgets(void **state)
{
	struct ejection e = {0};

	(void)state;
	ejection_fail(&e, 0, 1000);
	ejection_succeed(&e);
	assert_false(ejection_active(&e, 1000));
	assert_int_equal(e.failures, 0);
}

static void after_the_pause_one_request_tries(void **state)
{
	struct ejection e = {0};
	uint64_t due;

	(void)state;
	ejection_fail(&e, 0, 1000);
	due = e.until_ns;
	assert_false(ejection_active(&e, due));
	ejection_given(&e, due);
	assert_true(ejection_active(&e, due));
	assert_false(ejection_active(&e, due + EJECTION_STEP_NS));
}

static void giving_to_a_sound_one_changes_nothing(void **state)
{
	struct ejection e = {0};

	(void)state;
	ejection_given(&e, 5000);
	assert_false(ejection_active(&e, 5000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pauses_double_up_to_the_limit),
		cmocka_unit_test(forgiven_failures_do_not_eject),
		cmocka_unit_test(a_success_forgets),
		cmocka_unit_test(after_the_pause_one_request_tries),
		cmocka_unit_test(giving_to_a_sound_one_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
