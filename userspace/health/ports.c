// SPDX-License-Identifier: BSD-2-Clause
/* A ring of ports: taken at the head, given back at the tail. */
#include "userspace/health/ports.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct port_queue {
	size_t size, head, count; /* of `ports`: room, first one, how many */
	uint16_t ports[];
};

int port_queue_new(uint16_t low, uint16_t high, struct port_queue **ret_queue)
{
	size_t size = (size_t)(high - low) + 1;
	struct port_queue *queue;

	if (!low || low > high)
		return -EINVAL;
	queue = calloc(1, sizeof(*queue) + size * sizeof(queue->ports[0]));
	if (!queue)
		return -ENOMEM;
	queue->size = queue->count = size;
	for (size_t i = 0; i < size; i++)
		queue->ports[i] = (uint16_t)(low + i);
	*ret_queue = queue;
	return 0;
}

void port_queue_free(struct port_queue *queue)
{
	free(queue);
}

uint16_t port_queue_take(struct port_queue *queue)
{
	uint16_t port;

	if (!queue->count)
		return 0;
	port = queue->ports[queue->head];
	queue->head = (queue->head + 1) % queue->size;
	queue->count--;
	return port;
}

void port_queue_give(struct port_queue *queue, uint16_t port)
{
	assert(queue->count < queue->size);
	queue->ports[(queue->head + queue->count) % queue->size] = port;
	queue->count++;
}

size_t port_queue_free_count(const struct port_queue *queue)
{
	return queue->count;
}

size_t port_queue_size(const struct port_queue *queue)
{
	return queue->size;
}
