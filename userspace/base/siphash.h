/* SPDX-License-Identifier: BSD-2-Clause */
/* SipHash-2-4 with a result of 128 bits (Aumasson and Bernstein): a keyed function of
 * short messages that nobody without the key can tell from chance, so it serves to
 * authenticate and, of a counter or a tag, to mask. */
#ifndef SLUICE_BASE_SIPHASH_H
#define SLUICE_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY_BYTES 16
#define SIPHASH_BYTES 16

void siphash(const uint8_t key[SIPHASH_KEY_BYTES], const void *data, size_t length,
	     uint8_t ret_hash[SIPHASH_BYTES]);

#endif
