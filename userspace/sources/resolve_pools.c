// SPDX-License-Identifier: BSD-2-Clause
/* Which pools there are; who is in them is resolve_endpoints.c.
 *
 * An exported pool is imported without anybody writing an import object: in a
 * folder there is no import controller but us.  A written one still counts: it
 * may come before the first export, and it may name the clusters that take part.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "maps/layout/contract.h"
#include "userspace/sources/resolve.h"

#define EXPORT_UPSTREAM GROUP_INFERENCE_X "/export"
#define EXPORT_GKE GROUP_GKE "/export"

struct pool_draft {
	struct pool_note note;
	const char *kind;
};

bool reference_class(const struct reference *ref, enum pool_class *ret_class)
{
	static const struct {
		const char *group, *kind;
		enum pool_class class;
	} rows[] = {
		{GROUP_INFERENCE_X, "InferencePoolImport", POOL_IMPORT},
		{GROUP_GKE, "GCPInferencePoolImport", POOL_IMPORT},
		{GROUP_INFERENCE, "InferencePool", POOL_LOCAL},
		{GROUP_INFERENCE_X, "InferencePool", POOL_LOCAL},
		{"", "Service", POOL_SERVICE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].group, ref->group) == 0 &&
		    strcmp(rows[i].kind, ref->kind) == 0) {
			*ret_class = rows[i].class;
			return true;
		}
	}
	return false;
}

void pool_reference_check(struct resolve *resolve, const struct desired_source *source,
			  const struct object *object, const struct reference *ref,
			  const char *what)
{
	const char *namespace_ = ref->namespace_ ? ref->namespace_ : object->namespace_;
	enum pool_class class;

	if (!reference_class(ref, &class) || class == POOL_SERVICE)
		resolve_say(resolve, LOG_LEVEL_WARNING, object, ref->line, "spec.poolRef.kind",
			    "%.60s is not a kind of pool; the %s works for no pool", ref->kind,
			    what);
	else if (class == POOL_LOCAL &&
		 !objects_find(source->objects, KIND_INFERENCE_POOL, namespace_, ref->name))
		resolve_say(resolve, LOG_LEVEL_WARNING, object, ref->line, "spec.poolRef.name",
			    "cluster %s has no InferencePool %s/%s; correct the name", source->name,
			    namespace_, ref->name);
}

const char *pool_reference_name(struct arena *arena, const struct object *object,
				const struct reference *ref)
{
	return arena_format(arena, "%s/%s", ref->namespace_ ? ref->namespace_ : object->namespace_,
			    ref->name);
}

bool pool_is_exported(const struct object *pool)
{
	const char *upstream = labels_get(&pool->annotations, EXPORT_UPSTREAM);
	const char *gke = labels_get(&pool->annotations, EXPORT_GKE);

	return (upstream && strcmp(upstream, "ClusterSet") == 0) ||
	       (gke && strcasecmp(gke, "true") == 0);
}

static void export_annotation_check(struct resolve *resolve, const struct object *pool)
{
	const char *upstream = labels_get(&pool->annotations, EXPORT_UPSTREAM);
	const char *gke = labels_get(&pool->annotations, EXPORT_GKE);

	if (upstream && strcmp(upstream, "ClusterSet") != 0)
		resolve_say(resolve, LOG_LEVEL_WARNING, pool, 0,
			    "metadata.annotations." EXPORT_UPSTREAM,
			    "\"%s\" is not defined; write ClusterSet to export the pool", upstream);
	if (gke && strcasecmp(gke, "true") != 0)
		resolve_say(resolve, LOG_LEVEL_INFO, pool, 0, "metadata.annotations." EXPORT_GKE,
			    "\"%s\" does not export the pool; write \"True\"", gke);
}

static int draft_add(struct vector *drafts, enum pool_class class, const char *kind,
		     const struct object *object, const char *namespace_, const char *name)
{
	struct pool_draft *draft = vector_add(drafts);

	if (!draft)
		return -ENOMEM;
	draft->kind = kind;
	draft->note.class = class;
	draft->note.namespace_ = namespace_;
	draft->note.name = name;
	draft->note.object = object;
	return 0;
}

/* Import objects of the config cluster. */
static int imports_collect(struct resolve *resolve, struct vector *drafts, enum object_kind kind)
{
	size_t count;
	struct object **list = objects_range(resolve->input->config.objects, kind, &count);
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = draft_add(drafts, POOL_IMPORT, object_kind_name(kind), list[i],
				list[i]->namespace_, list[i]->name);
	return err;
}

/* Exported pools of every cluster. */
static int exports_collect(struct resolve *resolve, struct vector *drafts)
{
	int err = 0;

	for (size_t c = 0; c < resolve->desired->cluster_count; c++) {
		size_t count;
		struct object **list =
			objects_range(resolve->sources[c]->objects, KIND_INFERENCE_POOL, &count);

		for (size_t i = 0; i < count && !err; i++) {
			export_annotation_check(resolve, list[i]);
			if (pool_is_exported(list[i]))
				err = draft_add(drafts, POOL_IMPORT,
						labels_get(&list[i]->annotations, EXPORT_UPSTREAM)
							? "InferencePoolImport"
							: "GCPInferencePoolImport",
						NULL, list[i]->namespace_, list[i]->name);
		}
	}
	return err;
}

static int locals_collect(struct resolve *resolve, struct vector *drafts)
{
	size_t count;
	struct object **list =
		objects_range(resolve->input->config.objects, KIND_INFERENCE_POOL, &count);
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = draft_add(drafts, POOL_LOCAL, "InferencePool", list[i], list[i]->namespace_,
				list[i]->name);
	return err;
}

/* A Service is a pool only where a route names it: clusters are full of them. */
static int service_collect(struct resolve *resolve, struct vector *drafts,
			   const struct object *route, const struct http_backend *backend)
{
	const char *namespace_ = backend->ref.namespace_ ? backend->ref.namespace_
							 : route->namespace_;
	const struct object *service;
	enum pool_class class;
	int err;

	if (!reference_class(&backend->ref, &class) || class != POOL_SERVICE ||
	    backend->port == UNSET)
		return 0;
	service = objects_find(resolve->input->config.objects, KIND_SERVICE, namespace_,
			       backend->ref.name);
	if (!service)
		return 0;
	err = draft_add(drafts, POOL_SERVICE, "Service", service, service->namespace_,
			service->name);
	if (!err)
		((struct pool_draft *)drafts->items)[drafts->count - 1].note.service_port =
			backend->port;
	return err;
}

static int services_collect(struct resolve *resolve, struct vector *drafts)
{
	size_t count;
	struct object **list =
		objects_range(resolve->input->config.objects, KIND_HTTP_ROUTE, &count);
	int err = 0;

	for (size_t i = 0; i < count; i++) {
		const struct http_route *route = list[i]->spec;

		for (size_t r = 0; r < route->rule_count; r++) {
			const struct http_rule *rule = &route->rules[r];

			for (size_t b = 0; b < rule->backend_count && !err; b++)
				err = service_collect(resolve, drafts, list[i], &rule->backends[b]);
		}
	}
	return err;
}

/* What makes two drafts one pool. */
static int identity_compare(const struct pool_note *a, const struct pool_note *b)
{
	int order = strcmp(a->namespace_, b->namespace_);

	if (!order)
		order = strcmp(a->name, b->name);
	if (!order)
		order = (int)a->class - (int)b->class;
	if (!order)
		order = (a->service_port > b->service_port) - (a->service_port < b->service_port);
	return order;
}

/* Among drafts of one pool a written import goes first, the upstream kind before GKE's. */
static int draft_compare(const void *a, const void *b)
{
	const struct pool_draft *x = a, *y = b;
	int order = identity_compare(&x->note, &y->note);

	if (!order)
		order = (x->note.object == NULL) - (y->note.object == NULL);
	return order ? order : -strcmp(x->kind, y->kind);
}

static int pool_put(struct resolve *resolve, const struct pool_draft *draft)
{
	struct desired *desired = resolve->desired;
	struct desired_pool *pool = &desired->pools[desired->pool_count];

	pool->kind = draft->kind; /* a literal */
	if (draft->note.class == POOL_SERVICE)
		pool->name = arena_format(resolve->arena, "%s/%s:%lld", draft->note.namespace_,
					  draft->note.name, (long long)draft->note.service_port);
	else
		pool->name = arena_format(resolve->arena, "%s/%s", draft->note.namespace_,
					  draft->note.name);
	if (!pool->name)
		return -ENOMEM;
	resolve->pool_notes[desired->pool_count++] = draft->note;
	return 0;
}

static int pools_put(struct resolve *resolve, const struct vector *drafts)
{
	const struct pool_draft *list = drafts->items;
	struct desired *desired = resolve->desired;
	size_t dropped = 0;

	desired->pools = arena_alloc(resolve->arena, drafts->count, sizeof(*desired->pools));
	resolve->pool_notes =
		arena_alloc(&resolve->scratch, drafts->count, sizeof(*resolve->pool_notes));
	if (!desired->pools || !resolve->pool_notes)
		return -ENOMEM;
	for (size_t i = 0; i < drafts->count; i++) {
		if (i > 0 && identity_compare(&list[i - 1].note, &list[i].note) == 0)
			continue;
		if (desired->pool_count == POOLS_MAX)
			dropped++;
		else if (pool_put(resolve, &list[i]))
			return -ENOMEM;
	}
	if (dropped)
		message_add(&desired->messages, resolve->arena, LOG_LEVEL_ERROR,
			    "pools: there are %zu more than the %d that fit; the last ones by name "
			    "are left out, split the gateway",
			    dropped, POOLS_MAX);
	return 0;
}

int resolve_pools(struct resolve *resolve)
{
	struct vector drafts = {.item_bytes = sizeof(struct pool_draft),
				.arena = &resolve->scratch};
	int err = imports_collect(resolve, &drafts, KIND_POOL_IMPORT);

	if (!err)
		err = imports_collect(resolve, &drafts, KIND_GCP_POOL_IMPORT);
	if (!err)
		err = exports_collect(resolve, &drafts);
	if (!err)
		err = locals_collect(resolve, &drafts);
	if (!err)
		err = services_collect(resolve, &drafts);
	if (err)
		return err;
	if (drafts.count)
		qsort(drafts.items, drafts.count, sizeof(struct pool_draft), draft_compare);
	return pools_put(resolve, &drafts);
}

uint32_t resolve_pool_find(const struct resolve *resolve, enum pool_class class,
			   const char *namespace_, const char *name, int64_t port)
{
	const struct pool_note wanted = {.class = class,
					 .namespace_ = namespace_,
					 .name = name,
					 .service_port = class == POOL_SERVICE ? port : 0};
	size_t low = 0, high = resolve->desired->pool_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = identity_compare(&resolve->pool_notes[middle], &wanted);

		if (order == 0)
			return (uint32_t)middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return POOL_NONE;
}
