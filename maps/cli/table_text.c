// SPDX-License-Identifier: BSD-2-Clause
/* Tables for people: columns as wide as their widest cell, numbers to the right.
 * Names come from maps that others write, so what would move the cursor is
 * replaced. */
#include "maps/cli/table.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#define CELL_TEXT_MAX 256
#define COLUMNS_MAX 48
#define GAP 2

static bool is_numeric(enum column_kind kind)
{
	return kind != COLUMN_TEXT;
}

static void text_clean(const char *from, char buffer[CELL_TEXT_MAX])
{
	size_t i;

	for (i = 0; from[i] && i < CELL_TEXT_MAX - 1; i++)
		buffer[i] = iscntrl((unsigned char)from[i]) ? '?' : from[i];
	buffer[i] = '\0';
}

static void rate_format(double rate, char buffer[CELL_TEXT_MAX])
{
	snprintf(buffer, CELL_TEXT_MAX, rate < 100 ? "%.1f" : "%.0f", rate);
}

static const char *cell_format(const struct cell *cell, enum column_kind kind,
			       char buffer[CELL_TEXT_MAX])
{
	if (!cell->set)
		return "-";
	switch (kind) {
	case COLUMN_TEXT: text_clean(cell->text, buffer); break;
	case COLUMN_NUMBER:
	case COLUMN_COUNTER: snprintf(buffer, CELL_TEXT_MAX, "%" PRIu64, cell->number); break;
	case COLUMN_RATE: rate_format(cell->rate, buffer); break;
	case COLUMN_AGE: age_format(cell->number, buffer); break;
	case COLUMN_PERMILLE:
		snprintf(buffer, CELL_TEXT_MAX, "%.1f%%", (double)cell->number / 10);
		break;
	case COLUMN_MICROSECONDS:
		snprintf(buffer, CELL_TEXT_MAX, "%.1fms", (double)cell->number / 1000);
		break;
	}
	return buffer;
}

/* "packets_back" is PACKETS BACK, "packets_per_second" is PACKETS/S. */
static void title_format(const struct column *column, char buffer[CELL_TEXT_MAX])
{
	static const char per_second[] = "_per_second";
	size_t length = strlen(column->key), i;

	if (column->kind == COLUMN_RATE && length >= sizeof(per_second) &&
	    !strcmp(column->key + length - (sizeof(per_second) - 1), per_second))
		length -= sizeof(per_second) - 1;
	for (i = 0; i < length && i < CELL_TEXT_MAX - 3; i++)
		buffer[i] = column->key[i] == '_' ? ' '
						  : (char)toupper((unsigned char)column->key[i]);
	strcpy(buffer + i, column->key[length] ? "/S" : "");
}

/* Characters, not bytes, of UTF-8. */
static size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

static bool is_shown(const struct table *table, size_t c)
{
	return table->wide || !table->columns[c].wide;
}

static void spaces(FILE *out, size_t count)
{
	fprintf(out, "%*s", (int)count, "");
}

static void widths_measure(const struct table *table, size_t widths[COLUMNS_MAX])
{
	char buffer[CELL_TEXT_MAX];

	for (size_t c = 0; c < table->column_count; c++) {
		if (!is_shown(table, c))
			continue;
		title_format(&table->columns[c], buffer);
		widths[c] = text_width(buffer);
		for (size_t r = 0; r < table->row_count; r++) {
			size_t width = text_width(cell_format(table_cell(table, r, c),
							      table->columns[c].kind, buffer));

			if (width > widths[c])
				widths[c] = width;
		}
	}
}

/* The last column of text has no trailing spaces. */
static void field_print(const struct table *table, size_t c, const char *text, size_t width,
			FILE *out)
{
	bool right = is_numeric(table->columns[c].kind);
	size_t fill;

	if (!is_shown(table, c))
		return;
	fill = width - text_width(text);
	if (c)
		spaces(out, GAP);
	if (right)
		spaces(out, fill);
	fputs(text, out);
	if (!right && c + 1 < table->column_count)
		spaces(out, fill);
}

static void single_print(const struct table *table, FILE *out)
{
	char title[CELL_TEXT_MAX], buffer[CELL_TEXT_MAX];

	for (size_t c = 0; table->row_count && c < table->column_count; c++) {
		title_format(&table->columns[c], title);
		fprintf(out, "%-24s %s\n", title,
			cell_format(table_cell(table, 0, c), table->columns[c].kind, buffer));
	}
}

void table_print(const struct table *table, FILE *out)
{
	size_t widths[COLUMNS_MAX];
	char buffer[CELL_TEXT_MAX];

	if (table->single) {
		single_print(table, out);
		return;
	}
	if (!table->row_count || table->column_count > COLUMNS_MAX) {
		fprintf(out, "%s\n", table->empty ? table->empty : "nothing to show");
		return;
	}
	widths_measure(table, widths);
	for (size_t c = 0; c < table->column_count; c++) {
		title_format(&table->columns[c], buffer);
		field_print(table, c, buffer, widths[c], out);
	}
	fputc('\n', out);
	for (size_t r = 0; r < table->row_count; r++) {
		for (size_t c = 0; c < table->column_count; c++)
			field_print(table, c,
				    cell_format(table_cell(table, r, c), table->columns[c].kind,
						buffer),
				    widths[c], out);
		fputc('\n', out);
	}
}
