// SPDX-License-Identifier: BSD-2-Clause
/* Files that are broken when a controller starts. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/file.h"
#include "userspace/sources/folder.h"
#include "userspace/sources/last_good.h"

#define GOOD                                                                                       \
	"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: one\n"                                \
	"---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: two\n"

static char root[64], dir[80], keep[80], file[96];

static int setup(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/sluice-test-good-%d", getpid());
	snprintf(dir, sizeof(dir), "%s/yaml", root);
	snprintf(keep, sizeof(keep), "%s/keep", root);
	snprintf(file, sizeof(file), "%s/a.yaml", dir);
	return mkdir(root, 0700) || mkdir(dir, 0700) || last_good_open(keep);
}

static void empty_and_remove(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		char name[512];

		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		unlink(name);
	}
	if (directory)
		closedir(directory);
	rmdir(path);
}

static int teardown(void **state)
{
	(void)state;
	empty_and_remove(dir);
	empty_and_remove(keep);
	return rmdir(root);
}

static void write_file(const char *text)
{
	assert_int_equal(file_replace(file, text, strlen(text), 0600), 0);
}

/* A start: opens the folder, looks once, and says how many objects there are. */
static size_t count_objects(const char *copies, size_t *ret_messages)
{
	_cleanup_(folder_closep) struct folder *folder = NULL;
	bool changed;

	assert_int_equal(folder_open(dir, copies, &folder), 0);
	assert_int_equal(folder_scan(folder, clock_realtime_ns(), &changed), 0);
	*ret_messages = folder_messages(folder)->count;
	return folder_objects(folder)->count;
}

static void a_file_that_is_no_yaml_at_start_is_used_as_it_last_was(void **state)
{
	size_t messages;

	(void)state;
	write_file(GOOD);
	assert_int_equal(count_objects(keep, &messages), 2);
	assert_int_equal(messages, 0);
	write_file("kind: [");
	assert_int_equal(count_objects(NULL, &messages), 0);
	assert_int_equal(count_objects(keep, &messages), 2);
	assert_int_equal(messages, 1);
	/* and at the next start too */
	assert_int_equal(count_objects(keep, &messages), 2);
}

static void a_file_that_is_empty_at_start_is_used_as_it_last_was(void **state)
{
	size_t messages;

	(void)state;
	write_file(GOOD);
	assert_int_equal(count_objects(keep, &messages), 2);
	write_file("");
	assert_int_equal(count_objects(keep, &messages), 2);
	assert_int_equal(messages, 1);
	assert_int_equal(count_objects(keep, &messages), 2);
	assert_int_equal(count_objects(NULL, &messages), 0);
	assert_int_equal(messages, 0);
}

static void a_file_that_is_being_written_at_start_is_used_as_it_last_was(void **state)
{
	size_t messages;
	FILE *out;

	(void)state;
	write_file(GOOD);
	assert_int_equal(count_objects(keep, &messages), 2);
	out = fopen(file, "w");
	assert_non_null(out);
	assert_int_equal(count_objects(keep, &messages), 2);
	assert_int_equal(count_objects(NULL, &messages), 0);
	fclose(out);
}

static void one_refused_object_does_not_hold_back_the_others(void **state)
{
	size_t messages;

	(void)state;
	write_file(GOOD);
	count_objects(keep, &messages);
	write_file("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: one\n  labels: [bad]\n"
		   "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: three\n");
	/* one as it was, three new, two deleted */
	assert_int_equal(count_objects(keep, &messages), 2);
	assert_int_equal(messages, 1);
}

static void a_deleted_file_is_forgotten(void **state)
{
	_cleanup_(folder_closep) struct folder *folder = NULL;
	_cleanup_free_ char *data = NULL;
	bool changed;
	size_t size;

	(void)state;
	write_file(GOOD);
	assert_int_equal(folder_open(dir, keep, &folder), 0);
	assert_int_equal(folder_scan(folder, clock_realtime_ns(), &changed), 0);
	assert_int_equal(last_good_load(keep, file, &data, &size), 0);
	assert_string_equal(data, GOOD);
	unlink(file);
	assert_int_equal(folder_scan(folder, clock_realtime_ns(), &changed), 0);
	freep(&data);
	data = NULL;
	assert_int_equal(last_good_load(keep, file, &data, &size), -ENOENT);
}

static void copies_that_nobody_used_are_pruned(void **state)
{
	_cleanup_free_ char *data = NULL, *other = NULL;
	uint64_t between;
	size_t size;

	(void)state;
	last_good_store(keep, "/elsewhere/old.yaml", GOOD, strlen(GOOD));
	usleep(20000); /* file systems' clocks tick in some ms */
	between = clock_realtime_ns();
	usleep(20000);
	last_good_store(keep, file, GOOD, strlen(GOOD));
	last_good_prune(keep, between);
	assert_int_equal(last_good_load(keep, "/elsewhere/old.yaml", &other, &size), -ENOENT);
	assert_int_equal(last_good_load(keep, file, &data, &size), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_file_that_is_no_yaml_at_start_is_used_as_it_last_was),
		TEST(a_file_that_is_empty_at_start_is_used_as_it_last_was),
		TEST(a_file_that_is_being_written_at_start_is_used_as_it_last_was),
		TEST(one_refused_object_does_not_hold_back_the_others),
		TEST(a_deleted_file_is_forgotten),
		TEST(copies_that_nobody_used_are_pruned),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
