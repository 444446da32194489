// SPDX-License-Identifier: BSD-2-Clause
/* A model under another name: the body made of what is before, the new bytes and
 * what is behind says the new name, has the length that was foretold, and is the
 * old one but for the name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "userspace/base/cleanup.h"
#include "userspace/model/rewrite.h"

#define JSON "application/json"
#define FORM "multipart/form-data; boundary=b"
#define CHAT "/v1/chat/completions"
#define AUDIO "/v1/audio/transcriptions"
#define PART(name, value)                                                                          \
	"--b\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"

static enum model_verdict ask(struct model_request *request, struct model_facts *facts,
			      const char *path, const char *type, const char *body, size_t length,
			      size_t step)
{
	struct model_head head = {.method = {"POST", 4}, .path = {path, strlen(path)}};
	size_t i;

	model_head_add(&head, "content-type", 12, type, strlen(type));
	model_request_begin(request, facts, &head);
	for (i = 0; i < length; i += step)
		model_request_feed(request, body + i, length - i < step ? length - i : step);
	return model_request_finish(request);
}

/* What is before the bytes of the model, they, and what is behind. */
static const struct {
	const char *path, *type, *before, *old, *behind;
} bodies[] = {
	{CHAT, JSON, "{\"model\":", "\"a\"", "}"},
	{CHAT, JSON, " {\"m\":\"x\",\"mod\\u0065l\" : ", "\"\\u0061\\/b\"", " ,\"n\":[1]} "},
	{CHAT, JSON, "{\"x\":{\"model\":\"y\"},\"model\":", "\"\xc3\xa9\"", ",\"stream\":true}"},
	{AUDIO, JSON, "{\"model\":", "\"a\"", "}"},
	{AUDIO, FORM, "--b\r\nContent-Disposition: form-data; name=model\r\n\r\n", "--c",
	 "\r\n" PART("x", "y") "--b--"},
	{AUDIO, FORM,
	 PART("f", "\r\n--bx") PART("g", "h") "--b\r\nContent-Disposition: "
					      "form-data; name=model\r\n\r\n",
	 "a b", "\r\n--b--\r\n"},
};

static const char *const names[] = {"m", "org/a-long-name:tag", "\"\\", "\xe9\x80\x9a"};

static void check(size_t index, const char *name, size_t step)
{
	char body[1024], rewritten[2048];
	struct model_request request;
	struct model_facts facts;
	struct model_rewrite rewrite;
	size_t before = strlen(bodies[index].before), length;

	length = (size_t)snprintf(body, sizeof(body), "%s%s%s", bodies[index].before,
				  bodies[index].old, bodies[index].behind);
	assert_int_equal(ask(&request, &facts, bodies[index].path, bodies[index].type, body, length,
			     step),
			 MODEL_OK);
	assert_true(model_rewrite_make(&request, name, strlen(name), &rewrite));
	assert_int_equal(rewrite.begin, before);
	assert_int_equal(rewrite.end, before + strlen(bodies[index].old));
	length = (size_t)model_rewrite_body_length(&rewrite, length);
	assert_int_equal(snprintf(rewritten, sizeof(rewritten), "%s%.*s%s", bodies[index].before,
				  (int)rewrite.length, rewrite.bytes, bodies[index].behind),
			 length);
	assert_int_equal(ask(&request, &facts, bodies[index].path, bodies[index].type, rewritten,
			     length, step),
			 MODEL_OK);
	assert_string_equal(facts.name, name);
}

static void the_new_body_says_the_new_name_and_has_the_length_foretold(void **state)
{
	static const size_t steps[] = {1, 2, 5, 1000};
	size_t i, j, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bodies); i++)
		for (j = 0; j < ARRAY_SIZE(names); j++)
			for (k = 0; k < ARRAY_SIZE(steps); k++)
				check(i, names[j], steps[k]);
}

static void the_longest_name_of_quotes_fits(void **state)
{
	struct model_request request;
	struct model_facts facts;
	struct model_rewrite rewrite;
	char name[MODEL_NAME_MAX + 1];

	(void)state;
	memset(name, '"', sizeof(name));
	ask(&request, &facts, CHAT, JSON, "{\"model\":\"a\"}", 13, 13);
	assert_true(model_rewrite_make(&request, name, MODEL_NAME_MAX, &rewrite));
	assert_int_equal(rewrite.length, MODEL_REWRITE_BYTES_MAX);
	assert_false(model_rewrite_make(&request, name, MODEL_NAME_MAX + 1, &rewrite));
}

static void what_cannot_be_rewritten_is_refused(void **state)
{
	static const char proto[] = "\0\0\0\0\24\22\22\n\1j\22\015{\"model\":\"m\"}";
	struct model_request request;
	struct model_facts facts;
	struct model_rewrite rewrite;

	(void)state;
	ask(&request, &facts, CHAT, JSON, "{\"model\":\"a\"}", 13, 13);
	assert_false(model_rewrite_make(&request, "", 0, &rewrite));
	assert_false(model_rewrite_make(&request, "a\r\nb", 4, &rewrite));
	assert_false(model_rewrite_make(&request, "\xff", 1, &rewrite));
	ask(&request, &facts, CHAT, JSON, "{\"model\":\"a\",\"model\":\"b\"}", 25, 25);
	assert_false(model_rewrite_make(&request, "m", 1, &rewrite));
	ask(&request, &facts, "/v2/models/m/infer", JSON, "{\"model\":\"a\"}", 13, 13);
	assert_false(model_rewrite_make(&request, "m", 1, &rewrite));
	ask(&request, &facts, AUDIO, FORM, PART("model", "a") "--b--",
	    sizeof(PART("model", "a") "--b--") - 1, 1);
	assert_false(model_rewrite_make(&request, "--b", 3, &rewrite));
	assert_true(model_rewrite_make(&request, "m", 1, &rewrite));
	assert_int_equal(ask(&request, &facts,
			     "/google.cloud.aiplatform.v1beta1.PredictionService/ChatCompletions",
			     "application/grpc", proto, sizeof(proto) - 1, 1),
			 MODEL_OK);
	assert_false(model_rewrite_make(&request, "m", 1, &rewrite));
}

static const struct {
	const char *method, *path, *name, *want; /* NULL: cannot be */
} paths[] = {
	{"POST", "/v2/models/m/infer", "n", "/v2/models/n/infer"},
	{"POST", "/v2/models/m/infer?x=m", "org/n:1", "/v2/models/org%2Fn%3A1/infer?x=m"},
	{"POST", "/v2/models/a%20b/versions/3/infer", "n", "/v2/models/n/versions/3/infer"},
	{"POST", "/%762/models/org%2fm/infer", "n", "/%762/models/n/infer"},
	{"GET", "/v1/models/org/m", "n", "/v1/models/n"},
	{"GET", "/v1/models/org/m", "other/n", "/v1/models/other%2Fn"},
	{"POST", "/v1/models/m:predict", "\xc3\xa9", "/v1/models/%C3%A9:predict"},
	{"POST", "/v1beta/tunedModels/m:generateContent", "tunedModels/n",
	 "/v1beta/tunedModels%2Fn:generateContent"},
	{"POST", "/v1beta/tunedModels/m:generateContent", "n", NULL},
	{"POST", "/openai/deployments/m/chat/completions?api-version=1", "n",
	 "/openai/deployments/n/chat/completions?api-version=1"},
	{"POST", "/v2/models/m/infer", "..", NULL},
	{"POST", "/v1/chat/completions", "n", NULL},
};

static void a_path_says_the_new_name_or_is_refused(void **state)
{
	char buffer[256];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		struct text out = TEXT_INIT(buffer);
		bool made;

		text_init(&out, buffer, sizeof(buffer));
		made = model_rewrite_path((struct model_text){paths[i].method,
							      strlen(paths[i].method)},
					  (struct model_text){paths[i].path, strlen(paths[i].path)},
					  paths[i].name, strlen(paths[i].name), &out);
		if (made != (paths[i].want != NULL) || (made && strcmp(out.data, paths[i].want)))
			fail_msg("%s to %s: %d %s", paths[i].path, paths[i].name, made, out.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_new_body_says_the_new_name_and_has_the_length_foretold),
		cmocka_unit_test(the_longest_name_of_quotes_fits),
		cmocka_unit_test(what_cannot_be_rewritten_is_refused),
		cmocka_unit_test(a_path_says_the_new_name_or_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
