/* SPDX-License-Identifier: BSD-2-Clause */
/* Fetches against our own server and against servers that misbehave, on
 * loopback.  The latter are threads that speak a script on raw sockets. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/loop.h"
#include "userspace/http/fetch.h"
#include "userspace/http/serve.h"

#define ANSWER(body) "HTTP/1.1 200 OK\r\nContent-Length: " body

/* What a rude server does: connections one after the other, each with answers
 * to its requests one after the other; NULL ends a connection. */
struct script {
	const char *connections[4][4];
	size_t bytes_a_send; /* 0: at once */
	int hold_ms; /* before the close */
	int listener;
	uint16_t port;
	pthread_t thread;
	int requests; /* heads seen */
	char request[4096];
};

static bool request_read(int fd, struct script *script)
{
	size_t length = 0;
	ssize_t n;

	do {
		n = read(fd, script->request + length, sizeof(script->request) - 1 - length);
		if (n <= 0)
			return false;
		length += (size_t)n;
		script->request[length] = '\0';
	} while (!strstr(script->request, "\r\n\r\n"));
	script->requests++;
	return true;
}

static void answer_write(int fd, const struct script *script, const char *answer)
{
	size_t length = strlen(answer), step = script->bytes_a_send ? script->bytes_a_send : length;
	size_t sent;

	for (sent = 0; sent < length; sent += step) {
		size_t n = length - sent < step ? length - sent : step;

		if (send(fd, answer + sent, n, MSG_NOSIGNAL) < 0)
			return;
		if (script->bytes_a_send)
			usleep(200);
	}
}

static void *script_run(void *arg)
{
	struct script *script = arg;
	size_t i, j;

	for (i = 0; i < 4 && script->connections[i][0]; i++) {
		_cleanup_close_ int fd = accept(script->listener, NULL, NULL);

		for (j = 0; j < 4 && script->connections[i][j]; j++)
			if (request_read(fd, script))
				answer_write(fd, script, script->connections[i][j]);
		usleep((useconds_t)script->hold_ms * 1000);
	}
	return NULL;
}

static const struct ip_addr *loopback(void)
{
	static struct ip_addr addr;

	address_parse("127.0.0.1", &addr);
	return &addr;
}

static void script_start(struct script *script)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(sa);

	script->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(script->listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(script->listener, 8), 0);
	getsockname(script->listener, (struct sockaddr *)&sa, &length);
	script->port = ntohs(sa.sin_port);
	assert_int_equal(pthread_create(&script->thread, NULL, script_run, script), 0);
}

static void script_end(struct script *script)
{
	pthread_join(script->thread, NULL);
	close(script->listener);
}

struct got {
	struct loop *loop;
	struct fetcher *fetcher;
	struct fetch_result result;
	char body[256];
	size_t length; /* may pass sizeof(body) */
	int pieces; /* in which the body came */
	int done;
	struct fetch *cancel; /* at the first body byte */
};

static void got_body(void *ctx, const char *data, size_t length)
{
	struct got *got = ctx;

	if (got->length + length < sizeof(got->body))
		memcpy(got->body + got->length, data, length);
	got->length += length;
	got->pieces++;
	if (got->cancel)
		fetch_cancel(got->cancel);
}

static void got_done(void *ctx, const struct fetch_result *result)
{
	struct got *got = ctx;

	got->result = *result;
	got->done++;
}

static const struct fetch_callbacks callbacks = {.body = got_body, .done = got_done};

static void got_init(struct got *got)
{
	memset(got, 0, sizeof(*got));
	assert_int_equal(loop_new(64, &got->loop), 0);
	assert_int_equal(fetcher_new(got->loop, 2, &got->fetcher), 0);
}

static void got_deinit(struct got *got)
{
	fetcher_free(got->fetcher);
	loop_free(got->loop);
}

static void wait_done(struct got *got)
{
	uint64_t deadline = clock_monotonic_ns() + 5 * NS_PER_S;

	while (!got->done && clock_monotonic_ns() < deadline)
		loop_turn(got->loop, 100);
	assert_int_equal(got->done, 1);
}

static void get(struct got *got, uint16_t port, const char *method, uint32_t timeout_ms)
{
	struct fetch_request request = {
		.addr = *loopback(),
		.port = port,
		.keep_alive = true,
		.method = method,
		.path = "/metrics?x=y",
		.timeout_ms = timeout_ms,
		.body_bytes_max = 100,
	};

	got->done = 0;
	got->length = 0;
	memset(got->body, 0, sizeof(got->body));
	assert_int_equal(fetch_start(got->fetcher, &request, &callbacks, got, NULL), 0);
	assert_int_equal(got->done, 0);
	wait_done(got);
}

struct answer_case {
	const char *name;
	const char *answer;
	const char *method;
	int err;
	int status;
	const char *body;
};

static const struct answer_case answers[] = {
	{"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", NULL, 0, 200, "hello"},
	{"chunked",
	 "HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
	 NULL, 0, 503, "hello"},
	{"until close", "HTTP/1.0 404 x\r\n\r\nhello", NULL, 0, 404, "hello"},
	{"no body", "HTTP/1.1 204 x\r\n\r\n", NULL, 0, 204, ""},
	{"after interim answers",
	 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nLink: a\r\n\r\n"
	 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
	 NULL, 0, 200, "hi"},
	{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "HEAD", 0, 200, ""},
	{"cut in the head", "HTTP/1.1 200 OK\r\nConte", NULL, -ECONNRESET, 0, ""},
	{"cut in the body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", NULL, -ECONNRESET, 0,
	 "hel"},
	{"cut in the chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
	 NULL, -ECONNRESET, 0, "hel"},
	{"nothing", "", NULL, -ECONNRESET, 0, ""},
	{"not HTTP", "SSH-2.0-x\r\n", NULL, -EBADMSG, 0, ""},
	{"broken chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", NULL,
	 -EBADMSG, 0, ""},
	{"switches protocols", "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: y\r\n\r\n", NULL,
	 -EBADMSG, 0, ""},
	{"too large by its length", "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", NULL, -EFBIG,
	 0, ""},
	{"too large without a length",
	 "HTTP/1.1 200 OK\r\n\r\n"
	 "0123456789012345678901234567890123456789012345678901234567890123456789"
	 "0123456789012345678901234567890123456789",
	 NULL, -EFBIG, 0, NULL},
};

static void check_answer(const struct answer_case *c, size_t bytes_a_send)
{
	struct script script = {.connections = {{c->answer}}, .bytes_a_send = bytes_a_send};
	struct got got;

	got_init(&got);
	script_start(&script);
	get(&got, script.port, c->method, 2000);
	if (got.result.err != c->err || (!c->err && got.result.status != c->status) ||
	    (c->body && strcmp(got.body, c->body)))
		fail_msg("%s: err %d, status %d, body %s", c->name, got.result.err,
			 got.result.status, got.body);
	assert_true(got.result.total_ns >= got.result.connect_ns);
	got_deinit(&got);
	script_end(&script);
}

static void every_answer_gives_its_result_however_it_is_cut(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		check_answer(&answers[i], 0);
		check_answer(&answers[i], 1);
	}
}

static void the_request_says_what_was_asked(void **state)
{
	struct script script = {.connections = {{ANSWER("0\r\n\r\n")}}};
	char host[64];
	struct got got;

	(void)state;
	got_init(&got);
	script_start(&script);
	get(&got, script.port, NULL, 2000);
	script_end(&script);
	snprintf(host, sizeof(host), "\r\nHost: 127.0.0.1:%u\r\n", script.port);
	assert_int_equal(strncmp(script.request, "GET /metrics?x=y HTTP/1.1\r\n", 27), 0);
	assert_non_null(strstr(script.request, host));
	assert_non_null(strstr(script.request, "\r\nConnection: keep-alive\r\n"));
	got_deinit(&got);
}

static void a_refused_connection_is_told_from_the_loop(void **state)
{
	struct script script = {.connections = {{NULL}}};
	struct got got;

	(void)state;
	got_init(&got);
	script_start(&script);
	script_end(&script); /* nobody listens there now */
	get(&got, script.port, NULL, 2000);
	assert_int_equal(got.result.err, -ECONNREFUSED);
	got_deinit(&got);
}

static void a_silent_server_times_out(void **state)
{
	struct script script = {.connections = {{"HTTP/1.1 200 OK\r\n"}}, .hold_ms = 300};
	struct got got;

	(void)state;
	got_init(&got);
	script_start(&script);
	get(&got, script.port, NULL, 50);
	assert_int_equal(got.result.err, -ETIMEDOUT);
	assert_in_range(got.result.total_ns, 50 * NS_PER_MS, 250 * NS_PER_MS);
	got_deinit(&got);
	script_end(&script);
}

static void a_kept_connection_is_used_again(void **state)
{
	struct script script = {.connections = {{ANSWER("1\r\n\r\na"), ANSWER("1\r\n\r\nb")}}};
	struct got got;

	(void)state;
	got_init(&got);
	script_start(&script);
	get(&got, script.port, NULL, 2000);
	assert_string_equal(got.body, "a");
	assert_true(got.result.connect_ns > 0);
	get(&got, script.port, NULL, 2000);
	assert_string_equal(got.body, "b");
	assert_int_equal(got.result.connect_ns, 0);
	script_end(&script);
	got_deinit(&got);
}

/* The server takes the second request, and closes without a word. */
static void a_kept_connection_that_dies_is_replaced_once(void **state)
{
	struct script script = {
		.connections = {{ANSWER("1\r\n\r\na"), ""}, {ANSWER("1\r\n\r\nb")}, {""}}};
	struct got got;

	(void)state;
	got_init(&got);
	script_start(&script);
	get(&got, script.port, NULL, 2000);
	get(&got, script.port, NULL, 2000);
	assert_int_equal(got.result.err, 0);
	assert_string_equal(got.body, "b");
	assert_true(got.result.connect_ns > 0);
	usleep(20000);
	loop_turn(got.loop, 0); /* sees the close of the kept connection */
	get(&got, script.port, NULL, 2000);
	assert_int_equal(got.result.err, -ECONNRESET);
	script_end(&script);
	assert_int_equal(script.requests, 4);
	got_deinit(&got);
}

static void bytes_after_the_answer_end_the_connection(void **state)
{
	struct script script = {
		.connections = {{ANSWER("1\r\n\r\naHTTP/1.1 200 OK\r\n")}, {ANSWER("1\r\n\r\nb")}}};
	struct got got;

	(void)state;
	got_init(&got);
	script_start(&script);
	get(&got, script.port, NULL, 2000);
	get(&got, script.port, NULL, 2000);
	assert_string_equal(got.body, "b");
	script_end(&script);
	got_deinit(&got);
}

static void a_fetch_may_be_cancelled_from_its_own_body(void **state)
{
	struct script script = {.connections = {{ANSWER("12\r\n\r\nabcdefghijkl")}},
				.bytes_a_send = 1};
	struct fetch_request request = {
		.addr = *loopback(), .path = "/", .timeout_ms = 2000, .body_bytes_max = 100};
	struct got got;
	uint64_t until;

	(void)state;
	got_init(&got);
	script_start(&script);
	request.port = script.port;
	assert_int_equal(fetch_start(got.fetcher, &request, &callbacks, &got, &got.cancel), 0);
	until = clock_monotonic_ns() + 5 * NS_PER_S;
	while (!got.pieces && clock_monotonic_ns() < until)
		loop_turn(got.loop, 10);
	until = clock_monotonic_ns() + 100 * NS_PER_MS;
	while (clock_monotonic_ns() < until)
		loop_turn(got.loop, 10);
	assert_int_equal(got.pieces, 1);
	assert_int_equal(got.done, 0);
	script_end(&script);
	got_deinit(&got);
}

static void more_fetches_than_slots_are_refused(void **state)
{
	struct fetch_request request = {.addr = *loopback(), .port = 1, .path = "/"};
	struct got got;

	(void)state;
	got_init(&got);
	assert_int_equal(fetch_start(got.fetcher, &request, &callbacks, &got, NULL), 0);
	assert_int_equal(fetch_start(got.fetcher, &request, &callbacks, &got, NULL), 0);
	assert_int_equal(fetch_start(got.fetcher, &request, &callbacks, &got, NULL), -EBUSY);
	got_deinit(&got);
	assert_int_equal(got.done, 0);
}

static void requests_that_would_smuggle_are_not_sent(void **state)
{
	static const struct fetch_request requests[] = {
		{.path = "/a b"},
		{.path = "/a\r\nX: y"},
		{.path = "metrics"},
		{.path = ""},
		{.path = "/", .host = "a\r\nX: y"},
		{.path = "/", .method = "GET /"},
	};
	struct got got;
	size_t i;

	(void)state;
	got_init(&got);
	for (i = 0; i < ARRAY_SIZE(requests); i++)
		assert_int_equal(fetch_start(got.fetcher, &requests[i], &callbacks, &got, NULL),
				 -EINVAL);
	got_deinit(&got);
}

static void serve_hello(void *ctx, const char *path, struct server_answer *ret_answer)
{
	(void)ctx;
	ret_answer->status = strcmp(path, "/metrics") ? 404 : 200;
	ret_answer->body = strdup("hello");
	ret_answer->body_length = 5;
}

static void our_own_server_is_fetched_from(void **state)
{
	struct server *server;
	struct got got;
	int i;

	(void)state;
	got_init(&got);
	assert_int_equal(server_new(got.loop, loopback(), 0, serve_hello, NULL, &server), 0);
	for (i = 0; i < 5; i++) {
		get(&got, server_port(server), NULL, 2000);
		assert_int_equal(got.result.status, 200);
		assert_string_equal(got.body, "hello");
		assert_int_equal(got.result.connect_ns == 0, i > 0);
	}
	get(&got, server_port(server), "HEAD", 2000);
	assert_int_equal(got.length, 0);
	server_free(server);
	got_deinit(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_answer_gives_its_result_however_it_is_cut),
		cmocka_unit_test(the_request_says_what_was_asked),
		cmocka_unit_test(a_refused_connection_is_told_from_the_loop),
		cmocka_unit_test(a_silent_server_times_out),
		cmocka_unit_test(a_kept_connection_is_used_again),
		cmocka_unit_test(a_kept_connection_that_dies_is_replaced_once),
		cmocka_unit_test(bytes_after_the_answer_end_the_connection),
		cmocka_unit_test(a_fetch_may_be_cancelled_from_its_own_body),
		cmocka_unit_test(more_fetches_than_slots_are_refused),
		cmocka_unit_test(requests_that_would_smuggle_are_not_sent),
		cmocka_unit_test(our_own_server_is_fetched_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
