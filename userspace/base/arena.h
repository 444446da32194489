/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that is freed all at once: one arena for one generation of state. */
#ifndef SLUICE_BASE_ARENA_H
#define SLUICE_BASE_ARENA_H

#include <stddef.h>

struct arena {
	struct arena_chunk *chunks; /* newest first */
	size_t bytes; /* given out so far */
};

/* Zeroed memory, aligned to 16 bytes, that lives as long as the arena.  NULL:
 * out of memory, or count * size overflows.  A count of 0 gives a pointer that
 * must not be read. */
void *arena_alloc(struct arena *arena, size_t count, size_t size);
/* Copies; NULL: out of memory. */
char *arena_copy(struct arena *arena, const char *data, size_t length); /* adds a NUL */
char *arena_string(struct arena *arena, const char *text);
char *arena_format(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Frees everything; the arena is empty and usable again. */
void arena_deinit(struct arena *arena);

#endif
