// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/userspace/sources/decoded.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/text.h"
#include "userspace/sources/desired.h"

/* A config cluster and two target clusters, a and b. */
struct world {
	struct decoded config, a, b;
	struct desired *desired;
};

static void world_resolve(struct world *world)
{
	/* not in the order of their names */
	const struct desired_source clusters[] = {{"b", &world->b.objects},
						  {"a", &world->a.objects}};
	const struct desired_input input = {.config = {"config", &world->config.objects},
					    .cluster_count = 2,
					    .clusters = clusters};

	desired_free(world->desired);
	world->desired = NULL;
	assert_int_equal(desired_resolve(&input, &world->desired), 0);
	if (world->config.messages.count + world->a.messages.count + world->b.messages.count) {
		messages_print(&world->config.messages);
		messages_print(&world->a.messages);
		fail_msg("the test's own YAML is refused");
	}
}

static void world_deinit(struct world *world)
{
	decoded_deinit(&world->config);
	decoded_deinit(&world->a);
	decoded_deinit(&world->b);
	desired_free(world->desired);
}

static void must_say(const struct world *world, const char *a, const char *b, const char *c)
{
	if (messages_say(&world->desired->messages, a, b, c))
		return;
	messages_print(&world->desired->messages);
	fail_msg("no message has \"%s\", \"%s\" and \"%s\"", a, b, c);
}

static const struct desired_pool *pool_named(const struct world *world, const char *name)
{
	for (size_t i = 0; i < world->desired->pool_count; i++) {
		if (strcmp(world->desired->pools[i].name, name) == 0)
			return &world->desired->pools[i];
	}
	fail_msg("no pool %s", name);
	return NULL;
}

#define POD(name, app, ip)                                                                         \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: " name                                   \
	", namespace: ai, labels: {app: " app                                                      \
	"}}\nspec: {nodeName: n1}\nstatus: {phase: Running, podIP: " ip ", "                       \
	"conditions: [{type: Ready, status: 'True'}]}\n"
#define POOL(name, app)                                                                            \
	"---\napiVersion: inference.networking.k8s.io/v1\nkind: InferencePool\n"                   \
	"metadata: {name: " name ", namespace: ai, annotations: "                                  \
	"{inference.networking.x-k8s.io/export: ClusterSet}}\n"                                    \
	"spec: {selector: {matchLabels: {app: " app "}}, targetPorts: [{number: 8000}]}\n"
#define POOL_PRIVATE(name, app)                                                                    \
	"---\napiVersion: inference.networking.k8s.io/v1\nkind: InferencePool\n"                   \
	"metadata: {name: " name ", namespace: ai}\n"                                              \
	"spec: {selector: {matchLabels: {app: " app "}}, targetPorts: [{number: 8000}]}\n"
#define NODE                                                                                       \
	"---\napiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: "                           \
	"{topology.kubernetes.io/zone: z1, topology.kubernetes.io/region: r1}}\n"
#define IMPORT(name, clusters)                                                                     \
	"---\napiVersion: inference.networking.x-k8s.io/v1alpha1\nkind: InferencePoolImport\n"     \
	"metadata: {name: " name ", namespace: ai}\n"                                              \
	"status: {controllers: [{name: x/y, exportingClusters: [" clusters "]}]}\n"
#define GATEWAY(listeners)                                                                         \
	"---\napiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n"                      \
	"metadata: {name: c}\nspec: {controllerName: x/y}\n"                                       \
	"---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n"                           \
	"metadata: {name: gw, namespace: ai}\nspec: {gatewayClassName: c, "                        \
	"addresses: [{value: 10.0.0.1}], listeners: [" listeners "]}\n"
#define HTTP_LISTENER "{name: http, protocol: HTTP, port: 80}"
#define ROUTE(rules)                                                                               \
	"---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"                         \
	"metadata: {name: r, namespace: ai}\nspec: {parentRefs: [{name: gw}], rules: [" rules      \
	"]}\n"
#define BACKEND(name)                                                                                 \
	"backendRefs: [{group: inference.networking.x-k8s.io, kind: InferencePoolImport, name: " name \
	"}]"
#define POLICY(name, created, spec)                                                                \
	"---\napiVersion: networking.gke.io/v1\nkind: HealthCheckPolicy\nmetadata: {name: " name   \
	", namespace: ai, creationTimestamp: '" created "'}\nspec: {targetRef: {group: "           \
	"networking.gke.io, kind: GCPInferencePoolImport, name: p}, default: " spec "}\n"

/* ---- pools and endpoints ---- */

static void a_pod_cannot_have_an_address_that_is_not_its_own(void **state)
{
	static const struct {
		const char *address, *why;
	} cases[] = {
		{"10.0.0.1", "a Gateway's own address"},
		{"0.0.0.0", "not an address of one host"},
		{"224.0.0.1", "not an address of one host"},
		{"255.255.255.255", "not an address of one host"},
		{"'ff02::1'", "not an address of one host"},
		{"10.0.0.256", "not an IP address"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world world = {0};
		char pod[512], slice[1024];

		snprintf(pod, sizeof(pod), POOL("p", "x") POD("p-1", "x", "%s"), cases[i].address);
		snprintf(slice, sizeof(slice),
			 POOL("p", "x") "---\napiVersion: discovery.k8s.io/v1\n"
					"kind: EndpointSlice\nmetadata: {name: s, namespace: ai, "
					"labels: {app: x}}\naddressType: IPv4\nendpoints: "
					"[{addresses: [%s]}]\nports: [{port: 8000}]\n",
			 cases[i].address);
		decoded_add(&world.config, "c.yaml", GATEWAY(HTTP_LISTENER));
		decoded_add(&world.a, "a.yaml", pod);
		decoded_add(&world.b, "b.yaml", slice);
		world_resolve(&world);
		assert_int_equal(world.desired->endpoint_count, 0);
		must_say(&world, "Pod ai/p-1: status.podIP", cases[i].why, "gets no requests");
		must_say(&world, "EndpointSlice ai/s: endpoints[0].addresses", cases[i].why,
			 "left out");
		world_deinit(&world);
	}
}

static void an_exported_pool_is_the_union_of_the_clusters(void **state)
{
	struct world world = {0};
	const struct desired_endpoint *endpoint;

	(void)state;
	decoded_add(&world.a, "a.yaml", POOL("p", "x") POD("p-1", "x", "10.1.0.1") NODE);
	decoded_add(&world.b, "b.yaml", POOL("p", "x") POD("p-1", "x", "10.2.0.1"));
	world_resolve(&world);
	assert_int_equal(world.desired->pool_count, 1);
	assert_string_equal(world.desired->pools[0].name, "ai/p");
	assert_string_equal(world.desired->pools[0].kind, "InferencePoolImport");
	assert_int_equal(world.desired->pools[0].endpoint_count, 2);
	endpoint = &world.desired->endpoints[0];
	assert_string_equal(endpoint->name, "ai/p-1");
	assert_string_equal(endpoint->zone, "z1");
	assert_string_equal(endpoint->engine, "vllm");
	assert_int_equal(endpoint->port, 8000);
	assert_string_equal(world.desired->clusters[endpoint->cluster].name, "a");
	assert_string_equal(world.desired->clusters[0].region, "r1");
	assert_string_equal(world.desired->clusters[1].region, "b");
	must_say(&world, "cluster b", "region", "");
	world_deinit(&world);
}

static void a_pool_without_the_annotation_is_not_imported(void **state)
{
	struct world world = {0};

	(void)state;
	decoded_add(&world.a, "a.yaml", POOL("p", "x") POD("p-1", "x", "10.1.0.1"));
	decoded_add(&world.b, "b.yaml", POOL_PRIVATE("p", "x") POD("p-1", "x", "10.2.0.1"));
	world_resolve(&world);
	assert_int_equal(world.desired->endpoint_count, 1);
	world_deinit(&world);
}

static void an_import_that_names_clusters_is_limited_to_them(void **state)
{
	struct world world = {0};

	(void)state;
	decoded_add(&world.config, "c.yaml", IMPORT("p", "{name: b}, {name: gone}"));
	decoded_add(&world.a, "a.yaml", POOL("p", "x") POD("p-1", "x", "10.1.0.1"));
	decoded_add(&world.b, "b.yaml", POOL("p", "x") POD("p-1", "x", "10.2.0.1"));
	world_resolve(&world);
	assert_int_equal(world.desired->endpoint_count, 1);
	assert_int_equal(world.desired->endpoints[0].cluster, 1);
	must_say(&world, "InferencePoolImport ai/p", "exportingClusters", "gone");
	world_deinit(&world);
}

static void an_import_that_nobody_exports_is_said_and_empty(void **state)
{
	struct world world = {0};

	(void)state;
	decoded_add(&world.config, "c.yaml", IMPORT("p", ""));
	world_resolve(&world);
	assert_int_equal(world.desired->pools[0].endpoint_count, 0);
	must_say(&world, "c.yaml:2:", "InferencePoolImport ai/p", "no cluster exports");
	world_deinit(&world);
}

static void only_ready_pods_serve(void **state)
{
	static const char pod[] = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: "
				  "ai, labels: {app: x}%s}\nstatus: {phase: %s, %s conditions: "
				  "[{type: Ready, status: '%s'}]}\n";
	static const struct {
		const char *name, *extra, *phase, *ip, *ready;
	} pods[] = {
		{"good", "", "Running", "podIP: 10.1.0.1,", "True"},
		{"not-ready", "", "Running", "podIP: 10.1.0.2,", "False"},
		{"unknown", "", "Running", "podIP: 10.1.0.3,", "Unknown"},
		{"deleted", ", deletionTimestamp: '2026-01-01T00:00:00Z'", "Running",
		 "podIP: 10.1.0.4,", "True"},
		{"pending", "", "Pending", "", "True"},
		{"done", "", "Succeeded", "podIP: 10.1.0.5,", "True"},
	};
	struct world world = {0};

	(void)state;
	decoded_add(&world.a, "a.yaml", POOL("p", "x"));
	for (size_t i = 0; i < ARRAY_SIZE(pods); i++) {
		char text[600];

		snprintf(text, sizeof(text), pod, pods[i].name, pods[i].extra, pods[i].phase,
			 pods[i].ip, pods[i].ready);
		decoded_add(&world.a, "pods.yaml", text);
	}
	world_resolve(&world);
	assert_int_equal(world.desired->endpoint_count, 1);
	assert_string_equal(world.desired->endpoints[0].name, "ai/good");
	world_deinit(&world);
}

static void overlapping_pools_share_one_endpoint(void **state)
{
	struct world world = {0};

	(void)state;
	decoded_add(&world.a, "a.yaml", POOL("p", "x") POOL("q", "x") POD("p-1", "x", "10.1.0.1"));
	world_resolve(&world);
	assert_int_equal(world.desired->endpoint_count, 1);
	assert_int_equal(world.desired->endpoints[0].pool, 0);
	assert_int_equal(world.desired->pools[0].endpoint_count, 1);
	assert_int_equal(world.desired->pools[1].endpoint_count, 1);
	assert_int_equal(world.desired->pools[1].endpoints[0], 0);
	world_deinit(&world);
}

static void two_pods_with_one_address_are_refused(void **state)
{
	struct world world = {0};

	(void)state;
	decoded_add(&world.a, "a.yaml", POOL("p", "x") POD("p-1", "x", "10.1.0.1"));
	decoded_add(&world.b, "b.yaml", POOL("p", "x") POD("p-9", "x", "10.1.0.1"));
	world_resolve(&world);
	assert_int_equal(world.desired->endpoint_count, 1);
	assert_string_equal(world.desired->endpoints[0].name, "ai/p-1");
	must_say(&world, "endpoint 10.1.0.1:8000", "cluster a", "cluster b");
	world_deinit(&world);
}

#define SLICE(labels)                                                                              \
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"                              \
	"metadata: {name: s-1, namespace: ai, labels: {" labels "}}\naddressType: IPv6\n"          \
	"ports: [{name: http, port: 8080}]\nendpoints:\n"                                          \
	"- {addresses: ['2001:db8::1'], conditions: {ready: true}, zone: z9}\n"                    \
	"- {addresses: ['2001:db8::2'], conditions: {ready: false}}\n"                             \
	"- {addresses: ['2001:db8::3'], targetRef: {kind: Pod, name: p-7}}\n"
#define SERVICE                                                                                    \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: ai}\n"                 \
	"spec: {selector: {app: x}, ports: [{name: http, port: 80}]}\n"

static void slices_stand_in_where_no_pod_is_shown(void **state)
{
	struct world world = {0};

	(void)state;
	decoded_add(&world.a, "a.yaml",
		    POOL("p", "x") SERVICE SLICE("kubernetes.io/service-name: s"));
	decoded_add(&world.b, "b.yaml",
		    POOL("p", "x") POD("p-1", "x", "10.2.0.1")
			    SERVICE SLICE("kubernetes.io/service-name: s"));
	world_resolve(&world);
	assert_int_equal(world.desired->endpoint_count, 3);
	assert_string_equal(world.desired->endpoints[0].name, "ai/p-7");
	/* the pool's port counts, not the slice's */
	assert_int_equal(world.desired->endpoints[0].port, 8000);
	assert_string_equal(world.desired->endpoints[1].name, "ai/s-1");
	assert_string_equal(world.desired->endpoints[1].zone, "z9");
	assert_string_equal(world.desired->endpoints[2].name, "ai/p-1");
	world_deinit(&world);
}

static void a_service_is_a_backend_at_the_port_of_its_slices(void **state)
{
	struct world world = {0};
	const struct desired_pool *pool;

	(void)state;
	decoded_add(
		&world.config, "c.yaml",
		GATEWAY(HTTP_LISTENER) SERVICE SLICE("kubernetes.io/service-name: s") ROUTE(
			"{backendRefs: [{name: s, port: 80}, {name: s, port: 81}, {name: s}]}"));
	world_resolve(&world);
	pool = pool_named(&world, "ai/s:80");
	assert_string_equal(pool->kind, "Service");
	assert_int_equal(pool->endpoint_count, 2);
	assert_int_equal(world.desired->endpoints[pool->endpoints[0]].port, 8080);
	assert_string_equal(world.desired->clusters[world.desired->endpoints[0].cluster].name,
			    "config");
	must_say(&world, "Service ai/s: spec.ports", "port 81", "");
	must_say(&world, "spec.rules[0].backendRefs[2]", "a Service needs a port", "");
	assert_int_equal(world.desired->routes[0].rules[0].backends[2].pool, POOL_NONE);
	world_deinit(&world);
}

static void a_pool_that_speaks_h2c_is_refused(void **state)
{
	struct world world = {0};

	(void)state;
	decoded_add(
		&world.a, "a.yaml",
		"apiVersion: inference.networking.k8s.io/v1\nkind: InferencePool\nmetadata: {name: "
		"p, namespace: ai, annotations: {networking.gke.io/export: 'True'}}\nspec: "
		"{selector: {matchLabels: {app: x}}, targetPorts: [{number: 8000}], appProtocol: "
		"kubernetes.io/h2c}\n" POD("p-1", "x", "10.1.0.1"));
	world_resolve(&world);
	assert_int_equal(world.desired->endpoint_count, 0);
	assert_string_equal(world.desired->pools[0].kind, "GCPInferencePoolImport");
	must_say(&world, "a.yaml:1: InferencePool ai/p: spec.appProtocol", "h2c", "use http");
	world_deinit(&world);
}

/* ---- policies ---- */

static void health_is_probed_at_slash_health_by_default(void **state)
{
	struct world world = {0};
	const struct desired_health *health;

	(void)state;
	decoded_add(&world.a, "a.yaml", POOL("p", "x"));
	world_resolve(&world);
	health = &world.desired->pools[0].health;
	assert_int_equal(health->type, HEALTH_CHECK_HTTP);
	assert_string_equal(health->path, "/health");
	assert_int_equal(health->interval_ms, 5000);
	assert_int_equal(health->port, 0);
	world_deinit(&world);
}

static void the_older_of_two_policies_wins(void **state)
{
	struct world world = {0};
	const struct desired_health *health;

	(void)state;
	decoded_add(&world.a, "a.yaml", POOL("p", "x"));
	decoded_add(&world.config, "c.yaml",
		    POLICY("aa", "2026-02-01T00:00:00Z", "{checkIntervalSec: 9}") POLICY(
			    "zz", "2026-01-01T00:00:00Z",
			    "{checkIntervalSec: 3, timeoutSec: 1, config: {type: HTTP, "
			    "httpHealthCheck: {requestPath: /ready, port: 9000, host: h.test}}}"));
	world_resolve(&world);
	health = &world.desired->pools[0].health;
	assert_int_equal(health->interval_ms, 3000);
	assert_int_equal(health->timeout_ms, 1000);
	assert_string_equal(health->path, "/ready");
	assert_string_equal(health->host, "h.test");
	assert_int_equal(health->port, 9000);
	must_say(&world, "HealthCheckPolicy ai/aa: spec.targetRef", "HealthCheckPolicy ai/zz",
		 "older");
	world_deinit(&world);
}

static void checks_that_cannot_be_made_are_refused_by_name(void **state)
{
	struct world world = {0};

	(void)state;
	decoded_add(&world.a, "a.yaml", POOL("p", "x"));
	decoded_add(&world.config, "c.yaml",
		    POLICY("g", "2026-01-01T00:00:00Z", "{config: {type: GRPC}}"));
	world_resolve(&world);
	assert_string_equal(world.desired->pools[0].health.path, "/health");
	must_say(&world, "HealthCheckPolicy ai/g: spec.default.config.type", "GRPC",
		 "use HTTP or TCP");
	world_deinit(&world);
}

static void a_backend_policy_gives_timeouts_to_rules_that_have_none(void **state)
{
	struct world world = {0};
	const struct snapshot_route *route;

	(void)state;
	decoded_add(&world.a, "a.yaml", POOL("p", "x"));
	decoded_add(
		&world.config, "c.yaml",
		GATEWAY(HTTP_LISTENER) "---\napiVersion: networking.gke.io/v1\nkind: "
				       "GCPBackendPolicy\nmetadata: {name: bp, namespace: ai}\nspec: "
				       "{targetRef: {group: inference.networking.x-k8s.io, kind: "
				       "InferencePoolImport, name: p}, default: {timeoutSec: 600, "
				       "connectionDraining: {drainingTimeoutSec: 130}, "
				       "balancingMode: RATE}}\n" ROUTE("{" BACKEND("p") "}, {timeouts: {request: 5s, backendRequest: 0s}, " BACKEND(
					       "p") "}, {timeouts: {request: 0s, backendRequest: 5s}, " BACKEND("p") "}"));
	world_resolve(&world);
	route = &world.desired->routes[0];
	assert_int_equal(route->rules[0].request_timeout_ms, 600000);
	assert_int_equal(route->rules[0].backend_timeout_ms, 0);
	assert_int_equal(route->rules[1].request_timeout_ms, 5000);
	assert_int_equal(route->rules[1].backend_timeout_ms, ROUTE_TIMEOUT_OFF);
	assert_int_equal(route->rules[2].request_timeout_ms, ROUTE_TIMEOUT_OFF);
	assert_int_equal(route->rules[2].backend_timeout_ms, 5000);
	assert_int_equal(world.desired->pools[0].drain_timeout_ms, 130000);
	must_say(&world, "GCPBackendPolicy ai/bp: spec.default", "not acted upon", "timeoutSec");
	world_deinit(&world);
}

/* ---- gateways ---- */

static void a_gateway_without_its_class_is_not_served(void **state)
{
	struct world world = {0};

	(void)state;
	decoded_add(
		&world.config, "c.yaml",
		"apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw, "
		"namespace: ai}\nspec: {gatewayClassName: nope, addresses: [{value: 10.0.0.1}], "
		"listeners: [" HTTP_LISTENER "]}\n" ROUTE("{" BACKEND("p") "}"));
	world_resolve(&world);
	assert_int_equal(world.desired->vip_count, 0);
	assert_int_equal(world.desired->route_count, 0);
	must_say(&world, "c.yaml:1: Gateway ai/gw: spec.gatewayClassName", "nope", "add the class");
	world_deinit(&world);
}

static void listeners_of_one_place_conflict(void **state)
{
	struct world world = {0};

	(void)state;
	decoded_add(&world.config, "c.yaml",
		    GATEWAY(HTTP_LISTENER
			    ", {name: again, protocol: HTTP, port: 80}, "
			    "{name: other, protocol: HTTP, port: 80, hostname: a.test}, "
			    "{name: tls, protocol: HTTPS, port: 443}"));
	world_resolve(&world);
	assert_int_equal(world.desired->vip_count, 1);
	assert_int_equal(world.desired->listener_count, 2);
	assert_string_equal(world.desired->listeners[0].name, "http");
	assert_string_equal(world.desired->listeners[1].hostname, "a.test");
	must_say(&world, "Gateway ai/gw: spec.listeners[1].port", "again cannot have 10.0.0.1:80",
		 "listener http of Gateway ai/gw has it");
	must_say(&world, "Gateway ai/gw: spec.listeners[3].protocol", "HTTPS", "tls");
	world_deinit(&world);
}

static void other_address_types_are_said_and_skipped(void **state)
{
	struct world world = {0};

	(void)state;
	decoded_add(
		&world.config, "c.yaml",
		"apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: "
		"c}\nspec: {controllerName: x/y}\n---\napiVersion: "
		"gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw, namespace: "
		"ai}\nspec:\n  gatewayClassName: c\n  addresses:\n  - {type: Hostname, value: "
		"a.test}\n  - {value: 10.0.0}\n  - {value: '2001:db8::80'}\n  listeners: "
		"[" HTTP_LISTENER "]\n");
	world_resolve(&world);
	assert_int_equal(world.desired->vip_count, 1);
	assert_false(address_is_ipv4(&world.desired->vips[0].addr));
	must_say(&world, "c.yaml:12: Gateway ai/gw: spec.addresses[0].type", "Hostname",
		 "IPAddress");
	must_say(&world, "c.yaml:13: Gateway ai/gw: spec.addresses[1].value", "10.0.0", "");
	world_deinit(&world);
}

static void classes_that_gke_brings_along_need_no_object(void **state)
{
	struct world world = {0};

	(void)state;
	decoded_add(&world.config, "c.yaml",
		    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw, "
		    "namespace: ai}\nspec: {gatewayClassName: gke-l7-rilb, addresses: [{value: "
		    "10.0.0.1}], listeners: [" HTTP_LISTENER "]}\n");
	world_resolve(&world);
	assert_int_equal(world.desired->vip_count, 1);
	world_deinit(&world);
}

static void addresses_that_no_host_has_alone_are_refused(void **state)
{
	static const char *const addresses[] = {"0.0.0.0",	   "127.0.0.1", "224.0.0.1",
						"255.255.255.255", "'::'",	"'::1'",
						"'ff02::1'",	   "'fe80::1'"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		struct world world = {0};
		char text[1024];

		snprintf(
			text, sizeof(text),
			"apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw, "
			"namespace: ai}\nspec: {gatewayClassName: gke-l7-rilb, addresses: [{value: "
			"%s}], listeners: [" HTTP_LISTENER "]}\n",
			addresses[i]);
		decoded_add(&world.config, "c.yaml", text);
		world_resolve(&world);
		assert_int_equal(world.desired->vip_count, 0);
		must_say(&world, "Gateway ai/gw: spec.addresses[0].value", "can be served on", "");
		world_deinit(&world);
	}
}

static void a_config_cluster_without_backends_is_no_cluster(void **state)
{
	struct world world = {0};

	(void)state;
	decoded_add(&world.config, "c.yaml",
		    GATEWAY(HTTP_LISTENER) SERVICE ROUTE("{" BACKEND("p") "}"));
	world_resolve(&world);
	assert_int_equal(world.desired->cluster_count, 2);
	world_deinit(&world);
}

/* ---- routes ---- */

static void namespaces_attach_as_the_listener_allows(void **state)
{
	static const struct {
		const char *allowed;
		bool attached;
	} cases[] = {
		{"", false}, /* Same */
		{", allowedRoutes: {namespaces: {from: All}}", true},
		{", allowedRoutes: {namespaces: {from: None}}", false},
		{", allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: "
		 "{kubernetes.io/metadata.name: team}}}}",
		 true},
		{", allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}",
		 true},
		{", allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {a: c}}}}",
		 false},
		{", allowedRoutes: {namespaces: {from: Selector, selector: {matchExpressions: [{key: "
		 "a, operator: Exists}]}}}",
		 false},
		{", allowedRoutes: {namespaces: {from: All}, kinds: [{kind: GRPCRoute}]}", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world world = {0};
		char text[2048];

		snprintf(
			text, sizeof(text),
			GATEWAY("{name: http, protocol: HTTP, port: 80%s}") "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: team, labels: {a: b}}\n"
									    "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
									    "metadata: {name: r, namespace: team}\n"
									    "spec: {parentRefs: [{name: gw, namespace: ai}], rules: [{}]}\n",
			cases[i].allowed);
		decoded_add(&world.config, "c.yaml", text);
		world_resolve(&world);
		if ((world.desired->route_count == 1) != cases[i].attached)
			fail_msg("\"%s\": %zu routes", cases[i].allowed,
				 world.desired->route_count);
		if (!cases[i].attached)
			must_say(&world, "HTTPRoute team/r: spec.parentRefs[0]", "allow", "team");
		world_deinit(&world);
	}
}

static void hostnames_must_meet_those_of_the_listener(void **state)
{
	static const struct {
		const char *listener, *route;
		bool attached;
	} cases[] = {
		{"a.test", "a.test", true},	     {"a.test", "b.test", false},
		{"'*.test'", "a.b.test", true},	     {"'*.test'", "test", false},
		{"a.b.test", "'*.test'", true},	     {"'*.a.test'", "'*.test'", true},
		{"'*.a.test'", "'*.b.test'", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world world = {0};
		char text[2048];

		snprintf(
			text, sizeof(text),
			GATEWAY("{name: http, protocol: HTTP, port: 80, hostname: %s}") "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
											"metadata: {name: r, namespace: ai}\n"
											"spec: {hostnames: [%s], parentRefs: [{name: gw}], rules: [{}]}\n",
			cases[i].listener, cases[i].route);
		decoded_add(&world.config, "c.yaml", text);
		world_resolve(&world);
		if ((world.desired->route_count == 1) != cases[i].attached)
			fail_msg("%s, %s: %zu routes", cases[i].listener, cases[i].route,
				 world.desired->route_count);
		world_deinit(&world);
	}
}

static void a_missing_pool_answers_500_and_the_rest_goes_on(void **state)
{
	struct world world = {0};
	const struct snapshot_rule *rule;

	(void)state;
	decoded_add(&world.a, "a.yaml", POOL("p", "x"));
	decoded_add(&world.config, "c.yaml",
		    GATEWAY(HTTP_LISTENER) ROUTE(
			    "{backendRefs: [{group: inference.networking.x-k8s.io, kind: "
			    "InferencePoolImport, name: p, weight: 3}, {group: networking.gke.io, "
			    "kind: GCPInferencePoolImport, name: gone}, {group: "
			    "inference.networking.k8s.io, kind: InferencePool, name: p}]}"));
	world_resolve(&world);
	rule = &world.desired->routes[0].rules[0];
	assert_int_equal(rule->backends[0].pool, 0);
	assert_int_equal(rule->backends[1].pool, POOL_NONE);
	assert_string_equal(rule->backends[1].name, "ai/gone");
	assert_int_equal(rule->weight_sum, 5);
	must_say(&world, "c.yaml:15: HTTPRoute ai/r: spec.rules[0].backendRefs[1]",
		 "GCPInferencePoolImport ai/gone", "answered 500");
	must_say(&world, "spec.rules[0].backendRefs[2]", "name kind InferencePoolImport", "");
	world_deinit(&world);
}

#define FROM_TEAM "{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: team}"
#define TO_IMPORT "group: inference.networking.x-k8s.io, kind: InferencePoolImport"

static void a_grant_is_for_the_kinds_names_and_namespaces_in_it(void **state)
{
	static const struct {
		const char *namespace_, *from, *to; /* of the grant */
		bool granted;
	} cases[] = {
		{"ai", FROM_TEAM, "{" TO_IMPORT ", name: p}", true},
		{"ai", FROM_TEAM, "{" TO_IMPORT "}", true}, /* every name */
		{"ai", FROM_TEAM, "{" TO_IMPORT ", name: q}, {" TO_IMPORT ", name: p}", true},
		{"ai", FROM_TEAM, "{" TO_IMPORT ", name: q}", false},
		{"ai", FROM_TEAM, "{group: '', kind: Service, name: p}", false},
		{"ai", FROM_TEAM, "{group: networking.gke.io, kind: InferencePoolImport}", false},
		{"team", FROM_TEAM, "{" TO_IMPORT "}", false}, /* of the wrong side */
		{"ai", "{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: other}",
		 "{" TO_IMPORT "}", false},
		{"ai", "{group: gateway.networking.k8s.io, kind: GRPCRoute, namespace: team}",
		 "{" TO_IMPORT "}", false},
		{"ai", "{group: example.com, kind: HTTPRoute, namespace: team}", "{" TO_IMPORT "}",
		 false},
		{"ai",
		 "{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: other}, " FROM_TEAM,
		 "{" TO_IMPORT "}", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world world = {0};
		char text[2048];

		decoded_add(&world.a, "a.yaml", POOL("p", "x"));
		snprintf(
			text, sizeof(text),
			GATEWAY("{name: http, protocol: HTTP, port: 80, allowedRoutes: "
				"{namespaces: {from: All}}}") "---\napiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\n"
							      "metadata: {name: g, namespace: %s}\nspec: {from: [%s], to: [%s]}\n"
							      "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
							      "metadata: {name: r, namespace: team}\n"
							      "spec: {parentRefs: [{name: gw, namespace: ai}], rules: [{backendRefs: "
							      "[{" TO_IMPORT
							      ", name: p, namespace: ai}]}]}\n",
			cases[i].namespace_, cases[i].from, cases[i].to);
		decoded_add(&world.config, "c.yaml", text);
		world_resolve(&world);
		if ((world.desired->routes[0].rules[0].backends[0].pool != POOL_NONE) !=
		    cases[i].granted)
			fail_msg("grant in %s from %s to %s", cases[i].namespace_, cases[i].from,
				 cases[i].to);
		if (!cases[i].granted)
			must_say(&world, "HTTPRoute team/r: spec.rules[0].backendRefs[0]",
				 "ReferenceGrant", "ai");
		world_deinit(&world);
	}
}

static void every_match_and_filter_arrives(void **state)
{
	struct world world = {0};
	const struct snapshot_filters *filters;
	const struct snapshot_match *match;
	const struct snapshot_rule *rule;

	(void)state;
	decoded_add(
		&world.config, "c.yaml",
		GATEWAY(HTTP_LISTENER) ROUTE(
			"{name: all, matches: [{path: {value: /v1/}, method: POST, headers: [{name: X-A, "
			"value: '[0-9]+', type: RegularExpression}], queryParams: [{name: V, value: x}]}], "
			"filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: A, "
			"value: b}], add: [{name: C, value: d}], remove: [E]}}, {type: "
			"ResponseHeaderModifier, responseHeaderModifier: {set: [{name: F, value: g}]}}, "
			"{type: URLRewrite, urlRewrite: {hostname: h.test, path: {type: "
			"ReplacePrefixMatch, replacePrefixMatch: ''}}}]}, "
			"{filters: [{type: RequestRedirect, requestRedirect: {scheme: https, port: 8443, "
			"path: {type: ReplaceFullPath, replaceFullPath: /x}}}]}"));
	world_resolve(&world);
	rule = &world.desired->routes[0].rules[0];
	match = &rule->matches[0];
	assert_int_equal(match->path_type, MATCH_PREFIX);
	assert_string_equal(match->path, "/v1");
	assert_string_equal(match->method, "POST");
	assert_string_equal(match->headers[0].name, "x-a");
	assert_int_equal(match->headers[0].type, MATCH_REGEX);
	assert_string_equal(match->queries[0].name, "V");
	filters = &rule->filters;
	assert_string_equal(filters->request_set[0].name, "A");
	assert_string_equal(filters->request_add[0].value, "d");
	assert_string_equal(filters->request_remove[0], "E");
	assert_string_equal(filters->response_set[0].value, "g");
	assert_int_equal(filters->rewrite_type, REWRITE_PREFIX);
	assert_string_equal(filters->rewrite_path, "/");
	assert_string_equal(filters->rewrite_host, "h.test");
	filters = &world.desired->routes[0].rules[1].filters;
	assert_int_equal(filters->redirect_status, 302);
	assert_int_equal(filters->redirect_port, 8443);
	assert_string_equal(filters->redirect_path, "/x");
	world_deinit(&world);
}

static void sessions_are_kept_as_the_rule_says(void **state)
{
	const struct snapshot_persistence *persistence;
	const struct snapshot_route *route;
	struct world world = {0};
	char name[64];

	(void)state;
	decoded_add(&world.a, "a.yaml", POOL("p", "x"));
	decoded_add(
		&world.config, "c.yaml",
		GATEWAY(HTTP_LISTENER) ROUTE(
			"{sessionPersistence: {}, " BACKEND("p") "}, {name: n, sessionPersistence: {}, " BACKEND(
				"p") "}, {sessionPersistence: {type: Header, sessionName: X-S, "
				     "absoluteTimeout: 1h, idleTimeout: 1500ms}, " BACKEND(
					     "p") "}, {sessionPersistence: {sessionName: c, "
						  "absoluteTimeout: 10s, cookieConfig: "
						  "{lifetimeType: Permanent}}, " BACKEND(
							  "p") "}, {" BACKEND("p") "}"));
	world_resolve(&world);
	route = &world.desired->routes[0];
	persistence = route->rules[0].persistence;
	assert_int_equal(persistence->type, PERSIST_COOKIE);
	assert_int_equal(persistence->lifetime, PERSIST_SESSION);
	assert_int_equal(persistence->absolute_s + persistence->idle_s, 0);
	snprintf(name, sizeof(name), "%s", persistence->name);
	assert_int_equal(strlen(name), strlen("sluice-0123456789abcdef"));
	assert_string_not_equal(route->rules[1].persistence->name, name);
	persistence = route->rules[2].persistence;
	assert_int_equal(persistence->type, PERSIST_HEADER);
	assert_string_equal(persistence->name, "X-S");
	assert_int_equal(persistence->absolute_s, 3600);
	assert_int_equal(persistence->idle_s, 2);
	assert_int_equal(route->rules[3].persistence->lifetime, PERSIST_PERMANENT);
	assert_null(route->rules[4].persistence);
	world_resolve(&world); /* and so again */
	assert_string_equal(world.desired->routes[0].rules[0].persistence->name, name);
	world_deinit(&world);
}

#define MIRROR(name, share)                                                                        \
	"{type: RequestMirror, requestMirror: {backendRef: {group: "                               \
	"inference.networking.x-k8s.io, kind: InferencePoolImport, name: " name "}" share "}}"

static void mirrors_have_their_share_and_those_without_a_pool_are_left_out(void **state)
{
	const struct snapshot_filters *filters;
	struct world world = {0};

	(void)state;
	decoded_add(&world.a, "a.yaml", POOL("p", "x") POOL("q", "x"));
	decoded_add(
		&world.config, "c.yaml",
		GATEWAY(HTTP_LISTENER) ROUTE("{filters: [" MIRROR("p", "") ", " MIRROR("gone", "") ", " MIRROR(
			"q",
			", percent: 25") ", " MIRROR("q",
						     ", fraction: {numerator: 1, "
						     "denominator: 1000}") ", "
									   "{type: RequestMirror, requestMirror: {backendRef: {name: s, namespace: team, "
									   "port: 80}}}], " BACKEND(
										   "p") "}"));
	world_resolve(&world);
	filters = &world.desired->routes[0].rules[0].filters;
	assert_int_equal(filters->mirror_count, 3);
	assert_string_equal(filters->mirrors[0].name, "ai/p");
	assert_int_equal(filters->mirrors[0].numerator, filters->mirrors[0].denominator);
	assert_string_equal(world.desired->pools[filters->mirrors[1].pool].name, "ai/q");
	assert_int_equal(filters->mirrors[1].numerator, 25);
	assert_int_equal(filters->mirrors[1].denominator, 100);
	assert_int_equal(filters->mirrors[2].numerator, 1);
	assert_int_equal(filters->mirrors[2].denominator, 1000);
	assert_int_not_equal(world.desired->routes[0].rules[0].backends[0].pool, POOL_NONE);
	must_say(&world, "spec.rules[0].filters[1].requestMirror.backendRef", "ai/gone",
		 "no request is mirrored to it");
	must_say(&world, "spec.rules[0].filters[4].requestMirror.backendRef",
		 "no ReferenceGrant in namespace team", "no request is mirrored to it");
	world_deinit(&world);
}

static void retries_arrive_as_far_as_they_can_be_made(void **state)
{
	struct world world = {0};
	const struct snapshot_rule *rules;

	(void)state;
	decoded_add(&world.config, "c.yaml",
		    GATEWAY(HTTP_LISTENER) ROUTE(
			    "{}, {retry: {}}, {retry: {codes: [500, 409], attempts: 2}}, "
			    "{retry: {attempts: 9, backoff: 1s}}, {retry: {backoff: 99999h}}"));
	world_resolve(&world);
	rules = world.desired->routes[0].rules;
	assert_null(rules[0].retry);
	assert_null(rules[1].retry);
	assert_int_equal(rules[2].retry->code_count, 2);
	assert_int_equal(rules[2].retry->codes[1], 409);
	assert_int_equal(rules[2].retry->attempts, 2);
	assert_int_equal(rules[2].retry->backoff_ms, 0);
	assert_int_equal(rules[3].retry->attempts, ROUTE_RETRIES_MAX);
	assert_int_equal(rules[3].retry->backoff_ms, 1000);
	assert_int_equal(rules[4].retry->backoff_ms, UINT32_MAX);
	must_say(&world, "HTTPRoute ai/r: spec.rules[3].retry.attempts", "9 is more", "7 are made");
	world_deinit(&world);
}

static void a_cors_filter_arrives_as_browsers_say_origins(void **state)
{
	struct world world = {0};
	const struct snapshot_cors *cors;

	(void)state;
	decoded_add(&world.config, "c.yaml",
		    GATEWAY(HTTP_LISTENER) ROUTE(
			    "{filters: [{type: CORS, cors: {allowOrigins: ['https://A.test:443', "
			    "'http://a.test:80', 'http://a.test:443', 'https://*.b.test:8443'], "
			    "allowMethods: [PUT, DELETE], allowHeaders: [X-A], exposeHeaders: "
			    "['*'], allowCredentials: true, maxAge: 60}}]}, {filters: [{type: "
			    "CORS, cors: {}}]}, {}"));
	world_resolve(&world);
	cors = world.desired->routes[0].rules[0].cors;
	assert_int_equal(cors->origin_count, 4);
	assert_string_equal(cors->origins[0], "https://a.test");
	assert_string_equal(cors->origins[1], "http://a.test");
	assert_string_equal(cors->origins[2], "http://a.test:443");
	assert_string_equal(cors->origins[3], "https://*.b.test:8443");
	assert_string_equal(cors->methods[1], "DELETE");
	assert_string_equal(cors->headers[0], "X-A");
	assert_string_equal(cors->expose[0], "*");
	assert_true(cors->credentials);
	assert_int_equal(cors->max_age_s, 60);
	cors = world.desired->routes[0].rules[1].cors;
	assert_int_equal(cors->max_age_s, 5);
	assert_false(cors->credentials);
	must_say(&world, "spec.rules[1].filters[0].cors.allowOrigins", "none given", "name some");
	assert_null(world.desired->routes[0].rules[2].cors);
	world_deinit(&world);
}

static void filters_of_a_backend_come_after_those_of_the_rule(void **state)
{
	struct world world = {0};
	const struct snapshot_rule *rule;
	const struct snapshot_filters *own;

	(void)state;
	decoded_add(&world.a, "a.yaml", POOL("p", "x"));
	decoded_add(
		&world.config, "c.yaml",
		GATEWAY(HTTP_LISTENER) ROUTE(
			"{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: "
			"A, value: rule}, {name: B, value: rule}]}}], backendRefs: [{group: "
			"inference.networking.x-k8s.io, kind: InferencePoolImport, name: p}, {group: "
			"inference.networking.x-k8s.io, kind: InferencePoolImport, name: p, filters: "
			"[{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: "
			"own}]}}, {type: ResponseHeaderModifier, responseHeaderModifier: {remove: "
			"[C]}}, {type: URLRewrite, urlRewrite: {hostname: h.test}}]}]}"));
	world_resolve(&world);
	rule = &world.desired->routes[0].rules[0];
	assert_int_equal(rule->backends[1].pool, 0);
	assert_null(rule->backends[0].filters);
	own = rule->backends[1].filters;
	assert_int_equal(own->request_set_count, 2);
	assert_string_equal(own->request_set[0].name, "B");
	assert_string_equal(own->request_set[1].value, "own");
	assert_string_equal(own->response_remove[0], "C");
	assert_string_equal(own->rewrite_host, "h.test");
	assert_int_equal(rule->filters.request_set_count, 2);
	assert_null(rule->filters.rewrite_host);
	world_deinit(&world);
}

static void what_must_not_be_skipped_answers_500(void **state)
{
	struct world world = {0};
	const struct snapshot_route *route;

	(void)state;
	decoded_add(&world.a, "a.yaml", POOL("p", "x"));
	decoded_add(
		&world.config, "c.yaml",
		GATEWAY(HTTP_LISTENER) ROUTE(
			"{filters: [{type: ExternalAuth}], " BACKEND("p") "}, {matches: [{path: {type: RegularExpression, value: '/(a'}}], " BACKEND(
				"p") "}, {backendRefs: [{group: inference.networking.x-k8s.io, kind: "
				     "InferencePoolImport, name: p, filters: [{type: "
				     "RequestMirror, requestMirror: {backendRef: {name: s}}}]}, {group: inference.networking.x-k8s.io, kind: "
				     "InferencePoolImport, name: p}]}"));
	world_resolve(&world);
	route = &world.desired->routes[0];
	assert_int_equal(route->rule_count, 2);
	assert_int_equal(route->rules[0].backends[0].pool, POOL_NONE);
	assert_int_equal(route->rules[1].backends[0].pool, POOL_NONE);
	assert_int_equal(route->rules[1].backends[1].pool, 0);
	must_say(&world, "spec.rules[0].filters[0].type", "ExternalAuth", "500");
	must_say(&world, "spec.rules[1].matches[0].path.value", "/(a", "left out");
	must_say(&world, "spec.rules[2].backendRefs[0].filters[0].type", "RequestMirror",
		 "on a single backend");
	world_deinit(&world);
}

/* ---- objectives and models ---- */

#define OBJECTIVE(name, priority, pool)                                                            \
	"---\napiVersion: inference.networking.x-k8s.io/v1alpha2\nkind: InferenceObjective\n"      \
	"metadata: {name: " name ", namespace: ai}\n"                                              \
	"spec: {priority: " priority ", poolRef: {name: " pool "}}\n"

static void objectives_of_clusters_become_one_list(void **state)
{
	struct world world = {0};

	(void)state;
	decoded_add(&world.a, "a.yaml", POOL("p", "x") OBJECTIVE("o", "5", "p"));
	decoded_add(&world.b, "b.yaml",
		    POOL("p", "x") OBJECTIVE("o", "-7", "p") OBJECTIVE("n", "1", "gone"));
	world_resolve(&world);
	assert_int_equal(world.desired->objective_count, 2);
	assert_string_equal(world.desired->objectives[0].name, "n");
	assert_int_equal(world.desired->objectives[1].priority, 5);
	assert_string_equal(world.desired->objectives[1].pool, "ai/p");
	must_say(&world, "b.yaml:7: InferenceObjective ai/o", "cluster a", "make them equal");
	must_say(&world, "InferenceObjective ai/n: spec.poolRef.name", "ai/gone", "");
	world_deinit(&world);
}

/* ---- models under other names ---- */

#define REWRITE(name, created, rules)                                                              \
	"---\napiVersion: llm-d.ai/v1alpha2\nkind: InferenceModelRewrite\nmetadata: {name: " name  \
	", namespace: ai, creationTimestamp: '" created "'}\n"                                     \
	"spec: {poolRef: {name: p}, rules: [" rules "]}\n"
#define RENAME(from, to)                                                                           \
	"{matches: [{model: {value: " from "}}], targets: [{modelRewrite: " to "}]}"
#define RENAME_ALL(to) "{targets: [{modelRewrite: " to "}]}"
#define OLD "2026-01-01T00:00:00Z"
#define YOUNG "2026-02-01T00:00:00Z"

static void names_come_before_defaults_and_the_older_before_the_younger(void **state)
{
	static const char *const targets[] = {"old-a", "twin-a", "young-a", "old-all", "young-all"};
	const struct desired_pool *pool;
	struct world world = {0};

	(void)state;
	decoded_add(&world.a, "a.yaml",
		    POOL("p", "x") POOL("q", "x") REWRITE(
			    "a", YOUNG, RENAME("m", "young-a") ", " RENAME_ALL("young-all"))
			    REWRITE("y", OLD, RENAME_ALL("old-all") ", " RENAME("m", "old-a"))
				    REWRITE("z", OLD, RENAME("m", "twin-a")));
	world_resolve(&world);
	pool = pool_named(&world, "ai/p");
	assert_int_equal(pool->rewrite_count, ARRAY_SIZE(targets));
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
		assert_string_equal(pool->rewrites[i].targets[0].model, targets[i]);
	assert_string_equal(pool->rewrites[0].name, "ai/y");
	assert_string_equal(pool->rewrites[0].models[0], "m");
	assert_int_equal(pool->rewrites[0].weight_sum, 1);
	assert_int_equal(pool->rewrites[3].model_count, 0);
	assert_int_equal(pool_named(&world, "ai/q")->rewrite_count, 0);
	world_deinit(&world);
}

static void a_rewrite_that_clusters_disagree_on_counts_as_the_first_says(void **state)
{
	const struct desired_pool *pool;
	struct world world = {0};

	(void)state;
	decoded_add(&world.a, "a.yaml",
		    POOL("p", "x") REWRITE("same", OLD, RENAME("m", "t"))
			    REWRITE("other", OLD, RENAME("n", "a")));
	decoded_add(&world.b, "b.yaml",
		    POOL_PRIVATE("q", "x") REWRITE("same", OLD, RENAME("m", "t"))
			    REWRITE("other", OLD, RENAME("n", "b")));
	world_resolve(&world);
	pool = pool_named(&world, "ai/p");
	assert_int_equal(pool->rewrite_count, 2);
	assert_string_equal(pool->rewrites[0].targets[0].model, "a");
	must_say(&world, "InferenceModelRewrite ai/other: spec", "cluster a", "make them equal");
	must_say(&world, "InferenceModelRewrite ai/same: spec.poolRef.name", "cluster b has no",
		 "ai/p");
	assert_false(messages_say(&world.desired->messages, "ai/same: spec:", "", ""));
	world_deinit(&world);
}

static void adapters_belong_to_their_base_model(void **state)
{
	struct world world = {0};

	(void)state;
	decoded_add(
		&world.config, "c.yaml",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: ai, labels: "
		"{inference.networking.k8s.io/bbr-managed: 'true'}}\ndata:\n  baseModel: base\n  "
		"adapters: |\n    - one\n    - 2\n");
	world_resolve(&world);
	assert_int_equal(world.desired->base_model_count, 2);
	assert_string_equal(world.desired->base_models[0].model, "base");
	assert_string_equal(world.desired->base_models[1].model, "one");
	assert_string_equal(world.desired->base_models[1].base, "base");
	must_say(&world, "ConfigMap ai/m: data.adapters", "element 1", "");
	world_deinit(&world);
}

/* ---- as a whole ---- */

static void desired_print(const struct desired *desired, struct text *text)
{
	for (size_t i = 0; i < desired->cluster_count; i++)
		text_printf(text, "%s %s\n", desired->clusters[i].name,
			    desired->clusters[i].region);
	for (size_t i = 0; i < desired->endpoint_count; i++)
		text_printf(text, "%s %u %u %u\n", desired->endpoints[i].name,
			    desired->endpoints[i].port, desired->endpoints[i].cluster,
			    desired->endpoints[i].pool);
	for (size_t i = 0; i < desired->pool_count; i++)
		text_printf(text, "%s %s %zu\n", desired->pools[i].name, desired->pools[i].kind,
			    desired->pools[i].endpoint_count);
	for (size_t i = 0; i < desired->route_count; i++)
		text_printf(text, "%s %zu\n", desired->routes[i].name,
			    desired->routes[i].rule_count);
}

static void the_order_of_files_and_clusters_does_not_matter(void **state)
{
	static const char *const parts[] = {
		POOL("p", "x"),
		POOL("q", "x"),
		POD("z", "x", "10.1.0.1"),
		POD("y", "x", "10.1.0.2"),
		NODE,
	};
	char first[4096] = "", second[4096] = "";
	struct text a = TEXT_INIT(first), b = TEXT_INIT(second);
	struct world forward = {0}, backward = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		decoded_add(&forward.a, "f.yaml", parts[i]);
		decoded_add(&backward.a, "f.yaml", parts[ARRAY_SIZE(parts) - 1 - i]);
	}
	decoded_add(&forward.config, "c.yaml", GATEWAY(HTTP_LISTENER) ROUTE("{" BACKEND("p") "}"));
	decoded_add(&backward.config, "c.yaml", ROUTE("{" BACKEND("p") "}") GATEWAY(HTTP_LISTENER));
	world_resolve(&forward);
	world_resolve(&backward);
	desired_print(forward.desired, &a);
	desired_print(backward.desired, &b);
	assert_string_equal(first, second);
	assert_non_null(strstr(first, "ai/y 8000 0 0"));
	world_deinit(&forward);
	world_deinit(&backward);
}

static void one_folder_may_be_config_and_target_cluster(void **state)
{
	struct decoded both = {0};
	const struct desired_source cluster = {"only", &both.objects};
	const struct desired_input input = {
		.config = {"config", &both.objects}, .cluster_count = 1, .clusters = &cluster};
	struct desired *desired;

	(void)state;
	decoded_add(&both, "f.yaml",
		    POOL_PRIVATE("p", "x") POD("p-1", "x", "10.1.0.1") GATEWAY(HTTP_LISTENER)
			    ROUTE("{backendRefs: [{group: inference.networking.k8s.io, kind: "
				  "InferencePool, name: p}]}"));
	assert_int_equal(desired_resolve(&input, &desired), 0);
	assert_int_equal(desired->cluster_count, 1);
	assert_string_equal(desired->clusters[0].name, "only");
	assert_int_equal(desired->endpoint_count, 1);
	assert_string_equal(desired->pools[0].kind, "InferencePool");
	assert_int_equal(desired->routes[0].rules[0].backends[0].pool, 0);
	desired_free(desired);
	decoded_deinit(&both);
}

static void nothing_gives_nothing(void **state)
{
	struct world world = {0};

	(void)state;
	world_resolve(&world);
	assert_int_equal(world.desired->cluster_count, 2);
	assert_int_equal(world.desired->pool_count, 0);
	assert_int_equal(world.desired->route_count, 0);
	world_deinit(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pod_cannot_have_an_address_that_is_not_its_own),
		cmocka_unit_test(an_exported_pool_is_the_union_of_the_clusters),
		cmocka_unit_test(a_pool_without_the_annotation_is_not_imported),
		cmocka_unit_test(an_import_that_names_clusters_is_limited_to_them),
		cmocka_unit_test(an_import_that_nobody_exports_is_said_and_empty),
		cmocka_unit_test(only_ready_pods_serve),
		cmocka_unit_test(overlapping_pools_share_one_endpoint),
		cmocka_unit_test(two_pods_with_one_address_are_refused),
		cmocka_unit_test(slices_stand_in_where_no_pod_is_shown),
		cmocka_unit_test(a_service_is_a_backend_at_the_port_of_its_slices),
		cmocka_unit_test(a_pool_that_speaks_h2c_is_refused),
		cmocka_unit_test(health_is_probed_at_slash_health_by_default),
		cmocka_unit_test(the_older_of_two_policies_wins),
		cmocka_unit_test(checks_that_cannot_be_made_are_refused_by_name),
		cmocka_unit_test(a_backend_policy_gives_timeouts_to_rules_that_have_none),
		cmocka_unit_test(a_gateway_without_its_class_is_not_served),
		cmocka_unit_test(listeners_of_one_place_conflict),
		cmocka_unit_test(other_address_types_are_said_and_skipped),
		cmocka_unit_test(classes_that_gke_brings_along_need_no_object),
		cmocka_unit_test(addresses_that_no_host_has_alone_are_refused),
		cmocka_unit_test(a_config_cluster_without_backends_is_no_cluster),
		cmocka_unit_test(namespaces_attach_as_the_listener_allows),
		cmocka_unit_test(hostnames_must_meet_those_of_the_listener),
		cmocka_unit_test(a_missing_pool_answers_500_and_the_rest_goes_on),
		cmocka_unit_test(a_grant_is_for_the_kinds_names_and_namespaces_in_it),
		cmocka_unit_test(every_match_and_filter_arrives),
		cmocka_unit_test(sessions_are_kept_as_the_rule_says),
		cmocka_unit_test(mirrors_have_their_share_and_those_without_a_pool_are_left_out),
		cmocka_unit_test(retries_arrive_as_far_as_they_can_be_made),
		cmocka_unit_test(a_cors_filter_arrives_as_browsers_say_origins),
		cmocka_unit_test(filters_of_a_backend_come_after_those_of_the_rule),
		cmocka_unit_test(what_must_not_be_skipped_answers_500),
		cmocka_unit_test(objectives_of_clusters_become_one_list),
		cmocka_unit_test(names_come_before_defaults_and_the_older_before_the_younger),
		cmocka_unit_test(a_rewrite_that_clusters_disagree_on_counts_as_the_first_says),
		cmocka_unit_test(adapters_belong_to_their_base_model),
		cmocka_unit_test(the_order_of_files_and_clusters_does_not_matter),
		cmocka_unit_test(one_folder_may_be_config_and_target_cluster),
		cmocka_unit_test(nothing_gives_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
