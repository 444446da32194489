/* SPDX-License-Identifier: BSD-2-Clause */
/* An epoll loop with timers, one a process; nothing here is thread-safe.
 *
 * Watches and timers are embedded by their owner, who keeps them alive while
 * they are registered.  A callback may remove any watch or timer, its own
 * included, and free its owner: the loop drops events of removed watches.
 * Timers sit in a binary heap whose capacity is set at start; a timer may fire
 * late, never early.
 */
#ifndef SLUICE_BASE_LOOP_H
#define SLUICE_BASE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;
struct watch;
struct timer;

typedef void (*watch_callback)(struct watch *watch, uint32_t events);
typedef void (*timer_callback)(struct timer *timer);

struct watch {
	int fd; /* -1: not registered */
	uint32_t events;
	watch_callback callback;
};

struct timer {
	uint64_t at_ns; /* CLOCK_MONOTONIC */
	size_t heap_index; /* 0: not armed */
	timer_callback callback;
};

#define WATCH_INIT(cb) ((struct watch){.fd = -1, .callback = (cb)})
#define TIMER_INIT(cb) ((struct timer){.callback = (cb)})

/* timers_max: how many may be armed at once.  -ENOMEM or epoll's errno. */
int loop_new(size_t timers_max, struct loop **ret_loop);
void loop_free(struct loop *loop);
static inline void loop_freep(struct loop **loop)
{
	loop_free(*loop);
}

/* events: EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLET.  The fd stays the caller's. */
int loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events);
int loop_watch_change(struct loop *loop, struct watch *watch, uint32_t events);
/* Call before closing the fd.  Fine when not registered. */
void loop_unwatch(struct loop *loop, struct watch *watch);

/* Arms or re-arms.  -ENOSPC: timers_max are armed. */
int loop_timer_at(struct loop *loop, struct timer *timer, uint64_t at_ns);
int loop_timer_after(struct loop *loop, struct timer *timer, uint64_t delay_ns);
void loop_timer_cancel(struct loop *loop, struct timer *timer);
static inline bool timer_is_armed(const struct timer *timer)
{
	return timer->heap_index != 0;
}

/* CLOCK_MONOTONIC read once a turn: what timers and deciding code use. */
uint64_t loop_now_ns(const struct loop *loop);
void loop_now_update(struct loop *loop);

/* Turns until loop_stop(); 0, or epoll's errno. */
int loop_run(struct loop *loop);
/* One turn: waits at most timeout_ms (-1: until something happens). */
int loop_turn(struct loop *loop, int timeout_ms);
void loop_stop(struct loop *loop);

#endif
