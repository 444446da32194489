// SPDX-License-Identifier: BSD-2-Clause
/* The floor of the L7 bench: two sockets, one epoll, bytes from one to the other as
 * they come, one connection to the upstream a client's.  It reads nothing, chooses
 * nothing and survives nothing: what a proxy costs beyond it is what it does. */
#include "tests/bench/l7.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 65536

struct side {
	int fd;
	struct side *other;
	size_t waiting; /* bytes read from here that `other` did not take yet */
	size_t sent; /* of those */
	char *held;
	bool is_dead;
	struct side *next_dead;
};

static int poll_fd;
static struct side *dead;

static void watch(struct side *side, int what, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = side};

	epoll_ctl(poll_fd, what, side->fd, &event);
}

/* Freed after the events of this turn, which may name both. */
static void pair_end(struct side *side)
{
	if (side->is_dead)
		return;
	side->is_dead = side->other->is_dead = true;
	close(side->fd);
	close(side->other->fd);
	side->next_dead = dead;
	dead = side;
}

static void dead_free(void)
{
	while (dead) {
		struct side *side = dead;

		dead = side->next_dead;
		free(side->held);
		free(side->other->held);
		free(side->other);
		free(side);
	}
}

/* What did not go out waits; nothing more is read from there meanwhile. */
static void hold(struct side *from, const char *data, size_t bytes)
{
	if (!from->held)
		from->held = malloc(READ_BYTES);
	if (!from->held)
		_exit(1);
	memcpy(from->held, data, bytes);
	from->waiting = bytes;
	from->sent = 0;
	watch(from, EPOLL_CTL_MOD, from->other->waiting ? EPOLLOUT : 0);
	watch(from->other, EPOLL_CTL_MOD, EPOLLOUT | (from->other->waiting ? 0 : EPOLLIN));
}

static void read_from(struct side *from)
{
	char data[READ_BYTES];
	ssize_t got = recv(from->fd, data, sizeof(data), MSG_DONTWAIT), put;

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		pair_end(from);
		return;
	}
	put = send(from->other->fd, data, (size_t)got, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (put < 0 && errno != EAGAIN)
		pair_end(from);
	else if (put < got)
		hold(from, data + (put > 0 ? put : 0), (size_t)(got - (put > 0 ? put : 0)));
}

static void write_to(struct side *to)
{
	struct side *from = to->other;
	ssize_t put = send(to->fd, from->held + from->sent, from->waiting - from->sent,
			   MSG_DONTWAIT | MSG_NOSIGNAL);

	if (put < 0 && errno != EAGAIN) {
		pair_end(to);
		return;
	}
	from->sent += put > 0 ? (size_t)put : 0;
	if (from->sent < from->waiting)
		return;
	from->waiting = 0;
	watch(from, EPOLL_CTL_MOD, EPOLLIN | (to->waiting ? EPOLLOUT : 0));
	watch(to, EPOLL_CTL_MOD, to->waiting ? 0 : EPOLLIN);
}

static void client_accept(int listener)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(L7_UPSTREAM_PORT)};
	struct side *client = calloc(1, sizeof(*client)), *server = calloc(1, sizeof(*server));
	int on = 1;

	if (!client || !server)
		_exit(1);
	client->other = server;
	server->other = client;
	client->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, L7_UPSTREAM_ADDR, &sa.sin_addr);
	if (client->fd < 0 || connect(server->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		perror("bench_l7: relay");
		_exit(1);
	}
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(server->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	watch(client, EPOLL_CTL_ADD, EPOLLIN);
	watch(server, EPOLL_CTL_ADD, EPOLLIN);
}

void l7_relay_run(uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	struct epoll_event events[256], event = {.events = EPOLLIN};

	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(listener, 16384) < 0) {
		perror("bench_l7: relay");
		_exit(1);
	}
	epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int count = epoll_wait(poll_fd, events, 256, -1);

		for (int i = 0; i < count; i++) {
			struct side *side = events[i].data.ptr;

			if (!side) {
				client_accept(listener);
				continue;
			}
			if (!side->is_dead && side->other->waiting && events[i].events & EPOLLOUT)
				write_to(side);
			if (!side->is_dead && !side->waiting && events[i].events & ~EPOLLOUT)
				read_from(side);
			else if (!side->is_dead && events[i].events & (EPOLLERR | EPOLLHUP))
				pair_end(side);
		}
		dead_free();
	}
}
