/* SPDX-License-Identifier: BSD-2-Clause */
/* What a model server's answer says of itself, seen while its bytes pass:
 * token counts, number of events, whether it ended as its protocol ends; and where it
 * names its model.
 *
 * Observation only: nothing here delays or changes a byte.  Knows the shapes of
 * OpenAI (chat, completions, responses), Anthropic, SGLang, TGI, Gemini and
 * Ollama, as server-sent events, as JSON lines or as one JSON body.  Bounded
 * whatever the server sends; no heap.
 */
#ifndef SLUICE_MODEL_USAGE_H
#define SLUICE_MODEL_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "userspace/model/walk.h"

enum usage_format {
	USAGE_FORMAT_OTHER, /* nothing is looked for */
	USAGE_FORMAT_SSE,
	USAGE_FORMAT_JSON_LINES,
	USAGE_FORMAT_JSON,
};

/* From a Content-Type header's value. */
enum usage_format usage_format_of(const char *content_type, size_t length);

struct usage {
	int64_t prompt_tokens; /* these three: -1 unknown; the last complete ones count */
	int64_t completion_tokens;
	int64_t cached_tokens; /* of the prompt, found in the server's cache */
	uint64_t data_events; /* [DONE] not counted; a JSON body is one */
	bool done; /* the protocol's own end was seen */
	bool error; /* an error event, an event cut short, or nothing at all */
};

/* Embeddable; its fields are usage.c's, but `usage` may be read at any time. */
struct usage_observer {
	struct usage usage;
	struct walk walk;
	uint8_t format;
	uint8_t state;
	bool after_cr; /* a line feed now belongs to the line end before */
	bool has_data; /* the event has a data line */
	uint8_t name_length; /* of the field name at the line's begin */
	uint8_t head_length; /* of the event's data */
	char name[8];
	char head[8];
};

void usage_observer_init(struct usage_observer *observer, enum usage_format format);
/* The next bytes of the (decoded) body; any chunking gives the same result. */
void usage_observer_feed(struct usage_observer *observer, const char *data, size_t length);
/* The same, but stops behind the opening and behind the closing quote of a model's name: a
 * top-level "model", or that of a top-level "message" or "response".  Returns how many
 * bytes it took. */
size_t usage_observer_step(struct usage_observer *observer, const char *data, size_t length);
/* Is what comes next inside a model's name? */
static inline bool usage_observer_in_name(const struct usage_observer *observer)
{
	return observer->walk.in_name;
}
/* The body has ended. */
void usage_observer_finish(struct usage_observer *observer, struct usage *ret_usage);

#endif
