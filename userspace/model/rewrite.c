// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/model/rewrite.h"

#include <string.h>

#include "userspace/base/ascii.h"
#include "userspace/model/locate.h"
#include "userspace/model/name.h"

static void json_string_put(struct model_rewrite *rewrite, const char *name, size_t length)
{
	char *p = rewrite->bytes;
	size_t i;

	*p++ = '"';
	for (i = 0; i < length; i++) {
		if (name[i] == '"' || name[i] == '\\')
			*p++ = '\\';
		*p++ = name[i];
	}
	*p++ = '"';
	rewrite->length = (size_t)(p - rewrite->bytes);
}

bool model_rewrite_make(const struct model_request *request, const char *name, size_t length,
			struct model_rewrite *ret_rewrite)
{
	const struct model_facts *facts = request->facts;

	if (request->place == MODEL_PLACE_PATH || facts->name_begin == facts->name_end ||
	    model_name_check(name, length) != MODEL_OK)
		return false;
	ret_rewrite->begin = facts->name_begin;
	ret_rewrite->end = facts->name_end;
	if (!model_request_is_form(request)) {
		json_string_put(ret_rewrite, name, length);
		return true;
	}
	/* right behind the headers even the delimiter without its CRLF is one, for some */
	if (length >= 2 && !memcmp(name, "--", 2))
		return false;
	memcpy(ret_rewrite->bytes, name, length);
	ret_rewrite->length = length;
	return true;
}

uint64_t model_rewrite_body_length(const struct model_rewrite *rewrite, uint64_t body_length)
{
	return body_length - (rewrite->end - rewrite->begin) + rewrite->length;
}

static bool is_unreserved(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static void path_segment_put(struct text *out, const char *name, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (is_unreserved(name[i]))
			text_append(out, name + i, 1);
		else
			text_printf(out, "%%%02X", (unsigned char)name[i]);
	}
}

bool model_rewrite_path(struct model_text method, struct model_text path, const char *name,
			size_t length, struct text *out)
{
	const size_t begin = out->length;
	const struct path_row *row;
	struct model_facts facts;

	if (model_locate(method.data, method.length, path.data, path.length, &facts, &row) !=
	    MODEL_PLACE_PATH)
		return false;
	text_append(out, path.data, facts.name_begin);
	path_segment_put(out, name, length);
	text_append(out, path.data + facts.name_end, path.length - facts.name_end);
	/* judged again: a name may have dot segments, or not be of the pattern */
	return !out->cut &&
	       model_locate(method.data, method.length, out->data + begin, out->length - begin,
			    &facts, &row) == MODEL_PLACE_PATH &&
	       facts.name_length == length && !memcmp(facts.name, name, length);
}
