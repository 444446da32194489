/* SPDX-License-Identifier: BSD-2-Clause */
/* Streams and what they say of themselves, however they are cut; with the
 * reference streams where they are there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/shared_data.h"
#include "userspace/base/cleanup.h"
#include "userspace/model/usage.h"

#define SSE USAGE_FORMAT_SSE
#define JSON USAGE_FORMAT_JSON
#define LINES USAGE_FORMAT_JSON_LINES

#define USAGE                                                                                         \
	"{\"choices\":[],\"usage\":{\"prompt_tokens\":8,\"total_tokens\":11,\"completion_tokens\":3," \
	"\"prompt_tokens_details\":{\"cached_tokens\":5}}}"

struct stream_case {
	const char *name;
	enum usage_format format;
	const char *body;
	struct usage usage; /* prompt, completion, cached, events, done, error */
};

static const struct stream_case streams[] = {
	{"two events",
	 SSE,
	 "data: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
	 {-1, -1, -1, 2, true, false}},
	{"usage",
	 SSE,
	 "data: {\"a\":1}\n\ndata: " USAGE "\n\ndata: [DONE]\n\n",
	 {8, 3, 5, 2, true, false}},
	{"crlf", SSE, "data: " USAGE "\r\n\r\ndata: [DONE]\r\n\r\n", {8, 3, 5, 1, true, false}},
	{"cr", SSE, "data:" USAGE "\r\rdata:[DONE]\r\r", {8, 3, 5, 1, true, false}},
	{"byte order mark",
	 SSE,
	 "\xef\xbb\xbf"
	 "data: " USAGE "\n\n",
	 {8, 3, 5, 1, false, false}},
	{"two data lines",
	 SSE,
	 "data: {\"usage\":{\"prompt_tokens\":8,\ndata: \"completion_tokens\":3}}\n\n",
	 {8, 3, -1, 1, false, false}},
	{"other fields and comments",
	 SSE,
	 ": hi\n\nid: 1\nretry: 5\nevent: x\ndata: " USAGE "\ndatax: {\n\n:data: {\n\n",
	 {8, 3, 5, 1, false, false}},
	{"no final blank line", SSE, "data: " USAGE "\n\ndata: [DONE]", {8, 3, 5, 1, true, false}},
	{"after the end",
	 SSE,
	 "data: {}\n\ndata: [DONE]\n\ndata: " USAGE "\n\n",
	 {-1, -1, -1, 1, true, false}},
	{"cut",
	 SSE,
	 "data: {}\n\ndata: {\"usage\":{\"prompt_tokens\":8,",
	 {-1, -1, -1, 1, false, true}},
	{"usage in a string",
	 SSE,
	 "data: {\"a\":\"{\\\"usage\\\":{\\\"prompt_tokens\\\":1}}\"}\n\n",
	 {-1, -1, -1, 1, false, false}},
	{"usage too deep",
	 SSE,
	 "data: {\"choices\":[{\"usage\":{\"prompt_tokens\":1}}]}\n\n",
	 {-1, -1, -1, 1, false, false}},
	{"escaped name is another name",
	 SSE,
	 "data: {\"usage\":{\"prompt\\u005ftokens\":1}}\n\n",
	 {-1, -1, -1, 1, false, false}},
	{"counts that are none",
	 SSE,
	 "data: {\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1.5,\"cached_tokens\":\"7\"}}\n\n",
	 {-1, -1, -1, 1, false, false}},
	{"a count past 64 bits",
	 SSE,
	 "data: {\"usage\":{\"prompt_tokens\":99999999999999999999999}}\n\n",
	 {-1, -1, -1, 1, false, false}},
	{"usage null", SSE, "data: {\"usage\":null}\n\n", {-1, -1, -1, 1, false, false}},
	{"broken event between",
	 SSE,
	 "data: {x}\n\ndata: " USAGE "\n\n",
	 {8, 3, 5, 2, false, false}},
	{"counts of a broken event are not used",
	 SSE,
	 "data: " USAGE "}\n\n",
	 {-1, -1, -1, 1, false, false}},
	{"error event",
	 SSE,
	 "data: {\"error\":{\"message\":\"m\"}}\n\ndata: [DONE]\n\n",
	 {-1, -1, -1, 1, true, true}},
	{"error null", SSE, "data: {\"error\":null}\n\n", {-1, -1, -1, 1, false, false}},
	{"anthropic",
	 SSE,
	 "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":"
	 "{\"input_tokens\":25,\"cache_read_input_tokens\":16,\"output_tokens\":1}}}\n\n"
	 "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":15}}\n\n"
	 "data: {\"type\":\"message_stop\"}\n\n",
	 {25, 15, 16, 3, true, false}},
	{"nothing", SSE, "", {-1, -1, -1, 0, false, true}},
	{"json", JSON, " " USAGE "\n", {8, 3, 5, 1, true, false}},
	{"json, pretty",
	 JSON,
	 "{\r\n\"usage\": {\n\"prompt_tokens\" : 8\n}\n}",
	 {8, -1, -1, 1, true, false}},
	{"json, cut", JSON, "{\"usage\":{\"prompt_tokens\":8}", {-1, -1, -1, 0, false, true}},
	{"json, error", JSON, "{\"error\":\"m\"}", {-1, -1, -1, 1, true, true}},
	{"json, nothing", JSON, "", {-1, -1, -1, 0, false, true}},
	{"lines",
	 LINES,
	 "{\"done\":false}\n\n{\"done\":true,\"prompt_eval_count\":26,\"eval_count\":298}\n",
	 {26, 298, -1, 2, true, false}},
	{"lines, no end", LINES, "{\"eval_count\":2}", {-1, 2, -1, 1, false, false}},
	{"other", USAGE_FORMAT_OTHER, USAGE, {-1, -1, -1, 0, false, false}},
};

static struct usage observe(enum usage_format format, const char *body, size_t length, size_t step)
{
	struct usage_observer observer;
	struct usage usage;
	size_t i;

	usage_observer_init(&observer, format);
	for (i = 0; i < length; i += step)
		usage_observer_feed(&observer, body + i, length - i < step ? length - i : step);
	usage_observer_finish(&observer, &usage);
	return usage;
}

static struct usage observe_cut(enum usage_format format, const char *body, size_t length,
				size_t cut)
{
	struct usage_observer observer;
	struct usage usage;

	usage_observer_init(&observer, format);
	usage_observer_feed(&observer, body, cut);
	usage_observer_feed(&observer, body + cut, length - cut);
	usage_observer_finish(&observer, &usage);
	return usage;
}

static void check(const char *name, struct usage got, struct usage expected)
{
	if (got.prompt_tokens != expected.prompt_tokens ||
	    got.completion_tokens != expected.completion_tokens ||
	    got.cached_tokens != expected.cached_tokens ||
	    got.data_events != expected.data_events || got.done != expected.done ||
	    got.error != expected.error)
		fail_msg(
			"%s: prompt %ld, completion %ld, cached %ld, events %lu, done %d, error %d",
			name, (long)got.prompt_tokens, (long)got.completion_tokens,
			(long)got.cached_tokens, (unsigned long)got.data_events, got.done,
			got.error);
}

#define EVERY_CUT_BYTES_MAX 3000

static void check_every_cut(const char *name, enum usage_format format, const char *body,
			    size_t length, struct usage expected)
{
	size_t i;

	for (i = 1; i <= length && length <= EVERY_CUT_BYTES_MAX; i++) {
		check(name, observe(format, body, length, i), expected);
		check(name, observe_cut(format, body, length, i), expected);
	}
	check(name, observe(format, body, length, 1), expected);
	check(name, observe(format, body, length, 4096), expected);
	check(name, observe(format, body, length, length + 1), expected);
}

static void every_stream_has_one_reading_however_it_is_cut(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(streams); i++)
		check_every_cut(streams[i].name, streams[i].format, streams[i].body,
				strlen(streams[i].body), streams[i].usage);
}

static void formats_are_told_by_the_media_type_alone(void **state)
{
	static const struct {
		const char *type;
		enum usage_format format;
	} types[] = {
		{"text/event-stream", SSE},
		{"Text/Event-Stream ; charset=utf-8", SSE},
		{"application/json; charset=utf-8", JSON},
		{"application/x-ndjson", LINES},
		{"application/jsonx", USAGE_FORMAT_OTHER},
		{"text/html", USAGE_FORMAT_OTHER},
		{"", USAGE_FORMAT_OTHER},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(types); i++)
		assert_int_equal(usage_format_of(types[i].type, strlen(types[i].type)),
				 types[i].format);
}

enum { FILE_NAME, TYPE, EVENTS, DONE, PROMPT, COMPLETION, CACHED, ERROR, COLUMNS };

static int64_t number(const char *column)
{
	return strcmp(column, "-") ? atoll(column) : -1;
}

static void the_reference_streams_say_what_their_table_says(void **state)
{
	size_t length;
	_cleanup_free_ char *table = shared_read("model-servers/sse/expected.tsv", &length);
	char *rest = table, *row[COLUMNS];

	(void)state;
	if (!table)
		skip();
	shared_row(&rest, row, COLUMNS); /* the heading */
	while (shared_row(&rest, row, COLUMNS)) {
		struct usage expected = {
			.prompt_tokens = number(row[PROMPT]),
			.completion_tokens = number(row[COMPLETION]),
			.cached_tokens = number(row[CACHED]),
			.data_events = (uint64_t)number(row[EVENTS]),
			.done = number(row[DONE]),
			.error = number(row[ERROR]),
		};
		_cleanup_free_ char *body = NULL;
		char file[SHARED_PATH_MAX];

		snprintf(file, sizeof(file), "model-servers/sse/%s", row[FILE_NAME]);
		body = shared_read(file, &length);
		assert_non_null(body);
		check_every_cut(row[FILE_NAME], usage_format_of(row[TYPE], strlen(row[TYPE])), body,
				length, expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_stream_has_one_reading_however_it_is_cut),
		cmocka_unit_test(formats_are_told_by_the_media_type_alone),
		cmocka_unit_test(the_reference_streams_say_what_their_table_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
