// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/file.h"
#include "userspace/base/log.h"
#include "userspace/controller/instance_lock.h"

static char path[64];
static char said[512];

static void log_keep(enum log_level level, const char *text)
{
	(void)level;
	snprintf(said, sizeof(said), "%s", text);
}

static int setup(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/sluice-test-lock-%d.pid", getpid());
	unlink(path);
	said[0] = '\0';
	log_sink = log_keep;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	log_sink = NULL;
	unlink(path);
	return 0;
}

static void the_lock_holds_our_pid(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	int fd = -1;

	(void)state;
	assert_int_equal(instance_lock_take(path, "main", &fd), 0);
	assert_int_equal(file_read(path, 100, &text, &length), 0);
	assert_int_equal(atoi(text), getpid());
	instance_lock_release(path, &fd);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(fd, -1);
}

static void a_second_one_is_refused_with_the_pid_of_the_first(void **state)
{
	char pid[32];
	int fd = -1, other = -1;

	(void)state;
	assert_int_equal(instance_lock_take(path, "main", &fd), 0);
	assert_int_equal(instance_lock_take(path, "main", &other), -EBUSY);
	snprintf(pid, sizeof(pid), "(pid %d)", getpid());
	assert_non_null(strstr(said, pid));
	assert_non_null(strstr(said, "instance main"));
	instance_lock_release(path, &fd);
	assert_int_equal(instance_lock_take(path, "main", &other), 0);
	instance_lock_release(path, &other);
}

static void a_killed_holder_leaves_nothing_in_the_way(void **state)
{
	int fd = -1, status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		if (instance_lock_take(path, "main", &fd) == 0)
			raise(SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(instance_lock_take(path, "main", &fd), 0);
	instance_lock_release(path, &fd);
}

static void a_symbolic_link_is_not_followed(void **state)
{
	int fd = -1;

	(void)state;
	assert_int_equal(symlink("/tmp/sluice-test-lock-elsewhere", path), 0);
	assert_int_equal(instance_lock_take(path, "main", &fd), -ELOOP);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_lock_holds_our_pid),
		TEST(a_second_one_is_refused_with_the_pid_of_the_first),
		TEST(a_killed_holder_leaves_nothing_in_the_way),
		TEST(a_symbolic_link_is_not_followed),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
