/* SPDX-License-Identifier: BSD-2-Clause */
/* Text appended to a fixed buffer: never past its end, always terminated, and
 * remembers that it was cut.  With a small JSON writer on top, used where a
 * line must be written without allocating. */
#ifndef SLUICE_BASE_TEXT_H
#define SLUICE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *data; /* the caller's */
	size_t size; /* of data, NUL included; at least 1 */
	size_t length;
	bool cut; /* something did not fit */
};

#define TEXT_INIT(buffer) ((struct text){.data = (buffer), .size = sizeof(buffer)})

void text_init(struct text *text, char *buffer, size_t size);
void text_append(struct text *text, const char *data, size_t length);
void text_puts(struct text *text, const char *string);
/* Without the cost of a format, for what every request or token writes. */
void text_uint(struct text *text, uint64_t value);
void text_hex(struct text *text, uint64_t value);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The inside of a JSON string: quotes, backslashes and control characters
 * escaped, bytes that are not UTF-8 replaced by U+FFFD. */
void text_json_escape(struct text *text, const char *data, size_t length);

/* Members of an object, comma included from the second on:
 * `"name":value`.  Begin and end with text_puts "{" and "}". */
void text_json_string(struct text *text, const char *name, const char *value, size_t length);
void text_json_uint(struct text *text, const char *name, uint64_t value);
void text_json_double(struct text *text, const char *name, double value, int decimals);
void text_json_bool(struct text *text, const char *name, bool value);

/* Length of the well-formed UTF-8 sequence at p, of which `left` bytes are there; 0: none. */
size_t utf8_length(const unsigned char *p, size_t left);

#endif
