/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths and where they say the model is; with the reference table where it is
 * there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/shared_data.h"
#include "userspace/base/cleanup.h"
#include "userspace/model/locate.h"

static enum model_place place(const char *method, const char *path)
{
	return model_place_find(method, strlen(method), path, strlen(path));
}

static void openai_paths_carry_the_model_in_the_body(void **state)
{
	(void)state;
	assert_int_equal(place("POST", "/v1/chat/completions"), MODEL_PLACE_BODY);
	assert_int_equal(place("POST", "/v1/completions?x=/v1/models"), MODEL_PLACE_BODY);
	assert_int_equal(place("POST", "/team/a/v1/chat/completions"), MODEL_PLACE_BODY);
	assert_int_equal(place("GET", "/v1/chat/completions"), MODEL_PLACE_NONE);
	assert_int_equal(place("GET", "/v1/models"), MODEL_PLACE_NONE);
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
	assert_int_equal(place("GET", "/v1/models/a..b/.c/..d"), MODEL_PLACE_NONE);
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
	static char path[2000];

	(void)state;
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	memcpy(path + sizeof(path) - 21, "/v1/chat/completions", 21);
	assert_int_equal(place("POST", path), MODEL_PLACE_NONE);
}

/* Rows whose model is elsewhere (form, path, proto) are not read in this
 * version: they must at least not be taken for a JSON body.  Some bad paths are
 * bad only for those who read a model there. */
static bool is_what_row_says(enum model_place got, const char *source)
{
	if (!strcmp(source, "err:bad_path"))
		return got == MODEL_PLACE_BAD || got == MODEL_PLACE_NONE;
	if (!strcmp(source, "body"))
		return got == MODEL_PLACE_BODY;
	return got == (strcmp(source, "blocked") ? MODEL_PLACE_NONE : MODEL_PLACE_BLOCKED);
}

static void the_reference_paths_are_where_their_table_says(void **state)
{
	size_t length;
	_cleanup_free_ char *table = shared_read("model-servers/paths.tsv", &length);
	char *rest = table, *row[3];

	(void)state;
	if (!table)
		skip();
	shared_row(&rest, row, 3); /* the heading */
	while (shared_row(&rest, row, 3)) {
		if (!is_what_row_says(place(row[0], row[1]), row[2]))
			fail_msg("%s %s: %d, should be %s", row[0], row[1], place(row[0], row[1]),
				 row[2]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(openai_paths_carry_the_model_in_the_body),
		cmocka_unit_test(escaped_paths_are_what_servers_take_them_for),
		cmocka_unit_test(paths_that_servers_read_in_different_ways_are_bad),
		cmocka_unit_test(servers_own_switches_are_blocked_for_every_method),
		cmocka_unit_test(paths_longer_than_the_buffer_are_nothing),
		cmocka_unit_test(the_reference_paths_are_where_their_table_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
