/* SPDX-License-Identifier: BSD-2-Clause */
/* Byte classes in one table of 256 entries, so that a head costs one look-up a
 * byte.  llhttp is laxer here (it lets obs-fold and lone line feeds pass), and what
 * one parser folds another splits: every line goes through this file first.
 */
#include "userspace/http/syntax.h"

#include <stdint.h>
#include <string.h>

#include "userspace/base/ascii.h"

enum { TOKEN = 1, VALUE = 2, AUTHORITY = 4 };

#define DIGITS(bits) ['0' ... '9'] = (bits)
#define LETTERS(bits) ['A' ... 'Z'] = (bits), ['a' ... 'z'] = (bits)

static const uint8_t classes[256] = {
	['\t'] = VALUE,
	[' '] = VALUE,
	['!'] = VALUE | TOKEN,
	['"'] = VALUE,
	['#'] = VALUE | TOKEN,
	['$'] = VALUE | TOKEN,
	['%'] = VALUE | TOKEN | AUTHORITY,
	['&'] = VALUE | TOKEN,
	['\''] = VALUE | TOKEN,
	['('] = VALUE,
	[')'] = VALUE,
	['*'] = VALUE | TOKEN,
	['+'] = VALUE | TOKEN,
	[','] = VALUE,
	['-'] = VALUE | TOKEN | AUTHORITY,
	['.'] = VALUE | TOKEN | AUTHORITY,
	['/'] = VALUE,
	DIGITS(VALUE | TOKEN | AUTHORITY),
	[':'] = VALUE | AUTHORITY,
	[';'] = VALUE,
	['<'] = VALUE,
	['='] = VALUE,
	['>'] = VALUE,
	['?'] = VALUE,
	['@'] = VALUE,
	LETTERS(VALUE | TOKEN | AUTHORITY),
	['['] = VALUE | AUTHORITY,
	['\\'] = VALUE,
	[']'] = VALUE | AUTHORITY,
	['^'] = VALUE | TOKEN,
	['_'] = VALUE | TOKEN | AUTHORITY,
	['`'] = VALUE | TOKEN,
	['{'] = VALUE,
	['|'] = VALUE | TOKEN,
	['}'] = VALUE,
	['~'] = VALUE | TOKEN | AUTHORITY,
	[0x80 ... 0xff] = VALUE,
};

bool http_is_token_char(unsigned char c)
{
	return classes[c] & TOKEN;
}

bool http_is_value_char(unsigned char c)
{
	return classes[c] & VALUE;
}

static bool all_of(struct http_span span, uint8_t class)
{
	uint8_t seen = class;
	size_t i;

	for (i = 0; i < span.length; i++)
		seen &= classes[(unsigned char)span.data[i]];
	return seen;
}

bool http_is_token(struct http_span span)
{
	return span.length && all_of(span, TOKEN);
}

bool http_is_value(struct http_span span)
{
	return all_of(span, VALUE);
}

bool http_is_authority(struct http_span span)
{
	return all_of(span, AUTHORITY);
}

const char *http_field_line_check(struct http_span line)
{
	const char *colon = memchr(line.data, ':', line.length);
	struct http_span name, value;

	if (line.length && ascii_is_blank(line.data[0]))
		return "a header line begins with white space (obs-fold)";
	if (!colon)
		return "a header line has no colon";
	name = (struct http_span){line.data, (size_t)(colon - line.data)};
	value = (struct http_span){colon + 1, line.length - name.length - 1};
	if (name.length && ascii_is_blank(colon[-1]))
		return "white space before the colon of a header";
	if (!http_is_token(name))
		return "a header name is empty or has a forbidden character";
	if (!http_is_value(value))
		return "a header value has a control character";
	return NULL;
}
