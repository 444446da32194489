// SPDX-License-Identifier: BSD-2-Clause
/* What comes before a connection's first request when --proxy-protocol is set: the
 * header in which a balancer in front of us names its client.  That client is then
 * the session's, for logs and headers alike.
 *
 * Nothing is answered to a connection that begins otherwise: whoever sent it is
 * not the balancer that we were told of, or is one that speaks another protocol.
 * It is counted as an error and closed.  So is a connection from outside of
 * --proxy-protocol-from, before a byte of it is read: taken for a plain one it would
 * be a way around the balancer. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "userspace/http/proxy_protocol.h"
#include "userspace/proxy/session_parts.h"
#include "userspace/proxy/worker.h"

bool session_preface_is_believed(const struct session *s)
{
	const struct proxy_options *options = &s->worker->options;

	for (size_t i = 0; i < options->balancer_count; i++) {
		if (prefix_contains(&options->balancers[i], &s->client))
			return true;
	}
	return !options->balancer_count;
}

void session_preface_fail(struct session *s, enum proxy_error error)
{
	s->worker->row->errors[error]++;
	session_shut(s);
}

/* The header is whole: what follows it is the first request's. */
static void preface_whole(struct session *s, const struct proxy_protocol *preface, size_t length)
{
	if (preface->has_client) {
		s->client = preface->client;
		s->client_port = preface->client_port;
	}
	s->have -= length;
	memmove(s->buffer, s->buffer + length, s->have);
	if (!s->have) {
		buffers_give(&s->worker->buffers, &s->buffer);
		session_begin_idle(s);
		return;
	}
	session_begin_head(s);
	s->exchange.bytes_in += s->have;
}

/* Its bytes take a buffer of the pool, as a head's do. */
void session_read_preface(struct session *s)
{
	struct worker *w = s->worker;
	struct proxy_protocol preface;
	const char *why;
	size_t length;
	ssize_t n;

	if (!session_request_buffer(s)) {
		session_preface_fail(s, ERROR_OVERLOADED);
		return;
	}
	n = recv(s->fd, s->buffer + s->have, BUFFER_BYTES - s->have, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (!s->have)
			buffers_give(&w->buffers, &s->buffer);
		return;
	}
	if (n <= 0) { /* a balancer that looks whether we listen says nothing at all */
		if (s->have)
			session_preface_fail(s, ERROR_PROXY_PROTOCOL);
		else
			session_shut(s);
		return;
	}
	s->have += (size_t)n;
	switch (proxy_protocol_parse(s->buffer, s->have, &preface, &length, &why)) {
	case HTTP_PARSE_COMPLETE: preface_whole(s, &preface, length); break;
	case HTTP_PARSE_BAD: session_preface_fail(s, ERROR_PROXY_PROTOCOL); break;
	case HTTP_PARSE_INCOMPLETE: break;
	}
}
