// SPDX-License-Identifier: BSD-2-Clause
/* The table of encapsulated flows as processes see it: mapped memory, read without
 * a system call while XDP writes it.  A slot is one 64-bit word, read and written
 * whole. */
#include "maps/access/maps.h"

#include <string.h>

static struct flow_slot slot_read(const struct flow_slot *slot)
{
	uint64_t word = __atomic_load_n((const uint64_t *)slot, __ATOMIC_RELAXED);
	struct flow_slot copy;

	memcpy(&copy, &word, sizeof(copy));
	return copy;
}

static uint32_t ticks_kept(const struct flow_slot *slot)
{
	switch (slot->where >> FLOW_ENDPOINT_BITS) {
	case SLOT_PROBATION: return FLOW_PROBATION_TICKS;
	case SLOT_CLOSING: return FLOW_CLOSING_TICKS;
	case SLOT_CONFIRMED: return slot->tag & 1 ? FLOW_UDP_TICKS : FLOW_TCP_TICKS;
	default: return 0;
	}
}

bool flow_slot_is_live(const struct flow_slot *slot, uint32_t now)
{
	uint16_t silent = (uint16_t)(now - slot->tick);

	return silent < ticks_kept(slot) && slot->where >> FLOW_ENDPOINT_BITS != SLOT_CLOSING;
}

void flow_table_count(const struct maps *maps, uint32_t now, uint32_t *counts)
{
	for (uint32_t set = 0; set < maps->contract.flow_sets; set++) {
		for (int i = 0; i < FLOW_SLOTS; i++) {
			struct flow_slot slot = slot_read(&maps->flows[set].slots[i]);

			if (flow_slot_is_live(&slot, now))
				counts[slot.where & FLOW_ENDPOINT_MASK]++;
		}
	}
}

uint32_t flow_table_forget(const struct maps *maps, uint32_t endpoint, uint32_t now)
{
	uint32_t live = 0;

	for (uint32_t set = 0; set < maps->contract.flow_sets; set++) {
		for (int i = 0; i < FLOW_SLOTS; i++) {
			struct flow_slot *slot = &maps->flows[set].slots[i];
			struct flow_slot is = slot_read(slot);
			uint64_t word;

			if (!is.where || (is.where & FLOW_ENDPOINT_MASK) != endpoint)
				continue;
			live += flow_slot_is_live(&is, now);
			/* unless XDP gave the slot to another flow meanwhile */
			memcpy(&word, &is, sizeof(word));
			__atomic_compare_exchange_n((uint64_t *)slot, &word, 0, false,
						    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
		}
	}
	return live;
}
