/* SPDX-License-Identifier: BSD-2-Clause */
/* One model of rows for people and for programs: a command fills a table, and
 * the same cells are printed as aligned text or as JSON.
 *
 * A column's kind says what a number means, so that text can be friendly ("3m12s",
 * "37.5%") while JSON stays exact (192.0, 0.375).  Cells are pushed from left to
 * right; a cell without a value prints as "-" and null. */
#ifndef SLUICE_CLI_TABLE_H
#define SLUICE_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "userspace/base/arena.h"

enum column_kind {
	COLUMN_TEXT,
	COLUMN_NUMBER,
	COLUMN_COUNTER, /* only rises; `watch` shows its rate beside it */
	COLUMN_RATE, /* a second; pushed as a double */
	COLUMN_AGE, /* pushed in ns; JSON: seconds, key_s */
	COLUMN_PERMILLE, /* text: percent; JSON: share of 1 */
	COLUMN_MICROSECONDS, /* text: milliseconds; JSON: as it is, key_us */
};

struct column {
	const char *key; /* JSON member, its unit appended; the title is the same in capitals */
	enum column_kind kind;
	bool identity; /* rows are the same object when these are equal */
	bool wide; /* in text only when asked for */
	const char *about; /* what it means, for help */
};

struct cell {
	bool set;
	const char *text;
	uint64_t number;
	double rate;
};

struct table {
	const struct column *columns;
	size_t column_count;
	struct cell *cells; /* row_count * column_count */
	size_t row_count, row_room;
	size_t pushed; /* cells of the last row */
	bool single; /* one object: printed as "key value" lines, JSON without [] */
	bool wide; /* text shows the wide columns too */
	const char *empty; /* said when there are no rows, in text */
	struct arena arena; /* texts */
	int err; /* -ENOMEM: rows are missing */
};

/* `columns` is borrowed for as long as the table lives. */
void table_init(struct table *table, const struct column *columns, size_t column_count);
void table_deinit(struct table *table);

/* Begins a row.  The one before must be complete. */
void table_row(struct table *table);
/* NULL pushes an empty cell. */
void table_push_text(struct table *table, const char *text);
void table_push_format(struct table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void table_push_number(struct table *table, uint64_t number);
void table_push_rate(struct table *table, double rate);
void table_push_none(struct table *table);

static inline const struct cell *table_cell(const struct table *table, size_t row, size_t column)
{
	return &table->cells[row * table->column_count + column];
}

/* "0.4s", "45s", "12m30s", "5h12m", "3d4h" */
#define AGE_TEXT_MAX 24
const char *age_format(uint64_t age_ns, char buffer[AGE_TEXT_MAX]);

/* Aligned columns with a line of titles.  Control characters become '?'. */
void table_print(const struct table *table, FILE *out);
/* An array of objects, one a line; or the object, when `single`. */
void table_print_json(const struct table *table, FILE *out);
/* The same on one line: {"at": seconds since 1970, "rows": [...]}. */
void table_print_json_line(const struct table *table, uint64_t at_ns, FILE *out);

/* *ret_rates: `now` with a RATE column ("..._per_second") after every COUNTER:
 * how much it rose since `before`, by `elapsed_ns`.  Rows are matched by their
 * identity columns; new ones, and all when `before` is NULL, have no rate.  It
 * borrows texts of `now`.  0 or -ENOMEM; free with table_deinit(). */
int table_with_rates(const struct table *now, const struct table *before, uint64_t elapsed_ns,
		     struct table *ret_rates);

#endif
