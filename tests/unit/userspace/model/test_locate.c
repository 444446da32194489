/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths and where they say the model is.  (The reference table: test_request.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "userspace/base/cleanup.h"
#include "userspace/model/locate.h"

static enum model_place place(const char *method, const char *path)
{
	struct model_facts facts;
	const struct path_row *row;

	return model_locate(method, strlen(method), path, strlen(path), &facts, &row);
}

static void openai_paths_carry_the_model_in_the_body(void **state)
{
	(void)state;
	assert_int_equal(place("POST", "/v1/chat/completions"), MODEL_PLACE_BODY);
	assert_int_equal(place("POST", "/v1/completions?x=/v1/models"), MODEL_PLACE_BODY);
	assert_int_equal(place("POST", "/team/a/v1/chat/completions"), MODEL_PLACE_BODY);
	assert_int_equal(place("GET", "/v1/chat/completions"), MODEL_PLACE_NONE);
	assert_int_equal(place("GET", "/v1/models"), MODEL_PLACE_MODELS);
	assert_int_equal(place("POST", "/generate"), MODEL_PLACE_NONE);
	assert_int_equal(place("POST", "/x?/v1/chat/completions"), MODEL_PLACE_NONE);
	assert_int_equal(place("POST", "/x/tokenize"), MODEL_PLACE_NONE);
	assert_int_equal(place("POST", ""), MODEL_PLACE_NONE);
}

static void escaped_paths_are_what_servers_take_them_for(void **state)
{
	(void)state;
	assert_int_equal(place("POST", "/v1/chat/completion%73"), MODEL_PLACE_BODY);
	assert_int_equal(place("POST", "/v1%2Fchat/completions"), MODEL_PLACE_BODY);
	assert_int_equal(place("POST", "/%73leep"), MODEL_PLACE_BLOCKED);
}

static void paths_that_servers_read_in_different_ways_are_bad(void **state)
{
	static const char *const paths[] = {
		"/v1/chat/completion%7",
		"/v1/chat/%zz",
		"/a%00b",
		"/a%0d%0ab",
		"/../metrics",
		"/v1/./models",
		"/v1/%2e%2e/metrics",
		"/v1/x/..",
		"/%2E",
		"/a%7f",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(paths); i++)
		if (place("POST", paths[i]) != MODEL_PLACE_BAD)
			fail_msg("%s is not bad", paths[i]);
	assert_int_equal(place("GET", "/v1/models/a..b/.c/..d"), MODEL_PLACE_PATH);
	assert_int_equal(place("GET", "/x?y=/../%"), MODEL_PLACE_NONE);
}

static void servers_own_switches_are_blocked_for_every_method(void **state)
{
	(void)state;
	assert_int_equal(place("GET", "/metrics"), MODEL_PLACE_BLOCKED);
	assert_int_equal(place("POST", "/sleep?level=1"), MODEL_PLACE_BLOCKED);
	assert_int_equal(place("PUT", "/v1/load_lora_adapter"), MODEL_PLACE_BLOCKED);
	assert_int_equal(place("GET", "/metrics/"), MODEL_PLACE_BLOCKED);
	assert_int_equal(place("GET", "/slots/0?action=save"), MODEL_PLACE_BLOCKED);
	assert_int_equal(place("GET", "/metricsx"), MODEL_PLACE_NONE);
}

static void paths_longer_than_the_buffer_are_nothing(void **state)
{
	static char path[4000];

	(void)state;
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	memcpy(path + sizeof(path) - 21, "/v1/chat/completions", 21);
	assert_int_equal(place("POST", path), MODEL_PLACE_NONE);
}

static void model_is(const char *path, const char *name, const char *version)
{
	struct model_facts facts;
	const struct path_row *row;

	if (model_locate("POST", 4, path, strlen(path), &facts, &row) != MODEL_PLACE_PATH ||
	    strcmp(facts.name, name) || strcmp(facts.version, version))
		fail_msg("%s: \"%s\" \"%s\"", path, facts.name, facts.version);
}

static void paths_name_models_and_versions(void **state)
{
	(void)state;
	model_is("/v2/models/a%2Fb/versions/x/infer", "a/b", "x");
	model_is("/v2/models/a:b/infer", "a:b", "");
	model_is("/v1/models/a:b:predict", "a:b", "");
	model_is("/V1/Models/A/Labels/Stable:Classify", "A", "Stable");
	model_is("/predictions/v1/score", "v1", "score");
	model_is("/v2%2Fmodels/a/infer", "a", "");
	assert_int_equal(place("POST", "/v1/models/a:predictx"), MODEL_PLACE_NONE);
	assert_int_equal(place("POST", "/v1/models/a:predict/"), MODEL_PLACE_NONE);
	assert_int_equal(place("POST", "/v1/models/a/versions/:predict"), MODEL_PLACE_NONE);
	assert_int_equal(place("POST", "/v1/models/:predict"), MODEL_PLACE_BAD);
	assert_int_equal(place("POST", "/v2/models/a/versions//infer"), MODEL_PLACE_BAD);
	assert_int_equal(place("GET", "/v1/models/a//b"), MODEL_PLACE_NONE);
	assert_int_equal(place("GET", "/v1/models/"), MODEL_PLACE_NONE);
}

/* Some servers split at slashes before they decode, some after. */
static void an_escaped_slash_with_two_meanings_is_bad(void **state)
{
	(void)state;
	assert_int_equal(place("POST", "/v2/models/a%2Fversions%2F3/infer"), MODEL_PLACE_BAD);
	assert_int_equal(place("POST", "/predictions/a%2Fb"), MODEL_PLACE_BAD);
	assert_int_equal(place("POST", "/v2/models/a%2F..%2Fb/infer"), MODEL_PLACE_BAD);
	assert_int_equal(place("POST", "/slots%2F0"), MODEL_PLACE_BLOCKED);
}

static void names_and_versions_have_a_limit(void **state)
{
	static char path[4096];
	char *p;

	(void)state;
	p = stpcpy(path, "/predictions/");
	memset(p, 'm', MODEL_NAME_MAX);
	assert_int_equal(place("POST", path), MODEL_PLACE_PATH);
	p[MODEL_NAME_MAX] = 'm';
	assert_int_equal(place("POST", path), MODEL_PLACE_BAD);
	memset(path, 0, sizeof(path));
	p = stpcpy(path, "/predictions/m/");
	memset(p, '1', MODEL_VERSION_MAX);
	assert_int_equal(place("POST", path), MODEL_PLACE_PATH);
	p[MODEL_VERSION_MAX] = '1';
	assert_int_equal(place("POST", path), MODEL_PLACE_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(openai_paths_carry_the_model_in_the_body),
		cmocka_unit_test(escaped_paths_are_what_servers_take_them_for),
		cmocka_unit_test(paths_that_servers_read_in_different_ways_are_bad),
		cmocka_unit_test(servers_own_switches_are_blocked_for_every_method),
		cmocka_unit_test(paths_longer_than_the_buffer_are_nothing),
		cmocka_unit_test(paths_name_models_and_versions),
		cmocka_unit_test(an_escaped_slash_with_two_meanings_is_bad),
		cmocka_unit_test(names_and_versions_have_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
