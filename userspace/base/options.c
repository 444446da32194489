// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/base/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

#define LONG_ONLY 256 /* getopt values from here on are row numbers */
#define ROWS_MAX 48

void options_print_help(const struct option_table *table)
{
	printf("Usage: %s %s\n\n%s\n\nOptions:\n", table->program, table->usage, table->about);
	for (size_t i = 0; i < table->row_count; i++) {
		const struct option_row *row = &table->rows[i];
		char left[64];

		snprintf(left, sizeof(left), "%c%c%s--%s%s%s", row->letter ? '-' : ' ',
			 row->letter ? row->letter : ' ', row->letter ? ", " : "  ", row->name,
			 row->argument ? " " : "", row->argument ? row->argument : "");
		printf("  %-34s %s\n", left, row->help);
	}
	printf("  -h, --%-28s %s\n", "help", "this text");
}

static const struct option_row *row_find(const struct option_table *table, int value)
{
	if (value >= LONG_ONLY)
		return &table->rows[value - LONG_ONLY];
	for (size_t i = 0; i < table->row_count; i++) {
		if (table->rows[i].letter == value)
			return &table->rows[i];
	}
	return NULL;
}

int options_parse(const struct option_table *table, void *ctx, int argc, char **argv,
		  int *ret_index, enum options_verdict *ret_verdict)
{
	struct option longs[ROWS_MAX + 2] = {0};
	char shorts[2 * ROWS_MAX + 4] = "+h";
	size_t used = strlen(shorts);
	int value;

	if (table->row_count > ROWS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < table->row_count; i++) {
		const struct option_row *row = &table->rows[i];

		longs[i] = (struct option){row->name,
					   row->argument ? required_argument : no_argument, NULL,
					   LONG_ONLY + (int)i};
		if (row->letter) {
			shorts[used++] = row->letter;
			if (row->argument)
				shorts[used++] = ':';
		}
	}
	longs[table->row_count] = (struct option){"help", no_argument, NULL, 'h'};
	optind = 0;
	while ((value = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct option_row *row;
		int err;

		if (value == 'h') {
			options_print_help(table);
			*ret_verdict = OPTIONS_DONE;
			return 0;
		}
		if (value == '?') /* getopt has said what is wrong */
			return -EINVAL;
		row = row_find(table, value);
		err = row->set(ctx, row->argument ? optarg : NULL);
		if (err)
			return err;
	}
	*ret_index = optind;
	*ret_verdict = OPTIONS_GO_ON;
	return 0;
}

int options_number(const char *name, const char *value, unsigned long low, unsigned long high,
		   unsigned long *ret_number)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(value, &end, 10);
	if (errno || *end || *value < '0' || *value > '9' || number < low || number > high)
		return log_error(-EINVAL, "--%s %s: wants a whole number from %lu to %lu", name,
				 value, low, high);
	*ret_number = number;
	return 0;
}
