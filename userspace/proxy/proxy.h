/* SPDX-License-Identifier: BSD-2-Clause */
/* What parent, keeper and workers of one proxy have in common: made once by
 * main(), inherited by every fork. */
#ifndef SLUICE_PROXY_PROXY_H
#define SLUICE_PROXY_PROXY_H

#include "userspace/base/instance.h"
#include "userspace/proxy/options.h"
#include "userspace/proxy/worker.h"

struct client_table;
struct maps;
struct proxy_metrics;

#define RUN_PROXY_LOCK "proxy.lock"
#define RUN_WORKERS "workers" /* byte K is locked by the worker that holds row K */

struct proxy {
	struct proxy_options options;
	struct instance instance;
	unsigned worker_count;
	int lock_fd; /* flock: one proxy an instance; held by parent and keeper */
	struct maps *maps;
	struct proxy_metrics *metrics; /* shared memory */
	struct client_table *clients; /* shared memory; NULL: clients are not limited */
	int listeners[PROXY_WORKERS_MAX][WORKER_LISTENERS]; /* -1: family not available */
	char access_log[2 * INSTANCE_PATH_MAX];
	char rows_path[2 * INSTANCE_PATH_MAX];
	char pid_path[2 * INSTANCE_PATH_MAX];
};

#endif
