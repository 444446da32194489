// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/model_server/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_BYTES (256 * 1024)

void buffer_reserve(struct buffer *buffer, size_t length)
{
	size_t used = buffer_length(buffer);
	char *data;

	if (buffer->room - buffer->end >= length)
		return;
	if (buffer->start) {
		memmove(buffer->data, buffer->data + buffer->start, used);
		buffer->start = 0;
		buffer->end = used;
	}
	if (buffer->room - buffer->end >= length)
		return;
	buffer->room = (used + length) * 2;
	data = realloc(buffer->data, buffer->room);
	if (!data)
		abort();
	buffer->data = data;
}

void buffer_append(struct buffer *buffer, const void *data, size_t length)
{
	if (!length)
		return;
	buffer_reserve(buffer, length);
	memcpy(buffer->data + buffer->end, data, length);
	buffer->end += length;
}

void buffer_puts(struct buffer *buffer, const char *text)
{
	buffer_append(buffer, text, strlen(text));
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0)
		return;
	buffer_reserve(buffer, (size_t)length + 1);
	va_start(args, format);
	vsnprintf(buffer->data + buffer->end, (size_t)length + 1, format, args);
	va_end(args);
	buffer->end += (size_t)length;
}

void buffer_consume(struct buffer *buffer, size_t length)
{
	buffer->start += length;
	if (buffer->start == buffer->end)
		buffer->start = buffer->end = 0;
}

void buffer_clear(struct buffer *buffer)
{
	if (buffer->room > KEEP_BYTES)
		buffer_free(buffer);
	buffer->start = buffer->end = 0;
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){0};
}
