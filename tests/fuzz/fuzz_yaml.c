/* SPDX-License-Identifier: BSD-2-Clause */
/* A file of Kubernetes YAML, all the way: tree, objects, desired state.  The
 * objects serve as config cluster and as two target clusters; whatever they say,
 * the result's indexes must be in range and its lists in order. */
#include <errno.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "userspace/sources/desired.h"
#include "userspace/sources/object.h"
#include "userspace/sources/yaml.h"

static struct objects all;

static int take(void *ctx, struct object *object)
{
	(void)ctx;
	all.list = realloc(all.list, (all.count + 1) * sizeof(*all.list));
	must(all.list);
	all.list[all.count++] = object;
	return 0;
}

static int refused(void *ctx, enum object_kind kind, const char *namespace_, const char *name)
{
	(void)ctx;
	must(kind < KIND_COUNT && namespace_ && name);
	return 0;
}

static int compare(const void *a, const void *b)
{
	return object_compare(*(struct object *const *)a, *(struct object *const *)b);
}

static void decode(const struct yaml_file *file)
{
	struct messages messages = {0};
	struct arena arena = {0};
	size_t ignored[128] = {0};
	const struct object_sink sink = {.file = "input",
					 .messages = &messages,
					 .arena = &arena,
					 .ignored = ignored,
					 .take = take,
					 .refused = refused};

	must(object_ignored_count() <= 128);
	for (size_t i = 0; i < file->count; i++)
		must(object_decode(&sink, file->documents[i]) == 0);
	if (all.count)
		qsort(all.list, all.count, sizeof(*all.list), compare);
	arena_deinit(&arena);
}

static void rule_check(const struct desired *desired, const struct snapshot_rule *rule)
{
	must(rule->match_count > 0);
	for (size_t i = 0; i < rule->match_count; i++)
		must(rule->matches[i].path && rule->matches[i].path_type != MATCH_NONE);
	for (size_t i = 0; i < rule->backend_count; i++)
		must(rule->backends[i].pool == POOL_NONE ||
		     rule->backends[i].pool < desired->pool_count);
}

static void desired_check(const struct desired *desired)
{
	for (size_t i = 0; i < desired->endpoint_count; i++) {
		must(desired->endpoints[i].cluster < desired->cluster_count);
		must(desired->endpoints[i].pool < desired->pool_count);
		must(desired->endpoints[i].port > 0);
	}
	for (size_t i = 0; i < desired->pool_count; i++) {
		const struct desired_pool *pool = &desired->pools[i];

		must(pool->health.timeout_ms <= pool->health.interval_ms && pool->health.path);
		for (size_t k = 0; k < pool->endpoint_count; k++) {
			must(pool->endpoints[k] < desired->endpoint_count);
			must(k == 0 || pool->endpoints[k - 1] < pool->endpoints[k]);
		}
		for (size_t k = 0; k < pool->rewrite_count; k++) {
			must(pool->rewrites[k].target_count > 0 && pool->rewrites[k].weight_sum);
			must(k == 0 || pool->rewrites[k - 1].model_count ||
			     !pool->rewrites[k].model_count);
		}
	}
	for (size_t i = 0; i < desired->listener_count; i++)
		must(desired->listeners[i].vip < desired->vip_count);
	for (size_t i = 0; i < desired->route_count; i++) {
		const struct snapshot_route *route = &desired->routes[i];

		must(route->listener_count > 0 && route->rule_count > 0);
		for (size_t k = 0; k < route->listener_count; k++)
			must(route->listeners[k] < desired->listener_count);
		for (size_t k = 0; k < route->rule_count; k++)
			rule_check(desired, &route->rules[k]);
	}
}

static void resolve(void)
{
	const struct objects copy = all;
	const struct desired_source clusters[] = {{"a", &all}, {"b", &copy}};
	const struct desired_input one = {.config = {"config", &all}};
	const struct desired_input two = {
		.config = {"config", &all}, .cluster_count = 2, .clusters = clusters};
	struct desired *desired;

	must(desired_resolve(&one, &desired) == 0);
	desired_check(desired);
	desired_free(desired);
	must(desired_resolve(&two, &desired) == 0);
	desired_check(desired);
	desired_free(desired);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct yaml_error error;
	struct yaml_file file;

	if (yaml_parse((const char *)data, size, &file, &error)) {
		must(error.text[0]);
		return 0;
	}
	decode(&file);
	yaml_file_deinit(&file);
	resolve();
	for (size_t i = 0; i < all.count; i++)
		object_free(all.list[i]);
	free(all.list);
	all = (struct objects){0};
	return 0;
}
