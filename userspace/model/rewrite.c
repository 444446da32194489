// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/model/rewrite.h"

#include <string.h>

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

	if (facts->name_begin == facts->name_end || model_name_check(name, length) != MODEL_OK)
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
