// SPDX-License-Identifier: BSD-2-Clause
/* inotify on the directory, not on the file: publication is a rename.  The
 * events themselves are not looked at closely; any change of that name means
 * reading the file again. */
#include "userspace/proxy/snapshot_watch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

static void current_set(struct snapshot_watch *watch, struct snapshot *snapshot)
{
	struct snapshot_ref *ref = calloc(1, sizeof(*ref));

	if (!ref) {
		snapshot_free(snapshot);
		log_warning("%s: out of memory; the routes in use stay", watch->path);
		return;
	}
	*ref = (struct snapshot_ref){.snapshot = snapshot, .count = 1};
	snapshot_release(watch->current);
	watch->current = ref;
	__atomic_store_n(watch->generation, snapshot->generation, __ATOMIC_RELAXED);
	log_debug("%s: routes of generation %llu are in use", watch->path,
		  (unsigned long long)snapshot->generation);
}

static void load(struct snapshot_watch *watch)
{
	struct snapshot *snapshot = NULL;
	int err = snapshot_read(watch->path, &snapshot);

	if (!err)
		current_set(watch, snapshot);
	else if (err != -ENOENT && watch->current)
		log_warning("%s: refused, generation %llu stays in use", watch->path,
			    (unsigned long long)watch->current->snapshot->generation);
}

static void on_change(struct watch *inner, uint32_t events)
{
	struct snapshot_watch *watch = container_of(inner, struct snapshot_watch, watch);
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool changed = false;
	ssize_t n;

	(void)events;
	while ((n = read(inner->fd, buffer, sizeof(buffer))) > 0) {
		const char *p = buffer;

		while (p < buffer + n) {
			const struct inotify_event *event = (const struct inotify_event *)p;

			if ((event->len && strcmp(event->name, RUN_ROUTES) == 0) ||
			    (event->mask & IN_Q_OVERFLOW))
				changed = true;
			p += sizeof(*event) + event->len;
		}
	}
	if (changed)
		load(watch);
}

int snapshot_watch_init(struct snapshot_watch *watch, struct loop *loop, const char *dir,
			uint64_t *generation)
{
	_cleanup_close_ int fd = -1;
	int err;

	*watch = (struct snapshot_watch){
		.loop = loop, .watch = WATCH_INIT(on_change), .generation = generation};
	snprintf(watch->path, sizeof(watch->path), "%s/%s", dir, RUN_ROUTES);
	fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (fd < 0 || inotify_add_watch(fd, dir, IN_MOVED_TO | IN_CLOSE_WRITE) < 0)
		return log_error(-errno, "%s: cannot be watched for new routes (%s)", dir,
				 strerror(errno));
	err = loop_watch(loop, &watch->watch, fd, EPOLLIN);
	if (err)
		return err;
	TAKE_FD(fd);
	load(watch);
	return 0;
}

void snapshot_watch_deinit(struct snapshot_watch *watch)
{
	int fd = watch->watch.fd;

	if (fd >= 0) {
		loop_unwatch(watch->loop, &watch->watch);
		close(fd);
	}
	snapshot_release(watch->current);
	watch->current = NULL;
}

struct snapshot_ref *snapshot_acquire(struct snapshot_watch *watch)
{
	if (watch->current)
		watch->current->count++;
	return watch->current;
}

void snapshot_release(struct snapshot_ref *ref)
{
	if (!ref || --ref->count)
		return;
	snapshot_free(ref->snapshot);
	free(ref);
}
