/* SPDX-License-Identifier: BSD-2-Clause */
/* What parent, keeper and workers of one proxy have in common: made once by
 * main(), inherited by every fork. */
#ifndef SLUICE_PROXY_PROXY_H
#define SLUICE_PROXY_PROXY_H

#include "userspace/base/instance.h"
#include "userspace/proxy/options.h"
#include "userspace/proxy/persist.h"
#include "userspace/proxy/worker.h"

struct client_table;
struct maps;
struct proxy_metrics;

#define RUN_PROXY_LOCK "proxy.lock"
#define RUN_PERSIST_KEY "persist.key" /* of sessions that clients are kept in; 0600 */
#define RUN_WORKERS "workers" /* byte K is locked by the worker that holds row K */

struct proxy {
	struct proxy_options options;
	struct instance instance;
	unsigned worker_count;
	int lock_fd; /* flock: one proxy an instance; held by parent and keeper */
	struct maps *maps;
	struct proxy_metrics *metrics; /* shared memory */
	int metrics_fd; /* that memory */
	struct client_table *clients; /* shared memory; NULL: clients are not limited */
	int listeners[PROXY_WORKERS_MAX][WORKER_LISTENERS]; /* -1: family not available */
	struct persist_key persist_key;
	/* of a successor: what was handed over, and to whom it speaks until all is its own */
	unsigned listeners_held;
	int page_fd; /* the metrics page's listener; -1: none */
	int predecessor_fd; /* -1: none */
	int ready_fd; /* eventfd: a worker adds one when it serves; -1: nobody asks */
	char *const *argv; /* as it was started */
	char program[INSTANCE_PATH_MAX]; /* path of what was started; "" if it cannot be known */
	char access_log[2 * INSTANCE_PATH_MAX];
	char rows_path[2 * INSTANCE_PATH_MAX];
	char pid_path[2 * INSTANCE_PATH_MAX];
	char socket_path[2 * INSTANCE_PATH_MAX]; /* where a successor asks */
};

#endif
