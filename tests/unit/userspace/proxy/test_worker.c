// SPDX-License-Identifier: BSD-2-Clause
/* Requests through a whole worker, with clients and model servers of real
 * sockets on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/harness/proxy_rig.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/proxy/exchange.h"

#define RIG(name) _cleanup_(rig_freep) struct rig *name = rig_new()

static const char answer_ok[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
				"Content-Length: 13\r\n\r\n{\"ok\": true}\n";

static void a_request_reaches_an_endpoint_and_its_answer_comes_back(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig), server;
	struct inflight sum;
	const char *got;
	unsigned index;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_accept_any(rig, &index);
	got = rig_expect_chat(rig, server);
	assert_has(got, "POST /v1/chat/completions HTTP/1.1\r\n");
	assert_has(got, "Host: api.test\r\n");
	assert_has(got, "X-Gateway-Model-Name: gemma\r\n");
	assert_has(got, "X-Forwarded-For: 127.0.0.1\r\n");
	assert_has(got, "X-Forwarded-Proto: http\r\n");
	assert_has(got, "Via: 1.1 sluice\r\n");
	sum = rig_inflight(rig);
	assert_int_equal(sum.requests, 1);
	assert_int_equal(sum.waiting, 1);
	assert_true(sum.uncached_tokens > 0);
	rig_puts(rig, server, answer_ok);
	got = rig_expect(rig, client, "{\"ok\": true}\n");
	assert_has(got, "HTTP/1.1 200 OK\r\n");
	assert_has(got, "Content-Length: 13\r\n");
	assert_nothing_in_flight(rig);
	got = rig_log_last(rig);
	assert_has(got, "\"status\":200");
	assert_has(got, "\"model\":\"gemma\"");
	assert_has(got, "\"region\":\"eu\"");
	assert_has(got, "\"route\":\"ai/route\"");
	assert_has(got, "\"pick\":{\"reason\":");
	assert_true(index < RIG_ENDPOINTS / 2); /* home */
	close(server);
	close(client);
}

static void both_connections_are_kept_alive(void **state)
{
	RIG_READY(rig, RIG_TO_ONE);
	int client = rig_client(rig), server = -1;

	(void)state;
	for (int i = 0; i < 5; i++) {
		rig_puts(rig, client, rig_chat("gemma"));
		if (server < 0)
			server = rig_accept(rig, 0, RIG_WAIT_MS);
		assert_true(server >= 0);
		rig_expect_chat(rig, server);
		rig_puts(rig, server, answer_ok);
		rig_expect(rig, client, "{\"ok\": true}\n");
	}
	assert_int_equal(rig->worker->row->upstream_connects, 1);
	assert_int_equal(rig->worker->row->upstream_reuses, 4);
	close(server);
	close(client);
}

/* The server closes a kept connection just as the next request comes: that is nobody's
 * failure, and the same endpoint is asked again over a fresh one. */
static void a_stale_connection_is_no_attempt(void **state)
{
	RIG_READY(rig, RIG_TO_ONE);
	int client = rig_client(rig), server;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	rig_expect_chat(rig, server);
	rig_puts(rig, server, answer_ok);
	rig_expect(rig, client, "{\"ok\": true}\n");
	rig_puts(rig, client, rig_chat("gemma"));
	rig_expect_chat(rig, server);
	close(server);
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	rig_expect_chat(rig, server);
	rig_puts(rig, server, answer_ok);
	rig_expect(rig, client, "{\"ok\": true}\n");
	assert_has(rig_log_last(rig), "\"attempts\":1");
	assert_int_equal(rig->worker->row->retries[FAILURE_STALE], 1);
	assert_int_equal(rig->worker->row->endpoints[0].failures, 0);
	assert_nothing_in_flight(rig);
	close(server);
	close(client);
}

static void a_stream_is_passed_on_chunk_by_chunk_as_it_comes(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig), server;
	unsigned index;
	char chunk[64];

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &index);
	rig_puts(rig, server,
		 "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
		 "Transfer-Encoding: chunked\r\n\r\n");
	assert_true(rig_is_silent(rig, client, 20)); /* the head waits for the first token */
	for (int i = 0; i < 20; i++) {
		snprintf(chunk, sizeof(chunk), "c\r\ndata: t%03d\n\n\r\n", i);
		rig_puts(rig, server, chunk);
		snprintf(chunk, sizeof(chunk), "t%03d", i);
		rig_expect(rig, client, chunk);
		assert_int_equal(rig_inflight(rig).waiting, 0);
		assert_int_equal(rig_inflight(rig).requests, 1);
	}
	rig_puts(rig, server, "0\r\n\r\n");
	rig_expect(rig, client, "0\r\n\r\n");
	assert_nothing_in_flight(rig);
	close(server);
	close(client);
}

static float bias_weight_sum(const struct rig *rig)
{
	float sum = 0;

	for (unsigned i = 0; i < RIG_ENDPOINTS; i++)
		sum += rig->worker->placement.targets[i].bias.weight;
	return sum;
}

/* An answer in one piece begins when all of it has been generated. */
static void only_a_streams_first_byte_teaches_how_long_a_prefill_takes(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig), server;
	unsigned index;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &index);
	rig_puts(rig, server, answer_ok);
	rig_expect(rig, client, "{\"ok\": true}\n");
	assert_true(bias_weight_sum(rig) == 0);
	close(server);
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &index);
	rig_puts(rig, server,
		 "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
		 "Transfer-Encoding: chunked\r\n\r\nb\r\ndata: {}\n\n\r\n");
	rig_expect(rig, client, "data: {}");
	assert_true(bias_weight_sum(rig) > 0);
	close(server);
	close(client);
}

static void a_refused_endpoint_is_replaced(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig), server;
	unsigned index;

	(void)state;
	rig_server_stop(rig, 0);
	rig_server_stop(rig, 1);
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_accept_any(rig, &index);
	assert_true(index >= RIG_ENDPOINTS / 2);
	rig_expect_chat(rig, server);
	rig_puts(rig, server, answer_ok);
	rig_expect(rig, client, "{\"ok\": true}\n");
	assert_has(rig_log_last(rig), "\"attempts\":3");
	assert_has(rig_log_last(rig), "\"reason\":\"refused\"");
	assert_has(rig_log_last(rig), "\"region\":\"us\"");
	assert_nothing_in_flight(rig);
	close(server);
	close(client);
}

static void a_reset_before_the_answer_is_retried(void **state)
{
	RIG_READY(rig, NULL);
	struct linger linger = {.l_onoff = 1};
	int client = rig_client(rig), server;
	unsigned first, second;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &first);
	setsockopt(server, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(server);
	server = rig_accept_any(rig, &second);
	assert_int_not_equal(first, second);
	rig_expect_chat(rig, server);
	rig_puts(rig, server, answer_ok);
	rig_expect(rig, client, "{\"ok\": true}\n");
	assert_has(rig_log_last(rig), "\"reason\":\"reset\"");
	close(server);
	close(client);
}

static void a_head_without_a_body_byte_can_still_be_retried(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig), server;
	unsigned first, second;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &first);
	rig_puts(rig, server,
		 "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
		 "Transfer-Encoding: chunked\r\n\r\n");
	rig_turn(rig, 20);
	close(server);
	server = rig_accept_any(rig, &second);
	assert_int_not_equal(first, second);
	rig_puts(rig, server, answer_ok);
	rig_expect(rig, client, "{\"ok\": true}\n");
	close(server);
	close(client);
}

static void a_503_is_retried_and_passed_on_when_nothing_is_left(void **state)
{
	RIG_READY(rig, "{'matches':[{'path_type':'PathPrefix','path':'/'}],"
		       "'backends':[{'pool':1,'weight':1,'name':'ai/one'},"
		       "{'pool':2,'weight':1,'name':'ai/two'}]}");
	int client = rig_client(rig), server;
	unsigned first, second;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &first);
	rig_puts(rig, server,
		 "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nbusy\n");
	/* the pool has one endpoint: its own 503 is what there is */
	assert_has(rig_expect(rig, client, "busy\n"), "503 Service Unavailable");
	close(server);
	rig_routes(rig, NULL);
	rig_turn(rig, 20);
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &first);
	rig_puts(rig, server,
		 "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nbusy\n");
	close(server);
	server = rig_accept_any(rig, &second);
	assert_int_not_equal(first, second);
	rig_expect_chat(rig, server);
	rig_puts(rig, server, answer_ok);
	rig_expect(rig, client, "{\"ok\": true}\n");
	close(server);
	close(client);
}

static void health_down_sends_a_waiting_request_elsewhere(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig), server, other;
	unsigned first, second;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &first);
	rig_turn(rig, 250);
	assert_int_equal(rig_inflight(rig).requests, 1);
	rig_health(rig, first, HEALTH_DOWN);
	other = rig_accept_any(rig, &second);
	assert_int_not_equal(first, second);
	assert_true(rig_is_closed(rig, server));
	rig_expect_chat(rig, other);
	rig_puts(rig, other, answer_ok);
	rig_expect(rig, client, "{\"ok\": true}\n");
	assert_has(rig_log_last(rig), "\"reason\":\"health_down\"");
	close(server);
	close(other);
	close(client);
}

static void health_down_does_not_cut_an_answer_under_way(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig), server;
	unsigned index;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &index);
	rig_puts(rig, server, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
	rig_expect(rig, client, "first");
	rig_health(rig, index, HEALTH_DOWN);
	rig_turn(rig, 250);
	rig_puts(rig, server, "-last");
	rig_expect(rig, client, "-last");
	close(server);
	close(client);
}

static void a_client_that_leaves_closes_the_upstream_at_once(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig), server;
	unsigned index;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &index);
	close(client);
	assert_true(rig_is_closed(rig, server));
	assert_nothing_in_flight(rig);
	assert_has(rig_log_last(rig), "\"status\":499");
	assert_has(rig_log_last(rig), "\"error\":\"client_gone\"");
	close(server);
}

static void a_client_may_half_close_where_that_is_allowed(void **state)
{
	RIG(rig);
	int client, server;
	unsigned index;

	(void)state;
	rig->options.half_close = true;
	rig_routes(rig, NULL);
	rig_start(rig);
	client = rig_client(rig);
	rig_puts(rig, client, rig_chat("gemma"));
	shutdown(client, SHUT_WR);
	server = rig_take_chat(rig, &index);
	rig_turn(rig, 50);
	rig_puts(rig, server, answer_ok);
	assert_has(rig_expect_end(rig, client, NULL), "{\"ok\": true}\n");
	close(server);
	close(client);
}

static void a_broken_stream_is_told_in_the_stream_and_never_ends_well(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig), server;
	const char *got;
	unsigned index;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &index);
	rig_puts(rig, server,
		 "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
		 "Transfer-Encoding: chunked\r\n\r\n9\r\ndata: x\n\n\r\n");
	rig_expect(rig, client, "data: x\n\n");
	close(server);
	got = rig_expect_end(rig, client, NULL);
	assert_has(got, "event: error\ndata: {\"error\":");
	assert_has_not(got, "\r\n0\r\n");
	assert_has(rig_log_last(rig), "\"error\":\"answer_cut\"");
	assert_nothing_in_flight(rig);
	close(client);
}

static void an_answer_of_unknown_length_is_sent_in_chunks(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig), server;
	const char *got;
	unsigned index;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &index);
	rig_puts(rig, server, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nsome text");
	close(server);
	got = rig_expect(rig, client, "0\r\n\r\n");
	assert_has(got, "Transfer-Encoding: chunked\r\n");
	assert_has(got, "9\r\nsome text\r\n");
	close(client);
}

static void an_old_client_gets_the_plain_body_and_the_end(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig), server;
	const char *got;
	unsigned index;

	(void)state;
	rig_puts(rig, client, "GET /v1/models HTTP/1.0\r\n\r\n");
	server = rig_accept_any(rig, &index);
	rig_expect(rig, server, "\r\n\r\n");
	rig_puts(rig, server,
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n"
		 "0\r\n\r\n");
	got = rig_expect_end(rig, client, NULL);
	assert_has(got, "\r\n\r\nabcdefg");
	assert_has(got, "Connection: close\r\n");
	assert_has_not(got, "chunked");
	close(server);
	close(client);
}

static void head_has_no_body_whatever_its_length(void **state)
{
	RIG_READY(rig, "{'matches':[{'path_type':'PathPrefix','path':'/'}],"
		       "'backends':[{'pool':1,'weight':1,'name':'ai/one'}]}");
	int client = rig_client(rig), server;
	unsigned index;

	(void)state;
	rig_puts(rig, client, "HEAD /v1/models HTTP/1.1\r\nHost: a\r\n\r\n");
	server = rig_accept_any(rig, &index);
	rig_expect(rig, server, "HEAD /v1/models");
	rig_puts(rig, server, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n");
	assert_has(rig_expect(rig, client, "\r\n\r\n"), "Content-Length: 99\r\n");
	rig_puts(rig, client, "GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n");
	rig_expect(rig, server, "GET /v1/models");
	rig_puts(rig, server, "HTTP/1.1 204 No Content\r\n\r\n");
	rig_expect(rig, client, "204 No Content");
	rig_puts(rig, client, "GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n");
	rig_expect(rig, server, "GET /v1/models");
	rig_puts(rig, server, "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n");
	rig_expect(rig, client, "304 Not Modified");
	assert_nothing_in_flight(rig);
	close(server);
	close(client);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	RIG_READY(rig, "{'matches':[{'path_type':'PathPrefix','path':'/'}],"
		       "'backends':[{'pool':1,'weight':1,'name':'ai/one'}]}");
	int client = rig_client(rig), server;
	char text[4096] = "", path[32];

	(void)state;
	for (int i = 0; i < 10; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "GET /n%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
	rig_puts(rig, client, text);
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	for (int i = 0; i < 10; i++) {
		snprintf(path, sizeof(path), "GET /n%d ", i);
		rig_expect(rig, server, path);
		snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nr%d..",
			 i);
		rig_puts(rig, server, text);
		snprintf(path, sizeof(path), "r%d..", i);
		rig_expect(rig, client, path);
	}
	close(server);
	close(client);
}

static void a_buffer_full_of_refused_requests_is_answered_one_by_one(void **state)
{
	RIG_READY(rig, "{'matches':[{'path_type':'Exact','path':'/only'}],"
		       "'backends':[{'pool':1,'weight':1,'name':'ai/one'}]}");
	int client = rig_client(rig);
	static char text[32000];
	const char *got;
	int count = 0, seen = 0;

	(void)state;
	while (strlen(text) < sizeof(text) - 64) {
		strcat(text, "GET /x HTTP/1.1\r\nHost:a\r\n\r\n");
		count++;
	}
	strcat(text, "GET /last HTTP/1.1\r\nHost:a\r\nConnection: close\r\n\r\n");
	rig_puts(rig, client, text);
	got = rig_expect_end(rig, client, NULL);
	for (const char *p = got; (p = strstr(p, "HTTP/1.1 404")); p++)
		seen++;
	assert_int_equal(seen, count + 1);
	close(client);
}

/* ---- errors ---- */

struct refusal {
	const char *text, *request, *status, *code;
	bool closes;
};

static void bad_requests_get_an_error_that_says_why(void **state)
{
	static const struct refusal rows[] = {
		{"not HTTP", "NONSENSE\r\n\r\n", "400", "bad_request", true},
		{"no model",
		 "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
		 "400", "none", false},
		{"two models",
		 "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 25\r\n\r\n"
		 "{\"model\":\"a\",\"model\":\"b\"}",
		 "400", "duplicate", false},
		{"two models, chunked",
		 "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "d\r\n{\"model\":\"a\",\r\nc\r\n\"model\":\"b\"}\r\n0\r\n\r\n",
		 "400", "duplicate", false},
		{"not JSON",
		 "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
		 "400", "not_", false},
		{"two models where JSON is not expected",
		 "POST /other HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
		 "Content-Length: 25\r\n\r\n{\"model\":\"a\",\"model\":\"b\"}",
		 "400", "duplicate", false},
		{"unknown model",
		 "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 16\r\n\r\n"
		 "{\"model\":\"nope\"}",
		 "404", "model_not_found", false},
		{"unknown path", "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", "404",
		 "route_not_found", false},
		{"too large",
		 "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 1000001\r\n\r\n",
		 "413", "body_too_large", true},
		{"two lengths",
		 "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
		 "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		 "400", "bad_request", true},
		{"dot segments", "GET /v1/../admin HTTP/1.1\r\nHost: a\r\n\r\n", "400",
		 "bad_request", true},
		{"an engine's own page", "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "404",
		 "route_not_found", true},
		{"a new version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505", "http_version", true},
		{"CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "501", "not_implemented",
		 true},
	};
	RIG(rig);

	(void)state;
	rig->options.body_bytes_max = 1000000;
	rig_routes(rig, "{'matches':[{'path_type':'PathPrefix','path':'/v1','headers':[{'type':"
			"'Exact','name':'x-gateway-model-name','value':'gemma'}]}],"
			"'backends':[{'pool':0,'weight':1,'name':'ai/all'}]}");
	rig_start(rig);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int client = rig_client(rig);
		char status[32];
		const char *got;

		rig_puts(rig, client, rows[i].request);
		got = rows[i].closes ? rig_expect_end(rig, client, NULL)
				     : rig_expect(rig, client, "}}\n");
		snprintf(status, sizeof(status), "HTTP/1.1 %s ", rows[i].status);
		if (!strstr(got, status) || !strstr(got, rows[i].code) ||
		    !strstr(got, "{\"error\":{\"message\":\""))
			fail_msg("%s: %s", rows[i].text, got);
		assert_has(rig_log_last(rig), rows[i].status);
		close(client);
	}
	assert_nothing_in_flight(rig);
}

static void without_routes_the_answer_is_503(void **state)
{
	RIG(rig);
	int client;

	(void)state;
	rig_start(rig);
	client = rig_client(rig);
	rig_puts(rig, client, rig_chat("gemma"));
	assert_has(rig_expect(rig, client, "}}\n"), "HTTP/1.1 503 ");
	rig_routes(rig, "{'matches':[{'path_type':'PathPrefix','path':'/'}],"
			"'backends':[{'pool':3,'weight':1,'name':'ai/empty'}]}");
	rig_turn(rig, 30);
	rig_puts(rig, client, rig_chat("gemma"));
	assert_has(rig_expect(rig, client, "}}\n"), "the pool has no endpoint");
	close(client);
}

static void with_all_endpoints_down_the_answer_is_503(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig);

	(void)state;
	for (unsigned i = 0; i < RIG_ENDPOINTS; i++)
		rig_health(rig, i, HEALTH_DOWN);
	rig_puts(rig, client, rig_chat("gemma"));
	assert_has(rig_expect(rig, client, "}}\n"), "HTTP/1.1 503 ");
	close(client);
}

static void with_all_endpoints_refusing_the_answer_is_502(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig);

	(void)state;
	for (unsigned i = 0; i < RIG_ENDPOINTS; i++)
		rig_server_stop(rig, i);
	rig_puts(rig, client, rig_chat("gemma"));
	assert_has(rig_expect(rig, client, "}}\n"), "HTTP/1.1 502 ");
	assert_nothing_in_flight(rig);
	close(client);
}

static void a_request_that_takes_too_long_is_504(void **state)
{
	RIG_READY(rig, "{'matches':[{'path_type':'PathPrefix','path':'/'}],"
		       "'request_timeout_ms':200,"
		       "'backends':[{'pool':1,'weight':1,'name':'ai/one'}]}");
	int client = rig_client(rig), server;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	assert_has(rig_expect(rig, client, "}}\n"), "HTTP/1.1 504 ");
	assert_true(rig_is_closed(rig, server));
	assert_nothing_in_flight(rig);
	close(server);
	close(client);
}

static void beyond_the_session_limit_the_answer_is_429(void **state)
{
	RIG(rig);
	int clients[4], extra;

	(void)state;
	rig->options.sessions_max = 4;
	rig_routes(rig, NULL);
	rig_start(rig);
	for (int i = 0; i < 4; i++)
		clients[i] = rig_client(rig);
	rig_turn(rig, 20);
	extra = rig_client(rig);
	rig_puts(rig, extra, rig_chat("gemma"));
	assert_has(rig_expect_end(rig, extra, NULL), "HTTP/1.1 429 ");
	close(extra);
	for (int i = 0; i < 4; i++)
		close(clients[i]);
}

static void when_all_are_busy_only_requests_that_may_wait_are_shed(void **state)
{
	static const char body[] = "{\"model\":\"gemma\"}";
	RIG_READY(rig, NULL);
	int client = rig_client(rig), server;
	char request[512];
	unsigned index;

	(void)state;
	rig->metrics->rows_high = 2; /* another worker has a lot waiting everywhere */
	for (unsigned i = 0; i < RIG_ENDPOINTS; i++)
		rig->maps.inflight[ENDPOINTS_MAX + i].uncached_tokens = 100000;
	snprintf(request, sizeof(request),
		 "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n"
		 "X-Gateway-Inference-Objective: batch\r\n\r\n%s",
		 strlen(body), body);
	rig_puts(rig, client, request);
	assert_has(rig_expect(rig, client, "}}\n"), "HTTP/1.1 429 Too Many Requests\r\n");
	assert_has(rig_log_last(rig), "\"error\":\"shed\"");
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &index);
	rig_puts(rig, server, answer_ok);
	rig_expect(rig, client, "{\"ok\": true}\n");
	close(server);
	close(client);
}

static void a_pool_with_nothing_left_gives_to_the_rules_other_backends(void **state)
{
	RIG_READY(rig, "{'matches':[{'path_type':'PathPrefix','path':'/'}],"
		       "'backends':[{'pool':3,'weight':1000000,'name':'ai/empty'},"
		       "{'pool':2,'weight':1,'name':'ai/two'}]}");
	int client = rig_client(rig), server;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_accept(rig, 1, RIG_WAIT_MS);
	assert_true(server >= 0);
	rig_expect_chat(rig, server);
	rig_puts(rig, server, answer_ok);
	rig_expect(rig, client, "{\"ok\": true}\n");
	assert_has(rig_log_last(rig), "\"pool\":\"ai/two\"");
	close(server);
	close(client);
}

/* ---- bodies ---- */

static void expect_continue_is_answered(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig), server;
	unsigned index;

	(void)state;
	rig_puts(rig, client,
		 "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\n"
		 "Expect: 100-continue\r\n\r\n");
	rig_expect(rig, client, "HTTP/1.1 100 Continue\r\n\r\n");
	rig_puts(rig, client, "{\"model\":\"g\"}");
	server = rig_accept_any(rig, &index);
	assert_has_not(rig_expect(rig, server, "{\"model\":\"g\"}"), "Expect");
	rig_puts(rig, server, answer_ok);
	rig_expect(rig, client, "{\"ok\": true}\n");
	close(server);
	close(client);
}

static void a_large_body_is_kept_whole_for_a_retry(void **state)
{
	RIG(rig);
	size_t length = 3u << 20, head_length;
	char *body = malloc(length + 1);
	char head[256];
	int client, server;
	unsigned first, second;
	const char *got;

	(void)state;
	rig->options.buffers_max = 64; /* 2 MiB: most of it must go to the file */
	rig_routes(rig, NULL);
	rig_start(rig);
	assert_non_null(body);
	for (size_t i = 0; i < length; i++)
		body[i] = (char)('a' + i * 7 % 26);
	memcpy(body, "{\"prompt\":\"", 11);
	memcpy(body + length - 16, "\",\"model\":\"big\"}", 16);
	body[length] = '\0';
	snprintf(head, sizeof(head),
		 "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", length);
	client = rig_client(rig);
	rig_puts(rig, client, head);
	rig_send(rig, client, body, length);
	server = rig_accept_any(rig, &first);
	rig_expect(rig, server, "Content-Length: 3145728\r\n");
	close(server);
	server = rig_accept_any(rig, &second);
	assert_int_not_equal(first, second);
	got = rig_expect(rig, server, "\"model\":\"big\"}");
	head_length = (size_t)(strstr(got, "\r\n\r\n") + 4 - got);
	assert_int_equal(strlen(got + head_length), length);
	assert_memory_equal(got + head_length, body, length);
	rig_puts(rig, server, answer_ok);
	rig_expect(rig, client, "{\"ok\": true}\n");
	assert_int_equal(rig->worker->buffers.free_count, rig->worker->buffers.count);
	free(body);
	close(server);
	close(client);
}

static void a_slow_reader_holds_the_server_back(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig), server, small = 16384;
	size_t length = 24u << 20, sent = 0, got = 0;
	static char block[65536];
	unsigned index;
	bool stalled = false;

	(void)state;
	setsockopt(client, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &index);
	rig_puts(rig, server, "HTTP/1.1 200 OK\r\nContent-Length: 25165824\r\n\r\n");
	for (int idle = 0; sent < length && idle < 100;) {
		ssize_t n = send(server, block,
				 length - sent < sizeof(block) ? length - sent : sizeof(block),
				 MSG_NOSIGNAL);

		idle = n > 0 ? 0 : idle + 1;
		if (n > 0)
			sent += (size_t)n;
		rig_turn(rig, 0);
		stalled |= idle >= 100;
	}
	assert_true(stalled);
	/* at most the outbox is held here */
	assert_true(rig->worker->buffers.count - rig->worker->buffers.free_count <=
		    OUTBOX_BUFFERS_MAX);
	while (got < length) {
		ssize_t n = send(server, block,
				 length - sent < sizeof(block) ? length - sent : sizeof(block),
				 MSG_NOSIGNAL);
		ssize_t m = recv(client, block, sizeof(block), 0);

		if (n > 0)
			sent += (size_t)n;
		if (m > 0)
			got += (size_t)m;
		assert_int_not_equal(m, 0);
		rig_turn(rig, 0);
	}
	rig_turn(rig, 20);
	assert_nothing_in_flight(rig);
	assert_int_equal(rig->worker->buffers.free_count, rig->worker->buffers.count);
	close(server);
	close(client);
}

/* ---- routing and filters ---- */

static void weights_split_between_pools(void **state)
{
	RIG_READY(rig, "{'matches':[{'path_type':'PathPrefix','path':'/'}],"
		       "'backends':[{'pool':1,'weight':9,'name':'ai/one'},"
		       "{'pool':2,'weight':1,'name':'ai/two'}]}");
	int servers[2] = {-1, -1}, client = rig_client(rig);
	int given[2] = {0};

	(void)state;
	for (int i = 0; i < 400; i++) {
		uint64_t before[2];
		int to;

		for (int j = 0; j < 2; j++)
			before[j] = rig->worker->row->endpoints[j].requests;
		rig_puts(rig, client, rig_chat("gemma"));
		while (rig->worker->row->endpoints[0].requests == before[0] &&
		       rig->worker->row->endpoints[1].requests == before[1])
			rig_turn(rig, 0);
		to = rig->worker->row->endpoints[1].requests != before[1];
		given[to]++;
		if (servers[to] < 0)
			servers[to] = rig_accept(rig, (unsigned)to, RIG_WAIT_MS);
		rig_expect_chat(rig, servers[to]);
		rig_puts(rig, servers[to], answer_ok);
		rig_expect(rig, client, "{\"ok\": true}\n");
	}
	assert_in_range(given[1], 16, 72); /* 40 expected, sigma 6 */
	close(servers[0]);
	close(servers[1]);
	close(client);
}

static void filters_rewrite_what_passes(void **state)
{
	RIG_READY(rig,
		  "{'matches':[{'path_type':'PathPrefix','path':'/api'}],"
		  "'filters':{'rewrite_type':'ReplacePrefixMatch','rewrite_path':'/v1',"
		  "'rewrite_host':'inner.test','request_set':[{'name':'X-Set','value':'1'}],"
		  "'request_remove':['x-drop'],'response_add':[{'name':'X-Back','value':'2'}],"
		  "'response_remove':['server']},"
		  "'backends':[{'pool':1,'weight':1,'name':'ai/one'}]},"
		  "{'matches':[{'path_type':'PathPrefix','path':'/old'}],"
		  "'filters':{'redirect_status':302,'redirect_host':'new.test','redirect_port':80},"
		  "'backends':[]}");
	int client = rig_client(rig), server;
	const char *got;

	(void)state;
	rig_puts(rig, client,
		 "GET /api/models?a=b HTTP/1.1\r\nHost: outer.test\r\nX-Drop: 1\r\nx-set: 0\r\n"
		 "X-Gateway-Model-Name: evil\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\n\r\n");
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	got = rig_expect(rig, server, "\r\n\r\n");
	assert_has(got, "GET /v1/models?a=b HTTP/1.1\r\n");
	assert_has(got, "Host: inner.test\r\n");
	assert_has(got, "X-Set: 1\r\n");
	assert_has_not(got, "outer.test");
	assert_has_not(got, "X-Drop");
	assert_has_not(got, "x-set");
	assert_has_not(got, "evil");
	assert_has_not(got, "X-Hop");
	rig_puts(rig, server, "HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 2\r\n\r\nok");
	got = rig_expect(rig, client, "\r\n\r\nok");
	assert_has(got, "X-Back: 2\r\n");
	assert_has_not(got, "Server");
	rig_puts(rig, client, "GET /old/x HTTP/1.1\r\nHost: outer.test\r\n\r\n");
	got = rig_expect(rig, client, "\r\n\r\n");
	assert_has(got, "HTTP/1.1 302 Found\r\n");
	assert_has(got, "Location: http://new.test/old/x\r\n");
	close(server);
	close(client);
}

static void a_bad_snapshot_leaves_the_good_one_in_use(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig), server;
	char path[128];
	unsigned index;
	FILE *file;

	(void)state;
	rig_turn(rig, 10);
	snprintf(path, sizeof(path), "%s/%s", rig->dir, RUN_ROUTES);
	file = fopen(path, "w");
	fputs("{\"version\":1,", file);
	fclose(file);
	rig_turn(rig, 20);
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &index);
	rig_puts(rig, server, answer_ok);
	rig_expect(rig, client, "{\"ok\": true}\n");
	close(server);
	close(client);
}

static void draining_finishes_what_is_under_way(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig), idle = rig_client(rig), silent = rig_client(rig);
	int server, other;
	const char *got;
	unsigned index;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &index);
	worker_drain(rig->worker, false);
	/* its request was on its way */
	rig_puts(rig, idle, rig_chat("gemma"));
	other = rig_accept_any(rig, &index);
	rig_expect_chat(rig, other);
	rig_puts(rig, other, answer_ok);
	assert_has(rig_expect_end(rig, idle, NULL), "{\"ok\": true}\n");
	assert_true(rig_is_closed(rig, silent));
	rig_puts(rig, server, answer_ok);
	got = rig_expect_end(rig, client, NULL);
	assert_has(got, "{\"ok\": true}\n");
	assert_has(got, "Connection: close\r\n");
	close(client);
	close(idle);
	rig_turn(rig, 250);
	assert_true(rig->worker->done);
	close(server);
	close(other);
	close(silent);
}

static void a_drained_worker_answers_once_more_where_it_had_promised_to(void **state)
{
	RIG_READY(rig, NULL);
	int client = rig_client(rig), server;
	const char *got;
	unsigned index;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &index);
	rig_puts(rig, server, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
	got = rig_expect(rig, client, "\r\n\r\nab");
	assert_has_not(got, "Connection: close");
	worker_drain(rig->worker, false);
	rig_puts(rig, server, "cd");
	rig_expect(rig, client, "cd");
	close(server);
	/* the client was told that the connection stays, and uses it at once */
	rig_turn(rig, 100);
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &index);
	rig_puts(rig, server, answer_ok);
	assert_has(rig_expect_end(rig, client, NULL), "Connection: close\r\n");
	close(client);
	rig_turn(rig, 250);
	assert_true(rig->worker->done);
	close(server);
}

static void a_body_that_comes_byte_by_byte_is_not_waited_for_for_ever(void **state)
{
	_cleanup_(rig_freep) struct rig *rig = rig_new();
	int client;

	(void)state;
	rig_routes(rig, NULL);
	rig->options.request_timeout_s = 1;
	rig_start(rig);
	client = rig_client(rig);
	rig_puts(rig, client,
		 "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
	for (int i = 0; i < 15; i++) {
		(void)!write(client, " ", 1);
		rig_turn(rig, 100);
	}
	assert_has(rig_expect_end(rig, client, NULL), "HTTP/1.1 408 ");
	assert_int_equal(rig->worker->row->upstream_connects, 0);
	close(client);
}

static void sessions_fit_into_the_limit_of_open_files(void **state)
{
	_cleanup_(rig_freep) struct rig *rig = rig_new();
	struct rlimit limit, small;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	small = limit;
	small.rlim_cur = 1000;
	rig->options.sessions_max = 4096;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
	rig_routes(rig, NULL);
	rig_start(rig);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	/* of each: the client, the endpoint, and a file for a large body */
	assert_in_range(rig->worker->options.sessions_max, 100, 1000 / 3);
}

static void usage_is_read_as_the_answer_passes(void **state)
{
	RIG_READY(rig, NULL);
	static const char body[] = "{\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":34,"
				   "\"prompt_tokens_details\":{\"cached_tokens\":5}}}";
	int client = rig_client(rig), server;
	char answer[512];
	unsigned index;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &index);
	snprintf(
		answer, sizeof(answer),
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		strlen(body), body);
	rig_puts(rig, server, answer);
	rig_expect(rig, client, "cached_tokens");
	assert_has(rig_log_last(rig), "\"usage\":{\"prompt_tokens\":12,\"cached_tokens\":5,"
				      "\"completion_tokens\":34}");
	close(server);
	close(client);
}

/* ---- counts under fire ---- */

enum { ABORTS = 10000, PLAYERS = 24 };

struct player {
	int client;
	int step;
};

static uint32_t dice(void)
{
	static uint32_t seed = 12345;

	seed = seed * 1664525 + 1013904223;
	return seed >> 8;
}

static void hang_up(int *fd)
{
	struct linger linger = {.l_onoff = dice() % 2};

	if (*fd < 0)
		return;
	setsockopt(*fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(*fd);
	*fd = -1;
}

/* Servers that do anything: answer whole, in part, badly, or hang up. */
static void servers_play(struct rig *rig, int *servers, size_t count)
{
	static const char *const parts[] = {
		answer_ok,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Le",
		"nonsense\r\n\r\n",
		"0\r\n\r\n",
	};

	for (size_t i = 0; i < count; i++) {
		char data[4096];

		if (servers[i] < 0)
			servers[i] = rig_accept(rig, dice() % RIG_ENDPOINTS, 0);
		if (servers[i] < 0)
			continue;
		while (recv(servers[i], data, sizeof(data), 0) > 0)
			;
		if (dice() % 3 == 0) {
			const char *part = parts[dice() % ARRAY_SIZE(parts)];

			send(servers[i], part, strlen(part), MSG_NOSIGNAL);
		}
		if (dice() % 4 == 0)
			hang_up(&servers[i]);
	}
}

static void after_ten_thousand_random_aborts_nothing_is_in_flight(void **state)
{
	RIG(rig);
	struct player players[PLAYERS];
	int servers[PLAYERS];
	int aborts = 0;

	(void)state;
	rig_routes(rig, NULL);
	rig_start(rig);
	for (int i = 0; i < PLAYERS; i++) {
		players[i] = (struct player){.client = -1};
		servers[i] = -1;
	}
	while (aborts < ABORTS) {
		for (int i = 0; i < PLAYERS; i++) {
			struct player *p = &players[i];

			if (p->client < 0) {
				p->client = rig_client(rig);
				p->step = (int)(dice() % 4);
			}
			if (p->step == 1) {
				const char *text = rig_chat("gemma");
				size_t cut = dice() % 3 ? strlen(text) : dice() % strlen(text);

				send(p->client, text, cut, MSG_NOSIGNAL);
			}
			if (p->step-- <= 0 && dice() % 2) {
				hang_up(&p->client);
				aborts++;
			}
		}
		servers_play(rig, servers, PLAYERS);
		assert_int_equal(loop_turn(rig->worker->loop, 0), 0);
	}
	for (int i = 0; i < PLAYERS; i++)
		hang_up(&players[i].client);
	rig_turn(rig, 200);
	assert_nothing_in_flight(rig);
	assert_int_equal(rig->worker->session_count, 0);
	assert_int_equal(rig->worker->row->sessions, 0);
	assert_null(rig->worker->waiting);
	assert_int_equal(rig->worker->buffers.free_count, rig->worker->buffers.count);
	for (int i = 0; i < PLAYERS; i++)
		hang_up(&servers[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_reaches_an_endpoint_and_its_answer_comes_back),
		cmocka_unit_test(both_connections_are_kept_alive),
		cmocka_unit_test(a_stale_connection_is_no_attempt),
		cmocka_unit_test(a_stream_is_passed_on_chunk_by_chunk_as_it_comes),
		cmocka_unit_test(only_a_streams_first_byte_teaches_how_long_a_prefill_takes),
		cmocka_unit_test(a_refused_endpoint_is_replaced),
		cmocka_unit_test(a_reset_before_the_answer_is_retried),
		cmocka_unit_test(a_head_without_a_body_byte_can_still_be_retried),
		cmocka_unit_test(a_503_is_retried_and_passed_on_when_nothing_is_left),
		cmocka_unit_test(health_down_sends_a_waiting_request_elsewhere),
		cmocka_unit_test(health_down_does_not_cut_an_answer_under_way),
		cmocka_unit_test(a_client_that_leaves_closes_the_upstream_at_once),
		cmocka_unit_test(a_client_may_half_close_where_that_is_allowed),
		cmocka_unit_test(a_broken_stream_is_told_in_the_stream_and_never_ends_well),
		cmocka_unit_test(an_answer_of_unknown_length_is_sent_in_chunks),
		cmocka_unit_test(an_old_client_gets_the_plain_body_and_the_end),
		cmocka_unit_test(head_has_no_body_whatever_its_length),
		cmocka_unit_test(pipelined_requests_are_answered_in_order),
		cmocka_unit_test(a_buffer_full_of_refused_requests_is_answered_one_by_one),
		cmocka_unit_test(bad_requests_get_an_error_that_says_why),
		cmocka_unit_test(without_routes_the_answer_is_503),
		cmocka_unit_test(with_all_endpoints_down_the_answer_is_503),
		cmocka_unit_test(with_all_endpoints_refusing_the_answer_is_502),
		cmocka_unit_test(a_request_that_takes_too_long_is_504),
		cmocka_unit_test(beyond_the_session_limit_the_answer_is_429),
		cmocka_unit_test(when_all_are_busy_only_requests_that_may_wait_are_shed),
		cmocka_unit_test(a_pool_with_nothing_left_gives_to_the_rules_other_backends),
		cmocka_unit_test(expect_continue_is_answered),
		cmocka_unit_test(a_large_body_is_kept_whole_for_a_retry),
		cmocka_unit_test(a_slow_reader_holds_the_server_back),
		cmocka_unit_test(weights_split_between_pools),
		cmocka_unit_test(filters_rewrite_what_passes),
		cmocka_unit_test(a_bad_snapshot_leaves_the_good_one_in_use),
		cmocka_unit_test(draining_finishes_what_is_under_way),
		cmocka_unit_test(a_body_that_comes_byte_by_byte_is_not_waited_for_for_ever),
		cmocka_unit_test(sessions_fit_into_the_limit_of_open_files),
		cmocka_unit_test(a_drained_worker_answers_once_more_where_it_had_promised_to),
		cmocka_unit_test(usage_is_read_as_the_answer_passes),
		cmocka_unit_test(after_ten_thousand_random_aborts_nothing_is_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
