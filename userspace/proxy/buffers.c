// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/buffers.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/param.h>

#include "userspace/proxy/limits.h"

int buffers_init(struct buffers *buffers, size_t count)
{
	*buffers = (struct buffers){.count = count};
	buffers->free = calloc(count, sizeof(*buffers->free));
	if (!buffers->free)
		return -ENOMEM;
	buffers->memory = mmap(NULL, count * BUFFER_BYTES, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (buffers->memory == MAP_FAILED) {
		buffers->memory = NULL;
		buffers_deinit(buffers);
		return -ENOMEM;
	}
	/* A burst of large bodies is the first to touch most of the pool, and each page of
	 * 4 KiB that it touches costs as much as the request's own work.  A wish only. */
	madvise(buffers->memory, count * BUFFER_BYTES, MADV_HUGEPAGE);
	for (size_t i = 0; i < count; i++)
		buffers->free[buffers->free_count++] = (uint32_t)(count - 1 - i);
	buffers->clean_count = buffers->lowest_free = count;
	return 0;
}

void buffers_deinit(struct buffers *buffers)
{
	if (buffers->memory)
		munmap(buffers->memory, buffers->count * BUFFER_BYTES);
	free(buffers->free);
	*buffers = (struct buffers){0};
}

char *buffers_take(struct buffers *buffers)
{
	if (!buffers->free_count)
		return NULL;
	buffers->free_count--;
	buffers->clean_count = MIN(buffers->clean_count, buffers->free_count);
	buffers->lowest_free = MIN(buffers->lowest_free, buffers->free_count);
	return buffers->memory + (size_t)buffers->free[buffers->free_count] * BUFFER_BYTES;
}

void buffers_give(struct buffers *buffers, char **buffer)
{
	size_t offset;

	if (!*buffer)
		return;
	offset = (size_t)(*buffer - buffers->memory);
	assert(offset % BUFFER_BYTES == 0 && offset / BUFFER_BYTES < buffers->count);
	assert(buffers->free_count < buffers->count);
	buffers->free[buffers->free_count++] = (uint32_t)(offset / BUFFER_BYTES);
	*buffer = NULL;
}

void buffers_period_end(struct buffers *buffers)
{
	buffers->unneeded = buffers->lowest_free;
	buffers->lowest_free = buffers->free_count;
}

void buffers_trim(struct buffers *buffers, size_t count)
{
	size_t end = MIN(buffers->unneeded, buffers->lowest_free);

	for (; count && buffers->clean_count < end; count--, buffers->clean_count++)
		madvise(buffers->memory +
				(size_t)buffers->free[buffers->clean_count] * BUFFER_BYTES,
			BUFFER_BYTES, MADV_DONTNEED);
}

bool buffers_low(const struct buffers *buffers)
{
	return buffers->free_count <= buffers->count / BUFFERS_RESERVE_SHARE;
}
