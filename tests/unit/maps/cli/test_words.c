// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "maps/cli/words.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

static void quiet(enum log_level level, const char *text)
{
	(void)level;
	(void)text;
}

static void flags_are_read_with_either_separator(void **state)
{
	static const struct {
		const char *text;
		uint8_t flags;
	} cases[] = {
		{"syn", 0x02},	   {"ack", 0x10},     {"syn,ack", 0x12},
		{"syn|ack", 0x12}, {"fin,ack", 0x11}, {"cwr,ece,urg,psh,rst", 0xec},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t flags = 0;

		assert_int_equal(tcp_flags_parse(cases[i].text, &flags), 0);
		assert_int_equal(flags, cases[i].flags);
	}
}

static void flags_that_are_none_are_refused(void **state)
{
	static const char *const cases[] = {"", "sy", "synack", "syn,", ",syn", "syn ack", "SYN"};
	uint8_t flags = 0x55;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(tcp_flags_parse(cases[i], &flags), -EINVAL);
	assert_int_equal(flags, 0x55);
}

static void all_flags_fit_into_their_text(void **state)
{
	char buffer[TCP_FLAGS_TEXT_MAX];

	(void)state;
	assert_string_equal(tcp_flags_format(0xff, buffer), "fin,syn,rst,psh,ack,urg,ece,cwr");
	assert_string_equal(tcp_flags_format(0, buffer), "");
}

static void names_of_others_cannot_move_the_cursor(void **state)
{
	char buffer[8];

	(void)state;
	assert_string_equal(words_clean("a\033[H\n", 64, buffer, sizeof(buffer)), "a?[H?");
	assert_string_equal(words_clean("\xff\xc3", 64, buffer, sizeof(buffer)), "??");
	assert_string_equal(words_clean("ab\xc3\xa9", 3, buffer, sizeof(buffer)), "ab?");
	assert_string_equal(words_clean("abcdef\xc3\xa9", 64, buffer, sizeof(buffer)), "abcdef");
	assert_string_equal(words_clean("abcdefghij", 64, buffer, sizeof(buffer)), "abcdefg");
	assert_string_equal(words_clean("abc", 0, buffer, sizeof(buffer)), "");
}

static void values_of_no_enum_have_a_name_too(void **state)
{
	char buffer[PROTO_TEXT_MAX];

	(void)state;
	assert_string_equal(words_mode(200), "invalid");
	assert_string_equal(words_nexthop_state(20000), "invalid");
	assert_string_equal(proto_format(255, buffer), "proto 255");
}

static int prepare(void **state)
{
	(void)state;
	log_sink = quiet;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_are_read_with_either_separator),
		cmocka_unit_test(flags_that_are_none_are_refused),
		cmocka_unit_test(all_flags_fit_into_their_text),
		cmocka_unit_test(names_of_others_cannot_move_the_cursor),
		cmocka_unit_test(values_of_no_enum_have_a_name_too),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
