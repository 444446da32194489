/* SPDX-License-Identifier: BSD-2-Clause */
/* The parser against a table of heads and bodies: what is accepted means what
 * we say, and every known way to smuggle is refused for its own reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "userspace/base/cleanup.h"
#include "userspace/http/parser.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST "POST /v1/completions HTTP/1.1\r\nHost: a\r\n"
#define OK "HTTP/1.1 200 OK\r\n"

struct bad_case {
	const char *name;
	enum http_kind kind;
	const char *bytes;
	size_t length; /* 0: strlen */
	int answer;
	const char *why; /* a part of it */
};

#define BAD(n, b, a, w)                                                                            \
	{                                                                                          \
		n, HTTP_REQUEST_MESSAGE, b, sizeof(b) - 1, a, w                                    \
	}
#define BAD_ANSWER(n, b, w)                                                                        \
	{                                                                                          \
		n, HTTP_RESPONSE_MESSAGE, b, sizeof(b) - 1, 400, w                                 \
	}

static const struct bad_case bad_heads[] = {
	BAD("length and chunked", POST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
	    400, "both Content-Length"),
	BAD("chunked and length", POST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
	    400, "both Content-Length"),
	BAD("two lengths that differ", POST "Content-Length: 4\r\nContent-Length: 5\r\n\r\n", 400,
	    "more than one Content-Length"),
	BAD("two equal lengths", POST "Content-Length: 4\r\nContent-Length: 4\r\n\r\n", 400,
	    "more than one Content-Length"),
	BAD("a list of lengths", POST "Content-Length: 4, 4\r\n\r\n", 400, "not a decimal"),
	BAD("a signed length", POST "Content-Length: +4\r\n\r\n", 400, "not a decimal"),
	BAD("a negative length", POST "Content-Length: -1\r\n\r\n", 400, "not a decimal"),
	BAD("a hexadecimal length", POST "Content-Length: 0x4\r\n\r\n", 400, "not a decimal"),
	BAD("a length with inner space", POST "Content-Length: 1 2\r\n\r\n", 400, "not a decimal"),
	BAD("an empty length", POST "Content-Length:\r\n\r\n", 400, "empty or too long"),
	BAD("a length past 64 bits", POST "Content-Length: 18446744073709551617\r\n\r\n", 400,
	    "empty or too long"),
	BAD("chunked twice",
	    POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
	    "more than one Transfer-Encoding"),
	BAD("gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "other than"),
	BAD("chunked, chunked", POST "Transfer-Encoding: chunked, chunked\r\n\r\n", 501,
	    "other than"),
	BAD("chunked, identity", POST "Transfer-Encoding: chunked, identity\r\n\r\n", 501,
	    "other than"),
	BAD("identity", POST "Transfer-Encoding: identity\r\n\r\n", 501, "other than"),
	BAD("xchunked", POST "Transfer-Encoding: xchunked\r\n\r\n", 501, "other than"),
	BAD("chunked in quotes", POST "Transfer-Encoding: \"chunked\"\r\n\r\n", 501, "other than"),
	BAD("chunked with a vertical tab",
	    POST "Transfer-Encoding: \x0b"
		 "chunked\r\n\r\n",
	    400, "control character"),
	BAD("empty transfer coding", POST "Transfer-Encoding:\r\n\r\n", 501, "other than"),
	BAD("chunked with a parameter", POST "Transfer-Encoding: chunked;a=b\r\n\r\n", 501,
	    "other than"),
	BAD("chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
	    "HTTP/1.0"),
	BAD("space before the colon", POST "Content-Length : 4\r\n\r\n", 400, "before the colon"),
	BAD("tab before the colon", POST "Transfer-Encoding\t: chunked\r\n\r\n", 400,
	    "before the colon"),
	BAD("obs-fold", POST "X: a\r\n b\r\n\r\n", 400, "obs-fold"),
	BAD("obs-fold of a coding", POST "Transfer-Encoding:\r\n chunked\r\n\r\n", 400, "obs-fold"),
	BAD("obs-fold with a tab", POST "X: a\r\n\tb\r\n\r\n", 400, "obs-fold"),
	BAD("white space before the first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400,
	    "obs-fold"),
	BAD("bare line feed after a header", POST "X: a\nY: b\r\n\r\n", 400, "bare line feed"),
	BAD("bare line feeds only", "GET / HTTP/1.1\nHost: a\n\n", 400, "bare line feed"),
	BAD("bare line feed at the end", GET "\n", 400, "bare line feed"),
	BAD("bare carriage return in a value", POST "X: a\rContent-Length: 3\r\n\r\n", 400,
	    "control character"),
	BAD("two carriage returns", POST "X: a\r\r\n\r\n", 400, "control character"),
	BAD("carriage return before the end", GET "\r\r\n\r\n", 400, "no colon"),
	BAD("NUL in a value", POST "X: a\0b\r\n\r\n", 400, "control character"),
	BAD("NUL in a name", POST "X\0: b\r\n\r\n", 400, "forbidden character"),
	BAD("DEL in a value", POST "X: \x7f\r\n\r\n", 400, "control character"),
	BAD("empty header name", POST ": b\r\n\r\n", 400, "empty or has"),
	BAD("header without colon", POST "Content-Length\r\n\r\n", 400, "no colon"),
	BAD("brackets in a header name", POST "X[a]: b\r\n\r\n", 400, "forbidden character"),
	BAD("high byte in a header name", POST "X\xc3\xa9: b\r\n\r\n", 400, "forbidden character"),
	BAD("no Host", "GET / HTTP/1.1\r\n\r\n", 400, "no Host"),
	BAD("two Hosts", GET "Host: a\r\n\r\n", 400, "more than one Host"),
	BAD("a list of Hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "Host has"),
	BAD("Host with user information", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "Host has"),
	BAD("Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "Host has"),
	BAD("Host is not the target's", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400,
	    "not the host of"),
	BAD("user information in the target", "GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n", 400,
	    "not the host of"),
	BAD("HTTP/0.9", "GET /\r\n", 400, "0.9"),
	BAD("HTTP/0.9 by name", "GET / HTTP/0.9\r\n", 505, "only"),
	BAD("HTTP/1.2", "GET / HTTP/1.2\r\n", 505, "only"),
	BAD("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "only"),
	BAD("HTTP/1.10", "GET / HTTP/1.10\r\n", 400, "does not say"),
	BAD("lower-case http", "GET / http/1.1\r\n", 400, "does not say"),
	BAD("HTTP/1.1 twice", "GET / HTTP/1.1 HTTP/1.1\r\n", 400, "forbidden character"),
	BAD("space at the end of the line", "GET / HTTP/1.1 \r\n", 400, "does not say"),
	BAD("two spaces", "GET  / HTTP/1.1\r\n", 400, "forbidden character"),
	BAD("tab between method and target", "GET\t/ HTTP/1.1\r\n", 400, "forbidden character"),
	BAD("empty target", "GET  HTTP/1.1\r\n", 400, "neither a path"),
	BAD("star with GET", "GET * HTTP/1.1\r\n", 400, "neither a path"),
	BAD("path without slash", "GET v1/models HTTP/1.1\r\n", 400, "neither a path"),
	BAD("ftp target", "GET ftp://a/ HTTP/1.1\r\n", 400, "neither a path"),
	BAD("http target without host", "GET http:///x HTTP/1.1\r\n", 400, "neither a path"),
	BAD("http target with a query and no path", "GET http://a?/x HTTP/1.1\r\n", 400, "no path"),
	BAD("fragment in the target", "GET /#a HTTP/1.1\r\n", 400, "forbidden character"),
	BAD("control character in the target", "GET /\x01 HTTP/1.1\r\n", 400, "forbidden"),
	BAD("high byte in the target", "GET /\xe9 HTTP/1.1\r\n", 400, "forbidden character"),
	BAD("CONNECT with a path", "CONNECT / HTTP/1.1\r\n", 400, "CONNECT"),
	BAD("two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\n", 400, "request line"),
	BAD("unknown method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "method"),
	BAD("lower-case method", "get / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "method"),
	BAD("method with a colon", "G:T / HTTP/1.1\r\n", 400, "method"),
	BAD("TLS hello", "\x16\x03\x01\x02\x00\x01", 400, "not HTTP/1"),
	BAD("unknown expectation", POST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\n", 417,
	    "expectation"),
	BAD_ANSWER("answer with length and chunked",
		   OK "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", "both Content"),
	BAD_ANSWER("answer with two lengths", OK "Content-Length: 4\r\nContent-Length: 5\r\n\r\n",
		   "more than one"),
	BAD_ANSWER("answer begins with an empty line", "\r\n" OK "\r\n", "not HTTP/1"),
	BAD_ANSWER("answer without status", "HTTP/1.1 \r\n", "no status"),
	BAD_ANSWER("status of two digits", "HTTP/1.1 20 OK\r\n", "three digits"),
	BAD_ANSWER("status of four digits", "HTTP/1.1 2000 OK\r\n", "forbidden character"),
	BAD_ANSWER("status 99", "HTTP/1.1 099 OK\r\n", "between"),
	BAD_ANSWER("status 600", "HTTP/1.1 600 OK\r\n", "between"),
	BAD_ANSWER("204 with a length", "HTTP/1.1 204 x\r\nContent-Length: 2\r\n\r\n", "announced"),
	BAD_ANSWER("100 with chunked", "HTTP/1.1 100 x\r\nTransfer-Encoding: chunked\r\n\r\n",
		   "announced"),
	BAD_ANSWER("obs-fold in an answer", OK "X: a\r\n b\r\n\r\n", "obs-fold"),
	BAD_ANSWER("not HTTP at all", "SSH-2.0-OpenSSH\r\n", "does not say"),
};

/* One byte more each time, always at another place. */
static enum http_parse head_bytewise(struct http_parser *parser, const char *bytes, size_t length,
				     struct http_head *head, size_t *ret_length, char **ret_copy)
{
	enum http_parse parse = HTTP_PARSE_INCOMPLETE;
	size_t n;

	for (n = 1; n <= length && parse == HTTP_PARSE_INCOMPLETE; n++) {
		free(*ret_copy);
		*ret_copy = malloc(n);
		memcpy(*ret_copy, bytes, n);
		parse = http_parser_head(parser, *ret_copy, n, head, ret_length);
	}
	return parse;
}

static void check_bad(const struct bad_case *c, enum http_parse parse,
		      const struct http_parser *parser)
{
	if (parse != HTTP_PARSE_BAD || parser->answer != c->answer || !strstr(parser->why, c->why))
		fail_msg("%s: parse %d, answer %d, why \"%s\"", c->name, parse, parser->answer,
			 parser->why ? parser->why : "");
}

static void ambiguous_heads_are_refused_for_their_own_reason(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad_heads); i++) {
		const struct bad_case *c = &bad_heads[i];
		_cleanup_free_ char *copy = NULL;
		struct http_parser parser;
		struct http_head head;
		size_t length;

		http_parser_init(&parser, c->kind);
		check_bad(c, http_parser_head(&parser, c->bytes, c->length, &head, &length),
			  &parser);
		http_parser_init(&parser, c->kind);
		check_bad(c, head_bytewise(&parser, c->bytes, c->length, &head, &length, &copy),
			  &parser);
	}
}

static enum http_parse parse_head(struct http_parser *parser, enum http_kind kind,
				  const char *bytes, struct http_head *head)
{
	size_t length = 0;

	http_parser_init(parser, kind);
	return http_parser_head(parser, bytes, strlen(bytes), head, &length);
}

static void check_request(const char *bytes, struct http_head *head)
{
	struct http_parser parser;

	if (parse_head(&parser, HTTP_REQUEST_MESSAGE, bytes, head) != HTTP_PARSE_COMPLETE)
		fail_msg("%s: %s", bytes, parser.why);
}

static void a_request_head_is_read_in_place(void **state)
{
	static const char bytes[] = "POST /v1/chat/completions?a=b HTTP/1.1\r\nHost: [::1]:80\r\n"
				    "Content-Type:\tapplication/json \t\r\nX-Empty:\r\n"
				    "content-length: 12\r\nExpect: 100-Continue\r\n\r\n{body";
	_cleanup_free_ char *copy = NULL;
	struct http_parser parser;
	struct http_head head;
	size_t length;

	(void)state;
	http_parser_init(&parser, HTTP_REQUEST_MESSAGE);
	assert_int_equal(head_bytewise(&parser, bytes, sizeof(bytes) - 1, &head, &length, &copy),
			 HTTP_PARSE_COMPLETE);
	assert_int_equal(length, sizeof(bytes) - 1 - 5);
	assert_true(http_span_equal(head.method, "POST"));
	assert_true(http_span_equal(head.target, "/v1/chat/completions?a=b"));
	assert_int_equal(head.minor, 1);
	assert_true(head.keep_alive && head.expect_continue && !head.chunked && !head.upgrade);
	assert_int_equal(head.content_length, 12);
	assert_int_equal(head.header_count, 5);
	assert_true(
		http_span_equal(http_head_find(&head, "CONTENT-type")->value, "application/json"));
	assert_int_equal(http_head_find(&head, "x-empty")->value.length, 0);
	assert_null(http_head_find(&head, "x-none"));
	assert_ptr_equal(head.method.data, copy);
}

static void unusual_but_clear_requests_are_accepted(void **state)
{
	struct http_head head;

	(void)state;
	check_request("GET / HTTP/1.0\r\n\r\n", &head);
	assert_false(head.keep_alive);
	check_request("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", &head);
	assert_true(head.keep_alive);
	check_request(GET "Connection: foo, CLOSE\r\n\r\n", &head);
	assert_false(head.keep_alive);
	check_request(GET "Connection: keep-alive\r\nConnection: close\r\n\r\n", &head);
	assert_false(head.keep_alive);
	check_request("\r\n" GET "\r\n", &head);
	assert_true(http_span_equal(head.method, "GET"));
	check_request("GET http://A.example:80/x?y HTTP/1.1\r\nHost: a.example:80\r\n\r\n", &head);
	assert_true(http_span_equal(head.target, "http://A.example:80/x?y"));
	check_request("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n", &head);
	check_request("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", &head);
	assert_true(head.upgrade);
	check_request(GET "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", &head);
	assert_true(head.upgrade);
	check_request(GET "X: caf\xc3\xa9 \"(a)\"\t{b}\r\n\r\n", &head);
	check_request(POST "Transfer-Encoding: Chunked\r\n\r\n", &head);
	assert_true(head.chunked);
	assert_int_equal(head.content_length, -1);
	check_request(GET "If-None-Match: \"a\", \"b\"\r\nCookie: a=b; c=d\r\n\r\n", &head);
}

static void headers_beyond_the_limit_are_refused_with_431(void **state)
{
	static char bytes[64 + HTTP_HEADERS_MAX * 8];
	struct http_parser parser;
	struct http_head head;
	size_t i, n = (size_t)sprintf(bytes, GET);

	(void)state;
	for (i = 0; i < HTTP_HEADERS_MAX - 1; i++)
		n += (size_t)sprintf(bytes + n, "A: b\r\n");
	sprintf(bytes + n, "\r\n");
	check_request(bytes, &head);
	assert_int_equal(head.header_count, HTTP_HEADERS_MAX);
	sprintf(bytes + n, "A: b\r\n\r\n");
	assert_int_equal(parse_head(&parser, HTTP_REQUEST_MESSAGE, bytes, &head), HTTP_PARSE_BAD);
	assert_int_equal(parser.answer, 431);
}

struct body_case {
	const char *name;
	enum http_kind kind;
	const char *bytes; /* head and body */
	const char *payload;
	const char *rest; /* after the message */
	enum http_parse parse;
	enum http_parse at_eof;
	bool head_request;
};

#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define REQ HTTP_REQUEST_MESSAGE
#define RES HTTP_RESPONSE_MESSAGE
#define DONE HTTP_PARSE_COMPLETE, HTTP_PARSE_COMPLETE
#define CUT HTTP_PARSE_INCOMPLETE, HTTP_PARSE_BAD
#define BROKEN HTTP_PARSE_BAD, HTTP_PARSE_BAD

static const struct body_case bodies[] = {
	{"no body", REQ, GET "\r\nGET", "", "GET", DONE},
	{"length 0", REQ, POST "Content-Length: 0\r\n\r\nX", "", "X", DONE},
	{"length", REQ, POST "Content-Length: 5\r\n\r\nhelloPOST", "hello", "POST", DONE},
	{"length, cut", REQ, POST "Content-Length: 5\r\n\r\nhell", "hell", "", CUT},
	{"chunked", REQ, CHUNKED "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET", "hello world", "GET",
	 DONE},
	{"chunked, leading zeros, capitals", REQ, CHUNKED "00A\r\n0123456789\r\n000\r\n\r\n",
	 "0123456789", "", DONE},
	{"chunked, extension", REQ, CHUNKED "1;a=\"b c\";d\r\nx\r\n0;e\r\n\r\n", "x", "", DONE},
	{"chunked, trailers", REQ, CHUNKED "1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\nG", "x", "G", DONE},
	{"chunked, cut in the size", REQ, CHUNKED "5", "", "", CUT},
	{"chunked, cut in the data", REQ, CHUNKED "5\r\nhe", "he", "", CUT},
	{"chunked, cut before the last chunk", REQ, CHUNKED "1\r\nx\r\n", "x", "", CUT},
	{"chunked, cut in the trailer", REQ, CHUNKED "1\r\nx\r\n0\r\nA: b\r\n", "x", "", CUT},
	{"chunk size with bare line feed", REQ, CHUNKED "5\nhello\r\n0\r\n\r\n", "", NULL, BROKEN},
	{"chunk size with a space", REQ, CHUNKED "5 \r\nhello\r\n0\r\n\r\n", "", NULL, BROKEN},
	{"chunk size with 0x", REQ, CHUNKED "0x5\r\nhello\r\n0\r\n\r\n", "", NULL, BROKEN},
	{"signed chunk size", REQ, CHUNKED "-5\r\nhello\r\n0\r\n\r\n", "", NULL, BROKEN},
	{"empty chunk size", REQ, CHUNKED "\r\nhello\r\n0\r\n\r\n", "", NULL, BROKEN},
	{"chunk size past 64 bits", REQ, CHUNKED "10000000000000005\r\nhello\r\n0\r\n\r\n", "",
	 NULL, BROKEN},
	{"chunk longer than its size", REQ, CHUNKED "3\r\nhello\r\n0\r\n\r\n", "hel", NULL, BROKEN},
	{"chunk end with bare line feed", REQ, CHUNKED "5\r\nhello\n0\r\n\r\n", "hello", NULL,
	 BROKEN},
	{"carriage return alone after the size", REQ, CHUNKED "5\rhello\r\n0\r\n\r\n", "", NULL,
	 BROKEN},
	{"line feed in an extension", REQ, CHUNKED "5;a\nhello\r\n0\r\n\r\n", "", NULL, BROKEN},
	{"carriage return in an extension", REQ, CHUNKED "5;\rX\r\nhello\r\n0\r\n\r\n", "", NULL,
	 BROKEN},
	{"trailer folded", REQ, CHUNKED "0\r\nA: b\r\n c\r\n\r\n", "", NULL, BROKEN},
	{"trailer without name", REQ, CHUNKED "0\r\n: b\r\n\r\n", "", NULL, BROKEN},
	{"trailer with space before the colon", REQ, CHUNKED "0\r\nA : b\r\n\r\n", "", NULL,
	 BROKEN},
	{"trailer with bare line feed", REQ, CHUNKED "0\r\nA: b\n\r\n", "", NULL, BROKEN},
	{"end with bare line feed", REQ, CHUNKED "0\r\n\n", "", NULL, BROKEN},
	{"end with two carriage returns", REQ, CHUNKED "0\r\n\r\r\n", "", NULL, BROKEN},
	{"answer until close", RES, OK "\r\nhello", "hello", "", HTTP_PARSE_INCOMPLETE,
	 HTTP_PARSE_COMPLETE},
	{"answer with length", RES, OK "Content-Length: 2\r\n\r\nhiHTTP", "hi", "HTTP", DONE},
	{"answer chunked", RES, OK "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi",
	 "", DONE},
	{"answer cut", RES, OK "Content-Length: 3\r\n\r\nhi", "hi", "", CUT},
	{"answer 100", RES, "HTTP/1.1 100 Continue\r\n\r\nHTTP", "", "HTTP", DONE},
	{"answer 101", RES, "HTTP/1.1 101 x\r\nUpgrade: y\r\nConnection: upgrade\r\n\r\nraw", "",
	 "raw", DONE},
	{"answer 204", RES, "HTTP/1.1 204\r\nContent-Length: 0\r\n\r\nHTTP", "", "HTTP", DONE},
	{"answer 304 with a length", RES, "HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\nHTTP", "",
	 "HTTP", DONE},
	{"answer to HEAD with a length", RES, OK "Content-Length: 9\r\n\r\nHTTP", "", "HTTP", DONE,
	 true},
	{"answer to HEAD chunked", RES, OK "Transfer-Encoding: chunked\r\n\r\nHTTP", "", "HTTP",
	 DONE, true},
};

struct decoded {
	char payload[64];
	size_t length;
	size_t used;
	enum http_parse parse;
	enum http_parse at_eof;
};

/* Gives the body in pieces of at most `step` bytes. */
static struct decoded body_decode(const struct body_case *c, size_t step)
{
	struct http_parser parser;
	struct http_head head;
	struct decoded out = {.parse = HTTP_PARSE_INCOMPLETE};
	size_t length = strlen(c->bytes), end;

	http_parser_init(&parser, c->kind);
	if (c->head_request)
		http_parser_no_body(&parser);
	if (http_parser_head(&parser, c->bytes, length, &head, &out.used) != HTTP_PARSE_COMPLETE)
		fail_msg("%s: %s", c->name, parser.why);
	end = out.used;
	do {
		struct http_span payload;
		size_t used;

		end = end + step < length ? end + step : length;
		do {
			out.parse = http_parser_body(&parser, c->bytes + out.used, end - out.used,
						     &used, &payload);
			memcpy(out.payload + out.length, payload.data, payload.length);
			out.length += payload.length;
			out.used += used;
		} while (out.parse == HTTP_PARSE_INCOMPLETE && out.used < end);
	} while (out.parse == HTTP_PARSE_INCOMPLETE && end < length);
	out.at_eof = http_parser_eof(&parser);
	return out;
}

static void bodies_end_where_their_framing_says_however_they_are_cut(void **state)
{
	size_t i, step;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bodies); i++) {
		const struct body_case *c = &bodies[i];

		for (step = 1; step <= strlen(c->bytes); step++) {
			struct decoded out = body_decode(c, step);

			if (out.parse != c->parse || out.at_eof != c->at_eof ||
			    out.length != strlen(c->payload) ||
			    memcmp(out.payload, c->payload, out.length) ||
			    (c->rest && strcmp(c->bytes + out.used, c->rest)))
				fail_msg("%s in steps of %zu: parse %d, eof %d, payload %.*s",
					 c->name, step, out.parse, out.at_eof, (int)out.length,
					 out.payload);
		}
	}
}

static void keep_alive_of_an_answer_needs_a_known_end(void **state)
{
	struct http_parser parser;
	struct http_head head;

	(void)state;
	parse_head(&parser, HTTP_RESPONSE_MESSAGE, OK "Content-Length: 1\r\n\r\n", &head);
	assert_true(head.keep_alive);
	parse_head(&parser, HTTP_RESPONSE_MESSAGE, OK "\r\n", &head);
	assert_false(head.keep_alive);
	parse_head(&parser, HTTP_RESPONSE_MESSAGE, "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n",
		   &head);
	assert_false(head.keep_alive);
	assert_int_equal(head.status, 200);
}

static void chunked_overhead_without_payload_is_bounded(void **state)
{
	static char bytes[2 * HTTP_CHUNKED_EXTRA_MAX];
	struct http_parser parser;
	struct http_head head;
	struct http_span payload;
	size_t used;

	(void)state;
	parse_head(&parser, HTTP_REQUEST_MESSAGE, CHUNKED, &head);
	assert_int_equal(http_parser_body(&parser, "5;", 2, &used, &payload),
			 HTTP_PARSE_INCOMPLETE);
	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(http_parser_body(&parser, bytes, sizeof(bytes), &used, &payload),
			 HTTP_PARSE_BAD);
	assert_non_null(strstr(parser.why, "too long"));
}

static void the_bytes_before_a_bad_one_are_used(void **state)
{
	static const char bytes[] = "1\r\na\r\nxyz";
	struct http_parser parser;
	struct http_head head;
	struct http_span payload;
	size_t used;

	(void)state;
	parse_head(&parser, HTTP_REQUEST_MESSAGE, CHUNKED, &head);
	assert_int_equal(http_parser_body(&parser, bytes, sizeof(bytes) - 1, &used, &payload),
			 HTTP_PARSE_INCOMPLETE);
	assert_int_equal(used, 4);
	assert_int_equal(http_parser_body(&parser, bytes + 4, sizeof(bytes) - 5, &used, &payload),
			 HTTP_PARSE_BAD);
	assert_int_equal(used, 2);
	assert_int_equal(payload.length, 0);
}

static void eof_inside_a_head_is_an_error(void **state)
{
	struct http_parser parser;
	struct http_head head;

	(void)state;
	parse_head(&parser, HTTP_RESPONSE_MESSAGE, "HTTP/1.1 200", &head);
	assert_int_equal(http_parser_eof(&parser), HTTP_PARSE_BAD);
	assert_non_null(strstr(parser.why, "head"));
}

static void list_tokens_are_compared_whole(void **state)
{
	struct http_span list = {" a, Chunked ,b,", 15};

	(void)state;
	assert_true(http_span_has_token(list, "chunked"));
	assert_true(http_span_has_token(list, "A"));
	assert_false(http_span_has_token(list, "chunk"));
	assert_false(http_span_has_token((struct http_span){"", 0}, "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ambiguous_heads_are_refused_for_their_own_reason),
		cmocka_unit_test(a_request_head_is_read_in_place),
		cmocka_unit_test(unusual_but_clear_requests_are_accepted),
		cmocka_unit_test(headers_beyond_the_limit_are_refused_with_431),
		cmocka_unit_test(bodies_end_where_their_framing_says_however_they_are_cut),
		cmocka_unit_test(keep_alive_of_an_answer_needs_a_known_end),
		cmocka_unit_test(chunked_overhead_without_payload_is_bounded),
		cmocka_unit_test(the_bytes_before_a_bad_one_are_used),
		cmocka_unit_test(eof_inside_a_head_is_an_error),
		cmocka_unit_test(list_tokens_are_compared_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
