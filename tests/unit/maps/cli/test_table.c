// SPDX-License-Identifier: BSD-2-Clause
/* One model of rows, printed for people and for programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maps/cli/table.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

static const struct column columns[] = {
	{"name", COLUMN_TEXT, .identity = true},
	{"packets", COLUMN_COUNTER},
	{"kv_use", COLUMN_PERMILLE},
	{"seen", COLUMN_AGE},
	{"rtt", COLUMN_MICROSECONDS, .wide = true},
	{"note", COLUMN_TEXT},
};

static void row(struct table *table, const char *name, uint64_t packets, uint64_t permille,
		uint64_t age_ns, const char *note)
{
	table_row(table);
	table_push_text(table, name);
	table_push_number(table, packets);
	table_push_number(table, permille);
	table_push_number(table, age_ns);
	table_push_number(table, 31250);
	table_push_text(table, note);
}

static void unknown_row(struct table *table)
{
	table_row(table);
	table_push_text(table, "b");
	for (int i = 0; i < 5; i++)
		table_push_none(table);
}

typedef void printer(const struct table *table, FILE *out);

static void printed(const struct table *table, printer *print, const char *want)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	print(table, out);
	fclose(out);
	assert_string_equal(text, want);
}

static void text_is_aligned_with_numbers_to_the_right(void **state)
{
	_cleanup_(table_deinit) struct table table;

	(void)state;
	table_init(&table, columns, ARRAY_SIZE(columns));
	row(&table, "endpoint", 12345678901234567890ull, 375, 192 * NS_PER_S, "x");
	unknown_row(&table);
	printed(&table, table_print,
		"NAME                   PACKETS  KV USE   SEEN  NOTE\n"
		"endpoint  12345678901234567890   37.5%  3m12s  x\n"
		"b                            -       -      -  -\n");
}

static void wide_columns_are_shown_when_asked_for(void **state)
{
	_cleanup_(table_deinit) struct table table;

	(void)state;
	table_init(&table, columns, ARRAY_SIZE(columns));
	table.wide = true;
	row(&table, "a", 1, 0, 0, "x");
	printed(&table, table_print,
		"NAME  PACKETS  KV USE  SEEN     RTT  NOTE\n"
		"a           1    0.0%  0.0s  31.2ms  x\n");
}

static void json_is_exact_and_keeps_what_is_unknown(void **state)
{
	_cleanup_(table_deinit) struct table table;

	(void)state;
	table_init(&table, columns, ARRAY_SIZE(columns));
	row(&table, "a\"b", 12345678901234567890ull, 375, 192 * NS_PER_S + 500 * NS_PER_MS, "x\n");
	unknown_row(&table);
	printed(&table, table_print_json,
		"[\n"
		"  {\"name\":\"a\\\"b\",\"packets\":12345678901234567890,\"kv_use\":0.375,"
		"\"seen_s\":192.500,\"rtt_us\":31250,\"note\":\"x\\u000a\"},\n"
		"  {\"name\":\"b\",\"packets\":null,\"kv_use\":null,\"seen_s\":null,\"rtt_us\":null,"
		"\"note\":null}\n"
		"]\n");
}

static void no_rows_are_said_in_text_and_empty_in_json(void **state)
{
	_cleanup_(table_deinit) struct table table;

	(void)state;
	table_init(&table, columns, ARRAY_SIZE(columns));
	table.empty = "no things yet";
	printed(&table, table_print, "no things yet\n");
	printed(&table, table_print_json, "[]\n");
}

static void a_single_object_is_lines_or_an_object(void **state)
{
	static const struct column two[] = {{"snat_port", COLUMN_NUMBER}, {"name", COLUMN_TEXT}};
	_cleanup_(table_deinit) struct table table;

	(void)state;
	table_init(&table, two, ARRAY_SIZE(two));
	table.single = true;
	table_row(&table);
	table_push_number(&table, 7);
	table_push_text(&table, "main");
	printed(&table, table_print,
		"SNAT PORT                7\n"
		"NAME                     main\n");
	printed(&table, table_print_json, "{\"snat_port\":7,\"name\":\"main\"}\n");
}

static void terminal_escapes_in_names_are_harmless(void **state)
{
	static const struct column one[] = {{"name", COLUMN_TEXT}};
	_cleanup_(table_deinit) struct table table;

	(void)state;
	table_init(&table, one, ARRAY_SIZE(one));
	table_row(&table);
	table_push_text(&table, "a\033[2J\n\177b");
	printed(&table, table_print, "NAME\na?[2J??b\n");
}

static void many_rows_fit(void **state)
{
	_cleanup_(table_deinit) struct table table;

	(void)state;
	table_init(&table, columns, ARRAY_SIZE(columns));
	for (uint64_t i = 0; i < 5000; i++)
		row(&table, "n", i, 0, 0, NULL);
	assert_int_equal(table.err, 0);
	assert_int_equal(table.row_count, 5000);
	assert_int_equal(table_cell(&table, 4999, 1)->number, 4999);
	assert_false(table_cell(&table, 4999, 5)->set);
}

static void ages_are_short(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
		{0, "0.0s"},
		{9990 * NS_PER_MS, "9.9s"},
		{10 * NS_PER_S, "10s"},
		{119 * NS_PER_S, "119s"},
		{120 * NS_PER_S, "2m0s"},
		{7199 * NS_PER_S, "119m59s"},
		{7200 * NS_PER_S, "2h0m"},
		{(47 * 3600 + 59 * 60) * NS_PER_S, "47h59m"},
		{49 * 3600 * NS_PER_S, "2d1h"},
		{UINT64_MAX, "213503d23h"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[AGE_TEXT_MAX];

		assert_string_equal(age_format(cases[i].ns, text), cases[i].text);
	}
}

static const struct cell *rate_of(const struct table *rates, size_t at)
{
	return table_cell(rates, at, 2); /* behind packets */
}

static void rates_belong_to_the_same_row(void **state)
{
	_cleanup_(table_deinit) struct table before, now, rates = {0};

	(void)state;
	table_init(&before, columns, ARRAY_SIZE(columns));
	row(&before, "gone", 5, 0, 0, NULL);
	row(&before, "busy", 100, 0, 0, NULL);
	row(&before, "restarted", 1000, 0, 0, NULL);
	table_init(&now, columns, ARRAY_SIZE(columns));
	row(&now, "restarted", 10, 0, 0, NULL);
	row(&now, "busy", 350, 0, 0, NULL);
	row(&now, "new", 7, 0, 0, NULL);
	assert_int_equal(table_with_rates(&now, &before, 2 * NS_PER_S, &rates), 0);
	assert_int_equal(rates.column_count, ARRAY_SIZE(columns) + 1);
	assert_string_equal(rates.columns[2].key, "packets_per_second");
	assert_true(rate_of(&rates, 0)->rate == 5);
	assert_true(rate_of(&rates, 1)->rate == 125);
	assert_false(rate_of(&rates, 2)->set);
	assert_int_equal(table_cell(&rates, 1, 1)->number, 350);
}

static void a_rate_is_titled_with_its_unit(void **state)
{
	static const struct column two[] = {{"name", COLUMN_TEXT, .identity = true},
					    {"packets_back", COLUMN_COUNTER}};
	_cleanup_(table_deinit) struct table now, rates = {0};

	(void)state;
	table_init(&now, two, ARRAY_SIZE(two));
	table_row(&now);
	table_push_text(&now, "a");
	table_push_number(&now, 2000);
	assert_int_equal(table_with_rates(&now, &now, NS_PER_S, &rates), 0);
	printed(&rates, table_print,
		"NAME  PACKETS BACK  PACKETS BACK/S\n"
		"a             2000             0.0\n");
}

static void the_first_look_has_no_rates(void **state)
{
	_cleanup_(table_deinit) struct table now, rates = {0};

	(void)state;
	table_init(&now, columns, ARRAY_SIZE(columns));
	row(&now, "a", 10, 0, 0, NULL);
	assert_int_equal(table_with_rates(&now, NULL, 0, &rates), 0);
	assert_false(rate_of(&rates, 0)->set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_aligned_with_numbers_to_the_right),
		cmocka_unit_test(wide_columns_are_shown_when_asked_for),
		cmocka_unit_test(json_is_exact_and_keeps_what_is_unknown),
		cmocka_unit_test(no_rows_are_said_in_text_and_empty_in_json),
		cmocka_unit_test(a_single_object_is_lines_or_an_object),
		cmocka_unit_test(terminal_escapes_in_names_are_harmless),
		cmocka_unit_test(many_rows_fit),
		cmocka_unit_test(ages_are_short),
		cmocka_unit_test(rates_belong_to_the_same_row),
		cmocka_unit_test(a_rate_is_titled_with_its_unit),
		cmocka_unit_test(the_first_look_has_no_rates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
