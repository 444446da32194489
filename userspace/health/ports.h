/* SPDX-License-Identifier: BSD-2-Clause */
/* Source ports for probes that need one of a range: each is given out again as late
 * as can be, so that a late answer to an earlier probe meets no other.  Pure. */
#ifndef SLUICE_HEALTH_PORTS_H
#define SLUICE_HEALTH_PORTS_H

#include <stddef.h>
#include <stdint.h>

struct port_queue;

/* Host order, inclusive.  -EINVAL: no such range; -ENOMEM. */
int port_queue_new(uint16_t low, uint16_t high, struct port_queue **ret_queue);
void port_queue_free(struct port_queue *queue);

/* The port that has rested longest; 0: all are out. */
uint16_t port_queue_take(struct port_queue *queue);
/* `port` was taken and not given back since. */
void port_queue_give(struct port_queue *queue, uint16_t port);

/* How many are not out, and how many there are. */
size_t port_queue_free_count(const struct port_queue *queue);
size_t port_queue_size(const struct port_queue *queue);

#endif
