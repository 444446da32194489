// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/proxy/route.h"

/* Routes are written with ' for ", to stay readable here. */
static struct snapshot *snapshot_from(const char *routes)
{
	struct snapshot *snapshot = NULL;
	char text[8192];

	snprintf(text, sizeof(text),
		 "{'version':1,'generation':1,"
		 "'clusters':[{'id':0,'name':'a','region':'eu'}],"
		 "'pools':[{'id':0,'name':'ai/p','kind':'InferencePool'}],"
		 "'listeners':["
		 "{'gateway':'i/g','name':'any','addr':'10.99.0.1','port':80},"
		 "{'gateway':'i/g','name':'wild','addr':'10.99.0.1','port':80,"
		 "'hostname':'*.example.com'},"
		 "{'gateway':'i/g','name':'one','addr':'10.99.0.1','port':80,"
		 "'hostname':'api.example.com'},"
		 "{'gateway':'i/g','name':'other','addr':'10.99.0.2','port':8080}],"
		 "'objectives':[{'name':'batch','namespace_':'ai','pool':'ai/p','priority':-10}],"
		 "'base_models':[{'model':'lora-1','base':'llama'}],"
		 "'routes':[%s]}",
		 routes);
	for (char *c = text; *c; c++) {
		if (*c == '\'')
			*c = '"';
	}
	assert_int_equal(snapshot_parse(text, strlen(text), "test", &snapshot), 0);
	return snapshot;
}

struct asked {
	const char *addr; /* NULL: 10.99.0.1 */
	uint16_t port; /* 0: 80 */
	const char *host;
	const char *method; /* NULL: POST */
	const char *target; /* NULL: / */
	const char *model;
	const char *base_model;
	const char *header_name, *header_value;
	const char *header2_name, *header2_value;
	bool any_model;
};

static struct http_span span(const char *text)
{
	return (struct http_span){text, strlen(text)};
}

static enum route_verdict ask(const struct snapshot *snapshot, const struct asked *asked,
			      struct route_choice *ret_choice)
{
	static struct http_head head;
	struct route_request request = {
		.port = asked->port ? asked->port : 80,
		.host = asked->host ? asked->host : "",
		.method = span(asked->method ? asked->method : "POST"),
		.head = &head,
		.model = asked->model,
		.base_model = asked->base_model,
		.any_model = asked->any_model,
	};

	head.header_count = 0;
	if (asked->header_name)
		head.headers[head.header_count++] =
			(struct http_header){span(asked->header_name), span(asked->header_value)};
	if (asked->header2_name)
		head.headers[head.header_count++] =
			(struct http_header){span(asked->header2_name), span(asked->header2_value)};
	assert_int_equal(address_parse(asked->addr ? asked->addr : "10.99.0.1", &request.addr), 0);
	assert_null(route_target_split(span(asked->target ? asked->target : "/"), &request.path,
				       &request.query));
	return route_match(snapshot, &request, ret_choice);
}

#define BACKENDS "'backends':[{'pool':0,'weight':1,'name':'ai/p'}]"
#define ROUTE(name, more, rules)                                                                   \
	"{'name':'ai/" name "','listeners':[0,1,2]," more "'rules':[" rules "]}"
#define RULE(name, match) "{'name':'" name "','matches':[{" match "}]," BACKENDS "}"
#define PREFIX(path) "'path_type':'PathPrefix','path':'" path "'"
#define EXACT(path) "'path_type':'Exact','path':'" path "'"
#define REGEX(path) "'path_type':'RegularExpression','path':'" path "'"
#define HEADER(name, value) "{'type':'Exact','name':'" name "','value':'" value "'}"

struct route_case {
	const char *text;
	const char *routes;
	struct asked asked;
	const char *route; /* of the rule that must win, NULL: none */
	const char *rule;
};

static const struct route_case cases[] = {
	{"a path prefix matches whole elements only",
	 ROUTE("r", "", RULE("foo", PREFIX("/foo"))),
	 {.target = "/foobar"},
	 NULL,
	 NULL},
	{"a path prefix matches itself",
	 ROUTE("r", "", RULE("foo", PREFIX("/foo"))),
	 {.target = "/foo"},
	 "ai/r",
	 "foo"},
	{"a path prefix matches below itself",
	 ROUTE("r", "", RULE("foo", PREFIX("/foo"))),
	 {.target = "/foo/bar?x=1"},
	 "ai/r",
	 "foo"},
	{"a trailing slash of a prefix does not count",
	 ROUTE("r", "", RULE("foo", PREFIX("/foo/"))),
	 {.target = "/foo"},
	 "ai/r",
	 "foo"},
	{"paths are case-sensitive",
	 ROUTE("r", "", RULE("foo", PREFIX("/foo"))),
	 {.target = "/Foo"},
	 NULL,
	 NULL},
	{"an exact path wins over a longer prefix",
	 ROUTE("r", "",
	       RULE("prefix", PREFIX("/v1/chat") ",'method':'POST'") "," RULE("exact",
									      EXACT("/v1/chat"))),
	 {.target = "/v1/chat"},
	 "ai/r",
	 "exact"},
	{"the longest prefix wins",
	 ROUTE("r", "", RULE("short", PREFIX("/v1")) "," RULE("long", PREFIX("/v1/chat"))),
	 {.target = "/v1/chat/completions"},
	 "ai/r",
	 "long"},
	{"a prefix wins over a regular expression",
	 ROUTE("r", "", RULE("regex", REGEX("/v1/[a-z]+")) "," RULE("prefix", PREFIX("/v1"))),
	 {.target = "/v1/chat"},
	 "ai/r",
	 "prefix"},
	{"a regular expression matches the whole path",
	 ROUTE("r", "", RULE("regex", REGEX("/v[0-9]"))),
	 {.target = "/v1/chat"},
	 NULL,
	 NULL},
	{"a method wins over no method",
	 ROUTE("r", "",
	       RULE("any", PREFIX("/v1")) "," RULE("post", PREFIX("/v1") ",'method':'POST'")),
	 {.target = "/v1"},
	 "ai/r",
	 "post"},
	{"another method does not match",
	 ROUTE("r", "", RULE("post", PREFIX("/v1") ",'method':'POST'")),
	 {.target = "/v1", .method = "GET"},
	 NULL,
	 NULL},
	{"more headers win over fewer",
	 ROUTE("r", "",
	       RULE("one", PREFIX("/") ",'headers':[" HEADER("a", "1") "]") "," RULE(
		       "two",
		       PREFIX("/") ",'headers':[" HEADER("a", "1") "," HEADER("b", "2") "]")),
	 {.header_name = "A", .header_value = "1", .header2_name = "b", .header2_value = "2"},
	 "ai/r",
	 "two"},
	{"a longer path wins over more headers",
	 ROUTE("r", "",
	       RULE("headers", PREFIX("/v1") ",'headers':[" HEADER("a", "1") "]") "," RULE(
		       "path", PREFIX("/v1/chat"))),
	 {.target = "/v1/chat", .header_name = "a", .header_value = "1"},
	 "ai/r",
	 "path"},
	{"a header value is compared with case",
	 ROUTE("r", "", RULE("h", PREFIX("/") ",'headers':[" HEADER("a", "One") "]")),
	 {.header_name = "a", .header_value = "one"},
	 NULL,
	 NULL},
	{"a header may match a regular expression",
	 ROUTE("r", "",
	       RULE("h", PREFIX("/") ",'headers':[{'type':'RegularExpression','name':'a',"
				     "'value':'o.e'}]")),
	 {.header_name = "a", .header_value = "one"},
	 "ai/r",
	 "h"},
	{"more query parameters win over fewer",
	 ROUTE("r", "",
	       RULE("none", PREFIX("/")) "," RULE(
		       "one",
		       PREFIX("/") ",'queries':[{'type':'Exact','name':'k','value':'v w'}]")),
	 {.target = "/?x&k=v%20w"},
	 "ai/r",
	 "one"},
	{"the first of two equal query parameters counts",
	 ROUTE("r", "",
	       RULE("one", PREFIX("/") ",'queries':[{'type':'Exact','name':'k','value':'v'}]")),
	 {.target = "/?k=w&k=v"},
	 NULL,
	 NULL},
	{"the model comes from the gateway",
	 ROUTE("r", "",
	       RULE("m", PREFIX("/") ",'headers':[" HEADER("x-gateway-model-name", "gemma") "]")),
	 {.model = "gemma"},
	 "ai/r",
	 "m"},
	{"a client's own model header does not count",
	 ROUTE("r", "",
	       RULE("m", PREFIX("/") ",'headers':[" HEADER("x-gateway-model-name", "gemma") "]")),
	 {.header_name = "X-Gateway-Model-Name", .header_value = "gemma"},
	 NULL,
	 NULL},
	{"a client's other gateway headers do not count either",
	 ROUTE("r", "", RULE("m", PREFIX("/") ",'headers':[" HEADER("x-gateway-x", "1") "]")),
	 {.header_name = "X-Gateway-X", .header_value = "1"},
	 NULL,
	 NULL},
	{"the base model can be matched",
	 ROUTE("r", "",
	       RULE("m",
		    PREFIX("/") ",'headers':[" HEADER("x-gateway-base-model-name", "llama") "]")),
	 {.model = "lora-1", .base_model = "llama"},
	 "ai/r",
	 "m"},
	{"asking for any model finds the route of another one",
	 ROUTE("r", "",
	       RULE("m", PREFIX("/v1") ",'headers':[" HEADER("x-gateway-model-name", "gemma") "]")),
	 {.model = "nope", .any_model = true, .target = "/v1/chat"},
	 "ai/r",
	 "m"},
	{"asking for any model still looks at the path",
	 ROUTE("r", "",
	       RULE("m", PREFIX("/v1") ",'headers':[" HEADER("x-gateway-model-name", "gemma") "]")),
	 {.model = "nope", .any_model = true, .target = "/v2"},
	 NULL,
	 NULL},
	{"an exact hostname wins over a wildcard",
	 "{'name':'ai/w','listeners':[0],'hostnames':['*.org'],'rules':[" RULE(
		 "w",
		 EXACT("/")) "]},"
			     "{'name':'ai/e','listeners':[0],'hostnames':['a.org'],'rules':[" RULE(
				     "e", PREFIX("/")) "]}",
	 {.host = "a.org"},
	 "ai/e",
	 "e"},
	{"the longer wildcard wins",
	 "{'name':'ai/s','listeners':[0],'hostnames':['*.org'],'rules':[" RULE(
		 "s",
		 EXACT("/")) "]},"
			     "{'name':'ai/l','listeners':[0],'hostnames':['*.b.org'],'rules':[" RULE(
				     "l", PREFIX("/")) "]}",
	 {.host = "a.b.org"},
	 "ai/l",
	 "l"},
	{"a wildcard needs a label in its place",
	 "{'name':'ai/w','listeners':[0],'hostnames':['*.org'],'rules':[" RULE("w",
									       PREFIX("/")) "]}",
	 {.host = ".org"},
	 NULL,
	 NULL},
	{"any hostname loses against a named one",
	 ROUTE("any", "",
	       RULE("any",
		    EXACT("/"))) ","
				 "{'name':'ai/e','listeners':[0],'hostnames':['a.org'],'rules':[" RULE(
					 "e", PREFIX("/")) "]}",
	 {.host = "a.org"},
	 "ai/e",
	 "e"},
	{"the most specific listener serves alone",
	 "{'name':'ai/wild','listeners':[1],'rules':[" RULE(
		 "w", EXACT("/")) "]},"
				  "{'name':'ai/one','listeners':[2],'rules':[" RULE(
					  "o", PREFIX("/")) "]}",
	 {.host = "api.example.com"},
	 "ai/one",
	 "o"},
	{"a wildcard listener wins over one for any host",
	 "{'name':'ai/any','listeners':[0],'rules':[" RULE(
		 "a", EXACT("/")) "]},"
				  "{'name':'ai/wild','listeners':[1],'rules':[" RULE(
					  "w", PREFIX("/")) "]}",
	 {.host = "x.example.com"},
	 "ai/wild",
	 "w"},
	{"a route of another listener does not match",
	 "{'name':'ai/r','listeners':[3],'rules':[" RULE("x", PREFIX("/")) "]}",
	 {.host = "x.test"},
	 NULL,
	 NULL},
	{"the older route wins",
	 ROUTE("a", "'created_at':200,", RULE("young", PREFIX("/"))) "," ROUTE(
		 "z", "'created_at':100,", RULE("old", PREFIX("/"))),
	 {0},
	 "ai/z",
	 "old"},
	{"a route of unknown age is the youngest",
	 ROUTE("a", "'created_at':0,", RULE("unknown", PREFIX("/"))) "," ROUTE(
		 "z", "'created_at':100,", RULE("old", PREFIX("/"))),
	 {0},
	 "ai/z",
	 "old"},
	{"of equal age the first name wins",
	 ROUTE("z", "", RULE("z", PREFIX("/"))) "," ROUTE("a", "", RULE("a", PREFIX("/"))),
	 {0},
	 "ai/a",
	 "a"},
	{"within a route the first rule wins",
	 ROUTE("r", "", RULE("first", PREFIX("/")) "," RULE("second", PREFIX("/"))),
	 {0},
	 "ai/r",
	 "first"},
	{"any of a rule's matches will do",
	 ROUTE("r", "",
	       "{'name':'two','matches':[{" EXACT("/a") "},{" EXACT("/b") "}]," BACKENDS "}"),
	 {.target = "/b"},
	 "ai/r",
	 "two"},
};

static void rules_win_as_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(snapshot_freep) struct snapshot *snapshot =
			snapshot_from(cases[i].routes);
		struct route_choice choice = {0};
		enum route_verdict verdict = ask(snapshot, &cases[i].asked, &choice);

		if (!cases[i].route) {
			if (verdict == ROUTE_OK)
				fail_msg("%s: matched %s", cases[i].text, choice.rule->name);
			continue;
		}
		if (verdict != ROUTE_OK)
			fail_msg("%s: nothing matched", cases[i].text);
		if (strcmp(choice.route->name, cases[i].route) ||
		    strcmp(choice.rule->name, cases[i].rule))
			fail_msg("%s: %s %s won", cases[i].text, choice.route->name,
				 choice.rule->name);
	}
}

static void an_address_without_listener_is_told_apart(void **state)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot =
		snapshot_from(ROUTE("r", "", RULE("x", PREFIX("/"))));
	struct route_choice choice;

	(void)state;
	assert_int_equal(ask(snapshot, &(struct asked){.addr = "10.99.0.9"}, &choice),
			 ROUTE_NO_LISTENER);
	assert_int_equal(ask(snapshot, &(struct asked){.port = 81}, &choice), ROUTE_NO_LISTENER);
	assert_int_equal(ask(snapshot, &(struct asked){.addr = "10.99.0.2", .port = 8080}, &choice),
			 ROUTE_NO_ROUTE);
}

static void backends_share_by_weight(void **state)
{
	struct snapshot_backend backends[] = {{.weight = 90}, {.weight = 0}, {.weight = 10}};
	struct snapshot_rule rule = {.backends = backends, .backend_count = 3, .weight_sum = 100};
	unsigned int given[3] = {0};

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		given[route_backend(&rule, i)]++;
	assert_int_equal(given[0], 900);
	assert_int_equal(given[1], 0);
	assert_int_equal(given[2], 100);
	rule.weight_sum = 0;
	assert_true(route_backend(&rule, 5) == SIZE_MAX);
}

static void targets_that_could_fool_a_route_are_refused(void **state)
{
	static const char *const bad[] = {
		"",	     "*",    "http://x/", "/a/../b", "/..",   "/a/.",	 "/%2e%2e/admin",
		"/a/.%2E/b", "/a b", "/a#b",	  "/a/%2e",  "/./v1", "v1/chat",
	};
	static const char *const good[] = {
		"/", "/a/..b", "/...", "/a/.b", "/v1/models/a%2Fb?x=..", "/v1/?q=/../x", "/%2e%2ea",
	};
	struct http_span path, query;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (!route_target_split(span(bad[i]), &path, &query))
			fail_msg("%s was taken", bad[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		if (route_target_split(span(good[i]), &path, &query))
			fail_msg("%s was refused", good[i]);
	}
	assert_null(route_target_split(span("/a?b?c"), &path, &query));
	assert_true(http_span_equal(path, "/a"));
	assert_true(http_span_equal(query, "b?c"));
}

static void hosts_lose_their_port_and_case(void **state)
{
	static const char *const pairs[][2] = {
		{"API.Example.com:8080", "api.example.com"},
		{"api.example.com.", "api.example.com"},
		{"[2001:DB8::1]:80", "[2001:db8::1]"},
		{"[::1]", "[::1]"},
		{"", ""},
	};
	char host[HOST_MAX], long_host[HOST_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		assert_true(route_host_normalize(span(pairs[i][0]), host));
		assert_string_equal(host, pairs[i][1]);
	}
	memset(long_host, 'a', HOST_MAX);
	long_host[HOST_MAX] = '\0';
	assert_false(route_host_normalize(span(long_host), host));
}

static void paths_are_rewritten(void **state)
{
	static const struct {
		enum rewrite_type type;
		const char *prefix, *to, *target, *expected;
	} rows[] = {
		{REWRITE_NONE, "/", NULL, "/v1/chat?x=1", "/v1/chat?x=1"},
		{REWRITE_FULL_PATH, "/", "/new", "/v1/chat?x=1", "/new?x=1"},
		{REWRITE_PREFIX, "/foo", "/xyz", "/foo/bar", "/xyz/bar"},
		{REWRITE_PREFIX, "/foo", "/xyz/", "/foo/bar", "/xyz/bar"},
		{REWRITE_PREFIX, "/foo/", "/xyz", "/foo/bar", "/xyz/bar"},
		{REWRITE_PREFIX, "/foo", "/xyz", "/foo", "/xyz"},
		{REWRITE_PREFIX, "/foo", "/", "/foo/bar", "/bar"},
		{REWRITE_PREFIX, "/foo", "/", "/foo", "/"},
		{REWRITE_PREFIX, "/foo", "/", "/foo/", "/"},
		{REWRITE_PREFIX, "/", "/v1", "/chat", "/v1/chat"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct snapshot_match match = {.path_type = MATCH_PREFIX, .path = rows[i].prefix};
		struct snapshot_rule rule = {
			.filters = {.rewrite_type = rows[i].type, .rewrite_path = rows[i].to}};
		struct route_choice choice = {
			.rule = &rule, .match = &match, .filters = &rule.filters};
		struct http_span path, query;
		char buffer[64];
		struct text text = TEXT_INIT(buffer);

		assert_null(route_target_split(span(rows[i].target), &path, &query));
		route_path_rewrite(&choice, path, query, &text);
		assert_string_equal(buffer, rows[i].expected);
	}
}

static void redirects_name_scheme_host_and_port(void **state)
{
	static const struct {
		struct snapshot_filters filters;
		const char *expected;
	} rows[] = {
		{{.redirect_scheme = "https"}, "https://h.test/a/b?q"},
		{{.redirect_host = "d.test"}, "http://d.test:8080/a/b?q"},
		{{.redirect_port = 80}, "http://h.test/a/b?q"},
		{{.redirect_scheme = "https", .redirect_port = 8443}, "https://h.test:8443/a/b?q"},
		{{.redirect_path_type = REWRITE_FULL_PATH, .redirect_path = "/n"},
		 "http://h.test:8080/n?q"},
		{{.redirect_path_type = REWRITE_PREFIX, .redirect_path = "/n"},
		 "http://h.test:8080/n/b?q"},
	};
	struct snapshot_match match = {.path_type = MATCH_PREFIX, .path = "/a"};
	struct route_request request = {
		.port = 8080, .host = "h.test", .path = span("/a/b"), .query = span("q")};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct snapshot_rule rule = {.filters = rows[i].filters};
		struct route_choice choice = {
			.rule = &rule, .match = &match, .filters = &rule.filters};
		char buffer[128];
		struct text text = TEXT_INIT(buffer);

		route_redirect_location(&choice, &request, &text);
		assert_string_equal(buffer, rows[i].expected);
	}
}

static void objectives_and_base_models_are_looked_up(void **state)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot =
		snapshot_from(ROUTE("r", "", RULE("x", PREFIX("/"))));

	(void)state;
	assert_string_equal(route_base_model(snapshot, "lora-1"), "llama");
	assert_null(route_base_model(snapshot, "other"));
	assert_int_equal(route_priority(snapshot, "ai/p", span("batch")), -10);
	assert_int_equal(route_priority(snapshot, "ai/q", span("batch")), 0);
	assert_int_equal(route_priority(snapshot, "ai/p", span("bat")), 0);
}

static void a_model_is_served_under_the_name_that_its_pool_has(void **state)
{
	static const char *names[] = {"food", "fare"};
	static struct snapshot_rewrite_target half[] = {{"f1", 30}, {"f2", 70}};
	static struct snapshot_rewrite_target same[] = {{"food", 1}}, all[] = {{"rest", 1}};
	struct snapshot_rewrite rewrites[] = {
		{.model_count = 2,
		 .models = names,
		 .target_count = 2,
		 .targets = half,
		 .weight_sum = 100},
		{.model_count = 1,
		 .models = names,
		 .target_count = 1,
		 .targets = same,
		 .weight_sum = 1},
		{.target_count = 1, .targets = all, .weight_sum = 1},
	};
	struct snapshot_pool pool = {.rewrite_count = 3, .rewrites = rewrites};
	unsigned first = 0;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		const char *name = route_served_name(&pool, "fare", i);

		assert_true(name == half[0].model || name == half[1].model);
		first += name == half[0].model;
	}
	assert_int_equal(first, 300);
	assert_string_equal(route_served_name(&pool, "other", 7), "rest");
	assert_null(route_served_name(&pool, "rest", 7)); /* that is its name already */
	pool.rewrite_count = 2;
	assert_null(route_served_name(&pool, "other", 7));
	pool.rewrites = rewrites + 1;
	assert_null(route_served_name(&pool, "food", 7));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_win_as_the_table_says),
		cmocka_unit_test(an_address_without_listener_is_told_apart),
		cmocka_unit_test(backends_share_by_weight),
		cmocka_unit_test(targets_that_could_fool_a_route_are_refused),
		cmocka_unit_test(hosts_lose_their_port_and_case),
		cmocka_unit_test(paths_are_rewritten),
		cmocka_unit_test(redirects_name_scheme_host_and_port),
		cmocka_unit_test(objectives_and_base_models_are_looked_up),
		cmocka_unit_test(a_model_is_served_under_the_name_that_its_pool_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
