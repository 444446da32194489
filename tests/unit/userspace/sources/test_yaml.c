// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/sources/yaml.h"

static int parse(const char *text, struct yaml_file *file, struct yaml_error *error)
{
	return yaml_parse(text, strlen(text), file, error);
}

static void scalars_follow_the_json_schema(void **state)
{
	static const struct {
		const char *text;
		enum node_type type;
		int64_t integer;
	} cases[] = {
		{"", NODE_NULL, 0},
		{"~", NODE_NULL, 0},
		{"null", NODE_NULL, 0},
		{"0", NODE_INT, 0},
		{"-42", NODE_INT, -42},
		{"9223372036854775807", NODE_INT, INT64_MAX},
		{"9223372036854775808", NODE_FLOAT, 0},
		{"1.5", NODE_FLOAT, 0},
		{"1e9", NODE_FLOAT, 0},
		{"\"42\"", NODE_STRING, 0},
		{"'true'", NODE_STRING, 0},
		{"007", NODE_STRING, 0},
		{"0x1f", NODE_STRING, 0},
		{"1.2.3.4", NODE_STRING, 0},
		{"1-2", NODE_STRING, 0},
		{"10s", NODE_STRING, 0},
		{"yes", NODE_STRING, 0},
		{"-", NODE_LIST, 0},
		{"2026-01-01T00:00:00Z", NODE_STRING, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct yaml_error error;
		struct yaml_file file;
		const struct node *node;
		char text[64];

		snprintf(text, sizeof(text), "k: %s\n", cases[i].text);
		if (cases[i].type == NODE_LIST)
			snprintf(text, sizeof(text), "k:\n- %s\n", "x");
		assert_int_equal(parse(text, &file, &error), 0);
		node = node_get(file.documents[0], "k");
		assert_non_null(node);
		if (node->type != cases[i].type)
			fail_msg("\"%s\" is %s", cases[i].text, node_type_name(node->type));
		if (node->type == NODE_INT)
			assert_true(node->integer == cases[i].integer);
		yaml_file_deinit(&file);
	}
}

static void nodes_remember_their_lines(void **state)
{
	struct yaml_error error;
	struct yaml_file file;
	const struct node *b;

	(void)state;
	assert_int_equal(parse("# one\n---\na: 1\nb:\n- x\n- {c: 2,\n   d: true}\n", &file, &error),
			 0);
	assert_int_equal(file.documents[0]->line, 3);
	b = node_get(file.documents[0], "b");
	assert_int_equal(b->count, 2);
	assert_int_equal(b->items[0]->line, 5);
	assert_int_equal(node_get(b->items[1], "d")->line, 7);
	assert_true(node_get(b->items[1], "d")->boolean);
	assert_null(node_get(b->items[1], "e"));
	assert_null(node_get(b, "c"));
	assert_null(node_get(NULL, "c"));
	yaml_file_deinit(&file);
}

static void a_file_may_hold_several_documents(void **state)
{
	struct yaml_error error;
	struct yaml_file file;

	(void)state;
	assert_int_equal(parse("a: 1\n---\n---\nb: 2\n...\n", &file, &error), 0);
	assert_int_equal(file.count, 3);
	assert_int_equal(file.documents[1]->type, NODE_NULL);
	yaml_file_deinit(&file);
	assert_int_equal(parse("# nothing\n", &file, &error), 0);
	assert_int_equal(file.count, 0);
	yaml_file_deinit(&file);
}

static void json_is_yaml_too(void **state)
{
	static const char text[] =
		"{\n\t\"kind\": \"Pod\",\n\t\"n\": [1, 2.5, null, \"a\\/\\u00e9\"]\n}\n";
	struct yaml_error error;
	struct yaml_file file;
	const struct node *n;

	(void)state;
	assert_int_equal(parse(text, &file, &error), 0);
	n = node_get(file.documents[0], "n");
	assert_int_equal(n->count, 4);
	assert_int_equal(n->items[2]->type, NODE_NULL);
	assert_string_equal(n->items[3]->text, "a/\xc3\xa9");
	yaml_file_deinit(&file);
}

static void what_is_refused_names_line_and_reason(void **state)
{
	static const struct {
		const char *text;
		uint32_t line;
		const char *why;
	} cases[] = {
		{"a: 1\nb: 2\na: 3\n", 3, "\"a\" is there twice, first in line 1"},
		{"a: &x [1]\n", 1, "anchors"},
		{"a: [1]\nb: *x\n", 2, "anchors"},
		{"a: !!str 1\n", 1, "tags"},
		{"a: 1\n b: 2\n", 2, "mapping values are not allowed"},
		{"a:\n\t- b\n", 2, "cannot start any token"},
		{"a: \"b\n", 2, "unexpected end of stream"},
		{"[1]: 2\n", 1, "a key is not a word"},
		{"~: 2\n", 1, "a key is not a word"},
		{"a: \"x\\0y\"\n", 1, "NUL"},
		{"a: \xff\xfe\n", 1, "UTF-8"},
		{"a: \x01\n", 1, "control characters"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct yaml_error error;
		struct yaml_file file;

		assert_int_equal(parse(cases[i].text, &file, &error), -EBADMSG);
		if (error.line != cases[i].line || !strstr(error.text, cases[i].why))
			fail_msg("\"%s\": line %u: %s", cases[i].text, error.line, error.text);
	}
}

static void depth_is_bounded(void **state)
{
	char text[2 * YAML_DEPTH_MAX + 3] = "";
	struct yaml_error error;
	struct yaml_file file;

	(void)state;
	memset(text, '[', YAML_DEPTH_MAX);
	memset(text + YAML_DEPTH_MAX, ']', YAML_DEPTH_MAX);
	assert_int_equal(parse(text, &file, &error), 0);
	yaml_file_deinit(&file);
	memset(text, '[', YAML_DEPTH_MAX + 1);
	memset(text + YAML_DEPTH_MAX + 1, ']', YAML_DEPTH_MAX + 1);
	assert_int_equal(parse(text, &file, &error), -EBADMSG);
	assert_non_null(strstr(error.text, "nested"));
}

static void bytes_and_nodes_are_bounded(void **state)
{
	const size_t size = YAML_BYTES_MAX + 1;
	_cleanup_free_ char *text = malloc(size);
	struct yaml_error error;
	struct yaml_file file;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', size);
	assert_int_equal(yaml_parse(text, size, &file, &error), -EBADMSG);
	assert_non_null(strstr(error.text, "split the file"));
	/* "[0,0,0..." has more nodes than are allowed */
	for (size_t i = 0; i < size; i++)
		text[i] = i % 2 ? '0' : ',';
	text[0] = '[';
	assert_int_equal(yaml_parse(text, YAML_BYTES_MAX, &file, &error), -EBADMSG);
	assert_non_null(strstr(error.text, "nodes"));
}

static void no_byte_behind_the_input_is_read(void **state)
{
	static const char text[] = "kind: Pod\nmetadata: {name: \"x\", labels: {a: b}}\n";

	(void)state;
	for (size_t length = 0; length < sizeof(text); length++) {
		/* exactly as long, for the sanitizer */
		_cleanup_free_ char *exact = malloc(length + 1);
		struct yaml_error error;
		struct yaml_file file;

		assert_non_null(exact);
		exact = realloc(exact, length ? length : 1);
		memcpy(exact, text, length);
		if (yaml_parse(exact, length, &file, &error) == 0)
			yaml_file_deinit(&file);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scalars_follow_the_json_schema),
		cmocka_unit_test(nodes_remember_their_lines),
		cmocka_unit_test(a_file_may_hold_several_documents),
		cmocka_unit_test(json_is_yaml_too),
		cmocka_unit_test(what_is_refused_names_line_and_reason),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(bytes_and_nodes_are_bounded),
		cmocka_unit_test(no_byte_behind_the_input_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
