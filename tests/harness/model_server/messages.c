// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/model_server/messages.h"

static void begin(const struct completion *completion, struct buffer *out)
{
	buffer_printf(out,
		      "{\"id\": \"msg_%016llx\", \"type\": \"message\", \"role\": \"assistant\", "
		      "\"model\": \"%s\", \"stop_sequence\": null, ",
		      (unsigned long long)completion->id, completion->model);
}

/* Theirs counts what was not cached beside what was. */
static void usage(const struct completion *completion, uint32_t cached_tokens,
		  uint32_t output_tokens, struct buffer *out)
{
	buffer_printf(out,
		      "\"usage\": {\"input_tokens\": %u, \"cache_read_input_tokens\": %u, "
		      "\"output_tokens\": %u}",
		      completion->prompt_tokens - cached_tokens, cached_tokens, output_tokens);
}

static const char *stop_reason(const struct completion *completion)
{
	return completion->cut_by_limit ? "max_tokens" : "end_turn";
}

void messages_event(const struct completion *completion, uint32_t index, struct buffer *out)
{
	if (index == 0) {
		buffer_puts(out, "event: message_start\ndata: {\"type\": \"message_start\", "
				 "\"message\": ");
		begin(completion, out);
		buffer_puts(out, "\"content\": [], \"stop_reason\": null, ");
		usage(completion, 0, 0, out);
		buffer_puts(out, "}}\n\nevent: content_block_start\ndata: {\"type\": "
				 "\"content_block_start\", \"index\": 0, \"content_block\": "
				 "{\"type\": \"text\", \"text\": \"\"}}\n\n");
	}
	buffer_printf(out,
		      "event: content_block_delta\ndata: {\"type\": \"content_block_delta\", "
		      "\"index\": 0, \"delta\": {\"type\": \"text_delta\", \"text\": "
		      "\"%s%s\"}}\n\n",
		      index ? " " : "", completion_word(completion, index));
}

void messages_event_end(const struct completion *completion, uint32_t cached_tokens,
			struct buffer *out)
{
	buffer_printf(out,
		      "event: content_block_stop\ndata: {\"type\": \"content_block_stop\", "
		      "\"index\": 0}\n\nevent: message_delta\ndata: {\"type\": "
		      "\"message_delta\", \"delta\": {\"stop_reason\": \"%s\", "
		      "\"stop_sequence\": null}, ",
		      stop_reason(completion));
	usage(completion, cached_tokens, completion->output_tokens, out);
	buffer_puts(out, "}\n\nevent: message_stop\ndata: {\"type\": \"message_stop\"}\n\n");
}

void messages_answer(const struct completion *completion, uint32_t cached_tokens,
		     struct buffer *out)
{
	begin(completion, out);
	buffer_puts(out, "\"content\": [{\"type\": \"text\", \"text\": \"");
	for (uint32_t i = 0; i < completion->output_tokens; i++)
		buffer_printf(out, "%s%s", i ? " " : "", completion_word(completion, i));
	buffer_printf(out, "\"}], \"stop_reason\": \"%s\", ", stop_reason(completion));
	usage(completion, cached_tokens, completion->output_tokens, out);
	buffer_puts(out, "}");
}
