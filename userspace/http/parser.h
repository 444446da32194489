/* SPDX-License-Identifier: BSD-2-Clause */
/* HTTP/1.1 messages, read strictly (RFC 9112), on llhttp.
 *
 * The head is parsed once it is whole, so every span points into the caller's
 * buffer and nothing is copied; the body is then decoded span by span as it
 * arrives.  What RFC 9112 calls ambiguous is refused: Content-Length beside
 * Transfer-Encoding, differing lengths, bare CR or LF, obs-fold, spaces before
 * the colon, any transfer coding but chunked.
 */
#ifndef SLUICE_HTTP_PARSER_H
#define SLUICE_HTTP_PARSER_H

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEADERS_MAX 128

enum http_kind { HTTP_REQUEST_MESSAGE, HTTP_RESPONSE_MESSAGE };

struct http_span {
	const char *data;
	size_t length;
};

struct http_header {
	struct http_span name;
	struct http_span value; /* without surrounding white space */
};

struct http_head {
	struct http_span method; /* requests */
	struct http_span target; /* requests: as sent */
	int status; /* responses */
	int minor; /* HTTP/1.minor */
	bool keep_alive; /* the sender would keep the connection */
	bool chunked;
	bool upgrade; /* Connection: upgrade, or CONNECT */
	bool expect_continue;
	int64_t content_length; /* -1: none given */
	size_t header_count;
	struct http_header headers[HTTP_HEADERS_MAX];
};

enum http_parse { HTTP_PARSE_INCOMPLETE, HTTP_PARSE_COMPLETE, HTTP_PARSE_BAD };

/* One message; embed it, no heap.  Valid for one connection direction. */
struct http_parser {
	llhttp_t llhttp;
	struct http_head *head; /* where spans go while the head is parsed */
	struct http_span payload;
	const char *why;
	bool head_done;
	bool complete;
	size_t trailer_bytes;
};

/* Ready for the next message of `kind`. */
void http_parser_init(struct http_parser *parser, enum http_kind kind);

/* Call with all bytes received so far of a message.  COMPLETE: *ret_head is
 * filled, its spans point into `data`, *ret_length is the head's length.  BAD:
 * parser->why says why in words.  INCOMPLETE: call again with more bytes at the
 * same or another place (nothing is kept).  The caller bounds the length. */
enum http_parse http_parser_head(struct http_parser *parser, const char *data, size_t length,
				 struct http_head *ret_head, size_t *ret_length);

/* Responses: the request was HEAD, so no body follows whatever the head says. */
void http_parser_no_body(struct http_parser *parser);

/* Decodes the next span of the body from `data`.  *ret_used bytes were consumed
 * (framing and payload), *ret_payload may be empty.  INCOMPLETE: go on with the
 * rest, or with more bytes.  COMPLETE: the message ended; bytes after *ret_used
 * belong to the next one.  Also returns COMPLETE at once, using 0 bytes, for a
 * message without body. */
enum http_parse http_parser_body(struct http_parser *parser, const char *data, size_t length,
				 size_t *ret_used, struct http_span *ret_payload);

/* The connection ended.  COMPLETE: that ends a message whose length nobody gave. */
enum http_parse http_parser_eof(struct http_parser *parser);

/* First header of that name (any case), or NULL. */
const struct http_header *http_head_find(const struct http_head *head, const char *name);
bool http_span_equal(struct http_span span, const char *text); /* case counts */
bool http_span_equal_nocase(struct http_span span, const char *text); /* ASCII */
/* Is `token` an element of a comma-separated list value, any case? */
bool http_span_has_token(struct http_span span, const char *token);

#endif
