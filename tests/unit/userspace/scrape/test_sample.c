// SPDX-License-Identifier: BSD-2-Clause
/* From pages to load records: what a failed scrape may and may not change. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "userspace/base/cleanup.h"
#include "userspace/scrape/sample.h"

static const struct load good = {
	.waiting = 5,
	.running = 37,
	.kv_permille = 618,
	.kv_blocks = 27414,
	.block_tokens = 16,
	.generation = 3,
	.sampled_at = 1000,
};

static struct page_sample page(double waiting, double running, double kv)
{
	return (struct page_sample){
		.outcome = PAGE_OK,
		.known = {[PAGE_WAITING] = true, [PAGE_RUNNING] = true, [PAGE_KV] = true},
		.values = {[PAGE_WAITING] = waiting, [PAGE_RUNNING] = running, [PAGE_KV] = kv},
	};
}

static void a_good_scrape_replaces_the_record(void **state)
{
	struct page_sample sample = page(1, 2, 0.9876);
	struct load load = load_after(&good, 3, SCRAPE_OK, &sample, 2000);

	(void)state;
	assert_int_equal(load.waiting, 1);
	assert_int_equal(load.running, 2);
	assert_int_equal(load.kv_permille, 988);
	assert_int_equal(load.kv_blocks, 0); /* not said: unknown */
	assert_int_equal(load.sampled_at, 2000);
	assert_int_equal(load.failures, 0);
}

static void a_failed_scrape_never_turns_the_last_good_value_into_zero(void **state)
{
	const struct page_sample nothing = {.outcome = PAGE_DISCARD};

	(void)state;
	for (int result = SCRAPE_OK + 1; result < SCRAPE_RESULT_COUNT; result++) {
		struct load load = load_after(&good, 3, result, &nothing, 2000);

		assert_int_equal(load.failures, 1);
		load.failures = 0;
		assert_memory_equal(&load, &good, sizeof(good));
	}
}

static void failures_are_counted_until_the_next_good_scrape(void **state)
{
	struct page_sample sample = page(0, 0, 0);
	struct load load = good;

	(void)state;
	for (int i = 0; i < 3; i++)
		load = load_after(&load, 3, SCRAPE_TIMEOUT, &sample, 2000);
	assert_int_equal(load.failures, 3);
	load = load_after(&load, 3, SCRAPE_OK, &sample, 3000);
	assert_int_equal(load.failures, 0);
}

static void a_new_generation_never_inherits_an_old_sample(void **state)
{
	const struct page_sample nothing = {.outcome = PAGE_DISCARD};
	struct load load = load_after(&good, 4, SCRAPE_TIMEOUT, &nothing, 2000);

	(void)state;
	assert_int_equal(load.generation, 4);
	assert_int_equal(load.sampled_at, 0);
	assert_int_equal(load.running, 0);
	assert_int_equal(load.failures, 1);
}

static void numbers_too_large_for_the_record_are_clamped(void **state)
{
	struct page_sample sample = page(1e300, 4294967295.0, 1);
	struct load load = load_after(&good, 3, SCRAPE_OK, &sample, 2000);

	(void)state;
	assert_int_equal(load.waiting, UINT32_MAX);
	assert_int_equal(load.running, UINT32_MAX);
	assert_int_equal(load.kv_permille, 1000);
}

static void only_a_whole_page_with_status_200_is_a_sample(void **state)
{
	static const struct {
		int err, status;
		enum page_outcome outcome;
		enum scrape_result result;
	} cases[] = {
		{0, 200, PAGE_OK, SCRAPE_OK},
		{0, 200, PAGE_PARTIAL, SCRAPE_PARTIAL},
		{0, 200, PAGE_NONE, SCRAPE_NOT_METRICS},
		{0, 200, PAGE_DISCARD, SCRAPE_NOT_METRICS},
		{0, 503, PAGE_OK, SCRAPE_STATUS},
		{0, 302, PAGE_OK, SCRAPE_STATUS},
		{-ECONNREFUSED, 0, PAGE_DISCARD, SCRAPE_CONNECT},
		{-ECONNRESET, 200, PAGE_OK, SCRAPE_CONNECT},
		{-ETIMEDOUT, 200, PAGE_OK, SCRAPE_TIMEOUT},
		{-EFBIG, 200, PAGE_OK, SCRAPE_TOO_BIG},
		{-EBADMSG, 0, PAGE_NONE, SCRAPE_NOT_METRICS},
		{-EMFILE, 0, PAGE_NONE, SCRAPE_LOCAL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct page_sample sample = {.outcome = cases[i].outcome};

		assert_int_equal(scrape_result_of(cases[i].err, cases[i].status, &sample),
				 cases[i].result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_scrape_replaces_the_record),
		cmocka_unit_test(a_failed_scrape_never_turns_the_last_good_value_into_zero),
		cmocka_unit_test(failures_are_counted_until_the_next_good_scrape),
		cmocka_unit_test(a_new_generation_never_inherits_an_old_sample),
		cmocka_unit_test(numbers_too_large_for_the_record_are_clamped),
		cmocka_unit_test(only_a_whole_page_with_status_200_is_a_sample),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
