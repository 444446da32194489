// SPDX-License-Identifier: BSD-2-Clause
/* The model server of the L7 bench: as cheap as a server can be, so that the proxy
 * is what is measured.  Bodies are skipped unread.  A request with a header
 * `x-pace: N` gets an event stream with a token each N ms until it is closed; one
 * millisecond's tick sends those whose turn it is.  All streams of a time have one
 * pace.  Also answers /health and /metrics, for the controller. */
#include "tests/bench/l7.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "userspace/base/clock.h"

#define HEAD_MAX 8192
#define PACE_MAX 1000
#define EVENT_BYTES 224

struct conn {
	int fd;
	size_t head_bytes, body_left;
	bool in_body;
	struct conn *next, **link; /* in a bucket while it streams */
	enum { ANSWER_CHAT, ANSWER_STREAM, ANSWER_HEALTH, ANSWER_METRICS } answer;
	char head[HEAD_MAX];
};

static struct conn *buckets[PACE_MAX];
static unsigned pace = 10, stream_count;

static void conn_free(struct conn *conn)
{
	if (conn->link) {
		*conn->link = conn->next;
		if (conn->next)
			conn->next->link = conn->link;
	}
	close(conn->fd);
	free(conn);
}

static void stream_begin(struct conn *conn)
{
	struct conn **bucket = &buckets[stream_count++ % pace];

	conn->next = *bucket;
	conn->link = bucket;
	if (conn->next)
		conn->next->link = &conn->next;
	*bucket = conn;
}

static bool text_send(struct conn *conn, const char *text)
{
	size_t bytes = strlen(text);

	return send(conn->fd, text, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

static bool body_send(struct conn *conn, const char *type, const char *body)
{
	char answer[1024];

	snprintf(answer, sizeof(answer),
		 "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s", type,
		 strlen(body), body);
	return text_send(conn, answer);
}

static bool answer_send(struct conn *conn)
{
	switch (conn->answer) {
	case ANSWER_HEALTH: return body_send(conn, "text/plain", "ok");
	case ANSWER_METRICS:
		return body_send(conn, "text/plain",
				 "vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n"
				 "vllm:gpu_cache_usage_perc 0\n");
	case ANSWER_STREAM:
		stream_begin(conn);
		return text_send(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
				       "Transfer-Encoding: chunked\r\n\r\n");
	default: return body_send(conn, "application/json", L7_ANSWER);
	}
}

/* What the whole head asks for. */
static void head_read(struct conn *conn)
{
	const char *length = strcasestr(conn->head, "\r\ncontent-length:");
	const char *paced = strcasestr(conn->head, "\r\nx-pace:");

	conn->body_left = length ? strtoul(length + 17, NULL, 10) : 0;
	conn->answer = ANSWER_CHAT;
	if (strstr(conn->head, " /health "))
		conn->answer = ANSWER_HEALTH;
	else if (strstr(conn->head, " /metrics "))
		conn->answer = ANSWER_METRICS;
	if (!paced)
		return;
	conn->answer = ANSWER_STREAM;
	pace = (unsigned)strtoul(paced + 9, NULL, 10);
	if (pace < 1 || pace > PACE_MAX)
		pace = PACE_MAX;
}

/* False: the connection is to be closed. */
static bool bytes_take(struct conn *conn, const char *data, size_t bytes)
{
	while (bytes) {
		size_t step;

		if (!conn->in_body) {
			char *end;
			size_t before = conn->head_bytes;

			step = bytes < HEAD_MAX - 1 - before ? bytes : HEAD_MAX - 1 - before;
			memcpy(conn->head + before, data, step);
			conn->head_bytes += step;
			conn->head[conn->head_bytes] = '\0';
			end = strstr(conn->head, "\r\n\r\n");
			if (!end && conn->head_bytes == HEAD_MAX - 1)
				return false;
			if (!end)
				return true;
			step = (size_t)(end + 4 - conn->head) - before;
			end[2] = '\0';
			head_read(conn);
			conn->in_body = true;
		} else {
			step = bytes < conn->body_left ? bytes : conn->body_left;
			conn->body_left -= step;
		}
		data += step;
		bytes -= step;
		if (conn->body_left)
			continue;
		conn->in_body = false;
		conn->head_bytes = 0;
		if (!answer_send(conn))
			return false;
	}
	return true;
}

static void conn_read(struct conn *conn)
{
	static char data[256 << 10];
	ssize_t got = recv(conn->fd, data, sizeof(data), MSG_DONTWAIT);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0 || !bytes_take(conn, data, (size_t)got))
		conn_free(conn);
}

/* A stream that cannot take a token is closed, which the load counts as wrong. */
static void tick(uint64_t count)
{
	struct conn *conn, *next;
	char event[EVENT_BYTES + 64];

	for (conn = buckets[count % pace]; conn; conn = next) {
		int head;

		next = conn->next;
		head = snprintf(event, sizeof(event),
				"%x\r\ndata: {\"at\":\"@%020llu\",\"text\":\"", EVENT_BYTES,
				(unsigned long long)clock_monotonic_ns());
		/* the size line is four bytes, and so is the event's end */
		memset(event + head, 'x', (size_t)(EVENT_BYTES - head));
		memcpy(event + EVENT_BYTES, "\"}\n\n\r\n", 6);
		if (send(conn->fd, event, EVENT_BYTES + 6, MSG_NOSIGNAL | MSG_DONTWAIT) !=
		    EVENT_BYTES + 6)
			conn_free(conn);
	}
}

static int listen_open(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(L7_UPSTREAM_PORT)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 16384) < 0) {
		perror("bench_l7: upstream");
		_exit(1);
	}
	return fd;
}

static void accept_all(int poll_fd, int listener)
{
	int fd, on = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct conn *conn = calloc(1, sizeof(*conn));
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};

		if (!conn)
			_exit(1);
		conn->fd = fd;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
	}
}

void l7_upstream_run(void)
{
	static const struct itimerspec each_ms = {{0, 1000000}, {0, 1000000}};
	int listener = listen_open(), poll_fd = epoll_create1(EPOLL_CLOEXEC);
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	struct epoll_event events[256], event = {.events = EPOLLIN, .data.ptr = &listener};
	uint64_t ticks = 0, passed;

	timerfd_settime(timer, 0, &each_ms, NULL);
	epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event);
	event.data.ptr = &timer;
	epoll_ctl(poll_fd, EPOLL_CTL_ADD, timer, &event);
	for (;;) {
		int count = epoll_wait(poll_fd, events, 256, -1);
		bool is_due = false;

		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == &listener)
				accept_all(poll_fd, listener);
			else if (events[i].data.ptr == &timer)
				is_due = true;
			else
				conn_read(events[i].data.ptr);
		}
		/* after the events: a tick may free connections that they name */
		if (is_due && read(timer, &passed, sizeof(passed)) == sizeof(passed)) {
			for (uint64_t i = 0; i < passed; i++)
				tick(ticks++);
		}
	}
}
