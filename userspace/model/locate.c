/* SPDX-License-Identifier: BSD-2-Clause */
/* One table of paths.  Rows marked `anywhere` also match behind a prefix, as
 * gateways and vendors put the OpenAI API below paths of their own
 * (/team/v1/chat/completions).  Blocked ones also match what lies below them
 * (vLLM serves its metrics at /metrics/ too).  The others match only whole.
 *
 * Multipart forms, gRPC messages and models in the path are not read yet: such
 * requests are MODEL_PLACE_NONE and can be routed by path.
 */
#include "userspace/model/locate.h"

#include <stdbool.h>
#include <string.h>

#include "userspace/base/cleanup.h"

#define PATH_MAX_KEPT 512

struct row {
	const char *method; /* NULL: any */
	const char *path;
	enum model_place place;
	bool anywhere;
};

#define BODY(path)                                                                                 \
	{                                                                                          \
		"POST", path, MODEL_PLACE_BODY, false                                              \
	}
#define BODY_ANYWHERE(path)                                                                        \
	{                                                                                          \
		"POST", path, MODEL_PLACE_BODY, true                                               \
	}
#define BLOCKED(path)                                                                              \
	{                                                                                          \
		NULL, path, MODEL_PLACE_BLOCKED, false                                             \
	}

static const struct row rows[] = {
	BODY_ANYWHERE("/v1/chat/completions"),
	BODY_ANYWHERE("/v1/completions"),
	BODY_ANYWHERE("/v1/embeddings"),
	BODY_ANYWHERE("/v1/responses"),
	BODY_ANYWHERE("/v1/messages"),
	BODY_ANYWHERE("/v1/messages/count_tokens"),
	BODY_ANYWHERE("/v1/rerank"),
	BODY_ANYWHERE("/v1/reranking"),
	BODY_ANYWHERE("/v1/score"),
	BODY_ANYWHERE("/v1/moderations"),
	BODY_ANYWHERE("/v1/images/generations"),
	BODY_ANYWHERE("/v1/audio/speech"),
	BODY_ANYWHERE("/v1/conversations"),
	BODY_ANYWHERE("/v1/chat/completions/render"),
	BODY_ANYWHERE("/openapi/chat/completions"),
	BODY("/v2/rerank"),
	BODY("/rerank"),
	BODY("/score"),
	BODY("/tokenize"),
	BODY("/detokenize"),
	BODY("/pooling"),
	BODY("/classify"),
	BODY("/inference/v1/generate"),
	BODY("/invocations"),
	BODY("/api/chat"),
	BODY("/api/generate"),
	BODY("/api/embed"),
	BODY("/api/embeddings"),
	BODY("/api/show"),
	BODY("/completion"),
	BODY("/infill"),
	BLOCKED("/metrics"),
	BLOCKED("/health"),
	BLOCKED("/v1/load_lora_adapter"),
	BLOCKED("/v1/unload_lora_adapter"),
	BLOCKED("/sleep"),
	BLOCKED("/wake_up"),
	BLOCKED("/pause"),
	BLOCKED("/reset_prefix_cache"),
	BLOCKED("/flush_cache"),
	BLOCKED("/update_weights_from_disk"),
	BLOCKED("/collective_rpc"),
	BLOCKED("/start_profile"),
	BLOCKED("/stop_profile"),
	BLOCKED("/api/pull"),
	BLOCKED("/api/delete"),
	BLOCKED("/slots"),
	BLOCKED("/props"),
	BLOCKED("/abort_request"),
};

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum decoding { DECODED, DECODED_BAD, DECODED_TOO_LONG };

/* One character; *index moves on past what it took. -1: a broken escape. */
static int char_decode(const char *path, size_t length, size_t *index)
{
	const char *p = path + *index;
	bool escape = *p == '%';

	if (escape && (length - *index < 3 || hex_value(p[1]) < 0 || hex_value(p[2]) < 0))
		return -1;
	*index += escape ? 3 : 1;
	return escape ? hex_value(p[1]) << 4 | hex_value(p[2]) : (unsigned char)*p;
}

/* Without query, escapes decoded. */
static enum decoding path_decode(const char *path, size_t length, char decoded[PATH_MAX_KEPT],
				 size_t *ret_length)
{
	size_t i = 0, n = 0;

	while (i < length && path[i] != '?') {
		int c = char_decode(path, length, &i);

		if (c < 0x20 || c == 0x7f)
			return DECODED_BAD;
		if (n == PATH_MAX_KEPT)
			return DECODED_TOO_LONG;
		decoded[n++] = (char)c;
	}
	*ret_length = n;
	return DECODED;
}

static bool has_dot_segment(const char *path, size_t length)
{
	size_t begin = 0, i;

	for (i = 0; i <= length; i++) {
		if (i < length && path[i] != '/')
			continue;
		if ((i - begin == 1 && path[begin] == '.') ||
		    (i - begin == 2 && path[begin] == '.' && path[begin + 1] == '.'))
			return true;
		begin = i + 1;
	}
	return false;
}

/* "/a/b" before a path of the table: whole segments, none of them empty. */
static bool is_prefix(const char *path, size_t length)
{
	size_t i;

	if (!length)
		return true;
	for (i = 1; i < length; i++)
		if (path[i] == '/' && path[i - 1] == '/')
			return false;
	return path[0] == '/' && path[length - 1] != '/';
}

static bool row_matches(const struct row *row, const char *method, size_t method_length,
			const char *path, size_t length)
{
	size_t row_length = strlen(row->path);

	if (row->method &&
	    (method_length != strlen(row->method) || memcmp(method, row->method, method_length)))
		return false;
	if (row->place == MODEL_PLACE_BLOCKED)
		return length >= row_length && !memcmp(path, row->path, row_length) &&
		       (length == row_length || path[row_length] == '/');
	if (length < row_length || memcmp(path + length - row_length, row->path, row_length))
		return false;
	return length == row_length || (row->anywhere && is_prefix(path, length - row_length));
}

enum model_place model_place_find(const char *method, size_t method_length, const char *path,
				  size_t path_length)
{
	char decoded[PATH_MAX_KEPT];
	size_t length = 0, i;

	switch (path_decode(path, path_length, decoded, &length)) {
	case DECODED_BAD: return MODEL_PLACE_BAD;
	case DECODED_TOO_LONG: return MODEL_PLACE_NONE; /* than any path of the table */
	case DECODED: break;
	}
	if (has_dot_segment(decoded, length))
		return MODEL_PLACE_BAD;
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (row_matches(&rows[i], method, method_length, decoded, length))
			return rows[i].place;
	return MODEL_PLACE_NONE;
}
