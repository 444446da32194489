/* SPDX-License-Identifier: BSD-2-Clause */
/* What server.c and session.c share; nobody else includes it. */
#ifndef SLUICE_TESTS_MODEL_SERVER_SERVER_PRIVATE_H
#define SLUICE_TESTS_MODEL_SERVER_SERVER_PRIVATE_H

#include <time.h>

#include "tests/harness/model_server/metrics.h"
#include "tests/harness/model_server/server.h"
#include "userspace/base/loop.h"

struct session;

struct listener {
	struct model_server *server;
	bool admin;
	struct ip_addr addr;
	uint16_t port;
	int fd; /* -1: closed */
	struct watch watch;
};

struct model_server {
	struct loop *loop;
	struct model_server_config config;
	struct listener listener;
	struct listener admin;
	struct engine engine;
	struct timer engine_timer;
	struct faults faults;
	struct timer faults_timer;
	struct metrics metrics;
	char *frozen_page; /* while metrics are stale */
	size_t frozen_length;
	uint64_t started_at; /* CLOCK_REALTIME, seconds */
	uint64_t next_id;
	struct session *sessions;
	uint32_t session_count;
};

static inline void model_server_freep(struct model_server **server)
{
	model_server_free(*server);
}

/* Takes the descriptor. */
void session_start(struct model_server *server, int fd, bool admin);
void session_close(struct session *session);
/* Those between requests, but not of the admin port. */
void sessions_close_idle(struct model_server *server);
/* engine_token_callback; ctx is the server */
void session_token(void *ctx, struct engine_request *request, bool last, uint64_t at);

/* After server->faults changed. */
void server_faults_changed(struct model_server *server);
/* After the engine was given or lost a request. */
void server_engine_arm(struct model_server *server);

#endif
