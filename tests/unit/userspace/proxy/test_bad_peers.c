// SPDX-License-Identifier: BSD-2-Clause
/* Clients and servers that are slow, or that break off: in every phase of a request
 * the other side is told, or the request goes elsewhere, and nothing stays behind. */
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
#include "userspace/http/parser.h"
#include "userspace/proxy/limits.h"
#include "userspace/proxy/session.h"

#define WAIT_NS (10 * NS_PER_S)
#define STREAM_WAIT_NS (100 * NS_PER_S)
#define POST "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
#define CHUNKED                                                                                    \
	"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static void hang_up(int fd, bool reset)
{
	struct linger linger = {.l_onoff = reset};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

/* All sessions end, and with them all that they held. */
static void assert_all_ends(struct rig *rig)
{
	uint64_t until = clock_monotonic_ns() + WAIT_NS;

	while (rig->worker->session_count && clock_monotonic_ns() < until)
		rig_turn(rig, 0);
	assert_int_equal(rig->worker->session_count, 0);
	assert_int_equal(rig->worker->buffers.free_count, rig->worker->buffers.count);
	assert_nothing_in_flight(rig);
	assert_null(rig->worker->waiting);
}

/* The failures of one case are not the next one's. */
static void forgive_all(struct rig *rig)
{
	for (uint32_t i = 0; i < RIG_ENDPOINTS; i++)
		placement_succeeded(&rig->worker->placement, i, i < RIG_ENDPOINTS / 2 ? 0 : 1);
}

/* ---- heads ---- */

static void a_head_that_comes_byte_by_byte_is_not_waited_for_for_ever(void **state)
{
	_cleanup_(rig_freep) struct rig *rig = rig_new();
	uint64_t until = clock_monotonic_ns() + WAIT_NS;
	char answer[512] = "";
	int client;

	(void)state;
	rig_routes(rig, NULL);
	rig->options.head_timeout_s = 1;
	rig_start(rig);
	client = rig_client(rig);
	rig_puts(rig, client, "GET /x HTTP/1.1\r\nHost: a\r\nX: ");
	while (recv(client, answer, sizeof(answer) - 1, 0) < 0 && clock_monotonic_ns() < until) {
		(void)!send(client, "x", 1, MSG_NOSIGNAL);
		rig_turn(rig, 20);
	}
	assert_has(answer, "HTTP/1.1 408 ");
	assert_has(answer, "Connection: close\r\n");
	close(client);
	assert_all_ends(rig);
}

static void a_head_that_is_too_large_is_431(void **state)
{
	RIG_READY(rig, NULL);
	static char head[BUFFER_BYTES + 64];
	const char *got;
	size_t length;

	(void)state;
	for (int many = 0; many < 2; many++) {
		int client = rig_client(rig);

		length = (size_t)snprintf(head, sizeof(head), "GET /x HTTP/1.1\r\nHost: a\r\n");
		for (int i = 0; many && i <= HTTP_HEADERS_MAX; i++)
			length += (size_t)snprintf(head + length, sizeof(head) - length,
						   "X-%d: y\r\n", i);
		if (many) {
			memcpy(head + length, "\r\n", 2);
			length += 2;
		} else {
			memset(head + length, 'x', sizeof(head) - length);
			length = sizeof(head);
		}
		rig_send(rig, client, head, length);
		got = rig_expect_end(rig, client, NULL);
		assert_has(got, "HTTP/1.1 431 ");
		assert_has(got, "Connection: close\r\n");
		close(client);
	}
	assert_int_equal(rig->worker->row->upstream_connects, 0);
	assert_all_ends(rig);
}

/* ---- clients that leave ---- */

static const struct {
	const char *name;
	const char *said; /* by the client */
	const char *answered; /* by the server; NULL: it is not asked */
	const char *seen; /* by the client before it leaves; NULL: nothing */
} leavings[] = {
	{"at once", "", NULL, NULL},
	{"in the head", "POST /x HTTP/1.1\r\nHo", NULL, NULL},
	{"before the body", POST, NULL, NULL},
	{"in the body", POST "abc", NULL, NULL},
	{"before the first byte", "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", "", NULL},
	{"behind a head alone", "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", CHUNKED, NULL},
	{"in a stream", "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", CHUNKED "3\r\nabc\r\n", "abc"},
	{"in a body", "GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
	 "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "abc"},
};

static void a_client_that_leaves_in_any_phase_leaves_nothing(void **state)
{
	RIG_READY(rig, RIG_TO_ONE);

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(leavings); i++) {
		size_t row = i / 2;
		int client = rig_client(rig), server = -1;

		rig_puts(rig, client, leavings[row].said);
		rig_turn(rig, 0);
		if (leavings[row].answered) {
			server = rig_accept(rig, 0, RIG_WAIT_MS);
			assert_true(server >= 0);
			rig_expect(rig, server, "\r\n\r\n");
			rig_puts(rig, server, leavings[row].answered);
		}
		if (leavings[row].seen)
			rig_expect(rig, client, leavings[row].seen);
		hang_up(client, i % 2);
		if (server >= 0 && !rig_is_closed(rig, server))
			fail_msg("%s: the server was not told", leavings[row].name);
		assert_all_ends(rig);
		if (server >= 0)
			close(server);
	}
}

/* ---- servers that break off ---- */

/* While it can still be retried, the client does not notice. */
static void a_server_that_breaks_off_before_the_answer_is_replaced(void **state)
{
	static const char *const parts[] = {"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Le",
					    CHUNKED};
	RIG_READY(rig, NULL);

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(parts); i++) {
		unsigned first, second;
		int client = rig_client(rig), server;

		rig_puts(rig, client, rig_chat("gemma"));
		server = rig_take_chat(rig, &first);
		rig_puts(rig, server, parts[i / 2]);
		hang_up(server, i % 2);
		server = rig_accept_any(rig, &second);
		assert_int_not_equal(first, second);
		rig_expect_chat(rig, server);
		rig_puts(rig, server, ANSWER);
		rig_expect(rig, client, "\r\n\r\nok");
		hang_up(client, false);
		hang_up(server, false);
		assert_all_ends(rig);
		forgive_all(rig);
	}
}

static void a_server_that_resets_while_it_is_sent_the_body_is_replaced(void **state)
{
	RIG_READY(rig, NULL);
	static char body[4u << 20];
	char head[128];
	unsigned first, second;
	int client = rig_client(rig), server;
	const char *got;

	(void)state;
	memset(body, 'b', sizeof(body));
	snprintf(head, sizeof(head), "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
		 sizeof(body));
	rig_puts(rig, client, head);
	rig_send(rig, client, body, sizeof(body));
	server = rig_accept_any(rig, &first);
	rig_expect(rig, server, "\r\n\r\nbbbb"); /* and reads no more */
	hang_up(server, true);
	server = rig_accept_any(rig, &second);
	assert_int_not_equal(first, second);
	got = strstr(rig_expect(rig, server, "\r\n\r\n"), "\r\n\r\n") + 4;
	for (size_t have = strlen(got); have < sizeof(body);) {
		static char part[65536];
		ssize_t n = recv(server, part, sizeof(part), 0);

		assert_int_not_equal(n, 0);
		have += n > 0 ? (size_t)n : 0;
		rig_turn(rig, 0);
	}
	rig_puts(rig, server, ANSWER);
	rig_expect(rig, client, "\r\n\r\nok");
	hang_up(client, false);
	hang_up(server, false);
	assert_all_ends(rig);
}

/* Afterwards the client sees that the answer is not whole: the framing is not, an
 * event stream has an error event, and where only the end is the framing it is a reset. */
static void a_server_that_breaks_off_in_its_answer_is_seen_to(void **state)
{
	static const struct {
		const char *version, *answer;
		const char *told; /* NULL: nothing */
		bool reset;
	} rows[] = {
		{"1.1", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", NULL, false},
		{"1.1", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", NULL,
		 false},
		{"1.1", CHUNKED "3\r\nabc\r\n", "event: error\n", false},
		{"1.0", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", NULL,
		 true},
	};
	RIG_READY(rig, RIG_TO_ONE);

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		int client = rig_client(rig), server;
		char request[64];
		const char *got;
		bool reset;

		snprintf(request, sizeof(request), "GET /x HTTP/%s\r\nHost: a\r\n\r\n",
			 rows[i / 2].version);
		rig_puts(rig, client, request);
		server = rig_accept(rig, 0, RIG_WAIT_MS);
		assert_true(server >= 0);
		rig_expect(rig, server, "\r\n\r\n");
		rig_puts(rig, server, rows[i / 2].answer);
		rig_expect(rig, client, "abc");
		hang_up(server, i % 2);
		got = rig_expect_end(rig, client, &reset);
		assert_has_not(got, "0\r\n\r\n");
		if (rows[i / 2].told)
			assert_has(got, rows[i / 2].told);
		if (reset != rows[i / 2].reset)
			fail_msg("case %zu: reset %d", i, reset);
		hang_up(client, false);
		assert_all_ends(rig);
		forgive_all(rig);
	}
}

/* ---- a long stream ---- */

enum { CHUNKS = 100000, NUMBER_BYTES = 8 };

struct reader {
	struct http_parser parser;
	bool has_head, complete;
	char raw[8192];
	size_t raw_have;
	char number[NUMBER_BYTES + 1];
	size_t number_have;
	uint64_t next; /* number expected */
};

static void numbers_check(struct reader *r, struct http_span payload)
{
	for (size_t i = 0; i < payload.length; i++) {
		r->number[r->number_have++] = payload.data[i];
		if (r->number_have < NUMBER_BYTES)
			continue;
		assert_int_equal(strtoul(r->number, NULL, 10), r->next);
		r->next++;
		r->number_have = 0;
	}
}

static void raw_take(struct reader *r, size_t used)
{
	r->raw_have -= used;
	memmove(r->raw, r->raw + used, r->raw_have);
}

static void reader_read(struct reader *r, int fd)
{
	ssize_t n = recv(fd, r->raw + r->raw_have, 1024, 0);
	struct http_span payload;
	struct http_head head;
	size_t used = 1;

	assert_int_not_equal(n, 0);
	if (n < 0)
		return;
	r->raw_have += (size_t)n;
	if (!r->has_head) {
		if (http_parser_head(&r->parser, r->raw, r->raw_have, &head, &used) !=
		    HTTP_PARSE_COMPLETE)
			return;
		r->has_head = true;
		raw_take(r, used);
	}
	while (!r->complete && r->raw_have && used) {
		enum http_parse got =
			http_parser_body(&r->parser, r->raw, r->raw_have, &used, &payload);

		assert_int_not_equal(got, HTTP_PARSE_BAD);
		numbers_check(r, payload);
		r->complete = got == HTTP_PARSE_COMPLETE;
		raw_take(r, used);
	}
}

static char *stream_make(size_t *ret_length)
{
	const size_t room = sizeof(CHUNKED) + CHUNKS * (NUMBER_BYTES + 8) + 8;
	char *text = malloc(room);
	size_t length = 0;

	assert_non_null(text);
	length += (size_t)sprintf(text, "%s", CHUNKED);
	for (unsigned i = 0; i < CHUNKS; i++)
		length += (size_t)sprintf(text + length, "%x\r\n%0*u\r\n", NUMBER_BYTES,
					  NUMBER_BYTES, i);
	length += (size_t)sprintf(text + length, "0\r\n\r\n");
	*ret_length = length;
	return text;
}

static struct session *only_session(struct rig *rig)
{
	for (size_t i = 0; i < rig->worker->session_slots; i++) {
		if (session_is_alive(&rig->worker->sessions[i]))
			return &rig->worker->sessions[i];
	}
	fail_msg("no session");
	return NULL;
}

/* A kilobyte at a time, through small socket buffers (also the proxy's own, which
 * would take all of it on loopback): the server is held back, the proxy keeps no more
 * than its outbox, and every chunk arrives in its turn. */
static void a_hundred_thousand_chunks_pass_a_slow_reader_whole(void **state)
{
	RIG_READY(rig, RIG_TO_ONE);
	struct reader reader = {0};
	int client = rig_client(rig), server, small = 16384;
	size_t length, sent = 0, held, held_most = 0;
	_cleanup_free_ char *stream = stream_make(&length);
	uint64_t until = clock_monotonic_ns() + STREAM_WAIT_NS;

	(void)state;
	http_parser_init(&reader.parser, HTTP_RESPONSE_MESSAGE);
	setsockopt(client, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	assert_true(server >= 0);
	setsockopt(server, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	rig_expect_chat(rig, server);
	setsockopt(only_session(rig)->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (!reader.complete) {
		ssize_t n = sent < length ? send(server, stream + sent, length - sent, MSG_NOSIGNAL)
					  : 0;

		sent += n > 0 ? (size_t)n : 0;
		rig_turn(rig, 0);
		held = rig->worker->buffers.count - rig->worker->buffers.free_count;
		held_most = held > held_most ? held : held_most;
		reader_read(&reader, client);
		assert_true(clock_monotonic_ns() < until);
	}
	assert_int_equal(reader.next, CHUNKS);
	assert_int_equal(reader.number_have, 0);
	assert_in_range(held_most, 1, OUTBOX_BUFFERS_MAX);
	hang_up(client, false);
	assert_all_ends(rig);
	close(server);
}

/* ---- connections that begin as the worker ends ---- */

static void a_drained_worker_waits_longer_for_a_connections_first_request(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig);

	(void)state;
	while (!rig->worker->session_count)
		rig_turn(rig, 0);
	worker_drain(rig->worker, false);
	assert_true(only_session(rig)->timer.at_ns >=
		    loop_now_ns(rig->worker->loop) + SESSION_DRAIN_FIRST_NS);
	assert_true(rig_is_closed(rig, client));
	close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_head_that_comes_byte_by_byte_is_not_waited_for_for_ever),
		cmocka_unit_test(a_head_that_is_too_large_is_431),
		cmocka_unit_test(a_client_that_leaves_in_any_phase_leaves_nothing),
		cmocka_unit_test(a_server_that_breaks_off_before_the_answer_is_replaced),
		cmocka_unit_test(a_server_that_resets_while_it_is_sent_the_body_is_replaced),
		cmocka_unit_test(a_server_that_breaks_off_in_its_answer_is_seen_to),
		cmocka_unit_test(a_hundred_thousand_chunks_pass_a_slow_reader_whole),
		cmocka_unit_test(a_drained_worker_waits_longer_for_a_connections_first_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
