/* SPDX-License-Identifier: BSD-2-Clause */
/* An exchange that the server answered with 101 (RFC 9110, 7.8): from here on its
 * two connections carry bytes of another protocol, WebSocket mostly, each way as
 * they come.
 *
 * What one side does not take is kept, at most one read of it, and nothing more is
 * read from the other until it has gone.  An end is passed on as an end once all
 * before it was sent, the other way goes on; a break is passed on as a RST.  When
 * nothing passes for --upgrade-idle-s, both are closed.  Not a byte of the client's
 * reaches the server before the 101: until then it may still be the next request.
 */
#ifndef SLUICE_PROXY_UPGRADE_H
#define SLUICE_PROXY_UPGRADE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "userspace/http/parser.h"
#include "userspace/proxy/outbox.h"

#define UPGRADE_KEPT_MAX 24 /* of the protocol's name, for the log */

struct exchange;

struct upgrade {
	bool asked; /* the request may be answered with 101 */
	bool open; /* it was; counted */
	struct outbox up; /* the client's bytes that the server did not take */
	bool client_ended, server_ended; /* their FIN was read and passed on */
	bool server_deaf; /* it takes no more: what the client says is dropped */
	char protocol[UPGRADE_KEPT_MAX]; /* "": none */
};

/* Is this 101 an answer to what was asked? */
bool upgrade_is_agreed(struct exchange *exchange, const struct http_head *answer);
/* Passes the 101 on with the bytes behind it; the exchange is EXCHANGE_UPGRADED. */
void upgrade_begin(struct exchange *exchange, const struct http_head *answer, char *data,
		   size_t length);
void upgrade_on_client(struct exchange *exchange, uint32_t events);
void upgrade_on_upstream(struct exchange *exchange, uint32_t events);
/* Watches what is wanted now; after what is kept for the client changed. */
void upgrade_watch(struct exchange *exchange);
/* Nothing passed for too long, or the drain time is over. */
void upgrade_give_up(struct exchange *exchange, const char *why);
/* What an upgraded exchange holds beside its connections goes back. */
void upgrade_leave(struct exchange *exchange);

#endif
