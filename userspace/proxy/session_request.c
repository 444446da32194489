// SPDX-License-Identifier: BSD-2-Clause
/* A request on its way in: the head collected and judged, the body stored and
 * scanned, the verdict on it whole. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "userspace/proxy/session_parts.h"
#include "userspace/proxy/worker.h"

static void refuse(struct session *s, enum proxy_error error, const char *message)
{
	session_refuse(s, error, &(struct proxy_error_detail){.message = message});
}

static void kept_copy(char *to, size_t size, struct http_span from)
{
	size_t length = from.length < size ? from.length : size - 1;

	memcpy(to, from.data, length);
	to[length] = '\0';
}

const struct http_head *session_head(struct session *s)
{
	struct worker *w = s->worker;
	struct http_parser parser;
	size_t length;

	if (w->head_of != s) {
		http_parser_init(&parser, HTTP_REQUEST_MESSAGE);
		http_parser_head(&parser, s->buffer, s->head_length, &w->head, &length);
		w->head_of = s;
	}
	return &w->head;
}

static void verdict_refuse(struct session *s, enum model_verdict verdict)
{
	struct proxy_error_detail detail = {
		.message = model_request_text(&s->looking.request, verdict),
		.param = "model",
		.code = model_verdict_name(verdict),
	};

	session_refuse(s, ERROR_BAD_BODY, &detail);
}

static void request_whole(struct session *s)
{
	struct exchange *x = &s->exchange;
	enum model_verdict verdict;

	s->state = SESSION_EXCHANGE;
	loop_timer_cancel(s->worker->loop, &s->timer);
	verdict = model_request_finish(&s->looking.request);
	if (verdict != MODEL_OK &&
	    !(verdict == MODEL_NONE && model_request_may_have_none(&s->looking.request))) {
		verdict_refuse(s, verdict);
		return;
	}
	x->has_model = verdict == MODEL_OK;
	exchange_start(x);
}

/* The body must go on coming, and be whole within the time a request may take: a
 * byte now and then would hold its buffers for ever. */
void session_body_timer_set(struct session *s)
{
	struct worker *w = s->worker;
	uint64_t now = loop_now_ns(w->loop);
	uint64_t until = s->exchange.began_ns + w->options.request_timeout_s * NS_PER_S;

	if (until > now + SESSION_STALL_NS)
		until = now + SESSION_STALL_NS;
	session_timer_set(s, until > now ? until - now : 0);
}

/* Bytes behind the request wait in a buffer of their own. */
static bool ahead_keep(struct session *s, const char *data, size_t length)
{
	if (!length)
		return true;
	s->ahead = buffers_take(&s->worker->buffers);
	if (!s->ahead)
		return false;
	memcpy(s->ahead, data, length);
	s->ahead_length = length;
	return true;
}

static void body_feed(struct session *s, const char *data, size_t length)
{
	enum http_parse parse = HTTP_PARSE_INCOMPLETE;
	size_t at = 0;

	do {
		struct http_span payload;
		size_t used = 0;

		parse = http_parser_body(&s->parser, data + at, length - at, &used, &payload);
		if (parse == HTTP_PARSE_BAD) {
			refuse(s, ERROR_BAD_REQUEST, s->parser.why);
			return;
		}
		if (s->body.length + payload.length > s->worker->options.body_bytes_max) {
			refuse(s, ERROR_BODY_TOO_LARGE, NULL);
			return;
		}
		if (payload.length) {
			session_client_bytes(s, payload.length);
			model_request_feed(&s->looking.request, payload.data, payload.length);
		}
		if (body_append(&s->body, payload.data, payload.length)) {
			refuse(s, ERROR_OVERLOADED, "there is no room to keep the request's body");
			return;
		}
		at += used;
		if (!used)
			break;
	} while (parse == HTTP_PARSE_INCOMPLETE && at < length);
	if (parse != HTTP_PARSE_COMPLETE)
		return;
	if (!ahead_keep(s, data + at, length - at))
		s->keep_alive = s->exchange.upgrade.asked = false;
	request_whole(s);
}

static void continue_send(struct session *s)
{
	static const char answer[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct iovec vector = {(void *)answer, sizeof(answer) - 1};

	session_send(s, &vector, 1);
}

/* The search for the model begins with the head. */
static enum model_verdict model_begin(struct session *s, const struct http_head *head)
{
	struct http_span path = target_origin_form(head->target);
	struct model_head model_head = {.method = {head->method.data, head->method.length},
					.path = {path.data, path.length}};
	enum model_verdict verdict;
	size_t i;

	for (i = 0; i < head->header_count; i++)
		model_head_add(&model_head, head->headers[i].name.data,
			       head->headers[i].name.length, head->headers[i].value.data,
			       head->headers[i].value.length);
	verdict = model_request_begin(&s->looking.request, &s->exchange.facts, &model_head);
	s->exchange.model_place = s->looking.request.place;
	return verdict;
}

/* What a head alone decides; false: refused. */
static bool head_accept(struct session *s, const struct http_head *head)
{
	struct exchange *x = &s->exchange;
	struct http_span path, query;
	enum model_verdict verdict;
	const char *why;

	kept_copy(x->method, sizeof(x->method), head->method);
	kept_copy(x->path, sizeof(x->path), head->target);
	traceparent_id(head, x->trace_id);
	x->error_shape = error_shape_of(target_origin_form(head->target));
	x->head_request = http_span_equal(head->method, "HEAD");
	s->keep_alive = head->keep_alive;
	s->old_client = head->minor == 0;
	x->upgrade.asked = headers_ask_upgrade(head);
	s->has_body = head->chunked || head->content_length >= 0;
	if (!session_client_request(s))
		return false;
	if (http_span_equal(head->method, "CONNECT")) {
		refuse(s, ERROR_NOT_IMPLEMENTED, "CONNECT is not supported");
		return false;
	}
	why = route_target_split(target_origin_form(head->target), &path, &query);
	verdict = why ? MODEL_BAD_PATH : model_begin(s, head);
	if (verdict != MODEL_OK) {
		refuse(s, verdict == MODEL_BLOCKED ? ERROR_ROUTE_NOT_FOUND : ERROR_BAD_REQUEST,
		       why ? why : model_verdict_text(verdict));
		return false;
	}
	if (head->content_length > 0 &&
	    (uint64_t)head->content_length > s->worker->options.body_bytes_max) {
		refuse(s, ERROR_BODY_TOO_LARGE, NULL);
		return false;
	}
	return true;
}

static void head_whole(struct session *s)
{
	struct worker *w = s->worker;
	bool body_here = s->have > s->head_length;
	bool expects = w->head.expect_continue && w->head.content_length != 0;

	w->head_of = s;
	s->state = SESSION_BODY;
	if (!head_accept(s, &w->head))
		return;
	body_init(&s->body, &w->buffers, w->options.spill_dir, s->buffer + s->head_length,
		  BUFFER_BYTES - s->head_length);
	session_body_timer_set(s);
	if (expects && s->has_body && !body_here) {
		continue_send(s);
		return;
	}
	body_feed(s, s->buffer + s->head_length, s->have - s->head_length);
}

void session_parse_head(struct session *s)
{
	struct worker *w = s->worker;
	enum http_parse parse;

	w->head_of = NULL;
	parse = http_parser_head(&s->parser, s->buffer, s->have, &w->head, &s->head_length);
	if (parse == HTTP_PARSE_COMPLETE)
		head_whole(s);
	else if (parse == HTTP_PARSE_BAD)
		refuse(s, proxy_error_of_status(s->parser.answer), s->parser.why);
	else if (s->have == BUFFER_BYTES)
		refuse(s, ERROR_HEAD_TOO_LARGE, NULL);
}

/* The first bytes of a request: it needs a buffer, and there must be enough
 * left for the answers under way. */
char *session_request_buffer(struct session *s)
{
	if (!s->buffer && !buffers_low(&s->worker->buffers)) {
		s->buffer = buffers_take(&s->worker->buffers);
		s->have = 0;
	}
	return s->buffer;
}

void session_read_head(struct session *s)
{
	char *own, *buffer;
	size_t have;
	ssize_t n;

	if (s->state == SESSION_IDLE && !session_client_may_read(s))
		return;
	own = session_request_buffer(s);
	buffer = own ? own : s->worker->read_buffer;
	have = own ? s->have : 0;
	n = recv(s->fd, buffer + have, BUFFER_BYTES - have, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (!have)
			buffers_give(&s->worker->buffers, &s->buffer);
		return;
	}
	if (n <= 0) {
		session_shut(s);
		return;
	}
	if (s->state == SESSION_IDLE)
		session_begin_head(s);
	s->exchange.bytes_in += (uint64_t)n;
	if (!s->buffer) {
		refuse(s, ERROR_OVERLOADED, NULL);
		return;
	}
	s->have += (size_t)n;
	s->unparsed = true;
}

void session_read_body(struct session *s)
{
	for (int i = 0; i < READS_A_TURN && s->state == SESSION_BODY; i++) {
		ssize_t n;

		if (!session_client_may_read(s))
			return;
		n = recv(s->fd, s->worker->read_buffer, BUFFER_BYTES, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			session_shut(s);
			return;
		}
		s->exchange.bytes_in += (uint64_t)n;
		session_body_timer_set(s);
		body_feed(s, s->worker->read_buffer, (size_t)n);
		if ((size_t)n < BUFFER_BYTES)
			return;
	}
}
