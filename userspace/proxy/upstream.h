/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections to endpoints: made, used by one exchange at a time, kept alive.
 *
 * An idle connection belongs to the pool of its endpoint, at most
 * IDLE_UPSTREAMS_A_HOST each; the one used last is used next, so the rest grow
 * old and are closed.  Anything that happens on an idle connection ends it. */
#ifndef SLUICE_PROXY_UPSTREAM_H
#define SLUICE_PROXY_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "userspace/base/loop.h"

struct exchange;
struct mirror;
struct worker;

struct upstream {
	struct watch watch;
	int fd; /* -1: the slot is free */
	struct worker *worker;
	struct exchange *exchange; /* these two NULL: idle */
	struct mirror *mirror;
	uint32_t endpoint;
	uint32_t generation;
	bool reused; /* has carried a request before this one */
	bool patient; /* time-outs are those of an answer under way */
	uint64_t idle_since_ns;
	uint32_t host_next, host_previous; /* index + 1 in the pool of its endpoint */
	struct upstream *older, *later; /* by age over all pools; `later` links free slots */
};

int upstreams_init(struct worker *worker, size_t slots);
void upstreams_deinit(struct worker *worker);

/* An idle connection to that endpoint, taken out of the pool, or NULL. */
struct upstream *upstream_take_idle(struct worker *worker, uint32_t endpoint, uint32_t generation);
/* Begins to connect; EPOLLOUT tells when it has.  -errno of connect(), -ENOBUFS:
 * no slot or descriptor is left. */
int upstream_connect(struct worker *worker, uint32_t endpoint, uint32_t generation,
		     struct upstream **ret_upstream);
/* The exchange is over and the connection can carry another one. */
void upstream_keep(struct upstream *upstream);
void upstream_close(struct upstream *upstream);

/* How soon a server that answers no packet is noticed: at once while it owes
 * the first byte (patient = false), later when an answer is under way. */
void upstream_set_patience(struct upstream *upstream, bool patient);

/* An upgraded connection may stall for as long as its idle limit: a full window is no
 * sign of trouble.  A server that answers no packet is noticed by keep-alive probes. */
void upstream_forgive_stalls(struct upstream *upstream);

/* Closes connections idle for too long. */
void upstreams_sweep(struct worker *worker, uint64_t now_ns);

/* The pending error of the socket as -errno, 0: none. */
int upstream_error(const struct upstream *upstream);

#endif
