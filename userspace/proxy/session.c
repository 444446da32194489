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
#include "userspace/proxy/cors.h"
#include "userspace/proxy/session_parts.h"
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
	return 0;
}

bool sessions_are_left(const struct worker *worker)
{
	return worker->session_free || worker->sessions_begun < worker->session_slots;
}

static struct session *slot_take(struct worker *worker)
{
	struct session *s = worker->session_free;

	if (s)
		worker->session_free = s->next_free;
	else if (worker->sessions_begun < worker->session_slots)
		s = &worker->sessions[worker->sessions_begun++];
	return s;
}

/* ---- what is watched ---- */

/* EPOLLIN stays on while an exchange is at work, which saves two system calls a
 * request, until a pipelining client makes it fire (input_paused). */
static void interest_set(struct session *s)
{
	uint32_t events = 0;

	if (s->state == SESSION_UPGRADED) {
		upgrade_watch(&s->exchange);
		return;
	}
	if (!s->half_closed)
		events |= EPOLLRDHUP;
	if (!s->input_paused)
		events |= EPOLLIN;
	if (s->outbox.count)
		events |= EPOLLOUT;
	loop_watch_change(s->worker->loop, &s->watch, events);
}

void session_input(struct session *s, bool wanted)
{
	s->input_paused = !wanted;
	interest_set(s);
}

void session_timer_set(struct session *s, uint64_t delay_ns)
{
	loop_timer_after(s->worker->loop, &s->timer, delay_ns);
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

void session_shut(struct session *s)
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
	session_client_leave(s);
	session_release_request(s);
	buffers_give(&w->buffers, &s->ahead);
	outbox_release(&s->outbox, &w->buffers);
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
	for (size_t i = 0; i < worker->sessions_begun; i++) {
		if (session_is_alive(&worker->sessions[i]))
			session_shut(&worker->sessions[i]);
	}
	free(worker->sessions);
}

/* The last byte has been given to the socket: tell the client by FIN, then wait
 * for its own. */
static void linger_begin(struct session *s)
{
	if (s->reset || shutdown(s->fd, SHUT_WR) < 0) {
		session_shut(s);
		return;
	}
	session_release_request(s);
	buffers_give(&s->worker->buffers, &s->ahead);
	s->state = SESSION_LINGER;
	session_input(s, true);
	session_timer_set(s, SESSION_LINGER_NS);
}

static void linger_read(struct session *s)
{
	for (int i = 0; i < READS_A_TURN; i++) {
		ssize_t n = recv(s->fd, s->worker->read_buffer, BUFFER_BYTES, 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0 || (s->lingered += (uint64_t)n) > SESSION_LINGER_BYTES) {
			session_shut(s);
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
			session_shut(s);
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
		if (!outbox_put(&s->outbox, &s->worker->buffers, (char *)vectors[i].iov_base + done,
				vectors[i].iov_len - done)) {
			session_shut(s);
			return false;
		}
	}
	if (s->outbox.count) {
		if (!timer_is_armed(&s->timer))
			session_timer_set(s, SESSION_STALL_NS);
		interest_set(s);
	}
	return true;
}

/* ---- between requests ---- */

void session_begin_idle(struct session *s)
{
	s->state = SESSION_IDLE;
	session_input(s, true);
	if (s->refused_for)
		session_timer_set(s, SESSION_REFUSED_NS);
	else if (s->worker->draining)
		session_drain(s);
	else
		session_timer_set(s, SESSION_IDLE_NS);
}

void session_begin_head(struct session *s)
{
	struct worker *w = s->worker;

	s->state = SESSION_HEAD;
	s->asked = s->unparsed = true;
	s->head_length = 0;
	http_parser_init(&s->parser, HTTP_REQUEST_MESSAGE);
	exchange_begin(&s->exchange, loop_now_ns(w->loop), clock_realtime_ns());
	session_timer_set(s, w->options.head_timeout_s * NS_PER_S);
}

/* The answer has left: what comes next?  One that began before the worker drains
 * has promised that the connection stays; the next one says that it ends. */
static void request_next(struct session *s)
{
	session_release_request(s);
	s->have = 0;
	s->paced_ns = 0;
	if (!s->keep_alive) {
		linger_begin(s);
		return;
	}
	if (!s->ahead_length) {
		session_begin_idle(s);
		return;
	}
	s->buffer = TAKE_PTR(s->ahead);
	s->have = s->ahead_length;
	s->ahead_length = 0;
	session_input(s, true);
	session_begin_head(s);
}

void session_answered(struct session *s)
{
	s->state = SESSION_LAST;
	loop_timer_cancel(s->worker->loop, &s->timer);
	if (s->outbox.count) {
		session_timer_set(s, SESSION_STALL_NS);
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
	char buffer[8192], lines[4096];
	struct text text = TEXT_INIT(buffer), cors = TEXT_INIT(lines);
	struct iovec vector;

	if (!whole || s->worker->draining)
		s->keep_alive = false;
	own.shape = s->exchange.error_shape;
	own.close = !s->keep_alive;
	own.head_only = s->exchange.head_request;
	if (s->exchange.cors && s->buffer) {
		cors_format_answer(s->exchange.cors, session_head(s), NULL, &cors);
		own.headers = cors.cut ? NULL : lines;
	}
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

/* ---- events ---- */

static void session_pump(struct session *s)
{
	s->busy = true;
	while (s->state == SESSION_HEAD && s->unparsed) {
		s->unparsed = false;
		session_parse_head(s);
	}
	s->busy = false;
}

static void input(struct session *s)
{
	switch (s->state) {
	case SESSION_PREFACE: session_read_preface(s); break;
	case SESSION_IDLE:
	case SESSION_HEAD: session_read_head(s); break;
	case SESSION_BODY: session_read_body(s); break;
	case SESSION_LINGER: linger_read(s); break;
	default: /* pipelined: not now */ session_input(s, false); break;
	}
}

static void output(struct session *s)
{
	size_t sent = 0;
	int err = outbox_flush(&s->outbox, &s->worker->buffers, s->fd, &sent);

	if (sent && !s->paced)
		session_timer_set(s, SESSION_STALL_NS);
	if (err == -EAGAIN)
		return;
	if (err) {
		session_shut(s);
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

/* While an answer is owed, or nothing is read, a FIN means that the client has gone, unless
 * --half-close says that its clients mean what they say.  An answer that is
 * whole already is sent out in any case. */
static void half_close(struct session *s)
{
	if (!s->worker->options.half_close && (s->state == SESSION_EXCHANGE || s->paced)) {
		session_shut(s);
		return;
	}
	s->half_closed = true;
	s->keep_alive = false;
	session_input(s, false);
}

static void on_event(struct watch *watch, uint32_t events)
{
	struct session *s = container_of(watch, struct session, watch);
	bool owing = s->state == SESSION_EXCHANGE || s->state == SESSION_LAST || s->paced;

	if (s->state == SESSION_UPGRADED) {
		upgrade_on_client(&s->exchange, events);
		return;
	}
	if (events & (EPOLLERR | EPOLLHUP) && s->state != SESSION_LINGER) {
		session_shut(s);
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
	if (s->paced)
		session_client_read_on(s);
	else if (s->state == SESSION_UPGRADED)
		upgrade_give_up(&s->exchange, "nothing passed for too long");
	else if (s->state == SESSION_BODY || (s->state == SESSION_HEAD && s->have))
		refuse(s, ERROR_CLIENT_SLOW, NULL);
	else if (s->state == SESSION_PREFACE && s->have)
		session_preface_fail(s, ERROR_PROXY_PROTOCOL);
	else
		session_shut(s);
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
	struct session *s = slot_take(worker);

	if (!s) {
		close(fd);
		return;
	}
	*s = (struct session){
		.worker = worker,
		.state = worker->options.proxy_protocol ? SESSION_PREFACE : SESSION_IDLE,
		.fd = fd,
		.watch = WATCH_INIT(on_event),
		.timer = TIMER_INIT(on_timer),
		.client = *client,
		.client_port = client_port,
		.refused_for = spare ? ERROR_OVERLOADED : ERROR_NONE,
		.keep_alive = true,
		.body = {.spill_fd = -1},
	};
	s->exchange.session = s;
	vip_read(s);
	worker->session_count++;
	worker->row->sessions++;
	worker->row->sessions_total++;
	if (loop_watch(worker->loop, &s->watch, fd, EPOLLIN | EPOLLRDHUP)) {
		session_shut(s);
		return;
	}
	if (s->state != SESSION_PREFACE) {
		session_begin_idle(s);
		session_client_enter(s);
		return;
	}
	session_timer_set(s, worker->options.head_timeout_s * NS_PER_S);
	if (!session_preface_is_believed(s))
		session_preface_fail(s, ERROR_PROXY_UNTRUSTED);
}

void session_drain(struct session *s)
{
	if (s->state == SESSION_IDLE || s->state == SESSION_PREFACE)
		session_timer_set(s, s->asked ? SESSION_DRAIN_NS : SESSION_DRAIN_FIRST_NS);
}
