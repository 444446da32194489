// SPDX-License-Identifier: BSD-2-Clause
/* CORS: which headers a policy gives, then through a whole worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/harness/proxy_rig.h"
#include "userspace/proxy/cors.h"

static struct http_head request, answer;
static char out[4096];

static void parse(enum http_kind kind, const char *text, struct http_head *head)
{
	struct http_parser parser;
	size_t length;

	http_parser_init(&parser, kind);
	assert_int_equal(http_parser_head(&parser, text, strlen(text), head, &length),
			 HTTP_PARSE_COMPLETE);
}

/* The lines for a request with these headers ("A: b\r\n"). */
static const char *answer_lines(const struct snapshot_cors *cors, const char *headers,
				const char *answer_headers)
{
	struct text text = TEXT_INIT(out);
	static char head[1024];
	char of_answer[1024];

	snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n", headers);
	parse(HTTP_REQUEST_MESSAGE, head, &request);
	snprintf(of_answer, sizeof(of_answer), "HTTP/1.1 200 OK\r\n%s\r\n", answer_headers);
	parse(HTTP_RESPONSE_MESSAGE, of_answer, &answer);
	text_init(&text, out, sizeof(out));
	cors_format_answer(cors, &request, &answer, &text);
	return out;
}

static const char *preflight_lines(const struct snapshot_cors *cors, const char *headers)
{
	struct text text;
	static char head[1024];

	snprintf(head, sizeof(head), "OPTIONS / HTTP/1.1\r\nHost: a\r\n%s\r\n", headers);
	parse(HTTP_REQUEST_MESSAGE, head, &request);
	text_init(&text, out, sizeof(out));
	cors_format_preflight(cors, &request, &text);
	return out;
}

static void origins_match_by_scheme_host_and_port(void **state)
{
	static const struct {
		const char *allowed, *origin;
		bool matches;
	} cases[] = {
		{"https://a.test", "https://a.test", true},
		{"https://a.test", "HTTPS://A.Test", true},
		{"https://a.test", "https://a.test:443", true},
		{"https://a.test", "https://a.test:8443", false},
		{"https://a.test", "http://a.test", false},
		{"https://a.test", "https://b.a.test", false},
		{"https://a.test", "https://a.test.evil", false},
		{"http://a.test", "http://a.test:80", true},
		{"http://a.test:443", "http://a.test:443", true},
		{"https://*.a.test", "https://b.a.test", true},
		{"https://*.a.test", "https://c.b.a.test", true},
		{"https://*.a.test", "https://a.test", false},
		{"https://*.a.test", "https://.a.test", false},
		{"https://*.a.test", "https://evila.test", false},
		{"https://*.a.test", "https://b.a.test:8443", false},
		{"https://*.a.test:8443", "https://b.a.test:8443", true},
		{"https://*", "https://any.test", true},
		{"https://*", "https://any.test:8443", false},
		{"https://*:8443", "https://any.test:8443", true},
		{"https://*", "http://any.test", false},
		{"https://*", "https://[2001:db8::1]", true},
		{"https://*", "https://[2001:db8::1]:8443", false},
		{"https://*", "https://evil/.test", false},
		{"https://*", "null", false},
		{"*", "null", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *origins[] = {cases[i].allowed};
		const struct snapshot_cors cors = {
			.origin_count = 1, .origins = origins, .credentials = true};
		char header[128];
		const char *got;

		snprintf(header, sizeof(header), "Origin: %s\r\n", cases[i].origin);
		got = answer_lines(&cors, header, "");
		if (!strstr(got, "Access-Control-Allow-Origin") == cases[i].matches)
			fail_msg("%s, %s: %s", cases[i].allowed, cases[i].origin, got);
	}
}

static void an_answer_says_who_may_have_it_and_what_of_it(void **state)
{
	const char *origins[] = {"https://b.test", "https://a.test"}, *expose[] = {"X-Id", "X-B"};
	const struct snapshot_cors cors = {
		.origin_count = 2, .origins = origins, .expose_count = 2, .expose = expose};

	(void)state;
	assert_string_equal(answer_lines(&cors, "Origin: https://a.test\r\n", ""),
			    "Vary: Origin\r\nAccess-Control-Allow-Origin: https://a.test\r\n"
			    "Access-Control-Expose-Headers: X-Id, X-B\r\n");
	/* caches must know of it too where nothing is allowed */
	assert_string_equal(answer_lines(&cors, "Origin: https://c.test\r\n", ""),
			    "Vary: Origin\r\n");
	assert_string_equal(answer_lines(&cors, "", ""), "Vary: Origin\r\n");
	assert_string_equal(answer_lines(&cors,
					 "Origin: https://a.test\r\n"
					 "Origin: https://a.test\r\n",
					 ""),
			    "Vary: Origin\r\n");
	assert_string_equal(answer_lines(&cors, "", "Vary: accept, origin\r\n"), "");
	assert_string_equal(answer_lines(&cors, "", "Vary: accept\r\n"), "Vary: Origin\r\n");
}

static void a_star_is_said_only_where_no_credentials_go(void **state)
{
	const char *star[] = {"*"};
	struct snapshot_cors cors = {.origin_count = 1,
				     .origins = star,
				     .method_count = 1,
				     .methods = star,
				     .header_count = 1,
				     .headers = star,
				     .expose_count = 1,
				     .expose = star,
				     .max_age_s = 5};
	static const char asks[] =
		"Origin: https://a.test\r\nAccess-Control-Request-Method: PUT\r\n";
	static const char asks_more[] =
		"Origin: https://a.test\r\nAccess-Control-Request-Method: PUT\r\n"
		"Access-Control-Request-Headers: authorization,x-a\r\n";

	(void)state;
	assert_string_equal(answer_lines(&cors, asks, "X-Id: 1\r\n"),
			    "Access-Control-Allow-Origin: *\r\n"
			    "Access-Control-Expose-Headers: *\r\n");
	assert_string_equal(preflight_lines(&cors, asks), "Access-Control-Allow-Origin: *\r\n"
							  "Access-Control-Allow-Methods: PUT\r\n"
							  "Access-Control-Allow-Headers: *\r\n"
							  "Access-Control-Max-Age: 5\r\n");
	cors.credentials = true;
	assert_string_equal(answer_lines(&cors, asks,
					 "X-Id: 1\r\nAccess-Control-Allow-Origin: x\r\nX-B: 2\r\n"),
			    "Vary: Origin\r\nAccess-Control-Allow-Origin: https://a.test\r\n"
			    "Access-Control-Allow-Credentials: true\r\n"
			    "Access-Control-Expose-Headers: X-Id, X-B\r\n");
	assert_string_equal(preflight_lines(&cors, asks),
			    "Vary: Origin\r\nAccess-Control-Allow-Origin: https://a.test\r\n"
			    "Access-Control-Allow-Credentials: true\r\n"
			    "Access-Control-Allow-Methods: PUT\r\n"
			    "Access-Control-Max-Age: 5\r\n");
	assert_string_equal(preflight_lines(&cors, asks_more),
			    "Vary: Origin\r\nAccess-Control-Allow-Origin: https://a.test\r\n"
			    "Access-Control-Allow-Credentials: true\r\n"
			    "Access-Control-Allow-Methods: PUT\r\n"
			    "Access-Control-Allow-Headers: authorization,x-a\r\n"
			    "Access-Control-Max-Age: 5\r\n");
	/* what is said back is a list of names, or nothing */
	assert_null(strstr(preflight_lines(&cors, "Origin: https://a.test\r\n"
						  "Access-Control-Request-Method: PUT\r\n"
						  "Access-Control-Request-Headers: a;b\r\n"),
			   "Allow-Headers"));
}

static void only_options_with_origin_and_method_is_a_preflight(void **state)
{
	static const struct {
		const char *head;
		const char *method; /* "": none */
	} cases[] = {
		{"OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: https://a.test\r\n"
		 "Access-Control-Request-Method: DELETE\r\n\r\n",
		 "DELETE"},
		{"POST / HTTP/1.1\r\nHost: a\r\nOrigin: https://a.test\r\n"
		 "Access-Control-Request-Method: DELETE\r\n\r\n",
		 ""},
		{"OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: https://a.test\r\n\r\n", ""},
		{"OPTIONS / HTTP/1.1\r\nHost: a\r\nAccess-Control-Request-Method: PUT\r\n\r\n", ""},
		{"OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: https://a.test\r\n"
		 "Access-Control-Request-Method: P T\r\n\r\n",
		 ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct http_span method;

		parse(HTTP_REQUEST_MESSAGE, cases[i].head, &request);
		method = cors_preflight_method(&request);
		assert_true(http_span_equal(method, cases[i].method));
	}
}

/* ---- through a worker ---- */

#define POLICY(origin)                                                                             \
	"'cors':{'origins':['" origin "'],'methods':['POST'],'headers':['Authorization'],"         \
	"'max_age_s':60}"
/* Rules of a model, as a gateway for models has them: a preflight names none. */
#define MODEL_RULE(model, pool, more)                                                              \
	"{'matches':[{'path_type':'PathPrefix','path':'/v1','method':'POST','headers':[{'type':"   \
	"'Exact','name':'x-gateway-model-name','value':'" model "'}]}],"                           \
	"'backends':[{'pool':" pool ",'weight':1,'name':'ai/p'}]," more "}"

static const char preflight[] = "OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: api.test\r\n"
				"Origin: https://app.test\r\n"
				"Access-Control-Request-Method: POST\r\n"
				"Access-Control-Request-Headers: authorization\r\n\r\n";

static const char *chat_from(const char *origin, const char *model)
{
	static char text[1024];
	char body[256];

	snprintf(body, sizeof(body), "{\"model\":\"%s\",\"prompt\":\"end\"}", model);
	snprintf(text, sizeof(text),
		 "POST /v1/completions HTTP/1.1\r\nHost: api.test\r\nOrigin: %s\r\n"
		 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		 origin, strlen(body), body);
	return text;
}

static void a_preflight_is_answered_without_an_endpoint(void **state)
{
	/* the pool is empty: whoever asked it for an endpoint would have none */
	RIG_READY(rig, MODEL_RULE("gemma", "3", POLICY("https://app.test")));
	int client = rig_client(rig);
	const char *got;

	(void)state;
	for (int i = 0; i < 2; i++) { /* on the same connection */
		rig_puts(rig, client, preflight);
		got = rig_expect(rig, client, "\r\n\r\n");
		assert_has(got, "HTTP/1.1 204 No Content\r\n");
		assert_has(got, "Access-Control-Allow-Origin: https://app.test\r\n");
		assert_has(got, "Access-Control-Allow-Methods: POST\r\n");
		assert_has(got, "Access-Control-Allow-Headers: Authorization\r\n");
		assert_has(got, "Access-Control-Max-Age: 60\r\n");
		assert_has_not(got, "Content-Length");
	}
	assert_has(rig_log_last(rig), "\"status\":204");
	assert_has(rig_log_last(rig), "\"attempts\":0");
	close(client);
}

static void a_preflight_from_elsewhere_is_told_nothing(void **state)
{
	RIG_READY(rig, MODEL_RULE("gemma", "1", POLICY("https://other.test")));
	int client = rig_client(rig);
	const char *got;

	(void)state;
	rig_puts(rig, client, preflight);
	got = rig_expect(rig, client, "\r\n\r\n");
	assert_has(got, "HTTP/1.1 204 No Content\r\n");
	assert_has_not(got, "Access-Control-");
	close(client);
}

static void options_without_a_policy_goes_to_an_endpoint(void **state)
{
	RIG_READY(rig, RIG_TO_ONE);
	int client = rig_client(rig), server;

	(void)state;
	rig_puts(rig, client, preflight);
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	assert_true(server >= 0);
	rig_expect(rig, server, "\r\n\r\n");
	rig_puts(rig, server,
		 "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n");
	assert_has(rig_expect(rig, client, "\r\n\r\n"), "Access-Control-Allow-Origin: *\r\n");
	close(server);
	close(client);
}

/* Sends a request from `origin`; the server answers with CORS headers of its own. */
static const char *answer_through(struct rig *rig, const char *origin)
{
	static char got[4096];
	int client = rig_client(rig), server;

	rig_puts(rig, client, chat_from(origin, "gemma"));
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	assert_true(server >= 0);
	rig_expect(rig, server, "\"end\"}");
	rig_puts(rig, server,
		 "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\n"
		 "Access-Control-Allow-Credentials: true\r\nContent-Length: 3\r\n"
		 "Connection: close\r\n\r\nok\n");
	snprintf(got, sizeof(got), "%s", rig_expect(rig, client, "ok\n"));
	close(server);
	close(client);
	return got;
}

static void the_policy_speaks_in_place_of_the_server(void **state)
{
	RIG_READY(rig, MODEL_RULE("gemma", "1", POLICY("https://app.test")));
	const char *got = answer_through(rig, "https://app.test");

	(void)state;
	assert_has(got, "Access-Control-Allow-Origin: https://app.test\r\n");
	assert_has(got, "Vary: Origin\r\n");
	assert_has_not(got, "Allow-Origin: *");
	assert_has_not(got, "Credentials");
	got = answer_through(rig, "https://evil.test");
	assert_has(got, "HTTP/1.1 200 OK\r\n");
	assert_has_not(got, "Access-Control-");
}

static void errors_and_redirects_of_the_gateway_can_be_read_too(void **state)
{
	RIG_READY(
		rig,
		MODEL_RULE(
			"gemma", "3",
			POLICY("https://app.test")) ","
						    "{'matches':[{'path_type':'Exact','path':'/away'}],'filters':"
						    "{'redirect_status':302}," POLICY(
							    "https://app.test") "}");
	int client = rig_client(rig);
	const char *got;

	(void)state;
	rig_puts(rig, client, chat_from("https://app.test", "gemma"));
	got = rig_expect(rig, client, "}}\n");
	assert_has(got, "HTTP/1.1 503 ");
	assert_has(got, "Access-Control-Allow-Origin: https://app.test\r\n");
	rig_puts(rig, client, chat_from("https://app.test", "nobody"));
	got = rig_expect(rig, client, "}}\n");
	assert_has(got, "HTTP/1.1 404 ");
	assert_has(got, "Access-Control-Allow-Origin: https://app.test\r\n");
	rig_puts(rig, client, "GET /away HTTP/1.1\r\nHost: a\r\nOrigin: https://app.test\r\n\r\n");
	got = rig_expect(rig, client, "\r\n\r\n");
	assert_has(got, "HTTP/1.1 302 ");
	assert_has(got, "Access-Control-Allow-Origin: https://app.test\r\n");
	/* the next one on this connection has no policy */
	rig_puts(rig, client, "GET /x HTTP/1.1\r\nHost: a\r\nOrigin: https://app.test\r\n\r\n");
	got = rig_expect(rig, client, "}}\n");
	assert_has(got, "HTTP/1.1 404 ");
	assert_has_not(got, "Access-Control-");
	close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(origins_match_by_scheme_host_and_port),
		cmocka_unit_test(an_answer_says_who_may_have_it_and_what_of_it),
		cmocka_unit_test(a_star_is_said_only_where_no_credentials_go),
		cmocka_unit_test(only_options_with_origin_and_method_is_a_preflight),
		cmocka_unit_test(a_preflight_is_answered_without_an_endpoint),
		cmocka_unit_test(a_preflight_from_elsewhere_is_told_nothing),
		cmocka_unit_test(options_without_a_policy_goes_to_an_endpoint),
		cmocka_unit_test(the_policy_speaks_in_place_of_the_server),
		cmocka_unit_test(errors_and_redirects_of_the_gateway_can_be_read_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
