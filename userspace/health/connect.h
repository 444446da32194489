/* SPDX-License-Identifier: BSD-2-Clause */
/* One TCP connection, opened and closed again: does it come about, and how soon.
 *
 * It is ended by a reset: nothing is left in TIME_WAIT here, nor at a server that
 * may be asked thousands of times an hour.  Places are taken at the start, so a
 * running connector allocates nothing. */
#ifndef SLUICE_HEALTH_CONNECT_H
#define SLUICE_HEALTH_CONNECT_H

#include <stddef.h>
#include <stdint.h>

#include "maps/layout/types.h"

struct loop;
struct connector;
struct connection;

struct connect_request {
	struct ip_addr addr;
	uint16_t port; /* host order, as all ports here */
	uint32_t timeout_ms;
	struct ip_addr source; /* of the family of addr; all zero: the kernel's choice */
	uint16_t source_port; /* 0: the kernel's choice */
	uint32_t mark; /* SO_MARK, 0: none; needs CAP_NET_ADMIN */
};

/* err: 0, -ECONNREFUSED, -ETIMEDOUT, -EHOSTUNREACH, ...; connect_ns: 0 on error.  The
 * connection is gone. */
typedef void (*connect_callback)(void *ctx, int err, uint64_t connect_ns);

/* connections_max: how many may run at once; each arms one timer of the loop.
 * -ENOMEM. */
int connector_new(struct loop *loop, size_t connections_max, struct connector **ret_connector);
/* Cancels what runs, without callbacks.  Not from a callback of a connection. */
void connector_free(struct connector *connector);

/* What the network says comes later, by the callback from the loop.  -EBUSY:
 * connections_max are running; else a socket as asked for cannot be had, and nothing
 * was sent: -EADDRINUSE (the source port), -EADDRNOTAVAIL (the source is no address of
 * this host), -EPERM (the mark), -EMFILE, ... */
int connect_start(struct connector *connector, const struct connect_request *request,
		  connect_callback callback, void *ctx, struct connection **ret_connection);
/* No callback comes after it. */
void connect_cancel(struct connection *connection);

#endif
