// SPDX-License-Identifier: BSD-2-Clause
/* InferenceModelRewrites become lists of their pools: which names clients say, and
 * which names the model servers know.  They come from every cluster; where clusters
 * disagree on one the first by name counts, and it is said.  A pool's list is in the
 * order of precedence: rules that name models before those that match all, then the
 * oldest object, its name, and the order in it; so the first that matches counts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/sources/resolve.h"

struct rewrite_find {
	const struct object *object;
	const char *cluster;
	size_t order; /* of finding */
	const char *pool; /* "namespace/name" */
	struct snapshot_rewrite *rules; /* as many as the object has */
};

static int finds_add(struct resolve *resolve, const struct desired_source *source,
		     struct vector *finds)
{
	size_t count;
	struct object **list = objects_range(source->objects, KIND_MODEL_REWRITE, &count);

	for (size_t i = 0; i < count; i++) {
		const struct pool_rewrite *spec = list[i]->spec;
		struct rewrite_find *find = vector_add(finds);

		if (!find)
			return -ENOMEM;
		pool_reference_check(resolve, source, list[i], &spec->pool, "rewrite");
		find->object = list[i];
		find->cluster = source->name;
		find->order = finds->count;
		find->pool = pool_reference_name(&resolve->scratch, list[i], &spec->pool);
		if (!find->pool)
			return -ENOMEM;
	}
	return 0;
}

/* ---- one of each name ---- */

static int find_compare_name(const void *a, const void *b)
{
	const struct rewrite_find *x = a, *y = b;
	int order = strcmp(x->object->namespace_, y->object->namespace_);

	order = order ? order : strcmp(x->object->name, y->object->name);
	return order ? order : (x->order > y->order) - (x->order < y->order);
}

static int find_compare_age(const void *a, const void *b)
{
	const struct rewrite_find *x = a, *y = b;

	return object_age_compare(&x->object, &y->object);
}

static bool rule_is_same(const struct pool_rewrite_rule *a, const struct pool_rewrite_rule *b)
{
	if (a->match_count != b->match_count || a->target_count != b->target_count)
		return false;
	for (size_t i = 0; i < a->match_count; i++) {
		if (strcmp(a->matches[i].model, b->matches[i].model) != 0)
			return false;
	}
	for (size_t i = 0; i < a->target_count; i++) {
		if (strcmp(a->targets[i].model, b->targets[i].model) != 0 ||
		    a->targets[i].weight != b->targets[i].weight)
			return false;
	}
	return true;
}

static bool find_is_same(const struct rewrite_find *a, const struct rewrite_find *b)
{
	const struct pool_rewrite *x = a->object->spec, *y = b->object->spec;

	if (strcmp(a->pool, b->pool) != 0 || x->rule_count != y->rule_count)
		return false;
	for (size_t i = 0; i < x->rule_count; i++) {
		if (!rule_is_same(&x->rules[i], &y->rules[i]))
			return false;
	}
	return true;
}

/* Drops what another cluster has said before; the rest is in the order of age. */
static void finds_settle(struct resolve *resolve, struct vector *finds)
{
	struct rewrite_find *list = finds->items;
	size_t kept = 0;

	if (!finds->count)
		return;
	qsort(list, finds->count, sizeof(*list), find_compare_name);
	for (size_t i = 1; i < finds->count; i++) {
		const struct object *a = list[kept].object, *b = list[i].object;

		if (strcmp(a->namespace_, b->namespace_) != 0 || strcmp(a->name, b->name) != 0)
			list[++kept] = list[i];
		else if (!find_is_same(&list[kept], &list[i]))
			resolve_say(
				resolve, LOG_LEVEL_WARNING, b, 0, "spec",
				"it differs from the one of cluster %s, which is used; make them "
				"equal",
				list[kept].cluster);
	}
	finds->count = kept + 1;
	qsort(list, finds->count, sizeof(*list), find_compare_age);
}

/* ---- rules ---- */

static int rule_copy(struct arena *arena, const struct pool_rewrite_rule *from, const char *name,
		     struct snapshot_rewrite *to)
{
	to->name = name;
	to->models = arena_alloc(arena, from->match_count, sizeof(*to->models));
	to->targets = arena_alloc(arena, from->target_count, sizeof(*to->targets));
	if (!to->models || !to->targets)
		return -ENOMEM;
	for (size_t i = 0; i < from->match_count; i++) {
		to->models[i] = arena_string(arena, from->matches[i].model);
		if (!to->models[i])
			return -ENOMEM;
	}
	for (size_t i = 0; i < from->target_count; i++) {
		const int64_t weight = from->targets[i].weight;

		to->targets[i].model = arena_string(arena, from->targets[i].model);
		if (!to->targets[i].model)
			return -ENOMEM;
		to->targets[i].weight = weight == UNSET ? 1 : (uint32_t)weight;
		to->weight_sum += to->targets[i].weight;
	}
	to->model_count = from->match_count;
	to->target_count = from->target_count;
	return 0;
}

static int find_copy(struct resolve *resolve, struct rewrite_find *find)
{
	const struct pool_rewrite *spec = find->object->spec;
	const char *name =
		arena_format(resolve->arena, "%s/%s", find->object->namespace_, find->object->name);
	int err = name ? 0 : -ENOMEM;

	find->rules = arena_alloc(&resolve->scratch, spec->rule_count, sizeof(*find->rules));
	if (!find->rules)
		return -ENOMEM;
	for (size_t i = 0; i < spec->rule_count && !err; i++)
		err = rule_copy(resolve->arena, &spec->rules[i], name, &find->rules[i]);
	return err;
}

/* ---- pools ---- */

static bool pool_is_meant(const struct desired_pool *pool, const struct rewrite_find *find)
{
	return strcmp(pool->kind, "Service") != 0 && strcmp(pool->name, find->pool) == 0;
}

static size_t pool_rule_count(const struct desired_pool *pool, const struct vector *finds)
{
	const struct rewrite_find *list = finds->items;
	size_t count = 0;

	for (size_t i = 0; i < finds->count; i++) {
		const struct pool_rewrite *spec = list[i].object->spec;

		if (pool_is_meant(pool, &list[i]))
			count += spec->rule_count;
	}
	return count;
}

/* Those with names, or those without. */
static void pool_put(struct resolve *resolve, struct desired_pool *pool, const struct vector *finds,
		     bool named)
{
	const struct rewrite_find *list = finds->items;

	for (size_t i = 0; i < finds->count; i++) {
		const struct pool_rewrite *spec = list[i].object->spec;

		for (size_t k = 0; pool_is_meant(pool, &list[i]) && k < spec->rule_count; k++) {
			if ((list[i].rules[k].model_count > 0) != named)
				continue;
			if (pool->rewrite_count == POOL_REWRITES_MAX) {
				resolve_say(resolve, LOG_LEVEL_ERROR, list[i].object,
					    spec->rules[k].line, FIELD("spec.rules[%zu]", k),
					    "pool %s has %d rules already, as many as fit; this "
					    "one is left out, merge some",
					    pool->name, POOL_REWRITES_MAX);
				return;
			}
			pool->rewrites[pool->rewrite_count++] = list[i].rules[k];
		}
	}
}

static int pools_put(struct resolve *resolve, const struct vector *finds)
{
	struct desired *desired = resolve->desired;

	for (size_t i = 0; i < desired->pool_count; i++) {
		struct desired_pool *pool = &desired->pools[i];
		size_t count = pool_rule_count(pool, finds);

		if (!count)
			continue;
		pool->rewrites = arena_alloc(resolve->arena, count, sizeof(*pool->rewrites));
		if (!pool->rewrites)
			return -ENOMEM;
		pool_put(resolve, pool, finds, true);
		pool_put(resolve, pool, finds, false);
	}
	return 0;
}

int resolve_rewrites(struct resolve *resolve)
{
	struct vector finds = {.item_bytes = sizeof(struct rewrite_find),
			       .arena = &resolve->scratch};
	struct rewrite_find *list;
	int err = 0;

	/* the config cluster first, then the clusters by name; one that is both counts once */
	if (resolve->config_cluster == CLUSTER_NONE)
		err = finds_add(resolve, &resolve->input->config, &finds);
	for (size_t i = 0; i < resolve->desired->cluster_count && !err; i++)
		err = finds_add(resolve, resolve->sources[i], &finds);
	if (err)
		return err;
	finds_settle(resolve, &finds);
	list = finds.items;
	for (size_t i = 0; i < finds.count && !err; i++)
		err = find_copy(resolve, &list[i]);
	return err ? err : pools_put(resolve, &finds);
}
