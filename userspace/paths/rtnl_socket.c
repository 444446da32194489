// SPDX-License-Identifier: BSD-2-Clause
/* Opened, joined to its groups and read; what the bytes mean is rtnl_parse.c's. */
#include "userspace/paths/rtnl_socket.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

#define RECEIVE_BYTES (4 << 20) /* a burst of events; more: we read everything again */

static const struct {
	int group;
	const char *name;
} groups[] = {
	{RTNLGRP_LINK, "links"},
	{RTNLGRP_NEIGH, "neighbours"},
	{RTNLGRP_IPV4_ROUTE, "IPv4 routes"},
	{RTNLGRP_IPV6_ROUTE, "IPv6 routes"},
	{RTNLGRP_IPV4_IFADDR, "IPv4 addresses"},
	{RTNLGRP_IPV6_IFADDR, "IPv6 addresses"},
	{RTNLGRP_IPV4_RULE, "IPv4 rules"},
	{RTNLGRP_IPV6_RULE, "IPv6 rules"},
	{RTNLGRP_NEXTHOP, "next hop objects"},
};

static int groups_join(const struct rtnl_socket *socket)
{
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		int group = groups[i].group;

		if (mnl_socket_setsockopt(socket->mnl, NETLINK_ADD_MEMBERSHIP, &group,
					  sizeof(group)) < 0)
			return log_error(-errno, "rtnetlink: cannot listen to changes of %s (%s)",
					 groups[i].name, strerror(errno));
	}
	return 0;
}

static void room_make(int fd)
{
	const int bytes = RECEIVE_BYTES;

	/* the second is cut to net.core.rmem_max */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

int rtnl_socket_open(struct rtnl_socket *ret_socket)
{
	struct rtnl_socket socket = {0};
	int err;

	socket.mnl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!socket.mnl || mnl_socket_bind(socket.mnl, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = log_error(-errno, "rtnetlink: cannot open a socket (%s)", strerror(errno));
		rtnl_socket_close(&socket);
		return err;
	}
	socket.fd = mnl_socket_get_fd(socket.mnl);
	socket.portid = mnl_socket_get_portid(socket.mnl);
	room_make(socket.fd);
	err = groups_join(&socket);
	if (err) {
		rtnl_socket_close(&socket);
		return err;
	}
	*ret_socket = socket;
	return 0;
}

void rtnl_socket_close(struct rtnl_socket *socket)
{
	if (socket->mnl)
		mnl_socket_close(socket->mnl);
	*socket = (struct rtnl_socket){.fd = -1};
}

int rtnl_socket_send(const struct rtnl_socket *socket, const void *bytes, size_t size)
{
	return mnl_socket_sendto(socket->mnl, bytes, size) < 0 ? -errno : 0;
}

int rtnl_socket_receive(const struct rtnl_socket *socket, void *buffer, size_t room,
			size_t *ret_size)
{
	for (;;) {
		struct sockaddr_nl from = {0};
		socklen_t from_size = sizeof(from);
		ssize_t size = recvfrom(socket->fd, buffer, room, MSG_TRUNC,
					(struct sockaddr *)&from, &from_size);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return -errno;
		if ((size_t)size > room)
			return -ENOBUFS; /* its end was lost */
		/* any process may send to our port; only the kernel is believed */
		if (from_size != sizeof(from) || from.nl_pid != 0)
			continue;
		*ret_size = (size_t)size;
		return 0;
	}
}
