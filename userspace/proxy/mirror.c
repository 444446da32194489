// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/mirror.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/proxy/exchange_parts.h"
#include "userspace/proxy/session.h"
#include "userspace/proxy/upstream.h"
#include "userspace/proxy/worker.h"

static const char *const outcome_names[] = {
#define X(id, name) [id] = name,
	MIRROR_LIST(X)
#undef X
};

const char *mirror_outcome_name(enum mirror_outcome outcome)
{
	return outcome < MIRROR_COUNT ? outcome_names[outcome] : "?";
}

/* ---- slots ---- */

static void on_timer(struct timer *timer);

int mirrors_init(struct worker *worker, size_t slots)
{
	worker->mirrors = calloc(slots, sizeof(*worker->mirrors));
	if (!worker->mirrors && slots)
		return -ENOMEM;
	worker->mirror_slots = slots;
	return 0;
}

static struct mirror *slot_take(struct worker *w)
{
	struct mirror *m = w->mirror_free;

	if (m)
		w->mirror_free = m->next_free;
	else if (w->mirrors_begun < w->mirror_slots)
		m = &w->mirrors[w->mirrors_begun++];
	else
		return NULL;
	*m = (struct mirror){
		.worker = w,
		.busy = true,
		.timer = TIMER_INIT(on_timer),
		.body = {.spill_fd = -1},
	};
	return m;
}

static void upstream_drop(struct mirror *m, bool keep)
{
	struct upstream *u = m->upstream;

	m->upstream = NULL;
	if (!u)
		return;
	u->mirror = NULL;
	if (keep)
		upstream_keep(u);
	else
		upstream_close(u);
}

static void body_drop(struct mirror *m)
{
	body_release(&m->body);
	buffers_give(&m->worker->buffers, &m->room);
}

static void mirror_end(struct mirror *m, enum mirror_outcome outcome, bool keep)
{
	struct worker *w = m->worker;

	counted_end(&m->counted);
	loop_timer_cancel(w->loop, &m->timer);
	upstream_drop(m, keep);
	body_drop(m);
	buffers_give(&w->buffers, &m->head);
	w->row->mirrors[outcome]++;
	m->busy = false;
	m->next_free = w->mirror_free;
	w->mirror_free = m;
}

void mirrors_deinit(struct worker *worker)
{
	for (size_t i = 0; i < worker->mirrors_begun; i++) {
		if (worker->mirrors[i].busy)
			mirror_end(&worker->mirrors[i], MIRROR_ENDED, false);
	}
	free(worker->mirrors);
}

/* ---- sending ---- */

static int mirror_connect(struct mirror *m, bool fresh);

/* A kept-alive connection that the server had closed already is tried once more over a
 * fresh one; otherwise the endpoint, or the way, is to blame. */
static void mirror_fail(struct mirror *m, enum exchange_failure failure)
{
	if (exchange_failure_is_stale(failure, m->upstream, m->answer_begun)) {
		upstream_drop(m, false);
		if (!mirror_connect(m, true))
			return;
	}
	exchange_failure_remember(m->worker, m->endpoint, m->cluster, failure);
	mirror_end(m, failure == FAILURE_CONNECT_TIMEOUT ? MIRROR_TIMEOUT : MIRROR_FAILED, false);
}

static void on_timer(struct timer *timer)
{
	struct mirror *m = container_of(timer, struct mirror, timer);

	if (!m->connected && loop_now_ns(m->worker->loop) < m->until_ns)
		mirror_fail(m, FAILURE_CONNECT_TIMEOUT);
	else
		mirror_end(m, MIRROR_TIMEOUT, false);
}

/* 0, or -errno: it failed. */
static int mirror_send(struct mirror *m)
{
	const struct model_rewrite *rewrite = m->renamed ? &m->rewrite : NULL;
	struct http_span head = {m->head, m->head_length};
	struct loop *loop = m->worker->loop;
	int err = body_send(&m->body, rewrite, head, &m->sent, m->upstream->fd);

	if (err == -EAGAIN)
		return loop_watch_change(loop, &m->upstream->watch, EPOLLOUT);
	if (err)
		return err;
	m->request_sent = true;
	return loop_watch_change(loop, &m->upstream->watch, EPOLLIN);
}

static int mirror_connected(struct mirror *m)
{
	m->connected = true;
	loop_timer_at(m->worker->loop, &m->timer, m->until_ns);
	return mirror_send(m);
}

/* Over an idle connection, else a new one. */
static int mirror_connect(struct mirror *m, bool fresh)
{
	struct worker *w = m->worker;
	uint64_t at = loop_now_ns(w->loop) + w->options.connect_timeout_ms * NS_PER_MS;
	int err;

	m->sent = 0;
	m->request_sent = false;
	if (!fresh)
		m->upstream = upstream_take_idle(w, m->endpoint, m->generation);
	if (m->upstream) {
		m->upstream->mirror = m;
		return mirror_connected(m);
	}
	err = upstream_connect(w, m->endpoint, m->generation, &m->upstream);
	if (err)
		return err;
	m->upstream->mirror = m;
	m->connected = false;
	loop_timer_at(w->loop, &m->timer, at < m->until_ns ? at : m->until_ns);
	return 0;
}

/* ---- the answer, thrown away ---- */

/* True: more may be read. */
static bool answer_feed(struct mirror *m, const char *data, size_t length)
{
	enum http_parse parse = HTTP_PARSE_INCOMPLETE;
	size_t at = 0, used = 0;

	do {
		struct http_span payload;

		parse = http_parser_body(&m->parser, data + at, length - at, &used, &payload);
		at += used;
	} while (parse == HTTP_PARSE_INCOMPLETE && used && at < length);
	if (parse == HTTP_PARSE_INCOMPLETE)
		return true;
	if (parse == HTTP_PARSE_BAD) {
		mirror_fail(m, FAILURE_BAD_ANSWER);
		return false;
	}
	if (m->status < 500)
		placement_succeeded(&m->worker->placement, m->endpoint, m->cluster);
	mirror_end(m, m->status < 400 ? MIRROR_ANSWERED : MIRROR_ERROR_STATUS,
		   m->keep_alive && at == length);
	return false;
}

/* Once its request is out, the buffer of the copy's head takes that of the answer. */
static bool answer_head(struct mirror *m)
{
	struct http_head *head = &m->worker->answer_head;
	enum http_parse parse;
	size_t length;

	for (;;) {
		parse = http_parser_head(&m->parser, m->head, m->head_length, head, &length);
		if (parse != HTTP_PARSE_COMPLETE || head->status >= 200 || head->status == 101)
			break;
		m->head_length -= length;
		memmove(m->head, m->head + length, m->head_length);
		http_parser_init(&m->parser, HTTP_RESPONSE_MESSAGE);
	}
	if (parse == HTTP_PARSE_INCOMPLETE && m->head_length < BUFFER_BYTES)
		return true;
	if (parse != HTTP_PARSE_COMPLETE || head->status == 101) {
		mirror_fail(m, FAILURE_BAD_ANSWER);
		return false;
	}
	if (m->head_request)
		http_parser_no_body(&m->parser);
	m->head_whole = true;
	m->status = head->status;
	m->keep_alive = head->keep_alive;
	return answer_feed(m, m->head + length, m->head_length - length);
}

static void answer_ended(struct mirror *m, int err)
{
	if (!err && m->head_whole && http_parser_eof(&m->parser) == HTTP_PARSE_COMPLETE)
		answer_feed(m, NULL, 0);
	else
		mirror_fail(m, err ? attempt_failure_of(err) : FAILURE_CLOSED);
}

static void answer_begin(struct mirror *m)
{
	m->answer_begun = true;
	m->head_length = 0;
	body_drop(m);
	counted_first_byte(&m->counted);
	upstream_set_patience(m->upstream, true);
	http_parser_init(&m->parser, HTTP_RESPONSE_MESSAGE);
}

/* One read.  True: there may be more. */
static bool answer_read(struct mirror *m)
{
	size_t have = m->answer_begun && !m->head_whole ? m->head_length : 0;
	char *data = m->worker->read_buffer;
	ssize_t n = recv(m->upstream->fd, data, BUFFER_BYTES - have, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		answer_ended(m, n < 0 ? -errno : 0);
		return false;
	}
	m->answer_bytes += (uint64_t)n;
	if (m->answer_bytes > MIRROR_ANSWER_BYTES_MAX) {
		mirror_end(m, MIRROR_TOO_LONG, false);
		return false;
	}
	if (!m->answer_begun)
		answer_begin(m);
	if (m->head_whole)
		return answer_feed(m, data, (size_t)n);
	memcpy(m->head + m->head_length, data, (size_t)n);
	m->head_length += (size_t)n;
	return answer_head(m);
}

void mirror_on_upstream(struct mirror *m, uint32_t events)
{
	int err = 0;

	if (!m->connected) {
		err = upstream_error(m->upstream);
		if (!err)
			err = mirror_connected(m);
	} else if (!m->request_sent) {
		err = events & EPOLLERR ? upstream_error(m->upstream) : mirror_send(m);
	} else {
		for (int i = 0; i < READS_A_TURN && answer_read(m); i++)
			;
		return;
	}
	if (err)
		mirror_fail(m, attempt_connect_failure_of(err));
}

/* ---- beginning ---- */

static bool mirror_pick(struct mirror *m, struct exchange *x, const struct snapshot_pool *pool)
{
	const struct snapshot *snapshot = x->snapshot->snapshot;
	const struct placement_request request = {.tokens = x->place.tokens};
	uint64_t now = loop_now_ns(m->worker->loop);
	struct pick pick = placement_pick(&m->worker->placement, snapshot, pool, &request, now,
					  clock_realtime_ns());
	const struct snapshot_endpoint *e;

	if (pick_is_none(&pick))
		return false;
	e = &pool->endpoints[pick.index];
	m->endpoint = e->id;
	m->generation = e->generation;
	m->cluster = snapshot->clusters[e->cluster].id;
	placement_given(&m->worker->placement, m->endpoint, m->generation, m->cluster,
			request.tokens, now);
	return true;
}

/* Head and body as the mirror's pool is to have them; false: no room. */
static bool mirror_copy(struct mirror *m, struct exchange *x, const char *name)
{
	struct buffers *buffers = &m->worker->buffers;
	const struct body *body = &x->session->body;
	const struct model_rewrite *rewrite = exchange_body_rewrite(x, name, &m->rewrite);
	struct text head;

	m->renamed = rewrite != NULL;
	if (!exchange_head_format(x, name, body_sent_bytes(body, rewrite), &head) ||
	    head.length > BUFFER_BYTES || buffers_low(buffers))
		return false;
	m->head = buffers_take(buffers);
	m->room = body->memory_bytes ? buffers_take(buffers) : NULL;
	if (!m->head || (body->memory_bytes && !m->room))
		return false;
	memcpy(m->head, head.data, head.length);
	m->head_length = head.length;
	return !body_copy(&m->body, body, m->room);
}

/* MIRROR_COUNT: under way. */
static enum mirror_outcome mirror_prepare(struct mirror *m, struct exchange *x,
					  const struct snapshot_pool *pool)
{
	const char *name = exchange_name_in(x, pool);

	if (name && exchange_name_refused(x, name))
		return MIRROR_CANNOT_SAY;
	if (!mirror_pick(m, x, pool))
		return MIRROR_NO_ENDPOINT;
	if (!mirror_copy(m, x, name))
		return MIRROR_NO_ROOM;
	m->until_ns = x->until_ns;
	m->head_request = x->head_request;
	counted_begin(&m->counted, &m->worker->inflight[m->endpoint], x->place.tokens);
	return MIRROR_COUNT;
}

/* True: a copy is on its way. */
static bool mirror_begin(struct exchange *x, const struct snapshot_mirror *spec)
{
	struct worker *w = exchange_worker(x);
	struct mirror *m = slot_take(w);
	enum mirror_outcome outcome;
	int err;

	if (!m) {
		w->row->mirrors[MIRROR_OVER_LIMIT]++;
		return false;
	}
	outcome = mirror_prepare(m, x, &x->snapshot->snapshot->pools[spec->pool]);
	if (outcome != MIRROR_COUNT) {
		mirror_end(m, outcome, false);
		return false;
	}
	err = mirror_connect(m, false);
	if (err == -ENOBUFS)
		mirror_end(m, MIRROR_NO_ROOM, false);
	else if (err)
		mirror_fail(m, attempt_failure_of(err)); /* or tries again */
	return m->busy;
}

void mirrors_begin(struct exchange *x)
{
	const struct snapshot_filters *filters = &x->choice.rule->filters;

	if (x->upgrade.asked)
		return;
	for (size_t i = 0; i < filters->mirror_count; i++) {
		const struct snapshot_mirror *mirror = &filters->mirrors[i];
		uint64_t draw = worker_random(exchange_worker(x)) % mirror->denominator;

		if (draw < mirror->numerator && mirror_begin(x, mirror))
			x->mirrored |= 1u << i;
	}
}
