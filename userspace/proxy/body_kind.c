// SPDX-License-Identifier: BSD-2-Clause
/* Inference APIs are known by their path.  Any other body that says it is JSON
 * is scanned too, so that a model named twice is refused wherever it is sent. */
#include "userspace/proxy/body_kind.h"

#include <string.h>

#include "userspace/model/locate.h"

/* "application/json" or "application/problem+json", parameters aside. */
static bool content_is_json(const struct http_head *head)
{
	const struct http_header *type = http_head_find(head, "content-type");
	struct http_span value;
	const char *end;

	if (!type)
		return false;
	value = type->value;
	end = memchr(value.data, ';', value.length);
	if (end)
		value.length = (size_t)(end - value.data);
	value = http_span_trim(value);
	if (http_span_equal_nocase(value, "application/json") ||
	    http_span_equal_nocase(value, "text/json"))
		return true;
	return value.length > 5 &&
	       http_span_equal_nocase((struct http_span){value.data + value.length - 5, 5},
				      "+json");
}

enum body_kind body_kind_of(const struct http_head *head, struct http_span path)
{
	switch (model_place_find(head->method.data, head->method.length, path.data, path.length)) {
	case MODEL_PLACE_BODY: return BODY_JSON_MODEL;
	case MODEL_PLACE_BLOCKED: return BODY_BLOCKED;
	case MODEL_PLACE_BAD: return BODY_BAD_PATH;
	case MODEL_PLACE_NONE: break;
	}
	return content_is_json(head) ? BODY_JSON : BODY_PLAIN;
}
