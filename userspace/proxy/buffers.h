/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's pool of equal buffers: mapped once at start, touched when used (in huge
 * pages where there are any), given back on top of a stack so that warm ones are used
 * again first. */
#ifndef SLUICE_PROXY_BUFFERS_H
#define SLUICE_PROXY_BUFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffers {
	char *memory;
	size_t count;
	size_t free_count;
	uint32_t *free; /* indexes */
};

int buffers_init(struct buffers *buffers, size_t count);
void buffers_deinit(struct buffers *buffers);

/* BUFFER_BYTES bytes, or NULL: the pool is empty. */
char *buffers_take(struct buffers *buffers);
/* NULL is fine; *buffer becomes NULL. */
void buffers_give(struct buffers *buffers, char **buffer);

/* Only the reserve for answers under way is left: start nothing new. */
bool buffers_low(const struct buffers *buffers);

#endif
