// SPDX-License-Identifier: BSD-2-Clause
/* Per-client limits through a whole worker.  Clients are whom PROXY headers name, so
 * that one host can play several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/harness/proxy_rig.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/proxy/session.h"

#define GET "GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct rig *rig_limited(const struct client_limits *limits)
{
	struct rig *rig = rig_new();

	rig->options.proxy_protocol = true;
	rig->options.clients = *limits;
	rig->options.clients.ipv4_bits = 32;
	rig->options.clients.ipv6_bits = 64;
	rig_routes(rig, RIG_TO_ONE);
	rig_start(rig);
	return rig;
}

/* A connection of the client whose address ends so. */
static int client_of(struct rig *rig, unsigned last)
{
	int fd = rig_client(rig);
	char header[64];

	snprintf(header, sizeof(header), "PROXY TCP4 192.0.2.%u 10.0.0.1 56250 80\r\n", last);
	rig_puts(rig, fd, header);
	return fd;
}

static int served(struct rig *rig, int client, int server)
{
	rig_puts(rig, client, GET);
	if (server < 0)
		server = rig_accept(rig, 0, RIG_WAIT_MS);
	rig_expect(rig, server, "\r\n\r\n");
	rig_puts(rig, server, OK);
	rig_expect(rig, client, "\r\n\r\nok");
	return server;
}

static uint64_t errors(const struct rig *rig, enum proxy_error error)
{
	return rig->worker->row->errors[error];
}

#define EVENTUALLY(rig, condition)                                                                 \
	do {                                                                                       \
		uint64_t until = clock_monotonic_ns() + 20 * NS_PER_S;                             \
                                                                                                   \
		while (!(condition) && clock_monotonic_ns() < until)                               \
			rig_turn(rig, 5);                                                          \
		assert_true(condition);                                                            \
	} while (0)

/* ---- requests ---- */

static const struct client_limits two_an_hour = {
	.requests = {.count = 2, .per_ns = 3600 * NS_PER_S, .burst = 2}};

static void one_request_too_many_is_answered_with_429_and_the_limits_name(void **state)
{
	_cleanup_(rig_freep) struct rig *rig = rig_limited(&two_an_hour);
	int client = client_of(rig, 7), other = client_of(rig, 8), server;
	const char *got;

	(void)state;
	server = served(rig, client, -1);
	served(rig, client, server);
	rig_puts(rig, client, GET);
	got = rig_expect_end(rig, client, NULL);
	assert_has(got, "HTTP/1.1 429 Too Many Requests\r\n");
	assert_has(got, "\r\nConnection: close\r\n");
	/* half an hour, less what this test took; rounded up */
	assert_true(strstr(got, "Retry-After: 1800\r\n") || strstr(got, "Retry-After: 17"));
	assert_has(got, "{\"error\":{\"message\":\"this client may send 2 requests an hour, 2 at "
			"once; try again in 1");
	assert_has(got,
		   "\"type\":\"rate_limit_error\",\"param\":null,\"code\":\"client_requests\"");
	assert_has(rig_log_last(rig), "\"status\":429");
	assert_has(rig_log_last(rig), "\"error\":\"client_requests\",\"detail\":\"this client may");
	assert_int_equal(errors(rig, ERROR_CLIENT_REQUESTS), 1);
	served(rig, other, server);
	close(client);
	client = client_of(rig, 7); /* another connection is the same client */
	rig_puts(rig, client,
		 "POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n");
	got = rig_expect_end(rig, client, NULL); /* the body is not waited for */
	assert_has(got, "HTTP/1.1 429 Too Many Requests\r\n");
	assert_has(got, "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":"
			"\"this client may send 2 requests an hour");
	assert_int_equal(errors(rig, ERROR_CLIENT_REQUESTS), 2);
	assert_int_equal(rig->worker->row->upstream_connects, 1);
	close(server);
	close(client);
	close(other);
}

/* ---- connections ---- */

static const struct client_limits two_connections = {.connections = 2};

static void a_connection_too_many_is_told_so_and_one_that_ends_makes_room(void **state)
{
	_cleanup_(rig_freep) struct rig *rig = rig_limited(&two_connections);
	int a = client_of(rig, 7), b = client_of(rig, 7), c, other, server;
	const char *got;

	(void)state;
	server = served(rig, a, -1);
	served(rig, b, server);
	c = client_of(rig, 7);
	rig_puts(rig, c, GET);
	got = rig_expect_end(rig, c, NULL);
	assert_has(got, "HTTP/1.1 429 Too Many Requests\r\n");
	assert_has(got, "Retry-After: 1\r\n");
	assert_has(got,
		   "\"this client has all the 2 connections it may have at a time; close some\"");
	assert_has(rig_log_last(rig), "\"error\":\"client_connections\"");
	assert_int_equal(errors(rig, ERROR_CLIENT_CONNECTIONS), 1);
	close(c);
	other = client_of(rig, 8);
	served(rig, other, server);
	served(rig, a, server);
	close(b);
	EVENTUALLY(rig, rig->worker->session_count == 2);
	c = client_of(rig, 7);
	served(rig, c, server);
	assert_int_equal(errors(rig, ERROR_CLIENT_CONNECTIONS), 1);
	close(server);
	close(a);
	close(c);
	close(other);
}

/* What refusals may cost: 16 sessions of a worker, each for a second. */
static void connections_far_beyond_the_limit_take_no_sessions(void **state)
{
	_cleanup_(rig_freep) struct rig *rig = rig_limited(&two_connections);
	int fds[40];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = client_of(rig, 7);
		EVENTUALLY(rig, rig->worker->row->sessions_total == i + 1);
		assert_true(rig->worker->session_count <= 2 + CLIENT_REFUSALS_MAX + 1);
	}
	EVENTUALLY(rig, rig->worker->session_count == 2); /* those that say nothing go too */
	assert_int_equal(errors(rig, ERROR_CLIENT_CONNECTIONS), ARRAY_SIZE(fds) - 2);
	assert_int_equal(rig->worker->refusing_count, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	EVENTUALLY(rig, rig->worker->session_count == 0);
	fds[0] = client_of(rig, 7);
	close(served(rig, fds[0], -1));
	close(fds[0]);
}

static void without_proxy_header_the_client_is_the_sockets(void **state)
{
	_cleanup_(rig_freep) struct rig *rig = rig_new();
	int a, b, c;

	(void)state;
	rig->options.clients.connections = 2;
	rig_routes(rig, RIG_TO_ONE);
	rig_start(rig);
	a = rig_client(rig);
	b = rig_client(rig);
	c = rig_client(rig);
	EVENTUALLY(rig, rig->worker->session_count == 3);
	rig_puts(rig, c, GET);
	assert_has(rig_expect_end(rig, c, NULL), "\"client_connections\"");
	close(a);
	close(b);
	close(c);
}

/* ---- bytes ---- */

static const char *post(size_t length)
{
	static char text[256 * 1024];
	int n = snprintf(
		text, sizeof(text),
		"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: "
		"application/json\r\nContent-Length: %zu\r\n\r\n{\"model\":\"gemma\",\"p\":\"",
		length);
	char *body = strstr(text, "\r\n\r\n") + 4;

	memset(text + n, 'x', sizeof(text) - 1 - (size_t)n);
	memcpy(body + length - 2, "\"}", 3);
	return text;
}

static void a_body_beyond_the_limit_is_read_at_its_pace(void **state)
{
	static const struct client_limits limits = {
		.bytes = {.count = 100000, .per_ns = NS_PER_S, .burst = 40000}};
	_cleanup_(rig_freep) struct rig *rig = rig_limited(&limits);
	int client = client_of(rig, 7), server;
	uint64_t began = clock_monotonic_ns();
	const char *log;

	(void)state;
	rig_puts(rig, client, post(150000));
	server = rig_accept(rig, 0, 20000);
	/* all but the burst and one read must have been waited for */
	assert_true(clock_monotonic_ns() - began >= (150000 - 40000 - 32768) * (NS_PER_S / 100000));
	rig_expect(rig, server, "x\"}");
	rig_puts(rig, server, OK);
	rig_expect(rig, client, "\r\n\r\nok");
	assert_true(rig->worker->row->client_pauses > 0);
	log = strstr(rig_log_last(rig), "\"paced_ms\":");
	assert_non_null(log);
	assert_true(atof(log + strlen("\"paced_ms\":")) > 0);
	/* the next request of the connection waits for what is still owed, and is no worse off */
	served(rig, client, server);
	close(server);
	close(client);
}

static const struct client_limits few_bytes = {
	.bytes = {.count = 4096, .per_ns = 3600 * NS_PER_S, .burst = 4096}};

static void other_clients_are_read_meanwhile(void **state)
{
	_cleanup_(rig_freep) struct rig *rig = rig_limited(&few_bytes);
	int slow = client_of(rig, 7), quick = client_of(rig, 8), server;

	(void)state;
	rig_puts(rig, slow, post(60000));
	EVENTUALLY(rig, rig->worker->row->client_pauses == 1);
	server = served(rig, quick, -1);
	assert_true(rig_is_silent(rig, slow, 50));
	assert_int_equal(rig->worker->row->client_pauses, 1);
	close(server);
	close(slow);
	close(quick);
}

static void a_paced_client_that_leaves_is_let_go_at_once(void **state)
{
	_cleanup_(rig_freep) struct rig *rig = rig_limited(&few_bytes);
	int client = client_of(rig, 7);

	(void)state;
	rig_puts(rig, client, post(60000));
	EVENTUALLY(rig, rig->worker->row->client_pauses == 1);
	close(client);
	EVENTUALLY(rig, rig->worker->session_count == 0);
	assert_has(rig_log_last(rig), "\"status\":499");
	client = client_of(rig, 7); /* between requests as well */
	rig_puts(rig, client, GET);
	EVENTUALLY(rig, rig->worker->row->client_pauses == 2);
	close(client);
	EVENTUALLY(rig, rig->worker->session_count == 0);
}

static void a_paced_client_may_half_close_where_that_is_allowed(void **state)
{
	static const struct client_limits limits = {
		.bytes = {.count = 100000, .per_ns = NS_PER_S, .burst = 32768}};
	_cleanup_(rig_freep) struct rig *rig = rig_new();
	int client, server;

	(void)state;
	rig->options.half_close = true;
	rig->options.clients = limits;
	rig_routes(rig, RIG_TO_ONE);
	rig_start(rig);
	client = rig_client(rig);
	rig_puts(rig, client, post(90000));
	shutdown(client, SHUT_WR);
	server = rig_accept(rig, 0, 20000);
	rig_expect(rig, server, "x\"}");
	rig_puts(rig, server, OK);
	assert_has(rig_expect_end(rig, client, NULL), "\r\n\r\nok");
	assert_true(rig->worker->row->client_pauses > 0);
	close(server);
	close(client);
}

/* ---- off ---- */

static void without_limits_no_client_is_looked_up(void **state)
{
	static const struct client_limits none = {0};
	_cleanup_(rig_freep) struct rig *rig = rig_limited(&none);
	int client = client_of(rig, 7), server = served(rig, client, -1);

	(void)state;
	assert_null(rig->clients);
	assert_null(rig->worker->clients);
	for (size_t i = 0; i < rig->worker->session_slots; i++)
		assert_null(rig->worker->sessions[i].client_slot);
	close(server);
	close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_request_too_many_is_answered_with_429_and_the_limits_name),
		cmocka_unit_test(a_connection_too_many_is_told_so_and_one_that_ends_makes_room),
		cmocka_unit_test(connections_far_beyond_the_limit_take_no_sessions),
		cmocka_unit_test(without_proxy_header_the_client_is_the_sockets),
		cmocka_unit_test(a_body_beyond_the_limit_is_read_at_its_pace),
		cmocka_unit_test(other_clients_are_read_meanwhile),
		cmocka_unit_test(a_paced_client_that_leaves_is_let_go_at_once),
		cmocka_unit_test(a_paced_client_may_half_close_where_that_is_allowed),
		cmocka_unit_test(without_limits_no_client_is_looked_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
