// SPDX-License-Identifier: BSD-2-Clause
/* Folders on the loop.  An event arms a timer that every further event pushes
 * back, so that a burst of writes is read once, when it is over; a ceiling keeps
 * a file that is written all the time from hiding the rest.  A slow second timer
 * looks anyway: links may point out of the folder, and inotify does not see
 * network file systems. */
#include "userspace/sources/source_set.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "maps/layout/contract.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/base/loop.h"
#include "userspace/sources/desired.h"
#include "userspace/sources/folder.h"
#include "userspace/sources/last_good.h"

#define SETTLE_NS (200 * NS_PER_MS)
#define SETTLE_NS_MAX (2 * NS_PER_S)
#define LOOK_NS (5 * NS_PER_S)
#define CONFIG_NAME "config-cluster"

struct watched_folder {
	struct watch watch;
	struct source_set *set;
	struct folder *folder;
	char real_path[PATH_MAX];
};

struct source_set {
	struct loop *loop;
	source_set_changed changed;
	void *ctx;
	size_t folder_count;
	struct watched_folder folders[CLUSTERS_MAX + 1];
	struct watched_folder *config; /* one of them */
	size_t cluster_count;
	struct {
		char *name;
		struct watched_folder *source;
	} clusters[CLUSTERS_MAX];
	struct timer settle, look;
	uint64_t burst_ns; /* when the burst of events began */
	struct messages said; /* at the last resolve */
	struct arena said_arena;
};

/* ---- reading ---- */

static void folders_scan(struct source_set *set, bool *ret_changed)
{
	*ret_changed = false;
	for (size_t i = 0; i < set->folder_count; i++) {
		bool changed = false;
		int err = folder_scan(set->folders[i].folder, clock_realtime_ns(), &changed);

		if (err)
			log_warning("%s: could not be read whole: %s; it is tried again in 5 s",
				    set->folders[i].real_path, strerror(-err));
		*ret_changed |= changed;
	}
}

void source_set_scan(struct source_set *set)
{
	bool changed;

	folders_scan(set, &changed);
	if (changed)
		set->changed(set->ctx);
}

static void settle_fired(struct timer *timer)
{
	struct source_set *set = container_of(timer, struct source_set, settle);

	set->burst_ns = 0;
	source_set_scan(set);
}

static void look_arm(struct source_set *set)
{
	if (loop_timer_after(set->loop, &set->look, LOOK_NS))
		log_warning("sources: no timer is left; only events make them be read again");
}

static void look_fired(struct timer *timer)
{
	struct source_set *set = container_of(timer, struct source_set, look);

	/* in a burst the other timer decides: files may be half written */
	if (!timer_is_armed(&set->settle))
		source_set_scan(set);
	look_arm(set);
}

static void folder_changed(struct watch *watch, uint32_t events)
{
	struct watched_folder *folder = container_of(watch, struct watched_folder, watch);
	struct source_set *set = folder->set;
	const uint64_t now = loop_now_ns(set->loop);
	uint64_t at = now + SETTLE_NS;

	(void)events;
	folder_watch_drain(folder->folder);
	if (!set->burst_ns)
		set->burst_ns = now;
	if (at > set->burst_ns + SETTLE_NS_MAX)
		at = set->burst_ns + SETTLE_NS_MAX;
	if (loop_timer_at(set->loop, &set->settle, at))
		source_set_scan(set);
}

/* ---- opening ---- */

/* A folder that is there already serves twice. */
static int folder_add(struct source_set *set, const char *path, const char *keep,
		      struct watched_folder **ret_folder)
{
	struct watched_folder *folder = &set->folders[set->folder_count];
	int err = folder_open(path, keep, &folder->folder);

	if (err)
		return err;
	if (!realpath(path, folder->real_path)) {
		err = -errno;
		folder_close(TAKE_PTR(folder->folder));
		return log_error(err, "%s: cannot be used as a source: %s", path, strerror(-err));
	}
	for (size_t i = 0; i < set->folder_count; i++) {
		if (strcmp(set->folders[i].real_path, folder->real_path) == 0) {
			folder_close(TAKE_PTR(folder->folder));
			*ret_folder = &set->folders[i];
			return 0;
		}
	}
	folder->set = set;
	folder->watch = WATCH_INIT(folder_changed);
	set->folder_count++;
	*ret_folder = folder;
	return 0;
}

static int cluster_add(struct source_set *set, const struct source_folder *cluster,
		       const char *keep)
{
	struct watched_folder *source;
	int err;

	if (!*cluster->cluster || strcmp(cluster->cluster, CONFIG_NAME) == 0)
		return log_error(-EINVAL, "cluster \"%s\": not a usable name; give another",
				 cluster->cluster);
	for (size_t i = 0; i < set->cluster_count; i++) {
		if (strcmp(set->clusters[i].name, cluster->cluster) == 0)
			return log_error(-EEXIST, "cluster %s: given twice; names must differ",
					 cluster->cluster);
	}
	if (set->cluster_count == CLUSTERS_MAX - 1)
		return log_error(-E2BIG, "cluster %s: more than %d clusters; split the gateway",
				 cluster->cluster, CLUSTERS_MAX - 1);
	err = folder_add(set, cluster->path, keep, &source);
	if (err)
		return err;
	for (size_t i = 0; i < set->cluster_count; i++) {
		if (set->clusters[i].source == source)
			return log_error(-EEXIST,
					 "cluster %s: its folder is cluster %s's too; give "
					 "every cluster its own",
					 cluster->cluster, set->clusters[i].name);
	}
	set->clusters[set->cluster_count].source = source;
	set->clusters[set->cluster_count].name = strdup(cluster->cluster);
	if (!set->clusters[set->cluster_count].name)
		return -ENOMEM;
	set->cluster_count++;
	return 0;
}

static int folders_watch(struct source_set *set)
{
	for (size_t i = 0; i < set->folder_count; i++) {
		struct watched_folder *folder = &set->folders[i];
		const int fd = folder_watch_fd(folder->folder);
		int err = fd < 0 ? 0 : loop_watch(set->loop, &folder->watch, fd, EPOLLIN);

		if (err)
			return log_error(err, "%s: cannot be watched: %s", folder->real_path,
					 strerror(-err));
	}
	return 0;
}

int source_set_open(struct loop *loop, const struct source_folder *config,
		    const struct source_folder *clusters, size_t cluster_count, const char *keep,
		    source_set_changed changed, void *ctx, struct source_set **ret_set)
{
	const uint64_t start_ns = clock_realtime_ns();
	_cleanup_(source_set_closep) struct source_set *set = calloc(1, sizeof(*set));
	bool any;
	int err;

	if (!set)
		return -ENOMEM;
	set->loop = loop;
	set->changed = changed;
	set->ctx = ctx;
	set->settle = TIMER_INIT(settle_fired);
	set->look = TIMER_INIT(look_fired);
	err = keep ? last_good_open(keep) : 0;
	if (!err)
		err = folder_add(set, config->path, keep, &set->config);
	for (size_t i = 0; i < cluster_count && !err; i++)
		err = cluster_add(set, &clusters[i], keep);
	if (err)
		return err;
	folders_scan(set, &any);
	if (keep)
		last_good_prune(keep, start_ns - NS_PER_S); /* file systems' clocks lag a little */
	err = folders_watch(set);
	if (err)
		return err;
	look_arm(set);
	*ret_set = TAKE_PTR(set);
	return 0;
}

void source_set_close(struct source_set *set)
{
	if (!set)
		return;
	loop_timer_cancel(set->loop, &set->settle);
	loop_timer_cancel(set->loop, &set->look);
	for (size_t i = 0; i < set->folder_count; i++) {
		if (set->folders[i].watch.callback)
			loop_unwatch(set->loop, &set->folders[i].watch);
		folder_close(set->folders[i].folder);
	}
	for (size_t i = 0; i < set->cluster_count; i++)
		free(set->clusters[i].name);
	arena_deinit(&set->said_arena);
	free(set);
}

/* ---- resolving ---- */

bool source_set_has_errors(const struct source_set *set)
{
	for (size_t i = 0; i < set->folder_count; i++) {
		const struct messages *messages = folder_messages(set->folders[i].folder);

		for (size_t m = 0; m < messages->count; m++) {
			if (messages->list[m].level == LOG_LEVEL_ERROR)
				return true;
		}
	}
	return false;
}

static void messages_say(struct source_set *set, const struct desired *desired)
{
	struct messages now = {0};
	struct arena arena = {0};

	for (size_t i = 0; i < set->folder_count; i++)
		messages_append(&now, &arena, folder_messages(set->folders[i].folder));
	messages_append(&now, &arena, &desired->messages);
	messages_log_new(&now, &set->said);
	arena_deinit(&set->said_arena);
	set->said = now;
	set->said_arena = arena;
}

int source_set_resolve(struct source_set *set, struct desired **ret_desired)
{
	struct desired_source clusters[CLUSTERS_MAX];
	struct desired_input input = {
		.config = {.name = CONFIG_NAME, .objects = folder_objects(set->config->folder)},
		.cluster_count = set->cluster_count,
		.clusters = clusters,
	};
	struct desired *desired;
	int err;

	for (size_t i = 0; i < set->cluster_count; i++)
		clusters[i] = (struct desired_source){
			.name = set->clusters[i].name,
			.objects = folder_objects(set->clusters[i].source->folder),
		};
	err = desired_resolve(&input, &desired);
	if (err)
		return err;
	messages_say(set, desired);
	*ret_desired = desired;
	return 0;
}
