// SPDX-License-Identifier: BSD-2-Clause
/* Plain files stand in for pins. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/controller/pin_watch.h"

static struct instance instance;
static char pin[2 * INSTANCE_PATH_MAX], next[2 * INSTANCE_PATH_MAX];
static int messages;

static void log_count(enum log_level level, const char *text)
{
	(void)level;
	(void)text;
	messages++;
}

static void file_make(const char *path)
{
	_cleanup_close_ int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
}

static int setup(void **state)
{
	(void)state;
	snprintf(instance.pin_dir, sizeof(instance.pin_dir), "/tmp/sluice-test-pins-%d", getpid());
	snprintf(pin, sizeof(pin), "%s/contract", instance.pin_dir);
	snprintf(next, sizeof(next), "%s/next", instance.pin_dir);
	mkdir(instance.pin_dir, 0700);
	file_make(pin);
	file_make(next);
	messages = 0;
	log_sink = log_count;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	log_sink = NULL;
	unlink(pin);
	unlink(next);
	rmdir(instance.pin_dir);
	return 0;
}

static void the_same_pin_is_no_reason_to_start_over(void **state)
{
	struct pin_watch watch;

	(void)state;
	assert_int_equal(pin_watch_init(&watch, &instance), 0);
	assert_false(pin_watch_check(&watch));
	assert_false(pin_watch_check(&watch));
	assert_int_equal(messages, 0);
}

static void other_maps_count_when_they_are_seen_twice(void **state)
{
	struct pin_watch watch;

	(void)state;
	assert_int_equal(pin_watch_init(&watch, &instance), 0);
	assert_int_equal(rename(next, pin), 0);
	assert_false(pin_watch_check(&watch));
	assert_true(pin_watch_check(&watch));
}

static void missing_maps_are_said_once_and_waited_for(void **state)
{
	struct pin_watch watch;

	(void)state;
	assert_int_equal(pin_watch_init(&watch, &instance), 0);
	unlink(pin);
	for (int i = 0; i < 3; i++)
		assert_false(pin_watch_check(&watch));
	assert_int_equal(messages, 1);
	assert_int_equal(rename(next, pin), 0);
	assert_false(pin_watch_check(&watch));
	assert_true(pin_watch_check(&watch));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_same_pin_is_no_reason_to_start_over),
		TEST(other_maps_count_when_they_are_seen_twice),
		TEST(missing_maps_are_said_once_and_waited_for),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
