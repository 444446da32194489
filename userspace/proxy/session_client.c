// SPDX-License-Identifier: BSD-2-Clause
/* What one client may do, where it is done: a connection that begins and ends, a
 * request, bytes of a body.  The numbers and who has used how much of them are in
 * client_table.h; without limits there is no table, and a session without a slot of
 * it is asked nothing.
 *
 * A connection beyond the limit is told so: its first request is answered with 429,
 * at most CLIENT_REFUSALS_MAX of them at a time and a second each, for that is what
 * refusals may cost; the rest is closed unheard.  A request beyond the limit is
 * refused by its head, and its body is not waited for: the answer ends the
 * connection.  Bytes beyond the limit stay in the socket until their time, which
 * slows the client down by TCP's own means. */
#include <stdio.h>

#include "userspace/proxy/client_table.h"
#include "userspace/proxy/session_parts.h"
#include "userspace/proxy/worker.h"

bool session_client_enter(struct session *s)
{
	struct worker *w = s->worker;
	bool forgot = false;

	if (!w->clients || s->refused_for)
		return true;
	switch (client_table_admit(w->clients, w->row_index, &s->client, loop_now_ns(w->loop),
				   &s->client_slot, &forgot)) {
	case CLIENT_ADMITTED: break;
	case CLIENT_UNTRACKED: w->row->clients_untracked++; break;
	case CLIENT_REFUSED:
		s->refused_for = ERROR_CLIENT_CONNECTIONS;
		if (++w->refusing_count > CLIENT_REFUSALS_MAX) {
			session_shut(s);
			return false;
		}
		session_timer_set(s, SESSION_REFUSED_NS);
		break;
	}
	w->row->clients_forgotten += forgot;
	return true;
}

void session_client_leave(struct session *s)
{
	struct worker *w = s->worker;

	if (s->client_slot)
		client_table_leave(s->client_slot, w->row_index);
	s->client_slot = NULL;
	if (s->refused_for != ERROR_CLIENT_CONNECTIONS)
		return;
	w->refusing_count--;
	if (!s->exchange.status) /* no request came that could be answered and counted */
		w->row->errors[ERROR_CLIENT_CONNECTIONS]++;
}

/* ---- requests ---- */

static void refuse_connection(struct session *s)
{
	struct proxy_error_detail detail = {0};
	char message[128];

	if (s->refused_for == ERROR_CLIENT_CONNECTIONS)
		snprintf(message, sizeof(message),
			 "this client has all the %u connections it may have at a time; close some",
			 client_table_limits(s->worker->clients)->connections);
	else
		snprintf(message, sizeof(message), "the gateway has all the connections it takes");
	detail.message = message;
	session_refuse(s, s->refused_for, &detail);
}

static const char *time_name(uint64_t per_ns)
{
	if (per_ns == NS_PER_S)
		return "a second";
	return per_ns == 60 * NS_PER_S ? "a minute" : "an hour";
}

static void refuse_request(struct session *s, uint64_t wait_ns)
{
	const struct client_rate *rate = &client_table_limits(s->worker->clients)->requests;
	struct proxy_error_detail detail = {
		.retry_after_s = (unsigned)((wait_ns + NS_PER_S - 1) / NS_PER_S)};
	char message[128];

	snprintf(message, sizeof(message),
		 "this client may send %llu requests %s, %llu at once; try again in %u s",
		 (unsigned long long)rate->count, time_name(rate->per_ns),
		 (unsigned long long)rate->burst, detail.retry_after_s);
	detail.message = message;
	session_refuse(s, ERROR_CLIENT_REQUESTS, &detail);
}

bool session_client_request(struct session *s)
{
	struct worker *w = s->worker;
	uint64_t wait;

	if (s->refused_for) {
		refuse_connection(s);
		return false;
	}
	if (!s->client_slot)
		return true;
	wait = client_table_request(w->clients, s->client_slot, loop_now_ns(w->loop));
	if (wait)
		refuse_request(s, wait);
	return !wait;
}

/* ---- bytes ---- */

/* Those of one client that wait come in any order: a little of chance in how long
 * keeps it from being always the same one that comes first. */
static uint64_t pause_ns(struct session *s, uint64_t wait_ns)
{
	struct worker *w = s->worker;
	uint64_t pause = wait_ns + worker_random(w) % (wait_ns / 4 + 1);
	uint64_t until = s->exchange.began_ns + w->options.request_timeout_s * NS_PER_S;
	uint64_t now = loop_now_ns(w->loop);

	if (s->state == SESSION_BODY && now + pause > until)
		pause = until > now ? until - now : 0;
	return pause;
}

bool session_client_may_read(struct session *s)
{
	struct worker *w = s->worker;
	uint64_t now, wait;

	if (!s->client_slot)
		return true;
	now = loop_now_ns(w->loop);
	wait = client_table_bytes_wait(w->clients, s->client_slot, now);
	if (!wait)
		return true;
	s->paced = true;
	s->paced_at_ns = now;
	w->row->client_pauses++;
	session_input(s, false);
	session_timer_set(s, pause_ns(s, wait));
	return false;
}

void session_client_read_on(struct session *s)
{
	s->paced = false;
	s->paced_ns += loop_now_ns(s->worker->loop) - s->paced_at_ns;
	if (s->state == SESSION_BODY) {
		session_input(s, true);
		session_body_timer_set(s);
	} else {
		session_begin_idle(s);
	}
}

void session_client_bytes(struct session *s, size_t bytes)
{
	struct worker *w = s->worker;

	if (s->client_slot)
		client_table_bytes(w->clients, s->client_slot, bytes, loop_now_ns(w->loop));
}
