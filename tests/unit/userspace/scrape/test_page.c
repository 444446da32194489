// SPDX-License-Identifier: BSD-2-Clause
/* The metrics page scanner, on fixtures of its own and on the shared pages of
 * model servers (../shared/model-servers/metrics, or below $SLUICE_SHARED). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/file.h"
#include "userspace/scrape/page.h"

#define COLUMNS_MAX 16

static struct page_sample scan_pieces(const char *text, size_t length, size_t step, bool complete)
{
	static struct page page;
	struct page_sample sample;

	page_init(&page);
	for (size_t at = 0; at < length; at += step) {
		size_t piece = length - at < step ? length - at : step;
		/* a heap copy of the exact size: the sanitizer sees one byte too far */
		_cleanup_free_ char *copy = malloc(piece);

		memcpy(copy, text + at, piece);
		page_feed(&page, copy, piece);
	}
	page_end(&page, complete, &sample);
	return sample;
}

static struct page_sample scan(const char *text)
{
	return scan_pieces(text, strlen(text), strlen(text) + 1, true);
}

#define THREE                                                                                      \
	"vllm:num_requests_running{engine=\"0\"} 3\n"                                              \
	"vllm:num_requests_waiting{engine=\"0\"} 1\n"                                              \
	"vllm:kv_cache_usage_perc{engine=\"0\"} 0.25\n"

static void a_page_with_all_three_signals_is_ok(void **state)
{
	struct page_sample sample = scan("# HELP x y\n" THREE "other_metric 4\n");

	(void)state;
	assert_int_equal(sample.outcome, PAGE_OK);
	assert_true(sample.values[PAGE_RUNNING] == 3);
	assert_true(sample.values[PAGE_WAITING] == 1);
	assert_true(sample.values[PAGE_KV] == 0.25);
	assert_int_equal(sample.bad_lines, 0);
}

static void a_cut_page_says_nothing(void **state)
{
	struct page_sample sample = scan_pieces(THREE, strlen(THREE), 7, false);

	(void)state;
	assert_int_equal(sample.outcome, PAGE_DISCARD);
	assert_false(sample.known[PAGE_RUNNING]);
}

static void engines_are_summed_and_the_fullest_kv_counts(void **state)
{
	struct page_sample sample = scan("vllm:num_requests_running{engine=\"0\",m=\"a\"} 3\n"
					 "vllm:num_requests_running{engine=\"1\",m=\"a\"} 4\n"
					 "vllm:num_requests_running{m=\"b\",engine=\"1\"} 6\n"
					 "vllm:kv_cache_usage_perc{engine=\"0\"} 0.5\n"
					 "vllm:kv_cache_usage_perc{engine=\"1\"} 0.25\n");

	(void)state;
	assert_true(sample.values[PAGE_RUNNING] == 9); /* 3 + max(4, 6) */
	assert_true(sample.values[PAGE_KV] == 0.5);
	assert_false(sample.known[PAGE_WAITING]);
	assert_int_equal(sample.outcome, PAGE_PARTIAL);
}

static void label_order_does_not_make_another_series(void **state)
{
	struct page_sample sample = scan("vllm:num_requests_running{a=\"1\",b=\"2\"} 9\n"
					 "vllm:num_requests_running{b=\"2\",a=\"1\"} 4\n");

	(void)state;
	assert_true(sample.values[PAGE_RUNNING] == 4);
}

static void one_engine_that_lies_makes_the_whole_signal_unknown(void **state)
{
	static const char *const lies[] = {"NaN", "+Inf", "-Inf", "-1", "-0.5", "1e999"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		char text[256];
		struct page_sample sample;

		snprintf(text, sizeof(text), THREE "vllm:num_requests_running{engine=\"1\"} %s\n",
			 lies[i]);
		sample = scan(text);
		assert_false(sample.known[PAGE_RUNNING]);
		assert_true(sample.known[PAGE_WAITING]);
		assert_int_equal(sample.outcome, PAGE_PARTIAL);
	}
}

static void only_the_total_over_priorities_counts(void **state)
{
	struct page_sample sample = scan("vllm:num_requests_running{priority=\"\"} 7\n"
					 "vllm:num_requests_running{priority=\"1\"} 5\n");

	(void)state;
	assert_true(sample.values[PAGE_RUNNING] == 7);
}

static void a_kv_use_a_little_above_one_is_one_and_percents_are_unknown(void **state)
{
	struct page_sample sample = scan("vllm:kv_cache_usage_perc 1.2\n");

	(void)state;
	assert_true(sample.values[PAGE_KV] == 1);
	sample = scan("vllm:kv_cache_usage_perc 97\n");
	assert_false(sample.known[PAGE_KV]);
}

static void what_is_no_prometheus_number_is_a_bad_line(void **state)
{
	static const char *const words[] = {"0x3", "2_5", "infinity", "nan", "1e", "e5",  ".",
					    "",	   "--1", "1.2.3",    "1,5", "+",  "None"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		char text[128];
		struct page_sample sample;

		snprintf(text, sizeof(text), "vllm:num_requests_running{} %s\n", words[i]);
		sample = scan(text);
		assert_int_equal(sample.bad_lines, 1);
		assert_int_equal(sample.outcome, PAGE_NONE);
	}
}

static void too_many_series_make_a_signal_unknown_instead_of_a_wrong_sum(void **state)
{
	static char text[PAGE_SERIES_MAX * 80];
	size_t length = 0;
	struct page_sample sample;

	(void)state;
	for (int i = 0; i <= PAGE_SERIES_MAX; i++)
		length += (size_t)sprintf(text + length,
					  "vllm:num_requests_running{engine=\"%d\"} 1\n", i);
	sample = scan_pieces(text, length, 4096, true);
	assert_false(sample.known[PAGE_RUNNING]);
	/* one less is fine */
	*strrchr(text, 'v') = '#';
	sample = scan(text);
	assert_true(sample.values[PAGE_RUNNING] == PAGE_SERIES_MAX);
}

static void a_label_cut_by_a_line_end_is_a_bad_line(void **state)
{
	struct page_sample sample = scan("vllm:num_requests_running{a=\"x\n" THREE);

	(void)state;
	assert_int_equal(sample.bad_lines, 1);
	assert_int_equal(sample.outcome, PAGE_OK);
}

/* ---- the shared pages ---- */

static const char *shared_root(void)
{
	const char *root = getenv("SLUICE_SHARED");

	return root ? root : "../shared";
}

static bool value_matches(const char *expected, bool known, double value)
{
	if (strcmp(expected, "-") == 0)
		return !known;
	return known && fabs(strtod(expected, NULL) - value) <= 1e-12 * fabs(value);
}

static void check_row(char **column, const char *text, size_t length, size_t step)
{
	static const char *const outcomes[] = {"none", "partial", "ok", "discard"};
	static const struct {
		int column;
		enum page_signal signal;
	} signals[] = {{4, PAGE_WAITING},
		       {5, PAGE_RUNNING},
		       {6, PAGE_KV},
		       {8, PAGE_BLOCKS},
		       {7, PAGE_BLOCK_TOKENS}};
	struct page_sample sample = scan_pieces(text, length, step, column[2][0] == '1');

	if (strcmp(outcomes[sample.outcome], column[3]) != 0)
		fail_msg("%s (pieces of %zu): outcome %s, expected %s", column[0], step,
			 outcomes[sample.outcome], column[3]);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		enum page_signal signal = signals[i].signal;

		if (!value_matches(column[signals[i].column], sample.known[signal],
				   sample.values[signal]))
			fail_msg("%s (pieces of %zu): signal %d is %g (known %d), expected %s",
				 column[0], step, signal, sample.values[signal],
				 sample.known[signal], column[signals[i].column]);
	}
}

static void check_page(char **column)
{
	static const size_t steps[] = {1, 3, 64, 1500, SIZE_MAX / 2};
	_cleanup_free_ char *text = NULL;
	char path[512];
	size_t length;

	snprintf(path, sizeof(path), "%s/model-servers/metrics/%s", shared_root(), column[0]);
	assert_int_equal(file_read(path, 16 << 20, &text, &length), 0);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (steps[i] >= 64 || length < 100000)
			check_row(column, text, length, steps[i]);
	}
}

static size_t row_split(char *line, char **column)
{
	size_t count = 0;

	while (count < COLUMNS_MAX) {
		column[count++] = line;
		line = strchr(line, '\t');
		if (!line)
			break;
		*line++ = '\0';
	}
	return count;
}

static void vllms_pages_give_what_expected_tsv_says_however_they_are_cut(void **state)
{
	_cleanup_free_ char *table = NULL;
	char path[512], *rest, *line;
	int rows = 0;
	size_t length;

	(void)state;
	snprintf(path, sizeof(path), "%s/model-servers/metrics/expected.tsv", shared_root());
	if (file_read(path, 1 << 20, &table, &length) < 0) {
		printf("skip: %s is not there; set SLUICE_SHARED\n", path);
		skip();
	}
	for (line = strtok_r(table, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *column[COLUMNS_MAX];

		if (row_split(line, column) < 10 || strcmp(column[1], "vllm") != 0)
			continue;
		check_page(column);
		rows++;
	}
	assert_true(rows > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_with_all_three_signals_is_ok),
		cmocka_unit_test(a_cut_page_says_nothing),
		cmocka_unit_test(engines_are_summed_and_the_fullest_kv_counts),
		cmocka_unit_test(label_order_does_not_make_another_series),
		cmocka_unit_test(one_engine_that_lies_makes_the_whole_signal_unknown),
		cmocka_unit_test(only_the_total_over_priorities_counts),
		cmocka_unit_test(a_kv_use_a_little_above_one_is_one_and_percents_are_unknown),
		cmocka_unit_test(what_is_no_prometheus_number_is_a_bad_line),
		cmocka_unit_test(too_many_series_make_a_signal_unknown_instead_of_a_wrong_sum),
		cmocka_unit_test(a_label_cut_by_a_line_end_is_a_bad_line),
		cmocka_unit_test(vllms_pages_give_what_expected_tsv_says_however_they_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
