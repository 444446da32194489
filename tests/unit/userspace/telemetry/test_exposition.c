// SPDX-License-Identifier: BSD-2-Clause
/* The text page, byte by byte, and histograms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/telemetry/exposition.h"

#define LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void a_family_is_help_type_and_samples(void **state)
{
	struct exposition page = {0};
	_cleanup_free_ char *text = NULL;
	size_t length;

	(void)state;
	exposition_family(&page, "a_total", "counter", "Things\\done,\nso far.");
	exposition_uint(&page, "a_total", LABELS("model", "m", "code", "200"),
			18446744073709551615ull);
	exposition_family(&page, "b", "gauge", "Level.");
	exposition_uint(&page, "b", NULL, 0);
	text = exposition_take(&page, &length);
	assert_string_equal(text, "# HELP a_total Things\\\\done,\\nso far.\n"
				  "# TYPE a_total counter\n"
				  "a_total{model=\"m\",code=\"200\"} 18446744073709551615\n"
				  "# HELP b Level.\n"
				  "# TYPE b gauge\n"
				  "b 0\n");
	assert_int_equal(length, strlen(text));
	assert_null(page.data);
}

static void label_values_are_escaped(void **state)
{
	struct exposition page = {0};
	_cleanup_free_ char *text = NULL;
	size_t length;

	(void)state;
	exposition_uint(&page, "x", LABELS("l", "a\"b\\c\nd{}"), 1);
	text = exposition_take(&page, &length);
	assert_string_equal(text, "x{l=\"a\\\"b\\\\c\\nd{}\"} 1\n");
}

static void what_is_not_utf8_is_replaced(void **state)
{
	struct exposition page = {0};
	_cleanup_free_ char *text = NULL;
	size_t length;

	(void)state;
	exposition_uint(&page, "x", LABELS("l", "\xc3\xa9\xff\"\xe2\x82"), 1);
	text = exposition_take(&page, &length);
	assert_string_equal(text, "x{l=\"\xc3\xa9\xef\xbf\xbd\\\"\xef\xbf\xbd\xef\xbf\xbd\"} 1\n");
}

static void numbers_read_back_as_they_were(void **state)
{
	static const double values[] = {0,     0.1,  1e-9, 1.0 / 3,  123456789.125,
					1e300, -2.5, NAN,  INFINITY, -INFINITY};
	static const char *const texts[] = {
		"0",   "0.1",  "1e-09", "0.3333333333333333", "123456789.125", "1e+300", "-2.5",
		"NaN", "+Inf", "-Inf"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		struct exposition page = {0};
		_cleanup_free_ char *text = NULL;
		char want[64];
		size_t length;

		snprintf(want, sizeof(want), "x %s\n", texts[i]);
		exposition_double(&page, "x", NULL, values[i]);
		text = exposition_take(&page, &length);
		assert_string_equal(text, want);
	}
}

static void a_histogram_is_cumulative_and_ends_with_infinity(void **state)
{
	struct histogram histogram = {0}, more = {0};
	struct exposition page = {0};
	_cleanup_free_ char *text = NULL;
	size_t length;

	(void)state;
	histogram_observe(&histogram, 5 * NS_PER_MS); /* a bound belongs to its bucket */
	histogram_observe(&histogram, 6 * NS_PER_MS);
	histogram_observe(&more, 500 * NS_PER_S);
	histogram_add(&histogram, &more);
	exposition_histogram(&page, "t_seconds", LABELS("model", "m"), &histogram);
	text = exposition_take(&page, &length);
	assert_non_null(strstr(text, "t_seconds_bucket{model=\"m\",le=\"0.005\"} 1\n"));
	assert_non_null(strstr(text, "t_seconds_bucket{model=\"m\",le=\"0.01\"} 2\n"));
	assert_non_null(strstr(text, "t_seconds_bucket{model=\"m\",le=\"120\"} 2\n"));
	assert_non_null(strstr(text, "t_seconds_bucket{model=\"m\",le=\"+Inf\"} 3\n"
				     "t_seconds_sum{model=\"m\"} 500.011\n"
				     "t_seconds_count{model=\"m\"} 3\n"));
}

static void bounds_rise_and_fit(void **state)
{
	(void)state;
	assert_in_range(histogram_seconds_bound_count, 1, HISTOGRAM_BOUNDS_MAX);
	for (size_t i = 1; i < histogram_seconds_bound_count; i++)
		assert_true(histogram_seconds_bounds[i] > histogram_seconds_bounds[i - 1]);
}

static void an_empty_page_is_an_empty_string(void **state)
{
	struct exposition page = {0};
	_cleanup_free_ char *text = NULL;
	size_t length = 1;

	(void)state;
	text = exposition_take(&page, &length);
	assert_string_equal(text, "");
	assert_int_equal(length, 0);
}

static void a_large_page_grows(void **state)
{
	struct exposition page = {0};
	_cleanup_free_ char *text = NULL;
	size_t length;

	(void)state;
	for (int i = 0; i < 10000; i++)
		exposition_uint(&page, "abcdefgh", NULL, 1);
	text = exposition_take(&page, &length);
	assert_int_equal(length, 10000 * strlen("abcdefgh 1\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_family_is_help_type_and_samples),
		cmocka_unit_test(label_values_are_escaped),
		cmocka_unit_test(what_is_not_utf8_is_replaced),
		cmocka_unit_test(numbers_read_back_as_they_were),
		cmocka_unit_test(a_histogram_is_cumulative_and_ends_with_infinity),
		cmocka_unit_test(bounds_rise_and_fit),
		cmocka_unit_test(an_empty_page_is_an_empty_string),
		cmocka_unit_test(a_large_page_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
