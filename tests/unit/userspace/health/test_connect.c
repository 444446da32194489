// SPDX-License-Identifier: BSD-2-Clause
/* Connections on the loopback. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/loop.h"
#include "userspace/health/connect.h"

struct bench {
	struct loop *loop;
	struct connector *connector;
	int listener;
	struct connect_request request; /* to the listener */
	int done, err;
	uint64_t connect_ns;
};

static void connect_done(void *ctx, int err, uint64_t connect_ns)
{
	struct bench *bench = ctx;

	bench->done++;
	bench->err = err;
	bench->connect_ns = connect_ns;
}

static int bench_setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(sa);

	*state = bench;
	bench->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(bench->listener, (struct sockaddr *)&sa, sizeof(sa)) ||
	    listen(bench->listener, 8) ||
	    getsockname(bench->listener, (struct sockaddr *)&sa, &length))
		return -1;
	address_parse("127.0.0.1", &bench->request.addr);
	bench->request.port = ntohs(sa.sin_port);
	bench->request.timeout_ms = 2000;
	return loop_new(10, &bench->loop) || connector_new(bench->loop, 2, &bench->connector);
}

static int bench_teardown(void **state)
{
	struct bench *bench = *state;

	connector_free(bench->connector);
	loop_free(bench->loop);
	closep(&bench->listener);
	free(bench);
	return 0;
}

static void bench_run(struct bench *bench, int done)
{
	uint64_t deadline = clock_monotonic_ns() + 5 * NS_PER_S;

	while (bench->done < done) {
		assert_true(clock_monotonic_ns() < deadline);
		assert_int_equal(loop_turn(bench->loop, 50), 0);
	}
}

static int start(struct bench *bench, struct connection **ret_connection)
{
	return connect_start(bench->connector, &bench->request, connect_done, bench,
			     ret_connection);
}

static void a_connection_comes_about_and_is_reset(void **state)
{
	struct bench *bench = *state;
	struct connection *connection;
	_cleanup_close_ int peer = -1;
	char byte;

	assert_int_equal(start(bench, &connection), 0);
	assert_int_equal(bench->done, 0); /* only from the loop */
	bench_run(bench, 1);
	assert_int_equal(bench->err, 0);
	assert_true(bench->connect_ns > 0);
	peer = accept(bench->listener, NULL, NULL);
	assert_int_equal(recv(peer, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
}

static void a_refusal_and_no_route_come_from_the_loop_too(void **state)
{
	struct bench *bench = *state;
	struct connection *connection;

	closep(&bench->listener);
	assert_int_equal(start(bench, &connection), 0);
	bench_run(bench, 1);
	assert_int_equal(bench->err, -ECONNREFUSED);
	assert_int_equal(bench->connect_ns, 0);
	address_parse("255.255.255.255", &bench->request.addr); /* connect() itself refuses it */
	assert_int_equal(start(bench, &connection), 0);
	assert_int_equal(bench->done, 1);
	bench_run(bench, 2);
	assert_true(bench->err < 0);
}

static void a_place_is_free_again_in_the_callback_and_after_cancelling(void **state)
{
	struct bench *bench = *state;
	struct connection *first, *second, *third;

	assert_int_equal(start(bench, &first), 0);
	assert_int_equal(start(bench, &second), 0);
	assert_int_equal(start(bench, &third), -EBUSY);
	connect_cancel(first);
	assert_int_equal(start(bench, &third), 0);
	bench_run(bench, 2); /* not of the first one */
	for (int i = 0; i < 3; i++)
		loop_turn(bench->loop, 5);
	assert_int_equal(bench->done, 2);
}

static void source_and_port_are_what_was_asked_for(void **state)
{
	struct bench *bench = *state;
	struct connection *connection;
	struct sockaddr_in sa;
	socklen_t length = sizeof(sa);
	_cleanup_close_ int peer = -1;

	address_parse("127.0.0.7", &bench->request.source);
	bench->request.source_port = 63999;
	for (int i = 1; i <= 3; i++) { /* at once again: nothing rests in TIME_WAIT */
		assert_int_equal(start(bench, &connection), 0);
		bench_run(bench, i);
		assert_int_equal(bench->err, 0);
	}
	peer = accept(bench->listener, (struct sockaddr *)&sa, &length);
	assert_true(peer >= 0);
	assert_int_equal(ntohl(sa.sin_addr.s_addr), 0x7f000007);
	assert_int_equal(ntohs(sa.sin_port), 63999);
}

static void a_source_of_others_is_refused_at_once(void **state)
{
	struct bench *bench = *state;
	struct connection *connection;

	address_parse("192.0.2.9", &bench->request.source);
	assert_int_equal(start(bench, &connection), -EADDRNOTAVAIL);
	address_parse("127.0.0.1", &bench->request.source);
	bench->request.source_port = bench->request.port; /* the listener has it */
	assert_int_equal(start(bench, &connection), -EADDRINUSE);
	bench->request.source_port = 0;
	assert_int_equal(start(bench, &connection), 0); /* no place was lost */
	assert_int_equal(start(bench, &connection), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_connection_comes_about_and_is_reset),
		TEST(a_refusal_and_no_route_come_from_the_loop_too),
		TEST(a_place_is_free_again_in_the_callback_and_after_cancelling),
		TEST(source_and_port_are_what_was_asked_for),
		TEST(a_source_of_others_is_refused_at_once),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
