// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "userspace/base/text.h"

static void numbers_are_as_printf_writes_them(void **state)
{
	static const uint64_t values[] = {0,	9,    10,	 15,	     16,
					  4095, 4096, 999999999, UINT32_MAX, UINT64_MAX};
	char buffer[64], wanted[64];

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		struct text text = TEXT_INIT(buffer);

		text_uint(&text, values[i]);
		text_puts(&text, " ");
		text_hex(&text, values[i]);
		snprintf(wanted, sizeof(wanted), "%" PRIu64 " %" PRIx64, values[i], values[i]);
		assert_string_equal(buffer, wanted);
		assert_false(text.cut);
	}
}

static void a_number_that_does_not_fit_is_cut(void **state)
{
	char buffer[5];
	struct text text = TEXT_INIT(buffer);

	(void)state;
	text_uint(&text, 123456);
	assert_true(text.cut);
	assert_true(text.length < sizeof(buffer));
	assert_int_equal(buffer[text.length], '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_as_printf_writes_them),
		cmocka_unit_test(a_number_that_does_not_fit_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
