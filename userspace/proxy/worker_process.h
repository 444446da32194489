/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker as a process of its own. */
#ifndef SLUICE_PROXY_WORKER_PROCESS_H
#define SLUICE_PROXY_WORKER_PROCESS_H

#include <sys/types.h>

struct proxy;

/* Runs in the child after fork() until it is told to end (SIGTERM), or the
 * parent dies: then it accepts no more (the keeper's workers do), finishes what
 * it has within the drain time-out, and ends.  Returns the exit status. */
int worker_process_run(const struct proxy *proxy, unsigned index, pid_t parent);

#endif
