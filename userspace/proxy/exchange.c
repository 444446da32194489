// SPDX-License-Identifier: BSD-2-Clause
/* See exchange.h for the states.  Here: what is counted while an exchange lives,
 * and its two ends.  The parts between are in exchange_route.c (where it goes),
 * exchange_attempt.c (to whom), exchange_answer.c (what comes back) and
 * exchange_record.c (what is told of it).
 *
 * No function here is called back by what it calls in the middle of its work:
 * after exchange_finish(), session_refuse() or session_answered() the exchange
 * may already be the next request's, so these calls come last. */
#include "userspace/proxy/exchange.h"

#include <stdio.h>
#include <string.h>

#include "userspace/proxy/exchange_parts.h"
#include "userspace/proxy/relay.h"
#include "userspace/proxy/session.h"
#include "userspace/proxy/upstream.h"
#include "userspace/proxy/worker.h"

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

bool exchange_failure_is_of_the_way(enum exchange_failure failure)
{
	return failure_rows[failure].path;
}

uint32_t exchange_failures_forgiven(enum exchange_failure failure)
{
	return failure_rows[failure].forgiven;
}

void exchange_failure_remember(struct worker *w, uint32_t endpoint, uint32_t cluster,
			       enum exchange_failure failure)
{
	uint32_t forgiven = exchange_failures_forgiven(failure);

	if (forgiven != FAILURE_NEVER)
		placement_failed(&w->placement, endpoint, cluster,
				 exchange_failure_is_of_the_way(failure), forgiven,
				 loop_now_ns(w->loop));
}

bool exchange_failure_is_stale(enum exchange_failure failure, const struct upstream *upstream,
			       bool answer_begun)
{
	return upstream && upstream->reused && !answer_begun &&
	       (failure == FAILURE_RESET || failure == FAILURE_CLOSED);
}

/* ---- what is counted ---- */

/* The waiting list: exchanges that could still be sent elsewhere. */
void exchange_waiting_add(struct exchange *x)
{
	struct worker *w = exchange_worker(x);

	if (x->waiting_listed)
		return;
	x->waiting_listed = true;
	x->waiting_previous = NULL;
	x->waiting_next = w->waiting;
	if (w->waiting)
		w->waiting->waiting_previous = x;
	w->waiting = x;
}

void exchange_waiting_remove(struct exchange *x)
{
	if (!x->waiting_listed)
		return;
	x->waiting_listed = false;
	if (x->waiting_previous)
		x->waiting_previous->waiting_next = x->waiting_next;
	else
		exchange_worker(x)->waiting = x->waiting_next;
	if (x->waiting_next)
		x->waiting_next->waiting_previous = x->waiting_previous;
}

struct proxy_endpoint *exchange_endpoint_counters(struct exchange *x)
{
	struct proxy_endpoint *e = &exchange_worker(x)->row->endpoints[x->endpoint];

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
	model_facts_reset(&x->facts);
	x->session = session;
	x->timer = timer;
	x->begun = true;
	x->began_ns = now_ns;
	x->began_real_ns = real_ns;
	x->endpoint = x->runner_up = ENDPOINT_NONE;
}

void exchange_finish(struct exchange *x, int status, enum proxy_error error)
{
	struct worker *w = exchange_worker(x);
	uint64_t now = loop_now_ns(w->loop);
	struct usage usage;

	exchange_leave(x, false);
	x->status = status;
	if (error)
		x->error = error;
	if (x->observed)
		usage_observer_finish(&x->session->looking.usage, &usage);
	exchange_record(x, now);
	exchange_waiting_remove(x);
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
	counted_end(&x->counted);
	upgrade_leave(x);
	buffers_give(&exchange_worker(x)->buffers, &x->answer);
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

void exchange_cut(struct exchange *x, enum exchange_failure failure)
{
	struct session *s = x->session;
	bool until_close = x->framing == ANSWER_UNTIL_CLOSE;

	snprintf(x->detail, sizeof(x->detail), "the answer broke off (%s)",
		 exchange_failure_name(failure));
	if (exchange_failures_forgiven(failure) != FAILURE_NEVER)
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

	if (x->state == EXCHANGE_UPGRADED)
		upgrade_give_up(x, detail.message);
	else if (x->state == EXCHANGE_ANSWERING)
		exchange_cut(x, FAILURE_NONE);
	else
		session_refuse(x->session, ERROR_NO_ENDPOINT, &detail);
}
