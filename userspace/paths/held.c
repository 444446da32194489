// SPDX-License-Identifier: BSD-2-Clause
/* All neighbours are read, then ours are removed: two turns with the kernel on a
 * socket of their own, for a caller that has nothing else to do.  The controller's
 * way with neighbours, event by event, is keeper.c. */
#include "userspace/paths/held.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>

#include "maps/access/maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/paths/rtnl_parse.h"
#include "userspace/paths/rtnl_request.h"
#include "userspace/paths/rtnl_socket.h"

#define ANSWER_MS 2000
#define LIST_SEQUENCE 1

struct held {
	const struct maps *maps;
	struct rtnl_socket socket;
	struct rtnl_batch batch; /* removals that were not sent yet */
	uint32_t removed;
	bool listed; /* the whole list has been read */
	int err;
};

/* A next hop by a VLAN device names the device below it. */
static bool is_nexthop(const struct maps *maps, const struct neighbour *neighbour)
{
	for (uint32_t id = 0; id < NEXTHOPS_MAX; id++) {
		const struct nexthop *nexthop = &maps->nexthops[id];

		if (nexthop->state != NEXTHOP_FREE &&
		    (nexthop->ifindex == neighbour->ifindex || nexthop->vlan) &&
		    address_equal(&nexthop->addr, &neighbour->addr))
			return true;
	}
	return false;
}

static void removals_send(struct held *held)
{
	if (held->batch.count && !held->err)
		held->err = rtnl_socket_send(&held->socket, held->batch.bytes, held->batch.size);
	held->batch.size = held->batch.count = 0;
}

static int message_take(void *ctx, const struct nlmsghdr *message)
{
	struct held *held = ctx;
	struct neighbour neighbour;

	if (message->nlmsg_seq != LIST_SEQUENCE || message->nlmsg_pid != held->socket.portid)
		return 0; /* an event */
	if (message->nlmsg_type == NLMSG_ERROR)
		return rtnl_parse_error(message, &held->err) ?: held->err;
	held->listed = message->nlmsg_type == NLMSG_DONE;
	if (message->nlmsg_type != RTM_NEWNEIGH || rtnl_parse_neighbour(message, &neighbour) < 0)
		return 0;
	if (!neighbour.ours || neighbour.state & NUD_PERMANENT ||
	    !is_nexthop(held->maps, &neighbour))
		return 0;
	if (held->batch.count == RTNL_BATCH_MAX)
		removals_send(held);
	rtnl_remove_neighbour(&held->batch, LIST_SEQUENCE + 1, neighbour.ifindex, &neighbour.addr);
	held->removed++;
	return held->err;
}

static int list_read(struct held *held)
{
	static _Alignas(8) uint8_t datagram[1 << 16];
	struct pollfd poller = {.fd = held->socket.fd, .events = POLLIN};
	size_t size;
	int err = 0;

	while (!err && !held->listed) {
		if (poll(&poller, 1, ANSWER_MS) != 1)
			return -ETIMEDOUT;
		err = rtnl_socket_receive(&held->socket, datagram, sizeof(datagram), &size);
		if (!err)
			err = rtnl_each(datagram, size, message_take, held);
	}
	return err;
}

int held_neighbours_remove(const struct maps *maps, uint32_t *ret_count)
{
	struct held held = {.maps = maps};
	struct rtnl_batch list = {0};
	int err = rtnl_socket_open(&held.socket);

	if (err)
		return err;
	rtnl_ask_neighbours(&list, LIST_SEQUENCE);
	err = rtnl_socket_send(&held.socket, list.bytes, list.size);
	if (!err)
		err = list_read(&held);
	removals_send(&held);
	rtnl_socket_close(&held.socket);
	if (err || held.err)
		return log_error(
			err ?: held.err,
			"rtnetlink: neighbours that the kernel keeps resolved for us stay (%s); "
			"see 'ip neigh show proto 83'",
			strerror(-(err ?: held.err)));
	*ret_count = held.removed;
	return 0;
}
