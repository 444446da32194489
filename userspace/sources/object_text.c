// SPDX-License-Identifier: BSD-2-Clause
/* Strings inside objects: what the API's own schemas would have refused is
 * refused here too, because nothing else stands between a file and us. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "userspace/model/name.h"
#include "userspace/sources/object_table.h"

/* Lower case letters, digits, '-' and '.', beginning and ending with the former two. */
static bool is_dns(const char *text)
{
	const size_t length = strlen(text);

	for (size_t i = 0; i < length; i++) {
		const char c = text[i];

		if (!islower((unsigned char)c) && !isdigit((unsigned char)c) &&
		    ((c != '-' && c != '.') || i == 0 || i == length - 1))
			return false;
	}
	return length > 0 && length <= 253;
}

const char *text_check_name(const char *text)
{
	return is_dns(text) ? NULL : "not a name of lower case letters, digits, '-' and '.'";
}

const char *text_check_host(const char *text)
{
	return is_dns(text) ? NULL : "not a host name in lower case";
}

const char *text_check_hostname(const char *text)
{
	return text_check_host(strncmp(text, "*.", 2) == 0 ? text + 2 : text);
}

const char *text_check_header(const char *text)
{
	for (const char *p = text; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("!#$%&'*+-.^_`|~", *p))
			return "not a header name";
	}
	return *text && strlen(text) <= 256 ? NULL : "not a header name of 1 to 256 characters";
}

const char *text_check_header_edit(const char *text)
{
	static const char *const kept[] = {
		"content-length",
		"transfer-encoding",
		"connection",
		"keep-alive",
		"proxy-connection",
		"te",
		"upgrade",
		"expect",
		"trailer",
		"proxy-authenticate",
		"proxy-authorization",
	};

	if (strcasecmp(text, "host") == 0)
		return "Host is not a filter's to edit; use urlRewrite.hostname";
	if (strncasecmp(text, "x-gateway-", 10) == 0)
		return "X-Gateway- headers are set by the gateway alone";
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (strcasecmp(text, kept[i]) == 0)
			return "a header that frames messages or belongs to one connection";
	}
	return text_check_header(text);
}

const char *text_check_value(const char *text)
{
	for (const char *p = text; *p; p++) {
		if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
			return "it contains a control character";
	}
	return strlen(text) <= 4096 ? NULL : "longer than 4096 characters";
}

const char *text_check_path(const char *text)
{
	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f)
			return "not a path: it contains a space, a control character or no ASCII";
	}
	if (strlen(text) > 1024)
		return "longer than 1024 characters";
	return text[0] == '/' ? NULL : "it does not begin with /";
}

const char *text_check_model(const char *text)
{
	enum model_verdict verdict = model_name_check(text, strlen(text));

	switch (verdict) {
	case MODEL_OK: return NULL;
	case MODEL_EMPTY: return "empty";
	case MODEL_TOO_LONG: return "longer than 512 bytes";
	default: return "not a model's name: it has control characters or is not UTF-8";
	}
}

const char *text_check_not_empty(const char *text)
{
	return *text ? NULL : "empty";
}

static const char origin_wrong[] = "not an origin like https://app.example.com, "
				   "https://*.example.com:8443 or *";

const char *text_check_origin(const char *text)
{
	size_t length, digits;

	if (strcmp(text, "*") == 0)
		return NULL;
	if (strncmp(text, "http", 4) != 0 || strlen(text) > 253)
		return origin_wrong;
	text += text[4] == 's' ? 5 : 4;
	if (strncmp(text, "://", 3) != 0)
		return origin_wrong;
	text += 3;
	if (text[0] == '*' && (text[1] == ':' || !text[1]))
		length = 1;
	else
		length = (text[0] == '*' && text[1] == '.' ? 2 : 0);
	while (isalnum((unsigned char)text[length]) ||
	       (length && text[length] && strchr("-.", text[length])))
		length++;
	digits = text[length] == ':' ? strspn(text + length + 1, "0123456789") : 0;
	if (!length || text[length - 1] == '.' || (text[length] && (!digits || digits > 5)) ||
	    (text[length] && text[length + 1 + digits]))
		return origin_wrong;
	return NULL;
}

/* One "1h" of a duration. */
static const char *duration_part(const char *p, int64_t *ret_ms)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = {{"ms", 1}, {"h", 3600000}, {"m", 60000}, {"s", 1000}};
	const char *start = p;
	int64_t number = 0;

	while (isdigit((unsigned char)*p) && p - start < 6)
		number = number * 10 + (*p++ - '0');
	if (p == start || p - start > 5)
		return NULL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		const size_t length = strlen(units[i].unit);

		if (strncmp(p, units[i].unit, length) == 0) {
			*ret_ms += number * units[i].ms;
			return p + length;
		}
	}
	return NULL;
}

int duration_parse(const char *text, int64_t *ret_ms)
{
	int64_t ms = 0;
	int parts = 0;

	while (text && *text && parts < 4) {
		text = duration_part(text, &ms);
		parts++;
	}
	if (!text || *text || parts == 0)
		return -EINVAL;
	*ret_ms = ms;
	return 0;
}

int time_parse(const char *text, uint64_t *ret_seconds)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int hours, minutes;
	time_t seconds;

	if (!rest)
		return -EINVAL;
	if (*rest == '.') {
		do {
			rest++;
		} while (isdigit((unsigned char)*rest));
	}
	seconds = timegm(&tm);
	if ((*rest == '+' || *rest == '-') && strlen(rest) == 6 && rest[3] == ':') {
		hours = atoi(rest + 1);
		minutes = atoi(rest + 4);
		seconds -= (*rest == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
	} else if (strcmp(rest, "Z") != 0 && strcmp(rest, "z") != 0) {
		return -EINVAL;
	}
	if (seconds < 0)
		return -EINVAL;
	*ret_seconds = (uint64_t)seconds;
	return 0;
}
