// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "maps/access/maps.h"
#include "userspace/base/log.h"
#include "userspace/proxy/client_table.h"
#include "userspace/proxy/rows.h"
#include "userspace/telemetry/proxy_metrics.h"

#define ROWS 3

struct place {
	char dir[32];
	char path[64];
	struct maps maps;
	struct proxy_metrics *metrics;
	struct client_table *clients;
};

static const struct client_limits one_connection = {.connections = 1};
static const struct ip_addr client = {.bytes = {[15] = 7}};

static const size_t inflight_bytes = (size_t)WORKERS_MAX * ENDPOINTS_MAX * sizeof(struct inflight);

static int place_make(void **state)
{
	static struct place place;

	place = (struct place){.dir = "/tmp/sluice-rows-XXXXXX"};
	if (!mkdtemp(place.dir) || proxy_metrics_new(ROWS, &place.metrics) ||
	    client_table_new(&one_connection, 1, &place.clients))
		return -1;
	snprintf(place.path, sizeof(place.path), "%s/workers", place.dir);
	place.maps.inflight = mmap(NULL, inflight_bytes, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*state = &place;
	return place.maps.inflight == MAP_FAILED ? -1 : 0;
}

static int place_remove(void **state)
{
	struct place *place = *state;

	munmap(place->maps.inflight, inflight_bytes);
	proxy_metrics_free(place->metrics);
	client_table_free(place->clients);
	unlink(place->path);
	rmdir(place->dir);
	return 0;
}

static struct inflight *slot(struct place *place, uint32_t row)
{
	return &place->maps.inflight[(size_t)row * ENDPOINTS_MAX + 5];
}

static enum client_admission client_admit(struct place *place, uint32_t row)
{
	struct client_slot *slot;
	bool forgot;

	return client_table_admit(place->clients, row, &client, 1, &slot, &forgot);
}

/* A worker that claims a row, counts a request and a connection in it, and waits to be killed. */
static pid_t worker_fork(struct place *place)
{
	uint32_t row;
	int pipe_fds[2];
	char byte;
	pid_t pid;
	int fd;

	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	if (!pid) {
		if (row_claim(place->path, &place->maps, place->metrics, place->clients, &row, &fd))
			_exit(1);
		slot(place, row)->requests = 7;
		place->metrics->rows[row].sessions = 3;
		client_admit(place, row);
		if (write(pipe_fds[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return pid;
}

static void worker_kill(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void two_workers_never_share_a_row(void **state)
{
	struct place *place = *state;
	uint32_t a, b;
	int fd_a, fd_b;

	assert_int_equal(
		row_claim(place->path, &place->maps, place->metrics, place->clients, &a, &fd_a), 0);
	assert_int_equal(
		row_claim(place->path, &place->maps, place->metrics, place->clients, &b, &fd_b), 0);
	assert_int_not_equal(a, b);
	close(fd_a);
	assert_int_equal(
		row_claim(place->path, &place->maps, place->metrics, place->clients, &b, &fd_a), 0);
	assert_int_equal(a, b);
	close(fd_a);
	close(fd_b);
}

static void swallow(enum log_level level, const char *text)
{
	(void)level;
	(void)text;
}

static void when_all_rows_are_held_that_is_said(void **state)
{
	struct place *place = *state;
	int fds[ROWS], fd;
	uint32_t row;

	for (int i = 0; i < ROWS; i++)
		assert_int_equal(row_claim(place->path, &place->maps, place->metrics,
					   place->clients, &row, &fds[i]),
				 0);
	log_sink = swallow;
	assert_int_equal(row_claim(place->path, &place->maps, place->metrics, place->clients, &row,
				   &fd),
			 -ENOSPC);
	log_sink = NULL;
	for (int i = 0; i < ROWS; i++)
		close(fds[i]);
}

static void a_killed_workers_counts_are_swept(void **state)
{
	struct place *place = *state;
	pid_t worker = worker_fork(place);

	rows_sweep(place->path, &place->maps, place->metrics, place->clients);
	assert_int_equal(slot(place, 0)->requests, 7); /* it lives */
	worker_kill(worker);
	assert_int_equal(slot(place, 0)->requests, 7);
	assert_int_equal(client_admit(place, 1), CLIENT_REFUSED);
	rows_sweep(place->path, &place->maps, place->metrics, place->clients);
	assert_int_equal(slot(place, 0)->requests, 0);
	assert_int_equal(place->metrics->rows[0].sessions, 0);
	assert_int_equal(place->metrics->rows[0].held, 0);
	assert_int_equal(client_admit(place, 1), CLIENT_ADMITTED);
}

static void a_worker_that_takes_a_dead_ones_row_starts_from_nothing(void **state)
{
	struct place *place = *state;
	pid_t worker = worker_fork(place);
	uint32_t row;
	int fd;

	worker_kill(worker);
	assert_int_equal(
		row_claim(place->path, &place->maps, place->metrics, place->clients, &row, &fd), 0);
	assert_int_equal(row, 0);
	assert_int_equal(slot(place, 0)->requests, 0);
	close(fd);
}

static void one_dead_among_the_living_is_swept_alone(void **state)
{
	struct place *place = *state;
	pid_t first = worker_fork(place), second = worker_fork(place);

	worker_kill(first);
	rows_sweep(place->path, &place->maps, place->metrics, place->clients);
	assert_int_equal(slot(place, 0)->requests, 0);
	assert_int_equal(slot(place, 1)->requests, 7);
	worker_kill(second);
}

int main(void)
{
#define PLACED(test) cmocka_unit_test_setup_teardown(test, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		PLACED(two_workers_never_share_a_row),
		PLACED(when_all_rows_are_held_that_is_said),
		PLACED(a_killed_workers_counts_are_swept),
		PLACED(a_worker_that_takes_a_dead_ones_row_starts_from_nothing),
		PLACED(one_dead_among_the_living_is_swept_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
