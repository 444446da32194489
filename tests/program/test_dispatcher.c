// SPDX-License-Identifier: BSD-2-Clause
/* libxdp's dispatcher, asked without looking first whether it can work: where it cannot,
 * libxdp attaches a single program and says nothing, which must not happen to us. */
#include "loader/dispatcher.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
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
	dispatcher_look(bench->client_ifindex, owner_of(bench) + 1, &dispatcher);
	assert_int_equal(dispatcher.own_id, 0);
	assert_int_equal(dispatcher_leave(bench->client_ifindex, owner_of(bench), 0), 0);
	assert_int_equal(device_xdp_program(bench->client_ifindex), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_is_in_a_dispatcher_or_nowhere),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
