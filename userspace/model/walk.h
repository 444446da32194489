/* SPDX-License-Identifier: BSD-2-Clause */
/* One JSON text of a response, walked through for token counts and the
 * names of models as it streams by.  Used by the usage observer only. */
#ifndef SLUICE_MODEL_WALK_H
#define SLUICE_MODEL_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "userspace/model/skip.h"

#define WALK_DEPTH_MAX 64
#define WALK_NODES_MAX 4 /* levels that can mean something */
#define WALK_TEXT_KEPT 24 /* more than the longest name that means something */

enum walk_count { WALK_PROMPT, WALK_COMPLETION, WALK_CACHED, WALK_COUNT_COUNT };

struct walk {
	/* What has been found; valid once walk_is_complete() */
	int64_t counts[WALK_COUNT_COUNT]; /* -1: not there */
	bool in_name; /* inside the string of a "model", behind its opening quote */
	bool error; /* a top-level "error" that is not null */
	bool last; /* says it is the last of its stream */
	uint64_t bytes; /* of the text so far */

	/* Where the walk is */
	skip_plain skip;
	uint8_t state;
	uint8_t depth;
	uint8_t field; /* what the member being read means */
	uint8_t nodes[WALK_NODES_MAX];
	uint64_t objects; /* bit d: level d is an object, else an array */
	uint64_t number;
	bool is_key;
	bool is_integer;
	bool escaped;
	uint8_t scalar; /* first byte of a number or literal */
	uint8_t text_length; /* WALK_TEXT_KEPT + 1: longer */
	char text[WALK_TEXT_KEPT];
};

void walk_begin(struct walk *walk);
/* Takes bytes up to `end`, or up to the first CR or LF when `line` is true, or up to
 * where `in_name` changes.  Returns where it stopped. */
const uint8_t *walk_feed(struct walk *walk, const uint8_t *p, const uint8_t *end, bool line);
/* The text is one whole JSON value. */
bool walk_is_complete(struct walk *walk);

#endif
