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

/* exchange.c: counts of the attempt under way, and the list of those that may
 * still be sent elsewhere */
void exchange_counts_add(struct exchange *x);
void exchange_counts_first_byte(struct exchange *x);
void exchange_waiting_add(struct exchange *x);
void exchange_waiting_remove(struct exchange *x);
struct proxy_endpoint *exchange_endpoint_counters(struct exchange *x);
bool exchange_failure_is_of_the_way(enum exchange_failure failure);
uint32_t exchange_failures_forgiven(enum exchange_failure failure);

/* exchange_route.c: the request is for this backend of its rule */
void exchange_backend_set(struct exchange *x, size_t index);
/* May what the filters in force make of the path be asked for?  NULL, or why not. */
const char *exchange_rewrite_refused(struct exchange *x);

/* exchange_record.c */
void exchange_record(struct exchange *x, uint64_t now_ns);

/* exchange_attempt.c */
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

#endif
