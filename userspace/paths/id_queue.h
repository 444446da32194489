/* SPDX-License-Identifier: BSD-2-Clause */
/* Ids that something is to be done for, each at most once, in the order they came. */
#ifndef SLUICE_PATHS_ID_QUEUE_H
#define SLUICE_PATHS_ID_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "maps/layout/contract.h"

#define ID_QUEUE_MAX ENDPOINTS_MAX /* ids are below it; a power of two */

struct id_queue {
	uint32_t head, count;
	uint16_t ring[ID_QUEUE_MAX];
	bool waits[ID_QUEUE_MAX];
};

static inline void id_queue_put(struct id_queue *queue, uint32_t id)
{
	if (queue->waits[id])
		return;
	queue->waits[id] = true;
	queue->ring[(queue->head + queue->count++) % ID_QUEUE_MAX] = (uint16_t)id;
}

/* False: empty. */
static inline bool id_queue_take(struct id_queue *queue, uint32_t *ret_id)
{
	uint32_t id;

	if (!queue->count)
		return false;
	id = queue->ring[queue->head];
	queue->head = (queue->head + 1) % ID_QUEUE_MAX;
	queue->count--;
	queue->waits[id] = false;
	*ret_id = id;
	return true;
}

#endif
