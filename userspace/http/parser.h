/* SPDX-License-Identifier: BSD-2-Clause */
/* HTTP/1.1 messages, read strictly (RFC 9112), on llhttp.
 *
 * The head is parsed once it is whole, so every span points into the caller's
 * buffer and nothing is copied; the body is then decoded span by span as it
 * arrives.  What RFC 9112 calls ambiguous is refused: Content-Length beside
 * Transfer-Encoding, two Content-Length, bare CR or LF, obs-fold, spaces before
 * the colon, any transfer coding but chunked, two Host, a Host that is not the
 * one of an absolute target.
 */
#ifndef SLUICE_HTTP_PARSER_H
#define SLUICE_HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "userspace/http/chunked.h"
#include "userspace/http/span.h"

#define HTTP_HEADERS_MAX 128

enum http_kind { HTTP_REQUEST_MESSAGE, HTTP_RESPONSE_MESSAGE };

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
	bool upgrade; /* Connection: upgrade, CONNECT, or status 101 */
	bool expect_continue;
	int64_t content_length; /* -1: none given */
	size_t header_count;
	struct http_header headers[HTTP_HEADERS_MAX];
};

/* How the end of the body is found (RFC 9112, 6.3) */
enum http_framing { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED, HTTP_BODY_UNTIL_CLOSE };

/* One message; embed it, no heap.  Valid for one connection direction. */
struct http_parser {
	const char *why; /* BAD: the reason, for people */
	int answer; /* BAD: the status a server should answer with: 400, 431, 501, 505 */
	enum http_kind kind;
	enum http_framing framing;
	bool head_done;
	bool no_body; /* the answer to HEAD */
	bool complete;
	size_t line; /* of the head: where the first unfinished line begins, */
	size_t scanned; /* and up to where it has no line end */
	unsigned lines; /* finished ones */
	uint64_t remaining; /* HTTP_BODY_LENGTH */
	struct http_chunked chunked;
};

/* Ready for the next message of `kind`. */
void http_parser_init(struct http_parser *parser, enum http_kind kind);

/* Call with all bytes received so far of a message.  COMPLETE: *ret_head is
 * filled, its spans point into `data`, *ret_length is the head's length.  BAD:
 * parser->why says why in words.  INCOMPLETE: call again with more bytes at the
 * same or another place (pointers are not kept, and bytes seen are not read
 * twice until the head is whole).  The caller bounds the length. */
enum http_parse http_parser_head(struct http_parser *parser, const char *data, size_t length,
				 struct http_head *ret_head, size_t *ret_length);

/* Responses: the request was HEAD, so no body follows whatever the head says.
 * Call it before or after http_parser_head. */
void http_parser_no_body(struct http_parser *parser);

/* Decodes the next span of the body from `data`.  *ret_used bytes were consumed
 * (framing and payload), *ret_payload may be empty.  INCOMPLETE: go on with the
 * rest, or with more bytes.  COMPLETE: the message ended, perhaps with this
 * payload; bytes after *ret_used belong to the next one.  Also returns COMPLETE
 * at once, using 0 bytes, for a message without body.  BAD: no payload; the bytes
 * before the bad one are used. */
enum http_parse http_parser_body(struct http_parser *parser, const char *data, size_t length,
				 size_t *ret_used, struct http_span *ret_payload);

/* The connection ended.  COMPLETE: that ends a message whose length nobody gave. */
enum http_parse http_parser_eof(struct http_parser *parser);

/* First header of that name (any case), or NULL. */
const struct http_header *http_head_find(const struct http_head *head, const char *name);

#endif
