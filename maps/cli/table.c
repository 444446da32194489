// SPDX-License-Identifier: BSD-2-Clause
/* Rows of cells.  Running out of memory is remembered in `err` and checked once,
 * by whoever prints. */
#include "maps/cli/table.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/clock.h"

#define ROWS_FIRST 64
#define MINUTE 60ull
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

void table_init(struct table *table, const struct column *columns, size_t column_count)
{
	*table = (struct table){
		.columns = columns, .column_count = column_count, .pushed = column_count};
}

void table_deinit(struct table *table)
{
	free(table->cells);
	arena_deinit(&table->arena);
	*table = (struct table){0};
}

static bool rows_grow(struct table *table)
{
	size_t room = table->row_room ? 2 * table->row_room : ROWS_FIRST;
	struct cell *cells;

	cells = reallocarray(table->cells, room, table->column_count * sizeof(*cells));
	if (!cells) {
		table->err = -ENOMEM;
		return false;
	}
	table->cells = cells;
	table->row_room = room;
	return true;
}

void table_row(struct table *table)
{
	assert(table->pushed == table->column_count || table->err);
	if (table->err || (table->row_count == table->row_room && !rows_grow(table)))
		return;
	memset(&table->cells[table->row_count * table->column_count], 0,
	       table->column_count * sizeof(*table->cells));
	table->row_count++;
	table->pushed = 0;
}

static struct cell *cell_next(struct table *table)
{
	if (table->err)
		return NULL;
	assert(table->row_count && table->pushed < table->column_count);
	return &table->cells[(table->row_count - 1) * table->column_count + table->pushed++];
}

void table_push_text(struct table *table, const char *text)
{
	struct cell *cell = cell_next(table);

	if (!cell || !text)
		return;
	cell->text = arena_string(&table->arena, text);
	cell->set = cell->text != NULL;
	if (!cell->text)
		table->err = -ENOMEM;
}

void table_push_format(struct table *table, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	table_push_text(table, text);
}

void table_push_number(struct table *table, uint64_t number)
{
	struct cell *cell = cell_next(table);

	if (cell)
		*cell = (struct cell){.set = true, .number = number};
}

void table_push_rate(struct table *table, double rate)
{
	struct cell *cell = cell_next(table);

	if (cell)
		*cell = (struct cell){.set = true, .rate = rate};
}

void table_push_none(struct table *table)
{
	cell_next(table);
}

const char *age_format(uint64_t age_ns, char buffer[AGE_TEXT_MAX])
{
	uint64_t s = age_ns / NS_PER_S;

	if (s < 10)
		snprintf(buffer, AGE_TEXT_MAX, "%.1fs", (double)(age_ns / (NS_PER_S / 10)) / 10);
	else if (s < 2 * MINUTE)
		snprintf(buffer, AGE_TEXT_MAX, "%us", (unsigned)s);
	else if (s < 2 * HOUR)
		snprintf(buffer, AGE_TEXT_MAX, "%um%us", (unsigned)(s / MINUTE),
			 (unsigned)(s % MINUTE));
	else if (s < 2 * DAY)
		snprintf(buffer, AGE_TEXT_MAX, "%uh%um", (unsigned)(s / HOUR),
			 (unsigned)(s % HOUR / MINUTE));
	else
		snprintf(buffer, AGE_TEXT_MAX, "%llud%uh", (unsigned long long)(s / DAY),
			 (unsigned)(s % DAY / HOUR));
	return buffer;
}
