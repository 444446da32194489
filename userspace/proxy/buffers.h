/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's pool of equal buffers: mapped once at start, touched when used (in huge
 * pages where there are any), given back on top of a stack so that warm ones are used
 * again first.  What a burst touched and a whole period did not need lies at the
 * stack's bottom; its pages go back to the kernel, a few at a time. */
#ifndef SLUICE_PROXY_BUFFERS_H
#define SLUICE_PROXY_BUFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffers {
	char *memory;
	size_t count;
	size_t free_count;
	uint32_t *free; /* indexes; the first `clean_count` have no pages */
	size_t clean_count;
	size_t lowest_free; /* in this period */
	size_t unneeded; /* in the period before: so many at the bottom were not taken */
};

int buffers_init(struct buffers *buffers, size_t count);
void buffers_deinit(struct buffers *buffers);

/* BUFFER_BYTES bytes, or NULL: the pool is empty. */
char *buffers_take(struct buffers *buffers);
/* NULL is fine; *buffer becomes NULL. */
void buffers_give(struct buffers *buffers, char **buffer);

/* A period (BUFFERS_PERIOD_NS) is over: what it never needed may be given up. */
void buffers_period_end(struct buffers *buffers);
/* Gives the pages of at most `count` such buffers back to the kernel. */
void buffers_trim(struct buffers *buffers, size_t count);

/* Only the reserve for answers under way is left: start nothing new. */
bool buffers_low(const struct buffers *buffers);

#endif
