/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes inside somebody else's buffer, and the few questions asked of them. */
#ifndef SLUICE_HTTP_SPAN_H
#define SLUICE_HTTP_SPAN_H

#include <stdbool.h>
#include <stddef.h>

struct http_span {
	const char *data;
	size_t length;
};

/* What reading a piece of a message gave. */
enum http_parse { HTTP_PARSE_INCOMPLETE, HTTP_PARSE_COMPLETE, HTTP_PARSE_BAD };

bool http_span_equal(struct http_span span, const char *text); /* case counts */
bool http_span_equal_nocase(struct http_span span, const char *text); /* ASCII */
bool http_span_same_nocase(struct http_span a, struct http_span b); /* ASCII */
/* Without spaces and tabs at both ends. */
struct http_span http_span_trim(struct http_span span);
/* Cuts the first element off a comma-separated list, trimmed, perhaps empty;
 * false when nothing is left. */
bool http_span_next_token(struct http_span *list, struct http_span *ret_token);
/* Is `token` an element of a comma-separated list value, any case? */
bool http_span_has_token(struct http_span span, const char *token);

#endif
