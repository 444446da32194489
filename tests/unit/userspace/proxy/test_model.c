// SPDX-License-Identifier: BSD-2-Clause
/* Requests are routed by their model wherever the API has it, through a whole
 * worker: the server at endpoint 0 has the model, and nothing else is routed. */
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

#define TO_GEMMA                                                                                   \
	"{'matches':[{'path_type':'PathPrefix','path':'/','headers':[{'type':'Exact',"             \
	"'name':'x-gateway-model-name','value':'gemma'}]}],"                                       \
	"'backends':[{'pool':1,'weight':1,'name':'ai/one'}]}"
#define TO_GEMMA_REWRITTEN                                                                         \
	"{'matches':[{'path_type':'PathPrefix','path':'/','headers':[{'type':'Exact',"             \
	"'name':'x-gateway-model-name','value':'gemma'}]}],"                                       \
	"'filters':{'rewrite_type':'ReplaceFullPath','rewrite_path':'/v1/chat/completions'},"      \
	"'backends':[{'pool':1,'weight':1,'name':'ai/one'}]}"

#define FORM "Content-Type: multipart/form-data; boundary=b\r\n"
#define JSON "Content-Type: application/json\r\n"
#define GRPC "Content-Type: application/grpc\r\n"
#define MODEL(value) "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n" value "\r\n"
#define AUDIO "/v1/audio/transcriptions"

/* The body comes byte by byte. */
static void ask(struct rig *rig, int client, const char *path, const char *headers,
		const char *body, size_t length)
{
	char head[512];

	snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: a\r\n%sContent-Length: %zu\r\n\r\n",
		 path, headers, length);
	rig_puts(rig, client, head);
	for (size_t i = 0; i < length; i++)
		rig_send(rig, client, body + i, 1);
}

static void requests_are_routed_by_the_model_wherever_it_is(void **state)
{
	static const struct {
		const char *path, *headers, *body;
		size_t length;
	} cases[] = {
#define CASE(path, headers, body) {path, headers, body, sizeof(body) - 1}
		CASE("/v1/chat/completions", JSON, "{\"model\":\"gemma\"}"),
		CASE("/v2/models/gemma/versions/3/infer", JSON, "{\"model\":\"other\"}"),
		CASE("/v1/models/gemma:predict", "", "\x01"),
		CASE("/openai/deployments/g%65mma/chat/completions?api-version=1", JSON, "{}"),
		CASE(AUDIO, FORM, MODEL("gemma") "--b--\r\n"),
		CASE("/inference.GRPCInferenceService/ModelInfer", GRPC, "\0\0\0\0\7\n\5gemma"),
	};
	RIG_READY(rig, TO_GEMMA);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int client = rig_client(rig), server;
		unsigned index;

		ask(rig, client, cases[i].path, cases[i].headers, cases[i].body, cases[i].length);
		server = rig_accept_any(rig, &index);
		if (server < 0)
			fail_msg("%s went to no server", cases[i].path);
		rig_expect(rig, server, "\r\n\r\n");
		rig_puts(rig, server,
			 "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
		rig_expect(rig, client, "\r\n\r\nok");
		if (!strstr(rig_log_last(rig), "\"model\":\"gemma\""))
			fail_msg("%s: %s", cases[i].path, rig_log_last(rig));
		close(server);
		close(client);
	}
}

static void what_names_no_clear_model_is_refused_in_a_sentence(void **state)
{
	static const struct {
		const char *path, *headers, *body, *status, *says;
	} cases[] = {
		{AUDIO, FORM, MODEL("gemma") MODEL("other") "--b--\r\n", "400",
		 "the form has more than one part \\\"model\\\""},
		{AUDIO, FORM, "--b--\r\n", "400", "the form has no field \\\"model\\\""},
		{AUDIO, "", MODEL("gemma") "--b--\r\n", "400", "\"code\":\"no_boundary\""},
		{AUDIO, FORM, MODEL("other") "--b--\r\n", "404", "'other' is not served here"},
		{"/v2/models/other/infer", "", "x", "404", "'other' is not served here"},
		{"/v2/models/gemma%2Fversions%2F1/infer", "", "x", "400", "different ways"},
		{"/v2/repository/models/gemma/load", "", "x", "404", "not served to clients"},
		{"/inference.GRPCInferenceService/ModelInfer", GRPC, "\1xxxx", "400",
		 "\"code\":\"encoded\""},
		{"/v1/chat/completions", JSON "Content-Encoding: gzip\r\n", "x", "400",
		 "\"code\":\"encoded\""},
	};
	RIG_READY(rig, TO_GEMMA);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int client = rig_client(rig);
		const char *got;

		ask(rig, client, cases[i].path, cases[i].headers, cases[i].body,
		    strlen(cases[i].body));
		got = rig_expect(rig, client, "}}\n");
		if (strncmp(got + 9, cases[i].status, 3) || !strstr(got, cases[i].says))
			fail_msg("%s: %s", cases[i].path, got);
		close(client);
	}
	assert_int_equal(rig->worker->row->upstream_connects, 0);
}

/* The path's model was judged; the server would serve the body's. */
static void a_rewrite_does_not_change_which_model_counts(void **state)
{
	RIG_READY(rig, TO_GEMMA_REWRITTEN);
	int client = rig_client(rig), server;
	unsigned index;
	const char *got;

	(void)state;
	ask(rig, client, "/openai/deployments/gemma/chat/completions", JSON,
	    "{\"model\":\"other\"}", 17);
	got = rig_expect(rig, client, "}}\n");
	assert_non_null(strstr(got, "HTTP/1.1 404 "));
	assert_non_null(strstr(got, "which was not looked into"));
	assert_int_equal(rig->worker->row->upstream_connects, 0);
	close(client);
	client = rig_client(rig);
	ask(rig, client, "/team/v1/chat/completions", JSON, "{\"model\":\"gemma\"}", 17);
	server = rig_accept_any(rig, &index);
	assert_true(server >= 0);
	rig_expect(rig, server, "POST /v1/chat/completions HTTP/1.1\r\n");
	close(server);
	close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_routed_by_the_model_wherever_it_is),
		cmocka_unit_test(what_names_no_clear_model_is_refused_in_a_sentence),
		cmocka_unit_test(a_rewrite_does_not_change_which_model_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
