/* SPDX-License-Identifier: BSD-2-Clause */
/* The process that owns the proxy: starts workers and starts them again, sweeps
 * what dead ones left, serves /metrics, hands all of it to a successor when one is
 * started (handover.h), and ends all in order.  It parses nothing from outside.
 *
 *	parent --- forks ---> workers      a dead one is replaced at once; its listener
 *	   |                               lives on in the parent, with its queue
 *	   +---- keeper                    holds the same sockets; if the parent dies it
 *	                                   becomes the parent, with workers of its own,
 *	                                   while the old ones finish what they have
 */
#ifndef SLUICE_PROXY_PARENT_H
#define SLUICE_PROXY_PARENT_H

struct proxy;

/* Until SIGTERM or SIGINT, or until a successor has its place; 0 or -errno.  In a process that was
 * forked off and is no parent any more it does not return. */
int parent_run(struct proxy *proxy);

#endif
