/* SPDX-License-Identifier: BSD-2-Clause */
/* The answer of a completion in the shapes of Anthropic's Messages API, as vLLM gives
 * them at /v1/messages: completion.h's functions come here for COMPLETION_MESSAGES. */
#ifndef SLUICE_TESTS_MODEL_SERVER_MESSAGES_H
#define SLUICE_TESTS_MODEL_SERVER_MESSAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/harness/model_server/completion.h"

/* "event: NAME\ndata: ...\n\n"; the first token comes behind message_start and the
 * begin of its block. */
void messages_event(const struct completion *completion, uint32_t index, struct buffer *out);
void messages_event_end(const struct completion *completion, uint32_t cached_tokens,
			struct buffer *out);
void messages_answer(const struct completion *completion, uint32_t cached_tokens,
		     struct buffer *out);

#endif
