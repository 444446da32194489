// SPDX-License-Identifier: BSD-2-Clause
/* The edges of HTTP/1.1 through a whole worker: what could be read in two ways
 * goes no further, and what a broken server says never reaches the next request. */
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
#include "userspace/proxy/error.h"
#include "userspace/proxy/limits.h"

#define GET "GET /x HTTP/1.1\r\nHost: a\r\n"
#define POST "POST /x HTTP/1.1\r\nHost: a\r\n"
#define OK "HTTP/1.1 200 OK\r\n"

static void assert_nothing_left(struct rig *rig)
{
	assert_nothing_in_flight(rig);
	assert_null(rig->worker->waiting);
}

/* ---- requests ---- */

/* Each is followed by a second request, which a laxer reader would see. */
#define SMUGGLED "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

static const char *const smugglers[] = {
	POST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED,
	POST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" SMUGGLED,
	POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" SMUGGLED,
	POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" SMUGGLED,
	POST "Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n" SMUGGLED,
	POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" SMUGGLED,
	POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" SMUGGLED,
	POST "Transfer-Encoding\x0b: chunked\r\n\r\n0\r\n\r\n" SMUGGLED,
	POST "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED,
	POST "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED,
	POST "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" SMUGGLED,
	POST "Content-Length: 0, 44\r\n\r\n" SMUGGLED,
	POST "Content-Length: +0\r\n\r\n" SMUGGLED,
	POST "Content-Length: 0x0\r\n\r\n" SMUGGLED,
	POST " Content-Length: 44\r\n\r\n" SMUGGLED,
	"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED,
	POST "Transfer-Encoding: chunked\r\n\r\n0\n\n" SMUGGLED,
	POST "Transfer-Encoding: chunked\r\n\r\n0;a\n\r\n" SMUGGLED,
	POST "Transfer-Encoding: chunked\r\n\r\n0 \r\n\r\n" SMUGGLED,
	POST "Transfer-Encoding: chunked\r\n\r\n1\r\nxx0\r\n\r\n" SMUGGLED,
	POST "Transfer-Encoding: chunked\r\n\r\n-0\r\n\r\n" SMUGGLED,
	POST "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n" SMUGGLED,
	"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" SMUGGLED,
	"GET /x\r\n" SMUGGLED,
	"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n" SMUGGLED,
	"\0GET /x HTTP/1.1\r\nHost: a\r\n\r\n" SMUGGLED,
};

static void ambiguous_requests_reach_no_server(void **state)
{
	RIG_READY(rig, RIG_TO_ONE);
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(smugglers); i++) {
		int client = rig_client(rig);
		size_t length = strlen(smugglers[i]);
		const char *got;

		if (!length) /* the one that begins with NUL */
			length = sizeof("\0GET /x HTTP/1.1\r\nHost: a\r\n\r\n" SMUGGLED) - 1;
		rig_send(rig, client, smugglers[i], length);
		got = rig_expect_end(rig, client, NULL);
		if (strncmp(got, "HTTP/1.1 400 ", 13) && strncmp(got, "HTTP/1.1 501 ", 13))
			fail_msg("%s: %s", smugglers[i], got);
		if (strstr(got + 1, "HTTP/1.1"))
			fail_msg("%s: two answers: %s", smugglers[i], got);
		close(client);
	}
	assert_int_equal(rig->worker->row->upstream_connects, 0);
	assert_nothing_left(rig);
}

static void a_chunked_body_of_single_bytes_goes_up_with_a_length(void **state)
{
	RIG_READY(rig, RIG_TO_ONE);
	int client = rig_client(rig), server;
	const char *got, *p;
	static const char request[] = POST "Transfer-Encoding: chunked\r\nTE: trailers\r\n"
					   "Trailer: X-T\r\n\r\n"
					   "1\r\nh\r\n1;a=b\r\ne\r\n1\r\ny\r\n0\r\nX-T: 1\r\n\r\n";

	(void)state;
	for (p = request; *p; p++)
		rig_send(rig, client, p, 1);
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	got = rig_expect(rig, server, "\r\n\r\nhey");
	assert_has(got, "Content-Length: 3\r\n");
	assert_has_not(got, "Transfer-Encoding");
	assert_has_not(got, "X-T: 1");
	rig_puts(rig, server, OK "Content-Length: 1\r\n\r\n1");
	rig_expect(rig, client, "\r\n\r\n1");
	close(server);
	close(client);
}

static void expect_continue_of_an_empty_body_is_not_waited_for(void **state)
{
	RIG_READY(rig, RIG_TO_ONE);
	int client = rig_client(rig), server;

	(void)state;
	rig_puts(rig, client, POST "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n");
	server = rig_accept(rig, 0, 1000);
	assert_true(server >= 0);
	rig_expect(rig, server, "Content-Length: 0\r\n");
	rig_puts(rig, server, OK "Content-Length: 1\r\n\r\n1");
	rig_expect(rig, client, "\r\n\r\n1");
	close(server);
	close(client);
}

static void a_rewrite_does_not_open_a_blocked_path(void **state)
{
	RIG_READY(rig, "{'matches':[{'path_type':'PathPrefix','path':'/team'}],"
		       "'filters':{'rewrite_type':'ReplacePrefixMatch','rewrite_path':'/'},"
		       "'backends':[{'pool':1,'weight':1,'name':'ai/one'}]}");
	int client = rig_client(rig);
	const char *got;

	(void)state;
	rig_puts(rig, client, "GET /team/metrics?a=b HTTP/1.1\r\nHost: a\r\n\r\n");
	got = rig_expect(rig, client, "}}\n");
	assert_has(got, "HTTP/1.1 404 ");
	assert_has(got, "not served to clients");
	assert_int_equal(rig->worker->row->upstream_connects, 0);
	assert_nothing_left(rig);
	close(client);
}

static void a_trace_passes_unchanged_and_is_in_the_log(void **state)
{
	RIG_READY(rig, RIG_TO_ONE);
	int client = rig_client(rig), server;
	const char *got;

	(void)state;
	rig_puts(rig, client,
		 GET "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
		     "tracestate: rojo=00f067aa0ba902b7,congo=t61rcWkgMzE\r\n"
		     "tracestate: more=1\r\n\r\n");
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	got = rig_expect(rig, server, "\r\n\r\n");
	assert_has(got, "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
			"tracestate: rojo=00f067aa0ba902b7,congo=t61rcWkgMzE\r\n"
			"tracestate: more=1\r\n");
	rig_puts(rig, server, OK "Content-Length: 1\r\n\r\n1");
	rig_expect(rig, client, "\r\n\r\n1");
	assert_has(rig_log_last(rig), "\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"");
	rig_puts(rig, client, GET "traceparent: 00-\"-1-01\r\n\r\n");
	rig_expect(rig, server, "traceparent: 00-\"-1-01\r\n");
	rig_puts(rig, server, OK "Content-Length: 1\r\n\r\n2");
	rig_expect(rig, client, "\r\n\r\n2");
	assert_has_not(rig_log_last(rig), "trace_id");
	close(server);
	close(client);
}

/* ---- behind another balancer ---- */

static struct rig *rig_behind_balancer(void)
{
	struct rig *rig = rig_new();

	rig->options.proxy_protocol = true;
	rig_routes(rig, RIG_TO_ONE);
	rig_start(rig);
	return rig;
}

#define NAMED "PROXY TCP4 192.0.2.7 10.0.0.1 56250 80\r\n"

static void the_client_is_who_the_proxy_header_names(void **state)
{
	static const char request[] = NAMED GET "\r\n";
	_cleanup_(rig_freep) struct rig *rig = rig_behind_balancer();
	int server = -1;

	(void)state;
	for (size_t cut = 1; cut < sizeof(request) - 1; cut += 7) {
		int client = rig_client(rig);

		rig_send(rig, client, request, cut);
		rig_turn(rig, 0);
		rig_send(rig, client, request + cut, sizeof(request) - 1 - cut);
		if (server < 0)
			server = rig_accept(rig, 0, RIG_WAIT_MS);
		assert_has(rig_expect(rig, server, "\r\n\r\n"), "X-Forwarded-For: 192.0.2.7\r\n");
		rig_puts(rig, server, OK "Content-Length: 1\r\n\r\n1");
		rig_expect(rig, client, "\r\n\r\n1");
		assert_has(rig_log_last(rig), "\"client\":\"192.0.2.7\"");
		/* the next request of the connection has no header of its own */
		rig_puts(rig, client, GET "\r\n");
		assert_has(rig_expect(rig, server, "\r\n\r\n"), "X-Forwarded-For: 192.0.2.7\r\n");
		rig_puts(rig, server, OK "Content-Length: 1\r\n\r\n2");
		rig_expect(rig, client, "\r\n\r\n2");
		close(client);
	}
	assert_int_equal(rig->worker->row->errors[ERROR_PROXY_PROTOCOL], 0);
	close(server);
}

static void a_local_proxy_header_keeps_the_sockets_address(void **state)
{
	static const char local[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
	_cleanup_(rig_freep) struct rig *rig = rig_behind_balancer();
	int client = rig_client(rig), server;

	(void)state;
	rig_send(rig, client, local, sizeof(local) - 1);
	rig_puts(rig, client, GET "\r\n");
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	assert_has(rig_expect(rig, server, "\r\n\r\n"), "X-Forwarded-For: 127.0.0.1\r\n");
	close(server);
	close(client);
}

static void only_named_balancers_are_believed(void **state)
{
	static const struct {
		const char *from;
		bool believed;
	} cases[] = {{"127.0.0.0/8", true}, {"192.0.2.0/24", false}, {"::/0", false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(rig_freep) struct rig *rig = rig_new();
		int client, server;

		rig->options.proxy_protocol = true;
		rig->options.balancer_count = 1;
		assert_int_equal(prefix_parse(cases[i].from, &rig->options.balancers[0]), 0);
		rig_routes(rig, RIG_TO_ONE);
		rig_start(rig);
		client = rig_client(rig);
		if (cases[i].believed) {
			rig_puts(rig, client, NAMED GET "\r\n");
			server = rig_accept(rig, 0, RIG_WAIT_MS);
			assert_has(rig_expect(rig, server, "\r\n\r\n"), "For: 192.0.2.7\r\n");
			close(server);
		} else {
			assert_true(rig_is_closed(rig, client)); /* not a byte was needed */
		}
		assert_int_equal(rig->worker->row->errors[ERROR_PROXY_UNTRUSTED],
				 !cases[i].believed);
		assert_int_equal(rig->worker->row->errors[ERROR_PROXY_PROTOCOL], 0);
		close(client);
	}
}

static void a_connection_without_proxy_header_is_closed_and_counted(void **state)
{
	static const char *const firsts[] = {
		GET "\r\n",
		"PROXY TCP4 192.0.2.7\r\n" GET "\r\n",
		"PROXY UDP4 192.0.2.7 10.0.0.1 1 1\r\n" GET "\r\n",
	};
	_cleanup_(rig_freep) struct rig *rig = rig_behind_balancer();
	int client;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(firsts); i++) {
		client = rig_client(rig);
		rig_puts(rig, client, firsts[i]);
		assert_string_equal(rig_expect_end(rig, client, NULL), "");
		close(client);
		assert_int_equal(rig->worker->row->errors[ERROR_PROXY_PROTOCOL], i + 1);
	}
	client = rig_client(rig); /* a balancer that looks whether we listen */
	rig_turn(rig, 0);
	close(client);
	rig_turn(rig, 5);
	assert_int_equal(rig->worker->session_count, 0);
	assert_int_equal(rig->worker->row->errors[ERROR_PROXY_PROTOCOL], ARRAY_SIZE(firsts));
	assert_int_equal(rig->worker->row->upstream_connects, 0);
	assert_int_equal(rig->worker->buffers.free_count, rig->worker->buffers.count);
}

static void a_proxy_header_is_not_believed_unless_asked_for(void **state)
{
	RIG_READY(rig, RIG_TO_ONE);
	int client = rig_client(rig);

	(void)state;
	rig_puts(rig, client, NAMED GET "\r\n");
	assert_has(rig_expect_end(rig, client, NULL), "HTTP/1.1 400 ");
	assert_int_equal(rig->worker->row->upstream_connects, 0);
	close(client);
}

/* ---- answers ---- */

/* Whatever the server says, the client hears 502 in the gateway's own words. */
static void answers_that_can_be_read_in_two_ways_are_not_passed_on(void **state)
{
	static const char *const answers[] = {
		OK "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		OK "Content-Length: 4\r\nContent-Length: 5\r\n\r\nevil!",
		OK "Content-Length: 4, 4\r\n\r\nevil",
		OK "Transfer-Encoding: gzip, chunked\r\n\r\nevil",
		OK "X: y\r\n evil\r\nContent-Length: 0\r\n\r\n",
		OK "X: y\nContent-Length: 0\n\n",
		OK "X evil\r\n\r\n",
		"HTTP/1.1 204 x\r\nContent-Length: 4\r\n\r\nevil",
		"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: evil\r\n\r\n",
		"HTTP/1.1 99 x\r\n\r\n",
		"HTTP/2 200\r\n\r\n",
		"evil\r\n\r\n",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		RIG_READY(rig, RIG_TO_ONE);
		int client = rig_client(rig), server;
		const char *got;

		rig_puts(rig, client, GET "\r\n");
		server = rig_accept(rig, 0, RIG_WAIT_MS);
		rig_expect(rig, server, "\r\n\r\n");
		rig_puts(rig, server, answers[i]);
		got = rig_expect(rig, client, "}}\n");
		if (strncmp(got, "HTTP/1.1 502 ", 13) || strstr(got, "evil"))
			fail_msg("%s: %s", answers[i], got);
		assert_nothing_left(rig);
		close(server);
		close(client);
	}
}

static void a_second_answer_is_not_given_to_the_next_request(void **state)
{
	RIG_READY(rig, RIG_TO_ONE);
	int client = rig_client(rig), server;
	const char *got;

	(void)state;
	rig_puts(rig, client, GET "\r\n");
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	rig_expect(rig, server, "\r\n\r\n");
	rig_puts(rig, server, OK "Content-Length: 1\r\n\r\n1" OK "Content-Length: 4\r\n\r\nevil");
	assert_has_not(rig_expect(rig, client, "\r\n\r\n1"), "evil");
	rig_puts(rig, client, GET "\r\n");
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	assert_true(server >= 0);
	rig_puts(rig, server, OK "Content-Length: 1\r\n\r\n2");
	got = rig_expect(rig, client, "\r\n\r\n2");
	assert_has_not(got, "evil");
	close(server);
	close(client);
}

static void bytes_on_an_idle_connection_are_not_an_answer(void **state)
{
	RIG_READY(rig, RIG_TO_ONE);
	int client = rig_client(rig), server;
	const char *got;

	(void)state;
	rig_puts(rig, client, GET "\r\n");
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	rig_expect(rig, server, "\r\n\r\n");
	rig_puts(rig, server, OK "Content-Length: 1\r\n\r\n1");
	rig_expect(rig, client, "\r\n\r\n1");
	rig_puts(rig, server, OK "Content-Length: 4\r\n\r\nevil");
	assert_true(rig_is_closed(rig, server));
	rig_puts(rig, client, GET "\r\n");
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	assert_true(server >= 0);
	rig_puts(rig, server, OK "Content-Length: 1\r\n\r\n2");
	got = rig_expect(rig, client, "\r\n\r\n2");
	assert_has_not(got, "evil");
	close(server);
	close(client);
}

/* An answer that comes before the request has been taken ends that connection. */
static void an_early_answer_is_passed_on_and_its_connection_not_kept(void **state)
{
	static const char *const early[] = {"413 x", "200 OK"};
	RIG_READY(rig, RIG_TO_ONE);
	int client = rig_client(rig), server;
	static char body[4 << 20];
	char text[128];

	(void)state;
	memset(body, 'b', sizeof(body));
	for (size_t i = 0; i < ARRAY_SIZE(early); i++) {
		snprintf(text, sizeof(text), POST "Content-Length: %zu\r\n\r\n", sizeof(body));
		rig_puts(rig, client, text);
		rig_send(rig, client, body, sizeof(body));
		server = rig_accept(rig, 0, RIG_WAIT_MS);
		rig_expect(rig, server, "\r\n\r\n");
		snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: 3\r\n\r\nbig",
			 early[i]);
		rig_puts(rig, server, text);
		snprintf(text, sizeof(text), "HTTP/1.1 %.4s", early[i]);
		assert_has(rig_expect(rig, client, "\r\n\r\nbig"), text);
		assert_true(rig_is_closed(rig, server));
		close(server);
		assert_nothing_left(rig);
	}
	rig_puts(rig, client, GET "\r\n");
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	assert_true(server >= 0);
	rig_puts(rig, server, OK "Content-Length: 1\r\n\r\n2");
	rig_expect(rig, client, "\r\n\r\n2");
	close(server);
	close(client);
}

static void interim_answers_are_passed_on_but_not_100(void **state)
{
	RIG_READY(rig, RIG_TO_ONE);
	int client = rig_client(rig), server;
	const char *got;

	(void)state;
	rig_puts(rig, client, GET "\r\n");
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	rig_expect(rig, server, "\r\n\r\n");
	rig_puts(rig, server,
		 "HTTP/1.1 103 Hints\r\nLink: </a>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"
		 "Content-Length: 0\r\n\r\nHTTP/1.1 100 C");
	got = rig_expect(rig, client, "\r\n\r\n");
	assert_string_equal(got,
			    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nVia: 1.1 sluice\r\n\r\n");
	rig_puts(rig, server, "ontinue\r\n\r\n" OK "Content-Length: 1\r\n\r\n1");
	got = rig_expect(rig, client, "\r\n\r\n1");
	assert_int_equal(strncmp(got, OK, strlen(OK)), 0);
	assert_has(rig_log_last(rig), "\"status\":200");
	close(server);
	close(client);
}

static void an_old_client_sees_no_interim_answer(void **state)
{
	RIG_READY(rig, RIG_TO_ONE);
	int client = rig_client(rig), server;

	(void)state;
	rig_puts(rig, client, "GET /x HTTP/1.0\r\n\r\n");
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	rig_expect(rig, server, "\r\n\r\n");
	rig_puts(rig, server, "HTTP/1.1 103 Early Hints\r\n\r\n" OK "Content-Length: 1\r\n\r\n1");
	assert_has_not(rig_expect(rig, client, "\r\n\r\n1"), "103");
	close(server);
	close(client);
}

static void an_interim_answer_commits_to_nothing(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig), server;
	unsigned first, second;
	const char *got;

	(void)state;
	rig_puts(rig, client, GET "\r\n");
	server = rig_accept_any(rig, &first);
	rig_expect(rig, server, "\r\n\r\n");
	for (int i = 0; i < 20; i++)
		rig_puts(rig, server, "HTTP/1.1 102 Processing\r\n\r\n");
	close(server);
	server = rig_accept_any(rig, &second);
	assert_int_not_equal(first, second);
	rig_expect(rig, server, "\r\n\r\n");
	rig_puts(rig, server, OK "Content-Length: 1\r\n\r\n1");
	got = rig_expect(rig, client, "\r\n\r\n1");
	assert_has(got, OK);
	for (int i = 0; i < INTERIM_MAX; i++) {
		assert_has(got, "HTTP/1.1 102 ");
		got = strstr(got, "HTTP/1.1 102 ") + 1;
	}
	assert_has_not(got, "HTTP/1.1 102 ");
	close(server);
	close(client);
}

static void trailers_of_a_chunked_answer_are_relayed(void **state)
{
	static const char chunks[] = "3\r\nabc\r\n0\r\nX-Checksum: 1\r\nGrpc-Status: 0\r\n\r\n";
	RIG_READY(rig, RIG_TO_ONE);
	int client = rig_client(rig), server = -1;
	const char *got;

	(void)state;
	for (size_t cut = 0; cut < sizeof(chunks); cut++) {
		rig_puts(rig, client, GET "TE: trailers\r\n\r\n");
		if (server < 0)
			server = rig_accept(rig, 0, RIG_WAIT_MS);
		rig_expect(rig, server, "\r\n\r\n");
		rig_puts(rig, server,
			 OK "Transfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n");
		rig_send(rig, server, chunks, cut);
		rig_turn(rig, 0);
		rig_puts(rig, server, chunks + cut);
		got = rig_expect(rig, client, "Grpc-Status: 0\r\n\r\n");
		assert_has(got, "Trailer: X-Checksum\r\n");
		assert_has(got, chunks);
	}
	close(server);
	close(client);
}

static void bodiless_answers_leave_the_connections_in_step(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 204 x\r\n\r\n",
		"HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n",
		OK "Content-Length: 0\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	};
	RIG_READY(rig, RIG_TO_ONE);
	int client = rig_client(rig), server;
	size_t i;

	(void)state;
	rig_puts(rig, client, GET "\r\n");
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		rig_expect(rig, server, "\r\n\r\n");
		rig_puts(rig, server, answers[i]);
		rig_expect(rig, client, i < 4 ? "\r\n\r\n" : "0\r\n\r\n");
		rig_puts(rig, client, GET "\r\n");
	}
	rig_expect(rig, server, "\r\n\r\n");
	rig_puts(rig, server, OK "Content-Length: 1\r\n\r\n1");
	assert_int_equal(strncmp(rig_expect(rig, client, "\r\n\r\n1"), OK, strlen(OK)), 0);
	assert_int_equal(rig->worker->row->upstream_connects, 1);
	close(server);
	close(client);
}

static void a_stream_that_breaks_between_chunks_says_so_in_a_whole_chunk(void **state)
{
	RIG_READY(rig, RIG_TO_ONE);
	int client = rig_client(rig), server;
	const char *got, *event;

	(void)state;
	rig_puts(rig, client, GET "\r\n");
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	rig_expect(rig, server, "\r\n\r\n");
	rig_puts(rig, server,
		 OK "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "9\r\ndata: 1\n\n\r\nxyz\r\n");
	got = rig_expect_end(rig, client, NULL);
	assert_has(got, "9\r\ndata: 1\n\n\r\n");
	event = strstr(got, "event: error");
	assert_non_null(event);
	assert_has_not(got, "xyz");
	assert_has_not(got, "\r\n0\r\n\r\n");
	close(server);
	close(client);
}

static void an_anthropic_stream_that_breaks_says_so_in_their_shape(void **state)
{
	RIG_READY(rig, RIG_TO_ONE);
	int client = rig_client(rig), server;

	(void)state;
	rig_puts(rig, client,
		 "POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
		 "Content-Length: 13\r\n\r\n{\"model\":\"g\"}");
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	rig_expect(rig, server, "\r\n\r\n");
	rig_puts(rig, server,
		 OK "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "6\r\ndata:\n\r\n");
	rig_expect(rig, client, "data:\n\r\n");
	close(server);
	assert_has(rig_expect_end(rig, client, NULL),
		   "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",");
	close(client);
}

static void a_head_that_fills_the_buffer_may_be_followed_by_its_body_later(void **state)
{
	RIG_READY(rig, RIG_TO_ONE);
	int client = rig_client(rig), server;
	static char head[BUFFER_BYTES + 1];
	int n = snprintf(head, sizeof(head), OK "Content-Length: 1\r\nX: ");

	(void)state;
	memset(head + n, 'x', BUFFER_BYTES - (size_t)n - 4);
	memcpy(head + BUFFER_BYTES - 4, "\r\n\r\n", 4);
	rig_puts(rig, client, GET "\r\n");
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	rig_expect(rig, server, "\r\n\r\n");
	rig_send(rig, server, head, BUFFER_BYTES);
	assert_int_equal(strncmp(rig_expect(rig, client, "\r\n\r\n"), OK, strlen(OK)), 0);
	rig_puts(rig, server, "1");
	rig_expect(rig, client, "1");
	close(server);
	close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ambiguous_requests_reach_no_server),
		cmocka_unit_test(a_chunked_body_of_single_bytes_goes_up_with_a_length),
		cmocka_unit_test(expect_continue_of_an_empty_body_is_not_waited_for),
		cmocka_unit_test(a_rewrite_does_not_open_a_blocked_path),
		cmocka_unit_test(a_trace_passes_unchanged_and_is_in_the_log),
		cmocka_unit_test(the_client_is_who_the_proxy_header_names),
		cmocka_unit_test(a_local_proxy_header_keeps_the_sockets_address),
		cmocka_unit_test(only_named_balancers_are_believed),
		cmocka_unit_test(a_connection_without_proxy_header_is_closed_and_counted),
		cmocka_unit_test(a_proxy_header_is_not_believed_unless_asked_for),
		cmocka_unit_test(answers_that_can_be_read_in_two_ways_are_not_passed_on),
		cmocka_unit_test(a_second_answer_is_not_given_to_the_next_request),
		cmocka_unit_test(bytes_on_an_idle_connection_are_not_an_answer),
		cmocka_unit_test(an_early_answer_is_passed_on_and_its_connection_not_kept),
		cmocka_unit_test(interim_answers_are_passed_on_but_not_100),
		cmocka_unit_test(an_old_client_sees_no_interim_answer),
		cmocka_unit_test(an_interim_answer_commits_to_nothing),
		cmocka_unit_test(trailers_of_a_chunked_answer_are_relayed),
		cmocka_unit_test(bodiless_answers_leave_the_connections_in_step),
		cmocka_unit_test(a_stream_that_breaks_between_chunks_says_so_in_a_whole_chunk),
		cmocka_unit_test(an_anthropic_stream_that_breaks_says_so_in_their_shape),
		cmocka_unit_test(a_head_that_fills_the_buffer_may_be_followed_by_its_body_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
