/* SPDX-License-Identifier: BSD-2-Clause */
/* Every variant stops at the same byte, and reads none past the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "userspace/model/skip.h"

#define RUN_MAX 100

/* One page, followed by one that must not be touched. */
static uint8_t *page_end(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *pages =
		mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(mprotect(pages + size, size, PROT_NONE), 0);
	return pages + size;
}

static void check_variant(skip_plain variant)
{
	uint8_t *end = page_end();
	size_t length, at;
	int byte;

	for (length = 0; length <= RUN_MAX; length++) {
		memset(end - length, 'a', length);
		assert_ptr_equal(variant(end - length, end), end);
		for (at = 0; at < length; at++) {
			end[-(ptrdiff_t)length + (ptrdiff_t)at] = '"';
			assert_ptr_equal(variant(end - length, end), end - length + at);
			end[-(ptrdiff_t)length + (ptrdiff_t)at] = 'a';
		}
	}
	for (byte = 0; byte < 256; byte++) {
		memset(end - 64, byte, 64);
		assert_ptr_equal(variant(end - 64, end), skip_plain_scalar(end - 64, end));
	}
}

static void scalar_stops_at_every_special_byte(void **state)
{
	uint8_t c;
	int byte;

	(void)state;
	check_variant(skip_plain_scalar);
	for (byte = 0; byte < 256; byte++) {
		c = (uint8_t)byte;
		assert_int_equal(skip_plain_scalar(&c, &c + 1) == &c,
				 c < 0x20 || c == '"' || c == '\\' || c >= 0x80);
	}
}

static void vectors_stop_where_scalar_stops(void **state)
{
	(void)state;
#ifdef __x86_64__
	check_variant(skip_plain_sse2);
	if (__builtin_cpu_supports("avx2"))
		check_variant(skip_plain_avx2);
	else
		printf("skip: this processor has no AVX2\n");
#endif
	check_variant(skip_plain_best());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scalar_stops_at_every_special_byte),
		cmocka_unit_test(vectors_stop_where_scalar_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
