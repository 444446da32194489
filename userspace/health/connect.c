// SPDX-License-Identifier: BSD-2-Clause
/* A connection is a place of the connector: free, or with a socket and an armed
 * timer.  A connect() that fails at once is told from the loop too, by a timer that
 * is due at once, so that nobody is called back before connect_start() returns. */
#include "userspace/health/connect.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/loop.h"

struct connection {
	struct connector *connector;
	struct connection *next_free;
	struct watch watch;
	struct timer timer;
	connect_callback callback;
	void *ctx;
	int start_err; /* to be told from the loop */
	uint64_t started_ns;
};

struct connector {
	struct loop *loop;
	struct connection *free;
	size_t count;
	struct connection connections[];
};

static void connection_event(struct watch *watch, uint32_t events);
static void connection_timeout(struct timer *timer);

int connector_new(struct loop *loop, size_t connections_max, struct connector **ret_connector)
{
	struct connector *connector =
		calloc(1, sizeof(*connector) + connections_max * sizeof(struct connection));

	if (!connector)
		return -ENOMEM;
	connector->loop = loop;
	connector->count = connections_max;
	for (size_t i = connections_max; i-- > 0;) {
		struct connection *connection = &connector->connections[i];

		connection->connector = connector;
		connection->watch = WATCH_INIT(connection_event);
		connection->timer = TIMER_INIT(connection_timeout);
		connection->next_free = connector->free;
		connector->free = connection;
	}
	*ret_connector = connector;
	return 0;
}

static void connection_close(struct connection *connection)
{
	_cleanup_close_ int fd = connection->watch.fd;

	loop_unwatch(connection->connector->loop, &connection->watch);
	loop_timer_cancel(connection->connector->loop, &connection->timer);
}

void connect_cancel(struct connection *connection)
{
	connection_close(connection);
	connection->next_free = connection->connector->free;
	connection->connector->free = connection;
}

void connector_free(struct connector *connector)
{
	if (!connector)
		return;
	for (size_t i = 0; i < connector->count; i++)
		connection_close(&connector->connections[i]);
	free(connector);
}

/* The place is free before the callback, which may start the next one. */
static void connection_finish(struct connection *connection, int err)
{
	connect_callback callback = connection->callback;
	void *ctx = connection->ctx;
	uint64_t connect_ns = err ? 0 : clock_monotonic_ns() - connection->started_ns;

	connect_cancel(connection);
	callback(ctx, err, connect_ns);
}

static void connection_event(struct watch *watch, uint32_t events)
{
	struct connection *connection = container_of(watch, struct connection, watch);
	socklen_t length = sizeof(int);
	int err = 0;

	(void)events;
	if (getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &err, &length) < 0)
		err = errno;
	connection_finish(connection, -err);
}

static void connection_timeout(struct timer *timer)
{
	struct connection *connection = container_of(timer, struct connection, timer);

	connection_finish(connection, connection->start_err ? connection->start_err : -ETIMEDOUT);
}

/* Mark before bind: what routes by it is to see it. */
static int socket_prepare(int fd, const struct connect_request *request)
{
	static const struct linger reset = {.l_onoff = 1};
	struct sockaddr_storage sa;
	socklen_t length;
	int one = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0)
		return -errno;
	if (request->mark &&
	    setsockopt(fd, SOL_SOCKET, SO_MARK, &request->mark, sizeof(request->mark)) < 0)
		return -errno;
	if (!request->source_port && address_is_zero(&request->source))
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return -errno;
	length = address_to_sockaddr(&request->source, request->source_port, &sa);
	return bind(fd, (const struct sockaddr *)&sa, length) < 0 ? -errno : 0;
}

static int socket_open(const struct connect_request *request, const struct sockaddr_storage *sa,
		       int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	int err;

	fd = socket(sa->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = socket_prepare(fd, request);
	if (err)
		return err;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int connect_start(struct connector *connector, const struct connect_request *request,
		  connect_callback callback, void *ctx, struct connection **ret_connection)
{
	struct connection *connection = connector->free;
	_cleanup_close_ int fd = -1;
	struct sockaddr_storage sa;
	socklen_t length;
	int err;

	if (!connection)
		return -EBUSY;
	length = address_to_sockaddr(&request->addr, request->port, &sa);
	err = socket_open(request, &sa, &fd);
	if (err)
		return err;
	connection->callback = callback;
	connection->ctx = ctx;
	connection->started_ns = clock_monotonic_ns();
	connection->start_err = 0;
	if (connect(fd, (const struct sockaddr *)&sa, length) < 0 && errno != EINPROGRESS)
		connection->start_err = -errno;
	else
		err = loop_watch(connector->loop, &connection->watch, fd, EPOLLOUT);
	if (err)
		return err;
	if (!connection->start_err)
		TAKE_FD(fd);
	err = loop_timer_after(connector->loop, &connection->timer,
			       connection->start_err ? 0 : request->timeout_ms * NS_PER_MS);
	if (err) {
		connection_close(connection);
		return err;
	}
	connector->free = connection->next_free;
	*ret_connection = connection;
	return 0;
}
