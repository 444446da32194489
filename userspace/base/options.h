/* SPDX-License-Identifier: BSD-2-Clause */
/* Options as rows of a table: parsing, --help and the man page come from it. */
#ifndef SLUICE_BASE_OPTIONS_H
#define SLUICE_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct option_row {
	const char *name; /* long name without dashes */
	char letter; /* short form or 0 */
	const char *argument; /* placeholder, NULL: takes none */
	const char *help; /* one line */
	/* 0, or a negative errno after logging what is wrong; `value` is NULL
	 * without an argument and lives as long as argv */
	int (*set)(void *ctx, const char *value);
};

struct option_table {
	const char *program;
	const char *usage; /* after the program's name: "[OPTIONS] COMMAND" */
	const char *about; /* one paragraph */
	const struct option_row *rows;
	size_t row_count;
};

enum options_verdict { OPTIONS_GO_ON, OPTIONS_DONE };

/* Reads argv up to the first word that is no option; *ret_index is its place.
 * --help prints and gives OPTIONS_DONE.  -EINVAL after a message. */
int options_parse(const struct option_table *table, void *ctx, int argc, char **argv,
		  int *ret_index, enum options_verdict *ret_verdict);
void options_print_help(const struct option_table *table);

/* Whole decimal number in [low, high]; -EINVAL after a message naming --name. */
int options_number(const char *name, const char *value, unsigned long low, unsigned long high,
		   unsigned long *ret_number);

#endif
