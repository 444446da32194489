/* SPDX-License-Identifier: BSD-2-Clause */
/* A small HTTP/1.1 server for a process' own pages (/metrics, /healthz), on a
 * loop: GET and HEAD, a few connections, one buffer each, keep-alive, idle
 * time-out.  Not the proxy's path.
 */
#ifndef SLUICE_HTTP_SERVE_H
#define SLUICE_HTTP_SERVE_H

#include <stddef.h>
#include <stdint.h>

#include "maps/layout/types.h"

#define SERVER_CONNECTIONS_MAX 16

struct loop;
struct server;

struct server_answer {
	int status; /* 200, 404, ... */
	const char *content_type; /* borrowed until the handler is called again */
	char *body; /* malloc'd, taken by the server; NULL: empty */
	size_t body_length;
};

/* Fills *ret_answer for `path` (query string cut off; no other decoding).
 * *ret_answer comes zeroed. */
typedef void (*server_handler)(void *ctx, const char *path, struct server_answer *ret_answer);

/* Listens on addr:port (port 0: any; see server_port).  Logs what fails.  Arms up
 * to SERVER_CONNECTIONS_MAX timers of the loop. */
int server_new(struct loop *loop, const struct ip_addr *addr, uint16_t port, server_handler handler,
	       void *ctx, struct server **ret_server);
/* The same, over a listener that another process had: taken also on failure.  It must
 * listen at addr:port, else -EADDRNOTAVAIL, which is not logged. */
int server_new_over(struct loop *loop, int listener, const struct ip_addr *addr, uint16_t port,
		    server_handler handler, void *ctx, struct server **ret_server);
uint16_t server_port(const struct server *server);
/* Its listener, to be handed to another process. */
int server_listener(const struct server *server);
void server_free(struct server *server);

#endif
