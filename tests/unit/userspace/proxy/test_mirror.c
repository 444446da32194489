// SPDX-License-Identifier: BSD-2-Clause
/* Copies of requests through a whole worker: the mirror has what the endpoint has, and
 * the client notices nothing of it, whatever the mirror does. */
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
#include "userspace/proxy/mirror.h"

/* To endpoint 0, with these mirrors. */
#define MIRRORED(mirrors)                                                                          \
	"{'matches':[{'path_type':'PathPrefix','path':'/'}],'filters':{'mirrors':[" mirrors "]},"  \
	"'backends':[{'pool':1,'weight':1,'name':'ai/one'}]}"
#define TO(pool, name, share)                                                                      \
	"{'pool':" #pool ",'name':'" name "','numerator':" #share ",'denominator':100}"
#define MIRROR_ALL MIRRORED(TO(2, "ai/two", 100))
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"

static uint64_t count_of(struct rig *rig, enum mirror_outcome outcome)
{
	return rig->worker->row->mirrors[outcome];
}

/* Turns until a mirror has ended so. */
static void await(struct rig *rig, enum mirror_outcome outcome, uint64_t count)
{
	uint64_t until = clock_monotonic_ns() + 10 * NS_PER_S;

	while (count_of(rig, outcome) < count) {
		if (clock_monotonic_ns() > until)
			fail_msg("no mirror ended as %s", mirror_outcome_name(outcome));
		rig_turn(rig, 1);
	}
	assert_int_equal(count_of(rig, outcome), count);
}

static int server_of(struct rig *rig, unsigned index)
{
	int server = rig_accept(rig, index, RIG_WAIT_MS);

	assert_true(server >= 0);
	return server;
}

static void a_copy_goes_to_the_mirror_and_its_answer_to_nobody(void **state)
{
	RIG_READY(rig, MIRROR_ALL);
	int client = rig_client(rig), server, mirror;
	const char *got;

	(void)state;
	rig_puts(rig, client, rig_chat("food"));
	server = server_of(rig, 0);
	got = rig_expect_chat(rig, server);
	assert_has(got, "{\"model\":\"food\",");
	mirror = server_of(rig, 1);
	got = rig_expect_chat(rig, mirror);
	assert_has(got, "POST /v1/chat/completions HTTP/1.1\r\nHost: api.test\r\n");
	assert_has(got, "X-Gateway-Model-Name: food-1\r\n"); /* as its own pool has it */
	assert_has(got, "{\"model\":\"food-1\",");
	assert_int_equal(inflight_sum(&rig->maps, 1).requests, 1);
	assert_int_equal(inflight_sum(&rig->maps, 1).waiting, 1);
	rig_puts(rig, mirror, ANSWER "no");
	await(rig, MIRROR_ANSWERED, 1);
	assert_int_equal(inflight_sum(&rig->maps, 1).requests, 0);
	assert_int_equal(inflight_sum(&rig->maps, 1).uncached_tokens, 0);
	rig_puts(rig, server, ANSWER "ok");
	assert_has(rig_expect(rig, client, "\r\n\r\nok"), "200 OK");
	got = rig_log_last(rig);
	assert_has(got, "\"mirrored\":[\"ai/two\"]");
	assert_has(got, "\"pool\":\"ai/one\"");
	/* the next copy goes over the same connection */
	rig_puts(rig, client, rig_chat("food"));
	rig_expect_chat(rig, mirror);
	assert_int_equal(rig->worker->row->upstream_reuses, 2);
	close(mirror);
	close(server);
	close(client);
}

/* In memory and in the file; the client's request is over long before. */
static void a_large_copy_arrives_whole_though_its_request_is_over(void **state)
{
	static const size_t lengths[] = {20000, 270000, 700000};
	RIG_READY(rig, MIRROR_ALL);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		const size_t length = lengths[i];
		int client = rig_client(rig), server, mirror;
		char *body = malloc(length + 1), head[128];
		const char *got;

		assert_non_null(body);
		for (size_t k = 0; k < length; k++)
			body[k] = (char)('a' + k * 7 % 26);
		memcpy(body, "{\"model\":\"food\",\"prompt\":\"", 26);
		strcpy(body + length - 2, "\"}");
		snprintf(head, sizeof(head),
			 "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
			 length);
		rig_puts(rig, client, head);
		rig_puts(rig, client, body);
		server = server_of(rig, 0);
		rig_expect(rig, server, body + length - 100);
		rig_puts(rig, server, ANSWER "ok");
		rig_expect(rig, client, "\r\n\r\nok");
		close(client);
		mirror = server_of(rig, 1);
		got = rig_expect(rig, mirror, body + length - 100);
		got = strstr(got, "\r\n\r\n");
		assert_non_null(got);
		assert_int_equal(strlen(got + 4), length + 2);
		assert_string_equal(got + 4 + strlen("{\"model\":\"food-1\""),
				    body + strlen("{\"model\":\"food\""));
		rig_puts(rig, mirror, ANSWER "no");
		await(rig, MIRROR_ANSWERED, i + 1);
		free(body);
		close(mirror);
		close(server);
		rig_turn(rig, 1);
	}
}

/* The mirror says nothing, breaks off, refuses, answers badly, or is not there. */
static void the_client_is_answered_whatever_the_mirror_does(void **state)
{
	static const struct {
		const char *says; /* NULL: closes */
		enum mirror_outcome outcome;
	} cases[] = {
		{NULL, MIRROR_FAILED},
		{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", MIRROR_FAILED},
		{"nonsense\r\n\r\n", MIRROR_FAILED},
		{"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", MIRROR_ERROR_STATUS},
		{"HTTP/1.1 200 OK\r\n\r\nuntil the end", MIRROR_ANSWERED},
		{"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		 MIRROR_ANSWERED},
	};
	RIG_READY(rig, MIRROR_ALL);
	uint64_t ended[MIRROR_COUNT] = {0};
	int client = rig_client(rig), server = -1;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int mirror;

		rig_puts(rig, client, rig_chat("plain"));
		if (server < 0)
			server = server_of(rig, 0);
		rig_expect_chat(rig, server);
		mirror = server_of(rig, 1);
		rig_expect_chat(rig, mirror);
		if (cases[i].says)
			rig_puts(rig, mirror, cases[i].says);
		close(mirror);
		await(rig, cases[i].outcome, ++ended[cases[i].outcome]);
		rig_puts(rig, server, ANSWER "ok");
		rig_expect(rig, client, "\r\n\r\nok");
		assert_int_equal(rig_inflight(rig).requests, 0);
	}
	rig_server_stop(rig, 1);
	rig_puts(rig, client, rig_chat("plain"));
	rig_expect_chat(rig, server);
	await(rig, MIRROR_FAILED, ++ended[MIRROR_FAILED]);
	rig_puts(rig, server, ANSWER "ok");
	rig_expect(rig, client, "\r\n\r\nok");
	close(server);
	close(client);
}

static void a_mirror_that_takes_longer_than_its_request_may_is_given_up(void **state)
{
	_cleanup_(rig_freep) struct rig *rig = rig_new();
	int client, server, mirror;

	(void)state;
	rig->options.request_timeout_s = 1;
	rig_routes(rig, MIRROR_ALL);
	rig_start(rig);
	client = rig_client(rig);
	rig_puts(rig, client, rig_chat("plain"));
	server = server_of(rig, 0);
	rig_expect_chat(rig, server);
	rig_puts(rig, server, ANSWER "ok");
	rig_expect(rig, client, "\r\n\r\nok");
	mirror = server_of(rig, 1);
	rig_puts(rig, mirror, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx");
	await(rig, MIRROR_TIMEOUT, 1);
	assert_true(rig_is_closed(rig, mirror));
	assert_int_equal(rig_inflight(rig).requests, 0);
	close(mirror);
	close(server);
	close(client);
}

static void mirrors_over_the_limit_are_dropped_and_counted(void **state)
{
	_cleanup_(rig_freep) struct rig *rig = rig_new();
	int clients[3], mirrors[2];

	(void)state;
	rig->options.mirrors_max = 2;
	rig_routes(rig, MIRROR_ALL);
	rig_start(rig);
	for (size_t i = 0; i < 3; i++) {
		int server;

		clients[i] = rig_client(rig);
		rig_puts(rig, clients[i], rig_chat("plain"));
		server = server_of(rig, 0);
		rig_expect_chat(rig, server);
		rig_puts(rig, server,
			 "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
		rig_expect(rig, clients[i], "\r\n\r\nok");
		close(server);
		if (i < 2)
			mirrors[i] = server_of(rig, 1);
	}
	assert_int_equal(count_of(rig, MIRROR_OVER_LIMIT), 1);
	assert_has_not(rig_log_last(rig), "mirrored");
	rig_puts(rig, mirrors[0], ANSWER "no"); /* a place is free again */
	await(rig, MIRROR_ANSWERED, 1);
	rig_puts(rig, clients[0], rig_chat("plain"));
	rig_expect_chat(rig, mirrors[0]);
	assert_int_equal(count_of(rig, MIRROR_OVER_LIMIT), 1);
	for (size_t i = 0; i < 3; i++)
		close(clients[i]);
	close(mirrors[0]);
	close(mirrors[1]);
}

static void a_share_is_mirrored_to_each_mirror_by_itself(void **state)
{
	RIG_READY(rig, MIRRORED(TO(2, "ai/two", 25) "," TO(4, "ai/three", 100) "," TO(
			       2, "ai/two", 0) "," TO(3, "ai/empty", 100)));
	int client = rig_client(rig), server = -1;
	uint64_t two;

	(void)state;
	rig_server_stop(rig, 1);
	rig_server_stop(rig, 2);
	for (int i = 0; i < 200; i++) {
		rig_puts(rig, client, rig_chat("plain"));
		if (server < 0)
			server = server_of(rig, 0);
		rig_expect_chat(rig, server);
		rig_puts(rig, server, ANSWER "ok");
		rig_expect(rig, client, "\r\n\r\nok");
	}
	assert_int_equal(count_of(rig, MIRROR_NO_ENDPOINT), 200);
	two = count_of(rig, MIRROR_FAILED) - 200; /* all that went to the third failed too */
	assert_in_range(two, 20, 90);
	close(server);
	close(client);
}

static void what_cannot_be_said_in_the_mirrors_pool_is_not_mirrored(void **state)
{
	static const char body[] = "\0\0\0\0\6\n\4food";
	RIG_READY(rig, MIRROR_ALL);
	int client = rig_client(rig), server;
	char head[256];

	(void)state;
	snprintf(head, sizeof(head),
		 "POST /inference.GRPCInferenceService/ModelInfer HTTP/1.1\r\nHost: a\r\n"
		 "Content-Type: application/grpc\r\nContent-Length: %zu\r\n\r\n",
		 sizeof(body) - 1);
	rig_puts(rig, client, head);
	rig_send(rig, client, body, sizeof(body) - 1);
	server = server_of(rig, 0);
	rig_puts(rig, server, ANSWER "ok");
	rig_expect(rig, client, "\r\n\r\nok");
	assert_int_equal(count_of(rig, MIRROR_CANNOT_SAY), 1);
	close(server);
	close(client);
}

/* The kept connection was closed by the server in the moment it was used again. */
static void a_stale_connection_costs_no_mirror(void **state)
{
	RIG_READY(rig, MIRROR_ALL);
	int client = rig_client(rig), server, mirror;

	(void)state;
	rig_puts(rig, client, rig_chat("plain"));
	server = server_of(rig, 0);
	rig_expect_chat(rig, server);
	mirror = server_of(rig, 1);
	rig_expect_chat(rig, mirror);
	rig_puts(rig, mirror, ANSWER "no");
	await(rig, MIRROR_ANSWERED, 1);
	rig_puts(rig, server, ANSWER "ok");
	rig_expect(rig, client, "\r\n\r\nok");
	rig_puts(rig, client, rig_chat("plain"));
	rig_expect_chat(rig, mirror);
	close(mirror);
	mirror = server_of(rig, 1);
	rig_expect_chat(rig, mirror);
	rig_puts(rig, mirror, ANSWER "no");
	await(rig, MIRROR_ANSWERED, 2);
	assert_int_equal(count_of(rig, MIRROR_FAILED), 0);
	close(mirror);
	close(server);
	close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_goes_to_the_mirror_and_its_answer_to_nobody),
		cmocka_unit_test(a_large_copy_arrives_whole_though_its_request_is_over),
		cmocka_unit_test(the_client_is_answered_whatever_the_mirror_does),
		cmocka_unit_test(a_mirror_that_takes_longer_than_its_request_may_is_given_up),
		cmocka_unit_test(mirrors_over_the_limit_are_dropped_and_counted),
		cmocka_unit_test(a_share_is_mirrored_to_each_mirror_by_itself),
		cmocka_unit_test(what_cannot_be_said_in_the_mirrors_pool_is_not_mirrored),
		cmocka_unit_test(a_stale_connection_costs_no_mirror),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
