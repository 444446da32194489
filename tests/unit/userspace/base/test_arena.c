// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "userspace/base/arena.h"

static void memory_is_zeroed_aligned_and_apart(void **state)
{
	struct arena arena = {0};
	unsigned char *blocks[100];

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		blocks[i] = arena_alloc(&arena, i + 1, 7);
		assert_non_null(blocks[i]);
		assert_int_equal((uintptr_t)blocks[i] % 16, 0);
		for (size_t k = 0; k < (i + 1) * 7; k++)
			assert_int_equal(blocks[i][k], 0);
		memset(blocks[i], (int)i, (i + 1) * 7);
	}
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(blocks[i][(i + 1) * 7 - 1], i);
	arena_deinit(&arena);
	assert_int_equal(arena.bytes, 0);
}

static void a_block_larger_than_a_chunk_is_served(void **state)
{
	struct arena arena = {0};
	char *large = arena_alloc(&arena, 1, 100000);

	(void)state;
	assert_non_null(large);
	large[99999] = 1;
	assert_string_equal(arena_format(&arena, "%s/%d", "ai", 7), "ai/7");
	arena_deinit(&arena);
}

static void a_size_that_overflows_is_refused(void **state)
{
	struct arena arena = {0};

	(void)state;
	assert_null(arena_alloc(&arena, SIZE_MAX / 2, 3));
	assert_null(arena_alloc(&arena, SIZE_MAX, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zeroed_aligned_and_apart),
		cmocka_unit_test(a_block_larger_than_a_chunk_is_served),
		cmocka_unit_test(a_size_that_overflows_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
