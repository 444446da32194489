/* SPDX-License-Identifier: BSD-2-Clause */
/* A fixed array searched from end to end: tens or hundreds of connections, a
 * few looks a second.  Servers close idle connections after a few seconds (vLLM
 * after five), so the one used last is the best to take.
 */
#include "userspace/http/idle.h"

#include <errno.h>
#include <stdlib.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/loop.h"

struct idle {
	struct watch watch; /* watch.fd is the connection; -1: free */
	struct idle_pool *pool;
	struct ip_addr addr;
	uint16_t port;
	uint64_t order; /* grows with every put */
};

struct idle_pool {
	struct loop *loop;
	uint64_t order;
	size_t count;
	struct idle idles[];
};

static int idle_release(struct idle *idle)
{
	int fd = idle->watch.fd;

	loop_unwatch(idle->pool->loop, &idle->watch);
	return fd;
}

static void idle_close(struct idle *idle)
{
	_cleanup_close_ int fd = idle_release(idle);
}

/* Whatever happens on an idle connection, it is of no use any more. */
static void idle_on_event(struct watch *watch, uint32_t events)
{
	(void)events;
	idle_close(container_of(watch, struct idle, watch));
}

int idle_pool_new(struct loop *loop, size_t connections_max, struct idle_pool **ret_pool)
{
	struct idle_pool *pool = calloc(1, sizeof(*pool) + connections_max * sizeof(struct idle));
	size_t i;

	if (!pool)
		return -ENOMEM;
	pool->loop = loop;
	pool->count = connections_max;
	for (i = 0; i < connections_max; i++)
		pool->idles[i] = (struct idle){.watch = WATCH_INIT(idle_on_event), .pool = pool};
	*ret_pool = pool;
	return 0;
}

void idle_pool_free(struct idle_pool *pool)
{
	size_t i;

	for (i = 0; pool && i < pool->count; i++)
		if (pool->idles[i].watch.fd >= 0)
			idle_close(&pool->idles[i]);
	free(pool);
}

/* A free place, else the oldest one. */
static struct idle *place_find(struct idle_pool *pool)
{
	struct idle *best = &pool->idles[0];
	size_t i;

	for (i = 0; i < pool->count; i++) {
		if (pool->idles[i].watch.fd < 0)
			return &pool->idles[i];
		if (pool->idles[i].order < best->order)
			best = &pool->idles[i];
	}
	return best;
}

void idle_pool_put(struct idle_pool *pool, const struct ip_addr *addr, uint16_t port, int fd)
{
	_cleanup_close_ int owned = fd;
	struct idle *idle;

	if (!pool->count)
		return;
	idle = place_find(pool);
	if (idle->watch.fd >= 0)
		idle_close(idle);
	if (loop_watch(pool->loop, &idle->watch, owned, EPOLLIN | EPOLLRDHUP) < 0)
		return;
	TAKE_FD(owned);
	idle->addr = *addr;
	idle->port = port;
	idle->order = ++pool->order;
}

int idle_pool_take(struct idle_pool *pool, const struct ip_addr *addr, uint16_t port)
{
	struct idle *best = NULL;
	size_t i;

	for (i = 0; i < pool->count; i++) {
		struct idle *idle = &pool->idles[i];

		if (idle->watch.fd >= 0 && idle->port == port && address_equal(&idle->addr, addr) &&
		    (!best || idle->order > best->order))
			best = idle;
	}
	return best ? idle_release(best) : -1;
}
