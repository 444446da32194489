/* SPDX-License-Identifier: BSD-2-Clause */
/* The folders a controller was given: one for the config cluster, one for every
 * target cluster, watched together.  A folder may serve as both. */
#ifndef SLUICE_SOURCES_SOURCE_SET_H
#define SLUICE_SOURCES_SOURCE_SET_H

#include <stdbool.h>
#include <stddef.h>

struct desired;
struct loop;
struct source_set;

struct source_folder {
	const char *cluster; /* name; ignored for the config cluster */
	const char *path;
};

/* Objects changed: call source_set_resolve() when it suits.  Called from the
 * loop, after a burst of changes has calmed down (200 ms, 2 s at most). */
typedef void (*source_set_changed)(void *ctx);

/* Reads all folders at once and watches them; takes two timers of the loop.
 * Names differ and are at most CLUSTERS_MAX.  A folder that does not exist, or
 * a name given twice, is an error and logged; a file that cannot be read or
 * parsed is not: it is logged, and its last good objects go on being used.
 * `keep` (NULL: none) is a folder where copies of good files are kept, so that
 * this holds for files that are broken already when the set is opened. */
int source_set_open(struct loop *loop, const struct source_folder *config,
		    const struct source_folder *clusters, size_t cluster_count, const char *keep,
		    source_set_changed changed, void *ctx, struct source_set **ret_set);
void source_set_close(struct source_set *set);
static inline void source_set_closep(struct source_set **set)
{
	source_set_close(*set);
}

/* Looks at all folders now instead of waiting for an event, and calls `changed`
 * when something differs. */
void source_set_scan(struct source_set *set);

/* A file or an object of now is refused (what was wrong is logged at the next
 * resolve); its last good form is in use where this set has seen one. */
bool source_set_has_errors(const struct source_set *set);

/* The desired state of now, the caller's to free.  Logs messages that the last
 * resolve did not give.  -ENOMEM. */
int source_set_resolve(struct source_set *set, struct desired **ret_desired);

#endif
