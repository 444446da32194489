/* SPDX-License-Identifier: BSD-2-Clause */
/* Reference data that lives beside the repository: $SLUICE_SHARED, else
 * ../shared.  Tests that use it skip where it is missing. */
#ifndef SLUICE_TESTS_SHARED_DATA_H
#define SLUICE_TESTS_SHARED_DATA_H

#include <stddef.h>

#define SHARED_PATH_MAX 512

/* Absolute or relative path of FILE in the shared data. */
const char *shared_path(const char *file, char path[SHARED_PATH_MAX]);

/* Reads FILE whole; the caller frees.  NULL after a printed "skip: ..." line. */
char *shared_read(const char *file, size_t *ret_length);

/* Cuts the next line off *text and its tab-separated columns into `columns`;
 * missing ones are "".  False at the end. */
int shared_row(char **text, char **columns, size_t column_count);

#endif
