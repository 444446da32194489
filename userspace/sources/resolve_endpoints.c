// SPDX-License-Identifier: BSD-2-Clause
/* Who is in the pools: ready Pods times target ports, or EndpointSlices where a
 * cluster shows no Pods of the pool and for Services.
 *
 * Pools may overlap, and two clusters may claim one address by mistake.  So all
 * finds are collected first, then sorted by address: the first of an address
 * stands for all of the same pod, and another pod's claim is refused.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maps/layout/contract.h"
#include "userspace/base/address.h"
#include "userspace/sources/resolve.h"

#define LABEL_ZONE "topology.kubernetes.io/zone"
#define LABEL_SERVICE "kubernetes.io/service-name"
#define ENGINE_DEFAULT "vllm"

/* One find: an endpoint and a pool it is in. */
struct find {
	struct desired_endpoint endpoint; /* .pool is the pool it was found for */
	uint32_t identity; /* which endpoint that is; NONE: refused */
};

/* One endpoint before it has its final place. */
struct identity {
	struct desired_endpoint endpoint;
	uint32_t number;
};

struct collecting {
	struct resolve *resolve;
	struct vector finds;
	uint32_t cluster, pool;
	const struct objects *objects; /* of the cluster */
};

/* ---- pods ---- */

static bool pod_is_ready(const struct object *object)
{
	const struct pod *pod = object->spec;

	if (object->deleting || !pod->ip || !*pod->ip)
		return false;
	if (pod->phase &&
	    (strcmp(pod->phase, "Succeeded") == 0 || strcmp(pod->phase, "Failed") == 0))
		return false;
	for (size_t i = 0; i < pod->condition_count; i++) {
		if (strcmp(pod->conditions[i].type, "Ready") == 0)
			return strcmp(pod->conditions[i].status, "True") == 0;
	}
	return false;
}

static const char *node_zone(const struct objects *objects, const char *node)
{
	const struct object *object = node ? objects_find(objects, KIND_NODE, "", node) : NULL;

	return object ? labels_get(&object->labels, LABEL_ZONE) : NULL;
}

static const char *pod_engine(const struct object *pod)
{
	const char *engine = labels_get(&pod->labels, "llm-d.ai/engine-type");

	if (!engine)
		engine = labels_get(&pod->labels, GROUP_INFERENCE "/engine-type");
	return engine ? engine : ENGINE_DEFAULT;
}

/* Strings are borrowed from the objects, but for `name`, which is built. */
static int find_add(struct collecting *collecting, const char *namespace_, const char *name,
		    const struct ip_addr *addr, int64_t port, const char *zone, const char *engine)
{
	struct find *find = vector_add(&collecting->finds);

	if (!find)
		return -ENOMEM;
	find->endpoint = (struct desired_endpoint){
		.addr = *addr,
		.port = (uint16_t)port,
		.cluster = collecting->cluster,
		.pool = collecting->pool,
		.name = arena_format(&collecting->resolve->scratch, "%s/%s", namespace_, name),
		.zone = zone ? zone : "",
		.engine = engine,
	};
	return find->endpoint.name ? 0 : -ENOMEM;
}

/* What keeps an address from being an endpoint's; NULL: nothing.  Without the last
 * check a pod's YAML could make the proxy call itself, again and again. */
static const char *address_fault(const struct resolve *resolve, const char *text,
				 struct ip_addr *ret_addr)
{
	const struct desired *desired = resolve->desired;

	if (address_parse(text, ret_addr))
		return "not an IP address";
	if (!address_is_unicast(ret_addr))
		return "not an address of one host";
	for (size_t i = 0; i < desired->vip_count; i++) {
		if (address_equal(ret_addr, &desired->vips[i].addr))
			return "a Gateway's own address";
	}
	return NULL;
}

static int pod_add(struct collecting *collecting, const struct inference_pool *pool,
		   const struct object *object)
{
	const struct pod *pod = object->spec;
	const char *zone = node_zone(collecting->objects, pod->node);
	struct ip_addr addr;
	const char *fault = address_fault(collecting->resolve, pod->ip, &addr);
	int err = 0;

	if (fault) {
		resolve_say(collecting->resolve, LOG_LEVEL_ERROR, object, 0, "status.podIP",
			    "\"%.60s\" is %s; the pod gets no requests, correct it", pod->ip,
			    fault);
		return 0;
	}
	if (!zone)
		zone = labels_get(&object->labels, LABEL_ZONE);
	for (size_t i = 0; i < pool->port_count && !err; i++)
		err = find_add(collecting, object->namespace_, object->name, &addr,
			       pool->ports[i].number, zone, pod_engine(object));
	return err;
}

/* *ret_seen: how many Pods the pool selects, ready or not. */
static int pods_add(struct collecting *collecting, const struct object *pool, size_t *ret_seen)
{
	const struct inference_pool *spec = pool->spec;
	size_t count;
	struct object **pods = objects_range(collecting->objects, KIND_POD, &count);
	int err = 0;

	*ret_seen = 0;
	for (size_t i = 0; i < count && !err; i++) {
		if (strcmp(pods[i]->namespace_, pool->namespace_) != 0 ||
		    !labels_match(&pods[i]->labels, &spec->selector))
			continue;
		(*ret_seen)++;
		if (pod_is_ready(pods[i]))
			err = pod_add(collecting, spec, pods[i]);
	}
	return err;
}

/* ---- slices ---- */

static int slice_address_add(struct collecting *collecting, const struct object *slice,
			     const struct slice_endpoint *endpoint, const char *address,
			     int64_t port)
{
	const char *zone = endpoint->zone ? endpoint->zone
					  : node_zone(collecting->objects, endpoint->node);
	const bool is_pod = endpoint->target.name && strcmp(endpoint->target.kind, "Pod") == 0;
	const size_t index =
		(size_t)(endpoint - ((const struct endpoint_slice *)slice->spec)->endpoints);
	struct ip_addr addr;
	const char *fault = address_fault(collecting->resolve, address, &addr);

	if (fault) {
		resolve_say(collecting->resolve, LOG_LEVEL_ERROR, slice, endpoint->line,
			    FIELD("endpoints[%zu].addresses", index),
			    "\"%.60s\" is %s; it is left out, correct it", address, fault);
		return 0;
	}
	return find_add(collecting, slice->namespace_, is_pod ? endpoint->target.name : slice->name,
			&addr, port, zone, ENGINE_DEFAULT);
}

/* Every ready address of a slice at one port. */
static int slice_add(struct collecting *collecting, const struct object *slice, int64_t port)
{
	const struct endpoint_slice *spec = slice->spec;
	int err = 0;

	if (strcmp(spec->address_type, "FQDN") == 0) {
		resolve_say(collecting->resolve, LOG_LEVEL_WARNING, slice, 0, "addressType",
			    "FQDN is not supported; give IPv4 or IPv6 addresses");
		return 0;
	}
	for (size_t i = 0; i < spec->endpoint_count && !err; i++) {
		const struct slice_endpoint *endpoint = &spec->endpoints[i];

		if (!endpoint->ready || endpoint->terminating)
			continue;
		for (size_t k = 0; k < endpoint->address_count && !err; k++)
			err = slice_address_add(collecting, slice, endpoint, endpoint->addresses[k],
						port);
	}
	return err;
}

/* Does a slice stand for the pool's pods?  Its own labels, or its Service's selector. */
static bool slice_is_of_pool(const struct objects *objects, const struct object *slice,
			     const struct object *pool)
{
	const struct inference_pool *spec = pool->spec;
	const char *name = labels_get(&slice->labels, LABEL_SERVICE);
	const struct object *service;

	if (strcmp(slice->namespace_, pool->namespace_) != 0)
		return false;
	if (labels_match(&slice->labels, &spec->selector))
		return true;
	service = name ? objects_find(objects, KIND_SERVICE, slice->namespace_, name) : NULL;
	return service &&
	       labels_match(&((const struct service *)service->spec)->selector, &spec->selector);
}

static int pool_slices_add(struct collecting *collecting, const struct object *pool)
{
	const struct inference_pool *spec = pool->spec;
	size_t count;
	struct object **slices = objects_range(collecting->objects, KIND_ENDPOINT_SLICE, &count);
	int err = 0;

	for (size_t i = 0; i < count; i++) {
		if (!slice_is_of_pool(collecting->objects, slices[i], pool))
			continue;
		for (size_t k = 0; k < spec->port_count && !err; k++)
			err = slice_add(collecting, slices[i], spec->ports[k].number);
	}
	return err;
}

/* ---- pools ---- */

static void picker_check(struct collecting *collecting, const struct object *pool)
{
	const struct reference *picker = &((const struct inference_pool *)pool->spec)->picker;
	struct resolve *resolve = collecting->resolve;

	if (!picker->name)
		return;
	message_add(&resolve->desired->messages, resolve->arena, LOG_LEVEL_INFO,
		    "InferencePool spec.endpointPickerRef: endpoint pickers are not called in this "
		    "version; Sluice picks the endpoints of every pool itself");
	if (strcmp(picker->kind, "Service") == 0 &&
	    !objects_find(collecting->objects, KIND_SERVICE, pool->namespace_, picker->name))
		resolve_say(
			resolve, LOG_LEVEL_WARNING, pool, picker->line,
			"spec.endpointPickerRef.name",
			"there is no Service %s/%s in this cluster; Sluice picks itself, so the "
			"pool is served all the same",
			pool->namespace_, picker->name);
}

/* The InferencePool of one cluster. */
static int members_add(struct collecting *collecting, const struct object *pool)
{
	const struct inference_pool *spec = pool->spec;
	size_t seen;
	int err;

	picker_check(collecting, pool);
	if (strcmp(spec->app_protocol, "http") != 0) {
		resolve_say(
			collecting->resolve, LOG_LEVEL_ERROR, pool, 0, "spec.appProtocol",
			"%s is not supported in this version; its pods get no requests, use http",
			spec->app_protocol);
		return 0;
	}
	err = pods_add(collecting, pool, &seen);
	if (!err && seen == 0)
		err = pool_slices_add(collecting, pool);
	return err;
}

/* Clusters that an InferencePoolImport names, of all its controllers; none named: all. */
static bool import_allows(const struct object *import, const char *cluster)
{
	const struct pool_import *spec;
	size_t named = 0;

	if (!import || import->kind != KIND_POOL_IMPORT)
		return true;
	spec = import->spec;
	for (size_t i = 0; i < spec->controller_count; i++) {
		const struct import_controller *controller = &spec->controllers[i];

		named += controller->cluster_count;
		for (size_t k = 0; k < controller->cluster_count; k++) {
			if (strcmp(controller->clusters[k].name, cluster) == 0)
				return true;
		}
	}
	return named == 0;
}

static bool cluster_is_known(const struct desired *desired, const char *name)
{
	for (size_t i = 0; i < desired->cluster_count; i++) {
		if (strcmp(desired->clusters[i].name, name) == 0)
			return true;
	}
	return false;
}

static void import_clusters_check(struct resolve *resolve, const struct object *import)
{
	const struct pool_import *spec;

	if (!import || import->kind != KIND_POOL_IMPORT)
		return;
	spec = import->spec;
	for (size_t i = 0; i < spec->controller_count; i++) {
		for (size_t k = 0; k < spec->controllers[i].cluster_count; k++) {
			const struct import_cluster *cluster = &spec->controllers[i].clusters[k];

			if (!cluster_is_known(resolve->desired, cluster->name))
				resolve_say(resolve, LOG_LEVEL_WARNING, import, cluster->line,
					    FIELD("status.controllers[%zu].exportingClusters[%zu]",
						  i, k),
					    "cluster %.80s is not among the clusters given to the "
					    "controller; add --cluster %.80s=DIR or take it out",
					    cluster->name, cluster->name);
		}
	}
}

static int import_collect(struct collecting *collecting, const struct pool_note *note)
{
	struct resolve *resolve = collecting->resolve;
	size_t exporters = 0;

	import_clusters_check(resolve, note->object);
	for (uint32_t c = 0; c < resolve->desired->cluster_count; c++) {
		const struct objects *objects = resolve->sources[c]->objects;
		const struct object *pool =
			objects_find(objects, KIND_INFERENCE_POOL, note->namespace_, note->name);

		if (!pool || !pool_is_exported(pool) ||
		    !import_allows(note->object, resolve->sources[c]->name))
			continue;
		exporters++;
		collecting->cluster = c;
		collecting->objects = objects;
		if (members_add(collecting, pool))
			return -ENOMEM;
	}
	if (!exporters && note->object)
		resolve_say(resolve, LOG_LEVEL_WARNING, note->object, 0, "metadata.name",
			    "no cluster exports InferencePool %s/%s to it, so it has no endpoint; "
			    "annotate the pool with " GROUP_INFERENCE_X "/export: ClusterSet",
			    note->namespace_, note->name);
	return 0;
}

/* The slice port that belongs to a Service's port: the one of the same name. */
static int64_t slice_port_find(const struct endpoint_slice *slice, const char *name)
{
	for (size_t i = 0; i < slice->port_count; i++) {
		if (strcmp(slice->ports[i].name, name ? name : "") == 0 &&
		    strcmp(slice->ports[i].protocol, "TCP") == 0)
			return slice->ports[i].port;
	}
	return UNSET;
}

static const struct service_port *service_port_find(const struct object *service, int64_t port)
{
	const struct service *spec = service->spec;

	for (size_t i = 0; i < spec->port_count; i++) {
		if (spec->ports[i].port == port)
			return &spec->ports[i];
	}
	return NULL;
}

static int service_collect(struct collecting *collecting, const struct pool_note *note)
{
	const struct service_port *port = service_port_find(note->object, note->service_port);
	size_t count;
	struct object **slices = objects_range(collecting->objects, KIND_ENDPOINT_SLICE, &count);
	int err = 0;

	if (!port) {
		resolve_say(
			collecting->resolve, LOG_LEVEL_ERROR, note->object, 0, "spec.ports",
			"a route asks for port %lld, which it does not have; correct the route's "
			"backendRefs[].port",
			(long long)note->service_port);
		return 0;
	}
	for (size_t i = 0; i < count && !err; i++) {
		const char *name = labels_get(&slices[i]->labels, LABEL_SERVICE);
		int64_t target = slice_port_find(slices[i]->spec, port->name);

		if (name && strcmp(name, note->name) == 0 && target != UNSET &&
		    strcmp(slices[i]->namespace_, note->namespace_) == 0)
			err = slice_add(collecting, slices[i], target);
	}
	return err;
}

static int pool_collect(struct collecting *collecting, uint32_t index)
{
	const struct pool_note *note = &collecting->resolve->pool_notes[index];

	collecting->pool = index;
	if (note->class == POOL_IMPORT)
		return import_collect(collecting, note);
	collecting->cluster = collecting->resolve->config_cluster;
	collecting->objects = collecting->resolve->input->config.objects;
	if (note->class == POOL_LOCAL)
		return members_add(collecting, note->object);
	return service_collect(collecting, note);
}

/* ---- from finds to endpoints ---- */

static int address_compare(const struct desired_endpoint *a, const struct desired_endpoint *b)
{
	int order = memcmp(&a->addr, &b->addr, sizeof(a->addr));

	return order ? order : (int)a->port - (int)b->port;
}

static int owner_compare(const struct desired_endpoint *a, const struct desired_endpoint *b)
{
	int order = (a->cluster > b->cluster) - (a->cluster < b->cluster);

	return order ? order : strcmp(a->name, b->name);
}

static int find_compare(const void *a, const void *b)
{
	const struct desired_endpoint *x = &((const struct find *)a)->endpoint;
	const struct desired_endpoint *y = &((const struct find *)b)->endpoint;
	int order = address_compare(x, y);

	if (!order)
		order = owner_compare(x, y);
	return order ? order : (x->pool > y->pool) - (x->pool < y->pool);
}

static int identity_compare(const void *a, const void *b)
{
	const struct desired_endpoint *x = &((const struct identity *)a)->endpoint;
	const struct desired_endpoint *y = &((const struct identity *)b)->endpoint;
	int order = owner_compare(x, y);

	if (!order)
		order = (int)x->port - (int)y->port;
	return order ? order : address_compare(x, y);
}

static void conflict_say(struct resolve *resolve, const struct desired_endpoint *first,
			 const struct desired_endpoint *second)
{
	const struct desired_cluster *clusters = resolve->desired->clusters;
	char address[ADDRESS_TEXT_MAX];

	message_add(&resolve->desired->messages, resolve->arena, LOG_LEVEL_ERROR,
		    "endpoint %s: %s of cluster %s and %s of cluster %s have the same address; the "
		    "first is used, give clusters distinct pod ranges",
		    address_port_format(&first->addr, first->port, address), first->name,
		    clusters[first->cluster].name, second->name, clusters[second->cluster].name);
}

/* `finds` are sorted; gives every find its identity and returns how many there are. */
static uint32_t identities_make(struct resolve *resolve, struct find *finds, size_t find_count,
				struct identity *identities)
{
	uint32_t count = 0;

	for (size_t i = 0; i < find_count; i++) {
		const struct desired_endpoint *found = &finds[i].endpoint;
		struct desired_endpoint *last = count ? &identities[count - 1].endpoint : NULL;

		if (!last || address_compare(last, found) != 0) {
			identities[count].endpoint = *found;
			identities[count].number = count;
			finds[i].identity = count++;
		} else if (owner_compare(last, found) != 0) {
			conflict_say(resolve, last, found);
			finds[i].identity = ENDPOINT_NONE;
		} else {
			if (found->pool < last->pool)
				last->pool = found->pool;
			finds[i].identity = count - 1;
		}
	}
	return count;
}

static int endpoints_put(struct resolve *resolve, struct identity *identities, uint32_t count,
			 uint32_t *places)
{
	struct desired *desired = resolve->desired;

	if (count)
		qsort(identities, count, sizeof(*identities), identity_compare);
	desired->endpoint_count = count < ENDPOINTS_MAX ? count : ENDPOINTS_MAX;
	desired->endpoints =
		arena_alloc(resolve->arena, desired->endpoint_count, sizeof(*desired->endpoints));
	if (!desired->endpoints)
		return -ENOMEM;
	if (count > ENDPOINTS_MAX)
		message_add(
			&desired->messages, resolve->arena, LOG_LEVEL_ERROR,
			"endpoints: there are %u and %d fit; the last ones by cluster and name are "
			"left out, split the gateway",
			count, ENDPOINTS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		struct desired_endpoint *endpoint;

		places[identities[i].number] = i < ENDPOINTS_MAX ? i : ENDPOINT_NONE;
		if (i >= ENDPOINTS_MAX)
			continue;
		endpoint = &desired->endpoints[i];
		*endpoint = identities[i].endpoint;
		endpoint->name = arena_string(resolve->arena, endpoint->name);
		endpoint->zone = arena_string(resolve->arena, endpoint->zone);
		endpoint->engine = arena_string(resolve->arena, endpoint->engine);
		if (!endpoint->name || !endpoint->zone || !endpoint->engine)
			return -ENOMEM;
	}
	return 0;
}

static int index_compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Sorts and takes out repetitions. */
static size_t indexes_unique(uint32_t *list, size_t count)
{
	size_t kept = 0;

	if (count)
		qsort(list, count, sizeof(*list), index_compare);
	for (size_t i = 0; i < count; i++) {
		if (kept == 0 || list[kept - 1] != list[i])
			list[kept++] = list[i];
	}
	return kept;
}

static int pools_fill(struct resolve *resolve, const struct find *finds, size_t find_count,
		      const uint32_t *places)
{
	struct desired *desired = resolve->desired;

	for (size_t i = 0; i < find_count; i++)
		desired->pools[finds[i].endpoint.pool].endpoint_count++;
	for (size_t i = 0; i < desired->pool_count; i++) {
		struct desired_pool *pool = &desired->pools[i];

		pool->endpoints =
			arena_alloc(resolve->arena, pool->endpoint_count, sizeof(*pool->endpoints));
		if (!pool->endpoints)
			return -ENOMEM;
		pool->endpoint_count = 0;
	}
	for (size_t i = 0; i < find_count; i++) {
		struct desired_pool *pool = &desired->pools[finds[i].endpoint.pool];
		const uint32_t identity = finds[i].identity;

		if (identity != ENDPOINT_NONE && places[identity] != ENDPOINT_NONE)
			pool->endpoints[pool->endpoint_count++] = places[identity];
	}
	for (size_t i = 0; i < desired->pool_count; i++)
		desired->pools[i].endpoint_count = indexes_unique(desired->pools[i].endpoints,
								  desired->pools[i].endpoint_count);
	return 0;
}

int resolve_endpoints(struct resolve *resolve)
{
	struct collecting collecting = {
		.resolve = resolve,
		.finds = {.item_bytes = sizeof(struct find), .arena = &resolve->scratch},
	};
	struct identity *identities;
	uint32_t *places, count;
	struct find *finds;
	int err = 0;

	for (uint32_t i = 0; i < resolve->desired->pool_count && !err; i++)
		err = pool_collect(&collecting, i);
	if (err)
		return err;
	finds = collecting.finds.items;
	identities = arena_alloc(&resolve->scratch, collecting.finds.count, sizeof(*identities));
	places = arena_alloc(&resolve->scratch, collecting.finds.count, sizeof(*places));
	if (!identities || !places)
		return -ENOMEM;
	if (collecting.finds.count)
		qsort(finds, collecting.finds.count, sizeof(*finds), find_compare);
	count = identities_make(resolve, finds, collecting.finds.count, identities);
	err = endpoints_put(resolve, identities, count, places);
	if (!err)
		err = pools_fill(resolve, finds, collecting.finds.count, places);
	return err;
}
