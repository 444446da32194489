// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void text_init(struct text *text, char *buffer, size_t size)
{
	*text = (struct text){.data = buffer, .size = size};
	buffer[0] = '\0';
}

void text_append(struct text *text, const char *data, size_t length)
{
	size_t room = text->size - 1 - text->length;

	if (length > room) {
		length = room;
		text->cut = true;
	}
	memcpy(text->data + text->length, data, length);
	text->length += length;
	text->data[text->length] = '\0';
}

void text_puts(struct text *text, const char *string)
{
	text_append(text, string, strlen(string));
}

static void digits_put(struct text *text, uint64_t value, unsigned base)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	text_append(text, digits + at, sizeof(digits) - at);
}

void text_uint(struct text *text, uint64_t value)
{
	digits_put(text, value, 10);
}

void text_hex(struct text *text, uint64_t value)
{
	digits_put(text, value, 16);
}

void text_printf(struct text *text, const char *format, ...)
{
	size_t room = text->size - text->length;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text->data + text->length, room, format, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n >= room) {
		text->length = text->size - 1;
		text->cut = true;
	} else {
		text->length += (size_t)n;
	}
}

/* Unicode 15, table 3-7. */
size_t utf8_length(const unsigned char *p, size_t left)
{
	size_t length;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		length = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		length = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (left < length)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return length;
}

void text_json_escape(struct text *text, const char *data, size_t length)
{
	const unsigned char *p = (const unsigned char *)data;

	for (size_t i = 0; i < length;) {
		size_t n = utf8_length(p + i, length - i);

		if (n == 0) {
			text_puts(text, "\\ufffd");
			i++;
			continue;
		}
		if (p[i] == '"' || p[i] == '\\') {
			char pair[2] = {'\\', (char)p[i]};

			text_append(text, pair, 2);
		} else if (p[i] < 0x20) {
			text_printf(text, "\\u%04x", p[i]);
		} else {
			text_append(text, (const char *)p + i, n);
		}
		i += n;
	}
}

static void member_begin(struct text *text, const char *name)
{
	char last = text->length ? text->data[text->length - 1] : '{';

	if (last != '{' && last != '[')
		text_puts(text, ",");
	text_printf(text, "\"%s\":", name);
}

void text_json_string(struct text *text, const char *name, const char *value, size_t length)
{
	member_begin(text, name);
	text_puts(text, "\"");
	text_json_escape(text, value, length);
	text_puts(text, "\"");
}

void text_json_uint(struct text *text, const char *name, uint64_t value)
{
	member_begin(text, name);
	text_uint(text, value);
}

void text_json_double(struct text *text, const char *name, double value, int decimals)
{
	member_begin(text, name);
	if (isfinite(value))
		text_printf(text, "%.*f", decimals, value);
	else
		text_puts(text, "null");
}

void text_json_bool(struct text *text, const char *name, bool value)
{
	member_begin(text, name);
	text_puts(text, value ? "true" : "false");
}
