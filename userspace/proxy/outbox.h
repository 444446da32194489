/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes for a client that its socket did not take: a few buffers of the pool, in
 * order.  While there are any, nothing more is read for that client, so one read
 * and one head are the most it ever holds. */
#ifndef SLUICE_PROXY_OUTBOX_H
#define SLUICE_PROXY_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "userspace/proxy/limits.h"

struct buffers;

struct outbox {
	char *buffers[OUTBOX_BUFFERS_MAX];
	size_t count; /* 0: empty */
	size_t begin; /* in buffers[0] */
	size_t end; /* in buffers[count - 1] */
};

/* False: no buffer is left. */
bool outbox_put(struct outbox *outbox, struct buffers *pool, const char *data, size_t length);
/* 0: empty now; -EAGAIN: the socket is full; else the connection is dead. */
int outbox_flush(struct outbox *outbox, struct buffers *pool, int fd, size_t *ret_sent);
void outbox_release(struct outbox *outbox, struct buffers *pool);

#endif
