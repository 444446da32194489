// SPDX-License-Identifier: BSD-2-Clause
/* From a routed request to an endpoint that has it: pick, connect or reuse, send;
 * and from a failure to the next attempt, for as long as that is allowed. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/proxy/exchange_parts.h"
#include "userspace/proxy/retry.h"
#include "userspace/proxy/session.h"
#include "userspace/proxy/upstream.h"
#include "userspace/proxy/worker.h"

#define STALE_MAX 3 /* kept-alive connections that may turn out dead for one request */

static bool attempt_pause(struct exchange *x);

/* ---- failing ---- */

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

void attempt_blame(struct exchange *x, enum exchange_failure failure)
{
	exchange_endpoint_counters(x)->failures++;
	if (exchange_failure_is_of_the_way(failure))
		x->place.suspect_clusters |= 1ull << x->cluster;
	exchange_failure_remember(exchange_worker(x), x->endpoint, x->cluster, failure);
	if (x->place.tried_count < ATTEMPTS_MAX)
		x->place.tried[x->place.tried_count++] = x->endpoint;
	if (x->failure_count < ATTEMPTS_MAX) {
		x->failures[x->failure_count] = failure;
		x->failed_statuses[x->failure_count] = x->bad_status;
		x->failed_endpoints[x->failure_count++] = x->endpoint;
	}
}

/* The attempt is over without a byte for the client.  True: the endpoint was not to
 * blame, so that it may be asked again at once. */
static bool attempt_lose(struct exchange *x, enum exchange_failure failure)
{
	if (exchange_failure_is_stale(failure, x->upstream, x->answer_have) &&
	    x->stale_count < STALE_MAX) {
		failure = FAILURE_STALE;
		x->fresh = true;
		x->stale_count++;
		x->attempts--;
	} else {
		attempt_blame(x, failure);
	}
	exchange_worker(x)->row->retries[failure]++;
	exchange_leave(x, false);
	return failure == FAILURE_STALE;
}

void attempt_fail(struct exchange *x, enum exchange_failure failure)
{
	if (attempt_lose(x, failure) || !attempt_pause(x))
		attempt_start(x);
}

void attempt_fail_status(struct exchange *x, int status)
{
	x->bad_status = status;
	if (status == 429)
		attempt_fail(x, FAILURE_BUSY);
	else if (status == 502 || status == 503)
		attempt_fail(x, FAILURE_STATUS);
	else
		attempt_fail(x, FAILURE_LISTED);
}

enum exchange_failure attempt_failure_of(int err)
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

enum exchange_failure attempt_connect_failure_of(int err)
{
	return err == -ETIMEDOUT ? FAILURE_CONNECT_TIMEOUT : attempt_failure_of(err);
}

/* ---- sending ---- */

static void timer_arm(struct exchange *x)
{
	uint64_t at = x->until_ns;

	if (x->attempt_until_ns && x->attempt_until_ns < at)
		at = x->attempt_until_ns;
	loop_timer_at(exchange_worker(x)->loop, &x->timer, at);
}

static uint64_t connect_until_ns(const struct exchange *x)
{
	return x->given_ns + exchange_worker(x)->options.connect_timeout_ms * NS_PER_MS;
}

/* Until when the route waits for one attempt's answer; 0: as long as for the request. */
static uint64_t answer_until_ns(const struct exchange *x)
{
	const uint32_t backend_ms = x->choice.rule->backend_timeout_ms;

	return backend_ms ? x->given_ns + backend_ms * NS_PER_MS : 0;
}

static void on_request_timeout(struct exchange *x)
{
	if (x->state == EXCHANGE_ANSWERING) {
		exchange_cut(x, FAILURE_TIMEOUT);
		return;
	}
	if (x->state != EXCHANGE_PAUSING)
		attempt_lose(x, FAILURE_TIMEOUT);
	session_refuse(x->session, ERROR_UPSTREAM_TIMEOUT,
		       &(struct proxy_error_detail){
			       .message = "the request's time-out passed without an answer"});
}

void attempt_on_timer(struct timer *timer)
{
	struct exchange *x = container_of(timer, struct exchange, timer);
	uint64_t now = loop_now_ns(exchange_worker(x)->loop);

	if (now >= x->until_ns)
		on_request_timeout(x);
	else if (x->state == EXCHANGE_PAUSING)
		attempt_start(x);
	else if (x->state == EXCHANGE_CONNECTING && now >= connect_until_ns(x))
		attempt_fail(x, FAILURE_CONNECT_TIMEOUT);
	else if (x->state == EXCHANGE_ANSWERING)
		exchange_cut(x, FAILURE_TIMEOUT);
	else
		attempt_fail(x, FAILURE_TIMEOUT);
}

bool exchange_head_format(struct exchange *x, const char *name, uint64_t body_bytes,
			  struct text *text)
{
	struct session *s = x->session;
	const struct http_head *head = session_head(s);
	const char *client_name = x->has_model ? x->facts.name : NULL;
	char target[BUFFER_BYTES];
	struct text target_text = TEXT_INIT(target);
	struct request_rewrite rewrite = {
		.filters = x->choice.filters,
		.model = name ? name : client_name,
		.base_model = x->base_model,
		.client = s->client,
		.body_bytes = body_bytes,
		.upgrade = x->upgrade.asked,
		.has_body = s->has_body,
		.plain_answer = name,
	};

	if (name)
		rewrite.base_model = route_base_model(x->snapshot->snapshot, name);
	if (!exchange_target_format(x, name, &target_text))
		return false;
	rewrite.target = (struct http_span){target, target_text.length};
	text_init(text, s->worker->head_text, sizeof(s->worker->head_text));
	headers_format_request(head, &rewrite, text);
	return !text->cut;
}

/* One write of head and body, as far as the socket takes it.
 * 0: all sent; -EAGAIN: not yet; else what failed. */
static int request_send(struct exchange *x)
{
	const struct body *body = &x->session->body;
	struct model_rewrite room;
	const struct model_rewrite *rewrite = exchange_body_rewrite(x, x->served_name, &room);
	struct text head;

	if (!exchange_head_format(x, x->served_name, body_sent_bytes(body, rewrite), &head))
		return -EMSGSIZE;
	return body_send(body, rewrite, (struct http_span){head.data, head.length}, &x->sent,
			 x->upstream->fd);
}

int attempt_want(struct exchange *x, uint32_t events)
{
	return loop_watch_change(exchange_worker(x)->loop, &x->upstream->watch, events);
}

/* Sends what it can and waits for what is next; -errno: the attempt failed. */
int attempt_send(struct exchange *x)
{
	int err = request_send(x);

	x->state = EXCHANGE_SENDING;
	if (err == -EAGAIN)
		return attempt_want(x, EPOLLIN | EPOLLOUT);
	if (err)
		return err;
	x->state = EXCHANGE_WAITING;
	x->request_sent = true;
	return attempt_want(x, EPOLLIN);
}

/* A connection for the picked endpoint; counted from here on. */
static int attempt_connect(struct exchange *x)
{
	struct worker *w = exchange_worker(x);
	struct upstream *u = NULL;
	int err;

	x->sent = 0;
	x->request_sent = false;
	x->bad_status = 0;
	x->attempt_until_ns = answer_until_ns(x);
	http_parser_init(&x->parser, HTTP_RESPONSE_MESSAGE);
	if (x->head_request)
		http_parser_no_body(&x->parser);
	counted_begin(&x->counted, &w->inflight[x->endpoint], x->place.tokens);
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
	/* whichever ends first; the timer tells them apart */
	if (!x->attempt_until_ns || connect_until_ns(x) < x->attempt_until_ns)
		x->attempt_until_ns = connect_until_ns(x);
	timer_arm(x);
	return 0;
}

void attempt_connected(struct exchange *x)
{
	int err = upstream_error(x->upstream);

	if (!err) {
		x->attempt_until_ns = answer_until_ns(x);
		timer_arm(x);
		err = attempt_send(x);
	}
	if (err)
		attempt_fail(x, attempt_connect_failure_of(err));
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

/* A pick among what is left of the pool, without any effect. */
static struct pick pick_make(struct exchange *x)
{
	struct worker *w = exchange_worker(x);

	return placement_pick(&w->placement, x->snapshot->snapshot, x->pool, &x->place,
			      loop_now_ns(w->loop), clock_realtime_ns());
}

/* Can the backend stand in for another one?  Not with a redirect in place of it. */
static bool backend_stands_in(const struct snapshot_backend *b)
{
	return b->weight && b->pool != POOL_NONE && !(b->filters && b->filters->redirect_status);
}

/* The heaviest that has not been tried; SIZE_MAX: none. */
static size_t backend_untried(const struct exchange *x)
{
	const struct snapshot_rule *rule = x->choice.rule;
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < rule->backend_count && i < 64; i++) {
		const struct snapshot_backend *b = &rule->backends[i];

		if (!backend_stands_in(b) || x->backends_tried & 1ull << i)
			continue;
		if (best == SIZE_MAX || b->weight > rule->backends[best].weight)
			best = i;
	}
	return best;
}

/* Another backend of the rule, unless its filters make a path that may not be asked
 * for, or the request cannot say the name that its model has there. */
static bool backend_next(struct exchange *x)
{
	size_t index;

	while ((index = backend_untried(x)) != SIZE_MAX) {
		const struct snapshot_filters *filters = x->choice.filters;
		const struct snapshot_backend *b = &x->choice.rule->backends[index];

		x->backends_tried |= 1ull << index;
		route_choose_backend(&x->choice, index);
		if (!exchange_rewrite_refused(x) &&
		    !exchange_pool_take(x, &x->snapshot->snapshot->pools[b->pool]))
			return true;
		x->choice.filters = filters;
	}
	return false;
}

static struct pick pick_among_backends(struct exchange *x)
{
	struct pick pick = pick_make(x);

	while (pick_is_none(&pick) && backend_next(x))
		pick = pick_make(x);
	return pick;
}

/* Where a route asks for retries and all have failed, they are asked again, the one
 * that failed last only if it is the only one. */
static struct pick pick_next(struct exchange *x)
{
	struct pick pick = pick_among_backends(x);

	if (!x->attempts || !retry_asks_again(x->choice.rule->retry))
		return pick;
	for (size_t spared = 2; pick_is_none(&pick) && spared--;) {
		x->place.tried[0] = x->endpoint;
		x->place.tried_count = spared;
		x->backends_tried = 0;
		pick = pick_among_backends(x);
	}
	return pick;
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
	struct worker *w = exchange_worker(x);
	struct pick pick = exchange_persist_pick(x);

	if (pick_is_none(&pick))
		pick = pick_next(x);
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
	exchange_endpoint_counters(x)->requests++;
	return true;
}

static bool attempts_left(const struct exchange *x)
{
	return x->attempts <
	       retry_attempts_max(x->choice.rule->retry, exchange_worker(x)->options.attempts);
}

/* The wait that the route wants before the next attempt; UINT64_MAX: there is no time
 * left for it. */
static uint64_t pause_ns(struct exchange *x)
{
	struct worker *w = exchange_worker(x);
	const uint64_t now = loop_now_ns(w->loop);

	return retry_wait_ns(x->choice.rule->retry, x->attempts,
			     x->until_ns > now ? x->until_ns - now : 0, worker_random(w));
}

/* Is there another endpoint in the pool?  Where the route asks for retries, any that
 * may be asked: in another backend, or this one again. */
static bool endpoint_is_left(struct exchange *x, bool again)
{
	const struct placement_request place = x->place;
	const struct snapshot_pool *pool = x->pool;
	const char *served_name = x->served_name;
	const struct snapshot_filters *filters = x->choice.filters;
	const uint64_t backends_tried = x->backends_tried;
	struct pick pick;

	if (x->place.tried_count < ATTEMPTS_MAX)
		x->place.tried[x->place.tried_count++] = x->endpoint;
	pick = again ? pick_next(x) : pick_make(x);
	x->place = place;
	x->pool = pool;
	x->served_name = served_name;
	x->choice.filters = filters;
	x->backends_tried = backends_tried;
	return !pick_is_none(&pick);
}

bool attempt_can_repeat(struct exchange *x)
{
	return attempts_left(x) && pause_ns(x) != UINT64_MAX &&
	       endpoint_is_left(x, retry_asks_again(x->choice.rule->retry));
}

/* Waits as the route wants before the next attempt, or gives up when there is no time
 * to.  False: there is nothing to wait for, the next attempt may be made at once. */
static bool attempt_pause(struct exchange *x)
{
	const uint64_t wait = pause_ns(x);

	if (!wait || !attempts_left(x) || !endpoint_is_left(x, true))
		return false;
	if (wait == UINT64_MAX) {
		give_up(x);
		return true;
	}
	x->state = EXCHANGE_PAUSING;
	x->attempt_until_ns = loop_now_ns(exchange_worker(x)->loop) + wait;
	timer_arm(x);
	return true;
}

void attempt_start(struct exchange *x)
{
	exchange_waiting_add(x);
	for (;;) {
		int err;

		if (!attempts_left(x)) {
			give_up(x);
			return;
		}
		if (!attempt_pick(x))
			return;
		x->attempts++;
		err = attempt_connect(x);
		if (!err)
			return;
		if (!attempt_lose(x, attempt_failure_of(err)) && attempt_pause(x))
			return;
	}
}

void exchange_check_health(struct exchange *x)
{
	enum endpoint_use use = endpoint_use(exchange_worker(x)->maps, x->endpoint, x->generation);

	if (!x->upstream || (use != ENDPOINT_DOWN && use != ENDPOINT_MAINT) || !attempts_left(x))
		return;
	/* with nowhere else to go it may still answer */
	if (endpoint_is_left(x, false))
		attempt_fail(x, FAILURE_HEALTH);
}
