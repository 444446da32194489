/* SPDX-License-Identifier: BSD-2-Clause */
/* Spans compared, trimmed and cut at commas, in ASCII whatever the locale. */
#include "userspace/http/span.h"

#include <string.h>

#include "userspace/base/ascii.h"

bool http_span_equal(struct http_span span, const char *text)
{
	/* an empty span may point nowhere, which memcmp() may not be given */
	return span.length == strlen(text) &&
	       (!span.length || memcmp(span.data, text, span.length) == 0);
}

bool http_span_equal_nocase(struct http_span span, const char *text)
{
	size_t i;

	for (i = 0; i < span.length; i++)
		if (!text[i] || ascii_lower(span.data[i]) != ascii_lower(text[i]))
			return false;
	return !text[i];
}

bool http_span_same_nocase(struct http_span a, struct http_span b)
{
	if (a.length != b.length)
		return false;
	for (size_t i = 0; i < a.length; i++) {
		if (ascii_lower(a.data[i]) != ascii_lower(b.data[i]))
			return false;
	}
	return true;
}

struct http_span http_span_trim(struct http_span span)
{
	while (span.length && ascii_is_blank(span.data[0])) {
		span.data++;
		span.length--;
	}
	while (span.length && ascii_is_blank(span.data[span.length - 1]))
		span.length--;
	return span;
}

bool http_span_next_token(struct http_span *list, struct http_span *ret_token)
{
	const char *comma;
	size_t length;

	if (!list->length)
		return false;
	comma = memchr(list->data, ',', list->length);
	length = comma ? (size_t)(comma - list->data) : list->length;
	*ret_token = http_span_trim((struct http_span){list->data, length});
	length += comma != NULL;
	list->data += length;
	list->length -= length;
	return true;
}

bool http_span_has_token(struct http_span span, const char *token)
{
	struct http_span element;

	while (http_span_next_token(&span, &element))
		if (http_span_equal_nocase(element, token))
			return true;
	return false;
}
