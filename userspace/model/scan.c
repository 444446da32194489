/* SPDX-License-Identifier: BSD-2-Clause */
/* A JSON grammar as a state machine over bytes.
 *
 * Each state is a function that takes as many bytes as belong to it and leaves
 * the next state behind, so the input may end anywhere.  Nesting is one bit a
 * level.  Strings are skipped by vector compare; only top-level keys and the
 * model's own string are unescaped and kept.  UTF-8 is checked in every string;
 * outside strings JSON is ASCII.  The first error in the order of bytes is the
 * verdict, which is why no chunking can change it.
 */
#include "userspace/model/scan.h"

#include <string.h>

#include "userspace/base/cleanup.h"

enum state {
	BEGIN, /* nothing seen */
	BOM_UTF8_2,
	BOM_UTF8_3,
	BOM_UTF16_LE,
	BOM_UTF16_BE,
	TOP, /* white space seen, no value yet */
	VALUE, /* a value must come */
	FIRST_KEY, /* after '{': a key, or '}' */
	KEY, /* after ',' in an object: a key */
	COLON,
	FIRST_VALUE, /* after '[': a value, or ']' */
	AFTER_VALUE, /* ',' or the end of the container */
	STRING,
	ESCAPE,
	ESCAPE_HEX,
	LITERAL,
	NUMBER_MINUS,
	NUMBER_ZERO,
	NUMBER_DIGITS,
	NUMBER_POINT,
	NUMBER_FRACTION,
	NUMBER_E,
	NUMBER_E_SIGN,
	NUMBER_EXPONENT,
	END, /* white space only */
	FAILED,
	STATE_COUNT,
};

enum key { KEY_OTHER, KEY_MODEL, KEY_STREAM, KEY_MAX_TOKENS, KEY_TEXT };

enum role { ROLE_SKIP, ROLE_TOP_KEY, ROLE_NESTED_KEY, ROLE_MODEL, ROLE_TEXT };

enum literal { LITERAL_TRUE, LITERAL_FALSE, LITERAL_NULL };
static const char *const literals[] = {"true", "false", "null"};

/* A token id in a prompt counts like a token's worth of text. */
#define TEXT_BYTES_A_TOKEN 4

typedef const uint8_t *(*step_function)(struct model_scan *scan, const uint8_t *p,
					const uint8_t *end);

static const uint8_t *fail(struct model_scan *scan, enum model_verdict verdict, const uint8_t *p)
{
	scan->verdict = verdict;
	scan->state = FAILED;
	return p;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static const uint8_t *skip_space(const uint8_t *p, const uint8_t *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

/* ---- nesting ---- */

static bool in_object(const struct model_scan *scan)
{
	unsigned level = scan->depth - 1u;

	return scan->objects[level / 64] >> (level % 64) & 1;
}

static const uint8_t *container_begin(struct model_scan *scan, bool object, const uint8_t *p)
{
	uint64_t bit;

	if (scan->depth == MODEL_DEPTH_MAX)
		return fail(scan, MODEL_TOO_DEEP, p);
	bit = 1ull << (scan->depth % 64);
	if (object)
		scan->objects[scan->depth / 64] |= bit;
	else
		scan->objects[scan->depth / 64] &= ~bit;
	scan->depth++;
	scan->state = object ? FIRST_KEY : FIRST_VALUE;
	return p;
}

/* The model's value has ended: is it one we can take? */
static enum model_verdict model_judge(struct model_scan *scan)
{
	if (scan->role != ROLE_MODEL)
		return MODEL_WRONG_TYPE;
	if (scan->name_bad_string)
		return MODEL_BAD_STRING;
	return model_name_judge(&scan->name);
}

static const uint8_t *value_end(struct model_scan *scan, const uint8_t *p)
{
	enum model_verdict verdict;

	scan->state = scan->depth ? AFTER_VALUE : END;
	if (scan->depth == 1) {
		if (scan->key == KEY_MODEL) {
			verdict = model_judge(scan);
			if (verdict != MODEL_OK)
				return fail(scan, verdict, p);
		}
		scan->key = KEY_OTHER;
	}
	return p;
}

static const uint8_t *container_end(struct model_scan *scan, const uint8_t *p)
{
	scan->depth--;
	scan->role = ROLE_SKIP;
	return value_end(scan, p);
}

/* ---- bytes of strings that matter ---- */

static void key_append(struct model_scan *scan, const uint8_t *data, size_t length)
{
	size_t at = scan->key_length, n = length;

	scan->key_length += length;
	if (at >= MODEL_KEY_KEPT)
		return;
	if (n > MODEL_KEY_KEPT - at)
		n = MODEL_KEY_KEPT - at;
	memcpy(scan->key_bytes + at, data, n);
}

static void text_append(struct model_scan *scan, const uint8_t *data, size_t length)
{
	size_t i;

	for (i = 0; i < length && scan->string_bytes + i < sizeof(scan->string_head); i++)
		scan->string_head[scan->string_bytes + i] = (char)data[i];
	scan->string_bytes += length;
}

/* Unescaped bytes of the current string. */
static void string_append(struct model_scan *scan, const uint8_t *data, size_t length)
{
	switch ((enum role)scan->role) {
	case ROLE_TOP_KEY: key_append(scan, data, length); break;
	case ROLE_MODEL: model_name_append(&scan->name, (const char *)data, length); break;
	case ROLE_TEXT: text_append(scan, data, length); break;
	case ROLE_SKIP:
	case ROLE_NESTED_KEY: break;
	}
}

static void string_append_char(struct model_scan *scan, uint32_t c)
{
	uint8_t bytes[4];
	size_t n = 0;

	if (c < 0x80) {
		bytes[n++] = (uint8_t)c;
	} else if (c < 0x800) {
		bytes[n++] = (uint8_t)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		bytes[n++] = (uint8_t)(0xe0 | c >> 12);
		bytes[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	} else {
		bytes[n++] = (uint8_t)(0xf0 | c >> 18);
		bytes[n++] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
		bytes[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	}
	if (c >= 0x80)
		bytes[n++] = (uint8_t)(0x80 | (c & 0x3f));
	string_append(scan, bytes, n);
}

/* A high surrogate that got no low one: grammar allows it, UTF-8 cannot say it. */
static void surrogate_flush(struct model_scan *scan)
{
	if (!scan->high_surrogate)
		return;
	scan->high_surrogate = 0;
	if (scan->role == ROLE_MODEL)
		scan->name_bad_string = true;
	string_append_char(scan, 0xfffd);
}

static void string_append_utf16(struct model_scan *scan, uint16_t unit)
{
	bool low = unit >= 0xdc00 && unit <= 0xdfff;

	if (low && scan->high_surrogate) {
		string_append_char(scan, 0x10000u + ((scan->high_surrogate - 0xd800u) << 10) +
						 (unit - 0xdc00u));
		scan->high_surrogate = 0;
		return;
	}
	surrogate_flush(scan);
	if (unit >= 0xd800 && unit <= 0xdbff) {
		scan->high_surrogate = unit;
	} else if (low) {
		scan->high_surrogate = unit;
		surrogate_flush(scan);
	} else {
		string_append_char(scan, unit);
	}
}

/* ---- top-level keys ---- */

static enum key key_lookup(const struct model_scan *scan)
{
	static const struct {
		const char *name;
		enum key key;
	} keys[] = {
		{"model", KEY_MODEL},
		{"stream", KEY_STREAM},
		{"max_tokens", KEY_MAX_TOKENS},
		{"max_completion_tokens", KEY_MAX_TOKENS},
		{"max_output_tokens", KEY_MAX_TOKENS},
		{"messages", KEY_TEXT},
		{"prompt", KEY_TEXT},
		{"input", KEY_TEXT},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys); i++)
		if (scan->key_length == strlen(keys[i].name) &&
		    !memcmp(scan->key_bytes, keys[i].name, scan->key_length))
			return keys[i].key;
	return KEY_OTHER;
}

static const uint8_t *top_key_end(struct model_scan *scan, const uint8_t *p)
{
	scan->key = key_lookup(scan);
	if (scan->key == KEY_MODEL) {
		if (scan->has_model)
			return fail(scan, MODEL_DUPLICATE, p);
		scan->has_model = true;
	} else if (scan->key == KEY_STREAM) {
		scan->facts->stream = false;
	} else if (scan->key == KEY_MAX_TOKENS) {
		scan->facts->max_tokens = 0;
	}
	return p;
}

/* ---- strings ---- */

/* Where in the body a byte of this piece is. */
static uint64_t offset_of(const struct model_scan *scan, const uint8_t *p)
{
	return scan->fed + (uint64_t)(p - scan->piece);
}

static const uint8_t *string_begin(struct model_scan *scan, enum role role, const uint8_t *p)
{
	if (role == ROLE_MODEL)
		scan->facts->name_begin = offset_of(scan, p) - 1; /* the quote */
	scan->role = role;
	scan->key_length = 0;
	scan->string_bytes = 0;
	scan->state = STRING;
	return p;
}

static const uint8_t *key_begin(struct model_scan *scan, const uint8_t *p)
{
	return string_begin(scan, scan->depth == 1 ? ROLE_TOP_KEY : ROLE_NESTED_KEY, p);
}

static enum role value_role(const struct model_scan *scan)
{
	if (scan->key == KEY_TEXT)
		return ROLE_TEXT;
	return scan->key == KEY_MODEL && scan->depth == 1 ? ROLE_MODEL : ROLE_SKIP;
}

/* Inline images and audio are data: URLs; their bytes are not text. */
static void text_count(struct model_scan *scan)
{
	if (scan->string_bytes < sizeof(scan->string_head) ||
	    memcmp(scan->string_head, "data:", sizeof(scan->string_head)))
		scan->facts->text_bytes += scan->string_bytes;
}

static const uint8_t *string_end(struct model_scan *scan, const uint8_t *p)
{
	surrogate_flush(scan);
	switch ((enum role)scan->role) {
	case ROLE_TOP_KEY: scan->state = COLON; return top_key_end(scan, p);
	case ROLE_NESTED_KEY: scan->state = COLON; return p;
	case ROLE_TEXT: text_count(scan); break;
	case ROLE_MODEL: scan->facts->name_end = offset_of(scan, p); break;
	case ROLE_SKIP: break;
	}
	return value_end(scan, p);
}

/* What must follow the first byte of a character beyond ASCII (table 3-7 of
 * Unicode); need 0: it cannot begin one. */
struct utf8_rule {
	uint8_t need;
	uint8_t low, high; /* of the second byte; later ones are 80 to bf */
};

static const struct utf8_rule utf8_rules[128] = {
	[0xc2 - 0x80 ... 0xdf - 0x80] = {1, 0x80, 0xbf}, [0xe0 - 0x80] = {2, 0xa0, 0xbf},
	[0xe1 - 0x80 ... 0xec - 0x80] = {2, 0x80, 0xbf}, [0xed - 0x80] = {2, 0x80, 0x9f},
	[0xee - 0x80 ... 0xef - 0x80] = {2, 0x80, 0xbf}, [0xf0 - 0x80] = {3, 0x90, 0xbf},
	[0xf1 - 0x80 ... 0xf3 - 0x80] = {3, 0x80, 0xbf}, [0xf4 - 0x80] = {3, 0x80, 0x8f},
};

/* Behind as many whole characters beyond ASCII as there are; a bad or a cut one
 * is left for utf8_begin(). */
static const uint8_t *utf8_skip(const uint8_t *p, const uint8_t *end)
{
	while (p < end && *p >= 0x80) {
		struct utf8_rule rule = utf8_rules[*p - 0x80];

		if (!rule.need || end - p <= rule.need || p[1] < rule.low || p[1] > rule.high ||
		    (rule.need > 1 && (p[2] & 0xc0) != 0x80) ||
		    (rule.need > 2 && (p[3] & 0xc0) != 0x80))
			break;
		p += rule.need + 1;
	}
	return p;
}

/* The first byte of a character that is not whole in this piece, or bad. */
static const uint8_t *utf8_begin(struct model_scan *scan, const uint8_t *p)
{
	struct utf8_rule rule = utf8_rules[*p - 0x80];

	if (!rule.need)
		return fail(scan, MODEL_BAD_UTF8, p);
	scan->utf8_need = rule.need;
	scan->utf8_low = rule.low;
	scan->utf8_high = rule.high;
	string_append(scan, p, 1);
	return p + 1;
}

static const uint8_t *utf8_continue(struct model_scan *scan, const uint8_t *p)
{
	if (*p < scan->utf8_low || *p > scan->utf8_high)
		return fail(scan, MODEL_BAD_UTF8, p);
	scan->utf8_need--;
	scan->utf8_low = 0x80;
	scan->utf8_high = 0xbf;
	string_append(scan, p, 1);
	return p + 1;
}

/* The byte that ended a run of plain ones. */
static const uint8_t *string_special(struct model_scan *scan, const uint8_t *p)
{
	if (*p == '"')
		return string_end(scan, p + 1);
	if (*p == '\\') {
		scan->state = ESCAPE;
		return p + 1;
	}
	if (*p < 0x20)
		return fail(scan, MODEL_NOT_JSON, p);
	surrogate_flush(scan);
	return utf8_begin(scan, p);
}

static const uint8_t *step_string(struct model_scan *scan, const uint8_t *p, const uint8_t *end)
{
	while (p < end && scan->state == STRING) {
		const uint8_t *plain = p;

		if (scan->utf8_need) {
			p = utf8_continue(scan, p);
			continue;
		}
		do
			p = utf8_skip(scan->skip(p, end), end);
		while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\');
		if (p > plain) {
			surrogate_flush(scan);
			string_append(scan, plain, (size_t)(p - plain));
		}
		if (p < end)
			p = string_special(scan, p);
	}
	return p;
}

static const uint8_t *step_escape(struct model_scan *scan, const uint8_t *p, const uint8_t *end)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found;

	(void)end;
	if (*p == 'u') {
		scan->hex = scan->hex_count = 0;
		scan->state = ESCAPE_HEX;
		return p + 1;
	}
	found = *p ? strchr(from, *p) : NULL;
	if (!found)
		return fail(scan, MODEL_NOT_JSON, p);
	surrogate_flush(scan);
	string_append_char(scan, (uint8_t)to[found - from]);
	scan->state = STRING;
	return p + 1;
}

static const uint8_t *step_escape_hex(struct model_scan *scan, const uint8_t *p, const uint8_t *end)
{
	uint8_t c = *p | 0x20;
	unsigned digit;

	(void)end;
	if (*p >= '0' && *p <= '9')
		digit = *p - '0';
	else if (c >= 'a' && c <= 'f')
		digit = c - 'a' + 10u;
	else
		return fail(scan, MODEL_NOT_JSON, p);
	scan->hex = (uint16_t)(scan->hex << 4 | digit);
	if (++scan->hex_count == 4) {
		string_append_utf16(scan, scan->hex);
		scan->state = STRING;
	}
	return p + 1;
}

/* ---- numbers and literals ---- */

static const uint8_t *number_begin(struct model_scan *scan, const uint8_t *p)
{
	scan->role = ROLE_SKIP;
	scan->integer = *p != '-';
	scan->number = 0;
	if (*p == '-') {
		scan->state = NUMBER_MINUS;
		return p + 1;
	}
	scan->state = NUMBER_MINUS; /* takes the first digit */
	return p;
}

static const uint8_t *number_end(struct model_scan *scan, const uint8_t *p)
{
	if (!is_space(*p) && *p != ',' && *p != ']' && *p != '}')
		return fail(scan, MODEL_NOT_JSON, p);
	if (scan->key == KEY_MAX_TOKENS && scan->depth == 1)
		scan->facts->max_tokens = scan->integer ? scan->number : 0;
	if (scan->key == KEY_TEXT)
		scan->facts->text_bytes += TEXT_BYTES_A_TOKEN;
	return value_end(scan, p);
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static const uint8_t *digits(struct model_scan *scan, const uint8_t *p, const uint8_t *end)
{
	for (; p < end && is_digit(*p); p++)
		scan->number = scan->number < UINT64_MAX / 10 - 1 ? scan->number * 10 + (*p - '0')
								  : UINT64_MAX;
	return p;
}

static const uint8_t *step_number_minus(struct model_scan *scan, const uint8_t *p,
					const uint8_t *end)
{
	(void)end;
	if (!is_digit(*p))
		return fail(scan, MODEL_NOT_JSON, p);
	scan->state = *p == '0' ? NUMBER_ZERO : NUMBER_DIGITS;
	return *p == '0' ? p + 1 : p;
}

/* What may follow the digits before the point. */
static const uint8_t *step_number_zero(struct model_scan *scan, const uint8_t *p,
				       const uint8_t *end)
{
	(void)end;
	if (*p == '.')
		scan->state = NUMBER_POINT;
	else if ((*p | 0x20) == 'e')
		scan->state = NUMBER_E;
	else
		return number_end(scan, p);
	scan->integer = false;
	return p + 1;
}

static const uint8_t *step_number_digits(struct model_scan *scan, const uint8_t *p,
					 const uint8_t *end)
{
	p = digits(scan, p, end);
	return p < end ? step_number_zero(scan, p, end) : p;
}

static const uint8_t *step_number_point(struct model_scan *scan, const uint8_t *p,
					const uint8_t *end)
{
	(void)end;
	if (!is_digit(*p))
		return fail(scan, MODEL_NOT_JSON, p);
	scan->state = NUMBER_FRACTION;
	return p;
}

static const uint8_t *step_number_fraction(struct model_scan *scan, const uint8_t *p,
					   const uint8_t *end)
{
	p = digits(scan, p, end);
	if (p == end)
		return p;
	if ((*p | 0x20) != 'e')
		return number_end(scan, p);
	scan->state = NUMBER_E;
	return p + 1;
}

static const uint8_t *step_number_e(struct model_scan *scan, const uint8_t *p, const uint8_t *end)
{
	(void)end;
	scan->state = NUMBER_E_SIGN;
	return *p == '+' || *p == '-' ? p + 1 : p;
}

static const uint8_t *step_number_e_sign(struct model_scan *scan, const uint8_t *p,
					 const uint8_t *end)
{
	(void)end;
	if (!is_digit(*p))
		return fail(scan, MODEL_NOT_JSON, p);
	scan->state = NUMBER_EXPONENT;
	return p;
}

static const uint8_t *step_number_exponent(struct model_scan *scan, const uint8_t *p,
					   const uint8_t *end)
{
	p = digits(scan, p, end);
	return p < end ? number_end(scan, p) : p;
}

static const uint8_t *literal_begin(struct model_scan *scan, enum literal literal, const uint8_t *p)
{
	scan->role = ROLE_SKIP;
	scan->literal = literal;
	scan->literal_index = 0;
	scan->state = LITERAL;
	return p;
}

static const uint8_t *step_literal(struct model_scan *scan, const uint8_t *p, const uint8_t *end)
{
	const char *text = literals[scan->literal];

	for (; p < end && text[scan->literal_index]; p++)
		if (*p != (uint8_t)text[scan->literal_index++])
			return fail(scan, MODEL_NOT_JSON, p);
	if (text[scan->literal_index])
		return p;
	if (!scan->depth)
		return fail(scan, MODEL_NOT_OBJECT, p);
	if (scan->key == KEY_STREAM && scan->depth == 1)
		scan->facts->stream = scan->literal == LITERAL_TRUE;
	return value_end(scan, p);
}

/* ---- between tokens ---- */

static const uint8_t *value_begin(struct model_scan *scan, const uint8_t *p)
{
	switch (*p) {
	case '{': return container_begin(scan, true, p + 1);
	case '[': return container_begin(scan, false, p + 1);
	case '"': return string_begin(scan, value_role(scan), p + 1);
	case 't': return literal_begin(scan, LITERAL_TRUE, p);
	case 'f': return literal_begin(scan, LITERAL_FALSE, p);
	case 'n': return literal_begin(scan, LITERAL_NULL, p);
	case '-':
	case '0' ... '9': return number_begin(scan, p);
	default: return fail(scan, MODEL_NOT_JSON, p);
	}
}

/* The body's own value: an object, or the word for what else it is. */
static const uint8_t *top_begin(struct model_scan *scan, const uint8_t *p)
{
	if (*p == '{' || *p == 't' || *p == 'f' || *p == 'n')
		return value_begin(scan, p);
	if (*p == '[' || *p == '"' || *p == '-' || is_digit(*p))
		return fail(scan, MODEL_NOT_OBJECT, p);
	return fail(scan, MODEL_NOT_JSON, p);
}

static const uint8_t *step_begin(struct model_scan *scan, const uint8_t *p, const uint8_t *end)
{
	(void)end;
	scan->state = TOP;
	if (*p == 0xef)
		scan->state = BOM_UTF8_2;
	else if (*p == 0xff)
		scan->state = BOM_UTF16_LE;
	else if (*p == 0xfe)
		scan->state = BOM_UTF16_BE;
	else
		return p;
	return p + 1;
}

static const uint8_t *step_bom(struct model_scan *scan, const uint8_t *p, const uint8_t *end)
{
	static const uint8_t expected[] = {[BOM_UTF8_2] = 0xbb,
					   [BOM_UTF8_3] = 0xbf,
					   [BOM_UTF16_LE] = 0xfe,
					   [BOM_UTF16_BE] = 0xff};

	(void)end;
	if (*p != expected[scan->state])
		return fail(scan, MODEL_NOT_JSON, p);
	if (scan->state != BOM_UTF8_2)
		return fail(scan, MODEL_BOM, p);
	scan->state = BOM_UTF8_3;
	return p + 1;
}

static const uint8_t *step_top(struct model_scan *scan, const uint8_t *p, const uint8_t *end)
{
	p = skip_space(p, end);
	return p < end ? top_begin(scan, p) : p;
}

static const uint8_t *step_value(struct model_scan *scan, const uint8_t *p, const uint8_t *end)
{
	p = skip_space(p, end);
	return p < end ? value_begin(scan, p) : p;
}

static const uint8_t *step_first_key(struct model_scan *scan, const uint8_t *p, const uint8_t *end)
{
	p = skip_space(p, end);
	if (p == end)
		return p;
	if (*p == '"')
		return key_begin(scan, p + 1);
	return *p == '}' ? container_end(scan, p + 1) : fail(scan, MODEL_NOT_JSON, p);
}

static const uint8_t *step_key(struct model_scan *scan, const uint8_t *p, const uint8_t *end)
{
	p = skip_space(p, end);
	if (p == end)
		return p;
	return *p == '"' ? key_begin(scan, p + 1) : fail(scan, MODEL_NOT_JSON, p);
}

static const uint8_t *step_colon(struct model_scan *scan, const uint8_t *p, const uint8_t *end)
{
	p = skip_space(p, end);
	if (p == end)
		return p;
	if (*p != ':')
		return fail(scan, MODEL_NOT_JSON, p);
	scan->state = VALUE;
	return p + 1;
}

static const uint8_t *step_first_value(struct model_scan *scan, const uint8_t *p,
				       const uint8_t *end)
{
	p = skip_space(p, end);
	if (p == end)
		return p;
	return *p == ']' ? container_end(scan, p + 1) : value_begin(scan, p);
}

static const uint8_t *step_after_value(struct model_scan *scan, const uint8_t *p,
				       const uint8_t *end)
{
	bool object = in_object(scan);

	p = skip_space(p, end);
	if (p == end)
		return p;
	if (*p == ',') {
		scan->state = object ? KEY : VALUE;
		return p + 1;
	}
	return *p == (object ? '}' : ']') ? container_end(scan, p + 1)
					  : fail(scan, MODEL_NOT_JSON, p);
}

static const uint8_t *step_end(struct model_scan *scan, const uint8_t *p, const uint8_t *end)
{
	p = skip_space(p, end);
	return p < end ? fail(scan, MODEL_NOT_JSON, p) : p;
}

static const step_function steps[STATE_COUNT] = {
	[BEGIN] = step_begin,
	[BOM_UTF8_2] = step_bom,
	[BOM_UTF8_3] = step_bom,
	[BOM_UTF16_LE] = step_bom,
	[BOM_UTF16_BE] = step_bom,
	[TOP] = step_top,
	[VALUE] = step_value,
	[FIRST_KEY] = step_first_key,
	[KEY] = step_key,
	[COLON] = step_colon,
	[FIRST_VALUE] = step_first_value,
	[AFTER_VALUE] = step_after_value,
	[STRING] = step_string,
	[ESCAPE] = step_escape,
	[ESCAPE_HEX] = step_escape_hex,
	[LITERAL] = step_literal,
	[NUMBER_MINUS] = step_number_minus,
	[NUMBER_ZERO] = step_number_zero,
	[NUMBER_DIGITS] = step_number_digits,
	[NUMBER_POINT] = step_number_point,
	[NUMBER_FRACTION] = step_number_fraction,
	[NUMBER_E] = step_number_e,
	[NUMBER_E_SIGN] = step_number_e_sign,
	[NUMBER_EXPONENT] = step_number_exponent,
	[END] = step_end,
};

void model_scan_init(struct model_scan *scan, struct model_facts *facts)
{
	*scan = (struct model_scan){.skip = skip_plain_best(), .state = BEGIN, .facts = facts};
	model_facts_reset(facts);
	model_name_begin(&scan->name, facts);
}

bool model_scan_feed(struct model_scan *scan, const char *data, size_t length)
{
	const uint8_t *p = (const uint8_t *)data, *end = p + length;

	scan->piece = p;
	while (p < end && scan->state != FAILED)
		p = steps[scan->state](scan, p, end);
	scan->fed += length;
	return scan->state != FAILED;
}

static enum model_verdict verdict_at_end(const struct model_scan *scan)
{
	switch ((enum state)scan->state) {
	case FAILED: return scan->verdict;
	case BEGIN:
	case TOP: return MODEL_EMPTY_BODY;
	case BOM_UTF8_2:
	case BOM_UTF8_3:
	case BOM_UTF16_LE:
	case BOM_UTF16_BE: return MODEL_NOT_JSON;
	case END: return scan->has_model ? MODEL_OK : MODEL_NONE;
	default: return MODEL_TRUNCATED;
	}
}

enum model_verdict model_scan_finish(struct model_scan *scan)
{
	enum model_verdict verdict = verdict_at_end(scan);

	if (verdict != MODEL_OK)
		model_name_forget(scan->facts);
	return verdict;
}
