/* SPDX-License-Identifier: BSD-2-Clause */
/* A fetch is a slot of the fetcher and moves through connect, send, head and
 * body; one timer covers all of it.  Slots are taken at start, so a running
 * fetcher allocates nothing.
 *
 * The end of a fetch is always fetch_finish(): the slot is free before done()
 * is called, so done() may start the next one.  A callback that cancels its own
 * fetch is noticed by the slot's serial number.
 */
#include "userspace/http/fetch.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/loop.h"
#include "userspace/base/text.h"
#include "userspace/http/idle.h"
#include "userspace/http/parser.h"
#include "userspace/http/syntax.h"

#define REQUEST_BYTES_MAX 2304 /* 2000 of the caller's, and our headers */
#define CALLER_BYTES_MAX 2000
#define HEAD_BYTES_MAX 8192
#define READ_BYTES 65536

struct fetch {
	struct fetcher *fetcher;
	struct watch watch;
	struct timer timer;
	uint64_t serial; /* of the running fetch; 0: the slot is free */
	struct fetch_callbacks callbacks;
	void *ctx;

	struct ip_addr addr;
	uint16_t port;
	bool keep_alive; /* asked for, and from the head on also granted */
	bool is_head_method;
	size_t body_bytes_max;

	bool connecting;
	bool reused; /* the connection has served before */
	int start_err; /* to be told from the loop */
	uint64_t started_ns;
	uint64_t connect_started_ns;
	uint64_t connect_ns;
	int status;
	size_t body_bytes;
	struct http_parser parser;
	size_t out_length;
	size_t out_sent;
	size_t in_length;
	char out[REQUEST_BYTES_MAX];
	char in[HEAD_BYTES_MAX];
};

struct fetcher {
	struct loop *loop;
	struct idle_pool *idle;
	uint64_t serial;
	char body[READ_BYTES]; /* what was read last, for one callback at a time */
	size_t count;
	struct fetch fetches[];
};

static void fetch_on_event(struct watch *watch, uint32_t events);
static void fetch_on_timer(struct timer *timer);

int fetcher_new(struct loop *loop, size_t fetches_max, struct fetcher **ret_fetcher)
{
	struct fetcher *fetcher;
	size_t i;
	int r;

	fetcher = calloc(1, sizeof(*fetcher) + fetches_max * sizeof(struct fetch));
	if (!fetcher)
		return -ENOMEM;
	fetcher->loop = loop;
	fetcher->count = fetches_max;
	for (i = 0; i < fetches_max; i++) {
		fetcher->fetches[i].fetcher = fetcher;
		fetcher->fetches[i].watch = WATCH_INIT(fetch_on_event);
		fetcher->fetches[i].timer = TIMER_INIT(fetch_on_timer);
	}
	r = idle_pool_new(loop, fetches_max, &fetcher->idle);
	if (r < 0) {
		free(fetcher);
		return r;
	}
	*ret_fetcher = fetcher;
	return 0;
}

/* Takes the connection out of the slot; -1 when there is none. */
static int fetch_take_fd(struct fetch *fetch)
{
	int fd = fetch->watch.fd;

	loop_unwatch(fetch->fetcher->loop, &fetch->watch);
	return fd;
}

static void fetch_disconnect(struct fetch *fetch)
{
	_cleanup_close_ int fd = fetch_take_fd(fetch);
}

void fetch_cancel(struct fetch *fetch)
{
	fetch_disconnect(fetch);
	loop_timer_cancel(fetch->fetcher->loop, &fetch->timer);
	fetch->serial = 0;
}

void fetcher_free(struct fetcher *fetcher)
{
	size_t i;

	if (!fetcher)
		return;
	for (i = 0; i < fetcher->count; i++)
		fetch_cancel(&fetcher->fetches[i]);
	idle_pool_free(fetcher->idle);
	free(fetcher);
}

/* Frees the slot and tells the caller; keeps the connection when `reusable`. */
static void fetch_finish(struct fetch *fetch, int err, bool reusable)
{
	struct fetch_result result = {
		.err = err,
		.status = fetch->status,
		.connect_ns = fetch->connect_ns,
		.total_ns = clock_monotonic_ns() - fetch->started_ns,
	};

	if (!err && reusable && fetch->keep_alive)
		idle_pool_put(fetch->fetcher->idle, &fetch->addr, fetch->port,
			      fetch_take_fd(fetch));
	fetch_cancel(fetch);
	if (fetch->callbacks.done)
		fetch->callbacks.done(fetch->ctx, &result);
}

static int fetch_watch_fd(struct fetch *fetch, int fd, uint32_t events)
{
	_cleanup_close_ int owned = fd;
	int r = loop_watch(fetch->fetcher->loop, &fetch->watch, fd, events);

	if (r < 0)
		return r;
	TAKE_FD(owned);
	return 0;
}

static int fetch_connect(struct fetch *fetch)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_storage sa;
	socklen_t length = address_to_sockaddr(&fetch->addr, fetch->port, &sa);
	int one = 1;

	fetch->reused = false;
	fetch->connecting = true;
	fetch->connect_started_ns = clock_monotonic_ns();
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&sa, length) < 0 && errno != EINPROGRESS)
		return -errno;
	return fetch_watch_fd(fetch, TAKE_FD(fd), EPOLLOUT);
}

/* Over an idle connection when there is one. */
static int fetch_begin(struct fetch *fetch)
{
	int fd = fetch->keep_alive ? idle_pool_take(fetch->fetcher->idle, &fetch->addr, fetch->port)
				   : -1;

	if (fd < 0)
		return fetch_connect(fetch);
	fetch->reused = true;
	fetch->connecting = false;
	return fetch_watch_fd(fetch, fd, EPOLLOUT);
}

/* A kept connection may have been closed under us: before any byte of the
 * answer that says nothing about the server, so ask once more on a new one. */
static void fetch_broken(struct fetch *fetch, int err)
{
	if (fetch->reused && !fetch->in_length && !fetch->parser.head_done) {
		fetch_disconnect(fetch);
		fetch->out_sent = 0;
		err = fetch_connect(fetch);
		if (!err)
			return;
	}
	fetch_finish(fetch, err, false);
}

static int fetch_connected(struct fetch *fetch)
{
	int err = 0;
	socklen_t length = sizeof(err);

	if (!fetch->connecting)
		return 0;
	if (getsockopt(fetch->watch.fd, SOL_SOCKET, SO_ERROR, &err, &length) < 0)
		return -errno;
	if (err)
		return -err;
	fetch->connecting = false;
	fetch->connect_ns = clock_monotonic_ns() - fetch->connect_started_ns;
	return 0;
}

static void fetch_send(struct fetch *fetch)
{
	ssize_t n = send(fetch->watch.fd, fetch->out + fetch->out_sent,
			 fetch->out_length - fetch->out_sent, MSG_NOSIGNAL);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			fetch_broken(fetch, -errno);
		return;
	}
	fetch->out_sent += (size_t)n;
	if (fetch->out_sent == fetch->out_length)
		loop_watch_change(fetch->fetcher->loop, &fetch->watch, EPOLLIN);
}

/* False: the slot no longer runs this fetch. */
static bool fetch_deliver(struct fetch *fetch, struct http_span payload)
{
	uint64_t serial = fetch->serial;

	if (!payload.length)
		return true;
	fetch->body_bytes += payload.length;
	if (fetch->body_bytes > fetch->body_bytes_max) {
		fetch_finish(fetch, -EFBIG, false);
		return false;
	}
	if (fetch->callbacks.body)
		fetch->callbacks.body(fetch->ctx, payload.data, payload.length);
	return fetch->serial == serial;
}

static void fetch_read_body(struct fetch *fetch, const char *data, size_t length)
{
	do {
		struct http_span payload;
		size_t used;
		enum http_parse parse =
			http_parser_body(&fetch->parser, data, length, &used, &payload);

		if (parse == HTTP_PARSE_BAD) {
			fetch_finish(fetch, -EBADMSG, false);
			return;
		}
		if (!fetch_deliver(fetch, payload))
			return;
		data += used;
		length -= used;
		if (parse == HTTP_PARSE_COMPLETE) {
			fetch_finish(fetch, 0, length == 0);
			return;
		}
	} while (length);
}

static void fetch_parser_init(struct fetch *fetch)
{
	http_parser_init(&fetch->parser, HTTP_RESPONSE_MESSAGE);
	if (fetch->is_head_method)
		http_parser_no_body(&fetch->parser);
}

/* The head is whole.  Returns a negative errno when the answer is of no use. */
static int fetch_accept_head(struct fetch *fetch, const struct http_head *head)
{
	fetch->status = head->status;
	fetch->keep_alive &= head->keep_alive;
	if (head->status == 101)
		return -EBADMSG; /* nobody asked for it */
	if (!fetch->is_head_method && head->content_length > 0 &&
	    (uint64_t)head->content_length > fetch->body_bytes_max)
		return -EFBIG;
	return 0;
}

static void fetch_read_head(struct fetch *fetch)
{
	size_t begin = 0, length;
	struct http_head head;
	enum http_parse parse;
	int err;

	for (;;) {
		parse = http_parser_head(&fetch->parser, fetch->in + begin,
					 fetch->in_length - begin, &head, &length);
		if (parse != HTTP_PARSE_COMPLETE)
			break;
		begin += length;
		err = fetch_accept_head(fetch, &head);
		if (err < 0) {
			fetch_finish(fetch, err, false);
			return;
		}
		if (head.status >= 200) {
			fetch_read_body(fetch, fetch->in + begin, fetch->in_length - begin);
			return;
		}
		fetch_parser_init(fetch); /* 1xx: the answer is still to come */
	}
	if (parse == HTTP_PARSE_BAD || fetch->in_length == sizeof(fetch->in))
		fetch_finish(fetch, -EBADMSG, false);
	else if (begin)
		fetch_parser_init(fetch);
}

static void fetch_on_eof(struct fetch *fetch)
{
	if (fetch->parser.head_done && http_parser_eof(&fetch->parser) == HTTP_PARSE_COMPLETE)
		fetch_finish(fetch, 0, false);
	else
		fetch_broken(fetch, -ECONNRESET);
}

static void fetch_receive(struct fetch *fetch)
{
	bool body = fetch->parser.head_done;
	char *buffer = body ? fetch->fetcher->body : fetch->in + fetch->in_length;
	size_t room = body ? READ_BYTES : sizeof(fetch->in) - fetch->in_length;
	ssize_t n = recv(fetch->watch.fd, buffer, room, 0);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			fetch_broken(fetch, -errno);
		return;
	}
	if (n == 0) {
		fetch_on_eof(fetch);
	} else if (body) {
		fetch_read_body(fetch, buffer, (size_t)n);
	} else {
		fetch->in_length += (size_t)n;
		fetch_read_head(fetch);
	}
}

static void fetch_on_event(struct watch *watch, uint32_t events)
{
	struct fetch *fetch = container_of(watch, struct fetch, watch);
	int err;

	(void)events;
	err = fetch_connected(fetch);
	if (err < 0)
		fetch_finish(fetch, err, false);
	else if (fetch->out_sent < fetch->out_length)
		fetch_send(fetch);
	else
		fetch_receive(fetch);
}

static void fetch_on_timer(struct timer *timer)
{
	struct fetch *fetch = container_of(timer, struct fetch, timer);

	fetch_finish(fetch, fetch->start_err ? fetch->start_err : -ETIMEDOUT, false);
}

static bool text_fits_request(const char *method, const char *host, const char *path)
{
	struct http_span rest = {path, strlen(path)};
	size_t i;

	for (i = 0; i < rest.length; i++)
		if (path[i] <= ' ' || path[i] >= 0x7f || path[i] == '#')
			return false;
	return path[0] == '/' && http_is_token((struct http_span){method, strlen(method)}) &&
	       http_is_authority((struct http_span){host, strlen(host)});
}

static int fetch_format(struct fetch *fetch, const struct fetch_request *request)
{
	const char *method = request->method ? request->method : "GET";
	char address[ADDRESS_TEXT_MAX];
	const char *host = request->host
				   ? request->host
				   : address_port_format(&request->addr, request->port, address);
	struct text text = TEXT_INIT(fetch->out);

	if (!text_fits_request(method, host, request->path))
		return -EINVAL;
	if (strlen(method) + strlen(host) + strlen(request->path) > CALLER_BYTES_MAX)
		return -ENAMETOOLONG;
	text_printf(&text,
		    "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: sluice\r\nAccept: */*\r\n"
		    "Connection: %s\r\n\r\n",
		    method, request->path, host, request->keep_alive ? "keep-alive" : "close");
	fetch->out_length = text.length;
	fetch->is_head_method = !strcmp(method, "HEAD");
	return 0;
}

static struct fetch *slot_find(struct fetcher *fetcher)
{
	size_t i;

	for (i = 0; i < fetcher->count; i++)
		if (!fetcher->fetches[i].serial)
			return &fetcher->fetches[i];
	return NULL;
}

static void fetch_reset(struct fetch *fetch, const struct fetch_request *request)
{
	fetch->addr = request->addr;
	fetch->port = request->port;
	fetch->keep_alive = request->keep_alive;
	fetch->body_bytes_max = request->body_bytes_max;
	fetch->started_ns = clock_monotonic_ns();
	fetch->connect_ns = 0;
	fetch->start_err = fetch->status = 0;
	fetch->body_bytes = fetch->in_length = fetch->out_sent = 0;
	fetch_parser_init(fetch);
}

int fetch_start(struct fetcher *fetcher, const struct fetch_request *request,
		const struct fetch_callbacks *callbacks, void *ctx, struct fetch **ret_fetch)
{
	struct fetch *fetch = slot_find(fetcher);
	uint64_t delay_ns = request->timeout_ms * NS_PER_MS;
	int r;

	if (!fetch)
		return -EBUSY;
	r = fetch_format(fetch, request);
	if (r < 0)
		return r;
	fetch->callbacks = *callbacks;
	fetch->ctx = ctx;
	fetch_reset(fetch, request);
	fetch->start_err = fetch_begin(fetch);
	r = loop_timer_at(fetcher->loop, &fetch->timer,
			  fetch->started_ns + (fetch->start_err ? 0 : delay_ns));
	if (r < 0) {
		fetch_disconnect(fetch);
		return r;
	}
	fetch->serial = ++fetcher->serial;
	if (ret_fetch)
		*ret_fetch = fetch;
	return 0;
}
