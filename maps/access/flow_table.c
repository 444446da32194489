// SPDX-License-Identifier: BSD-2-Clause
/* The table of encapsulated flows as processes see it: mapped memory, read without
 * a system call while XDP writes it.  A slot is one 64-bit word, read and written
 * whole.
 *
 * An endpoint is forgotten after its record says that it is not there any more, and
 * after every program that may have read the record before has ended: else a packet
 * in flight could write a slot behind the broom. */
#include "maps/access/maps.h"

#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Longer than a program runs, where the kernel offers no way to wait for it. */
#define PROGRAMS_END_NS 10000000L

_Static_assert(FLOW_ENDPOINT_MASK + 1 == ENDPOINTS_MAX, "a slot names any endpoint, and no other");

union slot_word {
	struct flow_slot slot;
	uint64_t word;
};

static struct flow_slot slot_read(const struct flow_slot *slot)
{
	union slot_word is = {.word = __atomic_load_n((const uint64_t *)slot, __ATOMIC_RELAXED)};

	return is.slot;
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

enum slot_state flow_slot_state(const struct flow_slot *slot, uint32_t now)
{
	uint16_t silent = (uint16_t)(now - slot->tick);

	if (silent >= ticks_kept(slot))
		return SLOT_FREE;
	return (enum slot_state)(slot->where >> FLOW_ENDPOINT_BITS);
}

bool flow_slot_is_live(const struct flow_slot *slot, uint32_t now)
{
	enum slot_state state = flow_slot_state(slot, now);

	return state == SLOT_PROBATION || state == SLOT_CONFIRMED;
}

void flow_table_count_part(const struct maps *maps, uint32_t first, uint32_t sets, uint32_t now,
			   uint32_t *counts)
{
	for (uint32_t set = first; set < maps->contract.flow_sets && set - first < sets; set++) {
		for (int i = 0; i < FLOW_SLOTS; i++) {
			struct flow_slot slot = slot_read(&maps->flows[set].slots[i]);

			if (flow_slot_is_live(&slot, now))
				counts[slot.where & FLOW_ENDPOINT_MASK]++;
		}
	}
}

void flow_table_count(const struct maps *maps, uint32_t now, uint32_t *counts)
{
	flow_table_count_part(maps, 0, maps->contract.flow_sets, now, counts);
}

static void slot_survey(const struct flow_slot *slot, enum slot_state state,
			struct flow_table_survey *survey)
{
	struct flow_states *of = &survey->endpoints[slot->where & FLOW_ENDPOINT_MASK];

	of->probation += state == SLOT_PROBATION;
	of->confirmed += state == SLOT_CONFIRMED;
	of->closing += state == SLOT_CLOSING;
	of->udp += slot->tag & 1;
}

void flow_table_survey(const struct maps *maps, uint32_t now, struct flow_table_survey *survey)
{
	memset(survey, 0, sizeof(*survey));
	for (uint32_t set = 0; set < maps->contract.flow_sets; set++) {
		uint32_t used = 0;

		for (int i = 0; i < FLOW_SLOTS; i++) {
			struct flow_slot slot = slot_read(&maps->flows[set].slots[i]);
			enum slot_state state = flow_slot_state(&slot, now);

			if (state == SLOT_FREE)
				continue;
			slot_survey(&slot, state, survey);
			used++;
		}
		survey->slots_used += used;
		survey->sets_full += used == FLOW_SLOTS;
	}
}

/* Every program that runs now has ended when this returns. */
static void programs_wait(void)
{
	static const struct timespec while_programs_end = {.tv_nsec = PROGRAMS_END_NS};

	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
		nanosleep(&while_programs_end, NULL);
}

/* Empties the slot if it names one of `gone`; true: a live flow was in it. */
static bool slot_forget(struct flow_slot *slot, const bool *gone, uint32_t now)
{
	union slot_word is = {.slot = slot_read(slot)};

	while (is.slot.where && gone[is.slot.where & FLOW_ENDPOINT_MASK]) {
		bool live = flow_slot_is_live(&is.slot, now);

		/* unless XDP has written it meanwhile: then look again */
		if (__atomic_compare_exchange_n((uint64_t *)slot, &is.word, 0, false,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return live;
	}
	return false;
}

uint32_t flow_table_forget_all(const struct maps *maps, const uint32_t *endpoints, size_t count,
			       uint32_t now)
{
	bool gone[ENDPOINTS_MAX] = {false};
	uint32_t live = 0;

	if (!count)
		return 0;
	for (size_t i = 0; i < count; i++)
		gone[endpoints[i] & FLOW_ENDPOINT_MASK] = true;
	programs_wait();
	for (uint32_t set = 0; set < maps->contract.flow_sets; set++) {
		for (int i = 0; i < FLOW_SLOTS; i++)
			live += slot_forget(&maps->flows[set].slots[i], gone, now);
	}
	return live;
}

uint32_t flow_table_forget(const struct maps *maps, uint32_t endpoint, uint32_t now)
{
	return flow_table_forget_all(maps, &endpoint, 1, now);
}
