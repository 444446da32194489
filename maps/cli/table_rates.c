// SPDX-License-Identifier: BSD-2-Clause
/* What rose between two looks at the same rows.  The rows of the earlier look
 * are sorted by identity once, so that a large table is matched quickly; a
 * counter that fell was started anew and counts from zero. */
#include "maps/cli/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

struct row_ref {
	const struct table *table;
	size_t row;
};

static int cell_compare(const struct cell *a, const struct cell *b)
{
	if (!a->set || !b->set)
		return a->set - b->set;
	if (a->text && b->text)
		return strcmp(a->text, b->text);
	return (a->number > b->number) - (a->number < b->number);
}

static int row_compare(const void *a, const void *b)
{
	const struct row_ref *left = a, *right = b;
	int order = 0;

	for (size_t c = 0; !order && c < left->table->column_count; c++) {
		if (left->table->columns[c].identity)
			order = cell_compare(table_cell(left->table, left->row, c),
					     table_cell(right->table, right->row, c));
	}
	return order;
}

static struct row_ref *rows_sorted(const struct table *table)
{
	struct row_ref *refs = calloc(table->row_count + 1, sizeof(*refs));

	for (size_t row = 0; refs && row < table->row_count; row++)
		refs[row] = (struct row_ref){table, row};
	if (refs)
		qsort(refs, table->row_count, sizeof(*refs), row_compare);
	return refs;
}

/* The columns live in the arena of the new table. */
static int columns_make(const struct table *now, struct table *rates)
{
	struct column *columns;
	size_t count = 0;

	columns = arena_alloc(&rates->arena, 2 * now->column_count, sizeof(*columns));
	for (size_t c = 0; columns && c < now->column_count; c++) {
		columns[count++] = now->columns[c];
		if (now->columns[c].kind != COLUMN_COUNTER)
			continue;
		columns[count].kind = COLUMN_RATE;
		columns[count].key =
			arena_format(&rates->arena, "%s_per_second", now->columns[c].key);
		if (!columns[count++].key)
			return -ENOMEM;
	}
	if (!columns)
		return -ENOMEM;
	rates->columns = columns;
	rates->column_count = rates->pushed = count;
	return 0;
}

static void rate_push(struct table *rates, const struct cell *now, const struct cell *before,
		      uint64_t elapsed_ns)
{
	uint64_t rise;

	if (!now->set || !before || !before->set || !elapsed_ns) {
		table_push_none(rates);
		return;
	}
	rise = now->number >= before->number ? now->number - before->number : now->number;
	table_push_rate(rates, (double)rise * NS_PER_S / (double)elapsed_ns);
}

static void cell_push(struct table *rates, const struct cell *cell)
{
	if (rates->err)
		return;
	rates->cells[(rates->row_count - 1) * rates->column_count + rates->pushed++] = *cell;
}

int table_with_rates(const struct table *now, const struct table *before, uint64_t elapsed_ns,
		     struct table *ret_rates)
{
	_cleanup_free_ struct row_ref *refs = NULL;
	_cleanup_(table_deinit) struct table rates = {
		.single = now->single, .wide = now->wide, .empty = now->empty};
	int err;

	err = columns_make(now, &rates);
	if (err)
		return err;
	if (before) {
		refs = rows_sorted(before);
		if (!refs)
			return -ENOMEM;
	}
	for (size_t row = 0; row < now->row_count; row++) {
		struct row_ref key = {now, row}, *found = NULL;

		if (refs)
			found = bsearch(&key, refs, before->row_count, sizeof(*refs), row_compare);
		table_row(&rates);
		for (size_t c = 0; c < now->column_count; c++) {
			cell_push(&rates, table_cell(now, row, c));
			if (now->columns[c].kind == COLUMN_COUNTER)
				rate_push(&rates, table_cell(now, row, c),
					  found ? table_cell(before, found->row, c) : NULL,
					  elapsed_ns);
		}
	}
	if (rates.err)
		return rates.err;
	*ret_rates = rates;
	rates = (struct table){0};
	return 0;
}
