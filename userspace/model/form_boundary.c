// SPDX-License-Identifier: BSD-2-Clause
/* What a form's Content-Type says: the boundary, and that it is in UTF-8.  Servers
 * read parameters in many ways (quotes, escapes, RFC 2231, the first or the last
 * of two), so only what has one reading is taken. */
#include "userspace/model/form_boundary.h"

#include <string.h>
#include <strings.h>

#include "userspace/base/ascii.h"

struct span {
	const char *data;
	size_t length;
};

static void blanks_skip(struct span *rest)
{
	while (rest->length && ascii_is_blank(*rest->data)) {
		rest->data++;
		rest->length--;
	}
}

static bool span_is(struct span span, const char *text)
{
	return span.length == strlen(text) && !strncasecmp(span.data, text, span.length);
}

/* Up to one of `ends`. */
static struct span span_until(struct span *rest, const char *ends)
{
	struct span got = {rest->data, 0};

	while (rest->length && !strchr(ends, *rest->data)) {
		rest->data++;
		rest->length--;
		got.length++;
	}
	return got;
}

/* A value without its quotes; false: it has an escape, or no end. */
static bool value_take(struct span *rest, struct span *ret_value)
{
	if (!rest->length || *rest->data != '"') {
		*ret_value = span_until(rest, "; \t\"\\");
		return true;
	}
	rest->data++;
	rest->length--;
	*ret_value = span_until(rest, "\"\\");
	if (!rest->length || *rest->data != '"')
		return false;
	rest->data++;
	rest->length--;
	return true;
}

/* The next "; name=value"; false: none, or it cannot be read (*ret_bad). */
static bool param_take(struct span *rest, struct span *ret_name, struct span *ret_value,
		       bool *ret_bad)
{
	*ret_bad = false;
	blanks_skip(rest);
	if (!rest->length)
		return false;
	*ret_bad = true;
	if (*rest->data != ';')
		return false;
	rest->data++;
	rest->length--;
	blanks_skip(rest);
	if (!rest->length) { /* a ';' at the very end says nothing */
		*ret_bad = false;
		return false;
	}
	*ret_name = span_until(rest, "=; \t\"");
	if (!rest->length || *rest->data != '=')
		return false;
	rest->data++;
	rest->length--;
	if (!value_take(rest, ret_value))
		return false;
	*ret_bad = false;
	return true;
}

bool content_type_is(const char *value, size_t length, const char *type)
{
	struct span rest = {value, length};

	blanks_skip(&rest);
	return span_is(span_until(&rest, "; \t"), type);
}

static bool is_boundary(struct span value)
{
	static const char allowed[] = "'()+_,-./:=? ";
	size_t i;

	if (!value.length || value.length > FORM_BOUNDARY_MAX ||
	    value.data[value.length - 1] == ' ')
		return false;
	for (i = 0; i < value.length; i++) {
		char c = value.data[i], letter = (char)(c | 0x20);

		if ((c < '0' || c > '9') && (letter < 'a' || letter > 'z') &&
		    (!c || !strchr(allowed, c)))
			return false;
	}
	return true;
}

static bool is_readable_charset(struct span value)
{
	return span_is(value, "utf-8") || span_is(value, "utf8") || span_is(value, "us-ascii");
}

enum model_verdict form_boundary_find(const char *content_type, size_t length,
				      const char **ret_boundary, size_t *ret_length)
{
	struct span rest = {content_type, length}, boundary = {"", 0}, name, value;
	bool bad;

	span_until(&rest, "; \t");
	while (param_take(&rest, &name, &value, &bad)) {
		if (span_is(name, "boundary")) {
			if (boundary.length || !is_boundary(value))
				return MODEL_NO_BOUNDARY;
			boundary = value;
		} else if (name.length > 8 && !strncasecmp(name.data, "boundary*", 9)) {
			return MODEL_NO_BOUNDARY; /* RFC 2231: some know it */
		} else if (name.length >= 7 && !strncasecmp(name.data, "charset", 7) &&
			   (name.length > 7 || !is_readable_charset(value))) {
			return MODEL_ENCODED;
		}
	}
	if (bad || !boundary.length)
		return MODEL_NO_BOUNDARY;
	*ret_boundary = boundary.data;
	*ret_length = boundary.length;
	return MODEL_OK;
}
