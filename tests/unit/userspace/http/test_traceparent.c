// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "userspace/base/cleanup.h"
#include "userspace/http/traceparent.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

/* The value ends at the end of an allocation, so that a byte too many is seen by ASan. */
static bool read_id(const char *value, char id[TRACE_ID_LENGTH + 1])
{
	_cleanup_free_ char *copy = malloc(strlen(value) + !*value);
	struct http_head head = {.header_count = 1};

	assert_non_null(copy);
	memcpy(copy, value, strlen(value));
	head.headers[0].name = (struct http_span){"TraceParent", 11};
	head.headers[0].value = (struct http_span){copy, strlen(value)};
	return traceparent_id(&head, id);
}

static void valid_headers_give_their_trace(void **state)
{
	static const char *const valid[] = {
		"00-" TRACE "-" PARENT "-01",
		"00-" TRACE "-" PARENT "-ff",
		"01-" TRACE "-" PARENT "-01",
		"cc-" TRACE "-" PARENT "-01-what the future will be like",
	};
	char id[TRACE_ID_LENGTH + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(valid); i++) {
		assert_true(read_id(valid[i], id));
		assert_string_equal(id, TRACE);
	}
}

static void invalid_headers_give_none(void **state)
{
	static const char *const invalid[] = {
		"",
		"00",
		"00-" TRACE "-" PARENT,
		"00-" TRACE "-" PARENT "-0",
		"00-" TRACE "-" PARENT "-01-more",
		"00-" TRACE "-" PARENT "-01.",
		"01-" TRACE "-" PARENT "-01.more",
		"ff-" TRACE "-" PARENT "-01",
		"0x-" TRACE "-" PARENT "-01",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
		"00-00000000000000000000000000000000-" PARENT "-01",
		"00-" TRACE "-0000000000000000-01",
		"00-" TRACE "-" PARENT "-0g",
		"00_" TRACE "-" PARENT "-01",
		"00-" TRACE "_" PARENT "-01",
		"00-" TRACE "-" PARENT "_01",
	};
	char id[TRACE_ID_LENGTH + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(invalid); i++) {
		if (read_id(invalid[i], id))
			fail_msg("%s", invalid[i]);
		assert_string_equal(id, "");
	}
}

static void two_headers_are_no_trace(void **state)
{
	static const char value[] = "00-" TRACE "-" PARENT "-01";
	struct http_head head = {.header_count = 2};
	char id[TRACE_ID_LENGTH + 1];

	(void)state;
	for (size_t i = 0; i < 2; i++)
		head.headers[i] =
			(struct http_header){{"traceparent", 11}, {value, sizeof(value) - 1}};
	assert_false(traceparent_id(&head, id));
	head.header_count = 0;
	assert_false(traceparent_id(&head, id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_headers_give_their_trace),
		cmocka_unit_test(invalid_headers_give_none),
		cmocka_unit_test(two_headers_are_no_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
