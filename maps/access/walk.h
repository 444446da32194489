/* SPDX-License-Identifier: BSD-2-Clause */
/* Walking a hash map of any size whole. */
#ifndef SLUICE_MAPS_ACCESS_WALK_H
#define SLUICE_MAPS_ACCESS_WALK_H

#include <stddef.h>
#include <stdint.h>

/* Calls `each` for every entry of the hash map `fd`, in batches of whole buckets:
 * an entry that stays is seen once, however many others come and go meanwhile.
 * Stops at and returns the first non-zero value of `each`; -errno otherwise. */
int walk_hash(int fd, size_t key_size, size_t value_size, uint32_t entries_max,
	      int (*each)(void *ctx, const void *key, const void *value), void *ctx);

#endif
