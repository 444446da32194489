// SPDX-License-Identifier: BSD-2-Clause
/* What a request can say about itself: objectives by name, and which base model
 * a name belongs to.  Both come from every cluster; where clusters disagree the
 * first by name counts, and it is said. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/sources/resolve.h"
#include "userspace/sources/yaml.h"

/* ---- objectives ---- */

struct objective_find {
	struct desired_objective objective; /* strings borrowed */
	const struct object *object;
	const char *cluster;
	size_t order; /* of finding */
};

static int objectives_find(struct resolve *resolve, const struct desired_source *source,
			   struct vector *finds)
{
	size_t count;
	struct object **list = objects_range(source->objects, KIND_OBJECTIVE, &count);

	for (size_t i = 0; i < count; i++) {
		const struct objective *spec = list[i]->spec;
		struct objective_find *find = vector_add(finds);

		if (!find)
			return -ENOMEM;
		pool_reference_check(resolve, source, list[i], &spec->pool, "objective");
		find->objective = (struct desired_objective){
			.name = list[i]->name,
			.namespace_ = list[i]->namespace_,
			.pool = pool_reference_name(&resolve->scratch, list[i], &spec->pool),
			.priority = (int32_t)spec->priority,
		};
		if (!find->objective.pool)
			return -ENOMEM;
		find->object = list[i];
		find->cluster = source->name;
		find->order = finds->count;
	}
	return 0;
}

static int objective_compare(const struct desired_objective *a, const struct desired_objective *b)
{
	int order = strcmp(a->namespace_, b->namespace_);

	return order ? order : strcmp(a->name, b->name);
}

static int objective_find_compare(const void *a, const void *b)
{
	const struct objective_find *x = a, *y = b;
	int order = objective_compare(&x->objective, &y->objective);

	return order ? order : (x->order > y->order) - (x->order < y->order);
}

static int objective_put(struct resolve *resolve, const struct objective_find *find)
{
	struct desired *desired = resolve->desired;
	struct desired_objective *objective = &desired->objectives[desired->objective_count++];

	*objective = find->objective;
	objective->name = arena_string(resolve->arena, objective->name);
	objective->namespace_ = arena_string(resolve->arena, objective->namespace_);
	objective->pool = arena_string(resolve->arena, objective->pool);
	return objective->name && objective->namespace_ && objective->pool ? 0 : -ENOMEM;
}

static int objectives_put(struct resolve *resolve, const struct vector *finds)
{
	const struct objective_find *list = finds->items, *kept = NULL;
	struct desired *desired = resolve->desired;
	int err = 0;

	desired->objectives =
		arena_alloc(resolve->arena, finds->count, sizeof(*desired->objectives));
	if (!desired->objectives)
		return -ENOMEM;
	for (size_t i = 0; i < finds->count && !err; i++) {
		if (!kept || objective_compare(&kept->objective, &list[i].objective) != 0) {
			kept = &list[i];
			err = objective_put(resolve, kept);
		} else if (kept->objective.priority != list[i].objective.priority ||
			   strcmp(kept->objective.pool, list[i].objective.pool) != 0) {
			resolve_say(
				resolve, LOG_LEVEL_WARNING, list[i].object, 0, "spec",
				"it differs from the one of cluster %s, which is used; make them "
				"equal",
				kept->cluster);
		}
	}
	return err;
}

/* ---- base models ---- */

struct model_find {
	const char *model, *base; /* in scratch memory */
	const struct object *object;
	size_t order;
};

static int model_add(struct resolve *resolve, struct vector *finds, const struct object *object,
		     const char *model, const char *base)
{
	struct model_find *find = vector_add(finds);

	if (!find)
		return -ENOMEM;
	find->model = arena_string(&resolve->scratch, model);
	find->base = base;
	find->object = object;
	find->order = finds->count;
	return find->model ? 0 : -ENOMEM;
}

static int adapters_add(struct resolve *resolve, struct vector *finds, const struct object *object,
			const struct yaml_file *file, const char *base)
{
	const struct node *list = file->count ? file->documents[0] : NULL;
	int err = 0;

	if (file->count > 1 || (list && list->type != NODE_LIST && list->type != NODE_NULL)) {
		resolve_say(resolve, LOG_LEVEL_ERROR, object, 0, "data.adapters",
			    "not a list of names; its adapters are not known as such");
		return 0;
	}
	for (size_t i = 0; list && i < list->count && !err; i++) {
		if (list->items[i]->type == NODE_STRING)
			err = model_add(resolve, finds, object, list->items[i]->text, base);
		else
			resolve_say(resolve, LOG_LEVEL_ERROR, object, 0, "data.adapters",
				    "element %zu is %s and not a name; it is left out", i,
				    node_type_name(list->items[i]->type));
	}
	return err;
}

static int config_map_find(struct resolve *resolve, struct vector *finds,
			   const struct object *object)
{
	const struct config_map *spec = object->spec;
	const char *base = labels_get(&spec->data, "baseModel");
	const char *adapters = labels_get(&spec->data, "adapters");
	struct yaml_error error;
	struct yaml_file file;
	int err;

	if (!base || !*base) {
		resolve_say(resolve, LOG_LEVEL_ERROR, object, 0, "data.baseModel",
			    "missing; the ConfigMap is not used, name the base model");
		return 0;
	}
	err = model_add(resolve, finds, object, base, base);
	if (err || !adapters)
		return err;
	err = yaml_parse(adapters, strlen(adapters), &file, &error);
	if (err == -EBADMSG)
		resolve_say(resolve, LOG_LEVEL_ERROR, object, 0, "data.adapters",
			    "not YAML: %s; its adapters are not known as such", error.text);
	if (err)
		return err == -EBADMSG ? 0 : err;
	err = adapters_add(resolve, finds, object, &file, base);
	yaml_file_deinit(&file);
	return err;
}

static int models_find(struct resolve *resolve, const struct objects *objects, struct vector *finds)
{
	size_t count;
	struct object **list = objects_range(objects, KIND_CONFIG_MAP, &count);
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = config_map_find(resolve, finds, list[i]);
	return err;
}

static int model_compare(const void *a, const void *b)
{
	const struct model_find *x = a, *y = b;
	int order = strcmp(x->model, y->model);

	return order ? order : (x->order > y->order) - (x->order < y->order);
}

static int models_put(struct resolve *resolve, const struct vector *finds)
{
	const struct model_find *list = finds->items, *kept = NULL;
	struct desired *desired = resolve->desired;

	desired->base_models =
		arena_alloc(resolve->arena, finds->count, sizeof(*desired->base_models));
	if (!desired->base_models)
		return -ENOMEM;
	for (size_t i = 0; i < finds->count; i++) {
		struct desired_base_model *to = &desired->base_models[desired->base_model_count];

		if (kept && strcmp(kept->model, list[i].model) == 0) {
			if (strcmp(kept->base, list[i].base) != 0)
				resolve_say(
					resolve, LOG_LEVEL_WARNING, list[i].object, 0, "data",
					"model %.80s belongs to %.80s already; this one is not used",
					kept->model, kept->base);
			continue;
		}
		kept = &list[i];
		to->model = arena_string(resolve->arena, kept->model);
		to->base = arena_string(resolve->arena, kept->base);
		if (!to->model || !to->base)
			return -ENOMEM;
		desired->base_model_count++;
	}
	return 0;
}

int resolve_objectives(struct resolve *resolve)
{
	const struct desired_source *config = &resolve->input->config;
	struct vector objectives = {.item_bytes = sizeof(struct objective_find),
				    .arena = &resolve->scratch};
	struct vector models = {.item_bytes = sizeof(struct model_find),
				.arena = &resolve->scratch};
	int err = 0;

	/* the config cluster first, then the clusters by name; one that is both counts once */
	if (resolve->config_cluster == CLUSTER_NONE) {
		err = objectives_find(resolve, config, &objectives);
		if (!err)
			err = models_find(resolve, config->objects, &models);
	}
	for (size_t i = 0; i < resolve->desired->cluster_count && !err; i++) {
		err = objectives_find(resolve, resolve->sources[i], &objectives);
		if (!err)
			err = models_find(resolve, resolve->sources[i]->objects, &models);
	}
	if (err)
		return err;
	if (objectives.count)
		qsort(objectives.items, objectives.count, sizeof(struct objective_find),
		      objective_find_compare);
	if (models.count)
		qsort(models.items, models.count, sizeof(struct model_find), model_compare);
	err = objectives_put(resolve, &objectives);
	return err ? err : models_put(resolve, &models);
}
