// SPDX-License-Identifier: BSD-2-Clause
/* Thousands of damaged requests and answers through one worker, and what must
 * hold whatever they are:
 *
 * - a server only ever sees whole, strict requests, one at a time;
 * - a client only ever sees strict answers, or one that visibly breaks off, and
 *   only those to its own requests;
 * - in the end nothing is counted as in flight and every buffer is back.
 *
 * The damage is the same in every run (a fixed seed). */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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
#include "userspace/http/parser.h"

#define ROUNDS 4000
#define BYTES_MAX 4096
#define SERVERS_MAX 16
#define EDITS_MAX 4

static uint32_t dice(uint32_t sides)
{
	static uint32_t seed = 20261122;

	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % sides;
}

/* @@@@ becomes the number of the round. */
static const char *const requests[] = {
	"GET /@@@@?y=z HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
	"POST /@@@@ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
	"POST /@@@@ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	"3;e=f\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n",
	"POST /@@@@/v1/completions HTTP/1.1\r\nHost: a:80\r\nContent-Type: application/json\r\n"
	"Content-Length: 28\r\n\r\n{\"model\":\"gemma\",\"prompt\":1}",
	"GET /@@@@ HTTP/1.1\r\nHost: a\r\n\r\nPOST /@@@@ HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
	"GET /@@@@ HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /@@@@ HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /@@@@ HTTP/1.0\r\n\r\n",
	"GET /@@@@ HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: y\r\n\r\n",
	"GET http://a/@@@@ HTTP/1.1\r\nHost: a\r\nConnection: x-y, close\r\nX-Y: z\r\n\r\n",
	"POST /@@@@ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
};

/* The number of the request answered goes behind the first line. */
static const char *const answers[] = {
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nX-Number: 0000\r\n"
	"Content-Length: 4\r\n\r\nevil",
	"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	"9\r\ndata: 1\n\n\r\n9;x=y\r\ndata: 2\n\n\r\n0\r\nT: u\r\n\r\n",
	"HTTP/1.1 200 OK\r\nConnection: close\r\nX-A: b\r\n\r\nuntil the end",
	"HTTP/1.1 204 No Content\r\n\r\n",
	"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
	"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nRetry-After: 1\r\n\r\nbusy",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nevil",
	"HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
};

/* Bytes that mean something to somebody, more often than others. */
static char damaging_byte(void)
{
	static const char bytes[] = "\r\n\0 \t:,;0159aCTchunked\"%/\x7f\x80";

	return dice(4) ? bytes[dice(sizeof(bytes) - 1)] : (char)dice(256);
}

/* Replaces, removes, adds or doubles a byte, a few times; often not at all. */
static size_t damage(char *data, size_t length)
{
	uint32_t edits = dice(2) ? dice(EDITS_MAX) : 0;

	while (edits-- && length > 1 && length < BYTES_MAX - 64) {
		size_t at = dice((uint32_t)length), n = 1 + dice(4);

		switch (dice(4)) {
		case 0: data[at] = damaging_byte(); break;
		case 1:
			if (n > length - at)
				n = length - at;
			memmove(data + at, data + at + n, length - at - n);
			length -= n;
			break;
		case 2:
			memmove(data + at + 1, data + at, length - at);
			data[at] = damaging_byte();
			length++;
			break;
		default:
			if (n > length - at)
				n = length - at;
			memmove(data + at + n, data + at, length - at);
			length += n;
		}
	}
	return length;
}

static void number_put(char *data, size_t length, int number)
{
	char *at, digits[8];

	snprintf(digits, sizeof(digits), "%04d", number);
	while ((at = memmem(data, length, "@@@@", 4)))
		memcpy(at, digits, 4);
}

struct server {
	int fd; /* -1: free */
	size_t have;
	char data[BYTES_MAX + 1];
	size_t out_length, out_sent; /* of the answer under way */
	bool out_last; /* the connection ends after it */
	char out[BYTES_MAX + 64];
};

static void fail_bytes(const char *what, const char *why, const char *data, size_t length)
{
	size_t i;

	fprintf(stderr, "%s (%s): \"", what, why ? why : "");
	for (i = 0; i < length; i++)
		fprintf(stderr, data[i] >= ' ' && data[i] < 0x7f ? "%c" : "\\x%02x",
			(unsigned char)data[i]);
	fprintf(stderr, "\"\n");
	fail_msg("%s", what);
}

/* Reads the one message at the begin of `data`; its length, 0: not whole.
 * ret_head->header_count is 0 when not even the head is. */
static size_t message_read(enum http_kind kind, const char *data, size_t length, bool eof,
			   struct http_head *ret_head)
{
	struct http_parser parser;
	struct http_span payload;
	size_t at = 0, used;
	enum http_parse parse;

	ret_head->header_count = 0;
	http_parser_init(&parser, kind);
	parse = http_parser_head(&parser, data, length, ret_head, &at);
	if (parse == HTTP_PARSE_BAD)
		fail_bytes("a head that is not strict", parser.why, data, length);
	if (parse != HTTP_PARSE_COMPLETE)
		return 0;
	do {
		parse = http_parser_body(&parser, data + at, length - at, &used, &payload);
		at += used;
	} while (parse == HTTP_PARSE_INCOMPLETE && at < length && used);
	if (parse == HTTP_PARSE_BAD)
		fail_bytes("a body that is not strict", parser.why, data, length);
	if (parse == HTTP_PARSE_INCOMPLETE && eof)
		parse = http_parser_eof(&parser);
	return parse == HTTP_PARSE_COMPLETE ? at : 0;
}

static void server_close(struct server *server)
{
	struct linger linger = {.l_onoff = dice(2) != 0};

	setsockopt(server->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(server->fd);
	*server = (struct server){.fd = -1};
}

/* Puts the number of the request behind the first line. */
static size_t number_answer(char *data, size_t length, const char *request)
{
	const char *slash = strchr(request, '/');
	char *line_end = memmem(data, length, "\r\n", 2);

	if (!line_end || !slash || strspn(slash + 1, "0123456789") != 4)
		return length;
	memmove(line_end + 16, line_end, length - (size_t)(line_end - data));
	memcpy(line_end, "\r\nX-Number: ", 12);
	memcpy(line_end + 12, slash + 1, 4);
	return length + 16;
}

/* An answer, perhaps damaged, perhaps followed by the end. */
static void server_answer(struct server *server)
{
	const char *answer = answers[dice(ARRAY_SIZE(answers))];
	size_t length = strlen(answer);

	memcpy(server->out, answer, length);
	length = damage(server->out, length);
	server->out_length = number_answer(server->out, length, server->data);
	server->out_sent = 0;
	server->out_last = strstr(answer, "close") || !dice(4);
}

/* The next request is here already: an answer sent now would be taken for its
 * own, by any proxy. */
static bool request_waits(const struct server *server)
{
	char byte;

	return recv(server->fd, &byte, 1, MSG_PEEK) > 0;
}

/* Sends all that is left, a piece of it, or what comes before a second answer. */
static void server_send(struct server *server)
{
	const char *begin = server->out + server->out_sent;
	size_t left = server->out_length - server->out_sent;
	const char *second = memmem(begin + 1, left - 1, "HTTP/1", 6);
	size_t piece = dice(3) ? left : 1 + dice((uint32_t)left);

	if (second && dice(2))
		piece = (size_t)(second - begin);
	if (server->out_sent && request_waits(server)) {
		server->out_sent = server->out_length;
		return;
	}
	send(server->fd, begin, piece, MSG_NOSIGNAL);
	server->out_sent += piece;
	if (piece == left && server->out_last)
		server_close(server);
}

static void server_read(struct server *server)
{
	ssize_t n = recv(server->fd, server->data + server->have, BYTES_MAX - server->have, 0);
	struct http_head head;
	size_t length;

	if (n == 0) {
		server_close(server);
		return;
	}
	if (n < 0)
		return;
	server->have += (size_t)n;
	server->data[server->have] = '\0';
	length = message_read(HTTP_REQUEST_MESSAGE, server->data, server->have, false, &head);
	if (!length)
		return;
	if (head.chunked)
		fail_bytes("a request with chunks", NULL, server->data, length);
	if (length != server->have)
		fail_bytes("more than one request at once", NULL, server->data, server->have);
	server->have = 0;
	server_answer(server);
}

static void server_play(struct server *server)
{
	if (server->out_sent == server->out_length)
		server_read(server);
	if (server->out_sent < server->out_length)
		server_send(server);
}

/* -1: nobody connects.  Without delay: what is sent before the next request must
 * also be there before it. */
static int server_accept(struct rig *rig, size_t index)
{
	int fd = accept4(rig->servers[index % RIG_ENDPOINTS], NULL, NULL,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);
	int one = 1;

	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void servers_play(struct rig *rig, struct server *servers)
{
	size_t i;

	for (i = 0; i < SERVERS_MAX; i++) {
		if (servers[i].fd < 0)
			servers[i].fd = server_accept(rig, i);
		if (servers[i].fd >= 0)
			server_play(&servers[i]);
	}
}

/* Reads what the client was given.  True: the connection has ended. */
static bool client_read(int client, char *data, size_t *have, bool *reset)
{
	ssize_t n;

	do {
		n = recv(client, data + *have, BYTES_MAX - *have, 0);
		*have += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	*reset = n < 0 && errno != EAGAIN;
	return n == 0 || *reset;
}

/* A row of strict answers, of which the last may have broken off. */
static void check_answers(const char *data, size_t have, bool ended, int round)
{
	const struct http_header *number;
	struct http_head head;
	size_t at = 0, length;

	while (at < have) {
		length = message_read(HTTP_RESPONSE_MESSAGE, data + at, have - at, ended, &head);
		number = http_head_find(&head, "x-number");
		if (number && atoi(number->value.data) != round)
			fail_bytes("an answer to somebody else", NULL, data, have);
		if (!length)
			return;
		at += length;
	}
}

static int answered; /* rounds that got a good answer */

static void round_play(struct rig *rig, struct server *servers, int round)
{
	const char *request = requests[dice(ARRAY_SIZE(requests))];
	char data[BYTES_MAX], got[BYTES_MAX];
	size_t length = strlen(request), sent = 0, have = 0;
	int client = rig_client(rig), turns = 0;
	bool ended = false, reset = false;

	memcpy(data, request, length);
	length = damage(data, length);
	number_put(data, length, round);
	while (!ended && turns < 6 && have < BYTES_MAX) {
		if (sent < length) {
			size_t piece = dice(3) ? length - sent
					       : 1 + dice((uint32_t)(length - sent));

			send(client, data + sent, piece, MSG_NOSIGNAL);
			sent += piece;
		} else {
			turns++;
		}
		assert_int_equal(loop_turn(rig->worker->loop, 0), 0);
		servers_play(rig, servers);
		assert_int_equal(loop_turn(rig->worker->loop, 0), 0);
		ended = client_read(client, got, &have, &reset);
	}
	check_answers(got, have, ended && !reset, round);
	answered += have > 9 && !memcmp(got, "HTTP/1.1 2", 10);
	close(client);
}

static void damaged_messages_never_pass_for_others(void **state)
{
	_cleanup_(rig_freep) struct rig *rig = rig_new();
	static struct server servers[SERVERS_MAX];
	int i;

	(void)state;
	rig_routes(rig, NULL);
	rig_start(rig);
	for (i = 0; i < SERVERS_MAX; i++)
		servers[i].fd = -1;
	for (i = 1; i <= ROUNDS; i++)
		round_play(rig, servers, i);
	printf("%d of %d rounds answered well\n", answered, ROUNDS);
	assert_true(answered > ROUNDS / 4);
	rig_turn(rig, 100);
	assert_nothing_in_flight(rig);
	assert_int_equal(rig->worker->session_count, 0);
	assert_null(rig->worker->waiting);
	assert_int_equal(rig->worker->buffers.free_count, rig->worker->buffers.count);
	for (i = 0; i < SERVERS_MAX; i++)
		if (servers[i].fd >= 0)
			server_close(&servers[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damaged_messages_never_pass_for_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
