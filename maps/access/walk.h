/* SPDX-License-Identifier: BSD-2-Clause */
/* Walking a hash map of any size, whole or in parts. */
#ifndef SLUICE_MAPS_ACCESS_WALK_H
#define SLUICE_MAPS_ACCESS_WALK_H

#include <stddef.h>
#include <stdint.h>

#include "maps/access/maps.h"

/* Calls `each` for every entry of the hash map `fd`, in batches of whole buckets:
 * an entry that stays is seen once, however many others come and go meanwhile.
 * Stops at and returns the first non-zero value of `each`; -errno otherwise. */
int walk_hash(int fd, size_t key_size, size_t value_size, uint32_t entries_max,
	      int (*each)(void *ctx, const void *key, const void *value), void *ctx);
/* The same of about `entries` entries, from *position on (all zero: the beginning);
 * it says where the next part begins, and when all is done.  Given up when `each` or
 * the kernel fails. */
int walk_hash_part(int fd, size_t key_size, size_t value_size, uint32_t entries_max,
		   struct walk_position *position, uint32_t entries,
		   int (*each)(void *ctx, const void *key, const void *value), void *ctx);

#endif
