/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole files: read with a bound, replaced with one rename. */
#ifndef SLUICE_BASE_FILE_H
#define SLUICE_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Reads PATH whole.  *ret_data is NUL-terminated (the NUL is not counted) and
 * the caller's to free.  -EFBIG when it is larger than size_max; does not log. */
int file_read(const char *path, size_t size_max, char **ret_data, size_t *ret_size);

/* Writes PATH.tmp, fsyncs, renames over PATH: a reader sees the old file or the
 * new one.  `mode` as for open(2).  Does not log. */
int file_replace(const char *path, const void *data, size_t size, int mode);

/* Has somebody `path` open for writing?  False also when that cannot be known:
 * it is not a file of ours and we are not root, or its file system cannot say. */
bool file_is_being_written(const char *path);

#endif
