// SPDX-License-Identifier: BSD-2-Clause
/* See exchange.h for the states.  The file in order: what is counted, the
 * record at the end, failing and trying again, sending, the answer's head,
 * routing.
 *
 * No function here is called back by what it calls in the middle of its work:
 * after exchange_finish(), session_refuse() or session_answered() the exchange
 * may already be the next request's, so these calls come last. */
#include "userspace/proxy/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/proxy/relay.h"
#include "userspace/proxy/session.h"
#include "userspace/proxy/upstream.h"
#include "userspace/proxy/worker.h"

#define BYTES_A_TOKEN 4
#define VECTORS_MAX (BODY_BUFFERS_MAX + 3)
#define STALE_MAX 3 /* kept-alive connections that may turn out dead for one request */

struct failure_row {
	const char *name;
	bool path;
	uint32_t forgiven;
};

static const struct failure_row failure_rows[] = {
#define X(id, name, path, forgiven) [id] = {name, path, forgiven},
	FAILURE_LIST(X)
#undef X
};

const char *exchange_failure_name(enum exchange_failure failure)
{
	return failure < FAILURE_COUNT ? failure_rows[failure].name : "?";
}

static struct worker *worker_of(const struct exchange *x)
{
	return x->session->worker;
}

/* ---- what is counted ---- */

static void counts_add(struct exchange *x)
{
	struct inflight *slot = &worker_of(x)->inflight[x->endpoint];

	__atomic_fetch_add(&slot->requests, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&slot->waiting, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&slot->uncached_tokens, x->place.tokens, __ATOMIC_RELAXED);
	x->counted = x->counted_waiting = true;
}

static void counts_first_byte(struct exchange *x)
{
	struct inflight *slot = &worker_of(x)->inflight[x->endpoint];

	if (!x->counted_waiting)
		return;
	x->counted_waiting = false;
	__atomic_fetch_sub(&slot->waiting, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&slot->uncached_tokens, x->place.tokens, __ATOMIC_RELAXED);
}

static void counts_end(struct exchange *x)
{
	struct inflight *slot = &worker_of(x)->inflight[x->endpoint];

	counts_first_byte(x);
	if (!x->counted)
		return;
	x->counted = false;
	__atomic_fetch_sub(&slot->requests, 1, __ATOMIC_RELAXED);
}

/* The waiting list: exchanges that could still be sent elsewhere. */
static void waiting_add(struct exchange *x)
{
	struct worker *w = worker_of(x);

	if (x->waiting_listed)
		return;
	x->waiting_listed = true;
	x->waiting_previous = NULL;
	x->waiting_next = w->waiting;
	if (w->waiting)
		w->waiting->waiting_previous = x;
	w->waiting = x;
}

static void waiting_remove(struct exchange *x)
{
	if (!x->waiting_listed)
		return;
	x->waiting_listed = false;
	if (x->waiting_previous)
		x->waiting_previous->waiting_next = x->waiting_next;
	else
		worker_of(x)->waiting = x->waiting_next;
	if (x->waiting_next)
		x->waiting_next->waiting_previous = x->waiting_previous;
}

static struct proxy_endpoint *endpoint_counters(struct exchange *x)
{
	struct proxy_endpoint *e = &worker_of(x)->row->endpoints[x->endpoint];

	if (e->generation != x->generation)
		*e = (struct proxy_endpoint){.generation = x->generation};
	return e;
}

/* ---- beginning and end ---- */

void exchange_begin(struct exchange *x, uint64_t now_ns, uint64_t real_ns)
{
	struct session *session = x->session;
	struct timer timer = x->timer;

	memset(x, 0, offsetof(struct exchange, facts));
	memset((char *)x + offsetof(struct exchange, facts) + sizeof(x->facts), 0,
	       sizeof(*x) - offsetof(struct exchange, facts) - sizeof(x->facts));
	x->facts.name[0] = '\0';
	x->facts.name_length = 0;
	x->facts.stream = false;
	x->facts.max_tokens = x->facts.text_bytes = 0;
	x->session = session;
	x->timer = timer;
	x->begun = true;
	x->began_ns = now_ns;
	x->began_real_ns = real_ns;
	x->endpoint = x->runner_up = ENDPOINT_NONE;
}

static const char *endpoint_name(const struct exchange *x, uint32_t endpoint)
{
	return worker_of(x)->maps->endpoints[endpoint].name;
}

static void record_retries(const struct exchange *x, struct access_record *record)
{
	for (size_t i = 0; i < x->failure_count; i++)
		record->retries[record->retry_count++] = (struct access_retry){
			.endpoint = x->failed_endpoints[i],
			.name = endpoint_name(x, x->failed_endpoints[i]),
			.reason = exchange_failure_name(x->failures[i]),
		};
}

static void record_put(struct exchange *x, uint64_t now_ns)
{
	struct access_record record = {
		.at_ns = x->began_real_ns,
		.client = x->session->client,
		.method = x->method,
		.path = x->path,
		.status = x->status,
		.model = x->has_model ? x->facts.name : NULL,
		.model_length = x->facts.name_length,
		.stream = x->facts.stream,
		.route = x->choice.route ? x->choice.route->name : NULL,
		.pool = x->pool ? x->pool->name : NULL,
		.cluster = x->pick_cluster,
		.region = x->pick_region,
		.endpoint = x->endpoint,
		.attempts = x->attempts,
		.ttft_ns = x->first_byte_ns ? x->first_byte_ns - x->whole_ns : 0,
		.total_ns = now_ns - x->began_ns,
		.bytes_in = x->bytes_in,
		.bytes_out = x->bytes_out,
		.tokens = x->place.tokens,
		.pick = x->pool ? &x->pick : NULL,
		.runner_up = x->runner_up,
		.error = x->error ? proxy_error_code(x->error) : NULL,
		.detail = x->detail[0] ? x->detail : NULL,
	};

	if (x->endpoint != ENDPOINT_NONE)
		record.endpoint_name = endpoint_name(x, x->endpoint);
	if (x->observed)
		record.usage = &x->session->looking.usage.usage;
	record_retries(x, &record);
	access_log_put(&worker_of(x)->log, &record);
}

static uint64_t tokens_known(int64_t tokens)
{
	return tokens > 0 ? (uint64_t)tokens : 0;
}

static void tokens_put(struct proxy_cell *cell, const struct usage *usage)
{
	cell->prompt_tokens += tokens_known(usage->prompt_tokens);
	cell->cached_tokens += tokens_known(usage->cached_tokens);
	cell->completion_tokens += tokens_known(usage->completion_tokens);
}

static void metrics_put(struct exchange *x, uint64_t now_ns)
{
	struct worker *w = worker_of(x);
	uint32_t model = PROXY_MODELS_MAX, region = PROXY_REGIONS_MAX;
	struct proxy_cell *cell;

	if (x->has_model && x->choice.route)
		model = proxy_metrics_model(w->metrics, x->facts.name, x->facts.name_length);
	if (x->pick_region)
		region = proxy_metrics_region(w->metrics, x->pick_region);
	cell = &w->row->cells[model][region];
	cell->requests[proxy_metrics_code(x->status)]++;
	if (x->whole_ns)
		histogram_observe(&cell->duration, now_ns - x->whole_ns);
	if (x->first_byte_ns)
		histogram_observe(&cell->first_byte, x->first_byte_ns - x->whole_ns);
	if (x->error)
		w->row->errors[x->error]++;
	if (x->observed)
		tokens_put(cell, &x->session->looking.usage.usage);
	w->row->bytes_in += x->bytes_in;
	w->row->bytes_out += x->bytes_out;
}

void exchange_finish(struct exchange *x, int status, enum proxy_error error)
{
	struct worker *w = worker_of(x);
	uint64_t now = loop_now_ns(w->loop);
	struct usage usage;

	exchange_leave(x, false);
	x->status = status;
	if (error)
		x->error = error;
	if (x->observed)
		usage_observer_finish(&x->session->looking.usage, &usage);
	record_put(x, now);
	metrics_put(x, now);
	waiting_remove(x);
	loop_timer_cancel(w->loop, &x->timer);
	snapshot_release(x->snapshot);
	x->snapshot = NULL;
	x->state = EXCHANGE_NONE;
	x->begun = false;
}

void exchange_abort(struct exchange *x)
{
	exchange_finish(x, x->status ? x->status : proxy_error_status(ERROR_CLIENT_GONE),
			ERROR_CLIENT_GONE);
}

void exchange_leave(struct exchange *x, bool keep_connection)
{
	counts_end(x);
	buffers_give(&worker_of(x)->buffers, &x->answer);
	x->answer_have = 0;
	x->answer_head_whole = false;
	if (!x->upstream)
		return;
	if (keep_connection) {
		upstream_keep(x->upstream);
	} else {
		x->upstream->exchange = NULL;
		upstream_close(x->upstream);
	}
	x->upstream = NULL;
}

/* ---- failing and trying again ---- */

static void attempt_start(struct exchange *x);

/* After all attempts: what the client is told follows the last failure. */
static void give_up(struct exchange *x)
{
	struct proxy_error_detail detail = {.retry_after_s = 1};
	enum exchange_failure last = x->failure_count ? x->failures[x->failure_count - 1]
						      : FAILURE_NONE;
	enum proxy_error error = ERROR_UPSTREAM;
	char message[200];

	switch (last) {
	case FAILURE_NONE:
		error = ERROR_NO_ENDPOINT;
		snprintf(message, sizeof(message), "%s (%s)", proxy_error_text(error),
			 pick_reason_text(x->pick.reason));
		break;
	case FAILURE_LOCAL: error = ERROR_OVERLOADED; break;
	case FAILURE_CONNECT_TIMEOUT:
	case FAILURE_DARK:
	case FAILURE_TIMEOUT: error = ERROR_UPSTREAM_TIMEOUT; break;
	default: break;
	}
	if (last)
		snprintf(message, sizeof(message), "%s (%zu tried, the last one: %s)",
			 proxy_error_text(error), x->failure_count, exchange_failure_name(last));
	detail.message = message;
	session_refuse(x->session, error, &detail);
}

/* A kept-alive connection that the server had already closed is nobody's
 * failure: the same endpoint may be asked again over a fresh one. */
static bool was_stale(const struct exchange *x, enum exchange_failure failure)
{
	return x->upstream && x->upstream->reused && !x->answer_have &&
	       (failure == FAILURE_RESET || failure == FAILURE_CLOSED) &&
	       x->stale_count < STALE_MAX;
}

static void attempt_blame(struct exchange *x, enum exchange_failure failure)
{
	struct worker *w = worker_of(x);
	const struct failure_row *row = &failure_rows[failure];

	endpoint_counters(x)->failures++;
	if (row->path)
		x->place.suspect_clusters |= 1ull << x->cluster;
	if (row->forgiven != FAILURE_NEVER)
		placement_failed(&w->placement, x->endpoint, x->cluster, row->path, row->forgiven,
				 loop_now_ns(w->loop));
	if (x->place.tried_count < ATTEMPTS_MAX)
		x->place.tried[x->place.tried_count++] = x->endpoint;
	if (x->failure_count < ATTEMPTS_MAX) {
		x->failures[x->failure_count] = failure;
		x->failed_endpoints[x->failure_count++] = x->endpoint;
	}
}

/* The attempt is over without a byte for the client. */
static void attempt_lose(struct exchange *x, enum exchange_failure failure)
{
	if (was_stale(x, failure)) {
		failure = FAILURE_STALE;
		x->fresh = true;
		x->stale_count++;
		x->attempts--;
	} else {
		attempt_blame(x, failure);
	}
	worker_of(x)->row->retries[failure]++;
	exchange_leave(x, false);
}

static void attempt_fail(struct exchange *x, enum exchange_failure failure)
{
	attempt_lose(x, failure);
	attempt_start(x);
}

void exchange_cut(struct exchange *x, enum exchange_failure failure)
{
	struct session *s = x->session;
	bool until_close = x->framing == ANSWER_UNTIL_CLOSE;

	snprintf(x->detail, sizeof(x->detail), "the answer broke off (%s)",
		 exchange_failure_name(failure));
	if (failure_rows[failure].forgiven != FAILURE_NEVER)
		attempt_blame(x, failure);
	exchange_leave(x, false);
	relay_tell_cut(x, "the model server's answer ended before it was whole");
	if (!session_is_alive(s))
		return;
	exchange_finish(x, x->status, ERROR_CUT);
	session_end(s, until_close);
}

void exchange_give_up(struct exchange *x)
{
	struct proxy_error_detail detail = {.message = "the gateway is being stopped"};

	if (x->state == EXCHANGE_ANSWERING)
		exchange_cut(x, FAILURE_NONE);
	else
		session_refuse(x->session, ERROR_NO_ENDPOINT, &detail);
}

static enum exchange_failure failure_of_errno(int err)
{
	switch (-err) {
	case ECONNREFUSED: return FAILURE_REFUSED;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EHOSTDOWN: return FAILURE_UNREACHABLE;
	case ETIMEDOUT: return FAILURE_DARK;
	case ENOBUFS:
	case EMSGSIZE: /* our own head did not fit */
	case EADDRNOTAVAIL:
	case EMFILE:
	case ENFILE: return FAILURE_LOCAL;
	default: return FAILURE_RESET;
	}
}

/* ---- sending ---- */

static void timer_arm(struct exchange *x)
{
	uint64_t at = x->until_ns;

	if (x->attempt_until_ns && x->attempt_until_ns < at)
		at = x->attempt_until_ns;
	loop_timer_at(worker_of(x)->loop, &x->timer, at);
}

static void on_request_timeout(struct exchange *x)
{
	if (x->state == EXCHANGE_ANSWERING) {
		exchange_cut(x, FAILURE_TIMEOUT);
		return;
	}
	attempt_lose(x, FAILURE_TIMEOUT);
	session_refuse(x->session, ERROR_UPSTREAM_TIMEOUT,
		       &(struct proxy_error_detail){
			       .message = "the request's time-out passed without an answer"});
}

static void on_timer(struct timer *timer)
{
	struct exchange *x = container_of(timer, struct exchange, timer);
	uint64_t now = loop_now_ns(worker_of(x)->loop);

	if (now >= x->until_ns)
		on_request_timeout(x);
	else if (x->state == EXCHANGE_CONNECTING)
		attempt_fail(x, FAILURE_CONNECT_TIMEOUT);
	else if (x->state == EXCHANGE_ANSWERING)
		exchange_cut(x, FAILURE_TIMEOUT);
	else
		attempt_fail(x, FAILURE_TIMEOUT);
}

/* The head as it goes upstream, made anew each time it is needed. */
static bool request_head_format(struct exchange *x, struct text *text)
{
	struct session *s = x->session;
	const struct http_head *head = session_head(s);
	char target[BUFFER_BYTES];
	struct text target_text = TEXT_INIT(target);
	struct request_rewrite rewrite = {
		.filters = &x->choice.rule->filters,
		.model = x->has_model ? x->facts.name : NULL,
		.base_model = x->base_model,
		.client = s->client,
		.body_bytes = s->body.length,
		.has_body = s->has_body,
	};
	struct http_span path, query;

	route_target_split(target_origin_form(head->target), &path, &query);
	route_path_rewrite(&x->choice, path, query, &target_text);
	rewrite.target = (struct http_span){target, target_text.length};
	text_init(text, s->worker->head_text, sizeof(s->worker->head_text));
	headers_format_request(head, &rewrite, text);
	return !text->cut && !target_text.cut;
}

/* One write of head and body, as far as the socket takes it.
 * 0: all sent; -EAGAIN: not yet; else what failed. */
static int request_send(struct exchange *x)
{
	struct session *s = x->session;
	struct iovec vectors[VECTORS_MAX];
	struct msghdr message = {.msg_iov = vectors};
	struct text head;
	uint64_t total;
	ssize_t n;

	if (!request_head_format(x, &head))
		return -EMSGSIZE;
	total = head.length + s->body.length;
	while (x->sent < total) {
		uint64_t offset = x->sent > head.length ? x->sent - head.length : 0;

		message.msg_iovlen = 0;
		if (x->sent < head.length)
			vectors[message.msg_iovlen++] =
				(struct iovec){head.data + x->sent, head.length - x->sent};
		message.msg_iovlen += body_vectors(&s->body, offset, vectors + message.msg_iovlen,
						   VECTORS_MAX - message.msg_iovlen);
		if (message.msg_iovlen)
			n = sendmsg(x->upstream->fd, &message, MSG_NOSIGNAL);
		else
			n = body_send_spilled(&s->body, offset, x->upstream->fd);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return message.msg_iovlen ? -errno : (int)n;
		x->sent += (uint64_t)n;
	}
	return 0;
}

static int upstream_want(struct exchange *x, uint32_t events)
{
	return loop_watch_change(worker_of(x)->loop, &x->upstream->watch, events);
}

/* Sends what it can and waits for what is next; -errno: the attempt failed. */
static int attempt_send(struct exchange *x)
{
	int err = request_send(x);

	x->state = EXCHANGE_SENDING;
	if (err == -EAGAIN)
		return upstream_want(x, EPOLLIN | EPOLLOUT);
	if (err)
		return err;
	x->state = EXCHANGE_WAITING;
	x->request_sent = true;
	return upstream_want(x, EPOLLIN);
}

/* A connection for the picked endpoint; counted from here on. */
static int attempt_connect(struct exchange *x)
{
	struct worker *w = worker_of(x);
	uint64_t now = loop_now_ns(w->loop);
	struct upstream *u = NULL;
	int err;

	x->sent = 0;
	x->request_sent = false;
	x->attempt_until_ns = 0;
	if (x->choice.rule->backend_timeout_ms)
		x->attempt_until_ns = now + x->choice.rule->backend_timeout_ms * NS_PER_MS;
	http_parser_init(&x->parser, HTTP_RESPONSE_MESSAGE);
	if (x->head_request)
		http_parser_no_body(&x->parser);
	counts_add(x);
	if (!x->fresh)
		u = upstream_take_idle(w, x->endpoint, x->generation);
	if (u) {
		x->upstream = u;
		u->exchange = x;
		timer_arm(x);
		return attempt_send(x);
	}
	err = upstream_connect(w, x->endpoint, x->generation, &u);
	if (err)
		return err;
	x->upstream = u;
	u->exchange = x;
	x->state = EXCHANGE_CONNECTING;
	x->attempt_until_ns = now + w->options.connect_timeout_ms * NS_PER_MS;
	timer_arm(x);
	return 0;
}

static void on_connected(struct exchange *x)
{
	uint32_t backend_ms = x->choice.rule->backend_timeout_ms;
	int err = upstream_error(x->upstream);

	if (!err) {
		x->attempt_until_ns = backend_ms ? x->given_ns + backend_ms * NS_PER_MS : 0;
		timer_arm(x);
		err = attempt_send(x);
	}
	if (err)
		attempt_fail(x,
			     err == -ETIMEDOUT ? FAILURE_CONNECT_TIMEOUT : failure_of_errno(err));
}

/* ---- picking ---- */

static void pick_keep(struct exchange *x, const struct pick *pick)
{
	const struct snapshot *snapshot = x->snapshot->snapshot;
	const struct snapshot_endpoint *e;

	x->pick = *pick;
	x->runner_up = ENDPOINT_NONE;
	if (pick->runner_up != SIZE_MAX)
		x->runner_up = x->pool->endpoints[pick->runner_up].id;
	if (pick_is_none(pick))
		return;
	e = &x->pool->endpoints[pick->index];
	x->endpoint = e->id;
	x->generation = e->generation;
	x->cluster = snapshot->clusters[e->cluster].id;
	x->pick_cluster = snapshot->clusters[e->cluster].name;
	x->pick_region = snapshot->clusters[e->cluster].region;
}

static struct pick pick_make(struct exchange *x)
{
	struct worker *w = worker_of(x);

	return placement_pick(&w->placement, x->snapshot->snapshot, x->pool, &x->place,
			      loop_now_ns(w->loop), clock_realtime_ns());
}

/* Another backend of the rule that has not been tried: the heaviest first. */
static bool backend_next(struct exchange *x)
{
	const struct snapshot_rule *rule = x->choice.rule;
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < rule->backend_count && i < 64; i++) {
		const struct snapshot_backend *b = &rule->backends[i];

		if (!b->weight || b->pool == POOL_NONE || x->backends_tried & 1ull << i)
			continue;
		if (best == SIZE_MAX || b->weight > rule->backends[best].weight)
			best = i;
	}
	if (best == SIZE_MAX)
		return false;
	x->backends_tried |= 1ull << best;
	x->pool = &x->snapshot->snapshot->pools[rule->backends[best].pool];
	return true;
}

static bool is_sheddable(struct exchange *x, const struct pick *pick)
{
	const struct http_header *objective;

	if (x->attempts || pick->terms.queue_ms < SHED_QUEUE_MS)
		return false;
	objective = http_head_find(session_head(x->session), HEADER_OBJECTIVE);
	return objective &&
	       route_priority(x->snapshot->snapshot, x->pool->name, objective->value) < 0;
}

/* Finds an endpoint and gives the request to it.  False: there is none left, or
 * the request was refused. */
static bool attempt_pick(struct exchange *x)
{
	struct worker *w = worker_of(x);
	struct pick pick = pick_make(x);

	while (pick_is_none(&pick) && backend_next(x))
		pick = pick_make(x);
	if (pick_is_none(&pick)) {
		if (!x->attempts)
			pick_keep(x, &pick);
		give_up(x);
		return false;
	}
	if (is_sheddable(x, &pick)) {
		session_refuse(x->session, ERROR_SHED,
			       &(struct proxy_error_detail){
				       .retry_after_s =
					       1 + (unsigned)(pick.terms.queue_ms / 1000)});
		return false;
	}
	pick_keep(x, &pick);
	x->queued_behind = pick.terms.queue_ms > 0 || pick.terms.in_flight > 0;
	x->given_ns = loop_now_ns(w->loop);
	w->row->picks[pick.reason]++;
	placement_given(&w->placement, x->endpoint, x->generation, x->cluster, x->place.tokens,
			x->given_ns);
	endpoint_counters(x)->requests++;
	return true;
}

static void attempt_start(struct exchange *x)
{
	struct worker *w = worker_of(x);

	waiting_add(x);
	for (;;) {
		int err;

		if (x->attempts >= w->options.attempts) {
			give_up(x);
			return;
		}
		if (!attempt_pick(x))
			return;
		x->attempts++;
		err = attempt_connect(x);
		if (!err)
			return;
		attempt_lose(x, failure_of_errno(err));
	}
}

void exchange_check_health(struct exchange *x)
{
	struct placement_request kept = x->place;
	enum endpoint_use use = endpoint_use(worker_of(x)->maps, x->endpoint, x->generation);
	struct pick pick;

	if (!x->upstream || (use != ENDPOINT_DOWN && use != ENDPOINT_MAINT) ||
	    x->attempts >= worker_of(x)->options.attempts)
		return;
	if (x->place.tried_count < ATTEMPTS_MAX)
		x->place.tried[x->place.tried_count++] = x->endpoint;
	pick = pick_make(x);
	x->place = kept;
	if (pick_is_none(&pick))
		return; /* nowhere else: it may still answer */
	attempt_fail(x, FAILURE_HEALTH);
}

/* ---- the answer ---- */

void exchange_committed(struct exchange *x)
{
	struct worker *w = worker_of(x);
	uint64_t now = loop_now_ns(w->loop);
	struct proxy_endpoint *counters = endpoint_counters(x);

	waiting_remove(x);
	counts_first_byte(x);
	x->state = EXCHANGE_ANSWERING;
	x->first_byte_ns = now;
	counters->first_bytes++;
	counters->first_byte_ns += now - x->given_ns;
	if (x->status < 500) {
		placement_succeeded(&w->placement, x->endpoint, x->cluster);
		if (!x->queued_behind && x->has_model && x->status == 200)
			placement_learn(&w->placement, x->endpoint, x->cluster, x->place.tokens,
					now - x->given_ns);
	}
	if (x->request_sent)
		session_release_request(x->session);
	upstream_want(x, EPOLLIN);
}

static bool status_is_retryable(int status)
{
	return status == 502 || status == 503 || status == 429;
}

/* Would another endpoint take it? */
static bool can_go_elsewhere(struct exchange *x)
{
	struct placement_request kept = x->place;
	struct pick pick;

	if (x->attempts >= worker_of(x)->options.attempts || x->place.tried_count >= ATTEMPTS_MAX)
		return false;
	x->place.tried[x->place.tried_count++] = x->endpoint;
	pick = pick_make(x);
	x->place = kept;
	return !pick_is_none(&pick);
}

/* Keeps what cannot be passed on yet. */
static bool answer_keep(struct exchange *x, const char *data, size_t length)
{
	if (!x->answer)
		x->answer = buffers_take(&worker_of(x)->buffers);
	if (!x->answer)
		return false;
	memmove(x->answer, data, length);
	x->answer_have = length;
	return true;
}

/* Token counts are read as the answer passes, when its type may have them. */
static void usage_observe(struct exchange *x, const struct http_head *head,
			  const struct http_header *type)
{
	enum usage_format format = USAGE_FORMAT_OTHER;

	if (type && head->status == 200 && x->has_model)
		format = usage_format_of(type->value.data, type->value.length);
	x->observed = format != USAGE_FORMAT_OTHER;
	if (x->observed)
		usage_observer_init(&x->session->looking.usage, format);
}

static void answer_pass(struct exchange *x, const struct http_head *head, char *data,
			size_t head_length, size_t length)
{
	const struct http_header *type = http_head_find(head, "content-type");
	static const char stream[] = "text/event-stream";

	x->status = head->status;
	x->upstream_keep_alive = head->keep_alive;
	x->event_stream = type && type->value.length >= sizeof(stream) - 1 &&
			  http_span_equal_nocase(
				  (struct http_span){type->value.data, sizeof(stream) - 1}, stream);
	usage_observe(x, head, type);
	buffers_give(&worker_of(x)->buffers, &x->answer);
	relay_begin(x, head, data + head_length, length - head_length);
}

/* A final head is whole.  Is there something to pass on, or does the body's
 * first byte have to come first?  With the buffer full there is no room for it. */
static bool answer_has_begun(const struct exchange *x, const struct http_head *head,
			     size_t head_length, size_t length)
{
	return length > head_length || length == BUFFER_BYTES ||
	       x->parser.framing == HTTP_BODY_NONE ||
	       (x->parser.framing == HTTP_BODY_LENGTH && head->content_length == 0) ||
	       head->status >= 300;
}

/* `data`: all that has come of the answer so far, in the scratch buffer. */
static void answer_consider(struct exchange *x, char *data, size_t length)
{
	struct http_head *head = &worker_of(x)->answer_head;
	size_t head_length = 0;
	enum http_parse parse;

	if (x->answer_head_whole) { /* parsed before, but its spans are gone */
		http_parser_init(&x->parser, HTTP_RESPONSE_MESSAGE);
		if (x->head_request)
			http_parser_no_body(&x->parser);
	}
	for (;;) {
		parse = http_parser_head(&x->parser, data, length, head, &head_length);
		if (parse != HTTP_PARSE_COMPLETE || head->status >= 200 || head->status == 101)
			break;
		/* 1xx: not the answer yet */
		memmove(data, data + head_length, length - head_length);
		length -= head_length;
		http_parser_init(&x->parser, HTTP_RESPONSE_MESSAGE);
		if (x->head_request)
			http_parser_no_body(&x->parser);
	}
	if (parse == HTTP_PARSE_BAD || (parse == HTTP_PARSE_COMPLETE && head->status == 101) ||
	    (parse == HTTP_PARSE_INCOMPLETE && length == BUFFER_BYTES)) {
		attempt_fail(x, FAILURE_BAD_ANSWER);
		return;
	}
	x->answer_head_whole = parse == HTTP_PARSE_COMPLETE;
	if (x->answer_head_whole && status_is_retryable(head->status) && can_go_elsewhere(x)) {
		attempt_fail(x, head->status == 429 ? FAILURE_BUSY : FAILURE_STATUS);
		return;
	}
	if (x->answer_head_whole && answer_has_begun(x, head, head_length, length))
		answer_pass(x, head, data, head_length, length);
	else if (!answer_keep(x, data, length))
		attempt_fail(x, FAILURE_LOCAL);
}

/* EOF before anything was passed on. */
static void answer_ended_early(struct exchange *x)
{
	struct worker *w = worker_of(x);

	if (!x->answer_head_whole || http_parser_eof(&x->parser) != HTTP_PARSE_COMPLETE) {
		attempt_fail(x, FAILURE_CLOSED);
		return;
	}
	/* a head and then nothing, which is a whole answer of unknown length */
	memcpy(w->read_buffer, x->answer, x->answer_have);
	http_parser_init(&x->parser, HTTP_RESPONSE_MESSAGE);
	size_t head_length = 0;
	enum http_parse parse = http_parser_head(&x->parser, w->read_buffer, x->answer_have,
						 &w->answer_head, &head_length);

	if (parse != HTTP_PARSE_COMPLETE) {
		attempt_fail(x, FAILURE_BAD_ANSWER);
		return;
	}
	answer_pass(x, &w->answer_head, w->read_buffer, head_length, x->answer_have);
}

static void read_failed(struct exchange *x, int err)
{
	enum exchange_failure failure = failure_of_errno(err);

	if (x->state == EXCHANGE_ANSWERING)
		exchange_cut(x, failure);
	else
		attempt_fail(x, failure);
}

/* One read.  False: nothing more is to be read now (or the exchange moved on). */
static bool answer_read(struct exchange *x)
{
	struct worker *w = worker_of(x);
	struct upstream *u = x->upstream;
	size_t have = x->state == EXCHANGE_ANSWERING ? 0 : x->answer_have;
	size_t room = BUFFER_BYTES - have;
	ssize_t n = recv(u->fd, w->read_buffer + have, room, 0);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			read_failed(x, -errno);
		return false;
	}
	if (n == 0) {
		if (x->state == EXCHANGE_ANSWERING)
			relay_eof(x);
		else
			answer_ended_early(x);
		return false;
	}
	if (have)
		memcpy(w->read_buffer, x->answer, have);
	if (x->state == EXCHANGE_ANSWERING)
		relay_feed(x, w->read_buffer, (size_t)n);
	else
		answer_consider(x, w->read_buffer, have + (size_t)n);
	return (size_t)n == room;
}

/* While the client takes nothing, nothing is read and the descriptor is not
 * watched at all: a RST that waits there would wake the loop for ever. */
static void answer_throttle(struct exchange *x)
{
	struct worker *w = worker_of(x);
	struct upstream *u = x->upstream;

	if (!u || x->state != EXCHANGE_ANSWERING)
		return;
	if (session_is_blocked(x->session))
		loop_unwatch(w->loop, &u->watch);
	else
		upstream_set_patience(u, true);
}

static void answer_read_all(struct exchange *x)
{
	const struct upstream *u = x->upstream;
	uint64_t given = x->given_ns;

	for (int i = 0; i < READS_A_TURN; i++) {
		bool more = answer_read(x);

		/* finished, sent elsewhere, or the next request already */
		if (x->upstream != u || x->given_ns != given || x->state == EXCHANGE_NONE)
			return;
		if (!more || session_is_blocked(x->session))
			break;
	}
	answer_throttle(x);
}

void exchange_resume(struct exchange *x)
{
	struct worker *w = worker_of(x);
	struct upstream *u = x->upstream;

	if (x->state != EXCHANGE_ANSWERING || !u || u->watch.fd >= 0)
		return;
	if (loop_watch(w->loop, &u->watch, u->fd, EPOLLIN))
		exchange_cut(x, FAILURE_LOCAL);
}

void exchange_on_upstream(struct exchange *x, uint32_t events)
{
	if (x->state == EXCHANGE_CONNECTING) {
		on_connected(x);
		return;
	}
	if (x->state == EXCHANGE_SENDING && events & EPOLLOUT && !(events & EPOLLERR)) {
		int err = attempt_send(x);

		/* one that refused the rest may have said why: read that first */
		if (err == -EPIPE || err == -ECONNRESET)
			events |= EPOLLIN;
		else if (err) {
			attempt_fail(x, failure_of_errno(err));
			return;
		}
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		answer_read_all(x);
}

/* ---- routing ---- */

static void refuse_route(struct exchange *x, struct route_request *request)
{
	struct proxy_error_detail detail = {0};
	struct route_choice choice;
	char message[MODEL_NAME_MAX + 64];

	request->any_model = true;
	if (route_match(x->snapshot->snapshot, request, &choice) != ROUTE_OK) {
		session_refuse(x->session, ERROR_ROUTE_NOT_FOUND, &detail);
		return;
	}
	detail.param = "model";
	if (x->has_model)
		snprintf(message, sizeof(message), "the model '%s' is not served here",
			 x->facts.name);
	else
		snprintf(message, sizeof(message),
			 "this request names no model, and only "
			 "requests for a model are served here");
	detail.message = message;
	session_refuse(x->session, ERROR_MODEL_NOT_FOUND, &detail);
}

static void answer_redirect(struct exchange *x, const struct route_request *request)
{
	struct session *s = x->session;
	struct worker *w = s->worker;
	int status = x->choice.rule->filters.redirect_status;
	struct text text;
	struct iovec vector;

	text_init(&text, w->head_text, sizeof(w->head_text));
	text_printf(&text, "HTTP/1.1 %d %s\r\nLocation: ", status, status_phrase(status));
	route_redirect_location(&x->choice, request, &text);
	text_puts(&text, "\r\nContent-Length: 0\r\n");
	text_puts(&text, s->keep_alive ? "\r\n" : "Connection: close\r\n\r\n");
	if (text.cut) {
		session_refuse(s, ERROR_INTERNAL, &(struct proxy_error_detail){0});
		return;
	}
	vector = (struct iovec){text.data, text.length};
	if (!session_send(s, &vector, 1))
		return;
	exchange_finish(x, status, ERROR_NONE);
	session_answered(s);
}

static uint64_t tokens_estimate(const struct exchange *x)
{
	uint64_t bytes = x->facts.text_bytes ? x->facts.text_bytes : x->session->body.length;

	return bytes / BYTES_A_TOKEN + 1;
}

/* Weighted choice of a backend; false: refused. */
static bool backend_choose(struct exchange *x)
{
	const struct snapshot_rule *rule = x->choice.rule;
	size_t index = route_backend(rule, worker_random(worker_of(x)));

	if (index == SIZE_MAX || rule->backends[index].pool == POOL_NONE) {
		struct proxy_error_detail detail = {0};
		char message[256];

		if (index != SIZE_MAX) {
			snprintf(message, sizeof(message),
				 "the route names the backend %.150s, which does not exist",
				 rule->backends[index].name);
			detail.message = message;
		}
		session_refuse(x->session, ERROR_BACKEND_UNKNOWN, &detail);
		return false;
	}
	if (index < 64)
		x->backends_tried |= 1ull << index;
	x->pool = &x->snapshot->snapshot->pools[rule->backends[index].pool];
	return true;
}

static void route_request_fill(struct exchange *x, const struct http_head *head,
			       struct route_request *request, char host_buffer[HOST_MAX])
{
	struct session *s = x->session;
	const struct http_header *host = http_head_find(head, "host");

	*request = (struct route_request){
		.addr = s->vip,
		.port = s->vip_port,
		.host = host_buffer,
		.method = head->method,
		.head = head,
		.model = x->has_model ? x->facts.name : NULL,
	};
	if (request->model)
		x->base_model = route_base_model(x->snapshot->snapshot, request->model);
	request->base_model = x->base_model;
	host_buffer[0] = '\0';
	if (host)
		route_host_normalize(host->value, host_buffer);
	route_target_split(target_origin_form(head->target), &request->path, &request->query);
}

/* The client's path was judged when it came; is what a rewrite makes of it still
 * something that clients may ask for? */
static bool rewrite_is_allowed(struct exchange *x, const struct http_head *head,
			       const struct route_request *request)
{
	struct text text;

	if (x->choice.rule->filters.rewrite_type == REWRITE_NONE)
		return true;
	text_init(&text, worker_of(x)->head_text, sizeof(worker_of(x)->head_text));
	route_path_rewrite(&x->choice, request->path, request->query, &text);
	if (body_kind_of(head, (struct http_span){text.data, text.length}) != BODY_BLOCKED)
		return true;
	session_refuse(x->session, ERROR_ROUTE_NOT_FOUND,
		       &(struct proxy_error_detail){.message =
							    "this path is not served to clients"});
	return false;
}

void exchange_start(struct exchange *x)
{
	struct session *s = x->session;
	struct worker *w = s->worker;
	const struct http_head *head = session_head(s);
	struct route_request request;
	char host[HOST_MAX];
	uint32_t timeout_ms;

	x->whole_ns = loop_now_ns(w->loop);
	x->timer.callback = on_timer;
	x->snapshot = snapshot_acquire(&w->routes);
	if (!x->snapshot) {
		session_refuse(s, ERROR_NO_ROUTES,
			       &(struct proxy_error_detail){.retry_after_s = 1});
		return;
	}
	route_request_fill(x, head, &request, host);
	if (route_match(x->snapshot->snapshot, &request, &x->choice) != ROUTE_OK) {
		refuse_route(x, &request);
		return;
	}
	if (x->choice.rule->filters.redirect_status) {
		answer_redirect(x, &request);
		return;
	}
	if (!rewrite_is_allowed(x, head, &request) || !backend_choose(x))
		return;
	timeout_ms = x->choice.rule->request_timeout_ms;
	x->until_ns = x->whole_ns + (timeout_ms ? timeout_ms * NS_PER_MS
						: w->options.request_timeout_s * NS_PER_S);
	x->place.tokens = tokens_estimate(x);
	attempt_start(x);
}
