// SPDX-License-Identifier: BSD-2-Clause
/* Directories of pins; ordinary files stand for pins, as only names matter. */
#include "loader/pin.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/pinned_maps.h"
#include "userspace/base/instance.h"

static char root[] = "/tmp/sluice-pin-XXXXXX";

static int root_make(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int root_remove(void **state)
{
	(void)state;
	return rmdir(root);
}

static void path_make(char path[256], const char *name)
{
	snprintf(path, 256, "%s/%s", root, name);
}

static void file_make(const char *name)
{
	char path[256];
	int fd;

	path_make(path, name);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void directory_make(const char *name)
{
	char path[256];

	path_make(path, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void a_whole_instance_is_removed(void **state)
{
	char path[256];

	(void)state;
	directory_make("i");
	directory_make("i/links");
	directory_make("i/programs");
	file_make("i/vips");
	file_make("i/links/eth0-native");
	file_make("i/programs/xdp_ingress");
	file_make("i/programs/xdp_ingress_new");
	path_make(path, "i");
	assert_int_equal(pin_tree_remove(path), 0);
	assert_int_equal(access(path, F_OK), -1);
}

static void half_an_instance_is_removed_too(void **state)
{
	char path[256];

	(void)state;
	directory_make("i");
	directory_make("i/programs");
	file_make("i/contract");
	path_make(path, "i");
	assert_int_equal(pin_tree_remove(path), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(pin_tree_remove(path), 0);
}

static void a_fresh_directory_is_empty_whatever_was_there(void **state)
{
	char path[256];

	(void)state;
	directory_make("i");
	file_make("i/contract");
	path_make(path, "i");
	assert_int_equal(pin_directory_make(path), 0);
	assert_int_equal(rmdir(path), 0);
}

/* Another instance, the last one, was unloaded while this one was loading. */
static void a_directory_is_made_though_the_folder_of_all_has_gone(void **state)
{
	static const char directory[] = INSTANCE_BPFFS "/i_loading";

	(void)state;
	if (!pinned_maps_prepare())
		skip();
	assert_int_equal(pin_root_make(), 0);
	assert_int_equal(rmdir(INSTANCE_BPFFS), 0);
	assert_int_equal(pin_directory_make(directory), 0);
	assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_instance_is_removed),
		cmocka_unit_test(half_an_instance_is_removed_too),
		cmocka_unit_test(a_fresh_directory_is_empty_whatever_was_there),
		cmocka_unit_test(a_directory_is_made_though_the_folder_of_all_has_gone),
	};

	return cmocka_run_group_tests(tests, root_make, root_remove);
}
