// SPDX-License-Identifier: BSD-2-Clause
/* Against the values that OpenSSL's SIPHASH of 16 bytes gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/siphash.h"

static void the_reference_values_come_out(void **state)
{
	static const struct {
		size_t length; /* of 0, 1, 2, ... */
		const char *hash;
	} cases[] = {
		{0, "a3817f04ba25a8e66df67214c7550293"},  {1, "da87c1d86b99af44347659119b22fc45"},
		{15, "5493e99933b0a8117e08ec0f97cfc3d9"}, {16, "6ee2a4ca67b054bbfd3315bf85230577"},
		{63, "5150d1772f50834a503e069a973fbd7c"},
	};
	uint8_t key[SIPHASH_KEY_BYTES], data[64], hash[SIPHASH_BYTES];
	char text[2 * SIPHASH_BYTES + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		siphash(key, data, cases[i].length, hash);
		for (size_t k = 0; k < sizeof(hash); k++)
			snprintf(text + 2 * k, 3, "%02x", hash[k]);
		assert_string_equal(text, cases[i].hash);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reference_values_come_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
