// SPDX-License-Identifier: BSD-2-Clause
/* Chunks, each filled from its front and twice as large as the one before, from
 * 512 bytes to 64 KiB: many small arenas stay small, large ones need few calls.
 * What does not fit gets a chunk of its own size. */
#include "userspace/base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES_MIN 512
#define CHUNK_BYTES_MAX 65536
#define ALIGN 16

struct arena_chunk {
	struct arena_chunk *next;
	size_t size;
	size_t used;
	_Alignas(ALIGN) char data[];
};

static struct arena_chunk *chunk_add(struct arena *arena, size_t bytes)
{
	size_t size = arena->chunks ? arena->chunks->size * 2 : CHUNK_BYTES_MIN;
	struct arena_chunk *chunk;

	if (size > CHUNK_BYTES_MAX)
		size = CHUNK_BYTES_MAX;
	if (size < bytes)
		size = bytes;
	chunk = calloc(1, sizeof(*chunk) + size);
	if (!chunk)
		return NULL;
	chunk->size = size;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	return chunk;
}

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
	struct arena_chunk *chunk = arena->chunks;
	size_t bytes;
	void *memory;

	if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 4)
		return NULL;
	bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
	if (!chunk || chunk->size - chunk->used < bytes) {
		chunk = chunk_add(arena, bytes);
		if (!chunk)
			return NULL;
	}
	memory = chunk->data + chunk->used;
	chunk->used += bytes;
	arena->bytes += bytes;
	return memory;
}

char *arena_copy(struct arena *arena, const char *data, size_t length)
{
	char *copy = arena_alloc(arena, length + 1, 1);

	if (copy && length)
		memcpy(copy, data, length);
	return copy;
}

char *arena_string(struct arena *arena, const char *text)
{
	return arena_copy(arena, text, strlen(text));
}

char *arena_format(struct arena *arena, const char *format, ...)
{
	va_list args;
	char *text;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		return NULL;
	text = arena_alloc(arena, (size_t)n + 1, 1);
	if (!text)
		return NULL;
	va_start(args, format);
	vsnprintf(text, (size_t)n + 1, format, args);
	va_end(args);
	return text;
}

void arena_deinit(struct arena *arena)
{
	while (arena->chunks) {
		struct arena_chunk *chunk = arena->chunks;

		arena->chunks = chunk->next;
		free(chunk);
	}
	arena->bytes = 0;
}
