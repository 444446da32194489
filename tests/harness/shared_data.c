/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds and reads the reference data; see the header. */
#include "tests/harness/shared_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/file.h"

#define FILE_BYTES_MAX (64u << 20)

const char *shared_path(const char *file, char path[SHARED_PATH_MAX])
{
	const char *root = getenv("SLUICE_SHARED");

	snprintf(path, SHARED_PATH_MAX, "%s/%s", root ? root : "../shared", file);
	return path;
}

char *shared_read(const char *file, size_t *ret_length)
{
	char path[SHARED_PATH_MAX], *data = NULL;
	int r = file_read(shared_path(file, path), FILE_BYTES_MAX, &data, ret_length);

	if (r < 0) {
		printf("skip: %s: %s (set SLUICE_SHARED to the reference data)\n", path,
		       strerror(-r));
		return NULL;
	}
	return data;
}

int shared_row(char **text, char **columns, size_t column_count)
{
	char *line = strsep(text, "\n");
	size_t i;

	if (!line || !*line)
		return 0;
	for (i = 0; i < column_count; i++) {
		columns[i] = strsep(&line, "\t");
		if (!columns[i])
			columns[i] = "";
	}
	return 1;
}
