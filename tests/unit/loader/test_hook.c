// SPDX-License-Identifier: BSD-2-Clause
/* Names of hooks' pins. */
#include "loader/hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void every_hook_is_found_again_by_its_pin(void **state)
{
	static const char *const devices[] = {"eth0", "eth0.100", "a-b", "veth-x.1-y"};

	(void)state;
	for (int kind = 0; kind < HOOK_KIND_COUNT; kind++) {
		for (size_t i = 0; i < sizeof(devices) / sizeof(*devices); i++) {
			char pin[64], device[IF_NAMESIZE];
			enum hook_kind found;

			hook_pin_format((enum hook_kind)kind, devices[i], pin, sizeof(pin));
			assert_null(strchr(pin, '.')); /* bpffs refuses dots */
			assert_true(hook_pin_parse(pin, &found, device));
			assert_int_equal(found, kind);
			assert_string_equal(device, devices[i]);
		}
	}
}

static void hooks_of_one_qdisc_are_of_two_programs(void **state)
{
	(void)state;
	assert_int_equal(hook_program(HOOK_CLSACT), PROGRAM_TC);
	assert_int_equal(hook_program(HOOK_CLSACT_OWN), PROGRAM_TC);
	assert_int_equal(hook_program(HOOK_CLSACT_EGRESS), PROGRAM_TC_EGRESS);
	assert_int_equal(hook_program(HOOK_TCX_EGRESS), PROGRAM_TC_EGRESS);
	assert_true(hook_is_clsact(HOOK_CLSACT_EGRESS));
	assert_false(hook_is_clsact(HOOK_TCX_EGRESS));
}

static void what_is_no_hook_is_refused(void **state)
{
	static const char *const pins[] = {"",
					   "eth0",
					   "-native",
					   "eth0-",
					   "eth0-nativ",
					   "eth0-native_new",
					   "a-name-that-is-too-long-for-a-device-native"};

	(void)state;
	for (size_t i = 0; i < sizeof(pins) / sizeof(*pins); i++) {
		char device[IF_NAMESIZE];
		enum hook_kind kind;

		assert_false(hook_pin_parse(pins[i], &kind, device));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_hook_is_found_again_by_its_pin),
		cmocka_unit_test(hooks_of_one_qdisc_are_of_two_programs),
		cmocka_unit_test(what_is_no_hook_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
