// SPDX-License-Identifier: BSD-2-Clause
/* HTTPRoutes as they are written, and which rule of them a request meets: the clauses
 * of the Gateway API one by one, from YAML through the snapshot to the choice.  Each
 * case names its clause; of two routes or rules the one that would lose by everything
 * that comes later stands where it must win, so that only the clause decides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/userspace/sources/decoded.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/proxy/route.h"
#include "userspace/sources/desired.h"

/* Four listeners on one port, one on another. */
static const char gateway[] =
	"apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: c}\n"
	"spec: {controllerName: x/y}\n---\n"
	"apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n"
	"metadata: {name: gw, namespace: ai}\nspec:\n  gatewayClassName: c\n"
	"  addresses: [{value: 10.0.0.1}]\n  listeners:\n"
	"  - {name: any, protocol: HTTP, port: 80, allowedRoutes: {namespaces: {from: All}}}\n"
	"  - {name: wild, protocol: HTTP, port: 80, hostname: '*.a.test'}\n"
	"  - {name: wilder, protocol: HTTP, port: 80, hostname: '*.b.a.test'}\n"
	"  - {name: one, protocol: HTTP, port: 80, hostname: x.a.test}\n"
	"  - {name: other, protocol: HTTP, port: 8080}\n";

/* `meta` and `spec` are more members, with a comma before and behind. */
#define ROUTE_AT(listener, namespace, name, meta, spec, rules)                                     \
	"---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"                         \
	"metadata: {name: " name ", namespace: " namespace meta                                    \
		"}\n"                                                                              \
		"spec: {parentRefs: [{name: gw, namespace: ai" listener "}], " spec                \
		"rules: [" rules "]}\n"
#define ANY ", sectionName: any"
#define ROUTE(name, meta, spec, rules) ROUTE_AT(ANY, "ai", name, meta, spec, rules)
#define BORN(year) ", creationTimestamp: '" year "-01-01T00:00:00Z'"
#define HOSTS(list) "hostnames: [" list "], "
#define RULE(name, matches) "{name: " name ", matches: [" matches "]}"
#define EXACT(path) "path: {type: Exact, value: " path "}"
#define PREFIX(path) "path: {value: " path "}"
#define REGEX(path) "path: {type: RegularExpression, value: '" path "'}"
#define HEADERS(list) "headers: [" list "]"
#define QUERIES(list) "queryParams: [" list "]"
#define PAIR(name, value) "{name: " name ", value: '" value "'}"
#define PAIR_REGEX(name, value) "{name: " name ", value: '" value "', type: RegularExpression}"

struct precedence_case {
	const char *clause;
	const char *routes;
	const char *method, *host, *target; /* NULL: GET, other.test, / */
	const char *headers; /* NULL: none */
	uint16_t port; /* 0: 80 */
	const char *winner; /* "namespace/route rule"; NULL: none, 404 */
};

static const struct precedence_case cases[] = {
	/* ---- hostnames of routes ---- */
	{"hostnames: an exact one wins over a longer wildcard, whatever the path",
	 ROUTE("a", BORN("2020"), HOSTS("'*.long.test'"), RULE("wild", "{" EXACT("/p") "}"))
		 ROUTE("b", BORN("2021"), HOSTS("h.long.test"), RULE("exact", "{" PREFIX("/") "}")),
	 .host = "h.long.test", .target = "/p", .winner = "ai/b exact"},
	{"hostnames: the longest wildcard wins over a shorter one",
	 ROUTE("a", BORN("2020"), HOSTS("'*.test'"), RULE("short", "{" EXACT("/p") "}"))
		 ROUTE("b", BORN("2021"), HOSTS("'*.long.test'"), RULE("long", "{}")),
	 .host = "h.long.test", .target = "/p", .winner = "ai/b long"},
	{"hostnames: a wildcard wins over none",
	 ROUTE("a", BORN("2020"), "", RULE("none", "{" EXACT("/p") "}"))
		 ROUTE("b", BORN("2021"), HOSTS("'*.test'"), RULE("wild", "{}")),
	 .host = "h.test", .target = "/p", .winner = "ai/b wild"},
	{"hostnames: of a route's own the one that fits best counts",
	 ROUTE("a", BORN("2020"), HOSTS("'*.long.test'"), RULE("wild", "{" EXACT("/p") "}"))
		 ROUTE("b", BORN("2021"), HOSTS("'*.test', h.long.test"), RULE("both", "{}")),
	 .host = "h.long.test", .target = "/p", .winner = "ai/b both"},
	{"hostnames: a wildcard stands for several labels",
	 ROUTE("a", "", HOSTS("'*.test'"), RULE("wild", "{}")), .host = "a.b.c.test",
	 .winner = "ai/a wild"},
	{"hostnames: a wildcard stands for one label at least",
	 ROUTE("a", "", HOSTS("'*.test'"), RULE("wild", "{}")), .host = "test", .winner = NULL},
	{"hostnames: no wildcard within a label",
	 ROUTE("a", "", HOSTS("'*.test'"), RULE("wild", "{}")), .host = "atest", .winner = NULL},
	{"hostnames: case and port of Host do not count",
	 ROUTE("a", "", HOSTS("h.test"), RULE("r", "{}")), .host = "H.Test:80", .winner = "ai/a r"},
	{"hostnames: what a better one does not match falls to the next",
	 ROUTE("a", "", HOSTS("h.test"), RULE("exact", "{" EXACT("/p") "}"))
		 ROUTE("b", "", HOSTS("'*.test'"), RULE("wild", "{}")),
	 .host = "h.test", .target = "/q", .winner = "ai/b wild"},

	/* ---- hostnames of listeners ---- */
	{"listeners: an exact hostname wins over a wildcard, over the routes' precedence",
	 ROUTE_AT(", sectionName: wild", "ai", "a", BORN("2020"), HOSTS("x.a.test"),
		  RULE("wild", "{" EXACT("/p") "}"))
		 ROUTE_AT(", sectionName: one", "ai", "b", BORN("2021"), "", RULE("one", "{}")),
	 .host = "x.a.test", .target = "/p", .winner = "ai/b one"},
	{"listeners: the longest wildcard wins over a shorter one",
	 ROUTE_AT(", sectionName: wild", "ai", "a", BORN("2020"), "",
		  RULE("w", "{" EXACT("/p") "}"))
		 ROUTE_AT(", sectionName: wilder", "ai", "b", "", "", RULE("wilder", "{}")),
	 .host = "y.b.a.test", .target = "/p", .winner = "ai/b wilder"},
	{"listeners: a wildcard wins over none",
	 ROUTE_AT(ANY, "ai", "a", BORN("2020"), HOSTS("y.a.test"), RULE("any", "{" EXACT("/p") "}"))
		 ROUTE_AT(", sectionName: wild", "ai", "b", "", "", RULE("wild", "{}")),
	 .host = "y.a.test", .target = "/p", .winner = "ai/b wild"},
	{"listeners: the best one's routes alone are asked",
	 ROUTE_AT(ANY, "ai", "a", "", "", RULE("any", "{}"))
		 ROUTE_AT(", sectionName: one", "ai", "b", "", "", RULE("p", "{" EXACT("/p") "}")),
	 .host = "x.a.test", .target = "/q", .winner = NULL},
	{"listeners: only what both hostnames cover",
	 ROUTE_AT(", sectionName: wild", "ai", "a", "", HOSTS("y.a.test, z.test"), RULE("r", "{}")),
	 .host = "z.test", .winner = NULL},
	{"listeners: the route's wildcard is cut to the listener's name",
	 ROUTE_AT(", sectionName: one", "ai", "a", "", HOSTS("'*.a.test'"), RULE("r", "{}")),
	 .host = "x.a.test", .winner = "ai/a r"},
	{"listeners: ... and no wider",
	 ROUTE_AT(", sectionName: one", "ai", "a", "", HOSTS("'*.a.test'"), RULE("r", "{}")),
	 .host = "w.a.test", .winner = NULL},
	{"listeners: without a section a route is on all of them",
	 ROUTE_AT("", "ai", "a", "", "", RULE("r", "{}")), .host = "x.a.test", .port = 80,
	 .winner = "ai/a r"},
	{"listeners: ... of every port", ROUTE_AT("", "ai", "a", "", "", RULE("r", "{}")),
	 .port = 8080, .winner = "ai/a r"},
	{"listeners: a parentRef may name the port",
	 ROUTE_AT(", port: 8080", "ai", "a", "", "", RULE("r", "{}")), .port = 80, .winner = NULL},
	{"listeners: routes of one port are not those of another",
	 ROUTE_AT(", sectionName: other", "ai", "a", "", "", RULE("r", "{}")), .port = 8080,
	 .winner = "ai/a r"},

	/* ---- paths ---- */
	{"paths: Exact wins over the longest prefix with all else",
	 ROUTE("r", "", "",
	       RULE("prefix", "{" PREFIX("/p/q") ", method: GET, " HEADERS(PAIR(
				      "A", "1")) "}") ", " RULE("exact", "{" EXACT("/p/q") "}")),
	 .target = "/p/q", .headers = "A: 1\r\n", .winner = "ai/r exact"},
	{"paths: the longest prefix wins over a shorter one with all else",
	 ROUTE("r", "", "",
	       RULE("short", "{" PREFIX("/p") ", method: GET, " HEADERS(PAIR(
				     "A", "1")) "}") ", " RULE("long", "{" PREFIX("/p/q") "}")),
	 .target = "/p/q/s", .headers = "A: 1\r\n", .winner = "ai/r long"},
	{"paths: a prefix ends with an element",
	 ROUTE("r", "", "", RULE("p", "{" PREFIX("/p") "}")), .target = "/pq", .winner = NULL},
	{"paths: a prefix is its own element", ROUTE("r", "", "", RULE("p", "{" PREFIX("/p/") "}")),
	 .target = "/p", .winner = "ai/r p"},
	{"paths: the query is no part of an exact one",
	 ROUTE("r", "", "", RULE("p", "{" EXACT("/p") "}")), .target = "/p?x=/q",
	 .winner = "ai/r p"},
	{"paths: case counts", ROUTE("r", "", "", RULE("p", "{" EXACT("/p") "}")), .target = "/P",
	 .winner = NULL},
	{"paths: an exact one ends without a slash",
	 ROUTE("r", "", "", RULE("p", "{" EXACT("/p") "}")), .target = "/p/", .winner = NULL},
	{"paths: a rule without matches takes all", ROUTE("r", "", "", "{name: all}"),
	 .target = "/any/thing", .winner = "ai/r all"},
	{"paths: a regular expression comes after any prefix (our choice)",
	 ROUTE("r", "", "",
	       RULE("regex", "{" REGEX("/p/[a-z]+") ", method: GET, " HEADERS(
				     PAIR("A", "1")) "}") ", " RULE("prefix", "{" PREFIX("/") "}")),
	 .target = "/p/q", .headers = "A: 1\r\n", .winner = "ai/r prefix"},
	{"paths: of two regular expressions the longer (our choice)",
	 ROUTE("r", "", "",
	       RULE("short", "{" REGEX("/p/.*") ", method: GET}") ", " RULE(
		       "long", "{" REGEX("/p/[a-z]+") "}")),
	 .target = "/p/q", .winner = "ai/r long"},
	{"paths: a regular expression is of the whole path (our choice)",
	 ROUTE("r", "", "", RULE("regex", "{" REGEX("/p") "}")), .target = "/p/q", .winner = NULL},

	/* ---- method, headers, query parameters ---- */
	{"method: one wins over any number of headers",
	 ROUTE("r", "", "",
	       RULE("headers", "{" HEADERS(PAIR("A", "1") ", " PAIR("B", "2")) "}") ", " RULE(
		       "method", "{method: GET}")),
	 .headers = "A: 1\r\nB: 2\r\n", .winner = "ai/r method"},
	{"method: another one does not match", ROUTE("r", "", "", RULE("m", "{method: PUT}")),
	 .winner = NULL},
	{"headers: more win over fewer with more query parameters",
	 ROUTE("r", "", "",
	       RULE("one", "{" HEADERS(PAIR("A", "1")) ", " QUERIES(PAIR("q", "1")) "}") ", " RULE(
		       "two", "{" HEADERS(PAIR("A", "1") ", " PAIR("B", "2")) "}")),
	 .target = "/?q=1", .headers = "A: 1\r\nB: 2\r\n", .winner = "ai/r two"},
	{"headers: all of a match must hold",
	 ROUTE("r", "", "", RULE("two", "{" HEADERS(PAIR("A", "1") ", " PAIR("B", "2")) "}")),
	 .headers = "A: 1\r\n", .winner = NULL},
	{"headers: names in any case, values in theirs",
	 ROUTE("r", "", "", RULE("h", "{" HEADERS(PAIR("X-Env", "Dev")) "}")),
	 .headers = "x-ENV: Dev\r\n", .winner = "ai/r h"},
	{"headers: ... values in theirs",
	 ROUTE("r", "", "", RULE("h", "{" HEADERS(PAIR("X-Env", "Dev")) "}")),
	 .headers = "X-Env: dev\r\n", .winner = NULL},
	{"headers: RegularExpression is of the whole value",
	 ROUTE("r", "", "", RULE("h", "{" HEADERS(PAIR_REGEX("A", "v[0-9]+")) "}")),
	 .headers = "A: v12\r\n", .winner = "ai/r h"},
	{"headers: ... and not of a part",
	 ROUTE("r", "", "", RULE("h", "{" HEADERS(PAIR_REGEX("A", "v[0-9]+")) "}")),
	 .headers = "A: v12x\r\n", .winner = NULL},
	{"headers: of entries with one name the first counts alone",
	 ROUTE("r", "", "", RULE("h", "{" HEADERS(PAIR("A", "1") ", " PAIR("a", "2")) "}")),
	 .headers = "A: 1\r\n", .winner = "ai/r h"},
	{"headers: ... and is one",
	 ROUTE("r", "", "",
	       RULE("first", "{" HEADERS(PAIR("A", "1")) "}") ", " RULE(
		       "twice", "{" HEADERS(PAIR("A", "1") ", " PAIR("a", "2")) "}")),
	 .headers = "A: 1\r\n", .winner = "ai/r first"},
	{"query: more win over fewer, over the routes' age",
	 ROUTE("a", BORN("2020"), "", RULE("one", "{" QUERIES(PAIR("q", "1")) "}"))
		 ROUTE("b", BORN("2021"), "",
		       RULE("two", "{" QUERIES(PAIR("q", "1") ", " PAIR("s", "2")) "}")),
	 .target = "/?s=2&q=1", .winner = "ai/b two"},
	{"query: all of a match must hold",
	 ROUTE("r", "", "", RULE("two", "{" QUERIES(PAIR("q", "1") ", " PAIR("s", "2")) "}")),
	 .target = "/?q=1", .winner = NULL},
	{"query: names and values in their case",
	 ROUTE("r", "", "", RULE("q", "{" QUERIES(PAIR("Q", "1")) "}")), .target = "/?q=1",
	 .winner = NULL},
	{"query: encoded ones are decoded",
	 ROUTE("r", "", "", RULE("q", "{" QUERIES(PAIR("q", "a b&c")) "}")),
	 .target = "/?q=a+b%26c", .winner = "ai/r q"},
	{"query: RegularExpression is of the whole value",
	 ROUTE("r", "", "", RULE("q", "{" QUERIES(PAIR_REGEX("q", "[ab]")) "}")), .target = "/?q=b",
	 .winner = "ai/r q"},
	{"query: ... and not of a part",
	 ROUTE("r", "", "", RULE("q", "{" QUERIES(PAIR_REGEX("q", "[ab]")) "}")),
	 .target = "/?q=bc", .winner = NULL},
	{"query: of entries with one name the first counts alone",
	 ROUTE("r", "", "", RULE("q", "{" QUERIES(PAIR("q", "1") ", " PAIR("q", "2")) "}")),
	 .target = "/?q=1", .winner = "ai/r q"},

	/* ---- ties ---- */
	{"ties: the oldest route, over its name",
	 ROUTE("a", BORN("2021"), "", RULE("young", "{}"))
		 ROUTE("b", BORN("2020"), "", RULE("old", "{}")),
	 .winner = "ai/b old"},
	{"ties: a route without a creationTimestamp is the youngest (our choice)",
	 ROUTE("a", "", "", RULE("unknown", "{}"))
		 ROUTE("b", BORN("2021"), "", RULE("known", "{}")),
	 .winner = "ai/b known"},
	{"ties: the first by namespace/name: the namespace",
	 ROUTE_AT(ANY, "team", "a", "", "", RULE("r", "{}"))
		 ROUTE_AT(ANY, "ai", "z", "", "", RULE("r", "{}")),
	 .winner = "ai/z r"},
	{"ties: the first by namespace/name: then the name",
	 ROUTE("z", "", "", RULE("r", "{}")) ROUTE("y", "", "", RULE("r", "{}")),
	 .winner = "ai/y r"},
	{"ties: the first rule of a route",
	 ROUTE("r", "", "", RULE("first", "{}") ", " RULE("second", "{}")), .winner = "ai/r first"},
	{"ties: the best match of a rule counts, not its first",
	 ROUTE("r", "", "",
	       RULE("first", "{" PREFIX("/p") "}") ", " RULE(
		       "second", "{" PREFIX("/") "}, {" EXACT("/p/q") "}")),
	 .target = "/p/q", .winner = "ai/r second"},
};

/* The snapshot that the controller would publish of these objects, read back. */
static struct snapshot *snapshot_of(const char *routes)
{
	_cleanup_(desired_freep) struct desired *desired = NULL;
	_cleanup_(snapshot_freep) struct snapshot *made = NULL;
	_cleanup_free_ char *text = NULL;
	struct snapshot *snapshot = NULL;
	struct decoded decoded = {0};
	size_t length;

	decoded_add(&decoded, "gateway.yaml", gateway);
	decoded_add(&decoded, "routes.yaml", routes);
	if (decoded.refused || decoded.messages.count) {
		messages_print(&decoded.messages);
		fail_msg("the test's own YAML is refused");
	}
	assert_int_equal(
		desired_resolve(&(struct desired_input){.config = {"config", &decoded.objects}},
				&desired),
		0);
	assert_int_equal(snapshot_new(&made), 0);
	made->listeners = snapshot_alloc(made, desired->listener_count, sizeof(*made->listeners));
	made->listener_count = desired->listener_count;
	for (size_t i = 0; i < desired->listener_count; i++) {
		const struct desired_listener *l = &desired->listeners[i];

		made->listeners[i] = (struct snapshot_listener){
			.gateway = l->gateway,
			.name = l->name,
			.addr = desired->vips[l->vip].addr,
			.port = desired->vips[l->vip].port,
			.hostname = l->hostname,
		};
	}
	made->routes = desired->routes;
	made->route_count = desired->route_count;
	assert_int_equal(snapshot_format(made, &text, &length), 0);
	assert_int_equal(snapshot_parse(text, length, "test", &snapshot), 0);
	decoded_deinit(&decoded);
	return snapshot;
}

/* "namespace/route rule", or NULL. */
static const char *winner_of(const struct snapshot *snapshot, const struct precedence_case *c)
{
	static char winner[256], host[HOST_MAX], text[1024];
	static struct http_head head;
	struct route_request request = {
		.port = c->port ? c->port : 80, .host = host, .head = &head};
	struct http_parser parser;
	struct route_choice choice;
	size_t length;

	snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n",
		 c->method ? c->method : "GET", c->target ? c->target : "/",
		 c->host ? c->host : "other.test", c->headers ? c->headers : "");
	http_parser_init(&parser, HTTP_REQUEST_MESSAGE);
	assert_int_equal(http_parser_head(&parser, text, strlen(text), &head, &length),
			 HTTP_PARSE_COMPLETE);
	request.method = head.method;
	assert_int_equal(address_parse("10.0.0.1", &request.addr), 0);
	assert_true(route_host_normalize(http_head_find(&head, "host")->value, host));
	assert_null(route_target_split(head.target, &request.path, &request.query));
	if (route_match(snapshot, &request, &choice) != ROUTE_OK)
		return NULL;
	snprintf(winner, sizeof(winner), "%s %s", choice.route->name, choice.rule->name);
	return winner;
}

static void a_request_meets_the_rule_that_the_specification_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(snapshot_freep) struct snapshot *snapshot = snapshot_of(cases[i].routes);
		const char *winner = winner_of(snapshot, &cases[i]);

		if (!winner != !cases[i].winner || (winner && strcmp(winner, cases[i].winner) != 0))
			fail_msg("%s: %s won", cases[i].clause, winner ? winner : "nothing");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_meets_the_rule_that_the_specification_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
