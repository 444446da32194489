// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/listeners.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "maps/access/maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

#define BACKLOG 4096

static const char *const addresses[WORKER_LISTENERS] = {
	[LISTENER_IPV4] = "127.0.0.1",
	[LISTENER_IPV6] = "::1",
};

/* *port: 0 for the first of a group, which sets it. */
static int listener_open(const char *address, uint16_t *port, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_storage sa;
	struct ip_addr addr;
	socklen_t length;
	int one = 1;

	address_parse(address, &addr);
	length = address_to_sockaddr(&addr, *port, &sa);
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0 ||
	    (sa.ss_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0) ||
	    bind(fd, (struct sockaddr *)&sa, length) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	length = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &length) < 0)
		return -errno;
	address_from_sockaddr(&sa, &addr, port);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* `held` members of the group are there already; the rest join them. */
static int group_open(int (*listeners)[WORKER_LISTENERS], unsigned held, unsigned count,
		      size_t family)
{
	struct ip_addr addr;
	uint16_t port = 0;

	if (held) {
		struct sockaddr_storage sa;
		socklen_t length = sizeof(sa);

		if (listeners[0][family] < 0)
			return 0;
		if (getsockname(listeners[0][family], (struct sockaddr *)&sa, &length) < 0)
			return log_error(-errno, "%s: cannot read where it listens (%s)",
					 addresses[family], strerror(errno));
		address_from_sockaddr(&sa, &addr, &port);
	}
	for (unsigned i = held; i < count; i++) {
		int err = listener_open(addresses[family], &port, &listeners[i][family]);

		if (!err)
			continue;
		if (i == 0 && family == LISTENER_IPV6 &&
		    (err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL)) {
			log_info("this host has no IPv6 loopback; IPv6 VIPs are not served");
			return 0;
		}
		return log_error(err, "%s: cannot listen there (%s)", addresses[family],
				 strerror(-err));
	}
	return 0;
}

int listeners_open(int (*listeners)[WORKER_LISTENERS], unsigned held, unsigned count)
{
	int err = 0;

	for (unsigned i = held; i < count; i++) {
		for (size_t f = 0; f < WORKER_LISTENERS; f++)
			listeners[i][f] = -1;
	}
	for (size_t f = 0; f < WORKER_LISTENERS && !err; f++)
		err = group_open(listeners, held, count, f);
	return err;
}

void listeners_close(int (*listeners)[WORKER_LISTENERS], unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		for (size_t f = 0; f < WORKER_LISTENERS; f++)
			closep(&listeners[i][f]);
	}
}

int listeners_publish(const struct maps *maps, int (*listeners)[WORKER_LISTENERS])
{
	for (uint32_t f = 0; f < WORKER_LISTENERS; f++) {
		int err;

		if (listeners[0][f] < 0)
			continue;
		err = listeners_put(maps, f, listeners[0][f]);
		if (err)
			return log_error(err,
					 "listeners: the socket cannot be put into the map (%s)",
					 strerror(-err));
	}
	return 0;
}

void listeners_withdraw(const struct maps *maps)
{
	for (uint32_t f = 0; f < WORKER_LISTENERS; f++)
		listeners_remove(maps, f); /* an empty one is as good */
}
