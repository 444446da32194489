// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <cmocka.h>

#include "userspace/proxy/buffers.h"
#include "userspace/proxy/limits.h"

#define COUNT 64

static size_t resident_pages(const struct buffers *pool)
{
	static unsigned char pages[COUNT * BUFFER_BYTES / 4096];
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE), count = 0;

	assert_int_equal(mincore(pool->memory, COUNT * BUFFER_BYTES, pages), 0);
	for (size_t i = 0; i < COUNT * BUFFER_BYTES / page_bytes; i++)
		count += pages[i] & 1;
	return count;
}

/* `count` are taken, written to and given back. */
static void use(struct buffers *pool, size_t count)
{
	char *taken[COUNT];

	for (size_t i = 0; i < count; i++) {
		taken[i] = buffers_take(pool);
		assert_non_null(taken[i]);
		memset(taken[i], 1, 100);
	}
	for (size_t i = count; i--;)
		buffers_give(pool, &taken[i]);
}

static void what_a_burst_touched_goes_back_after_a_period_without_need(void **state)
{
	struct buffers pool;

	(void)state;
	assert_int_equal(buffers_init(&pool, COUNT), 0);
	use(&pool, COUNT);
	assert_int_equal(resident_pages(&pool), COUNT);
	buffers_period_end(&pool);
	buffers_trim(&pool, COUNT);
	assert_int_equal(resident_pages(&pool), COUNT); /* all were needed just now */

	use(&pool, 4);
	buffers_period_end(&pool);
	buffers_trim(&pool, 10); /* no more than that at once */
	assert_int_equal(resident_pages(&pool), COUNT - 10);
	buffers_trim(&pool, COUNT);
	assert_int_equal(resident_pages(&pool), 4); /* those in use stay warm */
	buffers_deinit(&pool);
}

static void what_is_taken_is_never_emptied(void **state)
{
	struct buffers pool;
	char *taken[COUNT];

	(void)state;
	assert_int_equal(buffers_init(&pool, COUNT), 0);
	use(&pool, COUNT);
	buffers_period_end(&pool);
	buffers_period_end(&pool); /* nothing at all was needed in this one */
	for (size_t i = 0; i < COUNT; i++) {
		taken[i] = buffers_take(&pool);
		memset(taken[i], (int)i + 1, BUFFER_BYTES);
		buffers_trim(&pool, 1); /* at the other end of the stack */
	}
	buffers_trim(&pool, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		for (size_t k = 0; k < BUFFER_BYTES; k += 4096)
			assert_int_equal(taken[i][k], (char)(i + 1));
		buffers_give(&pool, &taken[i]);
	}
	buffers_deinit(&pool);
}

/* Resident pages are counted, so they must be small. */
static int huge_pages_off(void **state)
{
	(void)state;
	return prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_burst_touched_goes_back_after_a_period_without_need),
		cmocka_unit_test(what_is_taken_is_never_emptied),
	};

	return cmocka_run_group_tests(tests, huge_pages_off, NULL);
}
