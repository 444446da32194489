/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maglev rings (Eisenbud et al., NSDI'16, section 3.4), one inner array a pool.
 *
 * Map `rings`: array of arrays, POOLS_MAX; the inner array has size + 1 slots of
 * struct ring_slot and the flag BPF_F_INNER_MAP, which lets sizes differ.
 * Writer: controller (and the CLI for operator-owned VIPs), which fills a new
 * inner array and replaces the outer slot with one write.  Readers: XDP, TC.
 *
 * Slot 0 is the header, so that size and rows always change together; row r of
 * the ring is slot r + 1.  A pool without a ring has no inner array.
 *
 * A row keeps the endpoint it had before the last swap, so that a swap between a
 * SYN and its ACK moves nobody: for RING_GRACE_TICKS after a swap a packet
 * mid-flow that the flow table does not know belongs to `previous` (its SYN came
 * before the swap), and a SYN in a row that changed is put into the table.  A
 * second swap within that time keeps the older `previous`.
 */
#ifndef SLUICE_MAPS_LAYOUT_RING_H
#define SLUICE_MAPS_LAYOUT_RING_H

#include "maps/layout/types.h"

/* Ring sizes, primes; chosen by the number of endpoints: the ring is at least
 * 100 times as large, for an imbalance of about 1 % (same paper, 5.3). */
#define RING_SIZE_SMALL 4093
#define RING_SIZE_MEDIUM 16381
#define RING_SIZE_LARGE 65537

#define RING_GRACE_TICKS 4 /* longer than a handshake with one retransmission */

struct ring_slot {
	union {
		__u32 endpoint; /* row: endpoint id or ENDPOINT_NONE */
		__u32 size; /* slot 0: number of rows */
	};
	union {
		__u32 previous; /* row: the endpoint before the last swap, for SYN-to-ACK */
		__u32 swapped_at; /* slot 0: tick (flow.h) of the last swap; 0: never */
	};
};
_Static_assert(sizeof(struct ring_slot) == 8, "ring_slot is a wire format");

#endif
