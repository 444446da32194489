// SPDX-License-Identifier: BSD-2-Clause
/* Tables for programs: numbers stay exact, ages become seconds, and a member
 * that has a unit ends in it: "seen_s", "round_trip_us". */
#include "maps/cli/table.h"

#include <stdio.h>
#include <string.h>

#include "userspace/base/clock.h"
#include "userspace/base/text.h"

#define OBJECT_BYTES_MAX 16384 /* 48 cells of the longest name, escaped, fit */

static void member_none(struct text *text, const char *key)
{
	if (text->data[text->length - 1] != '{')
		text_puts(text, ",");
	text_printf(text, "\"%s\":null", key);
}

static const char *unit_suffix(enum column_kind kind)
{
	switch (kind) {
	case COLUMN_AGE: return "_s";
	case COLUMN_MICROSECONDS: return "_us";
	default: return "";
	}
}

static void member_write(struct text *text, const struct column *column, const struct cell *cell)
{
	char key[64];

	snprintf(key, sizeof(key), "%s%s", column->key, unit_suffix(column->kind));
	if (!cell->set) {
		member_none(text, key);
		return;
	}
	switch (column->kind) {
	case COLUMN_TEXT: text_json_string(text, key, cell->text, strlen(cell->text)); break;
	case COLUMN_NUMBER:
	case COLUMN_COUNTER:
	case COLUMN_MICROSECONDS: text_json_uint(text, key, cell->number); break;
	case COLUMN_RATE: text_json_double(text, key, cell->rate, 3); break;
	case COLUMN_AGE: text_json_double(text, key, (double)cell->number / NS_PER_S, 3); break;
	case COLUMN_PERMILLE: text_json_double(text, key, (double)cell->number / 1000, 3); break;
	}
}

static void row_print(const struct table *table, size_t row, FILE *out)
{
	static char buffer[OBJECT_BYTES_MAX];
	struct text text = TEXT_INIT(buffer);

	text_puts(&text, "{");
	for (size_t c = 0; c < table->column_count; c++)
		member_write(&text, &table->columns[c], table_cell(table, row, c));
	text_puts(&text, "}");
	fputs(buffer, out);
}

static void rows_print(const struct table *table, const char *before, const char *between,
		       FILE *out)
{
	for (size_t row = 0; row < table->row_count; row++) {
		fputs(row ? between : before, out);
		row_print(table, row, out);
	}
}

void table_print_json(const struct table *table, FILE *out)
{
	if (table->single && table->row_count == 1) {
		row_print(table, 0, out);
		fputc('\n', out);
		return;
	}
	fputc('[', out);
	rows_print(table, "\n  ", ",\n  ", out);
	fputs(table->row_count ? "\n]\n" : "]\n", out);
}

void table_print_json_line(const struct table *table, uint64_t at_ns, FILE *out)
{
	fprintf(out, "{\"at\":%.3f,\"rows\":[", (double)(at_ns / NS_PER_MS) / 1000);
	rows_print(table, "", ",", out);
	fputs("]}\n", out);
}
