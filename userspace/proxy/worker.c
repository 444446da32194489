// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/jitter.h"
#include "userspace/base/log.h"
#include "userspace/proxy/exchange.h"
#include "userspace/proxy/mirror.h"
#include "userspace/proxy/session.h"
#include "userspace/proxy/upstream.h"

#define IDLE_SLOTS 512 /* upstream connections beyond one a session */
#define OTHER_DESCRIPTORS 64
#define MIRROR_DESCRIPTORS 2 /* the endpoint, a share of that file */
#define SESSION_DESCRIPTORS 3 /* the client, the endpoint, a file for a large body */

uint64_t worker_random(struct worker *worker)
{
	return jitter_mix(worker->random++);
}

/* ---- accepting ---- */

static void accepting_set(struct worker *w, bool accepting)
{
	w->accepting = accepting;
	for (size_t i = 0; i < WORKER_LISTENERS; i++) {
		if (w->listeners[i].watch.fd >= 0)
			loop_watch_change(w->loop, &w->listeners[i].watch, accepting ? EPOLLIN : 0);
	}
}

/* Out of sessions or of descriptors: the rest waits in the listener's queue. */
static void accepting_stop(struct worker *w)
{
	if (w->accepting)
		accepting_set(w, false);
}

void worker_session_gone(struct worker *w)
{
	if (!w->accepting && !w->draining)
		accepting_set(w, true);
}

/* False: nothing more to accept, or no place for it. */
static bool accept_one(struct worker *w, int listener)
{
	struct sockaddr_storage sa = {0};
	socklen_t length = sizeof(sa);
	struct ip_addr client = {0};
	uint16_t port = 0;
	int one = 1;
	int fd;

	if (!sessions_are_left(w)) {
		accepting_stop(w);
		return false;
	}
	fd = accept4(listener, (struct sockaddr *)&sa, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			accepting_stop(w);
		return errno == ECONNABORTED || errno == EINTR;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	address_from_sockaddr(&sa, &client, &port);
	session_open(w, fd, &client, port, w->session_count >= w->options.sessions_max);
	return true;
}

static void on_listener(struct watch *watch, uint32_t events)
{
	struct worker *w = container_of(watch, struct worker_listener, watch)->worker;

	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		if (!accept_one(w, watch->fd))
			return;
	}
}

static int listeners_watch(struct worker *w, const int fds[WORKER_LISTENERS])
{
	w->accepting = true;
	for (size_t i = 0; i < WORKER_LISTENERS; i++) {
		int err;

		w->listeners[i].worker = w;
		w->listeners[i].watch = WATCH_INIT(on_listener);
		if (fds[i] < 0)
			continue;
		err = loop_watch(w->loop, &w->listeners[i].watch, fds[i], EPOLLIN);
		if (err)
			return log_error(err, "listener: cannot be watched (%s)", strerror(-err));
	}
	return 0;
}

/* ---- what happens by the clock ---- */

static void health_check(struct worker *w)
{
	struct exchange *next;

	for (struct exchange *x = w->waiting; x; x = next) {
		next = x->waiting_next;
		exchange_check_health(x);
	}
}

static void gauges_set(struct worker *w)
{
	__atomic_store_n(&w->row->buffers_free, w->buffers.free_count, __ATOMIC_RELAXED);
	__atomic_store_n(&w->row->log_lines_lost, w->log.lost, __ATOMIC_RELAXED);
}

static void drain_finish(struct worker *w)
{
	for (size_t i = 0; i < w->sessions_begun; i++) {
		struct session *s = &w->sessions[i];

		if (session_is_alive(s) && s->exchange.state != EXCHANGE_NONE)
			exchange_give_up(&s->exchange);
	}
}

static void drain_check(struct worker *w, uint64_t now)
{
	if (w->session_count && now < w->drain_until_ns)
		return;
	if (w->session_count) {
		log_info("drain: %zu connections did not finish in time and are closed",
			 w->session_count);
		drain_finish(w);
	}
	w->done = true;
	loop_stop(w->loop);
}

static void on_tick(struct timer *timer)
{
	struct worker *w = container_of(timer, struct worker, tick);
	uint64_t now = loop_now_ns(w->loop);

	health_check(w);
	access_log_flush(&w->log);
	gauges_set(w);
	if (now >= w->buffers_period_at_ns) {
		buffers_period_end(&w->buffers);
		w->buffers_period_at_ns = now + BUFFERS_PERIOD_NS;
	}
	buffers_trim(&w->buffers, BUFFERS_TRIM_A_TICK);
	if (now >= w->sweep_at_ns) {
		upstreams_sweep(w, now);
		if (!w->accepting && !w->draining && sessions_are_left(w))
			accepting_set(w, true);
		w->sweep_at_ns = now + SWEEP_NS;
	}
	if (w->draining)
		drain_check(w, now);
	loop_timer_after(w->loop, &w->tick, HEALTH_POLL_NS);
}

void worker_drain(struct worker *w, bool leave_queue)
{
	if (w->draining)
		return;
	for (size_t i = 0; i < WORKER_LISTENERS; i++) {
		struct watch *watch = &w->listeners[i].watch;

		while (!leave_queue && watch->fd >= 0 && accept_one(w, watch->fd))
			;
		loop_unwatch(w->loop, watch);
	}
	w->draining = true;
	w->drain_until_ns = loop_now_ns(w->loop) + w->options.drain_timeout_s * NS_PER_S;
	for (size_t i = 0; i < w->sessions_begun; i++) {
		if (session_is_alive(&w->sessions[i]))
			session_drain(&w->sessions[i]);
	}
}

/* ---- making and freeing ---- */

static size_t sessions_limit(size_t asked, size_t mirrors)
{
	const size_t reserve = IDLE_SLOTS / 2 + OTHER_DESCRIPTORS + MIRROR_DESCRIPTORS * mirrors;
	struct rlimit limit;
	size_t fits;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return asked;
	fits = limit.rlim_cur > 2 * reserve ? (limit.rlim_cur - reserve) / SESSION_DESCRIPTORS
					    : limit.rlim_cur / (2 * SESSION_DESCRIPTORS);
	if (asked <= fits)
		return asked;
	log_warning("--sessions-max %zu: only %zu fit into the limit of %llu open files", asked,
		    fits, (unsigned long long)limit.rlim_cur);
	return fits;
}

static void row_take(struct worker *w, const struct worker_config *config)
{
	uint32_t high = __atomic_load_n(&w->metrics->rows_high, __ATOMIC_RELAXED);

	w->inflight = &w->maps->inflight[(size_t)config->row * ENDPOINTS_MAX];
	w->row = &w->metrics->rows[config->row];
	w->row_index = config->row;
	w->row->sessions = w->row->upgraded = 0;
	w->row->snapshot_generation = 0;
	while (high <= config->row &&
	       !__atomic_compare_exchange_n(&w->metrics->rows_high, &high, config->row + 1, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static int pools_make(struct worker *w)
{
	size_t slots = sessions_limit(w->options.sessions_max, w->options.mirrors_max);
	int err;

	w->options.sessions_max = slots;
	slots += SESSIONS_SPARE;
	err = loop_new(2 * slots + w->options.mirrors_max + 8, &w->loop);
	if (!err)
		err = buffers_init(&w->buffers, w->options.buffers_max);
	if (!err)
		err = sessions_init(w, slots);
	if (!err)
		err = upstreams_init(w, slots + IDLE_SLOTS + w->options.mirrors_max);
	if (!err)
		err = mirrors_init(w, w->options.mirrors_max);
	if (!err)
		err = placement_init(&w->placement, w->maps, &w->metrics->rows_high);
	if (err)
		return log_error(err,
				 "worker: cannot take its memory (%s); lower --sessions-max "
				 "or --buffers-max",
				 strerror(-err));
	return 0;
}

int worker_new(const struct worker_config *config, struct worker **ret_worker)
{
	_cleanup_(worker_freep) struct worker *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	w->options = *config->options;
	w->maps = config->maps;
	w->persist_key = config->persist_key;
	w->metrics = config->metrics;
	w->clients = config->clients;
	w->log.fd = -1;
	w->routes.watch.fd = -1;
	w->listeners[0].watch.fd = w->listeners[1].watch.fd = -1;
	w->random = clock_monotonic_ns() ^ (uint64_t)config->row << 56;
	row_take(w, config);
	err = pools_make(w);
	if (!err)
		err = access_log_open(&w->log, config->access_log);
	if (!err)
		err = snapshot_watch_init(&w->routes, w->loop, config->run_dir,
					  &w->row->snapshot_generation);
	if (!err)
		err = listeners_watch(w, config->listener_fds);
	if (err)
		return err;
	w->tick = TIMER_INIT(on_tick);
	loop_timer_after(w->loop, &w->tick, HEALTH_POLL_NS);
	*ret_worker = TAKE_PTR(w);
	return 0;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	w->draining = true; /* nothing is accepted or kept any more */
	sessions_deinit(w);
	mirrors_deinit(w);
	upstreams_deinit(w);
	for (size_t i = 0; i < WORKER_LISTENERS && w->loop; i++)
		loop_unwatch(w->loop, &w->listeners[i].watch);
	if (w->loop)
		snapshot_watch_deinit(&w->routes);
	access_log_close(&w->log);
	placement_deinit(&w->placement);
	buffers_deinit(&w->buffers);
	loop_free(w->loop);
	free(w);
}
