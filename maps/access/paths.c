// SPDX-License-Identifier: BSD-2-Clause
/* Records of `paths` and `nexthops`, written while XDP copies them.  A path does not
 * count while its generation is 0; a next hop's MAC and state are one store, and do
 * not count while the rest of the record changes.  Fields are stored whole. */
#include "maps/access/maps.h"

#include <stddef.h>
#include <string.h>

#include "userspace/base/cleanup.h"

/* Both records are made of aligned 64-bit words. */
static void words_store(void *slot, const void *record, size_t size, size_t first)
{
	for (size_t i = first; i < size / sizeof(uint64_t); i++) {
		uint64_t word;

		memcpy(&word, (const char *)record + i * sizeof(word), sizeof(word));
		__atomic_store_n((uint64_t *)slot + i, word, __ATOMIC_RELAXED);
	}
}

bool path_put(struct path *slot, const struct path *path)
{
	struct path next = *path;

	if (!memcmp(slot, path, sizeof(*path)))
		return false;
	next.generation = 0;
	__atomic_store_n(&slot->generation, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	words_store(slot, &next, sizeof(next), 0); /* the first word has generation 0 too */
	__atomic_store_n(&slot->generation, path->generation, __ATOMIC_RELEASE);
	return true;
}

static uint64_t first_word(const struct nexthop *nexthop)
{
	uint64_t word;

	_Static_assert(offsetof(struct nexthop, dmac) == 0, "dmac and state are the first word");
	_Static_assert(offsetof(struct nexthop, smac) == 8, "dmac and state are the first word");
	memcpy(&word, nexthop, sizeof(word));
	return word;
}

bool nexthop_put(struct nexthop *slot, const struct nexthop *nexthop, uint64_t now)
{
	const struct nexthop blank = {.state = nexthop->state == NEXTHOP_FREE ? NEXTHOP_FREE
									      : NEXTHOP_UNRESOLVED};
	const size_t rest = offsetof(struct nexthop, smac);
	struct nexthop next = *nexthop;
	uint64_t *word = (uint64_t *)slot;

	next.changed_at = slot->changed_at;
	if (!memcmp(slot, &next, sizeof(next)))
		return false;
	next.changed_at = now;
	if (memcmp((char *)slot + rest, (char *)&next + rest,
		   offsetof(struct nexthop, changed_at) - rest)) {
		__atomic_store_n(word, first_word(&blank), __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_RELEASE);
	}
	words_store(slot, &next, sizeof(next), 1);
	__atomic_store_n(word, first_word(&next), __ATOMIC_RELEASE);
	return true;
}

static const char *const states[] = {"free", "unresolved", "resolved"};

const char *nexthop_state_name(uint16_t state)
{
	return state < ARRAY_SIZE(states) ? states[state] : "invalid";
}
