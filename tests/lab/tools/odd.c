// SPDX-License-Identifier: BSD-2-Clause
/* Sockets whose packets are odd: datagrams that the sender fragments, IP options,
 * ICMP errors.  A server that gives back what it got, and a client that compares.
 *
 *   odd serve PORT ADDR...   TCP and UDP on each address: sends back what came.  Says on stdout
 *                            "options N" of a datagram with so many bytes of IPv4 options or IPv6
 *                            destination options, and "error TEXT" of an ICMP error.  A datagram
 *                            that begins with 'L' is answered LATE_MS later.
 *   odd ask tcp|udp ADDR PORT BYTES [options|df]   sends BYTES and wants them back: "whole BYTES",
 *                            by TCP also "mss N".  options: with IP options; df: never fragmented,
 *                            then "mtu N" and as many bytes as fit.
 *   odd ping ADDR COUNT      echo requests: "echo" for each reply (ping_group_range must have us)
 *   odd leave ADDR PORT      UDP: sends 'L' and closes
 *
 * ask ends with 1, and strerror on stderr, where the bytes do not come back.  By UDP it sends
 * them up to five times: the first may be what finds the path's MTU. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <linux/errqueue.h>
#include <unistd.h>

#include "userspace/base/address.h"

#define ANSWER_MS 1000
#define STREAM_MS 10000
#define DATAGRAM_TRIES 5
#define LATE_MS 300
#define BYTES_MAX (1 << 20)

/* Record route with room for three; the kernel of whoever receives it fills it in. */
static const unsigned char options4[16] = {[0] = 7, [1] = 15, [2] = 4};
/* A destination options header: PadN of four zeros. */
static const unsigned char options6[8] = {[2] = 1, [3] = 4};

static unsigned char sent[BYTES_MAX], got[BYTES_MAX];
static struct sockaddr_storage target;
static socklen_t target_length;

static void target_parse(const char *addr_text, const char *port_text)
{
	struct ip_addr addr;

	if (address_parse(addr_text, &addr) < 0)
		exit(2);
	target_length = address_to_sockaddr(&addr, (uint16_t)atoi(port_text), &target);
}

static void must(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
}

static void set(int fd, int level, int option, int value)
{
	must(setsockopt(fd, level, option, &value, sizeof(value)), "setsockopt");
}

static bool is_ipv6(void)
{
	return target.ss_family == AF_INET6;
}

/* ---- server ---- */

static void *connection_serve(void *arg)
{
	int fd = (int)(long)arg;
	char buffer[65536];
	ssize_t length;

	while ((length = recv(fd, buffer, sizeof(buffer), 0)) > 0) {
		for (ssize_t done = 0, part; done < length; done += part) {
			part = send(fd, buffer + done, (size_t)(length - done), MSG_NOSIGNAL);
			if (part <= 0)
				break;
		}
	}
	close(fd);
	return NULL;
}

static void *connections_serve(void *arg)
{
	int listener = (int)(long)arg;

	for (;;) {
		pthread_t thread;
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0 && !pthread_create(&thread, NULL, connection_serve, (void *)(long)fd))
			pthread_detach(thread);
	}
	return NULL;
}

static void options_say(struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVOPTS) ||
		    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_DSTOPTS))
			printf("options %zu\n", (size_t)(c->cmsg_len - CMSG_LEN(0)));
	}
}

static void errors_say(int fd)
{
	char bytes[64], control[512];
	struct iovec part = {bytes, sizeof(bytes)};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};

	if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		struct sock_extended_err error;

		if ((c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_RECVERR) &&
		    (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_RECVERR))
			continue;
		memcpy(&error, CMSG_DATA(c), sizeof(error));
		printf("error %s\n", strerror((int)error.ee_errno));
	}
}

static void *datagrams_serve(void *arg)
{
	int fd = (int)(long)arg;
	static const struct timespec late = {.tv_nsec = LATE_MS * 1000000l};
	_Thread_local static char bytes[65536];

	for (;;) {
		struct pollfd poller = {.fd = fd, .events = POLLIN};
		struct sockaddr_storage from;
		char control[512];
		struct iovec part = {bytes, sizeof(bytes)};
		struct msghdr message = {
			.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t length;

		poll(&poller, 1, -1);
		if (poller.revents & POLLERR)
			errors_say(fd);
		length = recvmsg(fd, &message, MSG_DONTWAIT);
		if (length <= 0)
			continue;
		options_say(&message);
		if (bytes[0] == 'L')
			nanosleep(&late, NULL);
		sendto(fd, bytes, (size_t)length, 0, (struct sockaddr *)&from, message.msg_namelen);
	}
	return NULL;
}

static int bound(int type)
{
	int fd = socket(target.ss_family, type, 0);

	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	must(bind(fd, (struct sockaddr *)&target, target_length), "bind");
	return fd;
}

static int serve(const char *port, char **addrs)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (; *addrs; addrs++) {
		pthread_t thread;
		int listener, fd;

		target_parse(*addrs, port);
		listener = bound(SOCK_STREAM);
		fd = bound(SOCK_DGRAM);
		must(listen(listener, 64), "listen");
		set(fd, is_ipv6() ? IPPROTO_IPV6 : IPPROTO_IP,
		    is_ipv6() ? IPV6_RECVERR : IP_RECVERR, 1);
		set(fd, is_ipv6() ? IPPROTO_IPV6 : IPPROTO_IP,
		    is_ipv6() ? IPV6_RECVDSTOPTS : IP_RECVOPTS, 1);
		if (pthread_create(&thread, NULL, connections_serve, (void *)(long)listener) ||
		    pthread_create(&thread, NULL, datagrams_serve, (void *)(long)fd))
			return 1;
	}
	for (;;)
		pause();
}

/* ---- clients ---- */

static void options_set(int fd)
{
	if (is_ipv6())
		must(setsockopt(fd, IPPROTO_IPV6, IPV6_DSTOPTS, options6, sizeof(options6)),
		     "IPV6_DSTOPTS");
	else
		must(setsockopt(fd, IPPROTO_IP, IP_OPTIONS, options4, sizeof(options4)),
		     "IP_OPTIONS");
}

static int flow_open(int type, const char *how)
{
	int fd = socket(target.ss_family, type, 0);

	if (!strcmp(how, "options"))
		options_set(fd);
	if (!strcmp(how, "df"))
		set(fd, is_ipv6() ? IPPROTO_IPV6 : IPPROTO_IP,
		    is_ipv6() ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, IP_PMTUDISC_DO);
	must(connect(fd, (struct sockaddr *)&target, target_length), "connect");
	return fd;
}

/* What the kernel found the path to carry. */
static int path_mtu(int fd)
{
	int mtu = 0;
	socklen_t length = sizeof(mtu);

	must(getsockopt(fd, is_ipv6() ? IPPROTO_IPV6 : IPPROTO_IP, is_ipv6() ? IPV6_MTU : IP_MTU,
			&mtu, &length),
	     "IP_MTU");
	return mtu;
}

/* 1: came back; 0: did not; -1: EMSGSIZE. */
static int datagram_try(int fd, size_t bytes)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};
	ssize_t length = send(fd, sent, bytes, 0);

	if (length >= 0 && poll(&poller, 1, ANSWER_MS) != 1)
		errno = ETIMEDOUT;
	else if (length >= 0)
		length = recv(fd, got, sizeof(got), 0);
	else if (errno != EMSGSIZE)
		must(-1, "send");
	if (length < 0 && errno == ECONNREFUSED)
		must(-1, "recv");
	if (length < 0)
		return errno == EMSGSIZE ? -1 : 0;
	return (size_t)length == bytes && !memcmp(sent, got, bytes);
}

static int datagram_ask(int fd, size_t bytes, const char *how)
{
	for (int tries = 0; tries < DATAGRAM_TRIES; tries++) {
		int result = datagram_try(fd, bytes);

		if (result > 0) {
			printf("whole %zu\n", bytes);
			return 0;
		}
		if (result < 0 && !strcmp(how, "df")) {
			printf("mtu %d\n", path_mtu(fd));
			bytes = (size_t)path_mtu(fd) - (is_ipv6() ? 48 : 28);
		}
	}
	fprintf(stderr, "no whole answer: %s\n", strerror(errno));
	return 1;
}

static int stream_ask(int fd, size_t bytes)
{
	size_t out = 0, in = 0;
	int mss = 0;
	socklen_t length = sizeof(mss);

	while (in < bytes) {
		struct pollfd poller = {.fd = fd, .events = POLLIN | (out < bytes ? POLLOUT : 0)};
		ssize_t part;

		if (poll(&poller, 1, STREAM_MS) != 1) {
			fprintf(stderr, "%zu of %zu bytes came back\n", in, bytes);
			return 1;
		}
		if (poller.revents & POLLOUT) {
			part = send(fd, sent + out, bytes - out, MSG_DONTWAIT | MSG_NOSIGNAL);
			must(part < 0 && errno != EAGAIN ? -1 : 0, "send");
			out += part > 0 ? (size_t)part : 0;
		}
		if (poller.revents & (POLLIN | POLLERR | POLLHUP)) {
			part = recv(fd, got + in, sizeof(got) - in, 0);
			must(part > 0 ? 0 : -1, "recv");
			in += (size_t)part;
		}
	}
	if (memcmp(sent, got, bytes))
		return 1;
	must(getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, &length), "TCP_MAXSEG");
	printf("whole %zu\nmss %d\n", bytes, mss);
	return 0;
}

static int ask(bool by_udp, size_t bytes, const char *how)
{
	int fd = flow_open(by_udp ? SOCK_DGRAM : SOCK_STREAM, how);

	if (bytes > BYTES_MAX)
		return 2;
	for (size_t i = 0; i < bytes; i++)
		sent[i] = (unsigned char)('a' + i % 23);
	return by_udp ? datagram_ask(fd, bytes, how) : stream_ask(fd, bytes);
}

/* The kernel knows identifier and checksum. */
static int ping(int count)
{
	int fd = socket(target.ss_family, SOCK_DGRAM, is_ipv6() ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	unsigned char request[64] = {is_ipv6() ? 128 : 8}, reply[64];

	must(fd, "socket");
	must(connect(fd, (struct sockaddr *)&target, target_length), "connect");
	for (int i = 0; i < count; i++) {
		struct pollfd poller = {.fd = fd, .events = POLLIN};

		request[7] = (unsigned char)i;
		must((int)send(fd, request, sizeof(request), 0), "send");
		if (poll(&poller, 1, ANSWER_MS) != 1 ||
		    recv(fd, reply, sizeof(reply), 0) != sizeof(reply) || reply[7] != i ||
		    memcmp(request + 8, reply + 8, sizeof(reply) - 8)) {
			fprintf(stderr, "no reply to echo request %d\n", i);
			return 1;
		}
		puts("echo");
	}
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc >= 4 && !strcmp(argv[1], "serve"))
		return serve(argv[2], argv + 3);
	if (argc == 4 && !strcmp(argv[1], "ping")) {
		target_parse(argv[2], "0");
		return ping(atoi(argv[3]));
	}
	if (argc == 4 && !strcmp(argv[1], "leave")) {
		target_parse(argv[2], argv[3]);
		return send(flow_open(SOCK_DGRAM, ""), "L", 1, 0) == 1 ? 0 : 1;
	}
	if ((argc == 6 || argc == 7) && !strcmp(argv[1], "ask")) {
		target_parse(argv[3], argv[4]);
		return ask(!strcmp(argv[2], "udp"), (size_t)atol(argv[5]),
			   argc == 7 ? argv[6] : "");
	}
	fprintf(stderr, "usage: see the title of odd.c\n");
	return 2;
}
