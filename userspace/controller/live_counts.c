// SPDX-License-Identifier: BSD-2-Clause
/* CPU time, not time passed, is what a step took: a busy host must not make the
 * counts older than the budget asks for. */
#include "userspace/controller/live_counts.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/base/loop.h"
#include "userspace/publish/live_sweep.h"

struct live_counts {
	struct loop *loop;
	struct live_sweep *sweep;
	struct timer turn;
	uint64_t began_at; /* CLOCK_MONOTONIC; 0: no sweep is under way */
	bool failing; /* said so already */
};

static void failure_say(struct live_counts *counts, int err)
{
	if (err && !counts->failing)
		log_warning("live: flows cannot be counted (%s); VIPs with pick least go by what "
			    "was counted last; trying again every %llu s",
			    strerror(-err), LIVE_IDLE_NS / NS_PER_S);
	counts->failing = err != 0;
}

static void turn(struct timer *timer)
{
	struct live_counts *counts = container_of(timer, struct live_counts, turn);
	uint64_t start = clock_read_ns(CLOCK_THREAD_CPUTIME_ID), took;
	enum live_step step = LIVE_IDLE;
	uint64_t now = clock_monotonic_ns();
	int err;

	if (!counts->began_at)
		counts->began_at = now;
	err = live_sweep_step(counts->sweep, &step);
	took = clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	failure_say(counts, err);
	loop_timer_after(counts->loop, &counts->turn,
			 live_pause_ns(step, took, now - counts->began_at));
	if (step != LIVE_PART)
		counts->began_at = 0;
}

int live_counts_new(struct loop *loop, struct maps *maps, struct live_counts **ret_counts)
{
	struct live_counts *counts = calloc(1, sizeof(*counts));
	int err;

	if (!counts)
		return -ENOMEM;
	counts->loop = loop;
	counts->turn = TIMER_INIT(turn);
	err = live_sweep_new(maps, LIVE_PORTION, &counts->sweep);
	if (!err)
		err = loop_timer_after(loop, &counts->turn, 0);
	if (err) {
		live_counts_free(counts);
		return err;
	}
	*ret_counts = counts;
	return 0;
}

void live_counts_free(struct live_counts *counts)
{
	if (!counts)
		return;
	loop_timer_cancel(counts->loop, &counts->turn);
	live_sweep_free(counts->sweep);
	free(counts);
}
