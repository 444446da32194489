// SPDX-License-Identifier: BSD-2-Clause
/* The answer up to the first byte for the client: its head is read, judged, held
 * back until there is a body byte to go with it, and then handed to the relay. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "userspace/model/restore.h"
#include "userspace/proxy/exchange_parts.h"
#include "userspace/proxy/relay.h"
#include "userspace/proxy/retry.h"
#include "userspace/proxy/session.h"
#include "userspace/proxy/upstream.h"
#include "userspace/proxy/worker.h"

/* Only a stream's first byte tells how long the prefill took: an answer in one
 * piece begins when its last token is there. */
static bool tells_prefill(const struct exchange *x)
{
	return x->event_stream && !x->queued_behind && x->has_model && x->status == 200;
}

void exchange_committed(struct exchange *x)
{
	struct worker *w = exchange_worker(x);
	uint64_t now = loop_now_ns(w->loop);
	struct proxy_endpoint *counters = exchange_endpoint_counters(x);

	exchange_waiting_remove(x);
	counted_first_byte(&x->counted);
	x->state = EXCHANGE_ANSWERING;
	x->first_byte_ns = now;
	counters->first_bytes++;
	counters->first_byte_ns += now - x->given_ns;
	if (x->status < 500) {
		placement_succeeded(&w->placement, x->endpoint, x->cluster);
		if (tells_prefill(x))
			placement_learn(&w->placement, x->endpoint, x->cluster, x->place.tokens,
					now - x->given_ns);
	}
	if (x->request_sent)
		session_release_request(x->session);
	attempt_want(x, EPOLLIN);
}

/* Keeps what cannot be passed on yet. */
static bool answer_keep(struct exchange *x, const char *data, size_t length)
{
	if (!x->answer)
		x->answer = buffers_take(&exchange_worker(x)->buffers);
	if (!x->answer)
		return false;
	memmove(x->answer, data, length);
	x->answer_have = length;
	return true;
}

/* Token counts, and names of models, are read as the answer passes, when its type may have
 * them. */
static void answer_observe(struct exchange *x, const struct http_head *head,
			   const struct http_header *type)
{
	enum usage_format format = USAGE_FORMAT_OTHER;

	if (type && x->has_model)
		format = usage_format_of(type->value.data, type->value.length);
	x->observed = head->status == 200 && format != USAGE_FORMAT_OTHER;
	x->restoring = exchange_restores(x, head);
	if (x->observed || x->restoring)
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
	answer_observe(x, head, type);
	buffers_give(&exchange_worker(x)->buffers, &x->answer);
	relay_begin(x, head, data + head_length, length - head_length);
}

/* One read of an answer that gets other names in it must not grow beyond what there is
 * room for. */
static size_t restored_input_max(const struct exchange *x)
{
	return restore_input_max(x->facts.name_length, RESTORED_BYTES - 1);
}

/* A small answer gets its new length counted, so it is awaited whole: its tokens are all
 * there, and its bytes come at once. */
static bool waits_for_length(const struct exchange *x, const struct http_head *head,
			     size_t head_length, size_t length)
{
	uint64_t whole = head_length + (uint64_t)head->content_length;

	return x->parser.framing == HTTP_BODY_LENGTH && exchange_restores(x, head) &&
	       (uint64_t)head->content_length <= restored_input_max(x) && whole <= BUFFER_BYTES &&
	       length < whole;
}

/* A final head is whole.  Is there something to pass on, or does the body's
 * first byte have to come first?  With the buffer full there is no room for it. */
static bool answer_has_begun(const struct exchange *x, const struct http_head *head,
			     size_t head_length, size_t length)
{
	if (waits_for_length(x, head, head_length, length))
		return false;
	return length > head_length || length == BUFFER_BYTES ||
	       x->parser.framing == HTTP_BODY_NONE ||
	       (x->parser.framing == HTTP_BODY_LENGTH && head->content_length == 0) ||
	       head->status >= 300;
}

static void parser_restart(struct exchange *x)
{
	http_parser_init(&x->parser, HTTP_RESPONSE_MESSAGE);
	if (x->head_request)
		http_parser_no_body(&x->parser);
}

/* A 1xx goes to clients that know of them (RFC 9110, 15.2), and decides nothing: the
 * request may still be sent elsewhere.  Not 100, which is ours to say and has been
 * said; nor more of them than a client has use for, or takes.  False: the client is
 * gone, and with it the exchange. */
static bool interim_pass(struct exchange *x, const struct http_head *head)
{
	struct session *s = x->session;
	struct worker *w = s->worker;
	struct answer_rewrite rewrite = {.filters = x->choice.filters, .framing = ANSWER_NO_BODY};
	struct iovec vector;
	struct text text;

	if (head->status == 100 || s->old_client || session_is_blocked(s) ||
	    x->interim_count == INTERIM_MAX)
		return true;
	text_init(&text, w->head_text, sizeof(w->head_text));
	headers_format_answer(head, &rewrite, &text);
	if (text.cut)
		return true;
	x->interim_count++;
	vector = (struct iovec){text.data, text.length};
	return session_send(s, &vector, 1);
}

/* `data`: all that has come of the answer so far, in the scratch buffer. */
static void answer_consider(struct exchange *x, char *data, size_t length)
{
	struct http_head *head = &exchange_worker(x)->answer_head;
	size_t head_length = 0;
	enum http_parse parse;

	if (x->answer_head_whole) /* parsed before, but its spans are gone */
		parser_restart(x);
	for (;;) {
		parse = http_parser_head(&x->parser, data, length, head, &head_length);
		if (parse != HTTP_PARSE_COMPLETE || head->status >= 200 || head->status == 101)
			break;
		if (!interim_pass(x, head))
			return;
		memmove(data, data + head_length, length - head_length);
		length -= head_length;
		parser_restart(x);
	}
	if (parse == HTTP_PARSE_COMPLETE && head->status == 101 && upgrade_is_agreed(x, head)) {
		upgrade_begin(x, head, data + head_length, length - head_length);
		return;
	}
	if (parse == HTTP_PARSE_BAD || (parse == HTTP_PARSE_COMPLETE && head->status == 101) ||
	    (parse == HTTP_PARSE_INCOMPLETE && length == BUFFER_BYTES)) {
		attempt_fail(x, FAILURE_BAD_ANSWER);
		return;
	}
	x->answer_head_whole = parse == HTTP_PARSE_COMPLETE;
	if (x->answer_head_whole && retry_wants_status(x->choice.rule->retry, head->status) &&
	    attempt_can_repeat(x)) {
		attempt_fail_status(x, head->status);
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
	struct worker *w = exchange_worker(x);

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
	enum exchange_failure failure = attempt_failure_of(err);

	if (x->state == EXCHANGE_ANSWERING)
		exchange_cut(x, failure);
	else
		attempt_fail(x, failure);
}

/* One read.  False: nothing more is to be read now (or the exchange moved on). */
static bool answer_read(struct exchange *x)
{
	struct worker *w = exchange_worker(x);
	struct upstream *u = x->upstream;
	size_t have = x->state == EXCHANGE_ANSWERING ? 0 : x->answer_have;
	size_t room = BUFFER_BYTES - have;
	ssize_t n;

	if (x->served_name && room > restored_input_max(x))
		room = restored_input_max(x);
	n = recv(u->fd, w->read_buffer + have, room, 0);

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
	struct worker *w = exchange_worker(x);
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
		if (x->upstream != u || x->given_ns != given || x->state == EXCHANGE_NONE ||
		    x->state == EXCHANGE_UPGRADED)
			return;
		if (!more || session_is_blocked(x->session))
			break;
	}
	answer_throttle(x);
}

void exchange_resume(struct exchange *x)
{
	struct worker *w = exchange_worker(x);
	struct upstream *u = x->upstream;

	if (x->state != EXCHANGE_ANSWERING || !u || u->watch.fd >= 0)
		return;
	if (loop_watch(w->loop, &u->watch, u->fd, EPOLLIN))
		exchange_cut(x, FAILURE_LOCAL);
}

void exchange_on_upstream(struct exchange *x, uint32_t events)
{
	if (x->state == EXCHANGE_UPGRADED) {
		upgrade_on_upstream(x, events);
		return;
	}
	if (x->state == EXCHANGE_CONNECTING) {
		attempt_connected(x);
		return;
	}
	if (x->state == EXCHANGE_SENDING && events & EPOLLOUT && !(events & EPOLLERR)) {
		int err = attempt_send(x);

		/* one that refused the rest may have said why: read that first */
		if (err == -EPIPE || err == -ECONNRESET)
			events |= EPOLLIN;
		else if (err) {
			attempt_fail(x, attempt_failure_of(err));
			return;
		}
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		answer_read_all(x);
}
