/* SPDX-License-Identifier: BSD-2-Clause */
/* The proxy's listening sockets: a SO_REUSEPORT group a family on loopback, one
 * member a worker.  sk_lookup gives a VIP's connections to the member in the
 * sockmap, and the kernel then chooses within its group. */
#ifndef SLUICE_PROXY_LISTENERS_H
#define SLUICE_PROXY_LISTENERS_H

#include "userspace/proxy/worker.h"

struct maps;

/* Fills `count` pairs, the first `held` of which are open already (another proxy's,
 * handed over): the others join their group.  A host without IPv6 has -1 there.  Logs. */
int listeners_open(int (*listeners)[WORKER_LISTENERS], unsigned held, unsigned count);
void listeners_close(int (*listeners)[WORKER_LISTENERS], unsigned count);
/* Gives one member a family to sk_lookup.  Logs. */
int listeners_publish(const struct maps *maps, int (*listeners)[WORKER_LISTENERS]);
/* Takes it away again: a connection that begins after this is refused, one that has
 * begun still reaches its listener. */
void listeners_withdraw(const struct maps *maps);

#endif
