/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of desired_resolve() share; private to desired.c and
 * resolve_*.c.  Each part reads the input and fills lists of the result in its
 * final order, the later ones by looking into the earlier:
 * clusters, pools and endpoints, policies, gateways, routes, objectives.
 */
#ifndef SLUICE_SOURCES_RESOLVE_H
#define SLUICE_SOURCES_RESOLVE_H

#include "userspace/sources/desired.h"
#include "userspace/sources/object.h"

/* Routes ask by kind; both dialects of imports are one class. */
enum pool_class { POOL_LOCAL, POOL_IMPORT, POOL_SERVICE };

/* Beside desired.pools[i]: what the result does not carry. */
struct pool_note {
	enum pool_class class;
	const char *namespace_, *name;
	int64_t service_port; /* POOL_SERVICE */
	const struct object
		*object; /* import, pool or Service of the config cluster; may be NULL */
	const struct object *health, *policy; /* the policies in force, or NULL */
	uint32_t timeout_ms; /* GCPBackendPolicy; 0: none */
};

/* A listener of a Gateway whose class is known, served or not. */
struct listener_note {
	const struct object *gateway;
	const struct gateway_listener *listener;
	size_t served_count; /* how many desired.listeners come from it */
};

struct resolve {
	const struct desired_input *input;
	struct desired *desired;
	struct arena *arena; /* the result's */
	struct arena scratch; /* freed when resolving ends */
	uint32_t config_cluster; /* index into clusters; CLUSTER_NONE: not in the list */
	const struct desired_source **sources; /* by cluster index */
	struct pool_note *pool_notes;
	size_t listener_note_count;
	struct listener_note *listener_notes; /* by gateway, then as written */
};

/* A list that grows; items live in `arena`. */
struct vector {
	void *items;
	size_t count, room, item_bytes;
	struct arena *arena;
};

/* A new zeroed item at the end; NULL: out of memory. */
void *vector_add(struct vector *vector);

/* One message about a field of an object: "FILE:LINE: Kind ns/name: PATH: text".
 * `line` 0: the object's own. */
void resolve_say(struct resolve *resolve, enum log_level level, const struct object *object,
		 uint32_t line, const char *path, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

/* A field path with indexes, for one message: FIELD("spec.addresses[%zu].type", i) */
#define FIELD_PATH_MAX 128
#define FIELD(...) field_format((char[FIELD_PATH_MAX]){0}, __VA_ARGS__)
const char *field_format(char buffer[FIELD_PATH_MAX], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Older first (unknown age last), then by namespace and name: who wins a conflict. */
int object_age_compare(const void *a, const void *b);
/* Objects of one kind in the config cluster, by age; in scratch memory. */
int resolve_by_age(struct resolve *resolve, enum object_kind kind, struct object ***ret_list,
		   size_t *ret_count);

/* Each returns 0 or -ENOMEM. */
int resolve_clusters(struct resolve *resolve);
int resolve_pools(struct resolve *resolve); /* and endpoints */
int resolve_endpoints(struct resolve *resolve);
int resolve_policies(struct resolve *resolve);
int resolve_gateways(struct resolve *resolve);
int resolve_routes(struct resolve *resolve);
int resolve_objectives(struct resolve *resolve); /* and base models */
int resolve_rewrites(struct resolve *resolve);

/* Index into desired.pools, POOL_NONE when there is none.  `port` for Services. */
uint32_t resolve_pool_find(const struct resolve *resolve, enum pool_class class,
			   const char *namespace_, const char *name, int64_t port);
/* Which class a backend or target kind means; false: none that is known. */
bool reference_class(const struct reference *ref, enum pool_class *ret_class);
/* Says so when `ref` of an object of that cluster names no InferencePool; `what`
 * the object is, in words. */
void pool_reference_check(struct resolve *resolve, const struct desired_source *source,
			  const struct object *object, const struct reference *ref,
			  const char *what);
/* "namespace/name" of the pool, the object's own namespace when none is given; NULL: out of
 * memory. */
const char *pool_reference_name(struct arena *arena, const struct object *object,
				const struct reference *ref);
/* Is the pool of one cluster exported, by either dialect's annotation? */
bool pool_is_exported(const struct object *pool);

#endif
