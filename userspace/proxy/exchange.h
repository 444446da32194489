/* SPDX-License-Identifier: BSD-2-Clause */
/* One request and the way to its answer.
 *
 * States of an exchange, after its session has received the request whole:
 *
 *	NONE        no request, or one still arriving
 *	   | exchange_start(): snapshot, route, backend, pick
 *	CONNECTING  to the picked endpoint; skipped when an idle connection is reused
 *	SENDING     head and body; an early answer is already listened for
 *	PAUSING     instead, between two attempts of a route that wants time there
 *	WAITING     for the first byte of the body (or a whole answer without one);
 *	   |        a head that came before it is held back, because servers send it
 *	   |        before the prefill that may still fail
 *	ANSWERING   the first bytes went to the client: no retry from here on
 *	   | end of the answer, or a cut
 *	NONE
 *	UPGRADED    WAITING ended with a 101: see upgrade.h
 *
 * Up to WAITING every failure leads back to a pick among what is left: other
 * endpoints, other clusters when the way there failed, other backends of the
 * rule.  What was counted in `inflight` for an attempt is given back when the
 * attempt ends, however it ends: exchange_leave() is the only way out of one.
 *
 * An exchange is embedded in its session and talks to it by the functions of
 * session.h; a session of another protocol would embed several.
 */
#ifndef SLUICE_PROXY_EXCHANGE_H
#define SLUICE_PROXY_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "userspace/base/loop.h"
#include "userspace/http/parser.h"
#include "userspace/http/traceparent.h"
#include "userspace/model/request.h"
#include "userspace/proxy/counted.h"
#include "userspace/proxy/error.h"
#include "userspace/proxy/headers.h"
#include "userspace/proxy/limits.h"
#include "userspace/proxy/persist.h"
#include "userspace/proxy/placement.h"
#include "userspace/proxy/route.h"
#include "userspace/proxy/upgrade.h"
#include "userspace/schedule/score.h"

struct session;
struct snapshot_ref;
struct upstream;
struct worker;

enum exchange_state {
	EXCHANGE_NONE,
	EXCHANGE_PAUSING,
	EXCHANGE_CONNECTING,
	EXCHANGE_SENDING,
	EXCHANGE_WAITING,
	EXCHANGE_ANSWERING,
	EXCHANGE_UPGRADED,
};

/* id, name in logs and metrics, 1: the way is to blame, failures forgiven before
 * the endpoint is left alone (NEVER: all) */
#define FAILURE_NEVER 1000000u
#define FAILURE_LIST(X)                                                                            \
	X(FAILURE_NONE, "none", 0, FAILURE_NEVER)                                                  \
	X(FAILURE_REFUSED, "refused", 0, 0)                                                        \
	X(FAILURE_CONNECT_TIMEOUT, "connect_timeout", 1, 0)                                        \
	X(FAILURE_UNREACHABLE, "unreachable", 1, 0)                                                \
	X(FAILURE_DARK, "dark", 1, 0)                                                              \
	X(FAILURE_RESET, "reset", 0, 1)                                                            \
	X(FAILURE_CLOSED, "closed", 0, 1)                                                          \
	X(FAILURE_STALE, "stale_connection", 0, FAILURE_NEVER)                                     \
	X(FAILURE_HEALTH, "health_down", 0, FAILURE_NEVER)                                         \
	X(FAILURE_STATUS, "status", 0, 2)                                                          \
	X(FAILURE_LISTED, "listed_status", 0, FAILURE_NEVER)                                       \
	X(FAILURE_BUSY, "busy", 0, FAILURE_NEVER)                                                  \
	X(FAILURE_BAD_ANSWER, "bad_answer", 0, 1)                                                  \
	X(FAILURE_TIMEOUT, "timeout", 0, 2)                                                        \
	X(FAILURE_LOCAL, "local_limit", 0, FAILURE_NEVER)

enum exchange_failure {
#define X(id, name, path, forgiven) id,
	FAILURE_LIST(X)
#undef X
		FAILURE_COUNT
};

const char *exchange_failure_name(enum exchange_failure failure);

struct exchange {
	struct session *session;
	enum exchange_state state;
	bool begun; /* a byte of a request came, and it is not finished */

	/* the request, filled while it arrives */
	uint64_t began_ns; /* CLOCK_MONOTONIC at its first byte */
	uint64_t began_real_ns;
	uint64_t bytes_in, bytes_out;
	char method[METHOD_KEPT_MAX];
	char path[PATH_KEPT_MAX];
	char trace_id[TRACE_ID_LENGTH + 1]; /* "": none */
	enum error_shape error_shape; /* what its client understands */
	bool head_request; /* HEAD: the answer has no body */
	enum model_place model_place; /* where the API names it */
	bool has_model;
	struct model_facts facts;

	/* where it goes */
	struct snapshot_ref *snapshot; /* held while routed; NULL before */
	struct route_choice choice;
	const struct snapshot_cors *cors; /* the rule's, NULL: none */
	const char *base_model;
	const struct snapshot_pool *pool;
	const char *served_name; /* of the model in that pool; NULL: as the client says it */
	uint64_t backends_tried; /* bit by index in the rule */
	bool persisted; /* its session is with the endpoint of persist_token */
	struct persist_token persist_token;
	struct placement_request place;
	struct pick pick; /* the latest */
	uint32_t runner_up; /* its runner-up's endpoint id */
	const char *pick_cluster, *pick_region; /* of the snapshot */

	/* the attempt under way */
	struct upstream *upstream; /* NULL: none */
	uint32_t endpoint, generation, cluster;
	struct counted counted;
	bool queued_behind; /* something was outstanding there when it was given */
	bool fresh; /* do not reuse a connection */
	uint64_t given_ns;
	uint64_t sent; /* bytes of head and body sent */
	bool request_sent; /* all of them */
	uint64_t attempt_until_ns; /* 0: no limit of its own; PAUSING: its end */
	int bad_status; /* of the answer for which it is given up; 0: none */

	/* all attempts */
	unsigned attempts;
	unsigned stale_count;
	unsigned interim_count; /* 1xx passed on */
	uint32_t mirrored; /* bit by index in the rule's mirrors: a copy went there */
	enum exchange_failure failures[ATTEMPTS_MAX];
	uint32_t failed_endpoints[ATTEMPTS_MAX];
	int failed_statuses[ATTEMPTS_MAX]; /* 0: no answer */
	size_t failure_count;
	uint64_t whole_ns; /* when the request was whole */
	uint64_t until_ns; /* the request's time-out */
	struct timer timer;
	struct exchange *waiting_next, *waiting_previous; /* worker->waiting */
	bool waiting_listed;

	/* the answer */
	struct http_parser parser;
	char *answer; /* buffer: what came while nothing could be passed on yet */
	size_t answer_have;
	bool answer_head_whole;
	int status; /* as told to the client */
	enum answer_framing framing;
	bool event_stream; /* text/event-stream */
	bool observed; /* session->looking.usage counts the answer's tokens */
	bool restoring; /* it finds names of models, and the client's own is put there */
	struct upgrade upgrade; /* `asked` is of the request */
	bool upstream_keep_alive;
	uint64_t first_byte_ns;
	enum proxy_error error;
	char detail[160];
};

/* A new request begins to arrive. */
void exchange_begin(struct exchange *exchange, uint64_t now_ns, uint64_t real_ns);
/* The request is whole and its verdict good. */
void exchange_start(struct exchange *exchange);
/* The client left: close the upstream at once, count, log. */
void exchange_abort(struct exchange *exchange);
/* What had been sent to the client has gone: read on. */
void exchange_resume(struct exchange *exchange);
/* Something happened on the upstream connection. */
void exchange_on_upstream(struct exchange *exchange, uint32_t events);
/* Looks whether the endpoint it waits for went down; called every HEALTH_POLL_NS. */
void exchange_check_health(struct exchange *exchange);
/* The drain time is over. */
void exchange_give_up(struct exchange *exchange);

/* ---- for relay.c and session.c ---- */

/* Ends the attempt: counts given back, connection kept or closed. */
void exchange_leave(struct exchange *exchange, bool keep_connection);
/* Ends the exchange: logged and counted once; the session goes on by itself. */
void exchange_finish(struct exchange *exchange, int status, enum proxy_error error);
/* The first bytes of an answer go to the client now. */
void exchange_committed(struct exchange *exchange);
/* The answer under way broke off. */
void exchange_cut(struct exchange *exchange, enum exchange_failure failure);

#endif
