/* SPDX-License-Identifier: BSD-2-Clause */
/* The routes snapshot in use, and the next one as soon as it is published.
 *
 * A request holds the snapshot it began with; a superseded one is freed with
 * its last request.  A snapshot that cannot be read is told once and leaves
 * the one in use alone. */
#ifndef SLUICE_PROXY_SNAPSHOT_WATCH_H
#define SLUICE_PROXY_SNAPSHOT_WATCH_H

#include <stdint.h>

#include "userspace/base/instance.h"
#include "userspace/base/loop.h"
#include "userspace/publish/snapshot.h"

struct snapshot_ref {
	struct snapshot *snapshot;
	unsigned count;
};

struct snapshot_watch {
	struct loop *loop;
	struct watch watch; /* inotify on the directory */
	char path[2 * INSTANCE_PATH_MAX];
	struct snapshot_ref *current; /* NULL: none yet */
	uint64_t *generation; /* where to tell it: a gauge */
};

/* dir: where RUN_ROUTES is, or will be.  Logs. */
int snapshot_watch_init(struct snapshot_watch *watch, struct loop *loop, const char *dir,
			uint64_t *generation);
void snapshot_watch_deinit(struct snapshot_watch *watch);

/* Borrows the current one; NULL: none yet.  Give it back with snapshot_release. */
struct snapshot_ref *snapshot_acquire(struct snapshot_watch *watch);
void snapshot_release(struct snapshot_ref *ref);

#endif
