// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/upstream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/proxy/exchange.h"
#include "userspace/proxy/mirror.h"
#include "userspace/proxy/worker.h"

int upstreams_init(struct worker *worker, size_t slots)
{
	worker->upstreams = calloc(slots, sizeof(*worker->upstreams));
	worker->idle_heads = calloc(ENDPOINTS_MAX, sizeof(*worker->idle_heads));
	if (!worker->upstreams || !worker->idle_heads)
		return -ENOMEM;
	worker->upstream_slots = slots;
	return 0;
}

void upstreams_deinit(struct worker *worker)
{
	for (size_t i = 0; i < worker->upstreams_begun; i++) {
		if (worker->upstreams[i].fd >= 0)
			upstream_close(&worker->upstreams[i]);
	}
	free(worker->upstreams);
	free(worker->idle_heads);
}

/* ---- the pool of idle ones ---- */

static uint32_t index_of(const struct upstream *u)
{
	return (uint32_t)(u - u->worker->upstreams) + 1;
}

static void host_link(struct upstream *u)
{
	struct worker *w = u->worker;
	uint32_t head = w->idle_heads[u->endpoint];

	u->host_previous = 0;
	u->host_next = head;
	if (head)
		w->upstreams[head - 1].host_previous = index_of(u);
	w->idle_heads[u->endpoint] = index_of(u);
}

static void host_unlink(struct upstream *u)
{
	struct worker *w = u->worker;

	if (u->host_previous)
		w->upstreams[u->host_previous - 1].host_next = u->host_next;
	else
		w->idle_heads[u->endpoint] = u->host_next;
	if (u->host_next)
		w->upstreams[u->host_next - 1].host_previous = u->host_previous;
	u->host_next = u->host_previous = 0;
}

static void age_link(struct upstream *u)
{
	struct worker *w = u->worker;

	u->older = w->idle_latest;
	u->later = NULL;
	if (w->idle_latest)
		w->idle_latest->later = u;
	else
		w->idle_oldest = u;
	w->idle_latest = u;
}

static void age_unlink(struct upstream *u)
{
	struct worker *w = u->worker;

	if (u->older)
		u->older->later = u->later;
	else
		w->idle_oldest = u->later;
	if (u->later)
		u->later->older = u->older;
	else
		w->idle_latest = u->older;
	u->older = u->later = NULL;
}

static void idle_remove(struct upstream *u)
{
	host_unlink(u);
	age_unlink(u);
	u->idle_since_ns = 0;
}

static bool is_idle(const struct upstream *u)
{
	return u->idle_since_ns != 0;
}

static unsigned host_count(const struct worker *w, uint32_t endpoint)
{
	unsigned count = 0;

	for (uint32_t i = w->idle_heads[endpoint]; i; i = w->upstreams[i - 1].host_next)
		count++;
	return count;
}

static void on_event(struct watch *watch, uint32_t events)
{
	struct upstream *u = container_of(watch, struct upstream, watch);

	if (u->exchange)
		exchange_on_upstream(u->exchange, events);
	else if (u->mirror)
		mirror_on_upstream(u->mirror, events);
	else
		upstream_close(u); /* nothing was asked: the server is leaving */
}

/* ---- connections ---- */

static void slot_clear(struct upstream *u, struct worker *worker)
{
	*u = (struct upstream){.fd = -1, .worker = worker, .watch = WATCH_INIT(NULL)};
}

static struct upstream *slot_take(struct worker *worker)
{
	struct upstream *u = worker->upstream_free;

	if (!u && worker->upstreams_begun == worker->upstream_slots && worker->idle_oldest) {
		upstream_close(worker->idle_oldest);
		u = worker->upstream_free;
	}
	if (u) {
		worker->upstream_free = u->later;
	} else if (worker->upstreams_begun < worker->upstream_slots) {
		u = &worker->upstreams[worker->upstreams_begun++];
		slot_clear(u, worker);
	}
	return u;
}

static void slot_give(struct upstream *u)
{
	struct worker *w = u->worker;

	slot_clear(u, w);
	u->later = w->upstream_free;
	w->upstream_free = u;
}

static void option_set(int fd, int level, int name, int value)
{
	setsockopt(fd, level, name, &value, sizeof(value));
}

static void timeouts_set(int fd, bool patient)
{
	option_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
		   patient ? DARK_ANSWERING_MS : DARK_WAITING_MS);
	option_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, patient ? 5 : 1);
}

static int socket_new(const struct endpoint *endpoint, int *ret_fd)
{
	struct sockaddr_storage sa;
	socklen_t length = address_to_sockaddr(&endpoint->addr, ntohs(endpoint->port), &sa);
	_cleanup_close_ int fd =
		socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -ENOBUFS;
	option_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	option_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	option_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
	option_set(fd, IPPROTO_TCP, TCP_KEEPCNT, 2);
	timeouts_set(fd, false);
	if (connect(fd, (struct sockaddr *)&sa, length) < 0 && errno != EINPROGRESS)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int upstream_connect(struct worker *worker, uint32_t endpoint, uint32_t generation,
		     struct upstream **ret_upstream)
{
	struct upstream *u = slot_take(worker);
	int err;

	if (!u)
		return -ENOBUFS;
	err = socket_new(&worker->maps->endpoints[endpoint], &u->fd);
	if (!err) {
		u->watch = WATCH_INIT(on_event);
		err = loop_watch(worker->loop, &u->watch, u->fd, EPOLLOUT);
	}
	if (err) {
		closep(&u->fd);
		slot_give(u);
		return err;
	}
	u->endpoint = endpoint;
	u->generation = generation;
	worker->row->upstream_connects++;
	*ret_upstream = u;
	return 0;
}

/* Nothing was asked on it, so anything to read is the end, or an answer to nobody
 * that the next request must not get.  Its event may still be waiting in this turn. */
static bool is_clean(const struct upstream *u)
{
	char byte;

	return recv(u->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

struct upstream *upstream_take_idle(struct worker *worker, uint32_t endpoint, uint32_t generation)
{
	for (;;) {
		uint32_t index = worker->idle_heads[endpoint];
		struct upstream *u;

		if (!index)
			return NULL;
		u = &worker->upstreams[index - 1];
		if (u->generation != generation || !is_clean(u)) {
			upstream_close(u); /* another pod had this id, or it says something */
			continue;
		}
		idle_remove(u);
		u->reused = true;
		upstream_set_patience(u, false);
		worker->row->upstream_reuses++;
		return u;
	}
}

void upstream_keep(struct upstream *u)
{
	struct worker *w = u->worker;

	u->exchange = NULL;
	if (w->draining || host_count(w, u->endpoint) >= IDLE_UPSTREAMS_A_HOST ||
	    loop_watch_change(w->loop, &u->watch, EPOLLIN)) {
		upstream_close(u);
		return;
	}
	u->idle_since_ns = loop_now_ns(w->loop);
	host_link(u);
	age_link(u);
}

void upstream_close(struct upstream *u)
{
	if (is_idle(u))
		idle_remove(u);
	loop_unwatch(u->worker->loop, &u->watch);
	close(u->fd);
	slot_give(u);
}

void upstream_set_patience(struct upstream *u, bool patient)
{
	if (u->patient == patient)
		return;
	u->patient = patient;
	timeouts_set(u->fd, patient);
}

void upstream_forgive_stalls(struct upstream *u)
{
	upstream_set_patience(u, true);
	option_set(u->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 0);
}

void upstreams_sweep(struct worker *worker, uint64_t now_ns)
{
	while (worker->idle_oldest &&
	       (worker->draining ||
		worker->idle_oldest->idle_since_ns + UPSTREAM_IDLE_NS <= now_ns))
		upstream_close(worker->idle_oldest);
}

int upstream_error(const struct upstream *u)
{
	int err = 0;
	socklen_t length = sizeof(err);

	if (getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &err, &length) < 0)
		return -errno;
	return -err;
}
