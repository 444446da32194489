/* SPDX-License-Identifier: BSD-2-Clause */
/* A JSON reader that looks at the names of members and at numbers, and only
 * where they can mean something: a table says which name below which node leads
 * where.  Text that looks like usage inside a string is a string.
 *
 * It observes, so it is strict about structure but not about the spelling of
 * numbers: a text it cannot follow is "not complete" and its counts are not used.
 */
#include "userspace/model/walk.h"

#include <string.h>

#include "userspace/base/cleanup.h"

enum state {
	VALUE,
	FIRST_MEMBER,
	MEMBER,
	COLON,
	FIRST_ELEMENT,
	AFTER,
	STRING,
	ESCAPE,
	SCALAR,
	END,
	BAD
};

enum node { NODE_OTHER, NODE_ROOT, NODE_WRAPPER, NODE_USAGE, NODE_DETAILS };

enum field {
	FIELD_NONE,
	FIELD_PROMPT,
	FIELD_COMPLETION,
	FIELD_CACHED,
	FIELD_ERROR,
	FIELD_DONE,
	FIELD_TYPE,
	FIELD_WRAPPER,
	FIELD_USAGE,
	FIELD_DETAILS,
	FIELD_MODEL,
};

struct member {
	const char *name;
	uint8_t length;
	enum field field;
};

#define MEMBER(name, field)                                                                        \
	{                                                                                          \
		name, sizeof(name) - 1, field                                                      \
	}

static const struct member root_members[] = {
	MEMBER("usage", FIELD_USAGE),
	MEMBER("type", FIELD_TYPE),
	MEMBER("model", FIELD_MODEL),
	MEMBER("error", FIELD_ERROR),
	MEMBER("message", FIELD_WRAPPER), /* Anthropic */
	MEMBER("response", FIELD_WRAPPER), /* OpenAI responses */
	MEMBER("meta_info", FIELD_USAGE), /* SGLang */
	MEMBER("details", FIELD_USAGE), /* TGI */
	MEMBER("usageMetadata", FIELD_USAGE), /* Gemini */
	MEMBER("done", FIELD_DONE), /* Ollama, and the next two */
	MEMBER("prompt_eval_count", FIELD_PROMPT),
	MEMBER("eval_count", FIELD_COMPLETION),
};
static const struct member wrapper_members[] = {
	MEMBER("usage", FIELD_USAGE),
	MEMBER("model", FIELD_MODEL),
};
static const struct member usage_members[] = {
	MEMBER("prompt_tokens", FIELD_PROMPT),
	MEMBER("input_tokens", FIELD_PROMPT),
	MEMBER("input_length", FIELD_PROMPT),
	MEMBER("promptTokenCount", FIELD_PROMPT),
	MEMBER("completion_tokens", FIELD_COMPLETION),
	MEMBER("output_tokens", FIELD_COMPLETION),
	MEMBER("generated_tokens", FIELD_COMPLETION),
	MEMBER("candidatesTokenCount", FIELD_COMPLETION),
	MEMBER("cached_tokens", FIELD_CACHED),
	MEMBER("cache_read_input_tokens", FIELD_CACHED),
	MEMBER("cachedContentTokenCount", FIELD_CACHED),
	MEMBER("prompt_tokens_details", FIELD_DETAILS),
	MEMBER("input_tokens_details", FIELD_DETAILS),
};
static const struct member details_members[] = {MEMBER("cached_tokens", FIELD_CACHED)};

static const struct {
	const struct member *members;
	size_t count;
} nodes[] = {
	[NODE_OTHER] = {NULL, 0},
	[NODE_ROOT] = {root_members, ARRAY_SIZE(root_members)},
	[NODE_WRAPPER] = {wrapper_members, ARRAY_SIZE(wrapper_members)},
	[NODE_USAGE] = {usage_members, ARRAY_SIZE(usage_members)},
	[NODE_DETAILS] = {details_members, ARRAY_SIZE(details_members)},
};

void walk_begin(struct walk *walk)
{
	*walk = (struct walk){.counts = {-1, -1, -1}, .skip = skip_plain_best(), .state = VALUE};
}

static bool text_is(const struct walk *walk, const char *text)
{
	return !walk->escaped && walk->text_length == strlen(text) &&
	       !memcmp(walk->text, text, walk->text_length);
}

static enum node node_of(const struct walk *walk)
{
	if (walk->depth == 0 || walk->depth > WALK_NODES_MAX)
		return NODE_OTHER;
	return walk->nodes[walk->depth - 1];
}

static enum field member_lookup(const struct walk *walk)
{
	enum node node = node_of(walk);
	size_t i;

	if (walk->escaped)
		return FIELD_NONE;
	for (i = 0; i < nodes[node].count; i++) {
		const struct member *member = &nodes[node].members[i];

		if (member->length == walk->text_length &&
		    !memcmp(member->name, walk->text, member->length))
			return member->field;
	}
	return FIELD_NONE;
}

static bool in_object(const struct walk *walk)
{
	return walk->objects >> (walk->depth - 1) & 1;
}

static enum node child_node(const struct walk *walk)
{
	if (!walk->depth)
		return NODE_ROOT;
	switch ((enum field)walk->field) {
	case FIELD_WRAPPER: return NODE_WRAPPER;
	case FIELD_USAGE: return NODE_USAGE;
	case FIELD_DETAILS: return NODE_DETAILS;
	default: return NODE_OTHER;
	}
}

static void container_begin(struct walk *walk, bool object)
{
	if (walk->depth == WALK_DEPTH_MAX) {
		walk->state = BAD;
		return;
	}
	if (walk->depth < WALK_NODES_MAX)
		walk->nodes[walk->depth] = object ? child_node(walk) : NODE_OTHER;
	if (object)
		walk->objects |= 1ull << walk->depth;
	else
		walk->objects &= ~(1ull << walk->depth);
	walk->depth++;
	walk->field = FIELD_NONE;
	walk->state = object ? FIRST_MEMBER : FIRST_ELEMENT;
}

static void value_end(struct walk *walk)
{
	walk->field = FIELD_NONE;
	walk->state = walk->depth ? AFTER : END;
}

static void container_end(struct walk *walk)
{
	walk->depth--;
	value_end(walk);
}

static void string_begin(struct walk *walk, bool is_key)
{
	walk->is_key = is_key;
	walk->text_length = 0;
	walk->escaped = false;
	walk->state = STRING;
}

static void string_end(struct walk *walk)
{
	walk->in_name = false;
	if (walk->is_key) {
		walk->field = member_lookup(walk);
		walk->state = COLON;
		return;
	}
	if (walk->field == FIELD_TYPE)
		walk->last |= text_is(walk, "message_stop") || text_is(walk, "response.completed");
	value_end(walk);
}

static void scalar_begin(struct walk *walk, uint8_t c)
{
	walk->scalar = c;
	walk->number = 0;
	walk->is_integer = true;
	walk->state = SCALAR;
}

static void text_keep(struct walk *walk, const uint8_t *data, size_t length)
{
	size_t room = WALK_TEXT_KEPT - walk->text_length;

	if (walk->text_length > WALK_TEXT_KEPT || length > room) {
		walk->text_length = WALK_TEXT_KEPT + 1;
		return;
	}
	memcpy(walk->text + walk->text_length, data, length);
	walk->text_length += (uint8_t)length;
}

static void count_set(struct walk *walk, enum walk_count count)
{
	if (walk->is_integer)
		walk->counts[count] = (int64_t)walk->number;
}

static void scalar_end(struct walk *walk)
{
	switch ((enum field)walk->field) {
	case FIELD_PROMPT: count_set(walk, WALK_PROMPT); break;
	case FIELD_COMPLETION: count_set(walk, WALK_COMPLETION); break;
	case FIELD_CACHED: count_set(walk, WALK_CACHED); break;
	case FIELD_DONE: walk->last |= walk->scalar == 't'; break;
	case FIELD_ERROR: walk->error |= walk->scalar != 'n'; break;
	default: break;
	}
	value_end(walk);
}

static bool is_scalar_char(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' ||
	       c == '.' || c == 'E';
}

/* True, false, null or a number; false: the byte is not part of it. */
static bool scalar_take(struct walk *walk, uint8_t c)
{
	if (!is_scalar_char(c))
		return false;
	if (c < '0' || c > '9')
		walk->is_integer = false;
	else if (walk->number < INT64_MAX / 10 - 1)
		walk->number = walk->number * 10 + (c - '0');
	else
		walk->is_integer = false;
	return true;
}

static void value_begin(struct walk *walk, uint8_t c)
{
	if (walk->field == FIELD_ERROR && (c == '{' || c == '[' || c == '"'))
		walk->error = true;
	if (c == '{' || c == '[') {
		container_begin(walk, c == '{');
	} else if (c == '"') {
		string_begin(walk, false);
		walk->in_name = walk->field == FIELD_MODEL;
	} else if (is_scalar_char(c)) {
		scalar_begin(walk, c);
		scalar_take(walk, c);
	} else {
		walk->state = BAD;
	}
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Expects one of the bytes that may stand between two tokens. */
static void step_token(struct walk *walk, uint8_t c)
{
	bool object;

	if (is_space(c))
		return;
	switch ((enum state)walk->state) {
	case VALUE: value_begin(walk, c); return;
	case FIRST_ELEMENT:
		if (c == ']')
			container_end(walk);
		else
			value_begin(walk, c);
		return;
	case FIRST_MEMBER:
	case MEMBER:
		if (c == '"')
			string_begin(walk, true);
		else if (c == '}' && walk->state == FIRST_MEMBER)
			container_end(walk);
		else
			walk->state = BAD;
		return;
	case COLON: walk->state = c == ':' ? VALUE : BAD; return;
	case AFTER:
		object = in_object(walk);
		if (c == ',')
			walk->state = object ? MEMBER : VALUE;
		else if (c == (object ? '}' : ']'))
			container_end(walk);
		else
			walk->state = BAD;
		return;
	default: walk->state = BAD;
	}
}

/* A string up to its end, an escape, or the end of input.  Text beyond ASCII
 * passes unchecked. */
static const uint8_t *string_take(struct walk *walk, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *begin = p;

	do
		p = walk->skip(p, end);
	while (p < end && *p >= 0x80 && ++p);
	text_keep(walk, begin, (size_t)(p - begin));
	if (p == end)
		return p;
	if (*p == '"') {
		string_end(walk);
	} else if (*p == '\\') {
		walk->escaped = true;
		walk->state = ESCAPE;
	} else {
		walk->in_name = false;
		walk->state = BAD; /* a raw control character */
		return p;
	}
	return p + 1;
}

static const uint8_t *step(struct walk *walk, const uint8_t *p, const uint8_t *end)
{
	switch ((enum state)walk->state) {
	case STRING: return string_take(walk, p, end);
	case ESCAPE:
		walk->state = *p < 0x20 ? BAD : STRING;
		walk->in_name = walk->in_name && *p >= 0x20;
		return p + (*p >= 0x20);
	case SCALAR:
		if (scalar_take(walk, *p))
			return p + 1;
		scalar_end(walk);
		return p;
	case BAD: return p + 1;
	default: step_token(walk, *p); return p + 1;
	}
}

const uint8_t *walk_feed(struct walk *walk, const uint8_t *p, const uint8_t *end, bool line)
{
	const uint8_t *begin = p;
	bool in_name = walk->in_name;

	while (p < end && walk->in_name == in_name && !(line && (*p == '\n' || *p == '\r')))
		p = step(walk, p, end);
	walk->bytes += (size_t)(p - begin);
	return p;
}

bool walk_is_complete(struct walk *walk)
{
	if (walk->state == SCALAR && !walk->depth)
		scalar_end(walk);
	return walk->state == END;
}
