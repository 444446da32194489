/* SPDX-License-Identifier: BSD-2-Clause */
/* What each client may do, and how much of it each has used: one table for all
 * workers of a proxy, in memory they share; only there when a limit is set.
 *
 * A client is an address cut to its prefix.  A connection looks its client up once;
 * from then on it holds the client's slot, and a request costs one compare-and-swap
 * there.  A slot counts its connections by row, as `inflight` does, so that what a
 * killed worker held can be taken back (client_table_forget), and has one meter each
 * for requests and bytes: the time at which all that was taken will have been paid
 * for at the limit's pace.  Meters are exact under concurrency: in any stretch of T
 * at most burst + T * rate is granted.  Connections are exact too, for looking up
 * and counting is done under a lock of the slot's set, which the kernel takes back
 * from a worker that dies with it.  Time is CLOCK_MONOTONIC for all of them.
 *
 * The table never grows.  A client stays while it has connections, or while a meter
 * has something to remember; a place is then taken from whoever's meters are paid
 * for, else from whoever's are soonest: at the cost of what little that one had
 * used, counted as `forgotten`.  Those near their limits stay.  Sets are chosen by a
 * secret, and there are four slots for each connection that the workers can have:
 * a set full of connected clients does not happen by chance.  If it does, the
 * client goes unlimited, counted as `untracked`: better than refusing it for what
 * others do.
 */
#ifndef SLUICE_PROXY_CLIENT_TABLE_H
#define SLUICE_PROXY_CLIENT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/layout/contract.h"
#include "maps/layout/types.h"

struct client_table;

struct client_rate {
	uint64_t count; /* so many... */
	uint64_t per_ns; /* ...in this time; 0: no limit */
	uint64_t burst; /* so many at once, when nothing was used for long enough */
};

struct client_limits {
	unsigned connections; /* at a time; 0: no limit */
	struct client_rate requests;
	struct client_rate bytes; /* of request bodies */
	unsigned ipv4_bits, ipv6_bits; /* a client's prefix */
};

#define CLIENT_CONNECTIONS_MAX 65000 /* a row's counter has 16 bits */

struct client_slot {
	struct ip_addr client; /* its prefix */
	uint64_t used; /* 0: nobody's yet */
	uint64_t requests_paid_ns; /* meters: CLOCK_MONOTONIC, in the past: nothing is owed */
	uint64_t bytes_paid_ns;
	uint16_t connections[WORKERS_MAX]; /* by row; each row's holder writes its own */
} __attribute__((aligned(64)));

/* Some limit is set. */
bool client_limits_any(const struct client_limits *limits);

/* `connections`: how many all workers can have at once.  -ENOMEM or another errno. */
int client_table_new(const struct client_limits *limits, size_t connections,
		     struct client_table **ret_table);
void client_table_free(struct client_table *table);

enum client_admission {
	CLIENT_ADMITTED,
	CLIENT_REFUSED, /* it has as many connections as it may have */
	CLIENT_UNTRACKED, /* no place for it: not limited */
};

/* A connection of `addr` begins.  ADMITTED: it is counted in `row`, and *ret_slot is
 * its client's until client_table_leave().  *ret_forgot: another client's place was
 * taken before its time. */
enum client_admission client_table_admit(struct client_table *table, uint32_t row,
					 const struct ip_addr *addr, uint64_t now_ns,
					 struct client_slot **ret_slot, bool *ret_forgot);
void client_table_leave(struct client_slot *slot, uint32_t row);
/* Whoever held the row is gone, and its connections with it. */
void client_table_forget(struct client_table *table, uint32_t row);

/* 0: one more request is granted and taken; else nothing is, and one will be in so
 * many ns if the client sends none before. */
uint64_t client_table_request(const struct client_table *table, struct client_slot *slot,
			      uint64_t now_ns);
/* How long nothing should be read from the client; 0: its bytes are within the limit. */
uint64_t client_table_bytes_wait(const struct client_table *table, const struct client_slot *slot,
				 uint64_t now_ns);
/* So many bytes came. */
void client_table_bytes(const struct client_table *table, struct client_slot *slot, uint64_t bytes,
			uint64_t now_ns);

const struct client_limits *client_table_limits(const struct client_table *table);

#endif
