/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes that grow at the end and are consumed at the front.  A test tool's
 * buffer: it allocates; out of memory ends the process. */
#ifndef SLUICE_TESTS_MODEL_SERVER_BUFFER_H
#define SLUICE_TESTS_MODEL_SERVER_BUFFER_H

#include <stddef.h>

struct buffer {
	char *data; /* NULL or malloc'd */
	size_t start; /* consumed up to here */
	size_t end;
	size_t room;
};

/* At least `length` bytes of room after data + end. */
void buffer_reserve(struct buffer *buffer, size_t length);
void buffer_append(struct buffer *buffer, const void *data, size_t length);
void buffer_puts(struct buffer *buffer, const char *text);
void buffer_printf(struct buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void buffer_consume(struct buffer *buffer, size_t length);
/* Empty; memory beyond 256 KiB is given back. */
void buffer_clear(struct buffer *buffer);
void buffer_free(struct buffer *buffer);

static inline size_t buffer_length(const struct buffer *buffer)
{
	return buffer->end - buffer->start;
}

#endif
