/* SPDX-License-Identifier: BSD-2-Clause */
/* Each connection reads one head, asks the handler, and writes head and body
 * with one sendmsg() until all is out; then the next head, perhaps already in
 * the buffer.  A connection is either reading or writing, never both, so a
 * client that does not read stops being read.
 *
 * When all places are taken, the connection that has been waiting longest for a
 * request gives way; connections that are being answered never do.
 */
#include "userspace/http/serve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/base/loop.h"
#include "userspace/base/text.h"
#include "userspace/http/parser.h"

#define REQUEST_BYTES_MAX 8192
#define ANSWER_HEAD_MAX 512
#define PATH_BYTES_MAX 1024
#define IDLE_NS (15 * NS_PER_S) /* also for reading a request, or writing an answer */
#define BACKLOG 64

struct connection {
	struct server *server;
	struct watch watch; /* watch.fd is the connection; -1: free */
	struct timer timer;
	uint64_t since_ns; /* waiting for a request since then */
	struct http_parser parser;
	size_t in_length;
	size_t head_length; /* of the request being answered */
	char *body; /* the handler's; owned */
	size_t body_length;
	size_t out_length; /* of the answer's head */
	size_t sent; /* of head and body */
	bool writing;
	bool keep_alive;
	char out[ANSWER_HEAD_MAX];
	char in[REQUEST_BYTES_MAX];
};

struct server {
	struct loop *loop;
	struct watch watch; /* the listener */
	uint16_t port;
	server_handler handler;
	void *ctx;
	struct connection connections[SERVER_CONNECTIONS_MAX];
};

static void connection_close(struct connection *connection)
{
	_cleanup_close_ int fd = connection->watch.fd;

	loop_unwatch(connection->server->loop, &connection->watch);
	loop_timer_cancel(connection->server->loop, &connection->timer);
	free(connection->body);
	connection->body = NULL;
}

static void connection_on_timer(struct timer *timer)
{
	connection_close(container_of(timer, struct connection, timer));
}

static const char *reason_of(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{200, "OK"},
		{400, "Bad Request"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{413, "Content Too Large"},
		{417, "Expectation Failed"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
		{505, "HTTP Version Not Supported"},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}

/* Formats the head; the body stays the connection's until it is sent. */
static void answer_begin(struct connection *connection, const struct server_answer *answer,
			 bool head_only)
{
	struct text text = TEXT_INIT(connection->out);

	text_printf(&text, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\nContent-Type: %s\r\n",
		    answer->status, reason_of(answer->status), answer->body_length,
		    answer->content_type ? answer->content_type : "text/plain; charset=utf-8");
	if (answer->status == 405)
		text_puts(&text, "Allow: GET, HEAD\r\n");
	text_printf(&text, "Connection: %s\r\n\r\n",
		    connection->keep_alive ? "keep-alive" : "close");
	connection->body = answer->body;
	connection->body_length = head_only ? 0 : answer->body_length;
	connection->out_length = text.length;
	connection->sent = 0;
	connection->writing = true;
}

static void answer_error(struct connection *connection, int status, const char *why)
{
	struct server_answer answer = {.status = status};

	connection->keep_alive = false;
	if (asprintf(&answer.body, "%s\n", why) < 0)
		answer.body = NULL;
	answer.body_length = answer.body ? strlen(answer.body) : 0;
	answer_begin(connection, &answer, false);
}

/* The path alone, NUL-terminated; false when it is too long. */
static bool path_copy(struct http_span target, char path[PATH_BYTES_MAX])
{
	const char *query = memchr(target.data, '?', target.length);
	size_t length = query ? (size_t)(query - target.data) : target.length;

	if (length >= PATH_BYTES_MAX)
		return false;
	memcpy(path, target.data, length);
	path[length] = '\0';
	return true;
}

static void answer_request(struct connection *connection, const struct http_head *head)
{
	bool head_only = http_span_equal(head->method, "HEAD");
	struct server_answer answer = {0};
	char path[PATH_BYTES_MAX];

	connection->keep_alive = head->keep_alive;
	if (!head_only && !http_span_equal(head->method, "GET")) {
		answer_error(connection, 405, "only GET and HEAD are served here");
	} else if (head->chunked || head->content_length > 0) {
		answer_error(connection, 413, "a request body is not read here");
	} else if (!path_copy(head->target, path)) {
		answer_error(connection, 404, "no such page");
	} else {
		connection->server->handler(connection->server->ctx, path, &answer);
		answer_begin(connection, &answer, head_only);
	}
}

/* Takes a request off the buffer and begins its answer; false: needs more bytes. */
static bool connection_parse(struct connection *connection)
{
	struct http_head head;

	switch (http_parser_head(&connection->parser, connection->in, connection->in_length, &head,
				 &connection->head_length)) {
	case HTTP_PARSE_COMPLETE: answer_request(connection, &head); return true;
	case HTTP_PARSE_BAD:
		answer_error(connection, connection->parser.answer, connection->parser.why);
		return true;
	case HTTP_PARSE_INCOMPLETE: break;
	}
	if (connection->in_length < sizeof(connection->in))
		return false;
	answer_error(connection, 431, "the request head is too long");
	return true;
}

/* 0: all is sent; -EAGAIN: later; else the connection is broken. */
static int connection_write(struct connection *connection)
{
	size_t total = connection->out_length + connection->body_length;

	while (connection->sent < total) {
		size_t head_sent = connection->sent < connection->out_length
					   ? connection->sent
					   : connection->out_length;
		size_t body_sent = connection->sent - head_sent;
		struct iovec parts[] = {
			{connection->out + head_sent, connection->out_length - head_sent},
			{connection->body ? connection->body + body_sent : NULL,
			 connection->body_length - body_sent},
		};
		struct msghdr message = {.msg_iov = parts, .msg_iovlen = ARRAY_SIZE(parts)};
		ssize_t n = sendmsg(connection->watch.fd, &message, MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		connection->sent += (size_t)n;
	}
	return 0;
}

static void connection_wait(struct connection *connection, uint32_t events)
{
	struct loop *loop = connection->server->loop;

	if (loop_watch_change(loop, &connection->watch, events) < 0 ||
	    loop_timer_after(loop, &connection->timer, IDLE_NS) < 0)
		connection_close(connection);
}

/* Ready for the next request; bytes of it may be in the buffer already. */
static void connection_next(struct connection *connection)
{
	free(connection->body);
	connection->body = NULL;
	connection->writing = false;
	connection->in_length -= connection->head_length;
	memmove(connection->in, connection->in + connection->head_length, connection->in_length);
	connection->head_length = 0;
	connection->since_ns = clock_monotonic_ns();
	http_parser_init(&connection->parser, HTTP_REQUEST_MESSAGE);
}

/* Answers what is in the buffer until it runs dry or the client stops reading. */
static void connection_serve(struct connection *connection)
{
	while (connection->writing || connection_parse(connection)) {
		int err = connection_write(connection);

		if (err == -EAGAIN) {
			connection_wait(connection, EPOLLOUT);
			return;
		}
		if (err < 0 || !connection->keep_alive) {
			connection_close(connection);
			return;
		}
		connection_next(connection);
	}
	connection_wait(connection, EPOLLIN);
}

static void connection_on_event(struct watch *watch, uint32_t events)
{
	struct connection *connection = container_of(watch, struct connection, watch);
	ssize_t n;

	(void)events;
	if (!connection->writing) {
		n = recv(watch->fd, connection->in + connection->in_length,
			 sizeof(connection->in) - connection->in_length, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			connection_close(connection);
			return;
		}
		connection->in_length += (size_t)n;
	}
	connection_serve(connection);
}

/* A free place, made if need be; NULL: every connection is being answered. */
static struct connection *place_find(struct server *server)
{
	struct connection *oldest = NULL;
	size_t i;

	for (i = 0; i < SERVER_CONNECTIONS_MAX; i++) {
		struct connection *connection = &server->connections[i];

		if (connection->watch.fd < 0)
			return connection;
		if (!connection->writing && (!oldest || connection->since_ns < oldest->since_ns))
			oldest = connection;
	}
	if (oldest)
		connection_close(oldest);
	return oldest;
}

static void server_on_event(struct watch *watch, uint32_t events)
{
	struct server *server = container_of(watch, struct server, watch);
	_cleanup_close_ int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct connection *connection;

	(void)events;
	if (fd < 0)
		return;
	connection = place_find(server);
	if (!connection || loop_watch(server->loop, &connection->watch, fd, EPOLLIN) < 0)
		return;
	TAKE_FD(fd);
	connection->head_length = connection->in_length = 0;
	connection_next(connection);
	connection_wait(connection, EPOLLIN);
}

/* Where it really listens. */
static int listener_where(int fd, struct ip_addr *ret_addr, uint16_t *ret_port)
{
	struct sockaddr_storage sa;
	socklen_t length = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &length) < 0)
		return -errno;
	address_from_sockaddr(&sa, ret_addr, ret_port);
	return 0;
}

static int listener_open(const struct ip_addr *addr, uint16_t port, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_storage sa;
	socklen_t length = address_to_sockaddr(addr, port, &sa);
	int one = 1;

	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&sa, length) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static struct server *server_alloc(struct loop *loop, server_handler handler, void *ctx)
{
	struct server *server = calloc(1, sizeof(*server));
	size_t i;

	if (!server)
		return NULL;
	server->loop = loop;
	server->handler = handler;
	server->ctx = ctx;
	server->watch = WATCH_INIT(server_on_event);
	for (i = 0; i < SERVER_CONNECTIONS_MAX; i++) {
		server->connections[i].server = server;
		server->connections[i].watch = WATCH_INIT(connection_on_event);
		server->connections[i].timer = TIMER_INIT(connection_on_timer);
	}
	return server;
}

static void server_freep(struct server **server)
{
	server_free(*server);
}

/* `listener` is taken, also on failure. */
static int server_begin(struct loop *loop, int listener, server_handler handler, void *ctx,
			struct server **ret_server)
{
	_cleanup_(server_freep) struct server *server = server_alloc(loop, handler, ctx);
	_cleanup_close_ int fd = listener;
	struct ip_addr bound;
	int r;

	if (!server)
		return -ENOMEM;
	r = listener_where(fd, &bound, &server->port);
	if (r == 0)
		r = loop_watch(loop, &server->watch, fd, EPOLLIN);
	if (r < 0)
		return r;
	TAKE_FD(fd);
	*ret_server = TAKE_PTR(server);
	return 0;
}

int server_new(struct loop *loop, const struct ip_addr *addr, uint16_t port, server_handler handler,
	       void *ctx, struct server **ret_server)
{
	char where[ADDRESS_TEXT_MAX];
	int fd = -1;
	int r = listener_open(addr, port, &fd);

	address_port_format(addr, port, where);
	if (r < 0)
		return log_error(r, "%s: cannot listen: %s; choose another address or port", where,
				 strerror(-r));
	r = server_begin(loop, fd, handler, ctx, ret_server);
	if (r < 0)
		return log_error(r, "%s: cannot begin the HTTP server: %s", where, strerror(-r));
	return 0;
}

int server_new_over(struct loop *loop, int listener, const struct ip_addr *addr, uint16_t port,
		    server_handler handler, void *ctx, struct server **ret_server)
{
	struct ip_addr bound;
	uint16_t bound_port;
	int r = listener_where(listener, &bound, &bound_port);

	if (r == 0 && (bound_port != port || memcmp(&bound, addr, sizeof(bound)) != 0))
		r = -EADDRNOTAVAIL;
	if (r < 0) {
		close(listener);
		return r;
	}
	return server_begin(loop, listener, handler, ctx, ret_server);
}

uint16_t server_port(const struct server *server)
{
	return server->port;
}

int server_listener(const struct server *server)
{
	return server->watch.fd;
}

void server_free(struct server *server)
{
	_cleanup_close_ int fd = -1;
	size_t i;

	if (!server)
		return;
	for (i = 0; i < SERVER_CONNECTIONS_MAX; i++)
		connection_close(&server->connections[i]);
	fd = server->watch.fd;
	loop_unwatch(server->loop, &server->watch);
	free(server);
}
