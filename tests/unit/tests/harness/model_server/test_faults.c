// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/model_server/faults.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "userspace/base/clock.h"

static int apply(struct faults *faults, const char *json, uint64_t now)
{
	const char *why;

	return faults_apply(faults, json, strlen(json), now, &why);
}

static void keys_add_to_what_is_wrong_and_reset_ends_it(void **state)
{
	struct faults faults = {0};

	(void)state;
	assert_int_equal(apply(&faults, "{\"error\":503}", 1), 0);
	assert_int_equal(apply(&faults, "{\"cut_after\":0,\"healthy\":false}", 1), 0);
	assert_int_equal(faults.error_status, 503);
	assert_true(faults.cut);
	assert_true(faults.unhealthy);
	assert_int_equal(apply(&faults, "{\"cut_after\":null,\"error\":null}", 1), 0);
	assert_false(faults.cut);
	assert_int_equal(faults.error_status, 0);
	assert_int_equal(apply(&faults, "{\"reset\":true,\"hang\":\"all\"}", 1), 0);
	assert_false(faults.unhealthy);
	assert_int_equal(faults.hang, HANG_ALL);
}

static void for_s_ends_all_faults_in_time(void **state)
{
	struct faults faults = {0};

	(void)state;
	apply(&faults, "{\"refuse\":true,\"metrics\":\"stale\",\"for_s\":1.5}", NS_PER_S);
	assert_int_equal(faults_next_at(&faults), NS_PER_S * 5 / 2);
	faults_expire(&faults, NS_PER_S * 5 / 2 - 1);
	assert_true(faults.refuse);
	faults_expire(&faults, NS_PER_S * 5 / 2);
	assert_false(faults.refuse);
	assert_int_equal(faults.metrics, METRICS_GOOD);
	assert_int_equal(faults_next_at(&faults), UINT64_MAX);
}

static void slow_start_is_loading_until_its_time(void **state)
{
	struct faults faults = {0};

	(void)state;
	apply(&faults, "{\"slow_start_s\":2}", NS_PER_S);
	assert_true(faults_loading(&faults, 3 * NS_PER_S - 1));
	assert_false(faults_loading(&faults, 3 * NS_PER_S));
}

static void a_wrong_key_or_value_changes_nothing(void **state)
{
	static const char *const bad[] = {
		"",
		"7",
		"{\"nope\":1}",
		"{\"refuse\":true,\"hang\":\"sometimes\"}",
		"{\"refuse\":true,\"error\":200}",
		"{\"refuse\":true,\"cut_after\":-1}",
		"{\"refuse\":true,\"for_s\":-1}",
		"{\"refuse\":1}",
		"{\"refuse\":true,\"metrics\":null}",
	};
	struct faults faults = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(apply(&faults, bad[i], 1), -EINVAL);
		assert_false(faults.refuse);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_add_to_what_is_wrong_and_reset_ends_it),
		cmocka_unit_test(for_s_ends_all_faults_in_time),
		cmocka_unit_test(slow_start_is_loading_until_its_time),
		cmocka_unit_test(a_wrong_key_or_value_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
