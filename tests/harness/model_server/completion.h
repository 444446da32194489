/* SPDX-License-Identifier: BSD-2-Clause */
/* One inference request: read from its JSON body, answered in vLLM's shapes.
 *
 * Pure: bodies in, bytes out.  There is no tokenizer; a prompt's tokens are
 * counted as a quarter of its canonical text (each message's role, a newline,
 * its text, a newline; or the prompt as it is), and every 512 tokens of that
 * text are one block whose hash covers everything before it.  The answer's text
 * is invented: one word a token, the same words for the same prompt.
 */
#ifndef SLUICE_TESTS_MODEL_SERVER_COMPLETION_H
#define SLUICE_TESTS_MODEL_SERVER_COMPLETION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/harness/model_server/buffer.h"

#define COMPLETION_MODELS_MAX 16
#define BYTES_A_TOKEN 4

/* What the server serves and how it answers; set up once. */
struct completion_config {
	const char *models[COMPLETION_MODELS_MAX];
	size_t model_count;
	uint32_t block_tokens;
	uint32_t model_len_max; /* prompt and answer together, in tokens */
	uint32_t output_tokens; /* natural length of an answer */
};

enum completion_api {
	COMPLETION_TEXT, /* /v1/completions */
	COMPLETION_CHAT, /* /v1/chat/completions */
	COMPLETION_MESSAGES, /* /v1/messages, Anthropic's */
};

struct completion {
	enum completion_api api;
	bool stream;
	bool include_usage; /* stream_options.include_usage */
	const char *model; /* of the configuration */
	uint64_t id;
	uint64_t created; /* seconds */
	uint32_t prompt_tokens;
	uint32_t output_tokens; /* how long the answer will be */
	bool cut_by_limit; /* finish_reason: length, else stop */
	uint64_t seed; /* of the answer's words */
	uint64_t *block_hashes; /* malloc'd, block_count */
	uint32_t block_count;
};

/* Reads `body`.  Returns 0, or an HTTP status (400, 404) with vLLM's error body
 * appended to *error (OpenAI's shape, whatever the API). */
int completion_parse(const struct completion_config *config, enum completion_api api,
		     const char *body, size_t length, struct completion *ret_completion,
		     struct buffer *error);
void completion_free(struct completion *completion);

/* {"error": {...}} as vLLM writes it. */
void completion_error(struct buffer *out, int status, const char *type, const char *param,
		      const char *message);

/* The answer's token `index`. */
const char *completion_word(const struct completion *completion, uint32_t index);

/* Server-sent events, each "data: ...\n\n".  `index` counts tokens from 0: the
 * first of a chat is preceded by the chunk with the role. */
void completion_event(const struct completion *completion, uint32_t index, struct buffer *out);
/* After the last token: usage if asked for, then [DONE]. */
void completion_event_end(const struct completion *completion, uint32_t cached_tokens,
			  struct buffer *out);
/* The whole answer as one JSON object. */
void completion_answer(const struct completion *completion, uint32_t cached_tokens,
		       struct buffer *out);
/* GET /v1/models */
void completion_models(const struct completion_config *config, uint64_t created,
		       struct buffer *out);

#endif
