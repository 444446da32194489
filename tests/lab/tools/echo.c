// SPDX-License-Identifier: BSD-2-Clause
/* Echo over TCP and UDP, and clients that check every byte: what lab tests of
 * the packet path send.
 *
 *   echo serve ADDR PORT            answers with what it gets, until killed
 *   echo tcp ADDR PORT BYTES        so many bytes there and back, then half-closes
 *   echo udp ADDR PORT COUNT GAP_MS datagrams one after the other
 *   echo mss ADDR PORT              prints the MSS that a TCP connection came to
 *
 * A client ends with 0 if all came back right, and prints what did not. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "userspace/base/address.h"

#define CHUNK_BYTES 65536
#define ANSWER_TIMEOUT_MS 5000
#define DATAGRAM_TIMEOUT_MS 1000
#define DATAGRAM_BYTES 200

static int fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

static socklen_t target(char **words, struct sockaddr_storage *ret_sa)
{
	struct ip_addr addr;

	if (address_parse(words[0], &addr) < 0)
		exit(2);
	return address_to_sockaddr(&addr, (uint16_t)atoi(words[1]), ret_sa);
}

static int listener(char **words, int type)
{
	struct sockaddr_storage sa;
	socklen_t length = target(words, &sa);
	int one = 1, fd = socket(sa.ss_family, type, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, length) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 64) < 0))
		exit(fail("serve"));
	return fd;
}

static void connection_echo(int fd)
{
	static char buffer[CHUNK_BYTES];
	ssize_t got;

	while ((got = read(fd, buffer, sizeof(buffer))) > 0) {
		if (send(fd, buffer, (size_t)got, MSG_NOSIGNAL) != got)
			break;
	}
}

static void datagram_echo(int fd)
{
	char buffer[DATAGRAM_BYTES];
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	ssize_t got = recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &length);

	if (got > 0)
		sendto(fd, buffer, (size_t)got, 0, (struct sockaddr *)&from, length);
}

static int serve(char **words)
{
	struct pollfd fds[] = {{.fd = listener(words, SOCK_STREAM), .events = POLLIN},
			       {.fd = listener(words, SOCK_DGRAM), .events = POLLIN}};

	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		if (poll(fds, 2, -1) < 0)
			return fail("poll");
		if (fds[1].revents)
			datagram_echo(fds[1].fd);
		if (fds[0].revents) {
			int fd = accept(fds[0].fd, NULL, NULL);

			if (fork() == 0) {
				connection_echo(fd);
				_exit(0);
			}
			close(fd);
		}
	}
}

/* Byte at `position` of the stream: no two neighbouring segments are alike. */
static char byte_at(size_t position)
{
	return (char)(position * 31 + (position >> 8) * 7);
}

static ssize_t stream_send(int fd, size_t position, size_t total)
{
	char buffer[CHUNK_BYTES];
	size_t size = total - position < sizeof(buffer) ? total - position : sizeof(buffer);

	for (size_t i = 0; i < size; i++)
		buffer[i] = byte_at(position + i);
	return send(fd, buffer, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* How many right bytes came; 0: the end; -1: an error or a wrong byte. */
static ssize_t stream_receive(int fd, size_t position)
{
	char buffer[CHUNK_BYTES];
	ssize_t got = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	for (ssize_t i = 0; i < got; i++) {
		if (buffer[i] != byte_at(position + (size_t)i)) {
			printf("byte %zu came back wrong\n", position + (size_t)i);
			return -1;
		}
	}
	return got;
}

static int stream(int fd, size_t total)
{
	size_t sent = 0, got = 0;

	while (got < total) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		ssize_t size;

		if (sent < total)
			poll_fd.events |= POLLOUT;
		if (poll(&poll_fd, 1, ANSWER_TIMEOUT_MS) <= 0) {
			printf("nothing for %d ms after %zu bytes\n", ANSWER_TIMEOUT_MS, got);
			return 1;
		}
		if (poll_fd.revents & POLLOUT) {
			size = stream_send(fd, sent, total);
			sent += size > 0 ? (size_t)size : 0;
			if (sent == total)
				shutdown(fd, SHUT_WR);
		}
		if (!(poll_fd.revents & (POLLIN | POLLERR | POLLHUP)))
			continue;
		size = stream_receive(fd, got);
		if (size <= 0)
			return size == 0 ? (printf("ended after %zu bytes\n", got), 1)
					 : fail("receive");
		got += (size_t)size;
	}
	return 0;
}

static int connected(char **words, int type)
{
	struct sockaddr_storage sa;
	socklen_t length = target(words, &sa);
	int fd = socket(sa.ss_family, type, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, length) < 0)
		exit(fail("connect"));
	return fd;
}

static int datagrams(int fd, int count, int gap_ms)
{
	int lost = 0;

	for (int i = 0; i < count; i++) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		char out[DATAGRAM_BYTES] = {0}, in[DATAGRAM_BYTES];

		snprintf(out, sizeof(out), "datagram %d", i);
		if (send(fd, out, sizeof(out), 0) < 0 ||
		    poll(&poll_fd, 1, DATAGRAM_TIMEOUT_MS) <= 0 ||
		    recv(fd, in, sizeof(in), 0) != sizeof(in) || memcmp(in, out, sizeof(in)) != 0)
			lost++;
		poll(NULL, 0, gap_ms);
	}
	if (lost)
		printf("%d of %d datagrams lost\n", lost, count);
	return lost != 0;
}

/* What the kernel sends by; ss shows it only where tcp_diag is loaded. */
static int mss_print(int fd)
{
	socklen_t length = sizeof(int);
	int mss;

	if (getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, &length) < 0)
		return fail("TCP_MAXSEG");
	printf("%d\n", mss);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "serve") == 0)
		return serve(argv + 2);
	if (argc == 5 && strcmp(argv[1], "tcp") == 0)
		return stream(connected(argv + 2, SOCK_STREAM), (size_t)atol(argv[4]));
	if (argc == 6 && strcmp(argv[1], "udp") == 0)
		return datagrams(connected(argv + 2, SOCK_DGRAM), atoi(argv[4]), atoi(argv[5]));
	if (argc == 4 && strcmp(argv[1], "mss") == 0)
		return mss_print(connected(argv + 2, SOCK_STREAM));
	printf("echo serve ADDR PORT | tcp ADDR PORT BYTES | udp ADDR PORT COUNT GAP_MS | "
	       "mss ADDR PORT\n");
	return 2;
}
