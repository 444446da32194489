/* SPDX-License-Identifier: BSD-2-Clause */
/* Kubernetes objects as typed structs: the fields that Sluice uses, checked;
 * everything else in an object is ignored.
 *
 * Absent optional strings are NULL, absent lists empty, absent numbers the
 * default that the API gives them, or UNSET where it gives none.  `line` is the
 * line in the object's file, for messages.
 */
#ifndef SLUICE_SOURCES_OBJECT_H
#define SLUICE_SOURCES_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "userspace/base/arena.h"
#include "userspace/sources/message.h"

#define UNSET INT64_MIN

#define GROUP_GATEWAY "gateway.networking.k8s.io"
#define GROUP_INFERENCE "inference.networking.k8s.io"
#define GROUP_INFERENCE_X "inference.networking.x-k8s.io"
#define GROUP_GKE "networking.gke.io"

enum object_kind {
	KIND_NAMESPACE,
	KIND_GATEWAY_CLASS,
	KIND_GATEWAY,
	KIND_HTTP_ROUTE,
	KIND_REFERENCE_GRANT,
	KIND_INFERENCE_POOL,
	KIND_POOL_IMPORT,
	KIND_GCP_POOL_IMPORT,
	KIND_OBJECTIVE,
	KIND_MODEL_REWRITE,
	KIND_HEALTH_CHECK_POLICY,
	KIND_BACKEND_POLICY,
	KIND_CLUSTER_PROFILE,
	KIND_CONFIG_MAP,
	KIND_SERVICE,
	KIND_ENDPOINT_SLICE,
	KIND_NODE,
	KIND_POD,
	KIND_COUNT
};

struct label {
	const char *key;
	const char *value;
};

struct labels {
	size_t count;
	struct label *list;
};

struct object {
	enum object_kind kind;
	const char *namespace_; /* "" for kinds without one; "default" when none is given */
	const char *name;
	const char *file;
	uint32_t line;
	uint64_t created_at; /* seconds since 1970; 0: unknown */
	bool deleting; /* deletionTimestamp is set */
	struct labels labels;
	struct labels annotations;
	void *spec; /* struct by kind, see below */
	struct arena arena; /* owns all of it */
};

/* A reference to another object; `group` "" is the core group. */
struct reference {
	const char *group, *kind, *namespace_, *name;
	uint32_t line;
};

struct gateway_class {
	const char *controller_name;
};

struct gateway {
	const char *class_name;
	size_t address_count;
	struct gateway_address {
		const char *type; /* IPAddress when none is given */
		const char *value;
		uint32_t line;
	} * addresses;
	size_t listener_count;
	struct gateway_listener {
		const char *name;
		const char *hostname;
		const char *protocol;
		int64_t port;
		const char *from; /* Same, All, Selector, None */
		struct labels selector;
		bool has_expressions; /* selector.matchExpressions is used */
		size_t kind_count;
		struct reference *kinds; /* group and kind only; none: all that fit */
		uint32_t line;
	} * listeners;
};

struct header_edit {
	const char *name;
	const char *value;
};

struct http_modifier {
	size_t set_count, add_count, remove_count;
	struct header_edit *set, *add;
	const char **remove;
};

struct http_path_edit {
	const char *type; /* ReplaceFullPath, ReplacePrefixMatch; NULL: none */
	const char *full, *prefix;
};

struct http_cors {
	size_t origin_count, method_count, header_count, expose_count;
	const char **origins, **methods, **headers, **expose;
	bool credentials;
	int64_t max_age_s;
};

struct http_filter {
	const char *type;
	uint32_t line;
	struct http_modifier request, response;
	const char *redirect_scheme, *redirect_host;
	struct http_path_edit redirect_path;
	int64_t redirect_port; /* UNSET: none */
	int64_t redirect_status;
	const char *rewrite_host;
	struct http_path_edit rewrite_path;
	struct reference mirror; /* name NULL: none */
	int64_t mirror_port; /* UNSET: none */
	int64_t mirror_percent; /* UNSET: none */
	bool has_mirror_fraction;
	int64_t mirror_numerator, mirror_denominator; /* UNSET: none */
	bool has_cors;
	struct http_cors cors;
};

struct http_pair_match {
	const char *type; /* Exact, RegularExpression */
	const char *name, *value;
	uint32_t line;
};

struct http_match {
	const char *path_type; /* Exact, PathPrefix, RegularExpression */
	const char *path;
	const char *method;
	size_t header_count, query_count;
	struct http_pair_match *headers, *queries;
	uint32_t line;
};

struct http_backend {
	struct reference ref;
	int64_t port; /* UNSET: none */
	int64_t weight;
	size_t filter_count;
	struct http_filter *filters;
};

struct http_retry {
	size_t code_count;
	int64_t *codes;
	int64_t attempts; /* 0: none given */
	int64_t backoff_ms; /* UNSET: none */
};

struct http_rule {
	const char *name;
	uint32_t line;
	size_t match_count, filter_count, backend_count;
	struct http_match *matches;
	struct http_filter *filters;
	struct http_backend *backends;
	int64_t request_timeout_ms, backend_timeout_ms; /* UNSET: none; 0: off */
	struct http_retry retry;
	bool has_persistence;
	struct http_persistence {
		const char *type; /* Cookie, Header */
		const char *name; /* NULL: ours to choose */
		int64_t absolute_ms, idle_ms; /* UNSET: none */
		bool has_cookie_config;
		const char *lifetime; /* Session, Permanent */
	} persistence;
};

struct http_route {
	size_t parent_count;
	struct route_parent {
		struct reference ref;
		const char *section;
		int64_t port; /* UNSET: any */
	} * parents;
	size_t hostname_count, rule_count;
	const char **hostnames;
	struct http_rule *rules;
};

struct reference_grant {
	size_t from_count, to_count;
	struct reference *from; /* group, kind, namespace_ */
	struct reference *to; /* group, kind, name (NULL: every name) */
};

/* v1 and v1alpha2 alike. */
struct inference_pool {
	struct labels selector; /* 1 to 64 */
	size_t port_count; /* 1 to 8 */
	struct pool_port {
		int64_t number;
		uint32_t line;
	} * ports;
	const char *app_protocol;
	struct reference picker; /* name NULL: none */
};

struct pool_import {
	size_t controller_count;
	struct import_controller {
		size_t cluster_count;
		struct import_cluster {
			const char *name;
			uint32_t line;
		} * clusters; /* exportingClusters */
	} * controllers;
};

struct objective {
	int64_t priority;
	struct reference pool;
};

/* InferenceModelRewrite */
struct pool_rewrite {
	struct reference pool;
	size_t rule_count;
	struct pool_rewrite_rule {
		uint32_t line;
		size_t match_count, target_count; /* no match: every model */
		struct pool_rewrite_match {
			const char *type; /* Exact */
			const char *model;
		} * matches;
		struct pool_rewrite_target {
			const char *model;
			int64_t weight; /* UNSET: none given */
		} * targets; /* at least one */
	} * rules;
};

struct health_check_policy {
	struct reference target;
	int64_t interval_s, timeout_s, healthy, unhealthy;
	const char *type; /* NULL: none given */
	struct health_check_block {
		const char *port_specification; /* NULL: USE_FIXED_PORT with a port, else serving */
		int64_t port; /* UNSET: none */
		const char *host, *path;
		const char *proxy_header, *response;
	} http, tcp;
};

struct backend_policy {
	struct reference target;
	int64_t timeout_s, drain_s; /* UNSET: none */
	const char *balancing_mode;
	int64_t rate_max, in_flight_max; /* UNSET: none */
	size_t metric_count, scope_count;
	struct backend_metric {
		const char *name;
	} * metrics;
	struct backend_scope {
		const char *balancing_mode, *preference;
		int64_t rate_max, in_flight_max;
		uint32_t line;
	} * scopes;
	const char *preference;
	bool has_affinity;
};

struct cluster_profile {
	size_t property_count;
	struct header_edit *properties;
};

struct config_map {
	struct labels data;
};

struct service {
	const char *type;
	struct labels selector;
	size_t port_count;
	struct service_port {
		const char *name;
		int64_t port;
	} * ports;
};

struct endpoint_slice {
	const char *address_type;
	size_t port_count, endpoint_count;
	struct slice_port {
		const char *name;
		int64_t port; /* UNSET: any */
		const char *protocol;
	} * ports;
	struct slice_endpoint {
		size_t address_count;
		const char **addresses;
		bool ready, terminating;
		const char *zone, *node;
		struct reference target;
		uint32_t line;
	} * endpoints;
};

struct pod {
	const char *node;
	const char *phase;
	const char *ip;
	size_t condition_count;
	struct pod_condition {
		const char *type, *status;
	} * conditions;
};

/* Objects of one cluster, by kind, namespace, name; no two alike. */
struct objects {
	size_t count;
	struct object **list; /* borrowed */
};

struct node;

/* What decoding gives back, document by document. */
struct object_sink {
	const char *file; /* path for messages; must live as long as the objects */
	struct messages *messages;
	struct arena *arena; /* of the messages */
	size_t *ignored; /* one counter a known kind that is not acted upon: object_ignored_count()
			  */
	void *ctx;
	/* An object; takes ownership.  Non-zero stops decoding. */
	int (*take)(void *ctx, struct object *object);
	/* One that was refused but says what it is.  Non-zero stops decoding. */
	int (*refused)(void *ctx, enum object_kind kind, const char *namespace_, const char *name);
};

/* One document: an object, a List of them, or nothing.  What is refused is said
 * in the messages; only -ENOMEM and what the sink returned come back. */
int object_decode(const struct object_sink *sink, const struct node *document);
void object_free(struct object *object);
static inline void object_freep(struct object **object)
{
	object_free(*object);
}

/* Orders by kind, namespace, name, file, line. */
int object_compare(const struct object *a, const struct object *b);
/* NULL when there is none. */
const struct object *objects_find(const struct objects *objects, enum object_kind kind,
				  const char *namespace_, const char *name);
/* The first of a kind in the list and how many follow it. */
struct object **objects_range(const struct objects *objects, enum object_kind kind,
			      size_t *ret_count);

const char *object_kind_name(enum object_kind kind);
size_t object_ignored_count(void);
const char *object_ignored_name(size_t index);

/* NULL when there is none. */
const char *labels_get(const struct labels *labels, const char *key);
/* Does `labels` have every pair of `wanted`? */
bool labels_match(const struct labels *labels, const struct labels *wanted);

#endif
