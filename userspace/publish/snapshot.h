/* SPDX-License-Identifier: BSD-2-Clause */
/* The routes snapshot: everything the proxy needs to route that is not in a map.
 *
 * Written by the controller as one JSON file (RUN_DIR/routes.json: write,
 * fsync, rename), read by proxy workers, which watch the directory with
 * inotify, and by the CLI for names.  Endpoint addresses, health and load are
 * in the maps; the snapshot names endpoints by id and generation.
 *
 * A snapshot in memory is one generation: built whole, freed whole, immutable
 * in between.  All strings are NUL-terminated and owned by its arena.
 */
#ifndef SLUICE_PUBLISH_SNAPSHOT_H
#define SLUICE_PUBLISH_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/layout/types.h"
#include "userspace/base/route.h"

#define SNAPSHOT_VERSION 1
#define SNAPSHOT_BYTES_MAX (64u << 20)

struct snapshot_listener {
	const char *gateway; /* "namespace/name" */
	const char *name;
	struct ip_addr addr; /* the VIP */
	uint16_t port; /* host order */
	const char *hostname; /* lower case, may begin with "*."; NULL: any */
};

struct snapshot_pool {
	uint32_t id; /* in the maps */
	const char *name; /* "namespace/name" */
	const char *kind; /* InferencePool, InferencePoolImport, GCPInferencePoolImport, Service */
	size_t endpoint_count;
	struct snapshot_endpoint {
		uint32_t id;
		uint32_t generation;
		uint32_t cluster; /* index into clusters */
	} * endpoints;
	uint32_t drain_timeout_ms;
	size_t rewrite_count;
	struct snapshot_rewrite *rewrites; /* the first that matches counts */
};

struct snapshot_cluster {
	uint32_t id; /* in the maps */
	const char *name;
	const char *region;
};

struct snapshot_objective {
	const char *name; /* as the request header gives it */
	const char *namespace_;
	const char *pool; /* "namespace/name" */
	int32_t priority;
};

/* adapter or served name -> base model, for X-Gateway-Base-Model-Name */
struct snapshot_base_model {
	const char *model;
	const char *base;
};

struct snapshot {
	uint64_t generation; /* rises with every publication */
	uint64_t written_at; /* CLOCK_REALTIME, ns */
	size_t cluster_count, pool_count, listener_count, route_count, objective_count,
		base_model_count;
	struct snapshot_cluster *clusters;
	struct snapshot_pool *pools;
	struct snapshot_listener *listeners;
	struct snapshot_route *routes;
	struct snapshot_objective *objectives;
	struct snapshot_base_model *base_models;
	struct snapshot_arena *arena; /* owns everything above */
};

/* An empty snapshot with an arena; fill it with snapshot_alloc/_string. */
int snapshot_new(struct snapshot **ret_snapshot);
void snapshot_free(struct snapshot *snapshot);
static inline void snapshot_freep(struct snapshot **snapshot)
{
	snapshot_free(*snapshot);
}
/* Zeroed memory that lives as long as the snapshot; NULL: out of memory. */
void *snapshot_alloc(struct snapshot *snapshot, size_t count, size_t size);
const char *snapshot_string(struct snapshot *snapshot, const char *text);

/* Its JSON, malloc'd and NUL-terminated; equal snapshots give equal text.  -ENOMEM. */
int snapshot_format(const struct snapshot *snapshot, char **ret_text, size_t *ret_length);
/* Writes it to `path` with one rename.  Logs what fails. */
int snapshot_write(const struct snapshot *snapshot, const char *path);
/* Reads and checks all of it: indexes in range, types, bounds; compiles
 * regular expressions.  -EBADMSG with a message naming the member otherwise.
 * -ENOENT, without a message: nobody has written it yet. */
int snapshot_read(const char *path, struct snapshot **ret_snapshot);
/* From bytes, for tests and fuzzing. */
int snapshot_parse(const char *data, size_t length, const char *path,
		   struct snapshot **ret_snapshot);

#endif
