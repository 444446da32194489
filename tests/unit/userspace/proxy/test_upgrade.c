// SPDX-License-Identifier: BSD-2-Clause
/* Upgrades through a whole worker: what is asked for and answered with 101 becomes
 * two ways of bytes, and nothing of it happens a byte too early. */
#include <errno.h>
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
#include "userspace/proxy/error.h"
#include "userspace/proxy/session.h"
#include "userspace/proxy/upstream.h"

#define ASK                                                                                        \
	"GET /v1/realtime HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"              \
	"Upgrade: websocket\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n"
#define SWITCHED                                                                                   \
	"HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n"                        \
	"Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\nContent-Length: 0\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\n"

static struct rig *upgrade_rig(void)
{
	struct rig *rig = rig_new();

	rig->options.upgrade_idle_s = 1;
	rig_routes(rig, RIG_TO_ONE);
	rig_start(rig);
	return rig;
}

#define UPGRADE_RIG(name) _cleanup_(rig_freep) struct rig *name = upgrade_rig()

static void assert_has_in_no_case(const char *text, const char *part)
{
	if (strcasestr(text, part))
		fail_msg("'%s' is in: %s", part, text);
}

/* Both sides of an upgraded connection. */
static void upgraded(struct rig *rig, int *ret_client, int *ret_server)
{
	*ret_client = rig_client(rig);
	rig_puts(rig, *ret_client, ASK);
	*ret_server = rig_accept(rig, 0, RIG_WAIT_MS);
	rig_expect(rig, *ret_server, "\r\n\r\n");
	rig_puts(rig, *ret_server, SWITCHED);
	rig_expect(rig, *ret_client, "\r\n\r\n");
	assert_int_equal(rig->worker->row->upgraded, 1);
}

/* Everything has been given back, and the log says how it ended. */
static void assert_ended(struct rig *rig, const char *error)
{
	uint64_t until = clock_monotonic_ns() + RIG_WAIT_MS * NS_PER_MS;
	const char *line;

	while (rig->worker->session_count && clock_monotonic_ns() < until)
		rig_turn(rig, 1);
	assert_int_equal(rig->worker->session_count, 0);
	assert_int_equal(rig->worker->row->upgraded, 0);
	assert_int_equal(rig_inflight(rig).requests, 0);
	assert_int_equal(rig->worker->buffers.free_count, rig->worker->buffers.count);
	line = rig_log_last(rig);
	assert_has(line, "\"status\":101");
	assert_has(line, "\"upgrade\":\"WebSocket\"");
	if (error)
		assert_has(line, error);
	else
		assert_has_in_no_case(line, "\"error\"");
}

static void a_101_makes_two_ways_of_bytes(void **state)
{
	UPGRADE_RIG(rig);
	int client = rig_client(rig), server;
	const char *got;

	(void)state;
	rig_puts(rig, client, ASK);
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	got = rig_expect(rig, server, "\r\n\r\n");
	assert_has(got, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
	assert_has(got, "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n");
	rig_puts(rig, server, SWITCHED "hello");
	got = rig_expect(rig, client, "\r\n\r\nhello");
	assert_has(got, "HTTP/1.1 101 Switching Protocols\r\n");
	assert_has(got, "Connection: Upgrade\r\nUpgrade: WebSocket\r\n");
	assert_has(got, "Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n");
	assert_has_in_no_case(got, "content-length");
	rig_puts(rig, client, "\x01\r\n\r\nGET / up");
	rig_expect(rig, server, "\x01\r\n\r\nGET / up");
	rig_puts(rig, server, "HTTP/1.1 400 down\r\n\r\n");
	rig_expect(rig, client, "HTTP/1.1 400 down\r\n\r\n");
	assert_int_equal(rig_inflight(rig).requests, 1);
	close(client);
	assert_true(rig_is_closed(rig, server));
	close(server);
	assert_ended(rig, NULL);
}

static void no_byte_of_the_client_goes_up_before_the_101(void **state)
{
	UPGRADE_RIG(rig);
	int client = rig_client(rig), server;

	(void)state;
	rig_puts(rig, client, ASK "early");
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	assert_has_in_no_case(rig_expect(rig, server, "\r\n\r\n"), "early");
	rig_puts(rig, client, " and more");
	assert_true(rig_is_silent(rig, server, 50));
	rig_puts(rig, server, SWITCHED);
	rig_expect(rig, client, "\r\n\r\n");
	rig_expect(rig, server, "early and more");
	close(client);
	close(server);
	assert_ended(rig, NULL);
}

static void another_answer_is_relayed_and_what_follows_is_a_request(void **state)
{
	UPGRADE_RIG(rig);
	int client = rig_client(rig), server;

	(void)state;
	rig_puts(rig, client, ASK "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	assert_has_in_no_case(rig_expect(rig, server, "\r\n\r\n"), "/next");
	rig_puts(rig, server, OK "Content-Length: 2\r\n\r\nno");
	rig_expect(rig, client, "\r\n\r\nno");
	assert_has_in_no_case(rig_expect(rig, server, "GET /next"), "Upgrade");
	rig_puts(rig, server, OK "Content-Length: 1\r\n\r\n2");
	rig_expect(rig, client, "\r\n\r\n2");
	assert_int_equal(rig->worker->row->upgraded, 0);
	close(client);
	close(server);
}

static void http_in_another_dress_is_never_asked_for(void **state)
{
	static const char *const asked[] = {
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
		"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket, H2C\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
		"Upgrade: h2c\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
		"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: TLS/1.0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: HTTP/2.0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: ,\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
		"GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
		"Content-Length: 1\r\n\r\nx",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		UPGRADE_RIG(rig);
		int client = rig_client(rig), server;

		rig_puts(rig, client, asked[i]);
		server = rig_accept(rig, 0, RIG_WAIT_MS);
		assert_has_in_no_case(rig_expect(rig, server, "\r\n\r\n"), "upgrade");
		rig_puts(rig, server, SWITCHED "evil");
		assert_has(rig_expect(rig, client, "}}\n"), "HTTP/1.1 502 ");
		close(client);
		close(server);
	}
}

static void a_101_that_nobody_asked_for_is_a_bad_answer(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nevil",
		"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket, h2c\r\n\r\nevil",
		"HTTP/1.1 101 x\r\nConnection: upgrade\r\n\r\nevil",
		"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\nevil",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		UPGRADE_RIG(rig);
		int client = rig_client(rig), server;
		const char *got;

		rig_puts(rig, client, ASK);
		server = rig_accept(rig, 0, RIG_WAIT_MS);
		rig_expect(rig, server, "\r\n\r\n");
		rig_puts(rig, server, answers[i]);
		got = rig_expect(rig, client, "}}\n");
		assert_has(got, "HTTP/1.1 502 ");
		assert_has_in_no_case(got, "evil");
		close(client);
		close(server);
	}
}

static void an_interim_answer_may_come_before_the_101(void **state)
{
	UPGRADE_RIG(rig);
	int client = rig_client(rig), server;

	(void)state;
	rig_puts(rig, client, ASK);
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	rig_expect(rig, server, "\r\n\r\n");
	rig_puts(rig, server, "HTTP/1.1 102 Processing\r\n\r\n" SWITCHED "x");
	assert_has(rig_expect(rig, client, "\r\n\r\nx"), "HTTP/1.1 101 ");
	close(client);
	close(server);
	assert_ended(rig, NULL);
}

static void each_way_ends_by_itself(void **state)
{
	char byte;

	(void)state;
	for (int first = 0; first < 2; first++) {
		UPGRADE_RIG(rig);
		int ends[2];

		upgraded(rig, &ends[0], &ends[1]);
		rig_puts(rig, ends[first], "last");
		shutdown(ends[first], SHUT_WR);
		rig_expect(rig, ends[!first], "last");
		rig_turn(rig, 20);
		assert_int_equal(recv(ends[!first], &byte, 1, 0), 0);
		assert_int_equal(rig->worker->row->upgraded, 1);
		rig_puts(rig, ends[!first], "the other way goes on");
		rig_expect(rig, ends[first], "the other way goes on");
		close(ends[!first]);
		assert_true(rig_is_closed(rig, ends[first]));
		assert_ended(rig, NULL);
		close(ends[first]);
	}
}

static void reset(int fd)
{
	struct linger linger = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static void a_break_is_passed_on_as_a_break(void **state)
{
	(void)state;
	for (int broken = 0; broken < 2; broken++) {
		UPGRADE_RIG(rig);
		bool was_reset = false;
		int ends[2];

		upgraded(rig, &ends[0], &ends[1]);
		reset(ends[broken]);
		rig_expect_end(rig, ends[!broken], &was_reset);
		assert_true(was_reset);
		assert_ended(rig, broken ? "answer_cut" : "client_gone");
		close(ends[!broken]);
	}
}

static void silence_ends_it_but_traffic_of_one_way_does_not(void **state)
{
	UPGRADE_RIG(rig);
	int client, server;
	uint64_t began;

	(void)state;
	upgraded(rig, &client, &server);
	for (int i = 0; i < 4; i++) {
		rig_turn(rig, 500);
		rig_puts(rig, server, "x");
	}
	assert_int_equal(rig->worker->row->upgraded, 1);
	began = clock_monotonic_ns();
	assert_true(rig_is_closed(rig, server));
	assert_true(clock_monotonic_ns() - began > 500 * NS_PER_MS);
	assert_true(rig_is_closed(rig, client));
	assert_ended(rig, "upgrade_ended");
	close(client);
	close(server);
}

/* What `from` can send until the gateway takes no more. */
static size_t fill(struct rig *rig, int from)
{
	static char block[65536];
	size_t sent = 0;

	for (int quiet = 0; quiet < 30;) {
		ssize_t n = send(from, block, sizeof(block), MSG_NOSIGNAL);

		quiet = n > 0 ? 0 : quiet + 1;
		sent += n > 0 ? (size_t)n : 0;
		rig_turn(rig, 1);
		if (sent > 256u << 20)
			fail_msg("the gateway takes %zu bytes that nobody reads", sent);
	}
	return sent;
}

static size_t drain(struct rig *rig, int to, size_t wanted)
{
	static char block[65536];
	uint64_t until = clock_monotonic_ns() + RIG_WAIT_MS * NS_PER_MS;
	size_t have = 0;

	while (have < wanted && clock_monotonic_ns() < until) {
		ssize_t n = recv(to, block, sizeof(block), 0);

		have += n > 0 ? (size_t)n : 0;
		rig_turn(rig, 0);
	}
	return have;
}

/* The connection that sends what is kept is not waited for: it would wake the loop
 * for ever. */
static void assert_not_watched(struct rig *rig, bool server)
{
	const struct session *s = rig->worker->sessions;
	const struct watch *watch;

	while (!session_is_alive(s))
		s++;
	watch = server ? &s->exchange.upstream->watch : &s->watch;
	assert_true(watch->fd < 0 || !(watch->events & EPOLLIN));
}

static void a_side_that_does_not_read_holds_the_other_back(void **state)
{
	(void)state;
	for (int from = 0; from < 2; from++) {
		UPGRADE_RIG(rig);
		int ends[2];
		size_t sent, used;

		upgraded(rig, &ends[0], &ends[1]);
		sent = fill(rig, ends[from]);
		used = rig->worker->buffers.count - rig->worker->buffers.free_count;
		assert_int_equal(used, 1); /* one read, not more */
		assert_not_watched(rig, from);
		/* the other way is not held back by it */
		rig_puts(rig, ends[!from], "still free");
		rig_expect(rig, ends[from], "still free");
		/* the end waits its turn */
		shutdown(ends[from], SHUT_WR);
		assert_int_equal(drain(rig, ends[!from], sent), sent);
		assert_true(rig_is_closed(rig, ends[!from]));
		close(ends[!from]);
		assert_ended(rig, NULL);
		close(ends[from]);
	}
}

static void a_drained_worker_ends_what_does_not_end_in_time(void **state)
{
	struct rig *rig = rig_new();
	int client, server;

	(void)state;
	rig->options.drain_timeout_s = 0;
	rig_routes(rig, RIG_TO_ONE);
	rig_start(rig);
	upgraded(rig, &client, &server);
	worker_drain(rig->worker, true);
	assert_true(rig_is_closed(rig, client));
	assert_true(rig_is_closed(rig, server));
	assert_true(rig->worker->done);
	assert_has(rig_log_last(rig), "upgrade_ended");
	close(client);
	close(server);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_101_makes_two_ways_of_bytes),
		cmocka_unit_test(no_byte_of_the_client_goes_up_before_the_101),
		cmocka_unit_test(another_answer_is_relayed_and_what_follows_is_a_request),
		cmocka_unit_test(http_in_another_dress_is_never_asked_for),
		cmocka_unit_test(a_101_that_nobody_asked_for_is_a_bad_answer),
		cmocka_unit_test(an_interim_answer_may_come_before_the_101),
		cmocka_unit_test(each_way_ends_by_itself),
		cmocka_unit_test(a_break_is_passed_on_as_a_break),
		cmocka_unit_test(silence_ends_it_but_traffic_of_one_way_does_not),
		cmocka_unit_test(a_side_that_does_not_read_holds_the_other_back),
		cmocka_unit_test(a_drained_worker_ends_what_does_not_end_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
