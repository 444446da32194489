/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages in three moves: find the end of the head, read the head whole, then
 * decode the body by the framing the head gave.
 *
 * Looking for the end remembers where it stopped, so a head that trickles in
 * byte by byte costs no more than one that comes at once.  A head that our own
 * reading accepts is given to llhttp, all lenient flags off, as a second
 * opinion: unless it too accepts, and counts the same headers and the same
 * framing, the message is refused.  Smuggling needs two readers that disagree;
 * here the first two sit in one function.
 */
#include "userspace/http/parser.h"

#include <llhttp.h>
#include <string.h>

#include "userspace/http/head.h"
#include "userspace/http/syntax.h"

void http_parser_init(struct http_parser *parser, enum http_kind kind)
{
	*parser = (struct http_parser){.kind = kind};
}

void http_parser_no_body(struct http_parser *parser)
{
	parser->no_body = true;
	if (parser->head_done)
		parser->framing = HTTP_BODY_NONE;
}

static enum http_parse refuse(struct http_parser *parser, int answer, const char *why)
{
	parser->why = why;
	parser->answer = answer;
	return HTTP_PARSE_BAD;
}

struct second_opinion {
	size_t header_count;
	bool reached;
};

static int count_header(llhttp_t *llhttp)
{
	((struct second_opinion *)llhttp->data)->header_count++;
	return 0;
}

static int stop_after_head(llhttp_t *llhttp)
{
	((struct second_opinion *)llhttp->data)->reached = true;
	return HPE_PAUSED;
}

static bool framing_agrees(const llhttp_t *llhttp, const struct http_head *head)
{
	bool has_length = head->content_length >= 0;

	return !!(llhttp->flags & F_CHUNKED) == head->chunked &&
	       !!(llhttp->flags & F_CONTENT_LENGTH) == has_length &&
	       (!has_length || llhttp->content_length == (uint64_t)head->content_length);
}

static enum http_parse ask_llhttp(struct http_parser *parser, const char *data, size_t length,
				  const struct http_head *head)
{
	static const llhttp_settings_t settings = {.on_header_value_complete = count_header,
						   .on_headers_complete = stop_after_head};
	struct second_opinion opinion = {0};
	llhttp_t llhttp;
	llhttp_errno_t err;

	llhttp_init(&llhttp, parser->kind == HTTP_REQUEST_MESSAGE ? HTTP_REQUEST : HTTP_RESPONSE,
		    &settings);
	llhttp.data = &opinion;
	err = llhttp_execute(&llhttp, data, length);
	if (err == HPE_INVALID_METHOD)
		return refuse(parser, 501, "the method is not known here");
	if (err != HPE_PAUSED || !opinion.reached)
		return refuse(parser, 400,
			      err ? llhttp_get_error_reason(&llhttp) : "the head has no clear end");
	if (opinion.header_count != head->header_count || !framing_agrees(&llhttp, head))
		return refuse(parser, 400, "the head can be read in two ways");
	return HTTP_PARSE_COMPLETE;
}

/* Where the first line begins: one empty line before a request is forgiven
 * (RFC 9112, 2.2). */
static size_t start_offset(const struct http_parser *parser, const char *data, size_t length)
{
	return parser->kind == HTTP_REQUEST_MESSAGE && length >= 2 && data[0] == '\r' &&
			       data[1] == '\n'
		       ? 2
		       : 0;
}

/* Something that cannot begin a message is refused before its line is whole: a
 * TLS hello, say, which may have no line end at all. */
static enum http_parse first_byte_check(struct http_parser *parser, const char *data)
{
	if (http_is_token_char((unsigned char)data[0]) ||
	    (parser->kind == HTTP_REQUEST_MESSAGE && data[0] == '\r'))
		return HTTP_PARSE_INCOMPLETE;
	return refuse(parser, 400, "this is not HTTP/1");
}

static enum http_parse start_line_read(struct http_parser *parser, const char *line, size_t length,
				       struct http_head *head)
{
	struct http_refusal refusal;

	if (length < 2 || line[length - 2] != '\r')
		return refuse(parser, 400, "the start line ends in a bare line feed");
	refusal = http_start_line_parse(parser->kind, (struct http_span){line, length - 2}, head);
	return refusal.why ? refuse(parser, refusal.answer, refusal.why) : HTTP_PARSE_COMPLETE;
}

/* Goes from line end to line end up to the empty line; COMPLETE leaves
 * parser->line at the head's length. */
static enum http_parse head_scan(struct http_parser *parser, const char *data, size_t length,
				 struct http_head *head)
{
	if (length && !parser->scanned && first_byte_check(parser, data) == HTTP_PARSE_BAD)
		return HTTP_PARSE_BAD;
	while (parser->scanned < length) {
		const char *end = memchr(data + parser->scanned, '\n', length - parser->scanned);
		size_t begin = parser->line;
		size_t size;

		if (!end) {
			parser->scanned = length;
			break;
		}
		parser->line = parser->scanned = (size_t)(end + 1 - data);
		size = parser->line - begin;
		if (begin == 0 && parser->line == start_offset(parser, data, length))
			continue;
		if (parser->lines++ == 0) {
			if (start_line_read(parser, data + begin, size, head) == HTTP_PARSE_BAD)
				return HTTP_PARSE_BAD;
		} else if (size == 1 || (size == 2 && data[begin] == '\r')) {
			return HTTP_PARSE_COMPLETE;
		}
	}
	return HTTP_PARSE_INCOMPLETE;
}

static enum http_framing framing_of(const struct http_parser *parser, const struct http_head *head)
{
	bool answer = parser->kind == HTTP_RESPONSE_MESSAGE;

	if (parser->no_body ||
	    (answer && (head->status < 200 || head->status == 204 || head->status == 304)))
		return HTTP_BODY_NONE;
	if (head->chunked)
		return HTTP_BODY_CHUNKED;
	if (head->content_length >= 0)
		return HTTP_BODY_LENGTH;
	return answer ? HTTP_BODY_UNTIL_CLOSE : HTTP_BODY_NONE;
}

/* `data` holds the whole head and nothing else. */
static enum http_parse head_read(struct http_parser *parser, const char *data, size_t length,
				 struct http_head *head)
{
	size_t start = start_offset(parser, data, length);
	const char *fields = (const char *)memchr(data + start, '\n', length - start) + 1;
	struct http_refusal refusal;

	if (start_line_read(parser, data + start, (size_t)(fields - data) - start, head) ==
	    HTTP_PARSE_BAD)
		return HTTP_PARSE_BAD;
	refusal = http_fields_parse((struct http_span){fields, length - (size_t)(fields - data)},
				    head);
	if (!refusal.why)
		refusal = http_head_settle(parser->kind, head);
	if (refusal.why)
		return refuse(parser, refusal.answer, refusal.why);
	return ask_llhttp(parser, data, length, head);
}

enum http_parse http_parser_head(struct http_parser *parser, const char *data, size_t length,
				 struct http_head *ret_head, size_t *ret_length)
{
	enum http_parse parse;

	if (parser->why)
		return HTTP_PARSE_BAD;
	parse = head_scan(parser, data, length, ret_head);
	if (parse == HTTP_PARSE_COMPLETE)
		parse = head_read(parser, data, parser->line, ret_head);
	if (parse != HTTP_PARSE_COMPLETE)
		return parse;
	parser->head_done = true;
	parser->framing = framing_of(parser, ret_head);
	if (parser->framing == HTTP_BODY_UNTIL_CLOSE)
		ret_head->keep_alive = false;
	if (parser->framing == HTTP_BODY_LENGTH)
		parser->remaining = (uint64_t)ret_head->content_length;
	*ret_length = parser->line;
	return HTTP_PARSE_COMPLETE;
}

static enum http_parse body_of_length(struct http_parser *parser, size_t length,
				      struct http_span *payload)
{
	payload->length = length < parser->remaining ? length : (size_t)parser->remaining;
	parser->remaining -= payload->length;
	return parser->remaining ? HTTP_PARSE_INCOMPLETE : HTTP_PARSE_COMPLETE;
}

enum http_parse http_parser_body(struct http_parser *parser, const char *data, size_t length,
				 size_t *ret_used, struct http_span *ret_payload)
{
	enum http_parse parse = HTTP_PARSE_COMPLETE;
	struct http_span payload = {data, 0};

	*ret_used = 0;
	*ret_payload = payload;
	if (parser->why)
		return HTTP_PARSE_BAD;
	if (parser->complete)
		return HTTP_PARSE_COMPLETE;
	switch (parser->framing) {
	case HTTP_BODY_NONE: break;
	case HTTP_BODY_LENGTH: parse = body_of_length(parser, length, &payload); break;
	case HTTP_BODY_UNTIL_CLOSE:
		payload.length = length;
		parse = HTTP_PARSE_INCOMPLETE;
		break;
	case HTTP_BODY_CHUNKED:
		parse = http_chunked_decode(&parser->chunked, data, length, ret_used, ret_payload,
					    &parser->why);
		if (parse == HTTP_PARSE_BAD)
			return refuse(parser, 400, parser->why);
		parser->complete = parse == HTTP_PARSE_COMPLETE;
		return parse;
	}
	*ret_used = payload.length;
	*ret_payload = payload;
	parser->complete = parse == HTTP_PARSE_COMPLETE;
	return parse;
}

enum http_parse http_parser_eof(struct http_parser *parser)
{
	if (parser->why)
		return HTTP_PARSE_BAD;
	if (!parser->head_done)
		return refuse(parser, 400, "the connection ended before the head was whole");
	if (parser->complete || parser->framing == HTTP_BODY_NONE ||
	    parser->framing == HTTP_BODY_UNTIL_CLOSE ||
	    (parser->framing == HTTP_BODY_LENGTH && !parser->remaining)) {
		parser->complete = true;
		return HTTP_PARSE_COMPLETE;
	}
	return refuse(parser, 400, "the connection ended before the body was whole");
}
