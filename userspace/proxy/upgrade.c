// SPDX-License-Identifier: BSD-2-Clause
/* See upgrade.h.  Each event moves what it can and ends in settle(), where the watches
 * follow what is kept.  Nothing is read from a side while something of it is kept, so
 * its end is only seen when all before it has been sent, and goes on at once.  A
 * function that returns false has ended the exchange and its session. */
#include "userspace/proxy/upgrade.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "userspace/base/cleanup.h"
#include "userspace/proxy/exchange_parts.h"
#include "userspace/proxy/session_parts.h"
#include "userspace/proxy/upstream.h"

static void idle_restart(struct exchange *x)
{
	session_timer_set(x->session, exchange_worker(x)->options.upgrade_idle_s * NS_PER_S);
}

void upgrade_leave(struct exchange *x)
{
	struct worker *w = exchange_worker(x);

	outbox_release(&x->upgrade.up, &w->buffers);
	if (!x->upgrade.open)
		return;
	x->upgrade.open = false;
	w->row->upgraded--;
}

/* Both connections go; `broken`: neither side shall take it for an end in order. */
static void finish(struct exchange *x, enum proxy_error error, bool broken)
{
	struct session *s = x->session;

	if (broken) {
		struct linger linger = {.l_onoff = 1};

		setsockopt(x->upstream->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		s->reset = true;
	}
	exchange_finish(x, x->status, error);
	session_shut(s);
}

void upgrade_give_up(struct exchange *x, const char *why)
{
	snprintf(x->detail, sizeof(x->detail), "%s", why);
	finish(x, ERROR_UPGRADE_ENDED, false);
}

/* ---- watching ---- */

/* A descriptor of which nothing is wanted is not watched at all: its end or its RST
 * would wake the loop for ever.  Should epoll refuse, the idle limit ends it. */
static void watch_want(struct loop *loop, struct watch *watch, int fd, uint32_t events)
{
	if (!events)
		loop_unwatch(loop, watch);
	else if (watch->fd < 0)
		loop_watch(loop, watch, fd, events);
	else
		loop_watch_change(loop, watch, events);
}

void upgrade_watch(struct exchange *x)
{
	struct session *s = x->session;
	struct upgrade *g = &x->upgrade;
	uint32_t client = 0, server = 0;

	if (session_is_blocked(s))
		client |= EPOLLOUT;
	else if (!g->server_ended)
		server |= EPOLLIN;
	if (g->up.count)
		server |= EPOLLOUT;
	else if (!g->client_ended)
		client |= EPOLLIN;
	watch_want(s->worker->loop, &s->watch, s->fd, client);
	watch_want(s->worker->loop, &x->upstream->watch, x->upstream->fd, server);
}

static void settle(struct exchange *x)
{
	if (x->upgrade.client_ended && x->upgrade.server_ended)
		finish(x, ERROR_NONE, false);
	else
		upgrade_watch(x);
}

/* ---- client to server ---- */

/* The server has closed, or reset: what it said before that is still to be read. */
static void server_is_deaf(struct exchange *x)
{
	x->upgrade.server_deaf = true;
	outbox_release(&x->upgrade.up, &exchange_worker(x)->buffers);
}

static bool up_send(struct exchange *x, const char *data, size_t length)
{
	ssize_t n;

	if (x->upgrade.server_deaf || !length)
		return true;
	do
		n = send(x->upstream->fd, data, length, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN) {
		server_is_deaf(x);
		return true;
	}
	if (n < 0)
		n = 0;
	if (outbox_put(&x->upgrade.up, &exchange_worker(x)->buffers, data + n, length - (size_t)n))
		return true;
	finish(x, ERROR_OVERLOADED, true);
	return false;
}

static bool client_read(struct exchange *x)
{
	struct session *s = x->session;
	char *data = s->worker->read_buffer;

	for (int i = 0; i < READS_A_TURN && !x->upgrade.up.count && !x->upgrade.client_ended; i++) {
		ssize_t n = recv(s->fd, data, BUFFER_BYTES, 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n < 0) {
			finish(x, ERROR_CLIENT_GONE, true);
			return false;
		}
		if (n == 0) {
			x->upgrade.client_ended = true;
			shutdown(x->upstream->fd, SHUT_WR);
		}
		x->bytes_in += (uint64_t)n;
		idle_restart(x);
		if (!up_send(x, data, (size_t)n))
			return false;
	}
	return true;
}

static void up_flush(struct exchange *x)
{
	size_t sent = 0;
	int err =
		outbox_flush(&x->upgrade.up, &exchange_worker(x)->buffers, x->upstream->fd, &sent);

	if (sent)
		idle_restart(x);
	if (err && err != -EAGAIN)
		server_is_deaf(x);
}

/* ---- server to client ---- */

static bool server_read(struct exchange *x)
{
	struct session *s = x->session;
	char *data = s->worker->read_buffer;

	for (int i = 0; i < READS_A_TURN && !session_is_blocked(s) && !x->upgrade.server_ended;
	     i++) {
		ssize_t n = recv(x->upstream->fd, data, BUFFER_BYTES, 0);
		struct iovec vector = {data, (size_t)n};

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n < 0) {
			finish(x, ERROR_CUT, true);
			return false;
		}
		if (n == 0) {
			x->upgrade.server_ended = true;
			shutdown(s->fd, SHUT_WR);
		}
		idle_restart(x);
		if (n && !session_send(s, &vector, 1))
			return false;
	}
	return true;
}

static bool client_flush(struct exchange *x)
{
	struct session *s = x->session;
	size_t sent = 0;
	int err = outbox_flush(&s->outbox, &s->worker->buffers, s->fd, &sent);

	if (sent)
		idle_restart(x);
	if (!err || err == -EAGAIN)
		return true;
	finish(x, ERROR_CLIENT_GONE, true);
	return false;
}

/* ---- events ---- */

#define EVENTS_IN (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)

void upgrade_on_client(struct exchange *x, uint32_t events)
{
	if (events & EPOLLOUT && !client_flush(x))
		return;
	if (events & EVENTS_IN && !client_read(x))
		return;
	settle(x);
}

void upgrade_on_upstream(struct exchange *x, uint32_t events)
{
	if (events & EPOLLOUT)
		up_flush(x);
	if (events & EVENTS_IN && !server_read(x))
		return;
	settle(x);
}

/* ---- beginning ---- */

bool upgrade_is_agreed(struct exchange *x, const struct http_head *answer)
{
	return x->upgrade.asked && x->request_sent &&
	       headers_upgrade_agrees(session_head(x->session), answer);
}

static void protocol_keep(struct upgrade *g, const struct http_head *answer)
{
	const struct http_header *header = http_head_find(answer, "upgrade");

	snprintf(g->protocol, sizeof(g->protocol), "%.*s", (int)header->value.length,
		 header->value.data);
}

/* The client's bytes behind its request have waited for this. */
static bool ahead_send(struct exchange *x)
{
	struct session *s = x->session;
	size_t length = s->ahead_length;
	bool sent;

	s->ahead_length = 0;
	sent = up_send(x, s->ahead, length);
	if (sent)
		buffers_give(&s->worker->buffers, &s->ahead);
	return sent;
}

void upgrade_begin(struct exchange *x, const struct http_head *answer, char *data, size_t length)
{
	struct session *s = x->session;
	struct worker *w = s->worker;
	struct answer_rewrite rewrite = {
		.filters = x->choice.filters, .framing = ANSWER_NO_BODY, .upgrade = true};
	char own[OWN_HEADER_BYTES];
	struct text text, own_value = TEXT_INIT(own);
	struct iovec vectors[2];

	rewrite.own = (struct snapshot_pair){exchange_persist_answer(x, &own_value), own};
	text_init(&text, w->head_text, sizeof(w->head_text));
	headers_format_answer(answer, &rewrite, &text);
	if (text.cut) {
		attempt_fail(x, FAILURE_BAD_ANSWER);
		return;
	}
	buffers_give(&w->buffers, &x->answer);
	x->status = 101;
	protocol_keep(&x->upgrade, answer);
	exchange_committed(x);
	loop_timer_cancel(w->loop, &x->timer);
	upstream_forgive_stalls(x->upstream);
	x->state = EXCHANGE_UPGRADED;
	s->state = SESSION_UPGRADED;
	s->keep_alive = false;
	x->upgrade.open = true;
	w->row->upgraded++;
	idle_restart(x);
	vectors[0] = (struct iovec){text.data, text.length};
	vectors[1] = (struct iovec){data, length};
	if (session_send(s, vectors, 2) && ahead_send(x))
		settle(x);
}
