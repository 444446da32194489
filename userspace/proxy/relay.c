// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/relay.h"

#include <stdio.h>
#include <string.h>

#include "userspace/base/text.h"
#include "userspace/proxy/exchange.h"
#include "userspace/proxy/session.h"
#include "userspace/proxy/worker.h"

/* What one read gives the client: [head][chunk size][payload][chunk end]. */
struct parcel {
	struct iovec vectors[4];
	size_t count;
	char chunk_size[20];
};

static void parcel_add(struct parcel *parcel, const void *data, size_t length)
{
	if (length)
		parcel->vectors[parcel->count++] = (struct iovec){(void *)data, length};
}

static enum answer_framing framing_choose(const struct exchange *x, bool old_client)
{
	switch (x->parser.framing) {
	case HTTP_BODY_NONE: return ANSWER_NO_BODY;
	case HTTP_BODY_LENGTH: return ANSWER_AS_IS;
	case HTTP_BODY_CHUNKED: return old_client ? ANSWER_UNTIL_CLOSE : ANSWER_AS_IS;
	case HTTP_BODY_UNTIL_CLOSE: return old_client ? ANSWER_UNTIL_CLOSE : ANSWER_CHUNKED;
	}
	return ANSWER_UNTIL_CLOSE;
}

/* Runs the parser over `data`.  With AS_IS the bytes are passed on as they are,
 * else payloads are moved together at the start of `data`.  *ret_out: how many
 * bytes there are to pass on; *ret_rest: bytes behind the message. */
static enum http_parse body_take(struct exchange *x, char *data, size_t length, size_t *ret_out,
				 size_t *ret_rest)
{
	enum http_parse parse = HTTP_PARSE_INCOMPLETE;
	size_t at = 0, payload_bytes = 0;

	do {
		struct http_span payload;
		size_t used = 0;

		parse = http_parser_body(&x->parser, data + at, length - at, &used, &payload);
		if (parse == HTTP_PARSE_BAD) {
			at += used; /* the end of a chunk, say: relay_tell_cut counts on it */
			break;
		}
		if (x->observed && payload.length)
			usage_observer_feed(&x->session->looking.usage, payload.data,
					    payload.length);
		if (x->framing != ANSWER_AS_IS && payload.length) {
			memmove(data + payload_bytes, payload.data, payload.length);
			payload_bytes += payload.length;
		}
		at += used;
		if (!used)
			break;
	} while (parse == HTTP_PARSE_INCOMPLETE && at < length);
	*ret_out = x->framing == ANSWER_AS_IS ? at : payload_bytes;
	*ret_rest = length - at;
	return parse;
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
		struct text size = TEXT_INIT(parcel->chunk_size);

		text_hex(&size, length);
		text_puts(&size, "\r\n");
		parcel_add(parcel, size.data, size.length);
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

static void relay_pass(struct exchange *x, struct parcel *parcel, char *data, size_t length)
{
	struct session *s = x->session;
	size_t out = 0, rest = 0;
	enum http_parse parse = body_take(x, data, length, &out, &rest);

	parcel_body(x, parcel, data, out, parse == HTTP_PARSE_COMPLETE);
	if (parcel->count && !session_send(s, parcel->vectors, parcel->count))
		return;
	if (parse == HTTP_PARSE_BAD)
		exchange_cut(x, FAILURE_BAD_ANSWER);
	else if (parse == HTTP_PARSE_COMPLETE)
		relay_complete(x, rest > 0);
}

void relay_begin(struct exchange *x, const struct http_head *head, char *data, size_t length)
{
	struct session *s = x->session;
	struct worker *w = s->worker;
	struct answer_rewrite rewrite = {.filters = x->choice.filters, .cors = x->cors};
	struct parcel parcel = {0};
	struct text text;

	x->framing = framing_choose(x, s->old_client);
	if (x->framing == ANSWER_UNTIL_CLOSE || w->draining)
		s->keep_alive = false;
	if (x->cors)
		rewrite.request = session_head(s);
	rewrite.framing = x->framing;
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
	relay_pass(x, &parcel, data, length);
}

void relay_feed(struct exchange *x, char *data, size_t length)
{
	struct parcel parcel = {0};

	relay_pass(x, &parcel, data, length);
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
	char event[1024], size[20];
	struct text text = TEXT_INIT(event);
	struct iovec vectors[3];

	if (!x->event_stream || !between_chunks(x))
		return;
	text_puts(&text, "\nevent: error\ndata: ");
	proxy_error_body(ERROR_CUT, &detail, &text);
	text_puts(&text, "\n");
	vectors[0] =
		(struct iovec){size, (size_t)snprintf(size, sizeof(size), "%zx\r\n", text.length)};
	vectors[1] = (struct iovec){text.data, text.length};
	vectors[2] = (struct iovec){(void *)"\r\n", 2};
	session_send(x->session, vectors, 3);
}
