/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of an exchange share among themselves; nobody else's. */
#ifndef SLUICE_PROXY_EXCHANGE_PARTS_H
#define SLUICE_PROXY_EXCHANGE_PARTS_H

#include "userspace/proxy/exchange.h"
#include "userspace/proxy/session.h"
#include "userspace/proxy/worker.h"

static inline struct worker *exchange_worker(const struct exchange *x)
{
	return x->session->worker;
}

/* exchange.c: the list of those that may still be sent elsewhere, and counters */
void exchange_waiting_add(struct exchange *x);
void exchange_waiting_remove(struct exchange *x);
struct proxy_endpoint *exchange_endpoint_counters(struct exchange *x);
bool exchange_failure_is_of_the_way(enum exchange_failure failure);
uint32_t exchange_failures_forgiven(enum exchange_failure failure);
/* What a failure says of its endpoint and of the way there, if anything, is remembered. */
void exchange_failure_remember(struct worker *w, uint32_t endpoint, uint32_t cluster,
			       enum exchange_failure failure);
/* Was it a kept-alive connection that the server had closed already?  That is nobody's
 * failure: the same endpoint may be asked again over a fresh one. */
bool exchange_failure_is_stale(enum exchange_failure failure, const struct upstream *upstream,
			       bool answer_begun);

/* exchange_route.c: may what the filters make of the path be asked for?  NULL, or why not. */
const char *exchange_rewrite_refused(struct exchange *x);
/* exchange_rename.c: the model under the name it has in a pool */
/* The request is for that pool from now on.  NULL, or why it cannot say the name that its
 * model has there; then nothing has changed. */
const char *exchange_pool_take(struct exchange *x, const struct snapshot_pool *pool);
/* Appends the target as it goes upstream, with this name in it if the client's is;
 * false: it cannot be, or is too long. */
bool exchange_target_format(struct exchange *x, const char *name, struct text *text);
/* The body with this name in it: NULL when it is sent as it is, else `room`, filled. */
const struct model_rewrite *exchange_body_rewrite(struct exchange *x, const char *name,
						  struct model_rewrite *room);
/* The model's name in that pool, drawn by weight; NULL: as the client says it. */
const char *exchange_name_in(struct exchange *x, const struct snapshot_pool *pool);
/* NULL, or why the request cannot say this name. */
const char *exchange_name_refused(struct exchange *x, const char *name);
/* Does this answer get the client's name back? */
bool exchange_restores(const struct exchange *x, const struct http_head *head);

/* exchange_persist.c: rules that keep a client with its endpoint */
/* The index of the rule's backend that has the endpoint of the request's session, which is
 * remembered; SIZE_MAX: it has none that counts. */
size_t exchange_persist_backend(struct exchange *x, const struct http_head *head);
/* That endpoint, if it can be picked. */
struct pick exchange_persist_pick(struct exchange *x);
/* The name of the header that keeps the client with the endpoint that answers, its value
 * appended; NULL: it needs none. */
const char *exchange_persist_answer(struct exchange *x, struct text *value);

/* exchange_record.c */
void exchange_record(struct exchange *x, uint64_t now_ns);

/* exchange_attempt.c */
/* The head as it goes upstream with that name of the model (NULL: the client's), made anew
 * in the worker's scratch each time it is needed; false: too large. */
bool exchange_head_format(struct exchange *x, const char *name, uint64_t body_bytes,
			  struct text *text);
void attempt_start(struct exchange *x);
/* The attempt failed without a byte for the client: the next one, or an error. */
void attempt_fail(struct exchange *x, enum exchange_failure failure);
/* The same for an answer with this status. */
void attempt_fail_status(struct exchange *x, int status);
/* Counts the failure against the endpoint. */
void attempt_blame(struct exchange *x, enum exchange_failure failure);
/* Sends what the socket takes; 0, or -errno: the attempt failed. */
int attempt_send(struct exchange *x);
/* connect() has ended, well or not. */
void attempt_connected(struct exchange *x);
void attempt_on_timer(struct timer *timer);
/* May the request be sent elsewhere, or to the same endpoint once more, for an answer
 * that is not good? */
bool attempt_can_repeat(struct exchange *x);
int attempt_want(struct exchange *x, uint32_t events);
enum exchange_failure attempt_failure_of(int err);
/* The same, of a connection that did not come to be. */
enum exchange_failure attempt_connect_failure_of(int err);

#endif
