/* SPDX-License-Identifier: BSD-2-Clause */
/* Heads of both kinds: one verdict however they trickle in, and what is
 * accepted is clean. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "userspace/http/parser.h"

static void check_span(struct http_span span, const char *data, size_t length)
{
	size_t i;

	must(span.data >= data && span.data + span.length <= data + length);
	for (i = 0; i < span.length; i++)
		must(span.data[i] != '\r' && span.data[i] != '\n' && span.data[i] != '\0');
}

static void check_head(enum http_kind kind, const struct http_head *head, const char *data,
		       size_t length)
{
	size_t i;

	must(length >= 4 && !memcmp(data + length - 4, "\r\n\r\n", 4));
	must(head->minor == 0 || head->minor == 1);
	must(!head->chunked || head->content_length < 0);
	must(head->header_count <= HTTP_HEADERS_MAX);
	for (i = 0; i < head->header_count; i++) {
		must(head->headers[i].name.length);
		check_span(head->headers[i].name, data, length);
		check_span(head->headers[i].value, data, length);
	}
	if (kind == HTTP_RESPONSE_MESSAGE) {
		must(head->status >= 100 && head->status <= 599);
		return;
	}
	check_span(head->method, data, length);
	check_span(head->target, data, length);
	must(head->target.length && !memchr(head->target.data, ' ', head->target.length));
	must(head->minor == 0 || http_head_find(head, "host"));
}

/* Gives 1, 2, 3 ... bytes up to what decided the whole. */
static enum http_parse parse_bytewise(enum http_kind kind, const char *data, size_t size,
				      size_t *ret_length)
{
	enum http_parse parse = HTTP_PARSE_INCOMPLETE;
	struct http_parser parser;
	struct http_head head;
	size_t n;

	http_parser_init(&parser, kind);
	for (n = 1; n <= size && parse == HTTP_PARSE_INCOMPLETE; n++)
		parse = http_parser_head(&parser, data, n, &head, ret_length);
	return parse;
}

static void run(enum http_kind kind, const char *data, size_t size)
{
	struct http_parser parser;
	struct http_head head;
	size_t length = 0, bytewise_length = 0, used;
	struct http_span payload;
	enum http_parse parse;

	http_parser_init(&parser, kind);
	parse = http_parser_head(&parser, data, size, &head, &length);
	must(parse_bytewise(kind, data, size, &bytewise_length) == parse);
	if (parse == HTTP_PARSE_BAD)
		must(parser.why && parser.answer >= 400 && parser.answer <= 505);
	if (parse != HTTP_PARSE_COMPLETE)
		return;
	must(length == bytewise_length && length <= size);
	check_head(kind, &head, data, length);
	if (http_parser_body(&parser, data + length, size - length, &used, &payload) !=
	    HTTP_PARSE_BAD)
		must(used <= size - length && payload.length <= used);
	http_parser_eof(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	run(HTTP_REQUEST_MESSAGE, (const char *)data, size);
	run(HTTP_RESPONSE_MESSAGE, (const char *)data, size);
	return 0;
}
