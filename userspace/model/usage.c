/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines and events (WHATWG's server-sent events) around the JSON walk.
 *
 * A line ends in LF, CR or CRLF.  The bytes of `data:` lines go straight into
 * the walk; the walk's findings count when the event ends and its JSON was whole.
 * JSON lines are events of one line; a JSON body is one event.
 */
#include "userspace/model/usage.h"

#include <string.h>
#include <strings.h>

#include "userspace/base/ascii.h"

enum state {
	BOM, /* a byte order mark may come */
	NAME, /* the field name at the begin of a line */
	DATA_SPACE, /* after "data:" */
	DATA,
	SKIP_LINE,
	FINISHED, /* [DONE] was seen */
};

static const char bom[] = "\xef\xbb\xbf";

enum usage_format usage_format_of(const char *content_type, size_t length)
{
	static const struct {
		const char *type;
		enum usage_format format;
	} types[] = {
		{"text/event-stream", USAGE_FORMAT_SSE},
		{"application/json", USAGE_FORMAT_JSON},
		{"application/x-ndjson", USAGE_FORMAT_JSON_LINES},
		{"application/jsonl", USAGE_FORMAT_JSON_LINES},
	};
	const char *end = memchr(content_type, ';', length);
	size_t i;

	if (end)
		length = (size_t)(end - content_type);
	while (length && ascii_is_blank(content_type[length - 1]))
		length--;
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (length == strlen(types[i].type) &&
		    !strncasecmp(content_type, types[i].type, length))
			return types[i].format;
	return USAGE_FORMAT_OTHER;
}

static void event_begin(struct usage_observer *observer)
{
	walk_begin(&observer->walk);
	observer->has_data = false;
	observer->head_length = 0;
}

static void line_begin(struct usage_observer *observer)
{
	observer->name_length = 0;
	observer->state = observer->format == USAGE_FORMAT_SSE ? NAME : DATA;
}

void usage_observer_init(struct usage_observer *observer, enum usage_format format)
{
	*observer = (struct usage_observer){
		.usage = {.prompt_tokens = -1, .completion_tokens = -1, .cached_tokens = -1},
		.format = format,
	};
	event_begin(observer);
	line_begin(observer);
	observer->state = BOM;
}

static void count_take(int64_t found, int64_t *count)
{
	if (found >= 0)
		*count = found;
}

/* The event is over: its findings count if it was whole. */
static void event_end(struct usage_observer *observer)
{
	struct walk *walk = &observer->walk;
	struct usage *usage = &observer->usage;

	if (observer->head_length == 6 && !memcmp(observer->head, "[DONE]", 6)) {
		usage->done = true;
		observer->state = FINISHED;
		return;
	}
	usage->data_events++;
	if (walk_is_complete(walk)) {
		count_take(walk->counts[WALK_PROMPT], &usage->prompt_tokens);
		count_take(walk->counts[WALK_COMPLETION], &usage->completion_tokens);
		count_take(walk->counts[WALK_CACHED], &usage->cached_tokens);
		usage->done |= walk->last;
		usage->error |= walk->error;
	}
	event_begin(observer);
}

static const uint8_t *line_end(struct usage_observer *observer, const uint8_t *p)
{
	bool blank = observer->state == NAME && !observer->name_length;

	line_begin(observer);
	if (observer->format == USAGE_FORMAT_JSON_LINES)
		blank = observer->walk.bytes > 0;
	if (blank && (observer->has_data || observer->format == USAGE_FORMAT_JSON_LINES))
		event_end(observer);
	return p + 1;
}

static void head_keep(struct usage_observer *observer, const uint8_t *p, const uint8_t *end)
{
	while (p < end && observer->head_length < sizeof(observer->head))
		observer->head[observer->head_length++] = (char)*p++;
}

/* "data:"; the lines of one event are joined by a line feed. */
static void data_begin(struct usage_observer *observer)
{
	static const uint8_t join[] = {'\n'};

	if (observer->has_data) {
		walk_feed(&observer->walk, join, join + 1, false);
		head_keep(observer, join, join + 1);
	}
	observer->has_data = true;
	observer->state = DATA_SPACE;
}

/* A byte of the field name, or the colon after it. */
static void name_take(struct usage_observer *observer, uint8_t c)
{
	if (c != ':') {
		if (observer->name_length < sizeof(observer->name))
			observer->name[observer->name_length++] = (char)c;
		else
			observer->state = SKIP_LINE;
		return;
	}
	if (observer->name_length == 4 && !memcmp(observer->name, "data", 4)) {
		data_begin(observer);
		return;
	}
	/* no field of the standard, but llama.cpp of 2025 says errors so */
	if (observer->name_length == 5 && !memcmp(observer->name, "error", 5))
		observer->usage.error = true;
	observer->state = SKIP_LINE;
	observer->name_length = 1; /* the line is not blank */
}

/* Not at a line end.  Returns behind what it took. */
static const uint8_t *line_take(struct usage_observer *observer, const uint8_t *p,
				const uint8_t *end)
{
	const uint8_t *begin = p;

	switch ((enum state)observer->state) {
	case NAME: name_take(observer, *p); return p + 1;
	case DATA_SPACE: observer->state = DATA; return p + (*p == ' ');
	case DATA:
		p = walk_feed(&observer->walk, p, end, true);
		head_keep(observer, begin, p);
		return p;
	default:
		while (p < end && *p != '\n' && *p != '\r')
			p++;
		return p;
	}
}

static const uint8_t *lines_feed(struct usage_observer *observer, const uint8_t *p,
				 const uint8_t *end)
{
	bool in_name = observer->walk.in_name;

	while (p < end && observer->state != FINISHED && observer->walk.in_name == in_name) {
		bool after_cr = observer->after_cr;

		if (in_name && (*p == '\n' || *p == '\r')) {
			observer->walk.in_name = false; /* a line ends inside the name */
			break;
		}
		observer->after_cr = *p == '\r';
		if (*p == '\n' && after_cr)
			p++; /* the second half of CRLF */
		else if (*p == '\n' || *p == '\r')
			p = line_end(observer, p);
		else
			p = line_take(observer, p, end);
	}
	return p;
}

/* Skips one byte order mark, which may come in pieces. */
static const uint8_t *bom_feed(struct usage_observer *observer, const uint8_t *p,
			       const uint8_t *end)
{
	while (p < end && bom[observer->head_length]) {
		if (*p != (uint8_t)bom[observer->head_length])
			break;
		observer->head_length++;
		p++;
	}
	if (p == end && bom[observer->head_length])
		return p;
	observer->head_length = 0;
	line_begin(observer);
	return p;
}

size_t usage_observer_step(struct usage_observer *observer, const char *data, size_t length)
{
	const uint8_t *begin = (const uint8_t *)data, *p = begin, *end = p + length;

	if (observer->format == USAGE_FORMAT_OTHER)
		return length;
	if (observer->state == BOM)
		p = bom_feed(observer, p, end);
	if (observer->state == BOM)
		return length;
	if (observer->format == USAGE_FORMAT_JSON)
		p = walk_feed(&observer->walk, p, end, false);
	else
		p = lines_feed(observer, p, end);
	return observer->state == FINISHED ? length : (size_t)(p - begin);
}

void usage_observer_feed(struct usage_observer *observer, const char *data, size_t length)
{
	for (size_t at = 0; at < length;)
		at += usage_observer_step(observer, data + at, length - at);
}

/* The last event may lack its blank line; it counts if it is whole. */
static void pending_event_end(struct usage_observer *observer)
{
	bool pending = observer->has_data || observer->walk.bytes;
	bool whole = walk_is_complete(&observer->walk) ||
		     (observer->head_length == 6 && !memcmp(observer->head, "[DONE]", 6));

	if (!pending || observer->state == FINISHED)
		return;
	if (whole)
		event_end(observer);
	else
		observer->usage.error = true;
	if (whole && observer->format == USAGE_FORMAT_JSON)
		observer->usage.done = true;
}

void usage_observer_finish(struct usage_observer *observer, struct usage *ret_usage)
{
	if (observer->format != USAGE_FORMAT_OTHER) {
		pending_event_end(observer);
		if (!observer->usage.data_events && !observer->usage.done)
			observer->usage.error = true;
	}
	*ret_usage = observer->usage;
}
