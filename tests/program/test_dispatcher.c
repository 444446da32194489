// SPDX-License-Identifier: BSD-2-Clause
/* libxdp's dispatcher, asked without looking first whether it can work: where it cannot,
 * libxdp attaches a single program and says nothing, which must not happen to us. */
#include "loader/dispatcher.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>
#include <xdp/libxdp.h>

#include "loader/device.h"
#include "maps/access/maps.h"
#include "tests/harness/program.h"

static int quiet(enum libxdp_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static uint32_t owner_of(const struct bench *bench)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(bench->writer->fds[MAP_CONTRACT], &info, &size), 0);
	return info.id;
}

static int join(const struct bench *bench, uint32_t priority, uint32_t *ret_id)
{
	struct objects_shared shared;
	int err;

	assert_int_equal(dispatcher_prepare(), 0);
	assert_int_equal(objects_open_shared(bench->writer->fds, &bench->loader.settings, &shared),
			 0);
	err = dispatcher_join(bench->client_ifindex, shared.object, priority, ret_id);
	objects_close_shared(&shared);
	return err;
}

static void a_program_is_in_a_dispatcher_or_nowhere(void **state)
{
	struct bench *bench = bench_of(state);
	struct dispatcher dispatcher;
	uint32_t id = 0;
	int err;

	libxdp_set_print(quiet);
	err = join(bench, 42, &id);
	dispatcher_look(bench->client_ifindex, owner_of(bench), &dispatcher);
	if (dispatcher_probe() != 0) {
		assert_int_not_equal(err, 0);
		assert_int_equal(device_xdp_program(bench->client_ifindex), 0);
		assert_int_equal(dispatcher.device.seat, SHARE_SEAT_FREE);
		return;
	}
	assert_int_equal(err, 0);
	assert_int_equal(dispatcher.device.seat, SHARE_SEAT_DISPATCHER);
	assert_int_equal(dispatcher.own_id, id);
	assert_int_equal(dispatcher.own_priority, 42);
	dispatcher_look(bench->client_ifindex, owner_of(bench) + 1000000, &dispatcher);
	assert_int_equal(dispatcher.own_id, 0);
	assert_int_equal(dispatcher_leave(bench->client_ifindex, owner_of(bench), 0), 0);
	assert_int_equal(device_xdp_program(bench->client_ifindex), 0);
}

/* What an upgrade leaves that was killed after the new program had joined. */
static void of_two_of_ours_the_newer_one_counts_and_stays(void **state)
{
	struct bench *bench = bench_of(state);
	uint32_t owner = owner_of(bench), first, second;
	struct dispatcher dispatcher;

	if (dispatcher_probe() != 0) {
		printf("skip: this kernel refuses extension programs\n");
		skip();
	}
	assert_int_equal(join(bench, 60, &first), 0);
	assert_int_equal(join(bench, 60, &second), 0);
	dispatcher_look(bench->client_ifindex, owner, &dispatcher);
	assert_int_equal(dispatcher.device.program_count, 2);
	assert_int_equal(dispatcher.own_id, second);
	assert_int_equal(dispatcher_leave(bench->client_ifindex, owner, second), 0);
	dispatcher_look(bench->client_ifindex, owner, &dispatcher);
	assert_int_equal(dispatcher.device.program_count, 1);
	assert_int_equal(dispatcher.own_id, second);
	assert_int_equal(dispatcher_leave(bench->client_ifindex, owner, 0), 0);
	assert_int_equal(device_xdp_program(bench->client_ifindex), 0);
}

static void folder_make(uint32_t ifindex, uint32_t id, int program, char path[64])
{
	char pin[96];

	snprintf(path, 64, "/sys/fs/bpf/xdp/dispatch-%u-%u", ifindex, id);
	snprintf(pin, sizeof(pin), "%s/prog3-prog", path);
	mkdir("/sys/fs/bpf/xdp", 0700);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(bpf_obj_pin(program, pin), 0);
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

/* What a killed join or leave leaves, beside what is in use and what is other people's. */
static void only_our_folders_that_nobody_uses_are_cleaned(void **state)
{
	struct bench *bench = bench_of(state);
	int program = bench->programs[PROGRAM_XDP];
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info), ifindex = bench->client_ifindex;
	char left[64], used[64];

	assert_int_equal(bpf_obj_get_info_by_fd(program, &info, &size), 0);
	assert_int_equal(bpf_xdp_attach((int)ifindex, program, 0, NULL), 0);
	folder_make(ifindex, info.id, program, used);
	folder_make(ifindex, info.id + 1000000, program, left);
	dispatcher_clean(owner_of(bench) + 1000000);
	assert_true(is_there(left));
	dispatcher_clean(owner_of(bench));
	assert_false(is_there(left));
	assert_true(is_there(used));
	assert_int_equal(bpf_xdp_detach((int)ifindex, 0, NULL), 0);
	dispatcher_clean(owner_of(bench));
	assert_false(is_there(used));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_is_in_a_dispatcher_or_nowhere),
		cmocka_unit_test(of_two_of_ours_the_newer_one_counts_and_stays),
		cmocka_unit_test(only_our_folders_that_nobody_uses_are_cleaned),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
