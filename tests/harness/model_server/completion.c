// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/model_server/completion.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "tests/harness/model_server/messages.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/text.h"

#define PARSE_DEPTH_MAX 128

static const char *const words[] = {
	"water", "runs",  "down", "the",  "sluice",  "and",   "turns", "a",	"wheel",
	"while", "gates", "open", "when", "levels",  "rise",  "so",    "no",	"mill",
	"waits", "for",	  "its",  "turn", "because", "every", "drop",  "finds", "way",
};

/* ---- errors ---- */

void completion_error(struct buffer *out, int status, const char *type, const char *param,
		      const char *message)
{
	char escaped[2048];
	struct text text = TEXT_INIT(escaped);

	text_json_escape(&text, message, strlen(message));
	buffer_printf(out,
		      "{\"error\": {\"message\": \"%s\", \"type\": \"%s\", \"param\": ", escaped,
		      type);
	if (param)
		buffer_printf(out, "\"%s\"", param);
	else
		buffer_puts(out, "null");
	buffer_printf(out, ", \"code\": %d}}", status);
}

static int bad_request(struct buffer *error, const char *param, const char *message)
{
	completion_error(error, 400, "BadRequestError", param, message);
	return 400;
}

/* ---- the prompt: canonical text, counted and hashed as it is walked ---- */

struct prompt {
	struct buffer text; /* of the block not yet full */
	uint64_t bytes;
	uint64_t chain;
	size_t block_bytes;
	uint64_t *hashes;
	uint32_t count, room;
};

static void block_add(struct prompt *prompt, const char *data)
{
	prompt->chain = XXH64(data, prompt->block_bytes, prompt->chain);
	if (prompt->count == prompt->room) {
		prompt->room = prompt->room ? prompt->room * 2 : 64;
		prompt->hashes = realloc(prompt->hashes, prompt->room * sizeof(*prompt->hashes));
		if (!prompt->hashes)
			abort();
	}
	prompt->hashes[prompt->count++] = prompt->chain;
}

static void prompt_add(struct prompt *prompt, const char *data, size_t length)
{
	prompt->bytes += length;
	buffer_append(&prompt->text, data, length);
	while (buffer_length(&prompt->text) >= prompt->block_bytes) {
		block_add(prompt, prompt->text.data + prompt->text.start);
		buffer_consume(&prompt->text, prompt->block_bytes);
	}
}

static void prompt_add_string(struct prompt *prompt, struct json_object *string)
{
	prompt_add(prompt, json_object_get_string(string),
		   (size_t)json_object_get_string_len(string));
}

/* A message's content: a string, or parts of which the texts count. */
static bool prompt_add_content(struct prompt *prompt, struct json_object *content)
{
	if (json_object_is_type(content, json_type_string)) {
		prompt_add_string(prompt, content);
		return true;
	}
	if (!content)
		return true; /* an assistant's message with tool calls only */
	if (!json_object_is_type(content, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(content); i++) {
		struct json_object *part = json_object_array_get_idx(content, i), *text;

		if (!json_object_is_type(part, json_type_object))
			return false;
		if (json_object_object_get_ex(part, "text", &text) &&
		    json_object_is_type(text, json_type_string))
			prompt_add_string(prompt, text);
	}
	return true;
}

static int prompt_read_messages(struct prompt *prompt, struct json_object *body,
				struct buffer *error)
{
	struct json_object *messages, *role, *content;

	if (!json_object_object_get_ex(body, "messages", &messages) ||
	    !json_object_is_type(messages, json_type_array) || !json_object_array_length(messages))
		return bad_request(error, "messages",
				   "1 validation error: messages: Field required");
	for (size_t i = 0; i < json_object_array_length(messages); i++) {
		struct json_object *message = json_object_array_get_idx(messages, i);

		if (!json_object_is_type(message, json_type_object) ||
		    !json_object_object_get_ex(message, "role", &role) ||
		    !json_object_is_type(role, json_type_string))
			return bad_request(error, "messages", "every message wants a role");
		prompt_add_string(prompt, role);
		prompt_add(prompt, "\n", 1);
		content = NULL;
		json_object_object_get_ex(message, "content", &content);
		if (!prompt_add_content(prompt, content))
			return bad_request(error, "messages",
					   "content is a string or an array of parts");
		prompt_add(prompt, "\n", 1);
	}
	return 0;
}

/* A string, or an array of token numbers. */
static int prompt_read_prompt(struct prompt *prompt, struct json_object *body, struct buffer *error)
{
	struct json_object *value;

	if (!json_object_object_get_ex(body, "prompt", &value))
		return bad_request(error, "prompt", "1 validation error: prompt: Field required");
	if (json_object_is_type(value, json_type_string)) {
		prompt_add_string(prompt, value);
		return 0;
	}
	if (!json_object_is_type(value, json_type_array) || !json_object_array_length(value))
		return bad_request(error, "prompt", "prompt is a string or an array of tokens");
	for (size_t i = 0; i < json_object_array_length(value); i++) {
		struct json_object *item = json_object_array_get_idx(value, i);
		int32_t token;

		if (!json_object_is_type(item, json_type_int))
			return bad_request(error, "prompt",
					   "this server takes one prompt a request, not several");
		token = json_object_get_int(item);
		_Static_assert(sizeof(token) == BYTES_A_TOKEN, "a token number is a token's text");
		prompt_add(prompt, (const char *)&token, sizeof(token));
	}
	return 0;
}

/* ---- the other fields ---- */

static bool field_bool(struct json_object *body, const char *name)
{
	struct json_object *value;

	return json_object_object_get_ex(body, name, &value) &&
	       json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

/* -1: absent or null; -2: not a positive number */
static int64_t field_count(struct json_object *body, const char *name)
{
	struct json_object *value;

	if (!json_object_object_get_ex(body, name, &value) || !value)
		return -1;
	if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 1)
		return -2;
	return json_object_get_int64(value);
}

static int model_find(const struct completion_config *config, struct json_object *body,
		      const char **ret_model, struct buffer *error)
{
	struct json_object *value = NULL;
	char message[640];
	const char *name;

	*ret_model = config->models[0];
	if (!json_object_object_get_ex(body, "model", &value) || !value)
		return 0;
	if (!json_object_is_type(value, json_type_string))
		return bad_request(error, "model", "model is not a string");
	name = json_object_get_string(value);
	if (!*name)
		return 0;
	for (size_t i = 0; i < config->model_count; i++) {
		if (strcmp(config->models[i], name) == 0) {
			*ret_model = config->models[i];
			return 0;
		}
	}
	snprintf(message, sizeof(message), "The model `%s` does not exist.", name);
	completion_error(error, 404, "NotFoundError", "model", message);
	return 404;
}

static int output_decide(const struct completion_config *config, struct json_object *body,
			 struct completion *completion, struct buffer *error)
{
	int64_t limit = field_count(body, "max_completion_tokens");
	int64_t room = (int64_t)config->model_len_max - completion->prompt_tokens;
	int64_t natural = config->output_tokens;
	char message[256];

	if (limit == -1)
		limit = field_count(body, "max_tokens");
	if (limit == -1 && completion->api == COMPLETION_MESSAGES)
		return bad_request(error, "max_tokens",
				   "1 validation error: max_tokens: Field required");
	if (limit == -2)
		return bad_request(error, "max_tokens", "max_tokens must be at least 1");
	if (room < 1 || limit > room) {
		snprintf(message, sizeof(message),
			 "This model's maximum context length is %u tokens. However, you requested "
			 "%lld tokens (%u in the messages, %lld in the completion).",
			 config->model_len_max,
			 (long long)completion->prompt_tokens + (limit > 0 ? limit : 0),
			 completion->prompt_tokens, (long long)(limit > 0 ? limit : 0));
		return bad_request(error, NULL, message);
	}
	if (limit < 0)
		limit = room;
	if (field_bool(body, "ignore_eos"))
		natural = limit;
	completion->cut_by_limit = natural >= limit;
	completion->output_tokens = (uint32_t)(natural < limit ? natural : limit);
	return 0;
}

static void prompt_end(struct prompt *prompt, struct completion *completion)
{
	completion->prompt_tokens = (uint32_t)((prompt->bytes + BYTES_A_TOKEN - 1) / BYTES_A_TOKEN);
	if (!completion->prompt_tokens)
		completion->prompt_tokens = 1;
	completion->seed = XXH64(prompt->text.data ? prompt->text.data + prompt->text.start : "",
				 buffer_length(&prompt->text), prompt->chain);
	completion->block_hashes = TAKE_PTR(prompt->hashes);
	completion->block_count = prompt->count;
	buffer_free(&prompt->text);
}

static int body_read(const struct completion_config *config, struct json_object *body,
		     struct completion *completion, struct buffer *error)
{
	struct prompt prompt = {.block_bytes = (size_t)config->block_tokens * BYTES_A_TOKEN};
	struct json_object *options;
	int64_t answers = field_count(body, "n");
	int status;

	status = model_find(config, body, &completion->model, error);
	if (status)
		return status;
	if (answers != -1 && answers != 1)
		return bad_request(error, "n", "this server gives one answer a request: n is 1");
	completion->stream = field_bool(body, "stream");
	if (json_object_object_get_ex(body, "stream_options", &options) &&
	    json_object_is_type(options, json_type_object))
		completion->include_usage = field_bool(options, "include_usage");
	status = completion->api == COMPLETION_TEXT ? prompt_read_prompt(&prompt, body, error)
						    : prompt_read_messages(&prompt, body, error);
	prompt_end(&prompt, completion);
	return status ?: output_decide(config, body, completion, error);
}

int completion_parse(const struct completion_config *config, enum completion_api api,
		     const char *data, size_t length, struct completion *ret_completion,
		     struct buffer *error)
{
	struct completion completion = {.api = api, .created = (uint64_t)time(NULL)};
	struct json_tokener *tokener;
	struct json_object *body = NULL;
	int status;

	tokener = json_tokener_new_ex(PARSE_DEPTH_MAX);
	if (!tokener)
		abort();
	if (length <= INT32_MAX)
		body = json_tokener_parse_ex(tokener, data, (int)length);
	json_tokener_free(tokener);
	if (!body || !json_object_is_type(body, json_type_object)) {
		json_object_put(body);
		return bad_request(error, NULL, "the body is not a JSON object");
	}
	status = body_read(config, body, &completion, error);
	json_object_put(body);
	if (status) {
		completion_free(&completion);
		return status;
	}
	*ret_completion = completion;
	return 0;
}

void completion_free(struct completion *completion)
{
	free(completion->block_hashes);
	*completion = (struct completion){0};
}

/* ---- answers ---- */

const char *completion_word(const struct completion *completion, uint32_t index)
{
	return words[(completion->seed + index * 7ull) % ARRAY_SIZE(words)];
}

static bool is_chat(const struct completion *completion)
{
	return completion->api == COMPLETION_CHAT;
}

static const char *finish_reason(const struct completion *completion)
{
	return completion->cut_by_limit ? "\"length\"" : "\"stop\"";
}

static void begin(const struct completion *completion, const char *object, struct buffer *out)
{
	buffer_printf(out,
		      "{\"id\": \"%s-%016llx\", \"object\": \"%s\", \"created\": %llu, "
		      "\"model\": \"%s\", ",
		      is_chat(completion) ? "chatcmpl" : "cmpl", (unsigned long long)completion->id,
		      object, (unsigned long long)completion->created, completion->model);
}

static void event_begin(const struct completion *completion, struct buffer *out)
{
	buffer_puts(out, "data: ");
	begin(completion, is_chat(completion) ? "chat.completion.chunk" : "text_completion", out);
}

static void usage(const struct completion *completion, uint32_t cached_tokens, struct buffer *out)
{
	buffer_printf(out,
		      "\"usage\": {\"prompt_tokens\": %u, \"total_tokens\": %u, "
		      "\"completion_tokens\": %u, \"prompt_tokens_details\": "
		      "{\"cached_tokens\": %u}}",
		      completion->prompt_tokens,
		      completion->prompt_tokens + completion->output_tokens,
		      completion->output_tokens, cached_tokens);
}

void completion_event(const struct completion *completion, uint32_t index, struct buffer *out)
{
	bool last = index + 1 == completion->output_tokens;
	const char *finish = last ? finish_reason(completion) : "null";

	if (completion->api == COMPLETION_MESSAGES) {
		messages_event(completion, index, out);
		return;
	}
	if (is_chat(completion) && index == 0) {
		event_begin(completion, out);
		buffer_puts(out,
			    "\"choices\": [{\"index\": 0, \"delta\": {\"role\": \"assistant\", "
			    "\"content\": \"\"}, \"logprobs\": null, "
			    "\"finish_reason\": null}]}\n\n");
	}
	event_begin(completion, out);
	buffer_printf(out,
		      is_chat(completion) ? "\"choices\": [{\"index\": 0, \"delta\": {\"content\": "
					    "\"%s%s\"}, \"logprobs\": null, \"finish_reason\": %s"
					  : "\"choices\": [{\"index\": 0, \"text\": \"%s%s\", "
					    "\"logprobs\": null, \"finish_reason\": %s",
		      index ? " " : "", completion_word(completion, index), finish);
	buffer_puts(out,
		    last || !is_chat(completion) ? ", \"stop_reason\": null}]}\n\n" : "}]}\n\n");
}

void completion_event_end(const struct completion *completion, uint32_t cached_tokens,
			  struct buffer *out)
{
	if (completion->api == COMPLETION_MESSAGES) {
		messages_event_end(completion, cached_tokens, out);
		return;
	}
	if (completion->include_usage) {
		event_begin(completion, out);
		buffer_puts(out, "\"choices\": [], ");
		usage(completion, cached_tokens, out);
		buffer_puts(out, "}\n\n");
	}
	buffer_puts(out, "data: [DONE]\n\n");
}

void completion_answer(const struct completion *completion, uint32_t cached_tokens,
		       struct buffer *out)
{
	if (completion->api == COMPLETION_MESSAGES) {
		messages_answer(completion, cached_tokens, out);
		return;
	}
	begin(completion, is_chat(completion) ? "chat.completion" : "text_completion", out);
	buffer_puts(out, is_chat(completion)
				 ? "\"choices\": [{\"index\": 0, \"message\": {\"role\": "
				   "\"assistant\", \"content\": \""
				 : "\"choices\": [{\"index\": 0, \"text\": \"");
	for (uint32_t i = 0; i < completion->output_tokens; i++)
		buffer_printf(out, "%s%s", i ? " " : "", completion_word(completion, i));
	buffer_printf(out,
		      "\"%s, \"logprobs\": null, \"finish_reason\": %s, \"stop_reason\": null}], ",
		      is_chat(completion) ? ", \"tool_calls\": []}" : "",
		      finish_reason(completion));
	usage(completion, cached_tokens, out);
	buffer_puts(out, "}");
}

void completion_models(const struct completion_config *config, uint64_t created, struct buffer *out)
{
	buffer_puts(out, "{\"object\": \"list\", \"data\": [");
	for (size_t i = 0; i < config->model_count; i++) {
		const char *name = config->models[i];

		buffer_printf(out,
			      "%s{\"id\": \"%s\", \"object\": \"model\", \"created\": %llu, "
			      "\"owned_by\": \"vllm\", \"root\": \"%s\", \"parent\": null, "
			      "\"max_model_len\": %u, \"permission\": []}",
			      i ? ", " : "", name, (unsigned long long)created, name,
			      config->model_len_max);
	}
	buffer_puts(out, "]}");
}
