/* SPDX-License-Identifier: BSD-2-Clause */
/* The scanner of JSON bodies against its own table: every body has one verdict
 * however it is cut.  (The reference bodies: test_request.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "userspace/base/cleanup.h"
#include "userspace/model/scan.h"

struct body_case {
	const char *body;
	size_t length;
	enum model_verdict verdict;
	const char *name;
};

#define CASE(b, v, n)                                                                              \
	{                                                                                          \
		b, sizeof(b) - 1, v, n                                                             \
	}

static const struct body_case cases[] = {
	CASE("{\"model\":\"a\"}", MODEL_OK, "a"),
	CASE(" \t\r\n{ \"model\" : \"a/b:c\" } \n", MODEL_OK, "a/b:c"),
	CASE("{\"a\":[1,{\"model\":\"x\"}],\"model\":\"y\",\"z\":{\"model\":1}}", MODEL_OK, "y"),
	CASE("{\"mod\\u0065l\":\"\\u0061\\/\\u00e9\\ud83e\\udd99\"}", MODEL_OK,
	     "a/\xc3\xa9\xf0\x9f\xa6\x99"),
	CASE("{\"model\":\"\xe9\x80\x9a\xf0\x9f\xa6\x99\"}", MODEL_OK,
	     "\xe9\x80\x9a\xf0\x9f\xa6\x99"),
	CASE("{\"model\\u0000\":\"x\",\"model\":\"y\"}", MODEL_OK, "y"),
	CASE("{\"Model\":\"x\"}", MODEL_NONE, ""),
	CASE("{\"mode\":\"x\",\"models\":\"x\",\"\":\"x\"}", MODEL_NONE, ""),
	CASE("{}", MODEL_NONE, ""),
	CASE("{\"a\":\"\\ud83e\",\"model\":\"y\"}", MODEL_OK, "y"),
	CASE("{\"\\ud83e\":1,\"\\udd99\":1,\"model\":\"y\"}", MODEL_OK, "y"),
	CASE("{\"a\":[],\"b\":{},\"c\":[[[]]],\"model\":\"y\"}", MODEL_OK, "y"),
	CASE("{\"a\":[0,-0,1.5,-1e5,2E+3,1.0e-9],\"model\":\"y\"}", MODEL_OK, "y"),
	CASE("{\"a\":[true,false,null],\"model\":\"y\"}", MODEL_OK, "y"),
	CASE("{\"model\":\"a\",\"model\":\"a\"}", MODEL_DUPLICATE, ""),
	CASE("{\"model\":\"a\",\"m\\u006fdel\":null}", MODEL_DUPLICATE, ""),
	CASE("{\"model\":null}", MODEL_WRONG_TYPE, ""),
	CASE("{\"model\":1}", MODEL_WRONG_TYPE, ""),
	CASE("{\"model\":[\"a\"]}", MODEL_WRONG_TYPE, ""),
	CASE("{\"model\":{\"model\":\"a\"}}", MODEL_WRONG_TYPE, ""),
	CASE("{\"model\":true}", MODEL_WRONG_TYPE, ""),
	CASE("{\"model\":nul}", MODEL_NOT_JSON, ""),
	CASE("{\"model\":1x}", MODEL_NOT_JSON, ""),
	CASE("{\"model\":\"\"}", MODEL_EMPTY, ""),
	CASE("{\"model\":\"a\\nb\"}", MODEL_BAD_CHARS, ""),
	CASE("{\"model\":\"a\\u0000\"}", MODEL_BAD_CHARS, ""),
	CASE("{\"model\":\"a\x7f\"}", MODEL_BAD_CHARS, ""),
	CASE("{\"model\":\"\\ud83e\"}", MODEL_BAD_STRING, ""),
	CASE("{\"model\":\"\\ud83ex\"}", MODEL_BAD_STRING, ""),
	CASE("{\"model\":\"\\ud83e\\n\"}", MODEL_BAD_STRING, ""),
	CASE("{\"model\":\"\\ud83e\\ud83e\\udd99\"}", MODEL_BAD_STRING, ""),
	CASE("{\"model\":\"\\udd99\"}", MODEL_BAD_STRING, ""),
	CASE("{\"model\":\"\\ud83e\xc3\xa9\"}", MODEL_BAD_STRING, ""),
	CASE("[]", MODEL_NOT_OBJECT, ""),
	CASE("\"model\"", MODEL_NOT_OBJECT, ""),
	CASE("-1", MODEL_NOT_OBJECT, ""),
	CASE("null", MODEL_NOT_OBJECT, ""),
	CASE("nul", MODEL_TRUNCATED, ""),
	CASE("nope", MODEL_NOT_JSON, ""),
	CASE("model=a", MODEL_NOT_JSON, ""),
	CASE("", MODEL_EMPTY_BODY, ""),
	CASE(" \r\n", MODEL_EMPTY_BODY, ""),
	CASE("\0", MODEL_NOT_JSON, ""),
	CASE("\xef\xbb\xbf{\"model\":\"a\"}", MODEL_BOM, ""),
	CASE("\xff\xfe{\0", MODEL_BOM, ""),
	CASE("\xfe\xff\0{", MODEL_BOM, ""),
	CASE("\xef\xbb", MODEL_NOT_JSON, ""),
	CASE("\xef\xbb{", MODEL_NOT_JSON, ""),
	CASE(" \xef\xbb\xbf{}", MODEL_NOT_JSON, ""),
	CASE("{\"model\":\"a\"}{", MODEL_NOT_JSON, ""),
	CASE("{\"model\":\"a\"}\0", MODEL_NOT_JSON, ""),
	CASE("{\"model\":\"a\"}}", MODEL_NOT_JSON, ""),
	CASE("{\"model\":\"a\",}", MODEL_NOT_JSON, ""),
	CASE("{\"model\":\"a\" \"b\":1}", MODEL_NOT_JSON, ""),
	CASE("{\"model\" \"a\"}", MODEL_NOT_JSON, ""),
	CASE("{\"model\"::\"a\"}", MODEL_NOT_JSON, ""),
	CASE("{,\"model\":\"a\"}", MODEL_NOT_JSON, ""),
	CASE("{model:\"a\"}", MODEL_NOT_JSON, ""),
	CASE("{'model':'a'}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":[1,],\"model\":\"a\"}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":[,1],\"model\":\"a\"}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":[1}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":{\"b\":1]}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":01}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":+1}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":.5}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":1.}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":1e}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":1e+}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":-}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":--1}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":0x1}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":1.5.5}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":NaN}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":Infinity}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":True}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":truey}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":\"\\x\"}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":\"\\u12g4\"}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":\"\\\0\"}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":\"\n\"}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":\"\x1f\"}", MODEL_NOT_JSON, ""),
	CASE("{/**/\"a\":1}", MODEL_NOT_JSON, ""),
	CASE("{\xc2\xa0}", MODEL_NOT_JSON, ""),
	CASE("{\f}", MODEL_NOT_JSON, ""),
	CASE("{\"a\":\"\x80\"}", MODEL_BAD_UTF8, ""),
	CASE("{\"a\":\"\xc0\xaf\"}", MODEL_BAD_UTF8, ""),
	CASE("{\"a\":\"\xc1\xbf\"}", MODEL_BAD_UTF8, ""),
	CASE("{\"a\":\"\xe0\x9f\xbf\"}", MODEL_BAD_UTF8, ""),
	CASE("{\"a\":\"\xed\xa0\x80\"}", MODEL_BAD_UTF8, ""),
	CASE("{\"a\":\"\xf0\x8f\xbf\xbf\"}", MODEL_BAD_UTF8, ""),
	CASE("{\"a\":\"\xf4\x90\x80\x80\"}", MODEL_BAD_UTF8, ""),
	CASE("{\"a\":\"\xf5\x80\x80\x80\"}", MODEL_BAD_UTF8, ""),
	CASE("{\"a\":\"\xe2\x82\"}", MODEL_BAD_UTF8, ""),
	CASE("{\"\xff\":1}", MODEL_BAD_UTF8, ""),
	CASE("{\"a\":\"\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf\xf0\x90\x80\x80\"}",
	     MODEL_NONE, ""),
	CASE("{\"model\":\"a\"", MODEL_TRUNCATED, ""),
	CASE("{\"model\":\"a", MODEL_TRUNCATED, ""),
	CASE("{\"model\":1", MODEL_TRUNCATED, ""),
	CASE("{\"model\":tr", MODEL_TRUNCATED, ""),
	CASE("{\"a\":\"\\", MODEL_TRUNCATED, ""),
	CASE("{\"a\":\"\\u00", MODEL_TRUNCATED, ""),
	CASE("{\"a\":\"\xe2\x82", MODEL_TRUNCATED, ""),
	CASE("{", MODEL_TRUNCATED, ""),
};

static enum model_verdict scan_in_steps(const char *body, size_t length, size_t step,
					struct model_facts *facts)
{
	struct model_scan scan;
	size_t i;

	model_scan_init(&scan, facts);
	for (i = 0; i < length; i += step)
		model_scan_feed(&scan, body + i, length - i < step ? length - i : step);
	return model_scan_finish(&scan);
}

static enum model_verdict scan_cut_at(const char *body, size_t length, size_t cut,
				      struct model_facts *facts)
{
	struct model_scan scan;

	model_scan_init(&scan, facts);
	model_scan_feed(&scan, body, cut);
	model_scan_feed(&scan, body + cut, length - cut);
	return model_scan_finish(&scan);
}

static void check(const char *what, enum model_verdict got, const struct model_facts *facts,
		  const char *verdict, const char *name, size_t name_length)
{
	if (strcmp(model_verdict_name(got), verdict) || facts->name_length != name_length ||
	    memcmp(facts->name, name, name_length))
		fail_msg("%s: %s \"%s\", should be %s \"%s\"", what, model_verdict_name(got),
			 facts->name, verdict, name);
}

#define EVERY_CUT_BYTES_MAX 2000

static void check_every_cut(const char *what, const char *body, size_t length, const char *verdict,
			    const char *name, size_t name_length)
{
	static const size_t big_steps[] = {1, 7, 63, 4096};
	struct model_facts facts;
	enum model_verdict got;
	size_t i;

	for (i = 1; i <= length && length <= EVERY_CUT_BYTES_MAX; i++) {
		got = scan_cut_at(body, length, i, &facts);
		check(what, got, &facts, verdict, name, name_length);
		got = scan_in_steps(body, length, i, &facts);
		check(what, got, &facts, verdict, name, name_length);
	}
	for (i = 0; i < ARRAY_SIZE(big_steps); i++) {
		got = scan_in_steps(body, length, big_steps[i], &facts);
		check(what, got, &facts, verdict, name, name_length);
	}
	got = scan_in_steps(body, length, length + 1, &facts);
	check(what, got, &facts, verdict, name, name_length);
}

static void every_body_has_one_verdict_however_it_is_cut(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		check_every_cut(cases[i].body, cases[i].body, cases[i].length,
				model_verdict_name(cases[i].verdict), cases[i].name,
				strlen(cases[i].name));
}

static char *nested(size_t depth)
{
	char *body = malloc(2 * depth + 64);
	size_t n = (size_t)sprintf(body, "{\"a\":");

	memset(body + n, '[', depth - 1);
	memset(body + n + depth - 1, ']', depth - 1);
	sprintf(body + n + 2 * (depth - 1), ",\"model\":\"m\"}");
	return body;
}

static void nesting_is_allowed_down_to_the_limit(void **state)
{
	_cleanup_free_ char *deepest = nested(MODEL_DEPTH_MAX);
	_cleanup_free_ char *deeper = nested(MODEL_DEPTH_MAX + 1);

	(void)state;
	check_every_cut("256 levels", deepest, strlen(deepest), "ok", "m", 1);
	check_every_cut("257 levels", deeper, strlen(deeper), "too_deep", "", 0);
}

/* `count` times the escape or byte `unit`, as the model. */
static char *model_of(const char *unit, size_t count)
{
	char *body = malloc(strlen(unit) * count + 32);
	char *p = body + sprintf(body, "{\"model\":\"");
	size_t i;

	for (i = 0; i < count; i++)
		p = stpcpy(p, unit);
	strcpy(p, "\"}");
	return body;
}

static void model_length_counts_unescaped_bytes(void **state)
{
	static const struct {
		const char *unit;
		size_t bytes;
	} units[] = {
		{"m", 1}, {"\\u006d", 1}, {"\xc3\xa9", 2}, {"\\u00e9", 2}, {"\\ud83e\\udd99", 4}};
	struct model_facts facts;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(units); i++) {
		size_t count = MODEL_NAME_MAX / units[i].bytes;
		_cleanup_free_ char *fits = model_of(units[i].unit, count);
		_cleanup_free_ char *too_long = model_of(units[i].unit, count + 1);

		assert_int_equal(scan_in_steps(fits, strlen(fits), 1, &facts), MODEL_OK);
		assert_int_equal(facts.name_length, MODEL_NAME_MAX);
		assert_int_equal(scan_in_steps(too_long, strlen(too_long), 1, &facts),
				 MODEL_TOO_LONG);
		assert_string_equal(facts.name, "");
	}
}

struct facts_case {
	const char *body;
	bool stream;
	uint64_t max_tokens;
	uint64_t text_bytes;
};

static const struct facts_case facts_cases[] = {
	{"{\"model\":\"a\"}", false, 0, 0},
	{"{\"stream\":true,\"model\":\"a\"}", true, 0, 0},
	{"{\"stream\":false}", false, 0, 0},
	{"{\"stream\":\"true\"}", false, 0, 0},
	{"{\"stream\":[true]}", false, 0, 0},
	{"{\"a\":{\"stream\":true,\"max_tokens\":5}}", false, 0, 0},
	{"{\"max_tokens\":16}", false, 16, 0},
	{"{\"max_tokens\":16,\"max_completion_tokens\":0}", false, 0, 0},
	{"{\"max_completion_tokens\":123456}", false, 123456, 0},
	{"{\"max_output_tokens\": 7 }", false, 7, 0},
	{"{\"max_tokens\":null}", false, 0, 0},
	{"{\"max_tokens\":-1}", false, 0, 0},
	{"{\"max_tokens\":1.5}", false, 0, 0},
	{"{\"max_tokens\":1e3}", false, 0, 0},
	{"{\"max_tokens\":99999999999999999999999}", false, UINT64_MAX, 0},
	{"{\"prompt\":\"hello\"}", false, 0, 5},
	{"{\"prompt\":\"a\\n\\u00e9\xc3\xa9\"}", false, 0, 6},
	{"{\"prompt\":[\"ab\",\"cd\"],\"suffix\":\"xyz\"}", false, 0, 4},
	{"{\"prompt\":[1,2,3]}", false, 0, 12},
	{"{\"input\":\"abc\"}", false, 0, 3},
	{"{\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}", false, 0, 9},
	{"{\"messages\":[{\"content\":[{\"text\":\"ab\"},{\"url\":\"data:image/png;base64,AAAA\"}]}]}",
	 false, 0, 2},
	{"{\"prompt\":\"data\"}", false, 0, 4},
	{"{\"prompt\":\"d\\u0061ta:xx\"}", false, 0, 0},
};

static void the_facts_of_a_request_are_seen_by_the_way(void **state)
{
	struct model_facts facts;
	size_t i, step;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(facts_cases); i++) {
		const struct facts_case *c = &facts_cases[i];

		for (step = 1; step <= strlen(c->body); step++) {
			scan_in_steps(c->body, strlen(c->body), step, &facts);
			if (facts.stream != c->stream || facts.max_tokens != c->max_tokens ||
			    facts.text_bytes != c->text_bytes)
				fail_msg("%s: stream %d, max_tokens %lu, text_bytes %lu", c->body,
					 facts.stream, (unsigned long)facts.max_tokens,
					 (unsigned long)facts.text_bytes);
		}
	}
}

static void scanning_stops_at_the_first_error(void **state)
{
	struct model_scan scan;
	struct model_facts facts;

	(void)state;
	model_scan_init(&scan, &facts);
	assert_true(model_scan_feed(&scan, "{\"a\":", 5));
	assert_false(model_scan_feed(&scan, "x", 1));
	assert_false(model_scan_feed(&scan, "\"model\":\"a\"}", 12));
	assert_int_equal(model_scan_finish(&scan), MODEL_NOT_JSON);
}

static void the_state_stays_small(void **state)
{
	(void)state;
	assert_true(sizeof(struct model_scan) <= 256);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_body_has_one_verdict_however_it_is_cut),
		cmocka_unit_test(nesting_is_allowed_down_to_the_limit),
		cmocka_unit_test(model_length_counts_unescaped_bytes),
		cmocka_unit_test(the_facts_of_a_request_are_seen_by_the_way),
		cmocka_unit_test(scanning_stops_at_the_first_error),
		cmocka_unit_test(the_state_stays_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
