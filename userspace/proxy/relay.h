/* SPDX-License-Identifier: BSD-2-Clause */
/* The answer's bytes on their way from the endpoint to the client: each read is
 * passed on with one write, whatever its size, and framing is checked as it
 * passes.  Where the model goes by another name the client's own is put back on
 * the way, which makes chunks and lengths ours.  While the client does not take them nothing more
 * is read. */
#ifndef SLUICE_PROXY_RELAY_H
#define SLUICE_PROXY_RELAY_H

#include <stdbool.h>
#include <stddef.h>

#include "userspace/http/parser.h"

struct exchange;

/* Passes on the head, rewritten, and the body bytes that came with it. */
void relay_begin(struct exchange *exchange, const struct http_head *head, char *data,
		 size_t length);
/* Passes on more of the body. */
void relay_feed(struct exchange *exchange, char *data, size_t length);
/* The endpoint closed the connection. */
void relay_eof(struct exchange *exchange);
/* Can an error be told inside the answer, and if so, tells it. */
void relay_tell_cut(struct exchange *exchange, const char *message);

#endif
