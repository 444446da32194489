/* SPDX-License-Identifier: BSD-2-Clause */
/* Which model a JSON body asks for, found while the body streams in.
 *
 * One pass over the whole body, no tree, no heap.  Strict: the body is one JSON
 * object in UTF-8 without BOM, depth at most 256, nothing after it; exactly one
 * top-level key `model` (after unescaping) whose value is a string of 1 to 512
 * bytes without control characters or lone surrogates.  A second `model` key is
 * refused, because engines disagree on which one counts.
 */
#ifndef SLUICE_MODEL_SCAN_H
#define SLUICE_MODEL_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_NAME_MAX 512
#define MODEL_DEPTH_MAX 256

/* id, the word for it in verdicts, the sentence for the client */
#define MODEL_VERDICT_LIST(X)                                                                      \
	X(MODEL_OK, "ok", "")                                                                      \
	X(MODEL_NONE, "none", "the body has no top-level \"model\"")                               \
	X(MODEL_DUPLICATE, "duplicate", "the body has more than one top-level \"model\"")          \
	X(MODEL_WRONG_TYPE, "wrong_type", "\"model\" is not a string")                             \
	X(MODEL_EMPTY, "empty_model", "\"model\" is empty")                                        \
	X(MODEL_TOO_LONG, "model_too_long", "\"model\" is longer than 512 bytes")                  \
	X(MODEL_BAD_CHARS, "bad_model_chars", "\"model\" has a control character")                 \
	X(MODEL_BAD_STRING, "bad_string", "\"model\" has an unpaired surrogate escape")            \
	X(MODEL_NOT_OBJECT, "not_object", "the body is not a JSON object")                         \
	X(MODEL_NOT_JSON, "not_json", "the body is not valid JSON")                                \
	X(MODEL_BAD_UTF8, "bad_utf8", "the body is not valid UTF-8")                               \
	X(MODEL_BOM, "bom", "the body begins with a byte order mark")                              \
	X(MODEL_TOO_DEEP, "too_deep", "the body is nested deeper than 256 levels")                 \
	X(MODEL_TRUNCATED, "truncated", "the body ends inside a JSON value")                       \
	X(MODEL_EMPTY_BODY, "empty_body", "the body is empty")

enum model_verdict {
#define X(id, name, text) id,
	MODEL_VERDICT_LIST(X)
#undef X
		MODEL_VERDICT_COUNT
};

const char *model_verdict_name(enum model_verdict verdict);
const char *model_verdict_text(enum model_verdict verdict);

/* What else the gateway wants to know of the request, by the way. */
struct model_facts {
	char name[MODEL_NAME_MAX + 1]; /* unescaped UTF-8, NUL-terminated; empty unless MODEL_OK */
	size_t name_length;
	bool stream; /* top-level "stream": true */
	/* top-level max_tokens, max_completion_tokens or max_output_tokens, the last of
	 * them; 0: absent or no plain integer */
	uint64_t max_tokens;
	/* unescaped bytes of string values under messages, prompt and input, data: URLs
	 * left out, and four for each number there (a token id): about four a token */
	uint64_t text_bytes;
};

struct model_scan; /* embeddable: see scan_state.h for the layout */
#include "userspace/model/scan_state.h"

void model_scan_init(struct model_scan *scan);
/* Any chunking gives the same verdict.  After an error the rest is ignored;
 * returns false then, so that the caller may stop early. */
bool model_scan_feed(struct model_scan *scan, const char *data, size_t length);
/* The body is whole: the verdict on it.  Facts of a body that is not valid are
 * those seen before the error. */
enum model_verdict model_scan_finish(struct model_scan *scan, struct model_facts *ret_facts);

#endif
