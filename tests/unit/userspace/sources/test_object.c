// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/userspace/sources/decoded.h"
#include "userspace/base/cleanup.h"
#include "userspace/sources/object_table.h"

#define REWRITE_HEAD                                                                               \
	"apiVersion: inference.networking.x-k8s.io/v1alpha2\nkind: InferenceModelRewrite\n"        \
	"metadata: {name: w, namespace: ai}\n"
#define ROUTE_HEAD                                                                                 \
	"apiVersion: gateway.networking.k8s.io/v1\n"                                               \
	"kind: HTTPRoute\n"                                                                        \
	"metadata: {name: r, namespace: ai, creationTimestamp: '2026-01-01T00:00:00Z'}\n"
#define POOL_HEAD                                                                                  \
	"apiVersion: inference.networking.k8s.io/v1\n"                                             \
	"kind: InferencePool\n"                                                                    \
	"metadata: {name: p, namespace: ai}\n"

static void a_route_is_read_with_its_defaults(void **state)
{
	struct decoded decoded = {0};
	const struct http_route *route;
	const struct http_rule *rule;

	(void)state;
	decoded_add(&decoded, "f.yaml",
		    ROUTE_HEAD
		    "spec:\n"
		    "  parentRefs: [{name: gw, namespace: infra, sectionName: http}]\n"
		    "  hostnames: ['*.example.com']\n"
		    "  rules:\n"
		    "  - matches:\n"
		    "    - headers: [{name: X-A, value: b}]\n"
		    "    backendRefs:\n"
		    "    - {name: s, port: 80}\n"
		    "    - {group: networking.gke.io, kind: GCPInferencePoolImport, name: p,\n"
		    "       weight: 0}\n"
		    "    timeouts: {request: 1m30s}\n"
		    "    retry: {codes: [500, 503], backoff: 100ms}\n");
	assert_int_equal(decoded.messages.count, 0);
	assert_int_equal(decoded.objects.count, 1);
	assert_int_equal(decoded.objects.list[0]->created_at, 1767225600);
	route = decoded.objects.list[0]->spec;
	assert_string_equal(route->parents[0].ref.kind, "Gateway");
	assert_string_equal(route->parents[0].section, "http");
	assert_true(route->parents[0].port == UNSET);
	rule = &route->rules[0];
	assert_string_equal(rule->matches[0].path_type, "PathPrefix");
	assert_string_equal(rule->matches[0].path, "/");
	assert_string_equal(rule->matches[0].headers[0].type, "Exact");
	assert_string_equal(rule->backends[0].ref.kind, "Service");
	assert_int_equal(rule->backends[0].weight, 1);
	assert_int_equal(rule->backends[1].weight, 0);
	assert_int_equal(rule->backends[1].ref.line, 12);
	assert_int_equal(rule->request_timeout_ms, 90000);
	assert_true(rule->backend_timeout_ms == UNSET);
	assert_int_equal(rule->retry.code_count, 2);
	assert_int_equal(rule->retry.codes[1], 503);
	assert_int_equal(rule->retry.attempts, 0);
	assert_int_equal(rule->retry.backoff_ms, 100);
	decoded_deinit(&decoded);
}

static void both_generations_of_pools_become_one_struct(void **state)
{
	struct decoded decoded = {0};
	const struct inference_pool *pool;

	(void)state;
	decoded_add(
		&decoded, "f.yaml",
		"apiVersion: inference.networking.x-k8s.io/v1alpha2\n"
		"kind: InferencePool\n"
		"metadata: {name: old, namespace: ai}\n"
		"spec: {selector: {app: x}, targetPortNumber: 8000, extensionRef: {name: epp}}\n"
		"---\n" POOL_HEAD
		"spec: {selector: {matchLabels: {app: y}}, targetPorts: [{number: 1}, {number: 2}]}\n");
	assert_int_equal(decoded.messages.count, 0);
	assert_int_equal(decoded.objects.count, 2);
	pool = decoded.objects.list[0]->spec;
	assert_int_equal(pool->ports[0].number, 8000);
	assert_string_equal(labels_get(&pool->selector, "app"), "x");
	assert_string_equal(pool->picker.name, "epp");
	assert_string_equal(pool->app_protocol, "http");
	pool = decoded.objects.list[1]->spec;
	assert_int_equal(pool->port_count, 2);
	assert_null(pool->picker.name);
	decoded_deinit(&decoded);
}

static void a_list_is_expanded(void **state)
{
	struct decoded decoded = {0};

	(void)state;
	decoded_add(
		&decoded, "f.json",
		"{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n"
		"{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"a\"}},\n"
		"{\"apiVersion\": \"v1\", \"kind\": \"Node\", \"metadata\": {\"name\": \"n\"}}]}");
	assert_int_equal(decoded.objects.count, 2);
	assert_int_equal(decoded.objects.list[1]->kind, KIND_NODE);
	assert_int_equal(decoded.objects.list[1]->line, 3);
	assert_int_equal(decoded.messages.count, 0);
	decoded_deinit(&decoded);
}

static void kinds_of_no_use_are_counted_and_unknown_ones_named(void **state)
{
	struct decoded decoded = {0};
	size_t counted = 0;

	(void)state;
	decoded_add(
		&decoded, "f.yaml",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n---\n"
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: not-ours}\ndata: {a: 3}\n---\n"
		"apiVersion: example.com/v1\nkind: Teapot\nmetadata: {name: t}\n---\n"
		"hello: world\n");
	for (size_t i = 0; i < object_ignored_count(); i++)
		counted += decoded.ignored[i];
	assert_int_equal(counted, 1);
	assert_int_equal(decoded.objects.count, 0);
	assert_int_equal(decoded.messages.count, 2);
	assert_true(messages_say(&decoded.messages, "f.yaml:10:", "Teapot t", "not known"));
	assert_true(messages_say(&decoded.messages, "f.yaml:14:", "no Kubernetes object", ""));
	decoded_deinit(&decoded);
}

static const struct refused {
	const char *text;
	const char *field, *why;
} refused[] = {
	{"apiVersion: v1\nkind: Pod\nmetadata: {namespace: ai}\n", "Pod", "metadata.name: missing"},
	{"apiVersion: v1\nkind: Pod\nmetadata: {name: UPPER}\n", "metadata.name", "lower case"},
	{"apiVersion: v1\nkind: Pod\nmetadata: {name: 12}\n", "metadata.name", "put it in quotes"},
	{"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {ready: true}}\n",
	 "Pod default/p: metadata.labels.ready", "put it in quotes"},
	{"apiVersion: v1\nkind: Pod\nmetadata: {name: p, creationTimestamp: yesterday}\n",
	 "metadata.creationTimestamp", "not a time"},
	{"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: [1]\n", "Pod default/p",
	 "a list where a map with nodeName is expected"},
	{"apiVersion: v2\nkind: Pod\nmetadata: {name: p}\n", "Pod: apiVersion",
	 "version v2 is not supported; write v1"},
	{POOL_HEAD "spec: {selector: {matchLabels: {}}, targetPorts: [{number: 1}]}\n",
	 "InferencePool ai/p: spec.selector.matchLabels", "1 to 64"},
	{POOL_HEAD "spec: {selector: {matchLabels: {a: b}}, targetPorts: []}\n", "spec.targetPorts",
	 "1 to 8"},
	{POOL_HEAD "spec: {selector: {matchLabels: {a: b}}, targetPorts: [{number: 65536}]}\n",
	 "spec.targetPorts[0].number", "not between 1 and 65535"},
	{POOL_HEAD
	 "spec: {selector: {matchLabels: {a: b}}, targetPorts: [{number: 7}, {number: 7}]}\n",
	 "spec.targetPorts[1].number", "twice"},
	{POOL_HEAD
	 "spec: {selector: {matchLabels: {a: b}}, targetPorts: [{number: 7}], appProtocol: grpc}\n",
	 "spec.appProtocol", "not one of http, kubernetes.io/h2c"},
	{ROUTE_HEAD "spec: {rules: [{sessionPersistence: {sessionName: 'a b'}}]}\n",
	 "spec.rules[0].sessionPersistence.sessionName", "not a header name"},
	{ROUTE_HEAD "spec: {rules: [{sessionPersistence: {type: Header, sessionName: Host}}]}\n",
	 "spec.rules[0].sessionPersistence.sessionName", ""},
	{ROUTE_HEAD "spec: {rules: [{sessionPersistence: {type: Header, cookieConfig: "
		    "{lifetimeType: Session}}}]}\n",
	 "spec.rules[0].sessionPersistence.cookieConfig", "type Cookie only"},
	{ROUTE_HEAD "spec: {rules: [{sessionPersistence: {cookieConfig: {lifetimeType: "
		    "Permanent}}}]}\n",
	 "spec.rules[0].sessionPersistence.absoluteTimeout", "Permanent cookie needs it"},
	{ROUTE_HEAD "spec: {rules: [{filters: [{type: RequestMirror}]}]}\n",
	 "spec.rules[0].filters[0].requestMirror.backendRef", "missing"},
	{ROUTE_HEAD "spec: {rules: [{filters: [{type: RequestMirror, requestMirror: {backendRef: "
		    "{name: s}, percent: 1, fraction: {numerator: 1}}}]}]}\n",
	 "spec.rules[0].filters[0].requestMirror.percent", "only one of percent and fraction"},
	{ROUTE_HEAD "spec: {rules: [{filters: [{type: RequestMirror, requestMirror: {backendRef: "
		    "{name: s}, fraction: {denominator: 7}}}]}]}\n",
	 "spec.rules[0].filters[0].requestMirror.fraction.numerator", "missing"},
	{ROUTE_HEAD "spec: {rules: [{filters: [{type: RequestMirror, requestMirror: {backendRef: "
		    "{name: s}, fraction: {numerator: 101}}}]}]}\n",
	 "spec.rules[0].filters[0].requestMirror.fraction.numerator", "larger than"},
	{REWRITE_HEAD "spec: {poolRef: {name: p}, rules: [{targets: []}]}\n",
	 "InferenceModelRewrite ai/w: spec.rules[0].targets", "1 to 64"},
	{REWRITE_HEAD "spec: {poolRef: {name: p}, rules: [{targets: [{modelRewrite: a, weight: 1}, "
		      "{modelRewrite: b}]}]}\n",
	 "spec.rules[0].targets[1].weight", "either all targets of a rule have a weight or none"},
	{REWRITE_HEAD
	 "spec: {poolRef: {name: p}, rules: [{targets: [{modelRewrite: \"a\\nb\"}]}]}\n",
	 "spec.rules[0].targets[0].modelRewrite", "control characters"},
	{REWRITE_HEAD "spec: {poolRef: {name: p}, rules: [{matches: [{model: {type: Prefix, value: "
		      "a}}], targets: [{modelRewrite: a}]}]}\n",
	 "spec.rules[0].matches[0].model.type", "not one of Exact"},
	{ROUTE_HEAD "spec: {rules: [{backendRefs: [{name: s, weight: 1000001}]}]}\n",
	 "HTTPRoute ai/r: spec.rules[0].backendRefs[0].weight", "not between 0 and 1000000"},
	{ROUTE_HEAD "spec: {rules: [{backendRefs: [{kind: Service}]}]}\n",
	 "spec.rules[0].backendRefs[0].name", "missing"},
	{ROUTE_HEAD "spec: {rules: [{timeouts: {request: 10 minutes}}]}\n",
	 "spec.rules[0].timeouts.request", "not a duration"},
	{ROUTE_HEAD "spec: {rules: [{timeouts: {request: 1s, backendRequest: 2s}}]}\n",
	 "spec.rules[0].timeouts.backendRequest", "longer than"},
	{ROUTE_HEAD
	 "spec: {rules: [{backendRefs: [{name: s}, {name: t, filters: [{type: URLRewrite, "
	 "urlRewrite: {path: {type: ReplaceFullPath}}}]}]}]}\n",
	 "spec.rules[0].backendRefs[1].filters[0].urlRewrite.path.replaceFullPath", "missing"},
	{ROUTE_HEAD "spec: {rules: [{backendRefs: [{name: s, filters: [{type: URLRewrite}, {type: "
		    "RequestRedirect}]}]}]}\n",
	 "spec.rules[0].backendRefs[0].filters[1].type", "exclude each other"},
	{ROUTE_HEAD
	 "spec: {rules: [{filters: [{type: CORS, cors: {}}], backendRefs: [{name: s, "
	 "filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: "
	 "access-control-x, value: y}]}}]}]}]}\n",
	 "spec.rules[0].backendRefs[0].filters[0].responseHeaderModifier", "CORS"},
	{ROUTE_HEAD "spec: {rules: [{filters: [{type: CORS}]}]}\n", "spec.rules[0].filters[0].cors",
	 "missing"},
	{ROUTE_HEAD "spec: {rules: [{filters: [{type: CORS, cors: {allowOrigins: ['*', "
		    "'https://a.test']}}]}]}\n",
	 "spec.rules[0].filters[0].cors.allowOrigins", "stands alone"},
	{ROUTE_HEAD "spec: {rules: [{filters: [{type: CORS, cors: {allowOrigins: "
		    "[app.test]}}]}]}\n",
	 "spec.rules[0].filters[0].cors.allowOrigins[0]", "not an origin"},
	{ROUTE_HEAD "spec: {rules: [{filters: [{type: CORS, cors: {allowMethods: [get]}}]}]}\n",
	 "spec.rules[0].filters[0].cors.allowMethods[0]", "not one of GET"},
	{ROUTE_HEAD "spec: {rules: [{filters: [{type: CORS, cors: {allowHeaders: ['a b']}}]}]}\n",
	 "spec.rules[0].filters[0].cors.allowHeaders[0]", "not a header name"},
	{ROUTE_HEAD "spec: {rules: [{filters: [{type: CORS, cors: {maxAge: 0}}]}]}\n",
	 "spec.rules[0].filters[0].cors.maxAge", "not between 1"},
	{ROUTE_HEAD
	 "spec: {rules: [{filters: [{type: CORS, cors: {}}, {type: CORS, cors: {}}]}]}\n",
	 "spec.rules[0].filters[1].type", "once"},
	{ROUTE_HEAD "spec: {rules: [{filters: [{type: CORS, cors: {}}, {type: "
		    "ResponseHeaderModifier, responseHeaderModifier: {set: [{name: "
		    "Access-Control-Max-Age, value: '1'}]}}]}]}\n",
	 "spec.rules[0].filters[1].responseHeaderModifier", "the rule's CORS filter"},
	{ROUTE_HEAD "spec: {rules: [{retry: {codes: [500, 600]}}]}\n",
	 "spec.rules[0].retry.codes[1]", "not between 400 and 599"},
	{ROUTE_HEAD "spec: {rules: [{retry: {codes: [500, 502, 500]}}]}\n",
	 "spec.rules[0].retry.codes[2]", "twice"},
	{ROUTE_HEAD "spec: {rules: [{retry: {codes: ['500']}}]}\n", "spec.rules[0].retry.codes[0]",
	 "not a whole number"},
	{ROUTE_HEAD "spec: {rules: [{retry: {attempts: -1}}]}\n", "spec.rules[0].retry.attempts",
	 "not between 0"},
	{ROUTE_HEAD "spec: {rules: [{retry: {backoff: soon}}]}\n", "spec.rules[0].retry.backoff",
	 "not a duration"},
	{ROUTE_HEAD "spec: {rules: [{matches: [{path: {value: v1}}]}]}\n",
	 "spec.rules[0].matches[0].path.value", "begin with /"},
	{ROUTE_HEAD "spec: {rules: [{matches: [{path: {type: Prefix, value: /}}]}]}\n",
	 "spec.rules[0].matches[0].path.type", "not one of Exact, PathPrefix"},
	{ROUTE_HEAD "spec: {rules: [{matches: [{method: get}]}]}\n",
	 "spec.rules[0].matches[0].method", "not one of GET"},
	{ROUTE_HEAD "spec: {rules: [{matches: [{headers: [{name: 'a b', value: c}]}]}]}\n",
	 "spec.rules[0].matches[0].headers[0].name", "not a header name"},
	{ROUTE_HEAD
	 "spec: {rules: [{filters: [{type: RequestHeaderModifier, requestHeaderModifier: "
	 "{set: [{name: a, value: \"b\\r\\nc: d\"}]}}]}]}\n",
	 "spec.rules[0].filters[0].requestHeaderModifier.set[0].value", "control character"},
	{ROUTE_HEAD
	 "spec: {rules: [{filters: [{type: RequestHeaderModifier, requestHeaderModifier: "
	 "{add: [{name: Transfer-encoding, value: chunked}]}}]}]}\n",
	 "spec.rules[0].filters[0].requestHeaderModifier.add[0].name", "frames messages"},
	{ROUTE_HEAD
	 "spec: {rules: [{filters: [{type: RequestHeaderModifier, requestHeaderModifier: "
	 "{set: [{name: host, value: b}]}}]}]}\n",
	 "spec.rules[0].filters[0].requestHeaderModifier.set[0].name", "urlRewrite.hostname"},
	{ROUTE_HEAD
	 "spec: {rules: [{filters: [{type: RequestHeaderModifier, requestHeaderModifier: "
	 "{set: [{name: X-Gateway-Model-Name, value: b}]}}]}]}\n",
	 "spec.rules[0].filters[0].requestHeaderModifier.set[0].name", "by the gateway alone"},
	{ROUTE_HEAD
	 "spec: {rules: [{filters: [{type: ResponseHeaderModifier, responseHeaderModifier: "
	 "{remove: [Content-Length]}}]}]}\n",
	 "spec.rules[0].filters[0].responseHeaderModifier.remove", "frames messages"},
	{ROUTE_HEAD "spec: {rules: [{filters: [{type: URLRewrite, urlRewrite: {path: {type: "
		    "ReplaceFullPath}}}]}]}\n",
	 "spec.rules[0].filters[0].urlRewrite.path.replaceFullPath", "missing"},
	{ROUTE_HEAD "spec: {rules: [{matches: [{path: {type: Exact, value: /}}], filters: [{type: "
		    "URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, "
		    "replacePrefixMatch: /x}}}]}]}\n",
	 "spec.rules[0].matches[0].path.type", "must be PathPrefix"},
	{ROUTE_HEAD
	 "spec: {rules: [{filters: [{type: RequestRedirect, requestRedirect: {statusCode: "
	 "305}}]}]}\n",
	 "spec.rules[0].filters[0].requestRedirect.statusCode", "not one of 301"},
	{ROUTE_HEAD "spec: {hostnames: [Example.com]}\n", "spec.hostnames[0]", "lower case"},
	{"apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\n"
	 "spec: {gatewayClassName: c, listeners: [{name: a, port: 80, protocol: HTTP}, "
	 "{name: a, port: 81, protocol: HTTP}]}\n",
	 "Gateway default/g: spec.listeners[1].name", "another listener"},
};

static void what_is_wrong_names_line_object_and_field(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct decoded decoded = {0};

		decoded_add(&decoded, "f.yaml", refused[i].text);
		assert_int_equal(decoded.objects.count, 0);
		if (decoded.messages.count != 1 ||
		    !messages_say(&decoded.messages, "f.yaml:", refused[i].field, refused[i].why)) {
			messages_print(&decoded.messages);
			fail_msg("no single message has \"%s\" and \"%s\"", refused[i].field,
				 refused[i].why);
		}
		decoded_deinit(&decoded);
	}
}

static void durations_follow_gep_2257(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{"0s", 0},	    {"10s", 10000},  {"1h30m", 5400000}, {"1h2m3s4ms", 3723004},
		{"99999ms", 99999}, {"", -1},	     {"10", -1},	 {"1.5s", -1},
		{"-1s", -1},	    {"100000s", -1}, {"1s1s1s1s1s", -1}, {"1us", -1},
		{"1d", -1},	    {" 1s", -1},     {"s", -1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t ms = -1;

		assert_int_equal(duration_parse(cases[i].text, &ms) == 0, cases[i].ms >= 0);
		assert_int_equal(ms, cases[i].ms);
	}
}

static void origins_are_a_scheme_a_host_and_a_port(void **state)
{
	static const char *const good[] = {
		"*",
		"https://a.test",
		"http://a.test:8080",
		"https://*.a.test",
		"https://*.a.test:1",
		"http://*",
		"https://*:8443",
		"http://10.0.0.1",
		"http://localhost",
		"http://A.test",
	};
	static const char *const bad[] = {
		"",
		"a.test",
		"ftp://a.test",
		"https://",
		"https://*a.test",
		"https://a.*.test",
		"https://a.test/",
		"https://a.test:",
		"https://a.test:x",
		"https://a.test:123456",
		"https://a b",
		"https://*.",
		"https://a.test:80/",
		"httpss://a.test",
		"**",
		"http:/a.test",
		"https://.a.test",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		if (text_check_origin(good[i]))
			fail_msg("\"%s\" is refused", good[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (!text_check_origin(bad[i]))
			fail_msg("\"%s\" is taken", bad[i]);
	}
}

static void times_are_read_in_any_zone(void **state)
{
	uint64_t seconds;

	(void)state;
	assert_int_equal(time_parse("2026-01-01T00:00:00Z", &seconds), 0);
	assert_int_equal(seconds, 1767225600);
	assert_int_equal(time_parse("2026-01-01T02:00:00.123+02:00", &seconds), 0);
	assert_int_equal(seconds, 1767225600);
	assert_int_equal(time_parse("2026-01-01", &seconds), -EINVAL);
	assert_int_equal(time_parse("2026-01-01T00:00:00", &seconds), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_route_is_read_with_its_defaults),
		cmocka_unit_test(both_generations_of_pools_become_one_struct),
		cmocka_unit_test(a_list_is_expanded),
		cmocka_unit_test(kinds_of_no_use_are_counted_and_unknown_ones_named),
		cmocka_unit_test(what_is_wrong_names_line_object_and_field),
		cmocka_unit_test(durations_follow_gep_2257),
		cmocka_unit_test(origins_are_a_scheme_a_host_and_a_port),
		cmocka_unit_test(times_are_read_in_any_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
