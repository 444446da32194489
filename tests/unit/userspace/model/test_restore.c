// SPDX-License-Identifier: BSD-2-Clause
/* The client's own name put back: where a model is named and nowhere else, the same
 * however the answer is cut, and at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "userspace/base/cleanup.h"
#include "userspace/model/restore.h"

#define SSE USAGE_FORMAT_SSE
#define JSON USAGE_FORMAT_JSON
#define LINES USAGE_FORMAT_JSON_LINES
#define OTHER USAGE_FORMAT_OTHER

#define TEXT "\\\"model\\\":\\\"T\\\" {\\\"model\\\": \\\"T\\\"}"

/* T is the servers' name; the client says: me */
static const struct {
	const char *what;
	enum usage_format format;
	const char *in, *out;
} cases[] = {
	{"an answer", JSON, "{\"id\":1,\"model\":\"T\",\"x\":[]}",
	 "{\"id\":1,\"model\":\"me\",\"x\":[]}"},
	{"blanks and escapes", JSON, " { \"model\" : \"T\\\"\\\\\\u0041\" , \"y\":2}\n",
	 " { \"model\" : \"me\" , \"y\":2}\n"},
	{"any name", JSON, "{\"model\":\"/models/T-awq\"}", "{\"model\":\"me\"}"},
	{"an empty name", JSON, "{\"model\":\"\"}", "{\"model\":\"me\"}"},
	{"text that looks like it", JSON, "{\"text\":\"" TEXT "\",\"t\":\"model\",\"model\":\"T\"}",
	 "{\"text\":\"" TEXT "\",\"t\":\"model\",\"model\":\"me\"}"},
	{"deeper down", JSON, "{\"a\":{\"model\":\"T\"},\"b\":[{\"model\":\"T\"}]}",
	 "{\"a\":{\"model\":\"T\"},\"b\":[{\"model\":\"T\"}]}"},
	{"in a list", JSON, "[{\"model\":\"T\"}]", "[{\"model\":\"T\"}]"},
	{"no string", JSON, "{\"model\":null,\"message\":{\"model\":{\"model\":\"T\"}}}",
	 "{\"model\":null,\"message\":{\"model\":{\"model\":\"T\"}}}"},
	{"twice", JSON, "{\"model\":\"T\",\"model\":\"U\"}", "{\"model\":\"me\",\"model\":\"me\"}"},
	{"no JSON", JSON, "{model:\"T\",\"model\":\"T\"}", "{model:\"T\",\"model\":\"T\"}"},
	{"cut in the name", JSON, "{\"model\":\"T", "{\"model\":\"me\""},
	{"events", SSE,
	 "data: {\"model\":\"T\"}\n\ndata:{\"m\":\"" TEXT
	 "\",\"model\":\"T\"}\r\n\r\ndata: [DONE]\n\n",
	 "data: {\"model\":\"me\"}\n\ndata:{\"m\":\"" TEXT
	 "\",\"model\":\"me\"}\r\n\r\ndata: [DONE]\n\n"},
	{"other lines", SSE, ": {\"model\":\"T\"}\nid: {\"model\":\"T\"}\ndata: {}\n\n",
	 ": {\"model\":\"T\"}\nid: {\"model\":\"T\"}\ndata: {}\n\n"},
	{"Anthropic", SSE,
	 "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"T\"}}\n\n",
	 "event: message_start\ndata: "
	 "{\"type\":\"message_start\",\"message\":{\"model\":\"me\"}}\n\n"},
	{"OpenAI responses", SSE,
	 "data: {\"response\":{\"id\":1,\"model\":\"T\",\"tools\":[{\"model\":\"T\"}]}}\n\n",
	 "data: {\"response\":{\"id\":1,\"model\":\"me\",\"tools\":[{\"model\":\"T\"}]}}\n\n"},
	{"an event of two lines", SSE, "data: {\"a\":1,\ndata: \"model\":\ndata: \"T\"}\n\n",
	 "data: {\"a\":1,\ndata: \"model\":\ndata: \"me\"}\n\n"},
	{"a line that ends in the name", SSE,
	 "data: {\"model\":\"T\ndata: U\"}\n\ndata: {\"model\":\"T\"}\n\n",
	 "data: {\"model\":\"me\"\ndata: U\"}\n\ndata: {\"model\":\"me\"}\n\n"},
	{"behind the end", SSE, "data: [DONE]\n\ndata: {\"model\":\"T\"}\n\n",
	 "data: [DONE]\n\ndata: {\"model\":\"T\"}\n\n"},
	{"Ollama", LINES, "{\"model\":\"T\",\"done\":false}\n{\"model\":\"T\",\"done\":true}\n",
	 "{\"model\":\"me\",\"done\":false}\n{\"model\":\"me\",\"done\":true}\n"},
	{"another type", OTHER, "{\"model\":\"T\"}", "{\"model\":\"T\"}"},
};

static void restore_cut(enum usage_format format, const char *name, const char *in, size_t step,
			struct text *out)
{
	struct usage_observer observer;
	struct restore restore = {&observer, name, strlen(name)};
	size_t length = strlen(in);

	usage_observer_init(&observer, format);
	out->length = 0;
	for (size_t i = 0; i < length; i += step)
		restore_feed(&restore, in + i, length - i < step ? length - i : step, out);
}

static void names_are_put_back_and_nothing_else_however_it_is_cut(void **state)
{
	char buffer[1024];
	struct text out = TEXT_INIT(buffer);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (size_t step = 1; step <= strlen(cases[i].in); step++) {
			restore_cut(cases[i].format, "me", cases[i].in, step, &out);
			if (strcmp(out.data, cases[i].out) != 0)
				fail_msg("%s, in pieces of %zu: %s", cases[i].what, step, out.data);
		}
	}
}

static void a_name_of_quotes_is_escaped(void **state)
{
	char buffer[64];
	struct text out = TEXT_INIT(buffer);

	(void)state;
	restore_cut(JSON, "a\"\\\xc3\xa9", "{\"model\":\"T\"}", 1, &out);
	assert_string_equal(out.data, "{\"model\":\"a\\\"\\\\\xc3\xa9\"}");
}

/* All that is not a name leaves with the piece it came in. */
static void nothing_is_held_back(void **state)
{
	static const char in[] = "data: {\"model\":\"T\",\"x\":\"model\"}\n\n";
	struct usage_observer observer;
	struct restore restore = {&observer, "me", 2};
	char buffer[128];
	struct text out = TEXT_INIT(buffer);
	size_t quote = strlen("data: {\"model\":\"");

	(void)state;
	usage_observer_init(&observer, SSE);
	for (size_t i = 0; i < strlen(in); i++) {
		restore_feed(&restore, in + i, 1, &out);
		if (i + 1 < quote)
			assert_int_equal(out.length, i + 1);
		else if (i + 1 == quote)
			assert_string_equal(out.data, "data: {\"model\":\"me\"");
	}
	assert_int_equal(out.length, strlen(in) + 1);
}

static void the_worst_answer_becomes_no_longer_than_foretold(void **state)
{
	static char in[4096], buffer[64 * 1024];
	struct text out = TEXT_INIT(buffer);
	char name[65];
	size_t at = 0, room = 16 * 1024, most;

	(void)state;
	memset(name, '"', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	most = restore_input_max(strlen(name), room);
	assert_true(most > 1000 && restore_bytes_max(strlen(name), most) <= room);
	assert_int_equal(restore_input_max(512, 100), 0);
	in[at++] = '{';
	while (at < sizeof(in) - 32)
		at += (size_t)sprintf(in + at, "\"model\":\"\",");
	strcpy(in + at, "\"model\":\"\"}");
	restore_cut(JSON, name, in, most, &out);
	assert_false(out.cut);
	assert_true(out.length > 30 * strlen(in) / 11 * 4);
	assert_true(out.length <= restore_bytes_max(strlen(name), strlen(in)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_put_back_and_nothing_else_however_it_is_cut),
		cmocka_unit_test(a_name_of_quotes_is_escaped),
		cmocka_unit_test(nothing_is_held_back),
		cmocka_unit_test(the_worst_answer_becomes_no_longer_than_foretold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
