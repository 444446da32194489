// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/http/traceparent.h"

#include <string.h>

/* VERSION-TRACE-PARENT-FLAGS: where each begins */
enum { VERSION_AT = 0, TRACE_AT = 3, PARENT_AT = 36, FLAGS_AT = 53, LENGTH = 55 };

static bool is_hex(const char *data, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if ((data[i] < '0' || data[i] > '9') && (data[i] < 'a' || data[i] > 'f'))
			return false;
	}
	return true;
}

static bool is_zero(const char *data, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (data[i] != '0')
			return false;
	}
	return true;
}

/* Version 00 is of this length; later ones may say more behind a dash; ff is none. */
static bool is_valid(struct http_span value)
{
	const char *v = value.data;

	if (value.length < LENGTH || v[TRACE_AT - 1] != '-' || v[PARENT_AT - 1] != '-' ||
	    v[FLAGS_AT - 1] != '-' || !is_hex(v + VERSION_AT, 2) ||
	    !is_hex(v + TRACE_AT, TRACE_ID_LENGTH) || !is_hex(v + PARENT_AT, 16) ||
	    !is_hex(v + FLAGS_AT, 2))
		return false;
	if (is_zero(v + TRACE_AT, TRACE_ID_LENGTH) || is_zero(v + PARENT_AT, 16) ||
	    memcmp(v + VERSION_AT, "ff", 2) == 0)
		return false;
	if (value.length == LENGTH)
		return true;
	return memcmp(v + VERSION_AT, "00", 2) != 0 && v[LENGTH] == '-';
}

bool traceparent_id(const struct http_head *head, char ret_id[TRACE_ID_LENGTH + 1])
{
	const struct http_header *only = NULL;

	ret_id[0] = '\0';
	for (size_t i = 0; i < head->header_count; i++) {
		if (!http_span_equal_nocase(head->headers[i].name, "traceparent"))
			continue;
		if (only)
			return false;
		only = &head->headers[i];
	}
	if (!only || !is_valid(only->value))
		return false;
	memcpy(ret_id, only->value.data + TRACE_AT, TRACE_ID_LENGTH);
	ret_id[TRACE_ID_LENGTH] = '\0';
	return true;
}
