// SPDX-License-Identifier: BSD-2-Clause
/* epoll_pwait2 gives nanosecond time-outs (kernel 5.11).  Events of a turn are
 * kept in the loop, so that loop_unwatch() can blank those of a watch that a
 * callback earlier in the same turn removed. */
#include "userspace/base/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

#define EVENTS_A_TURN 256

struct loop {
	int epoll_fd;
	bool stopped;
	uint64_t now_ns;
	int event_count;
	struct epoll_event events[EVENTS_A_TURN];
	size_t timer_count;
	size_t timers_max;
	struct timer **heap; /* 1-based */
};

int loop_new(size_t timers_max, struct loop **ret_loop)
{
	_cleanup_(loop_freep) struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return -ENOMEM;
	loop->timers_max = timers_max;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return -errno;
	loop->heap = calloc(timers_max + 1, sizeof(*loop->heap));
	if (!loop->heap)
		return -ENOMEM;
	loop_now_update(loop);
	*ret_loop = TAKE_PTR(loop);
	return 0;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	closep(&loop->epoll_fd);
	free(loop->heap);
	free(loop);
}

int loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	watch->fd = fd;
	watch->events = events;
	return 0;
}

int loop_watch_change(struct loop *loop, struct watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	if (watch->events == events)
		return 0;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0)
		return -errno;
	watch->events = events;
	return 0;
}

void loop_unwatch(struct loop *loop, struct watch *watch)
{
	if (watch->fd < 0)
		return;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->fd = -1;
	for (int i = 0; i < loop->event_count; i++) {
		if (loop->events[i].data.ptr == watch)
			loop->events[i].data.ptr = NULL;
	}
}

/* ---- timers: a binary heap by at_ns ---- */

static void heap_put(struct loop *loop, size_t index, struct timer *timer)
{
	loop->heap[index] = timer;
	timer->heap_index = index;
}

static void heap_up(struct loop *loop, size_t index)
{
	struct timer *timer = loop->heap[index];

	while (index > 1 && loop->heap[index / 2]->at_ns > timer->at_ns) {
		heap_put(loop, index, loop->heap[index / 2]);
		index /= 2;
	}
	heap_put(loop, index, timer);
}

static void heap_down(struct loop *loop, size_t index)
{
	struct timer *timer = loop->heap[index];

	for (;;) {
		size_t child = index * 2;

		if (child > loop->timer_count)
			break;
		if (child < loop->timer_count &&
		    loop->heap[child + 1]->at_ns < loop->heap[child]->at_ns)
			child++;
		if (loop->heap[child]->at_ns >= timer->at_ns)
			break;
		heap_put(loop, index, loop->heap[child]);
		index = child;
	}
	heap_put(loop, index, timer);
}

int loop_timer_at(struct loop *loop, struct timer *timer, uint64_t at_ns)
{
	if (timer_is_armed(timer)) {
		timer->at_ns = at_ns;
		heap_up(loop, timer->heap_index);
		heap_down(loop, timer->heap_index);
		return 0;
	}
	if (loop->timer_count >= loop->timers_max)
		return -ENOSPC;
	timer->at_ns = at_ns;
	heap_put(loop, ++loop->timer_count, timer);
	heap_up(loop, timer->heap_index);
	return 0;
}

int loop_timer_after(struct loop *loop, struct timer *timer, uint64_t delay_ns)
{
	return loop_timer_at(loop, timer, loop->now_ns + delay_ns);
}

void loop_timer_cancel(struct loop *loop, struct timer *timer)
{
	size_t index = timer->heap_index;
	struct timer *last;

	if (!index)
		return;
	timer->heap_index = 0;
	last = loop->heap[loop->timer_count--];
	if (last == timer)
		return;
	heap_put(loop, index, last);
	heap_up(loop, index);
	heap_down(loop, last->heap_index);
}

uint64_t loop_now_ns(const struct loop *loop)
{
	return loop->now_ns;
}

void loop_now_update(struct loop *loop)
{
	loop->now_ns = clock_monotonic_ns();
}

/* ---- turning ---- */

static void timers_fire(struct loop *loop)
{
	/* only those due now: one that re-arms itself for now waits a turn */
	uint64_t due = loop->now_ns;

	while (loop->timer_count && loop->heap[1]->at_ns <= due) {
		struct timer *timer = loop->heap[1];
		uint64_t at = timer->at_ns;

		loop_timer_cancel(loop, timer);
		timer->callback(timer);
		if (at == due)
			break;
	}
}

static int events_wait(struct loop *loop, int timeout_ms)
{
	uint64_t wait_ns = timeout_ms < 0 ? UINT64_MAX : (uint64_t)timeout_ms * NS_PER_MS;
	struct timespec timeout;

	if (loop->timer_count) {
		uint64_t at = loop->heap[1]->at_ns;
		uint64_t until = at > loop->now_ns ? at - loop->now_ns : 0;

		if (until < wait_ns)
			wait_ns = until;
	}
	timeout.tv_sec = (time_t)(wait_ns / NS_PER_S);
	timeout.tv_nsec = (long)(wait_ns % NS_PER_S);
	loop->event_count = epoll_pwait2(loop->epoll_fd, loop->events, EVENTS_A_TURN,
					 wait_ns == UINT64_MAX ? NULL : &timeout, NULL);
	if (loop->event_count < 0) {
		loop->event_count = 0;
		return errno == EINTR ? 0 : -errno;
	}
	return 0;
}

int loop_turn(struct loop *loop, int timeout_ms)
{
	int err;

	loop_now_update(loop);
	err = events_wait(loop, timeout_ms);
	loop_now_update(loop);
	if (err)
		return err;
	for (int i = 0; i < loop->event_count; i++) {
		struct watch *watch = loop->events[i].data.ptr;

		if (watch)
			watch->callback(watch, loop->events[i].events);
	}
	loop->event_count = 0;
	timers_fire(loop);
	return 0;
}

int loop_run(struct loop *loop)
{
	int err = 0;

	loop->stopped = false;
	while (!loop->stopped && !err)
		err = loop_turn(loop, -1);
	return err;
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}
