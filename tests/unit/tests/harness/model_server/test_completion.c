// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/model_server/completion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

static const struct completion_config config = {
	.models = {"gemma-3-27b-it", "llama-3-8b-instruct"},
	.model_count = 2,
	.block_tokens = 512,
	.model_len_max = 8192,
	.output_tokens = 64,
};

static struct completion parse_api(enum completion_api api, const char *body)
{
	struct completion completion;
	struct buffer error = {0};

	assert_int_equal(completion_parse(&config, api, body, strlen(body), &completion, &error),
			 0);
	assert_int_equal(buffer_length(&error), 0);
	return completion;
}

static struct completion parse_good(bool chat, const char *body)
{
	return parse_api(chat ? COMPLETION_CHAT : COMPLETION_TEXT, body);
}

/* The status; the error's text must contain `words`. */
static int parse_bad(enum completion_api api, const char *body, const char *words)
{
	struct completion completion;
	struct buffer error = {0};
	struct json_object *object;
	int status = completion_parse(&config, api, body, strlen(body), &completion, &error);

	buffer_append(&error, "", 1);
	assert_non_null(strstr(error.data, words));
	object = json_tokener_parse(error.data);
	assert_non_null(object);
	json_object_put(object);
	buffer_free(&error);
	return status;
}

static void four_bytes_of_canonical_text_are_a_token(void **state)
{
	struct completion c =
		parse_good(true, "{\"messages\":[{\"role\":\"user\",\"content\":\"0123456789\"}]}");

	(void)state;
	assert_int_equal(c.prompt_tokens, 4); /* "user\n0123456789\n" */
	assert_int_equal(c.block_count, 0);
	assert_string_equal(c.model, "gemma-3-27b-it");
	completion_free(&c);
}

static void parts_of_text_count_like_a_string(void **state)
{
	struct completion a = parse_good(
		true, "{\"messages\":[{\"role\":\"user\",\"content\":\"hello world\"}]}");
	struct completion b = parse_good(
		true, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
		      "\"hello \"},{\"type\":\"image_url\"},{\"type\":\"text\",\"text\":\"world\"}"
		      "]}]}");

	(void)state;
	assert_int_equal(a.prompt_tokens, b.prompt_tokens);
	assert_int_equal(a.seed, b.seed);
	completion_free(&a);
	completion_free(&b);
}

static struct completion parse_long(char first, char last, size_t length)
{
	char *body = malloc(length + 64);
	size_t used = (size_t)sprintf(body, "{\"prompt\":\"");
	struct completion c;

	memset(body + used, 'x', length);
	body[used] = first;
	body[used + length - 1] = last;
	strcpy(body + used + length, "\"}");
	c = parse_good(false, body);
	free(body);
	return c;
}

static void equal_beginnings_share_block_hashes_and_others_do_not(void **state)
{
	struct completion a = parse_long('a', 'b', 3 * 2048);
	struct completion b = parse_long('a', 'c', 3 * 2048 + 100);
	struct completion c = parse_long('z', 'b', 3 * 2048);

	(void)state;
	assert_int_equal(a.block_count, 3);
	assert_int_equal(b.block_count, 3);
	assert_int_equal(a.block_hashes[0], b.block_hashes[0]);
	assert_int_equal(a.block_hashes[1], b.block_hashes[1]);
	assert_int_not_equal(a.block_hashes[2], b.block_hashes[2]);
	for (int i = 0; i < 3; i++)
		assert_int_not_equal(a.block_hashes[i], c.block_hashes[i]);
	completion_free(&a);
	completion_free(&b);
	completion_free(&c);
}

static void max_tokens_cuts_the_answer_and_says_length(void **state)
{
	struct completion c = parse_good(false, "{\"prompt\":\"a\",\"max_tokens\":5}");

	(void)state;
	assert_int_equal(c.output_tokens, 5);
	assert_true(c.cut_by_limit);
	c = parse_good(false, "{\"prompt\":\"a\",\"max_completion_tokens\":500}");
	assert_int_equal(c.output_tokens, 64);
	assert_false(c.cut_by_limit);
	c = parse_good(false, "{\"prompt\":\"a\",\"max_tokens\":500,\"ignore_eos\":true}");
	assert_int_equal(c.output_tokens, 500);
	assert_true(c.cut_by_limit);
}

static void wrong_requests_are_answered_in_vllms_shape(void **state)
{
	(void)state;
	assert_int_equal(parse_bad(COMPLETION_CHAT, "{", "not a JSON object"), 400);
	assert_int_equal(parse_bad(COMPLETION_CHAT, "[1]", "not a JSON object"), 400);
	assert_int_equal(parse_bad(COMPLETION_CHAT, "{\"messages\":[]}", "Field required"), 400);
	assert_int_equal(parse_bad(COMPLETION_CHAT, "{\"messages\":[{\"content\":\"a\"}]}", "role"),
			 400);
	assert_int_equal(parse_bad(COMPLETION_CHAT,
				   "{\"messages\":[{\"role\":\"user\",\"content\":1}]}",
				   "content is"),
			 400);
	assert_int_equal(parse_bad(COMPLETION_TEXT, "{}", "prompt: Field required"), 400);
	assert_int_equal(parse_bad(COMPLETION_MESSAGES,
				   "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}",
				   "max_tokens: Field required"),
			 400);
	assert_int_equal(parse_bad(COMPLETION_TEXT, "{\"prompt\":[\"a\",\"b\"]}", "one prompt"),
			 400);
	assert_int_equal(parse_bad(COMPLETION_TEXT, "{\"prompt\":\"a\",\"n\":2}", "n is 1"), 400);
	assert_int_equal(parse_bad(COMPLETION_TEXT, "{\"prompt\":\"a\",\"max_tokens\":0}",
				   "at least 1"),
			 400);
	assert_int_equal(parse_bad(COMPLETION_TEXT, "{\"prompt\":\"a\",\"max_tokens\":8192}",
				   "maximum context length is 8192"),
			 400);
	assert_int_equal(parse_bad(COMPLETION_TEXT, "{\"prompt\":\"a\",\"model\":\"no\\\"pe\"}",
				   "The model `no\\\"pe` does not exist."),
			 404);
}

static struct json_object *event_json(const char *text, const char **ret_next)
{
	const char *end = strstr(text, "\n\n");
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *object;

	assert_int_equal(strncmp(text, "data: ", 6), 0);
	assert_non_null(end);
	object = json_tokener_parse_ex(tokener, text + 6, (int)(end - text - 6));
	assert_non_null(object);
	json_tokener_free(tokener);
	*ret_next = end + 2;
	return object;
}

static const char *event_string(const char *text, const char *pointer, const char **ret_next)
{
	static char found[128];
	struct json_object *object = event_json(text, ret_next), *value = NULL;

	assert_int_equal(json_pointer_get(object, pointer, &value), 0);
	snprintf(found, sizeof(found), "%s", value ? json_object_get_string(value) : "null");
	json_object_put(object);
	return found;
}

static void a_chat_stream_begins_with_the_role_and_ends_with_usage_and_done(void **state)
{
	struct completion c = parse_good(
		true, "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"max_tokens\":2,"
		      "\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
	struct buffer out = {0};
	const char *at, *next;

	(void)state;
	assert_true(c.stream);
	completion_event(&c, 0, &out);
	completion_event(&c, 1, &out);
	completion_event_end(&c, 1, &out);
	buffer_append(&out, "", 1);
	at = out.data;
	assert_string_equal(event_string(at, "/choices/0/delta/role", &next), "assistant");
	at = next;
	assert_string_equal(event_string(at, "/choices/0/finish_reason", &next), "null");
	at = next;
	assert_string_equal(event_string(at, "/choices/0/finish_reason", &next), "length");
	at = next;
	assert_string_equal(event_string(at, "/usage/prompt_tokens_details/cached_tokens", &next),
			    "1");
	assert_string_equal(next, "data: [DONE]\n\n");
	buffer_free(&out);
	completion_free(&c);
}

static void a_stream_without_include_usage_has_no_usage(void **state)
{
	struct completion c =
		parse_good(false, "{\"prompt\":\"a\",\"max_tokens\":1,\"stream\":true}");
	struct buffer out = {0};

	(void)state;
	completion_event(&c, 0, &out);
	completion_event_end(&c, 0, &out);
	buffer_append(&out, "", 1);
	assert_null(strstr(out.data, "usage"));
	assert_null(strstr(out.data, "delta"));
	buffer_free(&out);
}

static void a_whole_answer_has_one_word_a_token(void **state)
{
	struct completion c = parse_good(false, "{\"prompt\":\"a\",\"max_tokens\":3}");
	struct buffer out = {0};
	struct json_object *object, *value;
	const char *text;
	int spaces = 0;

	(void)state;
	completion_answer(&c, 0, &out);
	buffer_append(&out, "", 1);
	object = json_tokener_parse(out.data);
	assert_int_equal(json_pointer_get(object, "/choices/0/text", &value), 0);
	for (text = json_object_get_string(value); *text; text++)
		spaces += *text == ' ';
	assert_int_equal(spaces, 2);
	assert_int_equal(json_pointer_get(object, "/usage/completion_tokens", &value), 0);
	assert_int_equal(json_object_get_int(value), 3);
	json_object_put(object);
	buffer_free(&out);
}

static void a_message_is_streamed_as_anthropics_events(void **state)
{
	static const char *const events[] = {
		"message_start",       "content_block_start", "content_block_delta",
		"content_block_delta", "content_block_stop",  "message_delta",
		"message_stop",
	};
	struct completion c = parse_api(COMPLETION_MESSAGES,
					"{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],"
					"\"max_tokens\":2,\"stream\":true}");
	struct buffer out = {0};
	const char *at;

	(void)state;
	completion_event(&c, 0, &out);
	completion_event(&c, 1, &out);
	completion_event_end(&c, 1, &out);
	buffer_append(&out, "", 1);
	at = out.data;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		assert_int_equal(strncmp(at, "event: ", 7), 0);
		at = strchr(at, '\n') + 1;
		assert_string_equal(event_string(at, "/type", &at), events[i]);
	}
	assert_string_equal(at, "");
	assert_non_null(strstr(out.data, "\"stop_reason\": \"max_tokens\""));
	assert_non_null(strstr(out.data, "\"cache_read_input_tokens\": 1, \"output_tokens\": 2}"));
	buffer_free(&out);
	completion_free(&c);
}

static void a_whole_message_is_anthropics_object(void **state)
{
	struct completion c = parse_api(COMPLETION_MESSAGES,
					"{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],"
					"\"max_tokens\":500}");
	struct buffer out = {0};
	struct json_object *object, *value;

	(void)state;
	completion_answer(&c, 1, &out);
	buffer_append(&out, "", 1);
	object = json_tokener_parse(out.data);
	assert_int_equal(json_pointer_get(object, "/content/0/text", &value), 0);
	assert_int_equal(json_pointer_get(object, "/stop_reason", &value), 0);
	assert_string_equal(json_object_get_string(value), "end_turn");
	assert_int_equal(json_pointer_get(object, "/usage/output_tokens", &value), 0);
	assert_int_equal(json_object_get_int(value), 64);
	assert_int_equal(json_pointer_get(object, "/usage/input_tokens", &value), 0);
	assert_int_equal(json_object_get_int(value), (int)c.prompt_tokens - 1);
	json_object_put(object);
	buffer_free(&out);
	completion_free(&c);
}

static void every_served_model_is_listed(void **state)
{
	struct buffer out = {0};
	struct json_object *object, *value;

	(void)state;
	completion_models(&config, 1, &out);
	buffer_append(&out, "", 1);
	object = json_tokener_parse(out.data);
	assert_int_equal(json_pointer_get(object, "/data/1/id", &value), 0);
	assert_string_equal(json_object_get_string(value), "llama-3-8b-instruct");
	json_object_put(object);
	buffer_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(four_bytes_of_canonical_text_are_a_token),
		cmocka_unit_test(parts_of_text_count_like_a_string),
		cmocka_unit_test(equal_beginnings_share_block_hashes_and_others_do_not),
		cmocka_unit_test(max_tokens_cuts_the_answer_and_says_length),
		cmocka_unit_test(wrong_requests_are_answered_in_vllms_shape),
		cmocka_unit_test(a_chat_stream_begins_with_the_role_and_ends_with_usage_and_done),
		cmocka_unit_test(a_stream_without_include_usage_has_no_usage),
		cmocka_unit_test(a_whole_answer_has_one_word_a_token),
		cmocka_unit_test(a_message_is_streamed_as_anthropics_events),
		cmocka_unit_test(a_whole_message_is_anthropics_object),
		cmocka_unit_test(every_served_model_is_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
