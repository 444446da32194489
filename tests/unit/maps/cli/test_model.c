// SPDX-License-Identifier: BSD-2-Clause
/* sluicectl model: what it prints is what requests/expected.tsv says of the same
 * bodies, from the command line to the output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "maps/cli/command.h"
#include "tests/harness/said.h"
#include "tests/harness/shared_data.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/file.h"
#include "userspace/base/log.h"

#define FOLDER "tests/unit/userspace/model/requests/"
#define ARGS_MAX 32

static char output[4096];

static int run(const char *const *args, int count)
{
	char *argv[ARGS_MAX], *copies[ARGS_MAX]; /* argv is scribbled on */
	FILE *out = fmemopen(output, sizeof(output), "w");
	int i, code;

	assert_non_null(out);
	said[0] = output[0] = '\0';
	for (i = 0; i < count; i++)
		argv[i] = copies[i] = strdup(args[i]);
	code = command_line_run(count, argv, out);
	fclose(out);
	for (i = 0; i < count; i++)
		free(copies[i]);
	return code;
}

#define RUN(...)                                                                                   \
	run((const char *const[]){"sluicectl", "model", __VA_ARGS__},                              \
	    2 + (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)))

enum { FILE_NAME, BYTES, METHOD, PATH, HEADERS, SOURCE, STRICT, COLUMNS };

static void check_row(char **row, const char *file)
{
	const char *args[ARGS_MAX] = {"sluicectl", "model",  "--method",
				      row[METHOD], "--path", row[PATH]};
	char *header = strcmp(row[HEADERS], "-") ? row[HEADERS] : NULL;
	int count = 6;

	while (header) {
		char *next = strstr(header, " | ");

		if (next)
			*next = '\0';
		args[count++] = "--header";
		args[count++] = header;
		header = next ? next + 3 : NULL;
	}
	args[count++] = file;
	assert_int_equal(run(args, count), 0);
	if (strncmp(output, row[STRICT], strlen(row[STRICT])) ||
	    strcmp(output + strlen(row[STRICT]), "\n"))
		fail_msg("%s: %s, should be %s", row[FILE_NAME], output, row[STRICT]);
}

static void every_body_of_the_table_is_told_as_the_table_has_it(void **state)
{
	_cleanup_free_ char *table = NULL;
	char *rest, *row[COLUMNS];
	size_t length, count = 0;

	(void)state;
	assert_int_equal(file_read(FOLDER "expected.tsv", 1u << 20, &table, &length), 0);
	rest = table;
	shared_row(&rest, row, COLUMNS);
	while (shared_row(&rest, row, COLUMNS)) {
		char file[256];

		snprintf(file, sizeof(file), FOLDER "%s", row[FILE_NAME]);
		if (access(file, R_OK)) {
			assert_true(atoi(row[BYTES]) > 33000); /* those are not in the tree */
			continue;
		}
		check_row(row, file);
		count++;
	}
	assert_int_equal(count, 149);
}

static void json_says_where_and_why(void **state)
{
	(void)state;
	assert_int_equal(RUN("--json", "--path", "/v1/models/m/labels/stable:predict"), 0);
	assert_string_equal(output, "{\"verdict\":\"ok\",\"place\":\"path\",\"model\":\"m\","
				    "\"label\":\"stable\",\"stream\":false,\"max_tokens\":0,"
				    "\"text_bytes\":0}\n");
	assert_int_equal(RUN("--json", "--path", "/v1/chat/completions",
			     FOLDER "020-duplicate-differ.json"),
			 0);
	assert_non_null(strstr(output, "\"verdict\":\"duplicate\",\"place\":\"body\",\"message\":"
				       "\"the body has more than one top-level"));
	assert_int_equal(RUN("-m", "GET", "-P", "/metrics"), 0);
	assert_string_equal(output, "err:blocked\n");
}

static void what_cannot_be_asked_is_said(void **state)
{
	(void)state;
	assert_int_equal(RUN("--method", "GET"), 1);
	assert_non_null(strstr(said, "--path"));
	assert_int_equal(RUN("--path", "/x", "--header", "no colon"), 2);
	assert_non_null(strstr(said, "NAME: VALUE"));
	assert_int_equal(RUN("--path", "/x", "/nowhere/body"), 1);
	assert_non_null(strstr(said, "/nowhere/body: cannot open the body"));
	assert_int_equal(RUN("--path", "/x", "/"), 1);
	assert_non_null(strstr(said, "cannot read the body"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_body_of_the_table_is_told_as_the_table_has_it),
		cmocka_unit_test(json_says_where_and_why),
		cmocka_unit_test(what_cannot_be_asked_is_said),
	};

	log_sink = said_keep;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
