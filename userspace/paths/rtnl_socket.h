/* SPDX-License-Identifier: BSD-2-Clause */
/* One rtnetlink socket for questions and events, in the network namespace of the
 * caller.  Answers and events come in the order in which they were made, which two
 * sockets would not keep. */
#ifndef SLUICE_PATHS_RTNL_SOCKET_H
#define SLUICE_PATHS_RTNL_SOCKET_H

#include <stddef.h>
#include <stdint.h>

struct mnl_socket;

struct rtnl_socket {
	struct mnl_socket *mnl; /* NULL: closed */
	int fd; /* non-blocking; borrowed from mnl */
	uint32_t portid; /* answers to us carry it */
};

/* Listens to links, neighbours, routes, rules, next hop objects and addresses.  -errno
 * after a message. */
int rtnl_socket_open(struct rtnl_socket *ret_socket);
void rtnl_socket_close(struct rtnl_socket *socket);

/* -ENOBUFS, -EAGAIN ...: nothing was sent. */
int rtnl_socket_send(const struct rtnl_socket *socket, const void *bytes, size_t size);
/* One datagram of the kernel's.  -EAGAIN: none; -ENOBUFS: some were lost. */
int rtnl_socket_receive(const struct rtnl_socket *socket, void *buffer, size_t room,
			size_t *ret_size);

#endif
