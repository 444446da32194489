/* SPDX-License-Identifier: BSD-2-Clause */
/* The chunked coding as a state machine over bytes; payload is handed out in
 * place.
 *
 * Our own instead of llhttp's because a gateway must be stricter than a client
 * library: a line ends in CRLF only, nothing but an extension may follow the
 * size, sizes stay below 2^60, trailers obey the rules of headers, and what
 * brings no payload is bounded.  The fuzz target holds it against llhttp.
 */
#include "userspace/http/chunked.h"

#include <stdbool.h>

#include "userspace/base/ascii.h"
#include "userspace/http/syntax.h"

#define SIZE_DIGITS_MAX 15

static const char *step_size(struct http_chunked *chunked, char c)
{
	int digit = ascii_hex_value(c);

	if (digit >= 0) {
		if (++chunked->digits > SIZE_DIGITS_MAX)
			return "a chunk size is too long";
		chunked->remaining = chunked->remaining << 4 | (unsigned)digit;
		return NULL;
	}
	if (!chunked->digits)
		return "a chunk size is not hexadecimal";
	if (c == '\r')
		chunked->state = CHUNKED_SIZE_LF;
	else if (c == ';')
		chunked->state = CHUNKED_EXTENSION;
	else
		return "a chunk size is not hexadecimal";
	return NULL;
}

/* Extensions and trailer values: any value character up to the line end. */
static const char *step_rest_of_line(struct http_chunked *chunked, char c,
				     enum http_chunked_state after_cr)
{
	if (++chunked->extra > HTTP_CHUNKED_EXTRA_MAX)
		return "chunk extensions and trailers are too long";
	if (c == '\r')
		chunked->state = after_cr;
	else if (!http_is_value_char((unsigned char)c))
		return "a chunk extension or trailer has a control character";
	return NULL;
}

static const char *step_trailer_name(struct http_chunked *chunked, char c)
{
	if (++chunked->extra > HTTP_CHUNKED_EXTRA_MAX)
		return "chunk extensions and trailers are too long";
	if (http_is_token_char((unsigned char)c))
		chunked->state = CHUNKED_TRAILER_NAME;
	else if (c == ':' && chunked->state == CHUNKED_TRAILER_NAME)
		chunked->state = CHUNKED_TRAILER_VALUE;
	else
		return "a trailer name is empty or has a forbidden character";
	return NULL;
}

static const char *step_line(struct http_chunked *chunked, char c)
{
	if (c != '\r')
		return step_trailer_name(chunked, c);
	chunked->state = CHUNKED_END_LF;
	return NULL;
}

static const char *step_expect(struct http_chunked *chunked, char c, char expected,
			       enum http_chunked_state next)
{
	if (c != expected)
		return "a line of the chunked body does not end in CRLF";
	chunked->state = next;
	return NULL;
}

static const char *step_data_end(struct http_chunked *chunked, char c)
{
	if (chunked->state == CHUNKED_DATA_CR)
		return step_expect(chunked, c, '\r', CHUNKED_DATA_LF);
	chunked->digits = 0;
	return step_expect(chunked, c, '\n', CHUNKED_SIZE);
}

static const char *step(struct http_chunked *chunked, char c)
{
	switch (chunked->state) {
	case CHUNKED_SIZE: return step_size(chunked, c);
	case CHUNKED_EXTENSION: return step_rest_of_line(chunked, c, CHUNKED_SIZE_LF);
	case CHUNKED_SIZE_LF:
		return step_expect(chunked, c, '\n',
				   chunked->remaining ? CHUNKED_DATA : CHUNKED_LINE);
	case CHUNKED_DATA_CR:
	case CHUNKED_DATA_LF: return step_data_end(chunked, c);
	case CHUNKED_LINE: return step_line(chunked, c);
	case CHUNKED_TRAILER_NAME: return step_trailer_name(chunked, c);
	case CHUNKED_TRAILER_VALUE: return step_rest_of_line(chunked, c, CHUNKED_TRAILER_LF);
	case CHUNKED_TRAILER_LF: return step_expect(chunked, c, '\n', CHUNKED_LINE);
	case CHUNKED_END_LF: return step_expect(chunked, c, '\n', CHUNKED_END);
	case CHUNKED_DATA:
	case CHUNKED_END: break;
	}
	return NULL;
}

static struct http_span take_data(struct http_chunked *chunked, const char *data, size_t length)
{
	if (length > chunked->remaining)
		length = chunked->remaining;
	chunked->remaining -= length;
	if (!chunked->remaining)
		chunked->state = CHUNKED_DATA_CR;
	return (struct http_span){data, length};
}

enum http_parse http_chunked_decode(struct http_chunked *chunked, const char *data, size_t length,
				    size_t *ret_used, struct http_span *ret_payload,
				    const char **ret_why)
{
	struct http_span payload = {data, 0};
	size_t i = 0;

	while (i < length && chunked->state != CHUNKED_END && chunked->state != CHUNKED_DATA) {
		const char *why = step(chunked, data[i]);

		if (why) {
			*ret_why = why;
			*ret_used = i;
			*ret_payload = payload;
			return HTTP_PARSE_BAD;
		}
		i++;
	}
	if (chunked->state == CHUNKED_DATA && i < length) {
		payload = take_data(chunked, data + i, length - i);
		i += payload.length;
	}
	*ret_used = i;
	*ret_payload = payload;
	return chunked->state == CHUNKED_END ? HTTP_PARSE_COMPLETE : HTTP_PARSE_INCOMPLETE;
}
