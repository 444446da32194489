// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/proxy/headers.h"

static struct http_head head;
static char out[4096];

static void parse(enum http_kind kind, const char *text)
{
	struct http_parser parser;
	size_t length;

	http_parser_init(&parser, kind);
	assert_int_equal(http_parser_head(&parser, text, strlen(text), &head, &length),
			 HTTP_PARSE_COMPLETE);
}

static const char *request(const char *text, struct request_rewrite rewrite)
{
	struct text to = TEXT_INIT(out);

	parse(HTTP_REQUEST_MESSAGE, text);
	if (!rewrite.target.length)
		rewrite.target = head.target;
	assert_int_equal(address_parse("192.0.2.7", &rewrite.client), 0);
	headers_format_request(&head, &rewrite, &to);
	assert_false(to.cut);
	return out;
}

static const char *answer(const char *text, struct answer_rewrite rewrite)
{
	struct text to = TEXT_INIT(out);

	parse(HTTP_RESPONSE_MESSAGE, text);
	headers_format_answer(&head, &rewrite, &to);
	assert_false(to.cut);
	return out;
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in: %s", part, text);
}

static void has_not(const char *text, const char *part)
{
	if (strcasestr(text, part))
		fail_msg("'%s' is in: %s", part, text);
}

static void a_request_passes_with_what_the_gateway_knows(void **state)
{
	(void)state;
	assert_string_equal(
		request("GET /v1/models HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\n\r\n",
			(struct request_rewrite){0}),
		"GET /v1/models HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\n"
		"Via: 1.1 sluice\r\nX-Forwarded-For: 192.0.2.7\r\n"
		"X-Forwarded-Proto: http\r\n\r\n");
}

static void hop_by_hop_headers_end_here(void **state)
{
	const char *got = request("GET / HTTP/1.1\r\nHost: a\r\nConnection: x-one, Keep-Alive\r\n"
				  "Connection: X-Two\r\nX-One: 1\r\nx-two: 2\r\nKeep-Alive: 5\r\n"
				  "TE: trailers\r\nUpgrade: h2c\r\nProxy-Authorization: x\r\n"
				  "Proxy-Connection: x\r\nX-Three: 3\r\n\r\n",
				  (struct request_rewrite){0});

	(void)state;
	has(got, "X-Three: 3\r\n");
	has_not(got, "x-one");
	has_not(got, "x-two");
	has_not(got, "keep-alive");
	has_not(got, "te:");
	has_not(got, "upgrade");
	has_not(got, "proxy-");
}

static void connection_cannot_take_away_what_the_message_needs(void **state)
{
	const char *got = request("GET / HTTP/1.1\r\nHost: a\r\nConnection: host, content-type\r\n"
				  "Content-Type: x/y\r\n\r\n",
				  (struct request_rewrite){0});

	(void)state;
	has(got, "Host: a\r\n");
	has(got, "Content-Type: x/y\r\n");
}

static void forwarding_headers_grow_at_their_end(void **state)
{
	const char *got = request("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.1\r\n"
				  "x-forwarded-for: 198.51.100.2\r\nX-Forwarded-Proto: https\r\n"
				  "Via: 1.0 other\r\n\r\n",
				  (struct request_rewrite){0});

	(void)state;
	has(got, "X-Forwarded-For: 198.51.100.1, 198.51.100.2, 192.0.2.7\r\n");
	has(got, "Via: 1.0 other, 1.1 sluice\r\n");
	has(got, "X-Forwarded-Proto: http\r\n");
	has_not(got, "https");
}

static void the_model_is_the_gateways_word(void **state)
{
	const char *got =
		request("POST / HTTP/1.1\r\nHost: a\r\nX-Gateway-Model-Name: evil\r\n"
			"x-gateway-base-model-name: evil\r\nX-Gateway-Anything: evil\r\n\r\n",
			(struct request_rewrite){.model = "lora", .base_model = "gemma"});

	(void)state;
	has_not(got, "evil");
	has(got, "X-Gateway-Model-Name: lora\r\n");
	has(got, "X-Gateway-Base-Model-Name: gemma\r\n");
}

static void a_chunked_body_goes_on_with_its_length(void **state)
{
	const char *got = request("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
				  "Expect: 100-continue\r\n\r\n",
				  (struct request_rewrite){.has_body = true, .body_bytes = 77});

	(void)state;
	has(got, "Content-Length: 77\r\n");
	has_not(got, "transfer-encoding");
	has_not(got, "expect");
}

static void an_old_request_without_host_gets_an_empty_one(void **state)
{
	(void)state;
	has(request("GET / HTTP/1.0\r\n\r\n", (struct request_rewrite){0}), "Host: \r\n");
}

static void request_filters_set_add_and_remove(void **state)
{
	struct snapshot_pair set[] = {{"X-Set", "new"}}, add[] = {{"X-Add", "more"}};
	const char *remove[] = {"x-remove"};
	const struct snapshot_filters filters = {
		.request_set = set,
		.request_set_count = 1,
		.request_add = add,
		.request_add_count = 1,
		.request_remove = remove,
		.request_remove_count = 1,
		.rewrite_host = "inner",
	};
	const char *got = request("GET / HTTP/1.1\r\nHost: outer\r\nx-set: old\r\nx-add: one\r\n"
				  "X-Remove: 1\r\n\r\n",
				  (struct request_rewrite){.filters = &filters});

	(void)state;
	has(got, "Host: inner\r\n");
	has(got, "X-Set: new\r\n");
	has(got, "x-add: one\r\n");
	has(got, "X-Add: more\r\n");
	has_not(got, "old");
	has_not(got, "outer");
	has_not(got, "x-remove");
}

/* Otherwise a route could make two requests of one, on a connection shared with others. */
static void filters_do_not_touch_framing_host_or_the_gateways_word(void **state)
{
	struct snapshot_pair edit[] = {
		{"Transfer-Encoding", "chunked"}, {"content-length", "3"},	 {"Host", "other"},
		{"Connection", "close"},	  {"X-Gateway-Model-Name", "x"}, {"Upgrade", "ws"}};
	const char *remove[] = {"Host", "Content-Length", "Transfer-Encoding",
				"X-Gateway-Model-Name"};
	const struct snapshot_filters add = {.request_add = edit,
					     .request_add_count = ARRAY_SIZE(edit),
					     .response_add = edit,
					     .response_add_count = ARRAY_SIZE(edit)};
	const struct snapshot_filters set = {.request_set = edit,
					     .request_set_count = ARRAY_SIZE(edit),
					     .response_set = edit,
					     .response_set_count = ARRAY_SIZE(edit)};
	const struct snapshot_filters without = {.request_remove = remove,
						 .request_remove_count = ARRAY_SIZE(remove),
						 .response_remove = remove,
						 .response_remove_count = ARRAY_SIZE(remove)};
	const struct snapshot_filters *all[] = {&add, &set, &without};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		const char *got = request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
					  (struct request_rewrite){.filters = all[i],
								   .model = "m",
								   .has_body = true,
								   .body_bytes = 5});

		assert_string_equal(got, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
					 "Via: 1.1 sluice\r\nX-Forwarded-For: 192.0.2.7\r\n"
					 "X-Forwarded-Proto: http\r\n"
					 "X-Gateway-Model-Name: m\r\n\r\n");
		got = answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
			     (struct answer_rewrite){.filters = all[i]});
		assert_string_equal(got, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
					 "Via: 1.1 sluice\r\n\r\n");
	}
}

static void an_answer_keeps_its_framing(void **state)
{
	const char *got =
		answer("HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nConnection: x\r\nX: 1\r\n"
		       "\r\n",
		       (struct answer_rewrite){.framing = ANSWER_AS_IS});

	(void)state;
	/* the phrase is the registered one; Connection named X */
	assert_string_equal(got, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nVia: 1.1 sluice\r\n\r\n");
	has(answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		   (struct answer_rewrite){.framing = ANSWER_AS_IS}),
	    "Transfer-Encoding: chunked\r\n");
}

static void an_answer_until_close_is_told_in_chunks(void **state)
{
	const char *got = answer("HTTP/1.0 200 OK\r\nVia: 1.1 x\r\n\r\n",
				 (struct answer_rewrite){.framing = ANSWER_CHUNKED});

	(void)state;
	has(got, "Transfer-Encoding: chunked\r\n");
	has(got, "Via: 1.1 x, 1.1 sluice\r\n");
	has_not(got, "connection");
}

static void an_old_client_is_not_told_of_chunks(void **state)
{
	const char *got =
		answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		       (struct answer_rewrite){.framing = ANSWER_UNTIL_CLOSE, .close = true});

	(void)state;
	has_not(got, "chunked");
	has(got, "Connection: close\r\n");
	has(answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
		   (struct answer_rewrite){.framing = ANSWER_AS_IS, .say_keep_alive = true}),
	    "Connection: keep-alive\r\n");
}

static void a_head_that_does_not_fit_is_cut_and_says_so(void **state)
{
	char small[64];
	struct text to = TEXT_INIT(small);
	struct request_rewrite rewrite = {0};

	(void)state;
	parse(HTTP_REQUEST_MESSAGE, "GET /a/rather/long/path/that/will/not/fit HTTP/1.1\r\n"
				    "Host: a.rather.long.name.test\r\n\r\n");
	rewrite.target = head.target;
	headers_format_request(&head, &rewrite, &to);
	assert_true(to.cut);
	assert_true(to.length < sizeof(small));
}

static void absolute_targets_lose_their_origin(void **state)
{
	static const char *const rows[][2] = {
		{"http://a.test/x?y", "/x?y"},
		{"HTTPS://a.test:8/x", "/x"},
		{"http://a.test", "/"},
		{"/x", "/x"},
		{"*", "*"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct http_span got =
			target_origin_form((struct http_span){rows[i][0], strlen(rows[i][0])});

		assert_true(http_span_equal(got, rows[i][1]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_passes_with_what_the_gateway_knows),
		cmocka_unit_test(hop_by_hop_headers_end_here),
		cmocka_unit_test(connection_cannot_take_away_what_the_message_needs),
		cmocka_unit_test(forwarding_headers_grow_at_their_end),
		cmocka_unit_test(the_model_is_the_gateways_word),
		cmocka_unit_test(a_chunked_body_goes_on_with_its_length),
		cmocka_unit_test(an_old_request_without_host_gets_an_empty_one),
		cmocka_unit_test(request_filters_set_add_and_remove),
		cmocka_unit_test(filters_do_not_touch_framing_host_or_the_gateways_word),
		cmocka_unit_test(an_answer_keeps_its_framing),
		cmocka_unit_test(an_answer_until_close_is_told_in_chunks),
		cmocka_unit_test(an_old_client_is_not_told_of_chunks),
		cmocka_unit_test(a_head_that_does_not_fit_is_cut_and_says_so),
		cmocka_unit_test(absolute_targets_lose_their_origin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
