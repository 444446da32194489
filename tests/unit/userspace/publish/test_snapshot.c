// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/harness/said.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/file.h"
#include "userspace/base/log.h"
#include "userspace/publish/snapshot.h"

static int setup(void **state)
{
	(void)state;
	said[0] = '\0';
	log_sink = said_keep;
	return 0;
}

/* One of everything. */
static const char full[] =
	"{\"generation\":18446744073709551615,\"written_at\":5,"
	"\"clusters\":[{\"id\":63,\"name\":\"cluster-a\",\"region\":\"europe-west4\"}],"
	"\"pools\":[{\"id\":0,\"name\":\"ai/gemma\",\"kind\":\"InferencePoolImport\","
	"\"endpoints\":[{\"id\":16383,\"generation\":7,\"cluster\":0}],\"drain_timeout_ms\":5000,"
	"\"rewrites\":[{\"name\":\"ai/w\",\"models\":[\"food-review\"],\"targets\":["
	"{\"model\":\"food-review-1\",\"weight\":90},{\"model\":\"food-review-2\",\"weight\":10}]}]},"
	"{\"id\":2047,\"name\":\"ai/llama\",\"kind\":\"Service\",\"drain_timeout_ms\":0}],"
	"\"listeners\":[{\"gateway\":\"infra/gw\",\"name\":\"http\",\"addr\":\"10.99.0.1\",\"port\":80},"
	"{\"gateway\":\"infra/gw\",\"name\":\"six\",\"addr\":\"2001:db8::1\",\"port\":8080,"
	"\"hostname\":\"*.example.com\"}],"
	"\"routes\":[{\"name\":\"ai/models\",\"created_at\":1767225600,\"hostnames\":[\"a.example.com\"],"
	"\"listeners\":[0,1],\"rules\":[{\"name\":\"ab\",\"matches\":[{\"path_type\":\"PathPrefix\","
	"\"path\":\"/v1\",\"method\":\"POST\",\"headers\":[{\"type\":\"Exact\","
	"\"name\":\"x-gateway-model-name\",\"value\":\"gemma\"}],\"queries\":[{"
	"\"type\":\"RegularExpression\",\"name\":\"v\",\"value\":\"[0-9]+\"}]},"
	"{\"path_type\":\"RegularExpression\",\"path\":\"/(a|b)/.*\"}],"
	"\"filters\":{\"request_set\":[{\"name\":\"X-A\",\"value\":\"1\"}],"
	"\"request_add\":[{\"name\":\"X-B\",\"value\":\"2\"}],\"request_remove\":[\"X-C\"],"
	"\"response_set\":[{\"name\":\"X-D\",\"value\":\"3\"}],"
	"\"response_add\":[{\"name\":\"X-E\",\"value\":\"4\"}],\"response_remove\":[\"X-F\"],"
	"\"rewrite_type\":\"ReplacePrefixMatch\",\"rewrite_path\":\"/\",\"rewrite_host\":\"h.test\","
	"\"redirect_status\":302,\"redirect_scheme\":\"https\",\"redirect_host\":\"d.test\","
	"\"redirect_path\":\"/x\",\"redirect_path_type\":\"ReplaceFullPath\",\"redirect_port\":8443,"
	"\"mirrors\":[{\"pool\":1,\"name\":\"ai/llama\",\"numerator\":1,\"denominator\":8}]},"
	"\"backends\":[{\"pool\":0,\"weight\":90,\"name\":\"ai/gemma\"},"
	"{\"weight\":10,\"name\":\"ai/gone\",\"filters\":{\"request_set\":[{\"name\":\"X-G\","
	"\"value\":\"5\"}],\"redirect_status\":0,\"redirect_port\":0}}],"
	"\"request_timeout_ms\":600000,"
	"\"backend_timeout_ms\":500,\"retry\":{\"codes\":[500,503],\"attempts\":7,"
	"\"backoff_ms\":100},\"cors\":{\"origins\":[\"https://*.a.test\"],"
	"\"methods\":[\"PUT\"],\"headers\":[\"*\"],\"expose\":[\"X-Id\"],"
	"\"credentials\":true,\"max_age_s\":60},\"persistence\":{\"type\":\"Cookie\","
	"\"name\":\"s\",\"absolute_s\":3600,\"idle_s\":60,\"lifetime\":\"Permanent\"}}]}],"
	"\"objectives\":[{\"name\":\"batch\",\"namespace_\":\"ai\",\"pool\":\"ai/gemma\","
	"\"priority\":-10}],"
	"\"base_models\":[{\"model\":\"food-review-1\",\"base\":\"llama-3-8b\"}],\"version\":1}";

static void every_member_survives_a_round_trip(void **state)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;
	_cleanup_free_ char *written = NULL;
	char path[] = "/tmp/sluice-snapshot-XXXXXX";
	size_t length;
	struct stat st;
	int fd;

	(void)state;
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	assert_int_equal(snapshot_parse(full, strlen(full), "full", &snapshot), 0);
	assert_int_equal(snapshot_write(snapshot, path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0137, 0);
	assert_int_equal(file_read(path, SNAPSHOT_BYTES_MAX, &written, &length), 0);
	unlink(path);
	assert_string_equal(written, full);
}

static void what_is_read_means_what_was_written(void **state)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;
	const struct snapshot_rule *rule;
	struct ip_addr vip;

	(void)state;
	assert_int_equal(snapshot_parse(full, strlen(full), "full", &snapshot), 0);
	assert_int_equal(address_parse("10.99.0.1", &vip), 0);
	assert_true(address_equal(&snapshot->listeners[0].addr, &vip));
	assert_null(snapshot->listeners[0].hostname);
	rule = &snapshot->routes[0].rules[0];
	assert_int_equal(rule->weight_sum, 100);
	assert_int_equal(snapshot->pools[0].rewrites[0].weight_sum, 100);
	assert_string_equal(snapshot->pools[0].rewrites[0].models[0], "food-review");
	assert_int_equal(snapshot->pools[1].rewrite_count, 0);
	assert_int_equal(rule->backends[0].pool, 0);
	assert_int_equal(rule->backends[1].pool, POOL_NONE);
	assert_int_equal(rule->matches[0].path_type, MATCH_PREFIX);
	assert_null(rule->matches[0].path_regex);
	assert_int_equal(regexec(rule->matches[0].queries[0].regex, "42", 0, NULL, 0), 0);
	/* expressions match the whole text */
	assert_int_not_equal(regexec(rule->matches[0].queries[0].regex, "42x", 0, NULL, 0), 0);
	assert_int_equal(regexec(rule->matches[1].path_regex, "/b/", 0, NULL, 0), 0);
	assert_int_equal(rule->filters.redirect_port, 8443);
	assert_null(rule->backends[0].filters);
	assert_string_equal(rule->backends[1].filters->request_set[0].name, "X-G");
	assert_int_equal(rule->retry->code_count, 2);
	assert_int_equal(rule->retry->codes[1], 503);
	assert_int_equal(rule->retry->attempts, 7);
	assert_int_equal(rule->retry->backoff_ms, 100);
	assert_string_equal(rule->cors->origins[0], "https://*.a.test");
	assert_true(rule->cors->credentials);
	assert_int_equal(rule->cors->max_age_s, 60);
	assert_int_equal(rule->filters.rewrite_type, REWRITE_PREFIX);
	assert_int_equal(snapshot->objectives[0].priority, -10);
	assert_int_equal(snapshot->pools[1].endpoint_count, 0);
}

static void an_empty_snapshot_can_be_written_and_read(void **state)
{
	_cleanup_(snapshot_freep) struct snapshot *empty = NULL;
	_cleanup_(snapshot_freep) struct snapshot *read = NULL;
	char path[] = "/tmp/sluice-snapshot-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(snapshot_new(&empty), 0);
	assert_int_equal(snapshot_write(empty, path), 0);
	assert_int_equal(snapshot_read(path, &read), 0);
	unlink(path);
	assert_int_equal(read->route_count, 0);
}

static void a_missing_file_is_no_error_to_shout_about(void **state)
{
	struct snapshot *snapshot = NULL;

	(void)state;
	assert_int_equal(snapshot_read("/nonexistent/routes.json", &snapshot), -ENOENT);
	assert_string_equal(said, "");
	assert_null(snapshot);
}

static void a_directory_that_cannot_be_written_is_named(void **state)
{
	_cleanup_(snapshot_freep) struct snapshot *empty = NULL;

	(void)state;
	assert_int_equal(snapshot_new(&empty), 0);
	assert_int_equal(snapshot_write(empty, "/nonexistent/routes.json"), -ENOENT);
	assert_non_null(strstr(said, "/nonexistent/routes.json"));
}

#define LISTENER                                                                                   \
	"\"listeners\":[{\"gateway\":\"g\",\"name\":\"l\",\"addr\":\"10.0.0.1\",\"port\":80}]"
#define POOL_REWRITE(rewrite)                                                                      \
	"{\"version\":1,\"generation\":1,\"pools\":[{\"id\":1,\"name\":\"p\",\"kind\":\"k\","      \
	"\"rewrites\":[" rewrite "]}]}"
#define RULE(members) ROUTE("\"listeners\":[0],\"rules\":[{" members "}]")
#define ROUTE(members)                                                                             \
	"{\"version\":1,\"generation\":1," LISTENER ",\"routes\":[{\"name\":\"ai/r\"," members "}]}"
#define MATCHES "\"matches\":[{\"path_type\":\"PathPrefix\",\"path\":\"/\"}]"
#define FILTERS(members) RULE(MATCHES ",\"filters\":{" members "}")

static const struct hostile {
	const char *json;
	const char *message; /* part of it */
} hostile[] = {
	{"", "not JSON"},
	{"{\"version\":1", "not JSON"},
	{"[]", "not an object"},
	{"null", "not JSON"},
	{"{\"version\":1,\"generation\":1}x", "not JSON"},
	{"{\"generation\":1}", "version: missing"},
	{"{\"version\":2,\"generation\":1}", "version: 2, and this program reads 1"},
	{"{\"version\":1}", "generation: missing"},
	{"{\"version\":1,\"generation\":-1}", "generation: not a whole number"},
	{"{\"version\":1,\"generation\":1.5}", "generation: not a whole number"},
	{"{\"version\":1,\"generation\":1,\"extra\":0}", "extra: unknown member"},
	{"{\"version\":1,\"generation\":1,\"pools\":{}}", "pools: not an array"},
	{"{\"version\":1,\"generation\":1,\"pools\":[1]}", "pools[0]: not an object"},
	{"{\"version\":1,\"generation\":1,\"pools\":[{\"id\":2048,\"name\":\"p\",\"kind\":\"k\"}]}",
	 "pools[0].id: 2048 is above 2047"},
	{"{\"version\":1,\"generation\":1,\"pools\":[{\"id\":1,\"name\":\"p\",\"kind\":\"k\"},"
	 "{\"id\":1,\"name\":\"q\",\"kind\":\"k\"}]}",
	 "pools[1].id: two pools have this id"},
	{"{\"version\":1,\"generation\":1,\"pools\":[{\"id\":1,\"name\":\"p\",\"kind\":\"k\","
	 "\"endpoints\":[{\"id\":1,\"generation\":1,\"cluster\":0}]}]}",
	 "pools[0].endpoints[0].cluster: there is no such cluster"},
	{"{\"version\":1,\"generation\":1,\"pools\":[{\"id\":1,\"name\":\"p\",\"kind\":\"k\","
	 "\"endpoints\":[{\"id\":16384,\"generation\":1,\"cluster\":0}]}]}",
	 "pools[0].endpoints[0].id: 16384 is above 16383"},
	{"{\"version\":1,\"generation\":1,\"clusters\":[{\"id\":1,\"name\":\"a\\u0000b\","
	 "\"region\":\"\"}]}",
	 "clusters[0].name: it contains a NUL"},
	{"{\"version\":1,\"generation\":1,\"clusters\":[{\"id\":1,\"name\":\"a\",\"region\":\"\"},"
	 "{\"id\":1,\"name\":\"b\",\"region\":\"\"}]}",
	 "clusters[1].id: two clusters"},
	{"{\"version\":1,\"generation\":1,\"clusters\":[{\"id\":1,\"name\":null,\"region\":\"\"}]}",
	 "clusters[0].name: missing"},
	{"{\"version\":1,\"generation\":1,\"listeners\":[{\"gateway\":\"g\",\"name\":\"l\","
	 "\"addr\":\"10.0.0\",\"port\":80}]}",
	 "listeners[0].addr: \"10.0.0\" is not an IP address"},
	{"{\"version\":1,\"generation\":1,\"listeners\":[{\"gateway\":\"g\",\"name\":\"l\","
	 "\"addr\":\"10.0.0.1\",\"port\":65536}]}",
	 "listeners[0].port: 65536 is above 65535"},
	{"{\"version\":1,\"generation\":1,\"listeners\":[{\"gateway\":\"g\",\"name\":\"l\","
	 "\"addr\":\"10.0.0.1\",\"port\":0}]}",
	 "listeners[0].port: 0 is not a port"},
	{RULE(MATCHES ",\"persistence\":{\"type\":\"Cookie\",\"name\":\"a;b\"}"),
	 "rules[0].persistence.name: not a name of a cookie or header"},
	{RULE(MATCHES
	      ",\"persistence\":{\"type\":\"Cookie\",\"name\":\"a\",\"lifetime\":\"Permanent\"}"),
	 "rules[0].persistence.absolute_s: a permanent cookie needs it"},
	{FILTERS("\"mirrors\":[{\"pool\":0,\"name\":\"a/b\",\"numerator\":1,\"denominator\":1}]"),
	 "rules[0].filters.mirrors[0].pool: there is no such pool"},
	{POOL_REWRITE("{\"name\":\"w\",\"targets\":[]}"),
	 "pools[0].rewrites[0].targets: a rewrite needs at least one"},
	{POOL_REWRITE("{\"name\":\"w\",\"targets\":[{\"model\":\"a\",\"weight\":0}]}"),
	 "pools[0].rewrites[0].targets[0].weight: 0 is not a weight here"},
	{POOL_REWRITE("{\"name\":\"w\",\"targets\":[{\"model\":\"a\\r\\nb\",\"weight\":1}]}"),
	 "pools[0].rewrites[0].targets[0].model: not a model's name"},
	{POOL_REWRITE(
		 "{\"name\":\"w\",\"models\":[\"\"],\"targets\":[{\"model\":\"a\",\"weight\":1}]}"),
	 "pools[0].rewrites[0].models[0]: not a model's name"},
	{ROUTE("\"listeners\":[1],\"rules\":[]"),
	 "routes[0].listeners[0]: there is no such listener"},
	{ROUTE("\"listeners\":[\"a\"],\"rules\":[]"),
	 "routes[0].listeners[0].listeners: not a whole"},
	{ROUTE("\"listeners\":[],\"rules\":[],\"hostnames\":[\"A.test\"]"),
	 "routes[0].hostnames[0]: not a host name"},
	{RULE("\"matches\":[]"), "routes[0].rules[0].matches: a rule needs at least one"},
	{RULE("\"matches\":[{\"path_type\":\"Prefix\",\"path\":\"/\"}]"),
	 "routes[0].rules[0].matches[0].path_type: \"Prefix\" is not a value of it"},
	{RULE("\"matches\":[{\"path_type\":\"Exact\",\"path\":\"v1\"}]"),
	 "matches[0].path: it does not begin with /"},
	{RULE("\"matches\":[{\"path_type\":\"RegularExpression\",\"path\":\"(\"}]"),
	 "matches[0].path: a '(' is not closed"},
	{RULE("\"matches\":[{\"path_type\":\"Exact\",\"path\":\"/\",\"method\":\"G T\"}]"),
	 "matches[0].method: not an HTTP method"},
	{RULE("\"matches\":[{\"path_type\":\"Exact\",\"path\":\"/\",\"headers\":[{\"type\":\"Exact\","
	      "\"name\":\"X-A\",\"value\":\"\"}]}]"),
	 "matches[0].headers[0].name: not a header name in lower case"},
	{RULE(MATCHES ",\"backends\":[{\"pool\":0,\"weight\":1,\"name\":\"a/b\"}]"),
	 "rules[0].backends[0].pool: there is no such pool"},
	{RULE(MATCHES ",\"backends\":[{\"weight\":1000001,\"name\":\"a/b\"}]"),
	 "backends[0].weight: 1000001 is above 1000000"},
	{RULE(MATCHES ",\"retry\":{\"codes\":[500,399]}"),
	 "rules[0].retry.codes[1]: not between 400 and 599"},
	{RULE(MATCHES ",\"retry\":{\"attempts\":8}"), "rules[0].retry.attempts: 8 is above 7"},
	{RULE(MATCHES ",\"cors\":{\"origins\":[\"https://A.test\"]}"),
	 "rules[0].cors.origins[0]: not an origin in lower case"},
	{RULE(MATCHES ",\"cors\":{\"origins\":[\"a.test\"]}"),
	 "rules[0].cors.origins[0]: not an origin"},
	{RULE(MATCHES ",\"cors\":{\"headers\":[\"X-A\",\"b\\r\\nc: d\"]}"),
	 "rules[0].cors.headers[1]: not a name of a header"},
	{RULE(MATCHES ",\"cors\":{\"methods\":[\"G T\"]}"), "rules[0].cors.methods[0]: not a name"},
	{RULE(MATCHES ",\"cors\":{\"expose\":[\"\"]}"), "rules[0].cors.expose[0]: not a name"},
	{RULE(MATCHES ",\"cors\":{\"credentials\":1}"),
	 "rules[0].cors.credentials: neither true nor false"},
	{RULE(MATCHES ",\"retry\":[]"), "rules[0].retry: not an object"},
	{FILTERS("\"request_set\":[{\"name\":\"X-A\",\"value\":\"a\\r\\nX-B: b\"}]"),
	 "filters.request_set[0].value: a header value must not contain control characters"},
	{RULE(MATCHES ",\"backends\":[{\"weight\":1,\"name\":\"a/b\",\"filters\":{"
		      "\"response_add\":[{\"name\":\"X A\",\"value\":\"\"}]}}]"),
	 "rules[0].backends[0].filters.response_add[0].name: not a header name"},
	{FILTERS("\"response_remove\":[\"X A\"]"), "filters.response_remove[0]: not a header name"},
	{FILTERS("\"redirect_status\":200"), "filters.redirect_status: not one of 301"},
	{FILTERS("\"redirect_scheme\":\"ftp\""), "filters.redirect_scheme: neither http nor https"},
	{FILTERS("\"redirect_host\":\"a b\""), "filters.redirect_host: not a host name"},
	{FILTERS("\"rewrite_type\":\"ReplaceFullPath\""), "filters.rewrite_path: missing"},
	{FILTERS("\"rewrite_type\":\"ReplaceFullPath\",\"rewrite_path\":\"/a b\""),
	 "filters.rewrite_path: not a path"},
};

static void hostile_input_is_refused_and_the_member_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		struct snapshot *snapshot = NULL;
		size_t length = strlen(hostile[i].json);
		/* no NUL behind it, so that a sanitizer sees a byte too far */
		_cleanup_free_ char *exact = malloc(length ? length : 1);

		assert_non_null(exact);
		memcpy(exact, hostile[i].json, length);
		said[0] = '\0';
		assert_int_equal(snapshot_parse(exact, length, "routes.json", &snapshot), -EBADMSG);
		assert_null(snapshot);
		if (!strstr(said, hostile[i].message) || strncmp(said, "routes.json: ", 13) != 0)
			fail_msg("\"%s\" says \"%s\", not \"%s\"", hostile[i].json, said,
				 hostile[i].message);
	}
}

static void truncation_at_any_byte_is_refused(void **state)
{
	(void)state;
	for (size_t length = 0; length < strlen(full); length += 7) {
		struct snapshot *snapshot = NULL;

		assert_int_equal(snapshot_parse(full, length, "cut", &snapshot), -EBADMSG);
		assert_null(snapshot);
	}
}

static void deep_nesting_is_refused(void **state)
{
	struct snapshot *snapshot = NULL;
	char deep[4096];

	(void)state;
	memset(deep, '[', sizeof(deep));
	assert_int_equal(snapshot_parse(deep, sizeof(deep), "deep", &snapshot), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_member_survives_a_round_trip, setup),
		cmocka_unit_test_setup(what_is_read_means_what_was_written, setup),
		cmocka_unit_test_setup(an_empty_snapshot_can_be_written_and_read, setup),
		cmocka_unit_test_setup(a_missing_file_is_no_error_to_shout_about, setup),
		cmocka_unit_test_setup(a_directory_that_cannot_be_written_is_named, setup),
		cmocka_unit_test_setup(hostile_input_is_refused_and_the_member_named, setup),
		cmocka_unit_test_setup(truncation_at_any_byte_is_refused, setup),
		cmocka_unit_test_setup(deep_nesting_is_refused, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
