/* SPDX-License-Identifier: BSD-2-Clause */
/* What the operator asks for, resolved: the objects of the config cluster and
 * of the target clusters become clusters, endpoints, pools, VIPs, listeners and
 * routes that point at each other by index.
 *
 * desired_resolve() is pure, and equal objects give an equal result whatever
 * the order of files: every list is sorted as its comment says.  What cannot be
 * served is refused with a message that names file, line, object and field, and
 * the rest goes on.
 *
 * It maps one to one onto struct snapshot: `routes` are the snapshot's own
 * structs, and their indexes count `pools` and `listeners` here, so a publisher
 * that keeps these two orders can use `routes` as they are while the desired
 * state lives.  Ids and generations of the maps are the publisher's.
 */
#ifndef SLUICE_SOURCES_DESIRED_H
#define SLUICE_SOURCES_DESIRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/layout/types.h"
#include "userspace/base/arena.h"
#include "userspace/base/route.h"
#include "userspace/sources/message.h"

struct objects;

/* A target cluster that was configured (it may have no endpoint), and the config
 * cluster when a route names a pool or Service of its own.  By name. */
struct desired_cluster {
	const char *name;
	const char *region; /* never NULL: ClusterProfile, else Nodes, else the name */
};

/* One address and port of one pod.  No two have the same address and port, so
 * load and requests in flight are counted once even when pools overlap.
 * By cluster, name, port. */
struct desired_endpoint {
	struct ip_addr addr;
	uint16_t port; /* host order */
	uint32_t cluster; /* index into clusters */
	uint32_t pool; /* index of the first pool it is in: that pool's health check counts */
	const char *name; /* "namespace/pod", or "namespace/slice" without a pod name */
	const char *zone; /* "" when unknown */
	const char *engine; /* label llm-d.ai/engine-type; "vllm" when there is none */
};

enum health_check_type {
	HEALTH_CHECK_HTTP, /* GET path, 200 is well */
	HEALTH_CHECK_TCP, /* a connection is well */
};

/* From a HealthCheckPolicy; without one HTTP /health, 5 s, 5 s, 2, 2. */
struct desired_health {
	enum health_check_type type;
	uint32_t interval_ms; /* 1000 to 300000 */
	uint32_t timeout_ms; /* at most the interval */
	uint32_t healthy_threshold; /* 1 to 10 */
	uint32_t unhealthy_threshold; /* 1 to 10 */
	uint16_t port; /* host order; 0: the endpoint's own */
	const char *path; /* HTTP: begins with / */
	const char *host; /* HTTP: Host header; NULL: the endpoint's address */
};

/* A target of routes: an InferencePool or Service of the config cluster, or the
 * union of the InferencePools of that namespace and name that target clusters
 * export.  InferencePoolImport and GCPInferencePoolImport of one name are one
 * pool.  By namespace, name, kind. */
struct desired_pool {
	const char *name; /* "namespace/name", of a Service "namespace/name:port" */
	const char *kind; /* InferencePool, InferencePoolImport, GCPInferencePoolImport, Service */
	size_t endpoint_count;
	uint32_t *endpoints; /* indexes into desired.endpoints, rising */
	struct desired_health health;
	uint32_t drain_timeout_ms; /* GCPBackendPolicy connectionDraining; 0: none given */
	size_t rewrite_count;
	struct snapshot_rewrite *rewrites; /* the first that matches counts, exact ones first */
};

/* An address and port for the proxy, TCP.  By address, port. */
struct desired_vip {
	struct ip_addr addr;
	uint16_t port; /* host order */
};

/* One listener on one address of its Gateway.  By gateway, name, address. */
struct desired_listener {
	const char *gateway; /* "namespace/name" */
	const char *name;
	uint32_t vip; /* index into vips */
	const char *hostname; /* lower case, may begin with "*."; NULL: any */
};

/* By namespace, name. */
struct desired_objective {
	const char *name;
	const char *namespace_;
	const char *pool; /* "namespace/name" */
	int32_t priority;
};

/* By model. */
struct desired_base_model {
	const char *model;
	const char *base;
};

struct desired {
	size_t cluster_count, endpoint_count, pool_count, vip_count, listener_count, route_count,
		objective_count, base_model_count;
	struct desired_cluster *clusters;
	struct desired_endpoint *endpoints;
	struct desired_pool *pools;
	struct desired_vip *vips;
	struct desired_listener *listeners;
	struct snapshot_route *routes; /* by name; regular expressions not compiled */
	struct desired_objective *objectives;
	struct desired_base_model *base_models;
	struct messages messages; /* log with messages_log_new() */
	struct arena arena; /* owns everything above */
};

/* Objects of one cluster; `name` and `objects` are borrowed. */
struct desired_source {
	const char *name;
	const struct objects *objects;
};

struct desired_input {
	struct desired_source config;
	size_t cluster_count; /* names differ from each other */
	const struct desired_source *clusters;
};

/* Copies what it keeps: the input may be freed afterwards.  -ENOMEM. */
int desired_resolve(const struct desired_input *input, struct desired **ret_desired);
void desired_free(struct desired *desired);
static inline void desired_freep(struct desired **desired)
{
	desired_free(*desired);
}

#endif
