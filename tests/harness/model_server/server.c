// SPDX-License-Identifier: BSD-2-Clause
/* Listeners and the engine's timer.  Sessions, one a connection, are in
 * session.c; what both share is server_private.h. */
#include "tests/harness/model_server/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/harness/model_server/server_private.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

#define BACKLOG 1024

/* ---- listeners ---- */

static void listener_accept(struct watch *watch, uint32_t events)
{
	struct listener *listener = container_of(watch, struct listener, watch);

	(void)events;
	for (;;) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return; /* EAGAIN, or out of descriptors: the client waits */
		session_start(listener->server, fd, listener->admin);
	}
}

static int listener_open(struct listener *listener)
{
	char text[ADDRESS_TEXT_MAX];
	_cleanup_close_ int fd = -1;
	struct sockaddr_storage sa;
	socklen_t length = address_to_sockaddr(&listener->addr, listener->port, &sa);
	int err, one = 1;

	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return log_error(-errno, "socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sa, length) < 0 || listen(fd, BACKLOG) < 0) {
		err = -errno;
		return log_error(err,
				 "listening on %s failed: %s; is the address of this host "
				 "and the port free?",
				 address_port_format(&listener->addr, listener->port, text),
				 strerror(-err));
	}
	length = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &length) < 0)
		return -errno;
	address_from_sockaddr(&sa, &listener->addr, &listener->port);
	err = loop_watch(listener->server->loop, &listener->watch, fd, EPOLLIN);
	if (err)
		return log_error(err, "epoll: %s", strerror(-err));
	listener->fd = TAKE_FD(fd);
	return 0;
}

static void listener_close(struct listener *listener)
{
	loop_unwatch(listener->server->loop, &listener->watch);
	closep(&listener->fd);
}

static void listener_init(struct listener *listener, struct model_server *server, bool admin,
			  const struct ip_addr *addr, uint16_t port)
{
	*listener = (struct listener){
		.server = server,
		.admin = admin,
		.addr = *addr,
		.port = port,
		.fd = -1,
		.watch = WATCH_INIT(listener_accept),
	};
}

/* ---- faults ---- */

static void page_freeze(struct model_server *server)
{
	if (server->faults.metrics != METRICS_STALE) {
		free(server->frozen_page);
		server->frozen_page = NULL;
	} else if (!server->frozen_page) {
		server->frozen_page = metrics_page(&server->metrics, &server->engine,
						   server->config.completion.models[0],
						   &server->frozen_length);
	}
}

void server_faults_changed(struct model_server *server)
{
	uint64_t at = faults_next_at(&server->faults);

	page_freeze(server);
	if (server->faults.refuse)
		sessions_close_idle(server);
	if (server->faults.refuse && server->listener.fd >= 0)
		listener_close(&server->listener);
	else if (!server->faults.refuse && server->listener.fd < 0)
		listener_open(&server->listener);
	if (at != UINT64_MAX)
		loop_timer_at(server->loop, &server->faults_timer, at);
	else
		loop_timer_cancel(server->loop, &server->faults_timer);
}

static void faults_timer_fire(struct timer *timer)
{
	struct model_server *server = container_of(timer, struct model_server, faults_timer);

	faults_expire(&server->faults, loop_now_ns(server->loop));
	server_faults_changed(server);
}

/* ---- the engine's clock ---- */

void server_engine_arm(struct model_server *server)
{
	uint64_t at = engine_next_at(&server->engine);

	if (at == ENGINE_NEVER)
		loop_timer_cancel(server->loop, &server->engine_timer);
	else
		loop_timer_at(server->loop, &server->engine_timer, at);
}

static void engine_timer_fire(struct timer *timer)
{
	struct model_server *server = container_of(timer, struct model_server, engine_timer);

	engine_advance(&server->engine, loop_now_ns(server->loop), session_token, server);
	server_engine_arm(server);
}

/* ---- public ---- */

int model_server_new(struct loop *loop, const struct model_server_config *config,
		     struct model_server **ret_server)
{
	_cleanup_(model_server_freep) struct model_server *server = calloc(1, sizeof(*server));
	int err;

	if (!server)
		return -ENOMEM;
	server->loop = loop;
	server->config = *config;
	server->faults = config->faults;
	server->started_at = (uint64_t)time(NULL);
	server->faults_timer = TIMER_INIT(faults_timer_fire);
	server->engine_timer = TIMER_INIT(engine_timer_fire);
	listener_init(&server->listener, server, false, &config->addr, config->port);
	listener_init(&server->admin, server, true, &config->admin_addr, config->admin_port);
	err = engine_init(&server->engine, &config->engine);
	if (!err)
		err = listener_open(&server->listener);
	if (!err && config->has_admin)
		err = listener_open(&server->admin);
	if (err)
		return err;
	server_faults_changed(server);
	*ret_server = TAKE_PTR(server);
	return 0;
}

void model_server_free(struct model_server *server)
{
	if (!server)
		return;
	while (server->sessions)
		session_close(server->sessions);
	listener_close(&server->listener);
	listener_close(&server->admin);
	loop_timer_cancel(server->loop, &server->faults_timer);
	loop_timer_cancel(server->loop, &server->engine_timer);
	engine_deinit(&server->engine);
	free(server->frozen_page);
	free(server);
}

uint16_t model_server_port(const struct model_server *server)
{
	return server->listener.port;
}

uint16_t model_server_admin_port(const struct model_server *server)
{
	return server->admin.port;
}
