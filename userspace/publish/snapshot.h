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

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/layout/types.h"

#define SNAPSHOT_VERSION 1
#define SNAPSHOT_BYTES_MAX (64u << 20)
#define SNAPSHOT_LISTENERS_MAX 1024
#define SNAPSHOT_ROUTES_MAX 16384

/* ---- matches and filters of an HTTPRoute rule (Gateway API v1) ---- */

enum match_type { MATCH_NONE, MATCH_EXACT, MATCH_PREFIX, MATCH_REGEX };

struct snapshot_match {
	enum match_type path_type; /* never NONE: the default is PathPrefix / */
	const char *path;
	const char *method; /* NULL: any */
	size_t header_count;
	struct snapshot_pair_match {
		enum match_type type;
		const char *name; /* headers: lower case */
		const char *value;
		regex_t *regex; /* MATCH_REGEX in a snapshot that was read: see base/pattern.h */
	} * headers;
	size_t query_count;
	struct snapshot_pair_match *queries;
	regex_t *path_regex; /* MATCH_REGEX in a snapshot that was read */
};

struct snapshot_pair {
	const char *name;
	const char *value;
};

enum rewrite_type { REWRITE_NONE, REWRITE_FULL_PATH, REWRITE_PREFIX };

struct snapshot_filters {
	size_t request_set_count, request_add_count, request_remove_count;
	struct snapshot_pair *request_set, *request_add;
	const char **request_remove;
	size_t response_set_count, response_add_count, response_remove_count;
	struct snapshot_pair *response_set, *response_add;
	const char **response_remove;
	enum rewrite_type rewrite_type; /* of the path */
	const char *rewrite_path;
	const char *rewrite_host; /* NULL: kept */
	int redirect_status; /* 0: no redirect */
	const char *redirect_scheme, *redirect_host, *redirect_path; /* NULL: kept */
	enum rewrite_type redirect_path_type;
	uint16_t redirect_port; /* 0: by scheme */
};

struct snapshot_backend {
	uint32_t pool; /* index into pools; POOL_NONE: cannot be resolved, answers 500 */
	uint32_t weight; /* 0: gets nothing */
	const char *name; /* "namespace/name" as the route says it */
};

struct snapshot_rule {
	const char *name; /* or NULL */
	size_t match_count;
	struct snapshot_match *matches; /* any of them; at least one */
	struct snapshot_filters filters;
	size_t backend_count;
	struct snapshot_backend *backends;
	uint32_t weight_sum; /* reading fills it in; not in the file */
	uint32_t request_timeout_ms; /* 0: the proxy's default */
	uint32_t backend_timeout_ms;
};

struct snapshot_route {
	const char *name; /* "namespace/name" */
	uint64_t created_at; /* seconds, for precedence; 0: unknown */
	size_t hostname_count;
	const char **hostnames; /* lower case; "*.example.com" allowed; none: any */
	size_t listener_count;
	uint32_t *listeners; /* indexes */
	size_t rule_count;
	struct snapshot_rule *rules;
};

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
