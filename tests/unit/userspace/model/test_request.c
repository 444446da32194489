/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole requests: every body of requests/expected.tsv has the verdict that stands
 * there, at every size of the pieces it comes in; every path of paths.tsv is where
 * it says.  The few bodies that are too large for the repository are read from the
 * reference data, if it is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "tests/harness/shared_data.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/file.h"
#include "userspace/model/request.h"

#define FOLDER "tests/unit/userspace/model/"
#define BODY_BYTES_MAX (2u << 20)
#define EVERY_SIZE_BYTES_MAX 9000

struct ask {
	const char *method, *path;
	const char *headers; /* "name: value | name: value", "-": none */
	const char *body;
	size_t length;
};

static struct model_text text_of(const char *text)
{
	return (struct model_text){text, strlen(text)};
}

static void headers_add(struct model_head *head, const char *headers)
{
	while (strcmp(headers, "-") && *headers) {
		const char *end = strstr(headers, " | "), *colon = strstr(headers, ": ");
		size_t length = end ? (size_t)(end - headers) : strlen(headers);

		assert_non_null(colon);
		model_head_add(head, headers, (size_t)(colon - headers), colon + 2,
			       length - (size_t)(colon + 2 - headers));
		headers += length + (end ? 3 : 0);
	}
}

static enum model_verdict ask_in_steps(const struct ask *ask, size_t first, size_t step,
				       struct model_facts *facts, struct model_request *request)
{
	struct model_head head = {.method = text_of(ask->method), .path = text_of(ask->path)};
	size_t i, n = first;

	headers_add(&head, ask->headers);
	model_request_begin(request, facts, &head);
	for (i = 0; i < ask->length; i += n, n = step) {
		if (n > ask->length - i)
			n = ask->length - i;
		model_request_feed(request, ask->body + i, n);
	}
	return model_request_finish(request);
}

struct expected {
	const char *verdict;
	const char *name;
	size_t name_length;
	const char *stream; /* NULL: not asked */
};

static void check(const char *what, const struct ask *ask, size_t first, size_t step,
		  const struct expected *expected)
{
	struct model_request request;
	struct model_facts facts;
	enum model_verdict got = ask_in_steps(ask, first, step, &facts, &request);

	if (strcmp(model_verdict_name(got), expected->verdict) ||
	    facts.name_length != expected->name_length ||
	    memcmp(facts.name, expected->name, expected->name_length) ||
	    facts.name[facts.name_length])
		fail_msg("%s in pieces of %zu, then %zu: %s \"%s\", should be %s \"%s\"", what,
			 first, step, model_verdict_name(got), facts.name, expected->verdict,
			 expected->name);
	if (expected->stream && !strcmp(expected->stream, "true") != facts.stream)
		fail_msg("%s: stream should be %s", what, expected->stream);
}

static void check_every_size(const char *what, const struct ask *ask,
			     const struct expected *expected)
{
	static const size_t sizes[] = {1, 7, 63, 4096};
	size_t i;

	for (i = 1; i <= ask->length && ask->length <= EVERY_SIZE_BYTES_MAX; i++) {
		check(what, ask, i, i, expected);
		check(what, ask, i, ask->length, expected);
	}
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		check(what, ask, sizes[i], sizes[i], expected);
	check(what, ask, ask->length + 1, ask->length + 1, expected);
}

/* ---- the reference bodies ---- */

enum { FILE_NAME, BYTES, METHOD, PATH, HEADERS, SOURCE, STRICT, EARLY, NEED, STREAM, COLUMNS };

/* `strict` is "ok:" and a JSON string, "none", or "err:" and a word */
static void check_row(char *const *row, const struct ask *ask)
{
	struct json_object *name = NULL;
	struct expected expected = {.verdict = row[STRICT], .name = ""};

	if (!strcmp(row[SOURCE], "body") && strncmp(row[STRICT], "err:", 4))
		expected.stream = row[STREAM];
	if (!strncmp(row[STRICT], "err:", 4)) {
		expected.verdict = row[STRICT] + 4;
	} else if (!strncmp(row[STRICT], "ok:", 3)) {
		name = json_tokener_parse(row[STRICT] + 3);
		assert_non_null(name);
		expected.verdict = "ok";
		expected.name = json_object_get_string(name);
		expected.name_length = (size_t)json_object_get_string_len(name);
	}
	check_every_size(row[FILE_NAME], ask, &expected);
	json_object_put(name);
}

/* From the repository, else from the reference data. */
static char *body_read(const char *file, size_t *ret_length)
{
	char path[SHARED_PATH_MAX], *data = NULL;

	snprintf(path, sizeof(path), FOLDER "requests/%s", file);
	if (!file_read(path, BODY_BYTES_MAX, &data, ret_length))
		return data;
	snprintf(path, sizeof(path), "model-servers/requests/%s", file);
	return shared_read(path, ret_length);
}

static void the_reference_bodies_mean_what_their_table_says(void **state)
{
	_cleanup_free_ char *table = NULL;
	size_t length, count = 0, missing = 0;
	char *rest, *row[COLUMNS];

	(void)state;
	assert_int_equal(file_read(FOLDER "requests/expected.tsv", BODY_BYTES_MAX, &table, &length),
			 0);
	rest = table;
	shared_row(&rest, row, COLUMNS); /* the heading */
	while (shared_row(&rest, row, COLUMNS)) {
		struct ask ask = {row[METHOD], row[PATH], row[HEADERS], NULL, 0};
		_cleanup_free_ char *body = body_read(row[FILE_NAME], &ask.length);

		if (!body) {
			assert_true(atoi(row[BYTES]) > 33000);
			missing++;
			continue;
		}
		ask.body = body;
		assert_int_equal(ask.length, atoi(row[BYTES]));
		check_row(row, &ask);
		count++;
	}
	printf("%zu reference bodies, %zu large ones not there\n", count, missing);
	assert_int_equal(count + missing, 159);
}

/* ---- the reference paths ---- */

enum { PATH_METHOD, PATH_PATH, PATH_SOURCE, PATH_MODEL, PATH_VERSION, PATH_COLUMNS };

static void check_version(const char *path, const struct model_facts *facts, const char *version)
{
	bool label = !strncmp(version, "label=", 6);

	version += label ? 6 : 0;
	if (strcmp(facts->version, strcmp(version, "-") ? version : "") ||
	    facts->version_is_label != label)
		fail_msg("%s: version \"%s\", should be \"%s\"", path, facts->version, version);
}

static void check_path(char *const *row)
{
	struct ask ask = {row[PATH_METHOD], row[PATH_PATH], "-", "", 0};
	const char *source = row[PATH_SOURCE], *want = source;
	struct model_request request;
	struct model_facts facts;
	enum model_verdict verdict = ask_in_steps(&ask, 1, 1, &facts, &request);

	if (!strcmp(source, "err:bad_path"))
		want = "bad_path";
	else if (!strcmp(source, "proto-httpbody"))
		want = "proto"; /* the body decides what is in it */
	if (strcmp(model_place_name(request.place), want))
		fail_msg("%s %s: %s, should be %s", ask.method, ask.path,
			 model_place_name(request.place), want);
	if (strcmp(facts.name, strcmp(row[PATH_MODEL], "-") ? row[PATH_MODEL] : ""))
		fail_msg("%s %s: model \"%s\", should be %s", ask.method, ask.path, facts.name,
			 row[PATH_MODEL]);
	check_version(ask.path, &facts, row[PATH_VERSION]);
	if (!strcmp(source, "path"))
		assert_int_equal(verdict,
				 strstr(ask.path, "/repository/") ? MODEL_BLOCKED : MODEL_OK);
	if (!strcmp(source, "blocked"))
		assert_int_equal(verdict, MODEL_BLOCKED);
	if (!strcmp(source, "none") || !strcmp(source, "list"))
		assert_int_equal(verdict, MODEL_NONE);
}

static void the_reference_paths_are_where_their_table_says(void **state)
{
	_cleanup_free_ char *table = NULL;
	char *rest, *row[PATH_COLUMNS];
	size_t length, count = 0;

	(void)state;
	assert_int_equal(file_read(FOLDER "paths.tsv", BODY_BYTES_MAX, &table, &length), 0);
	rest = table;
	shared_row(&rest, row, PATH_COLUMNS); /* the heading */
	for (; shared_row(&rest, row, PATH_COLUMNS); count++)
		check_path(row);
	assert_int_equal(count, 136);
}

/* ---- where readings differ ---- */

#define FORM "content-type: multipart/form-data; boundary=b"
#define GRPC "content-type: application/grpc"
#define JSON "content-type: application/json"

struct request_case {
	const char *path, *headers, *body;
	size_t length;
	const char *verdict, *name;
};

#define CASE(path, headers, body, verdict, name)                                                   \
	{                                                                                          \
		path, headers, body, sizeof(body) - 1, verdict, name                               \
	}
#define CHAT "/v1/chat/completions"
#define AUDIO "/v1/audio/transcriptions"
#define INFER "/inference.GRPCInferenceService/ModelInfer"
#define PART(disposition, value) "--b\r\nContent-Disposition: " disposition "\r\n\r\n" value "\r\n"
#define MODEL(value) PART("form-data; name=\"model\"", value)
#define END "--b--\r\n"

static const struct request_case cases[] = {
	/* the Content-Type decides nothing where the API takes JSON: a form there might
	 * begin with JSON for a server that does not look at the type */
	CASE(CHAT, FORM, "{\"model\":\"evil\"}\r\n" MODEL("good") END, "not_json", ""),
	CASE(CHAT, FORM, "{\"model\":\"good\"}", "ok", "good"),
	CASE(CHAT, JSON " | content-encoding: gzip", "{\"model\":\"good\"}", "encoded", ""),
	CASE(CHAT, JSON " | content-encoding: identity", "{\"model\":\"good\"}", "ok", "good"),
	/* an API that we do not know */
	CASE("/x", JSON, "{\"model\":\"good\"}", "ok", "good"),
	CASE("/x", JSON, "{\"model\":\"a\",\"model\":\"b\"}", "duplicate", ""),
	CASE("/x", JSON, "[1]", "none", ""),
	CASE("/x", JSON, "", "none", ""),
	CASE("/x", "-", "{\"model\":\"a\",\"model\":\"b\"}", "none", ""),
	CASE("/v2/models/m/infer", JSON, "{\"model\":\"evil\"", "ok", "m"),
	/* what a form's type must say */
	CASE(AUDIO, JSON, "{\"model\":\"good\"}", "ok", "good"),
	CASE(AUDIO, "-", MODEL("good") END, "no_boundary", ""),
	CASE(AUDIO, "content-type: application/x-www-form-urlencoded", "model=evil", "no_boundary",
	     ""),
	CASE(AUDIO, FORM " | " FORM, MODEL("good") END, "no_boundary", ""),
	CASE(AUDIO, FORM "; boundary=c", MODEL("good") END, "no_boundary", ""),
	CASE(AUDIO, FORM "; boundary*=utf-8''c", MODEL("good") END, "no_boundary", ""),
	CASE(AUDIO, FORM "; x", MODEL("good") END, "no_boundary", ""),
	CASE(AUDIO, FORM ";", MODEL("good") END, "ok", "good"),
	CASE(AUDIO, FORM "; charset=utf-16", MODEL("good") END, "encoded", ""),
	CASE(AUDIO, FORM "; charset=UTF-8", MODEL("good") END, "ok", "good"),
	CASE(AUDIO, "content-type: multipart/form-data; boundary=\"\\b\"", MODEL("good") END,
	     "no_boundary", ""),
	CASE(AUDIO, "content-type: multipart/form-data; boundary=\"b", MODEL("good") END,
	     "no_boundary", ""),
	CASE(AUDIO, "content-type: multipart/form-data; boundary=\"b \"", "", "no_boundary", ""),
	CASE(AUDIO, FORM " | content-encoding: br", MODEL("good") END, "encoded", ""),
	/* forms */
	CASE(AUDIO, FORM, MODEL("\xc3\xa9/m") END, "ok", "\xc3\xa9/m"),
	CASE(AUDIO, FORM, MODEL("good") "--b--", "ok", "good"),
	CASE(AUDIO, FORM, MODEL("a\r\n--") END, "bad_model_chars", ""),
	CASE(AUDIO, FORM, MODEL("--") END, "ok", "--"),
	CASE(AUDIO, FORM, MODEL("--c") END, "ok", "--c"),
	CASE(AUDIO, FORM, MODEL("\xff") END, "bad_utf8", ""),
	CASE(AUDIO, FORM, MODEL("a\x7f") END, "bad_model_chars", ""),
	CASE(AUDIO, FORM, MODEL("a") MODEL("a") END, "duplicate", ""),
	CASE(AUDIO, FORM, MODEL("a") PART("form-data; name=model; filename=x", "b") END,
	     "duplicate", ""),
	CASE(AUDIO, FORM, PART("form-data; name=\"Model\"", "a") END, "none", ""),
	CASE(AUDIO, FORM, PART("form-data; name=\"modell\"", "a") END, "none", ""),
	CASE(AUDIO, FORM, PART("FORM-DATA ; name = model", "a") END, "bad_form", ""),
	CASE(AUDIO, FORM, PART("Form-Data ; NAME=\"model\" ;", "a") END, "ok", "a"),
	CASE(AUDIO, FORM, PART("attachment; name=\"model\"", "a") END, "bad_form", ""),
	CASE(AUDIO, FORM, PART("form-data; name=\"mo\\del\"", "a") END, "bad_form", ""),
	CASE(AUDIO, FORM, PART("form-data; name=\"a\"; name=\"model\"", "a") END, "bad_form", ""),
	CASE(AUDIO, FORM, PART("form-data; name*=utf-8''model", "a") END, "bad_form", ""),
	CASE(AUDIO, FORM, PART("form-data; name=\"model\"; filename*=utf-8''x", "a") END,
	     "bad_form", ""),
	CASE(AUDIO, FORM, PART("form-data; name=\"f\"; filename*=utf-8''x", "a") MODEL("m") END,
	     "ok", "m"),
	CASE(AUDIO, FORM,
	     PART("form-data; name=\"model\"\r\nContent-Disposition: form-data; name=\"x\"", "a")
		     END,
	     "bad_form", ""),
	CASE(AUDIO, FORM, PART("form-data;\r\n name=\"model\"", "a") END, "bad_form", ""),
	CASE(AUDIO, FORM, PART("form-data; name=\"model", "a") END, "bad_form", ""),
	CASE(AUDIO, FORM, PART("form-data; name=\"model\"\r\nno colon", "a") END, "bad_form", ""),
	CASE(AUDIO, FORM,
	     PART("form-data; name=\"model\"\r\nContent-Transfer-Encoding: base64", "a") END,
	     "encoded", ""),
	CASE(AUDIO, FORM,
	     PART("form-data; name=\"model\"\r\nContent-Transfer-Encoding: 8BIT", "a") END, "ok",
	     "a"),
	CASE(AUDIO, FORM, "--b\r\n\r\nx\r\n" MODEL("a") END, "ok", "a"),
	CASE(AUDIO, FORM, END, "none", ""),
	CASE(AUDIO, FORM, "--b--x" MODEL("a") END, "none", ""),
	/* parts that only some servers see */
	CASE(AUDIO, FORM, "x\n" MODEL("evil") MODEL("good") END, "bad_form", ""),
	CASE(AUDIO, FORM, "\r\n" MODEL("good") END, "ok", "good"),
	CASE(AUDIO, FORM, "--b\n" MODEL("good") END, "bad_form", ""),
	CASE(AUDIO, FORM, "--b \r\n\r\nx\r\n" MODEL("good") END, "bad_form", ""),
	CASE(AUDIO, FORM, PART("form-data; name=f", "x\r\n--b\t\r\n") MODEL("good") END, "bad_form",
	     ""),
	CASE(AUDIO, FORM, PART("form-data; name=f", "x\r\n--b-x") MODEL("good") END, "bad_form",
	     ""),
	CASE(AUDIO, FORM, PART("form-data; name=f", "x\r\n--b\r\r\n--bx") MODEL("good") END,
	     "bad_form", ""),
	CASE(AUDIO, FORM, PART("form-data; name=f", "x\r\n--bx") MODEL("good") END, "ok", "good"),
	CASE(AUDIO, FORM, PART("form-data; name=f", "x\n--b\n") MODEL("good") END, "ok", "good"),
	CASE(AUDIO, FORM, "--b\r\nContent-Disposition: form-data; name=f\r\n\r\n" MODEL("a") END,
	     "bad_form", ""),
	/* gRPC */
	CASE(INFER, GRPC, "", "empty_body", ""),
	CASE(INFER, GRPC, "\0\0\0\0\0", "none", ""),
	CASE(INFER, GRPC, "\0\0\0\0\3\n\1m", "ok", "m"),
	CASE(INFER, JSON, "\0\0\0\0\3\n\1m", "not_proto", ""),
	CASE(INFER, "-", "\0\0\0\0\3\n\1m", "not_proto", ""),
	CASE(INFER, "content-type: application/grpc-web-text", "AAAA", "not_proto", ""),
	CASE(INFER, "content-type: application/grpc-web+proto", "\0\0\0\0\3\n\1m", "ok", "m"),
	CASE(INFER, GRPC, "\2\0\0\0\3\n\1m", "not_proto", ""),
	CASE(INFER, GRPC, "\0\0\0\0\2\n\0", "empty_model", ""),
	CASE(INFER, GRPC, "\0\0\0\0\3\n\2m", "not_proto", ""),
	CASE(INFER, GRPC, "\0\0\0\0\3\n\1\xff", "bad_utf8", ""),
	CASE(INFER, GRPC, "\0\0\0\0\3\n\1\n", "bad_model_chars", ""),
	CASE(INFER, GRPC, "\0\0\0\0\2\10\1", "wrong_type", ""),
	CASE(INFER, GRPC, "\0\0\0\0\2\0\1", "not_proto", ""),
	CASE(INFER, GRPC, "\0\0\0\0\2\23\24", "not_proto", ""),
	CASE(INFER, GRPC, "\0\0\0\0\2\22\1", "not_proto", ""),
	CASE(INFER, GRPC, "\0\0\0\0\1\n", "truncated", ""),
	CASE(INFER, GRPC, "\0\0\0\0\4\x8a\0\1m", "ok", "m"),
	CASE(INFER, GRPC, "\0\0\0\0\7\x8a\x80\x80\x80\x80\0\0", "not_proto", ""),
	CASE(INFER, GRPC, "\0\0\0\0\13\22\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", "not_proto", ""),
	/* a name in a field of a field; more than one of either */
	CASE("/tensorflow.serving.PredictionService/Predict", GRPC, "\0\0\0\0\5\n\3\n\1m", "ok",
	     "m"),
	CASE("/tensorflow.serving.PredictionService/Predict", GRPC, "\0\0\0\0\12\n\3\n\1m\n\3\n\1n",
	     "duplicate", ""),
	CASE("/tensorflow.serving.PredictionService/Predict", GRPC, "\0\0\0\0\7\n\0\n\3\n\1m", "ok",
	     "m"),
	CASE("/tensorflow.serving.PredictionService/Predict", GRPC, "\0\0\0\0\5\n\2\n\1m",
	     "not_proto", ""),
	CASE("/tensorflow.serving.PredictionService/Predict", GRPC, "\0\0\0\0\5\22\3\n\1m", "none",
	     ""),
	/* JSON in a field */
	CASE("/google.cloud.aiplatform.v1beta1.PredictionService/ChatCompletions", GRPC,
	     "\0\0\0\0\27\n\1e\22\22\n\1j\22\015{\"model\":\"m\"}", "ok", "m"),
	CASE("/google.cloud.aiplatform.v1beta1.PredictionService/ChatCompletions", GRPC,
	     "\0\0\0\0\6\22\4\22\2{}", "none", ""),
	CASE("/google.cloud.aiplatform.v1beta1.PredictionService/ChatCompletions", GRPC,
	     "\0\0\0\0\6\22\4\22\2{]", "not_json", ""),
};

static void what_servers_read_in_different_ways_is_refused(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct request_case *c = &cases[i];
		struct ask ask = {"POST", c->path, c->headers, c->body, c->length};
		struct expected expected = {c->verdict, c->name, strlen(c->name), NULL};
		char what[64];

		snprintf(what, sizeof(what), "case %zu", i);
		check_every_size(what, &ask, &expected);
	}
}

static void only_apis_without_a_model_may_have_none(void **state)
{
	static const struct {
		const char *path;
		bool may;
	} paths[] = {{CHAT, false}, {AUDIO, false}, {INFER, false}, {"/x", true}, {"/", true}};
	struct model_request request;
	struct model_facts facts;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		struct ask ask = {"POST", paths[i].path, "-", "", 0};

		ask_in_steps(&ask, 1, 1, &facts, &request);
		assert_int_equal(model_request_may_have_none(&request), paths[i].may);
	}
}

static void sentences_speak_of_what_the_body_is(void **state)
{
	struct ask form = {"POST", AUDIO, FORM, END, sizeof(END) - 1};
	struct ask json = {"POST", CHAT, JSON, "{}", 2};
	struct model_request request;
	struct model_facts facts;

	(void)state;
	assert_int_equal(ask_in_steps(&form, 1, 1, &facts, &request), MODEL_NONE);
	assert_string_equal(model_request_text(&request, MODEL_NONE),
			    "the form has no field \"model\"");
	assert_int_equal(ask_in_steps(&json, 1, 1, &facts, &request), MODEL_NONE);
	assert_string_equal(model_request_text(&request, MODEL_NONE),
			    "the body has no top-level \"model\"");
}

static void the_state_stays_small(void **state)
{
	(void)state;
	assert_true(sizeof(struct model_request) <= 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reference_bodies_mean_what_their_table_says),
		cmocka_unit_test(the_reference_paths_are_where_their_table_says),
		cmocka_unit_test(what_servers_read_in_different_ways_is_refused),
		cmocka_unit_test(only_apis_without_a_model_may_have_none),
		cmocka_unit_test(sentences_speak_of_what_the_body_is),
		cmocka_unit_test(the_state_stays_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
