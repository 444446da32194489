// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/pattern.h"

static void the_whole_text_must_match(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {
		{"gemma", "gemma", true},
		{"gemma", "gemma-3", false},
		{"a|bc", "bc", true},
		{"a|bc", "abc", false},
		{"^(food-review|cad)-.*$", "food-review-1", true},
		{"[])]x", ")x", true},
		{"[[:digit:]]{1,3}", "42", true},
		{"\\(", "(", true},
		{"", "", true},
		{"", "x", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char why[PATTERN_WHY_MAX];
		regex_t regex;

		assert_int_equal(pattern_compile(cases[i].pattern, &regex, why), 0);
		assert_int_equal(pattern_matches(&regex, cases[i].text), cases[i].matches);
		regfree(&regex);
	}
}

static void dangerous_and_foreign_expressions_are_refused_with_a_reason(void **state)
{
	static const struct {
		const char *pattern, *why;
	} cases[] = {
		{"(", "not closed"},
		{"a)", "closes nothing"},
		{"a)|(b", "closes nothing"},
		{"[a", "not closed"},
		{"(a)\\1", "back-references"},
		{"\\d+", "[0-9]"},
		{"(?i)x", "(?"},
		{"((a{200}){200}){200}", "repetition counts"},
		{"a{99999999999999999999}", "repetition counts"},
		{"x\\", "backslash"},
	};
	char longest[PATTERN_LENGTH_MAX + 2], why[PATTERN_WHY_MAX];
	regex_t regex;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(pattern_compile(cases[i].pattern, &regex, why), -EINVAL);
		if (!strstr(why, cases[i].why))
			fail_msg("%s: \"%s\"", cases[i].pattern, why);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(pattern_compile(longest, &regex, why), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_whole_text_must_match),
		cmocka_unit_test(dangerous_and_foreign_expressions_are_refused_with_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
