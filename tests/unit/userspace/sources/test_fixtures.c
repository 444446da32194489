// SPDX-License-Identifier: BSD-2-Clause
/* The two-region deployment that lies beside the repository ($SLUICE_SHARED, or
 * ../shared), and our own example: whole folders in, endpoints and verdicts out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/userspace/sources/decoded.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/sources/desired.h"
#include "userspace/sources/folder.h"

struct fixture {
	struct folder *config, *a, *b;
	struct desired *desired;
};

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* NULL, with a printed reason, when the data is not there. */
static const char *shared_path(const char *path, char buffer[512])
{
	const char *shared = getenv("SLUICE_SHARED");

	snprintf(buffer, 512, "%s/k8s/manifests/two-region%s", shared ? shared : "../shared", path);
	if (is_directory(buffer) || strstr(path, "."))
		return buffer;
	print_message("skip: %s is not there (set SLUICE_SHARED)\n", buffer);
	return NULL;
}

static struct folder *folder_load(const char *path)
{
	struct folder *folder = NULL;
	bool changed;

	assert_int_equal(folder_open(path, NULL, &folder), 0);
	assert_int_equal(folder_scan(folder, 0, &changed), 0);
	return folder;
}

static void fixture_resolve(struct fixture *fixture, const struct objects *config)
{
	const struct desired_source clusters[] = {
		{"cluster-b", folder_objects(fixture->b)},
		{"cluster-a", folder_objects(fixture->a)},
	};
	const struct desired_input input = {
		.config = {"config-cluster", config ? config : folder_objects(fixture->config)},
		.cluster_count = 2,
		.clusters = clusters,
	};

	desired_free(fixture->desired);
	fixture->desired = NULL;
	assert_int_equal(desired_resolve(&input, &fixture->desired), 0);
}

static void fixture_load(struct fixture *fixture, const char *root)
{
	char path[600];

	*fixture = (struct fixture){0};
	snprintf(path, sizeof(path), "%s/config-cluster", root);
	fixture->config = folder_load(path);
	snprintf(path, sizeof(path), "%s/cluster-a", root);
	fixture->a = folder_load(path);
	snprintf(path, sizeof(path), "%s/cluster-b", root);
	fixture->b = folder_load(path);
	fixture_resolve(fixture, NULL);
}

static void fixture_deinit(struct fixture *fixture)
{
	desired_free(fixture->desired);
	folder_close(fixture->config);
	folder_close(fixture->a);
	folder_close(fixture->b);
}

static const struct desired_pool *pool_find(const struct desired *desired, const char *name,
					    const char *kind)
{
	for (size_t i = 0; i < desired->pool_count; i++) {
		if (strcmp(desired->pools[i].name, name) == 0 &&
		    strcmp(desired->pools[i].kind, kind) == 0)
			return &desired->pools[i];
	}
	return NULL;
}

static const struct desired_endpoint *
endpoint_find(const struct desired *desired, const struct desired_pool *pool, const char *address)
{
	for (size_t i = 0; i < pool->endpoint_count; i++) {
		const struct desired_endpoint *endpoint = &desired->endpoints[pool->endpoints[i]];
		char text[ADDRESS_TEXT_MAX];

		if (strcmp(address_port_format(&endpoint->addr, endpoint->port, text), address) ==
		    0)
			return endpoint;
	}
	return NULL;
}

static const char *json_text(struct json_object *object, const char *name)
{
	return json_object_get_string(json_object_object_get(object, name));
}

/* ---- the shared deployment ---- */

static size_t cluster_compare(const struct desired *desired, const char *cluster,
			      struct json_object *pools)
{
	size_t total = 0;

	json_object_object_foreach(pools, name, pool)
	{
		struct json_object *endpoints = json_object_object_get(pool, "endpoints");
		struct json_object *excluded = json_object_object_get(pool, "excluded");
		const struct desired_pool *found;
		char full[128];

		snprintf(full, sizeof(full), "ai/%s", name);
		found = pool_find(desired, full, "InferencePoolImport");
		assert_non_null(found);
		for (size_t i = 0; i < json_object_array_length(endpoints); i++) {
			struct json_object *wanted = json_object_array_get_idx(endpoints, i);
			const struct desired_endpoint *endpoint =
				endpoint_find(desired, found, json_text(wanted, "endpoint"));

			assert_non_null(endpoint);
			snprintf(full, sizeof(full), "ai/%s", json_text(wanted, "pod"));
			assert_string_equal(endpoint->name, full);
			assert_string_equal(endpoint->zone, json_text(wanted, "zone"));
			assert_string_equal(desired->clusters[endpoint->cluster].name, cluster);
			total++;
		}
		for (size_t i = 0; i < json_object_array_length(excluded); i++) {
			snprintf(full, sizeof(full), "ai/%s",
				 json_object_get_string(json_object_array_get_idx(excluded, i)));
			for (size_t k = 0; k < desired->endpoint_count; k++)
				assert_string_not_equal(desired->endpoints[k].name, full);
		}
	}
	return total;
}

static void the_expected_endpoints_are_found_and_no_others(void **state)
{
	char root[512], path[512];
	struct json_object *expected, *clusters;
	struct fixture fixture;
	size_t total = 0;

	(void)state;
	if (!shared_path("", root))
		skip();
	fixture_load(&fixture, root);
	expected = json_object_from_file(shared_path("/expected.json", path));
	assert_non_null(expected);
	clusters = json_object_object_get(expected, "clusters");
	json_object_object_foreach(clusters, name, cluster)
	{
		const struct desired_cluster *found = NULL;

		for (size_t i = 0; i < fixture.desired->cluster_count; i++) {
			if (strcmp(fixture.desired->clusters[i].name, name) == 0)
				found = &fixture.desired->clusters[i];
		}
		assert_non_null(found);
		assert_string_equal(found->region, json_text(cluster, "region"));
		total += cluster_compare(fixture.desired, name,
					 json_object_object_get(cluster, "pools"));
	}
	json_object_put(expected);
	assert_int_equal(fixture.desired->endpoint_count, total);
	assert_int_equal(fixture.desired->objective_count, 6);
	assert_int_equal(fixture.desired->base_model_count, 3);
	fixture_deinit(&fixture);
}

/* Both clusters say the same; the younger object's rule comes behind, and that without
 * matches last. */
static void rewrites_of_the_lora_pool_check(const struct desired *desired)
{
	size_t seen = 0;

	for (size_t i = 0; i < desired->pool_count; i++) {
		const struct desired_pool *pool = &desired->pools[i];

		if (strcmp(pool->name, "ai/llama-3-8b-lora") != 0)
			continue;
		seen++;
		assert_int_equal(pool->rewrite_count, 3);
		assert_string_equal(pool->rewrites[0].models[0], "food-review");
		assert_int_equal(pool->rewrites[0].targets[0].weight, 90);
		assert_string_equal(pool->rewrites[1].targets[0].model, "never-chosen");
		assert_int_equal(pool->rewrites[2].model_count, 0);
	}
	assert_int_not_equal(seen, 0);
}

static void the_shared_deployment_has_no_error(void **state)
{
	struct fixture fixture;
	char root[512];

	(void)state;
	if (!shared_path("", root))
		skip();
	fixture_load(&fixture, root);
	for (size_t i = 0; i < fixture.desired->messages.count; i++)
		assert_int_not_equal(fixture.desired->messages.list[i].level, LOG_LEVEL_ERROR);
	assert_int_equal(folder_messages(fixture.a)->count, 1);
	assert_true(messages_say(folder_messages(fixture.a), "not acted upon", "DeviceClass", ""));
	rewrites_of_the_lora_pool_check(fixture.desired);
	fixture_deinit(&fixture);
}

static const struct negative {
	const char *file;
	const char *object, *field; /* parts of its message; NULL: no message at all */
} negatives[] = {
	{"route-missing-import", "HTTPRoute ai/missing-import", "spec.rules[0].backendRefs[0]"},
	{"route-half-missing", "HTTPRoute ai/half-missing", "spec.rules[0].backendRefs[1]"},
	{"route-unknown-kind", "HTTPRoute ai/unknown-kind", "spec.rules[0].backendRefs[0]"},
	{"route-cross-ns-no-grant", "HTTPRoute other-team/no-grant",
	 "spec.rules[0].backendRefs[0]"},
	{"route-listener-not-allowed", "HTTPRoute ai/not-allowed", "spec.parentRefs[0]"},
	{"route-no-such-listener", "HTTPRoute ai/no-listener", "spec.parentRefs[0].sectionName"},
	{"route-hostname-mismatch", "HTTPRoute gateway-infra/bad-host", "spec.hostnames"},
	{"route-redirect-and-rewrite", "HTTPRoute ai/redir-rewrite",
	 "spec.rules[0].filters[1].type"},
	{"policy-field-in-default-and-scope", "GCPBackendPolicy ai/both",
	 "spec.default.scopes[0].maxRatePerEndpoint"},
	{"policy-two-modes", "GCPBackendPolicy ai/two-modes", "spec.default.balancingMode"},
	{"policy-target-not-found", "GCPBackendPolicy ai/no-target", "spec.targetRef.name"},
	{"policy-conflict", "GCPBackendPolicy ai/newer", "spec.targetRef"},
	{"healthcheck-timeout-over-interval", "HealthCheckPolicy ai/slow",
	 "spec.default.timeoutSec"},
	{"pool-missing-epp", "InferencePool ai/ghost-epp", "spec.endpointPickerRef.name"},
	{"pool-nine-ports", "InferencePool ai/nine-ports", "spec.targetPorts"},
	{"pool-duplicate-port", "InferencePool ai/dup-port", "spec.targetPorts[1].number"},
	{"pool-no-picker", NULL, NULL},
};

static void negative_objects_add(struct objects *objects, const struct objects *from)
{
	for (size_t i = 0; i < from->count; i++) {
		const struct object *object = from->list[i];

		if (objects_find(objects, object->kind, object->namespace_, object->name))
			continue;
		objects->list =
			realloc(objects->list, (objects->count + 1) * sizeof(*objects->list));
		objects->list[objects->count++] = from->list[i];
		qsort(objects->list, objects->count, sizeof(*objects->list), decoded_compare);
	}
}

/* The case's objects beside the whole config cluster. */
static void negative_case(struct fixture *fixture, const char *root,
			  const struct negative *negative)
{
	struct objects objects = {0};
	struct messages all = {0};
	struct arena arena = {0};
	char path[700], copy[] = "/tmp/sluice-negative-XXXXXX", command[1500];
	struct folder *folder;

	assert_non_null(mkdtemp(copy));
	snprintf(path, sizeof(path), "%s/negative/%s.yaml", root, negative->file);
	snprintf(command, sizeof(command), "cp '%s' '%s/'", path, copy);
	assert_int_equal(system(command), 0);
	folder = folder_load(copy);
	/* the case's own Namespace stands in for the config cluster's */
	negative_objects_add(&objects, folder_objects(folder));
	negative_objects_add(&objects, folder_objects(fixture->config));
	fixture_resolve(fixture, &objects);
	messages_append(&all, &arena, folder_messages(folder));
	messages_append(&all, &arena, &fixture->desired->messages);
	if (negative->object &&
	    !messages_say(&all, negative->file, negative->object, negative->field)) {
		messages_print(&all);
		fail_msg("%s: no message names %s and %s", negative->file, negative->object,
			 negative->field);
	}
	if (!negative->object)
		assert_false(messages_say(&all, negative->file, "", ""));
	arena_deinit(&arena);
	folder_close(folder);
	free(objects.list);
	snprintf(command, sizeof(command), "rm -r '%s'", copy);
	assert_int_equal(system(command), 0);
}

static void every_negative_case_names_object_and_field(void **state)
{
	struct fixture fixture;
	char root[512];

	(void)state;
	if (!shared_path("", root))
		skip();
	fixture_load(&fixture, root);
	for (size_t i = 0; i < ARRAY_SIZE(negatives); i++)
		negative_case(&fixture, root, &negatives[i]);
	fixture_deinit(&fixture);
}

/* ---- our own example ---- */

static void the_example_serves_two_models_in_two_regions(void **state)
{
	const struct snapshot_rule *ab;
	const struct desired *desired;
	struct fixture fixture;

	(void)state;
	fixture_load(&fixture, "examples/two-region");
	desired = fixture.desired;
	messages_print(&desired->messages);
	assert_int_equal(desired->messages.count, 0);
	assert_int_equal(folder_messages(fixture.config)->count, 0);
	assert_int_equal(folder_messages(fixture.a)->count, 0);
	assert_int_equal(desired->cluster_count, 2);
	assert_string_equal(desired->clusters[0].region, "europe-west4");
	assert_string_equal(desired->clusters[1].region, "us-east5");
	assert_int_equal(desired->endpoint_count, 12);
	assert_int_equal(desired->pool_count, 3);
	assert_int_equal(desired->pools[0].endpoint_count, 6);
	assert_int_equal(desired->pools[0].health.interval_ms, 1000);
	assert_string_equal(desired->pools[2].kind, "GCPInferencePoolImport");
	assert_int_equal(desired->vip_count, 1);
	assert_int_equal(desired->vips[0].port, 80);
	assert_int_equal(desired->listener_count, 1);
	assert_int_equal(desired->route_count, 2);
	assert_int_equal(desired->objective_count, 3);
	assert_int_equal(desired->base_model_count, 3);
	assert_string_equal(desired->routes[0].name, "ai/gemma");
	assert_int_equal(desired->routes[0].rule_count, 2);
	ab = &desired->routes[0].rules[1];
	assert_int_equal(ab->backends[0].weight, 90);
	assert_int_equal(ab->backends[1].pool, 1);
	assert_int_equal(ab->request_timeout_ms, 600000);
	assert_string_equal(ab->matches[0].headers[0].name, "x-gateway-model-name");
	fixture_deinit(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_expected_endpoints_are_found_and_no_others),
		cmocka_unit_test(the_shared_deployment_has_no_error),
		cmocka_unit_test(every_negative_case_names_object_and_field),
		cmocka_unit_test(the_example_serves_two_models_in_two_regions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
