// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/model/name.h"

#include <string.h>

#include "userspace/base/text.h"

void model_name_begin(struct model_name *name, struct model_facts *facts)
{
	*name = (struct model_name){.facts = facts};
}

void model_name_append(struct model_name *name, const char *data, size_t length)
{
	size_t at = name->length, i;

	for (i = 0; i < length; i++)
		name->bad_chars |= (unsigned char)data[i] < 0x20 || data[i] == 0x7f;
	name->length += length;
	if (at >= MODEL_NAME_MAX)
		return;
	if (length > MODEL_NAME_MAX - at)
		length = MODEL_NAME_MAX - at;
	memcpy(name->facts->name + at, data, length);
}

static bool is_utf8(const char *data, size_t length)
{
	const unsigned char *p = (const unsigned char *)data;
	size_t n;

	for (; length; p += n, length -= n) {
		n = utf8_length(p, length);
		if (!n)
			return false;
	}
	return true;
}

enum model_verdict model_name_judge(struct model_name *name)
{
	if (!name->length)
		return MODEL_EMPTY;
	if (name->bad_chars)
		return MODEL_BAD_CHARS;
	if (name->length > MODEL_NAME_MAX)
		return MODEL_TOO_LONG;
	if (!is_utf8(name->facts->name, name->length))
		return MODEL_BAD_UTF8;
	name->facts->name[name->length] = '\0';
	name->facts->name_length = name->length;
	return MODEL_OK;
}

enum model_verdict model_name_check(const char *name, size_t length)
{
	struct model_facts facts;
	struct model_name judged;

	model_name_begin(&judged, &facts);
	model_name_append(&judged, name, length);
	return model_name_judge(&judged);
}

void model_name_forget(struct model_facts *facts)
{
	facts->name[0] = '\0';
	facts->name_length = 0;
	facts->name_begin = facts->name_end = 0;
}
