/* SPDX-License-Identifier: BSD-2-Clause */
/* Copies of source files as they were when nothing was wrong with them, beside
 * the run files: a controller that is started while a file is broken knows its
 * last good form from here.
 *
 * A copy's name is the hash of the file's path.  Copies that no file has used or
 * renewed since a start are removed by last_good_prune(). */
#ifndef SLUICE_SOURCES_LAST_GOOD_H
#define SLUICE_SOURCES_LAST_GOOD_H

#include <stddef.h>
#include <stdint.h>

/* Makes the folder of copies, 0700.  Logs what fails. */
int last_good_open(const char *dir);

/* The copy of `path`, the caller's to free and NUL-terminated.  -ENOENT: none. */
int last_good_load(const char *dir, const char *path, char **ret_data, size_t *ret_size);
/* Renews the copy; a failure costs the copy only, and is logged. */
void last_good_store(const char *dir, const char *path, const char *data, size_t size);
/* The file was deleted.  Fine when there is no copy. */
void last_good_remove(const char *dir, const char *path);

/* Removes copies last used before then (CLOCK_REALTIME ns). */
void last_good_prune(const char *dir, uint64_t before_ns);

#endif
