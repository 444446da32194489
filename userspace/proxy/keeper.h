/* SPDX-License-Identifier: BSD-2-Clause */
/* The parent's twin: a process that holds the listening sockets and the lock,
 * does nothing, and takes the parent's place when that dies.
 *
 * It is the parent's child like the workers, and outlives it; each watches the
 * other by a pidfd.
 */
#ifndef SLUICE_PROXY_KEEPER_H
#define SLUICE_PROXY_KEEPER_H

#include <stdbool.h>
#include <sys/types.h>

struct proxy;

/* Forks a keeper of this process.  *ret_pid, *ret_fd: its pid and pidfd.
 * *ret_took_over: we are the keeper, the parent is dead, and its place is ours;
 * the others are untouched then.  Logs. */
int keeper_start(const struct proxy *proxy, pid_t *ret_pid, int *ret_fd, bool *ret_took_over);

#endif
