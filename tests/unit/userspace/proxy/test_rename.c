// SPDX-License-Identifier: BSD-2-Clause
/* A pool that knows the model by another name, through a whole worker: the server is
 * asked by its own name and the client answered by the one it said, in every framing
 * and however the answer is cut. */
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

#define TO_TWO                                                                                     \
	"{'matches':[{'path_type':'PathPrefix','path':'/'}],"                                      \
	"'backends':[{'pool':2,'weight':1,'name':'ai/two'}]}"
#define TO_TWO_THEN_THREE                                                                          \
	"{'matches':[{'path_type':'PathPrefix','path':'/'}],"                                      \
	"'backends':[{'pool':2,'weight':1000000,'name':'ai/two'},"                                 \
	"{'pool':4,'weight':1,'name':'ai/three'}]}"
#define JSON_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define SSE_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
#define TEXT "\\\"model\\\":\\\"food-1\\\""
#define EVENT(name) "data: {\"model\":\"" name "\",\"text\":\"" TEXT "\"}\n\n"

/* Asks for the model food; the server's connection. */
static int ask(struct rig *rig, int client)
{
	int server;

	rig_puts(rig, client, rig_chat("food"));
	server = rig_accept(rig, 1, RIG_WAIT_MS);
	assert_true(server >= 0);
	return server;
}

/* The payload of a chunked answer that was received whole. */
static void unchunk(const char *answer, char *to, size_t room)
{
	const char *p = strstr(answer, "\r\n\r\n");
	size_t at = 0;

	assert_non_null(p);
	for (p += 4;;) {
		char *end;
		size_t length = strtoul(p, &end, 16);

		assert_memory_equal(end, "\r\n", 2);
		if (!length)
			break;
		assert_true(at + length < room && strlen(end) >= length + 4);
		memcpy(to + at, end + 2, length);
		at += length;
		p = end + 2 + length;
		assert_memory_equal(p, "\r\n", 2);
		p += 2;
	}
	to[at] = '\0';
}

static void the_server_is_asked_by_its_own_name_and_the_client_answered_by_its(void **state)
{
	static const char body[] = "{\"id\":\"1\",\"model\":\"food-1\",\"text\":\"" TEXT "\"}";
	RIG_READY(rig, TO_TWO);
	int client = rig_client(rig), server;
	char text[256];
	const char *got;

	(void)state;
	server = ask(rig, client);
	got = rig_expect_chat(rig, server);
	assert_has(got, "{\"model\":\"food-1\",\"messages\"");
	assert_has(got, "X-Gateway-Model-Name: food-1\r\n");
	snprintf(text, sizeof(text), "Content-Length: %zu\r\n",
		 strlen(strstr(got, "\r\n\r\n") + 4));
	assert_has(got, text);
	/* head, begin and end each by themselves: the length is counted all the same */
	snprintf(text, sizeof(text), JSON_HEAD "Content-Length: %zu\r\n\r\n", strlen(body));
	rig_puts(rig, server, text);
	rig_send(rig, server, body, 20);
	assert_true(rig_is_silent(rig, client, 20));
	rig_puts(rig, server, body + 20);
	got = rig_expect(rig, client, TEXT "\"}");
	assert_has(got, "\r\n\r\n{\"id\":\"1\",\"model\":\"food\",\"text\":\"" TEXT "\"}");
	snprintf(text, sizeof(text), "Content-Length: %zu\r\n", strlen(body) - 2);
	assert_has(got, text);
	assert_has_not(got, "chunked");
	got = rig_log_last(rig);
	assert_has(got, "\"model\":\"food\",\"served_model\":\"food-1\"");
	assert_has(got, "\"status\":200");
	close(server);
	close(client);
}

/* Every length of the pieces, each in a chunk and a write of its own. */
static void a_stream_gets_the_clients_name_however_it_is_cut(void **state)
{
	static const char stream[] =
		EVENT("food-1") "event: x\ndata: {\"response\":{\"model\":"
				"\"food-1\"}}\n\n" EVENT("f\\\"1") "data: [DONE]\n\n";
	static const char want[] = EVENT("food") "event: x\ndata: {\"response\":{\"model\":"
						 "\"food\"}}\n\n" EVENT("food") "data: [DONE]\n\n";
	RIG_READY(rig, TO_TWO);
	int client = rig_client(rig), server = -1;
	char text[256], payload[1024];

	(void)state;
	for (size_t step = 1; step < 40; step++) {
		rig_puts(rig, client, rig_chat("food"));
		if (server < 0)
			server = rig_accept(rig, 1, RIG_WAIT_MS);
		rig_expect_chat(rig, server);
		rig_puts(rig, server, SSE_HEAD "Transfer-Encoding: chunked\r\n\r\n");
		for (size_t i = 0; i < strlen(stream); i += step) {
			size_t n = strlen(stream) - i < step ? strlen(stream) - i : step;

			snprintf(text, sizeof(text), "%zx\r\n%.*s\r\n", n, (int)n, stream + i);
			rig_puts(rig, server, text);
		}
		rig_puts(rig, server, "0\r\n\r\n");
		unchunk(rig_expect(rig, client, "0\r\n\r\n"), payload, sizeof(payload));
		assert_string_equal(payload, want);
	}
	close(server);
	close(client);
}

static void an_event_goes_on_as_soon_as_it_is_there(void **state)
{
	RIG_READY(rig, TO_TWO);
	int client = rig_client(rig), server;

	(void)state;
	server = ask(rig, client);
	rig_expect_chat(rig, server);
	rig_puts(rig, server,
		 SSE_HEAD "Transfer-Encoding: chunked\r\n\r\n" /* a chunk that ends in the name */
			  "14\r\ndata: {\"model\":\"food\r\n");
	rig_expect(rig, client, "data: {\"model\":\"food\"\r\n");
	rig_puts(rig, server, "c\r\n-1\",\"n\":1}\n\n\r\n");
	rig_expect(rig, client, ",\"n\":1}\n\n\r\n");
	close(server); /* cut: it is told inside the stream */
	assert_has(rig_expect_end(rig, client, NULL), "event: error\ndata: ");
	close(client);
}

static void an_old_client_gets_it_until_the_end_of_the_connection(void **state)
{
	static const char body[] = "{\"model\":\"food\"}";
	RIG_READY(rig, TO_TWO);
	int client = rig_client(rig), server;
	char text[256];

	(void)state;
	snprintf(text, sizeof(text),
		 "POST /v1/completions HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
		 body);
	rig_puts(rig, client, text);
	server = rig_accept(rig, 1, RIG_WAIT_MS);
	rig_expect(rig, server, "food-1\"}");
	rig_puts(rig, server,
		 SSE_HEAD "Transfer-Encoding: chunked\r\n\r\n8\r\ndata: {\"\r\n"
			  "15\r\nmodel\":\"food-1\",\"x\":1\r\n3\r\n}\n\n\r\n0\r\n\r\n");
	assert_has(rig_expect_end(rig, client, NULL),
		   "\r\n\r\ndata: {\"model\":\"food\",\"x\":1}\n\n");
	close(server);
	close(client);
}

/* More than is awaited to be counted. */
static void a_long_answer_comes_in_chunks_of_ours(void **state)
{
	const size_t length = 200000;
	RIG_READY(rig, TO_TWO);
	int client = rig_client(rig), server;
	char *body = malloc(length + 1), *payload = malloc(length + 1), head[256];

	(void)state;
	assert_true(body && payload);
	memset(body, 'x', length);
	memcpy(body, "{\"text\":\"", 9);
	memcpy(body + length - 19, "\",\"model\":\"food-1\"}", 19);
	body[length] = '\0';
	server = ask(rig, client);
	rig_expect_chat(rig, server);
	snprintf(head, sizeof(head), JSON_HEAD "Content-Length: %zu\r\n\r\n", length);
	rig_puts(rig, server, head);
	rig_puts(rig, server, body);
	unchunk(rig_expect(rig, client, "\r\n0\r\n\r\n"), payload, length);
	assert_int_equal(strlen(payload), length - 2);
	assert_memory_equal(payload, body, length - 19);
	assert_string_equal(payload + length - 19, "\",\"model\":\"food\"}");
	free(body);
	free(payload);
	close(server);
	close(client);
}

static void a_large_body_is_renamed_where_it_lies(void **state)
{
	const size_t length = 700000; /* most of it in the file, and the name behind it */
	RIG_READY(rig, TO_TWO);
	int client = rig_client(rig), server;
	char *body = malloc(length + 1), head[128];
	const char *got;

	(void)state;
	assert_non_null(body);
	memset(body, 'x', length);
	memcpy(body, "{\"prompt\":\"", 11);
	strcpy(body + length - 17, "\",\"model\":\"food\"}");
	snprintf(head, sizeof(head),
		 "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", length);
	rig_puts(rig, client, head);
	rig_puts(rig, client, body);
	server = rig_accept(rig, 1, RIG_WAIT_MS);
	assert_true(server >= 0);
	got = rig_expect(rig, server, "\",\"model\":\"food-1\"}");
	snprintf(head, sizeof(head), "Content-Length: %zu\r\n", length + 2);
	assert_has(got, head);
	assert_int_equal(strlen(strstr(got, "\r\n\r\n") + 4), length + 2);
	free(body);
	close(server);
	close(client);
}

static void a_path_says_the_other_name_and_its_answer_the_clients(void **state)
{
	RIG_READY(rig, TO_TWO);
	int client = rig_client(rig), server;
	const char *got;

	(void)state;
	rig_puts(rig, client,
		 "POST /v2/models/food/infer?a=food HTTP/1.1\r\nHost: a\r\n"
		 "Accept-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}");
	server = rig_accept(rig, 1, RIG_WAIT_MS);
	assert_true(server >= 0);
	got = rig_expect(rig, server, "\r\n\r\n{}");
	assert_has(got, "POST /v2/models/food-1/infer?a=food HTTP/1.1\r\n");
	assert_has_not(got, "gzip"); /* what is compressed cannot be looked into */
	rig_puts(rig, server, JSON_HEAD "Content-Length: 18\r\n\r\n{\"model\":\"food-1\"}");
	rig_expect(rig, client, "Content-Length: 16\r\n");
	assert_has(rig_log_last(rig), "\"served_model\":\"food-1\"");
	close(server);
	close(client);
}

static void answers_of_other_kinds_pass_as_they_are(void **state)
{
	static const char *const heads[] = {
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n",
		JSON_HEAD "Content-Encoding: gzip\r\n",
	};
	RIG_READY(rig, TO_TWO);
	int client = rig_client(rig), server = -1;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		rig_puts(rig, client, rig_chat("food"));
		if (server < 0)
			server = rig_accept(rig, 1, RIG_WAIT_MS);
		rig_expect_chat(rig, server);
		rig_puts(rig, server, heads[i]);
		rig_puts(rig, server, "Content-Length: 18\r\n\r\n{\"model\":\"food-1\"}");
		assert_has(rig_expect(rig, client, "{\"model\":\"food-1\"}"),
			   "Content-Length: 18\r\n");
	}
	rig_puts(rig, client, rig_chat("plain")); /* a model that no rule names */
	assert_has(rig_expect_chat(rig, server), "{\"model\":\"plain\"");
	rig_puts(rig, server, JSON_HEAD "Content-Length: 18\r\n\r\n{\"model\":\"food-1\"}");
	rig_expect(rig, client, "{\"model\":\"food-1\"}");
	assert_has_not(rig_log_last(rig), "served_model");
	close(server);
	close(client);
}

static void a_request_that_cannot_say_the_name_is_refused(void **state)
{
	static const struct {
		const char *path, *type, *body, *why;
		size_t length;
	} cases[] = {
#define CASE(path, type, body, why) {path, type, body, why, sizeof(body) - 1}
		CASE("/inference.GRPCInferenceService/ModelInfer", "application/grpc",
		     "\0\0\0\0\6\n\4food", "in a gRPC message"),
		CASE("/v1/audio/transcriptions", "multipart/form-data; boundary=b",
		     "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ndashed\r\n--b--\r\n",
		     "which this body cannot say"),
	};
	RIG_READY(rig, TO_TWO);
	char head[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int client = rig_client(rig);

		snprintf(
			head, sizeof(head),
			"POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
			cases[i].path, cases[i].type, cases[i].length);
		rig_puts(rig, client, head);
		rig_send(rig, client, cases[i].body, cases[i].length);
		assert_has(rig_expect(rig, client, cases[i].why), "HTTP/1.1 501 ");
		close(client);
	}
}

static void the_next_pool_has_its_own_name_for_it(void **state)
{
	RIG_READY(rig, TO_TWO_THEN_THREE);
	int client = rig_client(rig), server;
	const char *got;

	(void)state;
	rig_server_stop(rig, 1);
	rig_puts(rig, client, rig_chat("food"));
	server = rig_accept(rig, 2, RIG_WAIT_MS);
	assert_true(server >= 0);
	got = rig_expect_chat(rig, server);
	assert_has(got, "{\"model\":\"lora\",");
	assert_has(got, "X-Gateway-Model-Name: lora\r\n");
	assert_has(got, "X-Gateway-Base-Model-Name: gemma\r\n");
	rig_puts(rig, server, JSON_HEAD "Content-Length: 16\r\n\r\n{\"model\":\"lora\"}");
	rig_expect(rig, client, "{\"model\":\"food\"}");
	close(server);
	close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_server_is_asked_by_its_own_name_and_the_client_answered_by_its),
		cmocka_unit_test(a_stream_gets_the_clients_name_however_it_is_cut),
		cmocka_unit_test(an_event_goes_on_as_soon_as_it_is_there),
		cmocka_unit_test(an_old_client_gets_it_until_the_end_of_the_connection),
		cmocka_unit_test(a_long_answer_comes_in_chunks_of_ours),
		cmocka_unit_test(a_large_body_is_renamed_where_it_lies),
		cmocka_unit_test(a_path_says_the_other_name_and_its_answer_the_clients),
		cmocka_unit_test(answers_of_other_kinds_pass_as_they_are),
		cmocka_unit_test(a_request_that_cannot_say_the_name_is_refused),
		cmocka_unit_test(the_next_pool_has_its_own_name_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
