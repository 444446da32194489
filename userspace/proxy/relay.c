// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/relay.h"

#include <string.h>

#include "userspace/base/text.h"
#include "userspace/model/restore.h"
#include "userspace/proxy/exchange_parts.h"
#include "userspace/proxy/session.h"
#include "userspace/proxy/worker.h"

#define CHUNK_SIZE_BYTES 20 /* 16 digits, the line's end and NUL */

/* What one read gives the client: [head][chunk size][payload][chunk end]. */
struct parcel {
	struct iovec vectors[4];
	size_t count;
	char chunk_size[CHUNK_SIZE_BYTES];
};

/* The line that a chunk begins with. */
static struct iovec chunk_size(char line[CHUNK_SIZE_BYTES], size_t length)
{
	struct text text;

	text_init(&text, line, CHUNK_SIZE_BYTES);
	text_hex(&text, length);
	text_puts(&text, "\r\n");
	return (struct iovec){text.data, text.length};
}

static void parcel_add(struct parcel *parcel, const void *data, size_t length)
{
	if (length)
		parcel->vectors[parcel->count++] = (struct iovec){(void *)data, length};
}

/* `here`: bytes of the body that have come. */
static enum answer_framing framing_choose(const struct exchange *x, const struct http_head *head,
					  size_t here)
{
	bool old_client = x->session->old_client;

	switch (x->parser.framing) {
	case HTTP_BODY_NONE: return ANSWER_NO_BODY;
	case HTTP_BODY_LENGTH:
		if (!x->restoring)
			return ANSWER_AS_IS;
		if ((uint64_t)head->content_length <= here)
			return ANSWER_COUNTED;
		break;
	case HTTP_BODY_CHUNKED:
		if (!x->restoring && !old_client)
			return ANSWER_AS_IS;
		break;
	case HTTP_BODY_UNTIL_CLOSE: break;
	}
	return old_client ? ANSWER_UNTIL_CLOSE : ANSWER_CHUNKED;
}

/* What one read holds of the answer. */
struct taken {
	const char *data; /* to be passed on */
	size_t length;
	bool rest; /* there are bytes behind the message */
	enum http_parse parse;
};

static void payload_observe(struct exchange *x, struct http_span payload, struct text *restored)
{
	struct restore restore = {&x->session->looking.usage, x->facts.name, x->facts.name_length};

	if (x->restoring)
		restore_feed(&restore, payload.data, payload.length, restored);
	else if (x->observed)
		usage_observer_feed(&x->session->looking.usage, payload.data, payload.length);
}

/* Runs the parser over `data`.  With AS_IS the bytes are passed on as they are,
 * else payloads are moved together at the start of `data`, or in w->restored. */
static struct taken body_take(struct exchange *x, char *data, size_t length)
{
	struct worker *w = x->session->worker;
	struct taken taken = {.data = data, .parse = HTTP_PARSE_INCOMPLETE};
	size_t at = 0, payload_bytes = 0;
	struct text restored;

	text_init(&restored, w->restored, sizeof(w->restored));
	do {
		struct http_span payload;
		size_t used = 0;

		taken.parse = http_parser_body(&x->parser, data + at, length - at, &used, &payload);
		if (taken.parse == HTTP_PARSE_BAD) {
			at += used; /* the end of a chunk, say: relay_tell_cut counts on it */
			break;
		}
		if (payload.length)
			payload_observe(x, payload, &restored);
		if (x->framing != ANSWER_AS_IS && !x->restoring && payload.length) {
			memmove(data + payload_bytes, payload.data, payload.length);
			payload_bytes += payload.length;
		}
		at += used;
		if (!used)
			break;
	} while (taken.parse == HTTP_PARSE_INCOMPLETE && at < length);
	taken.length = x->framing == ANSWER_AS_IS ? at : payload_bytes;
	taken.rest = length > at;
	if (x->restoring) {
		taken.data = restored.data;
		taken.length = restored.length;
	}
	return taken;
}

static void parcel_body(struct exchange *x, struct parcel *parcel, const char *data, size_t length,
			bool last)
{
	static const char end[] = "\r\n0\r\n\r\n";

	if (x->framing == ANSWER_NO_BODY)
		return;
	if (x->framing != ANSWER_CHUNKED) {
		parcel_add(parcel, data, length);
		return;
	}
	if (length) {
		struct iovec size = chunk_size(parcel->chunk_size, length);

		parcel_add(parcel, size.iov_base, size.iov_len);
		parcel_add(parcel, data, length);
		parcel_add(parcel, end, last ? sizeof(end) - 1 : 2);
	} else if (last) {
		parcel_add(parcel, end + 2, sizeof(end) - 3);
	}
}

/* The whole answer is with the session. */
static void relay_complete(struct exchange *x, bool rest)
{
	struct session *s = x->session;
	bool keep = x->upstream_keep_alive && x->request_sent && !rest;

	exchange_leave(x, keep);
	exchange_finish(x, x->status, ERROR_NONE);
	session_answered(s);
}

static void relay_pass(struct exchange *x, struct parcel *parcel, const struct taken *taken)
{
	struct session *s = x->session;

	parcel_body(x, parcel, taken->data, taken->length, taken->parse == HTTP_PARSE_COMPLETE);
	if (parcel->count && !session_send(s, parcel->vectors, parcel->count))
		return;
	if (taken->parse == HTTP_PARSE_BAD)
		exchange_cut(x, FAILURE_BAD_ANSWER);
	else if (taken->parse == HTTP_PARSE_COMPLETE)
		relay_complete(x, taken->rest);
}

void relay_begin(struct exchange *x, const struct http_head *head, char *data, size_t length)
{
	struct session *s = x->session;
	struct worker *w = s->worker;
	struct answer_rewrite rewrite = {.filters = x->choice.filters, .cors = x->cors};
	struct parcel parcel = {0};
	char own[OWN_HEADER_BYTES];
	struct text text, own_value = TEXT_INIT(own);
	struct taken taken;

	x->framing = framing_choose(x, head, length);
	if (x->framing == ANSWER_UNTIL_CLOSE || w->draining)
		s->keep_alive = false;
	taken = body_take(x, data, length);
	if (x->cors)
		rewrite.request = session_head(s);
	rewrite.framing = x->framing;
	rewrite.body_bytes = taken.length;
	rewrite.changed = x->restoring;
	rewrite.own = (struct snapshot_pair){exchange_persist_answer(x, &own_value), own};
	rewrite.close = !s->keep_alive;
	rewrite.say_keep_alive = s->old_client;
	text_init(&text, w->head_text, sizeof(w->head_text));
	headers_format_answer(head, &rewrite, &text);
	if (text.cut) {
		exchange_leave(x, false);
		session_refuse(s, ERROR_UPSTREAM,
			       &(struct proxy_error_detail){
				       .message = "the model server's headers are too large"});
		return;
	}
	exchange_committed(x);
	parcel_add(&parcel, text.data, text.length);
	relay_pass(x, &parcel, &taken);
}

void relay_feed(struct exchange *x, char *data, size_t length)
{
	struct taken taken = body_take(x, data, length);
	struct parcel parcel = {0};

	relay_pass(x, &parcel, &taken);
}

void relay_eof(struct exchange *x)
{
	struct parcel parcel = {0};

	if (http_parser_eof(&x->parser) != HTTP_PARSE_COMPLETE) {
		exchange_cut(x, FAILURE_CLOSED);
		return;
	}
	x->upstream_keep_alive = false;
	parcel_body(x, &parcel, NULL, 0, true);
	if (parcel.count && !session_send(x->session, parcel.vectors, parcel.count))
		return;
	relay_complete(x, false);
}

/* A chunk may only be added between two chunks of the server's. */
static bool between_chunks(const struct exchange *x)
{
	if (x->framing == ANSWER_CHUNKED)
		return true;
	return x->framing == ANSWER_AS_IS && x->parser.framing == HTTP_BODY_CHUNKED &&
	       x->parser.chunked.state == CHUNKED_SIZE && x->parser.chunked.digits == 0;
}

void relay_tell_cut(struct exchange *x, const char *message)
{
	struct proxy_error_detail detail = {.message = message, .shape = x->error_shape};
	char event[1024], size[CHUNK_SIZE_BYTES];
	struct text text = TEXT_INIT(event);
	struct iovec vectors[3];

	if (!x->event_stream || !between_chunks(x))
		return;
	text_puts(&text, "\nevent: error\ndata: ");
	proxy_error_body(ERROR_CUT, &detail, &text);
	text_puts(&text, "\n");
	vectors[0] = chunk_size(size, text.length);
	vectors[1] = (struct iovec){text.data, text.length};
	vectors[2] = (struct iovec){(void *)"\r\n", 2};
	session_send(x->session, vectors, 3);
}
