/* SPDX-License-Identifier: BSD-2-Clause */
/* One folder of Kubernetes YAML, read again when it changes.
 *
 * Looked at: files that end in .yaml, .yml or .json, in sub-folders too; names
 * that begin with '.' or '#' and links to folders are passed over.  A file that
 * cannot be read or parsed, and an object that is refused, stays as it last was;
 * a file that is deleted takes its objects with it.
 */
#ifndef SLUICE_SOURCES_FOLDER_H
#define SLUICE_SOURCES_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "userspace/sources/message.h"
#include "userspace/sources/object.h"

#define FOLDER_FILES_MAX 10000
#define FOLDER_DEPTH_MAX 8
#define FOLDER_BYTES_MAX (256u << 20) /* of all files together */

struct folder;

/* Reads nothing yet.  `keep` (NULL: none) is a folder of copies, see
 * last_good.h: a file that is broken when it is first seen stays as its copy.
 * -ENOTDIR, -ENOENT and so on, logged. */
int folder_open(const char *path, const char *keep, struct folder **ret_folder);
void folder_close(struct folder *folder);
static inline void folder_closep(struct folder **folder)
{
	folder_close(*folder);
}

/* Reads what changed since the last scan; now_ns is CLOCK_REALTIME.
 * *ret_changed: objects or messages differ.  -ENOMEM. */
int folder_scan(struct folder *folder, uint64_t now_ns, bool *ret_changed);
/* Readable when something in the folder may have changed. */
int folder_watch_fd(const struct folder *folder);
/* Takes what is readable off the watch. */
void folder_watch_drain(struct folder *folder);

/* Valid until the next scan. */
const struct objects *folder_objects(const struct folder *folder);
const struct messages *folder_messages(const struct folder *folder);

#endif
