/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the parent share among themselves; nobody else's. */
#ifndef SLUICE_PROXY_PARENT_PARTS_H
#define SLUICE_PROXY_PARENT_PARTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "userspace/base/loop.h"
#include "userspace/proxy/proxy.h"

struct server;

struct worker_slot {
	pid_t pid; /* 0: none */
	uint64_t started_ns;
};

struct parent {
	struct proxy *proxy;
	struct loop *loop;
	struct server *server;
	struct watch signals;
	struct watch keeper;
	pid_t keeper_pid; /* 0: none */
	struct timer tick;
	struct timer pins_look;
	struct worker_slot workers[PROXY_WORKERS_MAX];
	ino_t pins_held, pins_other; /* of the contract's pin */
	bool owner; /* of pid file, socket and keeper: no predecessor or successor is */
	bool stopping;
	bool asked; /* by a signal, to stop */
	bool killed;
	bool failed; /* a successor that did not come to its place */
	uint64_t kill_at_ns;
	bool took_over; /* we were the keeper: start again as the parent */

	/* for a successor: where it asks, the one that makes itself ready, its time */
	struct watch heirs;
	struct watch heir;
	struct timer heir_late;
	pid_t heir_pid; /* started by us, 0: none */
	/* as a successor: workers that are ready, what the predecessor says */
	struct watch ready;
	uint64_t ready_count;
	struct watch predecessor;
};

/* parent.c */
void parent_workers_signal(const struct parent *parent, int signal_number);
void parent_keeper_make(struct parent *parent);
void parent_keeper_end(struct parent *parent);
/* Workers have got their signal and the listeners are no more ours: waits for them. */
void parent_stopping(struct parent *parent);
/* Stops in order. */
void parent_stop(struct parent *parent);
/* Pid file, keeper and the socket where a successor asks. */
int parent_own(struct parent *parent);

/* parent_handover.c */
int heirs_watch(struct parent *parent);
/* Nobody may take over any more, and who wanted to is told by the end. */
void heirs_dismiss(struct parent *parent);
/* Starts the program anew, with its options, as our successor. */
void heir_start(struct parent *parent);
void heir_ended(struct parent *parent);
/* Waits for the own workers, then for the predecessor's word. */
int predecessor_watch(struct parent *parent);
/* What a successor cannot do without has failed. */
void succession_fail(struct parent *parent, const char *why);

#endif
