/* SPDX-License-Identifier: BSD-2-Clause */
/* A client's connection, HTTP/1.1: requests come in one after the other, each
 * becomes an exchange, answers go out through the outbox.
 *
 *	PREFACE   with --proxy-protocol: the balancer's header, before anything else
 *	   | whole                     | anything else: closed
 *	IDLE      between requests; holds no buffer
 *	   | first byte: a buffer is taken
 *	HEAD      collecting the head in the buffer, at most 32 KiB
 *	   | whole
 *	BODY      storing the body and scanning it for the model
 *	   | whole, verdict good        | anything wrong
 *	EXCHANGE  the exchange is at work        |
 *	   | answered                            |
 *	IDLE or HEAD (pipelined) ... or LAST <---+
 *	UPGRADED  instead, after a 101: two ways of bytes, see upgrade.h
 *	LAST      an answer that ends the connection is being sent
 *	   | sent: FIN
 *	LINGER    the client's rest is read and thrown away, so that a RST does not
 *	   |      destroy the answer on its way
 *	closed
 *
 * IDLE and BODY pause reading while the client is over its bytes (session_client.c).
 *
 * The next request is only looked at when the answer to this one has left the
 * outbox: pipelined requests wait in the socket, or in `ahead`.
 *
 * A client that closes its sending side is taken as gone, because that is what
 * the closing of a connection looks like from here; --half-close takes it at
 * its word instead, and then its death shows at the next write.
 */
#ifndef SLUICE_PROXY_SESSION_H
#define SLUICE_PROXY_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "maps/layout/types.h"
#include "userspace/base/loop.h"
#include "userspace/http/parser.h"
#include "userspace/model/request.h"
#include "userspace/model/usage.h"
#include "userspace/proxy/body.h"
#include "userspace/proxy/error.h"
#include "userspace/proxy/exchange.h"
#include "userspace/proxy/limits.h"
#include "userspace/proxy/outbox.h"

struct client_slot;
struct worker;

enum session_state {
	SESSION_FREE,
	SESSION_PREFACE,
	SESSION_IDLE,
	SESSION_HEAD,
	SESSION_BODY,
	SESSION_EXCHANGE,
	SESSION_UPGRADED,
	SESSION_LAST,
	SESSION_LINGER,
};

struct session {
	struct worker *worker;
	struct session *next_free;
	enum session_state state;
	int fd;
	struct watch watch;
	struct timer timer;
	struct ip_addr client; /* the socket's, or who the PROXY header says */
	struct ip_addr vip; /* the socket's */
	uint16_t client_port, vip_port; /* host order */
	enum proxy_error refused_for; /* a 429 that its request is answered with, ERROR_NONE */
	struct client_slot *client_slot; /* its client's, NULL: not limited */
	bool paced; /* nothing is read until the timer: its client is over its bytes */
	uint64_t paced_at_ns; /* since when */
	uint64_t paced_ns; /* for how long, before and within this request */
	bool busy; /* inside an event of its own: session_pump runs at its end */
	bool asked; /* a request has begun on this connection */
	bool unparsed; /* the buffer has bytes the parser has not seen */
	bool input_paused; /* EPOLLIN is off: more came than we want now */
	bool half_closed; /* the client sent FIN and --half-close is set */
	bool reset; /* close with RST: the end must not look like one */

	/* the request */
	char *buffer;
	size_t have;
	size_t head_length; /* 0: not whole yet */
	struct http_parser parser;
	union {
		struct model_request request; /* into the request's body, */
		struct usage_observer usage; /* then into the answer's */
	} looking;
	struct body body;
	bool has_body;
	bool keep_alive; /* after this answer */
	bool old_client; /* HTTP/1.0 */
	char *ahead; /* buffer: bytes behind the request */
	size_t ahead_length;

	struct outbox outbox;
	uint64_t lingered; /* bytes thrown away */
	struct exchange exchange;
};

int sessions_init(struct worker *worker, size_t slots);
void sessions_deinit(struct worker *worker);
bool sessions_are_left(const struct worker *worker);

/* Takes an accepted, non-blocking socket; closes it when there is no slot. */
void session_open(struct worker *worker, int fd, const struct ip_addr *client, uint16_t client_port,
		  bool spare);

static inline bool session_is_alive(const struct session *session)
{
	return session->state != SESSION_FREE;
}

/* ---- for the exchange ---- */

/* The head of the request, parsed again if another took its place; its spans
 * point into the session's buffer. */
const struct http_head *session_head(struct session *session);
/* The request will not be sent again: its buffers go back. */
void session_release_request(struct session *session);
/* Sends; what does not fit is kept in the outbox.  False: the client is gone
 * and the session with it. */
bool session_send(struct session *session, struct iovec *vectors, size_t count);
bool session_is_blocked(const struct session *session);
/* The whole answer was handed over and the exchange is finished. */
void session_answered(struct session *session);
/* Answers with an error of ours; finishes the exchange. */
void session_refuse(struct session *session, enum proxy_error error,
		    const struct proxy_error_detail *detail);
/* Sends what is in the outbox, then closes; `reset`: with RST. */
void session_end(struct session *session, bool reset);

/* The worker drains: answers that begin from now on say that they are the last.  A
 * session that is idle, or whose answer has promised to go on, may have a request
 * on its way already, so it is given a moment. */
void session_drain(struct session *session);

#endif
