/* SPDX-License-Identifier: BSD-2-Clause */
/* What can be said of a request's model, and what else the gateway wants to know
 * of the request, by the way. */
#ifndef SLUICE_MODEL_VERDICT_H
#define SLUICE_MODEL_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_NAME_MAX 512
#define MODEL_VERSION_MAX 63

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
	X(MODEL_EMPTY_BODY, "empty_body", "the body is empty")                                     \
	X(MODEL_ENCODED, "encoded",                                                                \
	  "the body is compressed or in a charset that the gateway does not read")                 \
	X(MODEL_NO_BOUNDARY, "no_boundary",                                                        \
	  "this API takes multipart/form-data, and Content-Type names no usable boundary")         \
	X(MODEL_BAD_FORM, "bad_form", "the form has parts that servers read in different ways")    \
	X(MODEL_NOT_PROTO, "not_proto", "the body is not a gRPC message")                          \
	X(MODEL_BAD_PATH, "bad_path", "the path has escapes that servers read in different ways")  \
	X(MODEL_BLOCKED, "blocked", "this path is not served to clients")

enum model_verdict {
#define X(id, name, text) id,
	MODEL_VERDICT_LIST(X)
#undef X
		MODEL_VERDICT_COUNT
};

const char *model_verdict_name(enum model_verdict verdict);
const char *model_verdict_text(enum model_verdict verdict);

struct model_facts {
	char name[MODEL_NAME_MAX + 1]; /* UTF-8, NUL-terminated; empty unless MODEL_OK */
	size_t name_length;
	/* where it stands: JSON and forms in the body, quotes included; escapes included in a
	 * path that names it; equal: nowhere */
	uint64_t name_begin, name_end;
	/* from a path that has it, else empty: a version, or the label of one */
	char version[MODEL_VERSION_MAX + 1];
	bool version_is_label;
	bool stream; /* JSON: top-level "stream": true */
	/* JSON: top-level max_tokens, max_completion_tokens or max_output_tokens, the
	 * last of them; 0: absent or no plain integer */
	uint64_t max_tokens;
	/* JSON: unescaped bytes of string values under messages, prompt and input, data:
	 * URLs left out, and four for each number there (a token id): about four a token */
	uint64_t text_bytes;
};

/* Nothing known; the bytes behind the terminators stay as they are. */
void model_facts_reset(struct model_facts *facts);

#endif
