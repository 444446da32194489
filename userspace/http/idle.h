/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections kept for the next request to the same address.  One that the
 * other side closes, or that says something unasked, is dropped at once. */
#ifndef SLUICE_HTTP_IDLE_H
#define SLUICE_HTTP_IDLE_H

#include <stddef.h>
#include <stdint.h>

#include "maps/layout/types.h"

struct idle_pool;
struct loop;

int idle_pool_new(struct loop *loop, size_t connections_max, struct idle_pool **ret_pool);
/* Closes what is kept. */
void idle_pool_free(struct idle_pool *pool);

/* Takes fd over; the one kept longest is closed when the pool is full. */
void idle_pool_put(struct idle_pool *pool, const struct ip_addr *addr, uint16_t port, int fd);
/* The connection used last, now the caller's; -1: none. */
int idle_pool_take(struct idle_pool *pool, const struct ip_addr *addr, uint16_t port);

#endif
