// SPDX-License-Identifier: BSD-2-Clause
/* The load of the L7 bench.  Requests: each connection sends the next one when its
 * answer is whole, and every answer is compared with what the upstream sends.
 * Streams: each connection sends one request; every token carries when it was sent,
 * and the time until it is read here is its delay, on one clock. */
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

#include "userspace/base/clock.h"

#define ANSWER_MAX 4096
#define DELAY_MAX_US 1000000u

struct conn {
	int fd;
	bool is_writing; /* waits for room */
	size_t sent, got;
	uint64_t began;
	unsigned stamp_digits; /* of a token's time, so far; 0: none is under way */
	uint64_t stamp;
	char answer[ANSWER_MAX];
};

struct run {
	const struct l7_load *load;
	struct l7_result *result;
	int poll_fd;
	bool is_measuring;
	struct conn *conns;
	uint32_t *delays; /* a counter for each microsecond */
};

static int conn_open(const struct l7_load *load)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(load->port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, err;

	inet_pton(AF_INET, load->addr, &sa.sin_addr);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void conn_watch(struct run *run, struct conn *conn, bool is_writing)
{
	struct epoll_event event = {.events = EPOLLIN | (is_writing ? EPOLLOUT : 0),
				    .data.ptr = conn};

	conn->is_writing = is_writing;
	epoll_ctl(run->poll_fd, EPOLL_CTL_MOD, conn->fd, &event);
}

static void conn_fail(struct run *run, struct conn *conn)
{
	run->result->wrong++;
	close(conn->fd);
	conn->fd = -1;
}

static void conn_write(struct run *run, struct conn *conn)
{
	size_t left = run->load->request_bytes - conn->sent;
	ssize_t put =
		send(conn->fd, run->load->request + conn->sent, left, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (put < 0 && errno != EAGAIN) {
		conn_fail(run, conn);
		return;
	}
	conn->sent += put > 0 ? (size_t)put : 0;
	if ((conn->sent < run->load->request_bytes) != conn->is_writing)
		conn_watch(run, conn, !conn->is_writing);
}

static void request_begin(struct run *run, struct conn *conn)
{
	conn->sent = conn->got = 0;
	conn->began = clock_monotonic_ns();
	conn_write(run, conn);
}

static void delay_count(struct run *run, uint64_t ns)
{
	uint64_t us = ns / 1000;

	if (!run->is_measuring)
		return;
	run->result->done++;
	run->delays[us < DELAY_MAX_US ? us : DELAY_MAX_US - 1]++;
}

/* Is the answer whole?  -1: it is none of the upstream's; its status in *ret_status. */
static int answer_check(const char *answer, size_t bytes, int *ret_status)
{
	const char *body = memmem(answer, bytes, "\r\n\r\n", 4), *length;
	size_t head, wanted;

	if (!body)
		return bytes < ANSWER_MAX - 1 ? 0 : -1;
	length = strcasestr(answer, "\r\ncontent-length:");
	*ret_status = strncmp(answer, "HTTP/1.", 7) ? 0 : atoi(answer + 9);
	head = (size_t)(body + 4 - answer);
	wanted = length && length < body ? strtoul(length + 17, NULL, 10) : 0;
	if (wanted != strlen(L7_ANSWER) || *ret_status != 200)
		return -1;
	if (bytes < head + wanted)
		return 0;
	return bytes == head + wanted && !memcmp(body + 4, L7_ANSWER, wanted) ? 1 : -1;
}

static void answer_read(struct run *run, struct conn *conn)
{
	ssize_t got =
		recv(conn->fd, conn->answer + conn->got, ANSWER_MAX - 1 - conn->got, MSG_DONTWAIT);
	int verdict, status;

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		conn_fail(run, conn);
		return;
	}
	conn->got += (size_t)got;
	conn->answer[conn->got] = '\0';
	verdict = answer_check(conn->answer, conn->got, &status);
	if (verdict < 0) {
		conn_fail(run, conn);
	} else if (verdict > 0) {
		delay_count(run, clock_monotonic_ns() - conn->began);
		request_begin(run, conn);
	}
}

static void tokens_find(struct run *run, struct conn *conn, const char *data, size_t bytes,
			uint64_t now)
{
	for (size_t i = 0; i < bytes; i++) {
		if (!conn->stamp_digits) {
			const char *at = memchr(data + i, '@', bytes - i);

			if (!at)
				return;
			i = (size_t)(at - data);
			conn->stamp_digits = 1;
			conn->stamp = 0;
			continue;
		}
		conn->stamp = conn->stamp * 10 + (uint64_t)(data[i] - '0');
		if (conn->stamp_digits++ < L7_STAMP_DIGITS)
			continue;
		conn->stamp_digits = 0;
		delay_count(run, now > conn->stamp ? now - conn->stamp : 0);
	}
}

static void stream_read(struct run *run, struct conn *conn)
{
	static char data[64 << 10];
	ssize_t got = recv(conn->fd, data, sizeof(data), MSG_DONTWAIT);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0 || (!conn->got && (got < 12 || memcmp(data + 8, " 200", 4)))) {
		conn_fail(run, conn);
		return;
	}
	conn->got += (size_t)got;
	tokens_find(run, conn, data, (size_t)got, clock_monotonic_ns());
}

static void turn_until(struct run *run, uint64_t until)
{
	struct epoll_event events[256];

	for (;;) {
		uint64_t now = clock_monotonic_ns();
		int count;

		if (now >= until)
			return;
		count = epoll_wait(run->poll_fd, events, 256, (int)((until - now) / 1000000) + 1);
		for (int i = 0; i < count; i++) {
			struct conn *conn = events[i].data.ptr;

			if (events[i].events & EPOLLOUT)
				conn_write(run, conn);
			if (conn->fd < 0 || !(events[i].events & ~EPOLLOUT))
				continue;
			if (run->load->is_stream)
				stream_read(run, conn);
			else
				answer_read(run, conn);
		}
	}
}

static double delay_quantile(const struct run *run, double q)
{
	uint64_t rank = (uint64_t)(q * (double)run->result->done), seen = 0;

	for (unsigned us = 0; us < DELAY_MAX_US; us++) {
		seen += run->delays[us];
		if (seen > rank)
			return us;
	}
	return DELAY_MAX_US;
}

static int conns_open(struct run *run)
{
	for (unsigned i = 0; i < run->load->connections; i++) {
		struct conn *conn = &run->conns[i];
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};

		conn->fd = conn_open(run->load);
		if (conn->fd < 0)
			return conn->fd;
		epoll_ctl(run->poll_fd, EPOLL_CTL_ADD, conn->fd, &event);
		request_begin(run, conn);
	}
	return 0;
}

static void measure(struct run *run)
{
	const struct l7_load *load = run->load;
	uint64_t began;

	turn_until(run, clock_monotonic_ns() + load->warm_ms * 1000000ull);
	if (load->edge)
		load->edge(load->ctx, false);
	run->is_measuring = true;
	began = clock_monotonic_ns();
	turn_until(run, began + load->run_ms * 1000000ull);
	run->is_measuring = false;
	run->result->took_ns = clock_monotonic_ns() - began;
	if (load->edge)
		load->edge(load->ctx, true);
	run->result->p50_us = delay_quantile(run, 0.5);
	run->result->p99_us = delay_quantile(run, 0.99);
}

int l7_load_run(const struct l7_load *load, struct l7_result *ret_result)
{
	struct run run = {.load = load, .result = ret_result};
	int err = -ENOMEM;

	memset(ret_result, 0, sizeof(*ret_result));
	run.poll_fd = epoll_create1(EPOLL_CLOEXEC);
	run.conns = calloc(load->connections, sizeof(*run.conns));
	run.delays = calloc(DELAY_MAX_US, sizeof(*run.delays));
	for (unsigned i = 0; run.conns && i < load->connections; i++)
		run.conns[i].fd = -1;
	if (run.conns && run.delays)
		err = conns_open(&run);
	if (!err)
		measure(&run);
	for (unsigned i = 0; run.conns && i < load->connections; i++) {
		if (run.conns[i].fd >= 0)
			close(run.conns[i].fd);
	}
	free(run.conns);
	free(run.delays);
	close(run.poll_fd);
	return err;
}

int l7_ask(const char *addr, uint16_t port, const char *request, size_t bytes, bool *ret_is_right)
{
	struct l7_load load = {.addr = addr, .port = port};
	struct timeval patience = {.tv_sec = 5};
	char answer[ANSWER_MAX];
	size_t got = 0, sent = 0;
	int status = 0, fd = conn_open(&load);

	*ret_is_right = false;
	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	while (sent < bytes) {
		ssize_t put = send(fd, request + sent, bytes - sent, MSG_NOSIGNAL);

		if (put <= 0)
			break;
		sent += (size_t)put;
	}
	while (got < ANSWER_MAX - 1) {
		ssize_t more = recv(fd, answer + got, ANSWER_MAX - 1 - got, 0);
		int verdict;

		if (more <= 0)
			break;
		got += (size_t)more;
		answer[got] = '\0';
		verdict = answer_check(answer, got, &status);
		*ret_is_right = verdict > 0;
		if (verdict)
			break;
	}
	close(fd);
	return status;
}
