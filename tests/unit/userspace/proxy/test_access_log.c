// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>
#include <json-c/json.h>

#include "userspace/base/address.h"
#include "userspace/base/file.h"
#include "userspace/base/log.h"
#include "userspace/model/usage.h"
#include "userspace/proxy/access_log.h"

static char line[ACCESS_LINE_MAX];

static struct json_object *format(const struct access_record *record)
{
	struct text text = TEXT_INIT(line);
	struct json_object *root;

	access_record_format(record, &text);
	assert_false(text.cut);
	assert_int_equal(line[text.length - 1], '\n');
	assert_ptr_equal(strchr(line, '\n'), line + text.length - 1);
	root = json_tokener_parse(line);
	assert_non_null(root);
	return root;
}

static struct access_record record_min(void)
{
	struct access_record record = {
		.at_ns = 1795305600123000000ull,
		.method = "GET",
		.path = "/x",
		.status = 404,
		.endpoint = ENDPOINT_NONE,
		.runner_up = ENDPOINT_NONE,
		.error = "route_not_found",
	};

	assert_int_equal(address_parse("192.0.2.1", &record.client), 0);
	return record;
}

static void a_refused_request_is_a_short_line(void **state)
{
	struct access_record record = record_min();
	struct json_object *root = format(&record);

	(void)state;
	assert_string_equal(line,
			    "{\"ts\":\"2026-11-22T00:00:00.123Z\",\"client\":\"192.0.2.1\","
			    "\"method\":\"GET\",\"path\":\"/x\",\"status\":404,\"attempts\":0,"
			    "\"total_ms\":0.000,\"bytes_in\":0,\"bytes_out\":0,"
			    "\"error\":\"route_not_found\"}\n");
	json_object_put(root);
}

static void hostile_paths_and_models_stay_one_line_of_json(void **state)
{
	struct access_record record = record_min();
	struct json_object *root, *member;

	(void)state;
	record.path = "/\"},\n{\"status\":200,\"x\":\"\xc3\x28\x01";
	record.model = "a\"\n\\\xf0\x9f\x90\xb1";
	record.model_length = strlen(record.model);
	root = format(&record);
	assert_true(json_object_object_get_ex(root, "status", &member));
	assert_int_equal(json_object_get_int(member), 404);
	assert_true(json_object_object_get_ex(root, "model", &member));
	assert_string_equal(json_object_get_string(member), record.model);
	json_object_put(root);
}

static void a_full_line_tells_place_pick_usage_and_retries(void **state)
{
	struct access_record record = record_min();
	const struct usage usage = {
		.prompt_tokens = 10, .completion_tokens = 20, .cached_tokens = -1};
	const struct pick pick = {
		.reason = PICK_SPILL,
		.index = 1,
		.eligible = 3,
		.margin_ms = 120.5,
		.terms = {.score_ms = 250.25, .rtt_ms = 30, .in_flight = 2},
		.runner_up_terms = {.score_ms = 400},
	};
	struct json_object *root, *member, *inner;

	(void)state;
	record.pick = &pick;
	record.runner_up = 7;
	record.endpoint = 5;
	record.endpoint_name = "ai/pod-5";
	record.cluster = "cluster-b";
	record.region = "us-east5";
	record.usage = &usage;
	record.retry_count = 2;
	record.retries[0] =
		(struct access_retry){.endpoint = 2, .name = "ai/pod-2", .reason = "refused"};
	record.retries[1] = (struct access_retry){
		.endpoint = 3, .name = "ai/pod-3", .reason = "status", .status = 503};
	root = format(&record);
	assert_true(json_object_object_get_ex(root, "pick", &member));
	assert_true(json_object_object_get_ex(member, "reason", &inner));
	assert_string_equal(json_object_get_string(inner), "spill");
	assert_true(json_object_object_get_ex(member, "margin_ms", &inner));
	assert_true(json_object_object_get_ex(member, "runner_up", &inner));
	assert_int_equal(json_object_get_int(inner), 7);
	assert_true(json_object_object_get_ex(root, "usage", &member));
	assert_true(json_object_object_get_ex(member, "completion_tokens", &inner));
	assert_false(json_object_object_get_ex(member, "cached_tokens", &inner));
	assert_true(json_object_object_get_ex(root, "retries", &member));
	assert_int_equal(json_object_array_length(member), 2);
	inner = json_object_array_get_idx(member, 0);
	assert_false(json_object_object_get_ex(inner, "status", NULL));
	assert_true(
		json_object_object_get_ex(json_object_array_get_idx(member, 1), "status", &inner));
	assert_int_equal(json_object_get_int(inner), 503);
	json_object_put(root);
}

static void lines_are_written_when_flushed_and_after_a_reopen(void **state)
{
	char dir[] = "/tmp/sluice-log-XXXXXX", path[64], moved[64], *data = NULL;
	struct access_record record = record_min();
	struct access_log log;
	size_t size;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a.log", dir);
	snprintf(moved, sizeof(moved), "%s/b.log", dir);
	assert_int_equal(access_log_open(&log, path), 0);
	access_log_put(&log, &record);
	assert_int_equal(file_read(path, 100000, &data, &size), 0);
	assert_int_equal(size, 0);
	free(data);
	assert_int_equal(rename(path, moved), 0);
	access_log_reopen(&log);
	for (int i = 0; i < 5000; i++)
		access_log_put(&log, &record);
	access_log_close(&log);
	assert_int_equal(file_read(moved, 100000, &data, &size), 0);
	assert_int_equal(size, strlen(data));
	assert_int_equal(data[size - 1], '\n');
	free(data);
	assert_int_equal(file_read(path, 10000000, &data, &size), 0);
	size_t lines = 0;
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	assert_int_equal(lines, 5000);
	free(data);
	unlink(path);
	unlink(moved);
	rmdir(dir);
}

static int warnings;

static void count_warnings(enum log_level level, const char *text)
{
	(void)text;
	warnings += level == LOG_LEVEL_WARNING;
}

static void a_full_disk_loses_lines_counts_them_and_says_so_once(void **state)
{
	struct access_record record = record_min();
	struct access_log log;

	(void)state;
	if (access("/dev/full", W_OK)) {
		print_message("skip: /dev/full is not here\n");
		skip();
	}
	log_sink = count_warnings;
	assert_int_equal(access_log_open(&log, "/dev/full"), 0);
	for (int i = 0; i < 10; i++) {
		access_log_put(&log, &record);
		access_log_flush(&log);
	}
	assert_int_equal(log.lost, 10);
	assert_int_equal(warnings, 1);
	access_log_close(&log);
	log_sink = NULL;
}

static size_t whole_lines(const char *data, size_t size)
{
	size_t lines = 0, start = 0;

	for (size_t i = 0; i < size; i++) {
		if (data[i] != '\n')
			continue;
		lines += i - start > 10 && memcmp(data + start, "{\"ts\":", 6) == 0 &&
			 data[i - 1] == '}' && !memmem(data + start + 1, i - start, "{\"ts\":", 6);
		start = i + 1;
	}
	return lines;
}

static void a_line_that_was_cut_off_does_not_spoil_the_next_one(void **state)
{
	char dir[] = "/tmp/sluice-log-XXXXXX", path[64], *data = NULL;
	struct access_record record = record_min();
	struct rlimit limit, small;
	struct access_log log;
	size_t size;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a.log", dir);
	assert_int_equal(access_log_open(&log, path), 0);
	for (int i = 0; i < 3; i++)
		access_log_put(&log, &record);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = log.used / 2; /* in the middle of the second line */
	signal(SIGXFSZ, SIG_IGN);
	log_sink = count_warnings;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	access_log_flush(&log);
	access_log_put(&log, &record);
	access_log_flush(&log);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	log_sink = NULL;
	assert_int_equal(log.lost, 3);
	for (int i = 0; i < 2; i++)
		access_log_put(&log, &record);
	access_log_close(&log);
	assert_int_equal(file_read(path, 100000, &data, &size), 0);
	assert_int_equal(whole_lines(data, size), 3);
	free(data);
	unlink(path);
	rmdir(dir);
}

static void a_pipe_that_nobody_reads_holds_up_nothing(void **state)
{
	struct access_record record = record_min();
	struct access_log log;
	char *data;
	int fds[2], saved;
	ssize_t size;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	saved = dup(STDOUT_FILENO);
	fflush(stdout);
	dup2(fds[1], STDOUT_FILENO);
	log_sink = count_warnings;
	alarm(10); /* ends the test should a write wait */
	assert_int_equal(access_log_open(&log, "-"), 0);
	for (int i = 0; i < 3000; i++)
		access_log_put(&log, &record);
	access_log_flush(&log);
	alarm(0);
	log_sink = NULL;
	dup2(saved, STDOUT_FILENO);
	close(saved);
	assert_in_range(log.lost, 1, 2999);
	data = malloc(1 << 20);
	size = read(fds[0], data, 1 << 20);
	assert_int_equal(whole_lines(data, (size_t)size) + log.lost, 3000);
	free(data);
	access_log_close(&log);
	close(fds[0]);
	close(fds[1]);
}

static void no_path_means_no_log(void **state)
{
	struct access_record record = record_min();
	struct access_log log;

	(void)state;
	assert_int_equal(access_log_open(&log, ""), 0);
	access_log_put(&log, &record);
	access_log_flush(&log);
	assert_int_equal(log.lost, 0);
	access_log_close(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refused_request_is_a_short_line),
		cmocka_unit_test(hostile_paths_and_models_stay_one_line_of_json),
		cmocka_unit_test(a_full_line_tells_place_pick_usage_and_retries),
		cmocka_unit_test(lines_are_written_when_flushed_and_after_a_reopen),
		cmocka_unit_test(a_full_disk_loses_lines_counts_them_and_says_so_once),
		cmocka_unit_test(a_line_that_was_cut_off_does_not_spoil_the_next_one),
		cmocka_unit_test(a_pipe_that_nobody_reads_holds_up_nothing),
		cmocka_unit_test(no_path_means_no_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
