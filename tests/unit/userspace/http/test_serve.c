/* SPDX-License-Identifier: BSD-2-Clause */
/* The server of a process' own pages, spoken to on raw sockets by the same
 * thread: bytes are written, the loop is turned, the answer is read. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/said.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/base/loop.h"
#include "userspace/http/serve.h"

#define BIG_BYTES (4u << 20)

static struct loop *loop;
static struct server *server;

static void pages(void *ctx, const char *path, struct server_answer *ret_answer)
{
	(void)ctx;
	ret_answer->status = 200;
	ret_answer->content_type = "text/x-test";
	if (!strcmp(path, "/hello")) {
		ret_answer->body = strdup("hello");
		ret_answer->body_length = 5;
	} else if (!strcmp(path, "/big")) {
		ret_answer->body = malloc(BIG_BYTES);
		memset(ret_answer->body, 'b', BIG_BYTES);
		ret_answer->body_length = BIG_BYTES;
	} else if (strcmp(path, "/empty")) {
		ret_answer->status = 404;
	}
}

static int setup(void **state)
{
	struct ip_addr addr;

	(void)state;
	address_parse("127.0.0.1", &addr);
	if (loop_new(64, &loop) < 0)
		return -1;
	return server_new(loop, &addr, 0, pages, NULL, &server);
}

static int teardown(void **state)
{
	(void)state;
	server_free(server);
	loop_free(loop);
	return 0;
}

static int client_open(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons(server_port(server)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval timeout = {.tv_usec = 1000};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void turn(void)
{
	int i;

	for (i = 0; i < 10; i++)
		loop_turn(loop, 1);
}

/* Reads until the server closes or has been silent for a while; *ret_closed says
 * which. */
static size_t client_read(int fd, char *buffer, size_t size, bool *ret_closed)
{
	size_t length = 0;
	int silent = 0;

	*ret_closed = false;
	while (length < size - 1 && silent < 20) {
		ssize_t n;

		loop_turn(loop, 0);
		n = recv(fd, buffer + length, size - 1 - length, 0);
		if (n == 0 || (n < 0 && errno == ECONNRESET)) {
			*ret_closed = true;
			break;
		}
		silent = n < 0 ? silent + 1 : 0;
		length += n > 0 ? (size_t)n : 0;
	}
	buffer[length] = '\0';
	return length;
}

struct exchange {
	const char *request;
	const char *answer_begin;
	const char *answer_part;
	bool closed;
};

static const struct exchange exchanges[] = {
	{"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
	 "\r\nContent-Type: text/x-test\r\nConnection: keep-alive\r\n\r\nhello", false},
	{"GET /hello?x=y HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\nhello",
	 false},
	{"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n",
	 "\r\nConnection: close\r\n\r\nhello", true},
	{"GET /hello HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "hello", true},
	{"GET /empty HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
	 "\r\n\r\n", false},
	{"GET /none HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 Not Found\r\n", "\r\n\r\n", false},
	{"GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\n\r\n",
	 "HTTP/1.1 200 OK\r\n", "helloHTTP/1.1 404", false},
	{"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	 "HTTP/1.1 405 Method Not Allowed\r\n", "\r\nAllow: GET, HEAD\r\n", true},
	{"GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 413 ", "", true},
	{"GET /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 413 ",
	 "", true},
	{"GET /hello HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", "no Host\n", true},
	{"GET /hello HTTP/2.0\r\n\r\n", "HTTP/1.1 505 ", "", true},
	{"\x16\x03\x01", "HTTP/1.1 400 ", "not HTTP/1\n", true},
};

static void check_exchange(const struct exchange *exchange, size_t step)
{
	_cleanup_close_ int fd = client_open();
	size_t length = strlen(exchange->request), sent;
	char answer[4096];
	bool closed;

	for (sent = 0; sent < length; sent += step) {
		size_t n = length - sent < step ? length - sent : step;

		if (send(fd, exchange->request + sent, n, MSG_NOSIGNAL) < 0)
			break;
		loop_turn(loop, 1);
	}
	client_read(fd, answer, sizeof(answer), &closed);
	if (strncmp(answer, exchange->answer_begin, strlen(exchange->answer_begin)) ||
	    !strstr(answer, exchange->answer_part) || closed != exchange->closed)
		fail_msg("%s in steps of %zu: %s (closed: %d)", exchange->request, step, answer,
			 closed);
}

static void requests_get_their_answer_however_they_are_cut(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(exchanges); i++) {
		check_exchange(&exchanges[i], 4096);
		check_exchange(&exchanges[i], 1);
	}
}

static void head_gets_a_length_and_no_body(void **state)
{
	static const char request[] = "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n";
	_cleanup_close_ int fd = client_open();
	char answer[4096];
	bool closed;

	(void)state;
	assert_true(send(fd, request, sizeof(request) - 1, 0) > 0);
	turn();
	client_read(fd, answer, sizeof(answer), &closed);
	assert_non_null(strstr(answer, "Content-Length: 5\r\n"));
	assert_null(strstr(answer, "hello"));
	assert_false(closed);
}

static void a_head_without_end_is_refused(void **state)
{
	_cleanup_close_ int fd = client_open();
	static char request[10000];
	char answer[4096];
	bool closed;

	(void)state;
	memset(request, 'a', sizeof(request));
	memcpy(request, "GET /", 5);
	send(fd, request, sizeof(request), MSG_NOSIGNAL);
	turn();
	client_read(fd, answer, sizeof(answer), &closed);
	assert_int_equal(strncmp(answer, "HTTP/1.1 431 ", 13), 0);
	assert_true(closed);
}

static void a_slow_reader_gets_all_of_a_big_page(void **state)
{
	static const char request[] = "GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	_cleanup_close_ int fd = client_open();
	_cleanup_free_ char *answer = malloc(BIG_BYTES + 4096);
	bool closed;
	char *body;

	(void)state;
	assert_true(send(fd, request, sizeof(request) - 1, 0) > 0);
	turn();
	client_read(fd, answer, BIG_BYTES + 4096, &closed);
	body = strstr(answer, "\r\n\r\n") + 4;
	assert_int_equal(strlen(body), BIG_BYTES);
	assert_int_equal(strspn(body, "b"), BIG_BYTES);
	assert_true(closed);
}

static void the_longest_waiting_connection_gives_way(void **state)
{
	static const char request[] = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
	int fds[SERVER_CONNECTIONS_MAX + 1], i;
	char answer[4096];
	bool closed;

	(void)state;
	for (i = 0; i <= SERVER_CONNECTIONS_MAX; i++) {
		fds[i] = client_open();
		turn();
	}
	client_read(fds[0], answer, sizeof(answer), &closed);
	assert_true(closed);
	for (i = 1; i <= SERVER_CONNECTIONS_MAX; i++) {
		assert_true(send(fds[i], request, sizeof(request) - 1, 0) > 0);
		turn();
		client_read(fds[i], answer, sizeof(answer), &closed);
		assert_non_null(strstr(answer, "\r\n\r\nhello"));
	}
	for (i = 0; i <= SERVER_CONNECTIONS_MAX; i++)
		close(fds[i]);
	turn();
}

static void a_port_in_use_is_said_by_name(void **state)
{
	struct server *second = NULL;
	struct ip_addr addr;
	char expected[64];

	(void)state;
	address_parse("127.0.0.1", &addr);
	log_sink = said_keep;
	assert_int_equal(server_new(loop, &addr, server_port(server), pages, NULL, &second),
			 -EADDRINUSE);
	log_sink = NULL;
	snprintf(expected, sizeof(expected), "127.0.0.1:%u: cannot listen", server_port(server));
	assert_non_null(strstr(said, expected));
	assert_null(second);
}

/* A request that waits while the listener goes from one server to the next. */
static void a_listener_goes_over_with_its_queue(void **state)
{
	static const char request[] = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
	uint16_t port = server_port(server);
	int client = client_open(), again = dup(server_listener(server));
	struct ip_addr addr, other;
	char buffer[512];
	bool closed;

	(void)state;
	address_parse("127.0.0.1", &addr);
	address_parse("127.0.0.2", &other);
	assert_true(send(client, request, strlen(request), 0) == (ssize_t)strlen(request));
	server_free(server);
	server = NULL;
	assert_int_equal(server_new_over(loop, dup(again), &other, port, pages, NULL, &server),
			 -EADDRNOTAVAIL);
	assert_int_equal(server_new_over(loop, again, &addr, port, pages, NULL, &server), 0);
	assert_int_equal(server_port(server), port);
	client_read(client, buffer, sizeof(buffer), &closed);
	assert_non_null(strstr(buffer, "hello"));
	close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_get_their_answer_however_they_are_cut),
		cmocka_unit_test(head_gets_a_length_and_no_body),
		cmocka_unit_test(a_head_without_end_is_refused),
		cmocka_unit_test(a_slow_reader_gets_all_of_a_big_page),
		cmocka_unit_test(the_longest_waiting_connection_gives_way),
		cmocka_unit_test(a_port_in_use_is_said_by_name),
		cmocka_unit_test(a_listener_goes_over_with_its_queue),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
