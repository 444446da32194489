// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <json-c/json.h>

#include "userspace/base/cleanup.h"
#include "userspace/proxy/error.h"

static char out[4096];

static const char *format(enum proxy_error error, struct proxy_error_detail detail)
{
	struct text text = TEXT_INIT(out);

	proxy_error_format(error, &detail, &text);
	assert_false(text.cut);
	return out;
}

static void every_error_is_an_answer_with_openais_shape(void **state)
{
	(void)state;
	for (int e = ERROR_NONE + 1; e < PROXY_ERROR_COUNT; e++) {
		const char *got = format((enum proxy_error)e, (struct proxy_error_detail){0});
		const char *body = strstr(got, "\r\n\r\n") + 4;
		struct json_object *root = json_tokener_parse(body), *error, *member;
		char line[64];

		snprintf(line, sizeof(line), "HTTP/1.1 %d ",
			 proxy_error_status((enum proxy_error)e));
		assert_int_equal(strncmp(got, line, strlen(line)), 0);
		snprintf(line, sizeof(line), "Content-Length: %zu\r\n", strlen(body));
		assert_non_null(strstr(got, line));
		assert_non_null(root);
		assert_true(json_object_object_get_ex(root, "error", &error));
		assert_true(json_object_object_get_ex(error, "message", &member));
		assert_true(json_object_get_string_len(member) > 0);
		assert_true(json_object_object_get_ex(error, "type", &member));
		assert_true(json_object_object_get_ex(error, "param", &member));
		assert_null(member);
		assert_true(json_object_object_get_ex(error, "code", &member));
		json_object_put(root);
	}
}

static void anthropics_clients_get_their_own_shape(void **state)
{
	static const struct {
		enum proxy_error error;
		int status;
		const char *type;
	} cases[] = {
		{ERROR_BAD_REQUEST, 400, "invalid_request_error"},
		{ERROR_BAD_BODY, 400, "invalid_request_error"},
		{ERROR_MODEL_NOT_FOUND, 404, "not_found_error"},
		{ERROR_ROUTE_NOT_FOUND, 404, "not_found_error"},
		{ERROR_CLIENT_SLOW, 408, "invalid_request_error"},
		{ERROR_BODY_TOO_LARGE, 413, "request_too_large"},
		{ERROR_OVERLOADED, 429, "rate_limit_error"},
		{ERROR_HEAD_TOO_LARGE, 431, "invalid_request_error"},
		{ERROR_INTERNAL, 500, "api_error"},
		{ERROR_NOT_IMPLEMENTED, 501, "invalid_request_error"},
		{ERROR_UPSTREAM, 502, "api_error"},
		{ERROR_NO_ENDPOINT, 503, "overloaded_error"},
		{ERROR_UPSTREAM_TIMEOUT, 504, "timeout_error"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *got = format(cases[i].error, (struct proxy_error_detail){
								 .shape = ERROR_SHAPE_ANTHROPIC,
								 .param = "model",
								 .message = "why \"so\"",
							 });
		char line[64], body[256];

		snprintf(line, sizeof(line), "HTTP/1.1 %d ", cases[i].status);
		assert_int_equal(strncmp(got, line, strlen(line)), 0);
		snprintf(body, sizeof(body),
			 "\r\n\r\n{\"type\":\"error\",\"error\":{\"type\":\"%s\","
			 "\"message\":\"why \\\"so\\\"\"}}\n",
			 cases[i].type);
		assert_non_null(strstr(got, body));
		snprintf(line, sizeof(line), "Content-Length: %zu\r\n", strlen(body) - 4);
		assert_non_null(strstr(got, line));
	}
}

static void the_path_tells_whose_shape_it_is(void **state)
{
	static const struct {
		const char *path;
		enum error_shape shape;
	} cases[] = {
		{"/v1/messages", ERROR_SHAPE_ANTHROPIC},
		{"/v1/messages?beta=true", ERROR_SHAPE_ANTHROPIC},
		{"/v1/messages/count_tokens", ERROR_SHAPE_ANTHROPIC},
		{"/anthropic/v1/messages", ERROR_SHAPE_ANTHROPIC},
		{"/v1/messagesx/v1/messages", ERROR_SHAPE_ANTHROPIC},
		{"/v1/messagesx", ERROR_SHAPE_OPENAI},
		{"/v1/chat/completions", ERROR_SHAPE_OPENAI},
		{"/v1/chat/completions?a=/v1/messages", ERROR_SHAPE_OPENAI},
		{"/v1/threads/1/messages", ERROR_SHAPE_OPENAI},
		{"/", ERROR_SHAPE_OPENAI},
		{"", ERROR_SHAPE_OPENAI},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct http_span path = {cases[i].path, strlen(cases[i].path)};

		if (error_shape_of(path) != cases[i].shape)
			fail_msg("%s", cases[i].path);
	}
}

static void a_hostile_message_stays_inside_its_string(void **state)
{
	const char *got = format(ERROR_MODEL_NOT_FOUND,
				 (struct proxy_error_detail){
					 .message = "the model 'a\"},\r\nX: \xff' is not here",
					 .param = "model",
				 });
	const char *body = strstr(got, "\r\n\r\n") + 4;
	struct json_object *root = json_tokener_parse(body);

	(void)state;
	assert_non_null(root);
	json_object_put(root);
	assert_non_null(strstr(body, "\\u000d\\u000a"));
}

static void details_become_headers(void **state)
{
	const char *got = format(ERROR_OVERLOADED,
				 (struct proxy_error_detail){.retry_after_s = 3, .close = true});

	(void)state;
	assert_non_null(strstr(got, "Retry-After: 3\r\n"));
	assert_non_null(strstr(got, "Connection: close\r\n"));
	got = format(ERROR_UPSTREAM, (struct proxy_error_detail){0});
	assert_null(strstr(got, "Retry-After"));
	assert_null(strstr(got, "Connection"));
}

static void whoever_is_sent_away_for_now_is_told_when_to_come_back(void **state)
{
	static const enum proxy_error errors[] = {ERROR_OVERLOADED, ERROR_SHED, ERROR_NO_ENDPOINT,
						  ERROR_NO_ROUTES};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		assert_non_null(strstr(format(errors[i], (struct proxy_error_detail){0}),
				       "Retry-After: 1\r\n"));
}

static void the_answer_to_head_ends_with_its_head(void **state)
{
	const char *got = format(ERROR_NO_ENDPOINT, (struct proxy_error_detail){.head_only = true});

	(void)state;
	assert_string_equal(got + strlen(got) - 4, "\r\n\r\n");
	assert_null(strstr(got, "Content-Length: 0\r\n"));
}

static void parser_answers_have_their_errors(void **state)
{
	static const struct {
		int status;
		enum proxy_error error;
	} rows[] = {{400, ERROR_BAD_REQUEST},
		    {417, ERROR_BAD_REQUEST},
		    {431, ERROR_HEAD_TOO_LARGE},
		    {501, ERROR_NOT_IMPLEMENTED},
		    {505, ERROR_VERSION}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(proxy_error_of_status(rows[i].status), rows[i].error);
}

static void known_statuses_have_a_phrase(void **state)
{
	(void)state;
	assert_string_equal(status_phrase(200), "OK");
	assert_string_equal(status_phrase(503), "Service Unavailable");
	assert_string_equal(status_phrase(799), "Status");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_is_an_answer_with_openais_shape),
		cmocka_unit_test(anthropics_clients_get_their_own_shape),
		cmocka_unit_test(the_path_tells_whose_shape_it_is),
		cmocka_unit_test(a_hostile_message_stays_inside_its_string),
		cmocka_unit_test(details_become_headers),
		cmocka_unit_test(whoever_is_sent_away_for_now_is_told_when_to_come_back),
		cmocka_unit_test(the_answer_to_head_ends_with_its_head),
		cmocka_unit_test(parser_answers_have_their_errors),
		cmocka_unit_test(known_statuses_have_a_phrase),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
