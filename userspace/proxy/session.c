// SPDX-License-Identifier: BSD-2-Clause
/* See session.h for the states.
 *
 * Every event of the client's socket sets `busy`, does its work, and ends in
 * session_pump(), which takes pipelined requests one after the other in a loop:
 * however many there are in a buffer, the stack does not grow. */
#include "userspace/proxy/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/proxy/worker.h"

static void session_pump(struct session *s);
static void on_event(struct watch *watch, uint32_t events);
static void on_timer(struct timer *timer);

int sessions_init(struct worker *worker, size_t slots)
{
	worker->sessions = calloc(slots, sizeof(*worker->sessions));
	if (!worker->sessions)
		return -ENOMEM;
	worker->session_slots = slots;
	for (size_t i = slots; i-- > 0;) {
		struct session *s = &worker->sessions[i];

		s->worker = worker;
		s->fd = -1;
		s->next_free = worker->session_free;
		worker->session_free = s;
	}
	return 0;
}

/* ---- what is watched ---- */

static void input_want(struct session *s, bool wanted)
{
	s->input_paused = !wanted;
}

/* EPOLLIN stays on while an exchange is at work, which saves two system calls a
 * request, until a pipelining client makes it fire (input_paused). */
static void interest_set(struct session *s)
{
	uint32_t events = 0;

	if (!s->half_closed)
		events |= EPOLLRDHUP;
	if (!s->input_paused)
		events |= EPOLLIN;
	if (s->outbox.count)
		events |= EPOLLOUT;
	loop_watch_change(s->worker->loop, &s->watch, events);
}

static void timer_set(struct session *s, uint64_t delay_ns)
{
	loop_timer_after(s->worker->loop, &s->timer, delay_ns);
}

/* ---- buffers ---- */

static void outbox_release(struct session *s)
{
	struct outbox *o = &s->outbox;

	for (size_t i = 0; i < o->count; i++)
		buffers_give(&s->worker->buffers, &o->buffers[i]);
	*o = (struct outbox){0};
}

static bool outbox_put(struct session *s, const char *data, size_t length)
{
	struct outbox *o = &s->outbox;

	while (length) {
		size_t fits;

		if (!o->count || o->end == BUFFER_BYTES) {
			char *buffer = o->count < OUTBOX_BUFFERS_MAX
					       ? buffers_take(&s->worker->buffers)
					       : NULL;

			if (!buffer)
				return false;
			o->buffers[o->count++] = buffer;
			o->end = 0;
		}
		fits = BUFFER_BYTES - o->end < length ? BUFFER_BYTES - o->end : length;
		memcpy(o->buffers[o->count - 1] + o->end, data, fits);
		o->end += fits;
		data += fits;
		length -= fits;
	}
	return true;
}

static void outbox_drop_first(struct session *s)
{
	struct outbox *o = &s->outbox;

	buffers_give(&s->worker->buffers, &o->buffers[0]);
	o->count--;
	memmove(o->buffers, o->buffers + 1, o->count * sizeof(o->buffers[0]));
	o->begin = 0;
	if (!o->count)
		o->end = 0;
}

/* 0: empty now; -EAGAIN: not all; else the connection is dead. */
static int outbox_flush(struct session *s)
{
	struct outbox *o = &s->outbox;

	while (o->count) {
		size_t end = o->count == 1 ? o->end : BUFFER_BYTES;
		ssize_t n = send(s->fd, o->buffers[0] + o->begin, end - o->begin, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		o->begin += (size_t)n;
		if (o->begin == end)
			outbox_drop_first(s);
		timer_set(s, SESSION_STALL_NS);
	}
	return 0;
}

void session_release_request(struct session *s)
{
	body_release(&s->body);
	buffers_give(&s->worker->buffers, &s->buffer);
	if (s->worker->head_of == s)
		s->worker->head_of = NULL;
}

bool session_is_blocked(const struct session *s)
{
	return s->outbox.count > 0;
}

/* ---- closing ---- */

static void session_close(struct session *s)
{
	struct worker *w = s->worker;
	bool reset = s->reset;

	if (s->exchange.begun)
		exchange_abort(&s->exchange);
	loop_unwatch(w->loop, &s->watch);
	loop_timer_cancel(w->loop, &s->timer);
	if (reset) {
		struct linger linger = {.l_onoff = 1};

		setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	}
	close(s->fd);
	session_release_request(s);
	buffers_give(&w->buffers, &s->ahead);
	outbox_release(s);
	s->fd = -1;
	s->state = SESSION_FREE;
	s->next_free = w->session_free;
	w->session_free = s;
	w->session_count--;
	w->row->sessions--;
	worker_session_gone(w);
}

void sessions_deinit(struct worker *worker)
{
	for (size_t i = 0; i < worker->session_slots; i++) {
		if (session_is_alive(&worker->sessions[i]))
			session_close(&worker->sessions[i]);
	}
	free(worker->sessions);
}

/* The last byte has been given to the socket: tell the client by FIN, then wait
 * for its own. */
static void linger_begin(struct session *s)
{
	if (s->reset || shutdown(s->fd, SHUT_WR) < 0) {
		session_close(s);
		return;
	}
	session_release_request(s);
	buffers_give(&s->worker->buffers, &s->ahead);
	s->state = SESSION_LINGER;
	input_want(s, true);
	interest_set(s);
	timer_set(s, SESSION_LINGER_NS);
}

static void linger_read(struct session *s)
{
	for (int i = 0; i < READS_A_TURN; i++) {
		ssize_t n = recv(s->fd, s->worker->read_buffer, BUFFER_BYTES, 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0 || (s->lingered += (uint64_t)n) > SESSION_LINGER_BYTES) {
			session_close(s);
			return;
		}
	}
}

void session_end(struct session *s, bool reset)
{
	s->reset = reset;
	s->keep_alive = false;
	session_answered(s);
}

/* ---- sending ---- */

bool session_send(struct session *s, struct iovec *vectors, size_t count)
{
	struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
	ssize_t n = 0;

	for (size_t i = 0; i < count; i++)
		s->exchange.bytes_out += vectors[i].iov_len;
	if (!s->outbox.count) {
		do
			n = sendmsg(s->fd, &message, MSG_NOSIGNAL);
		while (n < 0 && errno == EINTR);
		if (n < 0 && errno != EAGAIN) {
			session_close(s);
			return false;
		}
		if (n < 0)
			n = 0;
	}
	for (size_t i = 0; i < count; i++) {
		size_t done = (size_t)n < vectors[i].iov_len ? (size_t)n : vectors[i].iov_len;

		n -= (ssize_t)done;
		if (done == vectors[i].iov_len)
			continue;
		if (!outbox_put(s, (char *)vectors[i].iov_base + done, vectors[i].iov_len - done)) {
			session_close(s);
			return false;
		}
	}
	if (s->outbox.count) {
		if (!timer_is_armed(&s->timer))
			timer_set(s, SESSION_STALL_NS);
		interest_set(s);
	}
	return true;
}

/* ---- between requests ---- */

static void idle_begin(struct session *s)
{
	s->state = SESSION_IDLE;
	input_want(s, true);
	interest_set(s);
	timer_set(s, SESSION_IDLE_NS);
}

static void head_begin(struct session *s)
{
	struct worker *w = s->worker;

	s->state = SESSION_HEAD;
	s->unparsed = true;
	s->head_length = 0;
	http_parser_init(&s->parser, HTTP_REQUEST_MESSAGE);
	exchange_begin(&s->exchange, loop_now_ns(w->loop), clock_realtime_ns());
	timer_set(s, SESSION_HEAD_NS);
}

/* The answer has left: what comes next? */
static void request_next(struct session *s)
{
	session_release_request(s);
	s->have = 0;
	if (!s->keep_alive || s->worker->draining) {
		linger_begin(s);
		return;
	}
	if (!s->ahead_length) {
		idle_begin(s);
		return;
	}
	s->buffer = TAKE_PTR(s->ahead);
	s->have = s->ahead_length;
	s->ahead_length = 0;
	input_want(s, true);
	interest_set(s);
	head_begin(s);
}

void session_answered(struct session *s)
{
	s->state = SESSION_LAST;
	loop_timer_cancel(s->worker->loop, &s->timer);
	if (s->outbox.count) {
		timer_set(s, SESSION_STALL_NS);
		interest_set(s);
		return;
	}
	request_next(s);
	if (session_is_alive(s) && !s->busy)
		session_pump(s);
}

void session_refuse(struct session *s, enum proxy_error error,
		    const struct proxy_error_detail *detail)
{
	struct proxy_error_detail own = *detail;
	bool whole = s->state == SESSION_EXCHANGE;
	char buffer[4096];
	struct text text = TEXT_INIT(buffer);
	struct iovec vector;

	if (!whole || s->worker->draining)
		s->keep_alive = false;
	own.close = !s->keep_alive;
	own.head_only = s->exchange.head_request;
	if (detail->message && detail->message != proxy_error_text(error))
		snprintf(s->exchange.detail, sizeof(s->exchange.detail), "%s", detail->message);
	proxy_error_format(error, &own, &text);
	vector = (struct iovec){text.data, text.length};
	s->exchange.status = proxy_error_status(error);
	s->exchange.error = error;
	if (!session_send(s, &vector, 1))
		return;
	exchange_finish(&s->exchange, proxy_error_status(error), error);
	session_answered(s);
}

static void refuse(struct session *s, enum proxy_error error, const char *message)
{
	session_refuse(s, error, &(struct proxy_error_detail){.message = message});
}

/* ---- receiving ---- */

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
		.message = model_verdict_text(verdict),
		.param = "model",
		.code = model_verdict_name(verdict),
	};

	session_refuse(s, ERROR_BAD_BODY, &detail);
}

/* A JSON body of an API that we do not know need not name a model; but what it
 * names must be unambiguous. */
static bool verdict_passes(enum body_kind kind, enum model_verdict verdict)
{
	if (verdict == MODEL_OK)
		return true;
	return kind == BODY_JSON && (verdict == MODEL_NONE || verdict == MODEL_EMPTY_BODY ||
				     verdict == MODEL_NOT_OBJECT);
}

static void request_whole(struct session *s)
{
	struct exchange *x = &s->exchange;
	enum model_verdict verdict = MODEL_NONE;

	s->state = SESSION_EXCHANGE;
	loop_timer_cancel(s->worker->loop, &s->timer);
	if (s->spare) {
		s->keep_alive = false;
		refuse(s, ERROR_OVERLOADED, "the gateway has all the connections it takes");
		return;
	}
	if (x->body_kind == BODY_JSON || x->body_kind == BODY_JSON_MODEL) {
		verdict = model_scan_finish(&s->looking.scan, &x->facts);
		if (!verdict_passes(x->body_kind, verdict)) {
			verdict_refuse(s, verdict);
			return;
		}
		x->has_model = verdict == MODEL_OK;
	}
	exchange_start(x);
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
	bool scan = s->exchange.body_kind == BODY_JSON || s->exchange.body_kind == BODY_JSON_MODEL;
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
		if (scan && payload.length)
			model_scan_feed(&s->looking.scan, payload.data, payload.length);
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
		s->keep_alive = false;
	request_whole(s);
}

static void continue_send(struct session *s)
{
	static const char answer[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct iovec vector = {(void *)answer, sizeof(answer) - 1};

	session_send(s, &vector, 1);
}

/* What a head alone decides; false: refused. */
static bool head_accept(struct session *s, const struct http_head *head)
{
	struct exchange *x = &s->exchange;
	struct http_span path, query;
	const char *why;

	kept_copy(x->method, sizeof(x->method), head->method);
	kept_copy(x->path, sizeof(x->path), head->target);
	x->head_request = http_span_equal(head->method, "HEAD");
	s->keep_alive = head->keep_alive;
	s->old_client = head->minor == 0;
	s->has_body = head->chunked || head->content_length >= 0;
	if (http_span_equal(head->method, "CONNECT")) {
		refuse(s, ERROR_NOT_IMPLEMENTED, "CONNECT is not supported");
		return false;
	}
	why = route_target_split(target_origin_form(head->target), &path, &query);
	x->body_kind = why ? BODY_BAD_PATH : body_kind_of(head, target_origin_form(head->target));
	if (x->body_kind == BODY_BAD_PATH) {
		refuse(s, ERROR_BAD_REQUEST,
		       why ? why : "the path has escapes that servers read in different ways");
		return false;
	}
	if (x->body_kind == BODY_BLOCKED) {
		refuse(s, ERROR_ROUTE_NOT_FOUND, "this path is not served to clients");
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
	model_scan_init(&s->looking.scan);
	timer_set(s, SESSION_STALL_NS);
	if (expects && s->has_body && !body_here) {
		continue_send(s);
		return;
	}
	body_feed(s, s->buffer + s->head_length, s->have - s->head_length);
}

static void head_parse(struct session *s)
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

static void session_pump(struct session *s)
{
	s->busy = true;
	while (s->state == SESSION_HEAD && s->unparsed) {
		s->unparsed = false;
		head_parse(s);
	}
	s->busy = false;
}

/* The first bytes of a request: it needs a buffer, and there must be enough
 * left for the answers under way. */
static char *request_buffer(struct session *s)
{
	if (!s->buffer && !buffers_low(&s->worker->buffers)) {
		s->buffer = buffers_take(&s->worker->buffers);
		s->have = 0;
	}
	return s->buffer ? s->buffer : s->worker->read_buffer;
}

static void head_read(struct session *s)
{
	char *buffer = request_buffer(s);
	size_t have = s->buffer ? s->have : 0;
	ssize_t n = recv(s->fd, buffer + have, BUFFER_BYTES - have, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (!have)
			buffers_give(&s->worker->buffers, &s->buffer);
		return;
	}
	if (n <= 0) {
		session_close(s);
		return;
	}
	if (s->state == SESSION_IDLE)
		head_begin(s);
	s->exchange.bytes_in += (uint64_t)n;
	if (!s->buffer) {
		refuse(s, ERROR_OVERLOADED, NULL);
		return;
	}
	s->have += (size_t)n;
	s->unparsed = true;
}

static void body_read(struct session *s)
{
	for (int i = 0; i < READS_A_TURN && s->state == SESSION_BODY; i++) {
		ssize_t n = recv(s->fd, s->worker->read_buffer, BUFFER_BYTES, 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			session_close(s);
			return;
		}
		s->exchange.bytes_in += (uint64_t)n;
		timer_set(s, SESSION_STALL_NS);
		body_feed(s, s->worker->read_buffer, (size_t)n);
		if ((size_t)n < BUFFER_BYTES)
			return;
	}
}

static void input(struct session *s)
{
	switch (s->state) {
	case SESSION_IDLE:
	case SESSION_HEAD: head_read(s); break;
	case SESSION_BODY: body_read(s); break;
	case SESSION_LINGER: linger_read(s); break;
	default: /* pipelined: not now */
		input_want(s, false);
		interest_set(s);
		break;
	}
}

static void output(struct session *s)
{
	int err = outbox_flush(s);

	if (err == -EAGAIN)
		return;
	if (err) {
		session_close(s);
		return;
	}
	if (s->state == SESSION_EXCHANGE)
		loop_timer_cancel(s->worker->loop, &s->timer);
	interest_set(s);
	if (s->state == SESSION_LAST)
		request_next(s);
	else if (s->state == SESSION_EXCHANGE)
		exchange_resume(&s->exchange);
}

/* While an answer is owed, a FIN means that the client has gone, unless
 * --half-close says that its clients mean what they say.  An answer that is
 * whole already is sent out in any case. */
static void half_close(struct session *s)
{
	if (!s->worker->options.half_close && s->state == SESSION_EXCHANGE) {
		session_close(s);
		return;
	}
	s->half_closed = true;
	s->keep_alive = false;
	input_want(s, false);
	interest_set(s);
}

static void on_event(struct watch *watch, uint32_t events)
{
	struct session *s = container_of(watch, struct session, watch);
	bool owing = s->state == SESSION_EXCHANGE || s->state == SESSION_LAST;

	if (events & (EPOLLERR | EPOLLHUP) && s->state != SESSION_LINGER) {
		session_close(s);
		return;
	}
	if (events & EPOLLRDHUP && owing) {
		half_close(s);
		return;
	}
	s->busy = true;
	if (events & EPOLLOUT)
		output(s);
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP) && session_is_alive(s))
		input(s);
	s->busy = false;
	if (session_is_alive(s))
		session_pump(s);
}

static void on_timer(struct timer *timer)
{
	struct session *s = container_of(timer, struct session, timer);

	s->busy = true;
	if (s->state == SESSION_BODY || (s->state == SESSION_HEAD && s->have))
		refuse(s, ERROR_CLIENT_SLOW, NULL);
	else
		session_close(s);
	s->busy = false;
}

/* ---- opening ---- */

static void vip_read(struct session *s)
{
	struct sockaddr_storage sa;
	socklen_t length = sizeof(sa);

	if (getsockname(s->fd, (struct sockaddr *)&sa, &length) == 0)
		address_from_sockaddr(&sa, &s->vip, &s->vip_port);
}

void session_open(struct worker *worker, int fd, const struct ip_addr *client, uint16_t client_port,
		  bool spare)
{
	struct session *s = worker->session_free;

	if (!s) {
		close(fd);
		return;
	}
	worker->session_free = s->next_free;
	*s = (struct session){
		.worker = worker,
		.state = SESSION_IDLE,
		.fd = fd,
		.watch = WATCH_INIT(on_event),
		.timer = TIMER_INIT(on_timer),
		.client = *client,
		.client_port = client_port,
		.spare = spare,
		.keep_alive = true,
		.body = {.spill_fd = -1},
	};
	s->exchange.session = s;
	vip_read(s);
	worker->session_count++;
	worker->row->sessions++;
	worker->row->sessions_total++;
	if (loop_watch(worker->loop, &s->watch, fd, EPOLLIN | EPOLLRDHUP)) {
		session_close(s);
		return;
	}
	timer_set(s, SESSION_IDLE_NS);
}

void session_drain(struct session *s)
{
	if (s->state == SESSION_IDLE)
		session_close(s);
	else
		s->keep_alive = false;
}
