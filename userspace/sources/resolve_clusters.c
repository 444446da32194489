// SPDX-License-Identifier: BSD-2-Clause
/* Clusters and where they are.  A region comes from the ClusterProfile that the
 * config cluster has of the cluster, else from the first Node that says it, else
 * it is the cluster's own name, so that every cluster has one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "maps/layout/types.h"
#include "userspace/sources/resolve.h"

#define LABEL_REGION "topology.kubernetes.io/region"
#define PROPERTY_CLUSTER "cluster.clusterset.k8s.io"

static const char *profile_property(const struct object *profile, const char *name)
{
	const struct cluster_profile *spec = profile->spec;

	for (size_t i = 0; i < spec->property_count; i++) {
		if (strcmp(spec->properties[i].name, name) == 0)
			return spec->properties[i].value;
	}
	return NULL;
}

/* By the name in the cluster set, or by its own name. */
static bool profile_is_of(const struct object *profile, const char *cluster)
{
	const char *name = profile_property(profile, PROPERTY_CLUSTER);

	return strcmp(name ? name : profile->name, cluster) == 0;
}

static const char *region_from_profiles(const struct resolve *resolve, const char *cluster)
{
	size_t count;
	struct object **profiles =
		objects_range(resolve->input->config.objects, KIND_CLUSTER_PROFILE, &count);

	for (size_t i = 0; i < count; i++) {
		const char *location = profile_property(profiles[i], "location");

		if (profile_is_of(profiles[i], cluster) && location && *location)
			return location;
	}
	return NULL;
}

static const char *region_from_nodes(const struct objects *objects)
{
	size_t count;
	struct object **nodes = objects_range(objects, KIND_NODE, &count);

	for (size_t i = 0; i < count; i++) {
		const char *region = labels_get(&nodes[i]->labels, LABEL_REGION);

		if (region && *region)
			return region;
	}
	return NULL;
}

static const char *region_find(struct resolve *resolve, const struct desired_source *source)
{
	const char *region = region_from_profiles(resolve, source->name);

	if (!region)
		region = region_from_nodes(source->objects);
	if (region)
		return region;
	message_add(
		&resolve->desired->messages, resolve->arena, LOG_LEVEL_INFO,
		"cluster %s: no ClusterProfile with a location and no Node with label " LABEL_REGION
		"; its region is called %s",
		source->name, source->name);
	return source->name;
}

static int source_compare(const void *a, const void *b)
{
	const struct desired_source *x = *(const struct desired_source *const *)a;
	const struct desired_source *y = *(const struct desired_source *const *)b;

	return strcmp(x->name, y->name);
}

static bool route_uses_service(const struct http_route *route)
{
	for (size_t i = 0; i < route->rule_count; i++) {
		for (size_t k = 0; k < route->rules[i].backend_count; k++) {
			enum pool_class class;

			if (reference_class(&route->rules[i].backends[k].ref, &class) &&
			    class == POOL_SERVICE)
				return true;
		}
	}
	return false;
}

/* Has the config cluster something of its own that may be a backend? */
static bool config_has_backends(const struct objects *objects)
{
	size_t pool_count, route_count;
	struct object **routes = objects_range(objects, KIND_HTTP_ROUTE, &route_count);

	objects_range(objects, KIND_INFERENCE_POOL, &pool_count);
	for (size_t i = 0; i < route_count; i++) {
		if (route_uses_service(routes[i]->spec))
			return true;
	}
	return pool_count > 0;
}

/* Target clusters, and the config cluster when it is not one of them but may serve. */
static size_t sources_collect(const struct resolve *resolve, const struct desired_source **list)
{
	const struct desired_input *input = resolve->input;
	bool listed = false;
	size_t count = 0;

	for (size_t i = 0; i < input->cluster_count; i++) {
		list[count++] = &input->clusters[i];
		if (input->clusters[i].objects == input->config.objects)
			listed = true;
	}
	if (!listed && config_has_backends(input->config.objects))
		list[count++] = &input->config;
	qsort(list, count, sizeof(*list), source_compare);
	return count;
}

int resolve_clusters(struct resolve *resolve)
{
	const size_t room = resolve->input->cluster_count + 1;
	struct desired *desired = resolve->desired;

	resolve->sources = arena_alloc(&resolve->scratch, room, sizeof(*resolve->sources));
	desired->clusters = arena_alloc(resolve->arena, room, sizeof(*desired->clusters));
	if (!resolve->sources || !desired->clusters)
		return -ENOMEM;
	desired->cluster_count = sources_collect(resolve, resolve->sources);
	resolve->config_cluster = CLUSTER_NONE;
	for (size_t i = 0; i < desired->cluster_count; i++) {
		const struct desired_source *source = resolve->sources[i];

		if (source->objects == resolve->input->config.objects)
			resolve->config_cluster = (uint32_t)i;
		desired->clusters[i].name = arena_string(resolve->arena, source->name);
		desired->clusters[i].region =
			arena_string(resolve->arena, region_find(resolve, source));
		if (!desired->clusters[i].name || !desired->clusters[i].region)
			return -ENOMEM;
	}
	return 0;
}
