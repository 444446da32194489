/* SPDX-License-Identifier: BSD-2-Clause */
/* What every fuzz target is made of. */
#ifndef SLUICE_TESTS_FUZZ_H
#define SLUICE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The target: returns 0, or aborts when something that must hold does not. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: must hold: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* How an input is cut: pieces of 1 to 16 bytes, the same for the same input. */
static inline size_t fuzz_piece(uint64_t *seed, size_t left)
{
	size_t piece;

	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	piece = 1 + (size_t)(*seed >> 60);
	return piece < left ? piece : left;
}

#endif
