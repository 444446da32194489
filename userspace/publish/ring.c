// SPDX-License-Identifier: BSD-2-Clause
/* Maglev's table (Eisenbud et al., NSDI'16, section 3.4).
 *
 * Every member has a preference list over all rows: it starts at `offset` and
 * goes on by `skip`, both hashed from its address and port; the size is prime,
 * so the list visits each row once.  Members take turns; at its turn a member
 * takes the first row of its list that is still free.  Weights say how often a
 * member has a turn: it saves up its weight and pays the largest weight for one,
 * so turns interleave evenly instead of coming in bursts.
 *
 * Members are put into the order of their hashes first, so that neither the
 * order of the input nor the ids decide anything. */
#include "userspace/publish/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "maps/layout/contract.h"
#include "userspace/base/cleanup.h"

#define ROWS_PER_MEMBER 100

struct turn {
	XXH128_hash_t hash;
	uint32_t row; /* next in its preference list */
	uint32_t skip;
	uint32_t weight;
	uint32_t saved;
	uint32_t endpoint;
};

uint32_t ring_size_for(size_t member_count)
{
	static const uint32_t sizes[] = {RING_SIZE_SMALL, RING_SIZE_MEDIUM, RING_SIZE_LARGE};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (member_count * ROWS_PER_MEMBER <= sizes[i])
			return sizes[i];
	}
	return RING_SIZE_LARGE;
}

static int turn_compare(const void *a, const void *b)
{
	const struct turn *left = a, *right = b;
	int order = XXH128_cmp(&left->hash, &right->hash);

	/* only the same address and port twice gets as far as ids */
	if (!order)
		order = (left->endpoint > right->endpoint) - (left->endpoint < right->endpoint);
	return order;
}

static XXH128_hash_t member_hash(const struct ring_member *member, uint64_t seed)
{
	unsigned char bytes[sizeof(member->addr) + sizeof(member->port)];

	memcpy(bytes, &member->addr, sizeof(member->addr));
	memcpy(bytes + sizeof(member->addr), &member->port, sizeof(member->port));
	return XXH3_128bits_withSeed(bytes, sizeof(bytes), seed);
}

/* Members that take rows, in the order of turns. */
static int turns_new(const struct ring_member *members, size_t count, uint64_t seed,
		     struct turn **ret_turns, size_t *ret_count)
{
	struct turn *turns = calloc(count + 1, sizeof(*turns));
	size_t used = 0;

	if (!turns)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (!members[i].weight)
			continue;
		turns[used++] = (struct turn){.hash = member_hash(&members[i], seed),
					      .weight = members[i].weight,
					      .endpoint = members[i].endpoint};
	}
	qsort(turns, used, sizeof(*turns), turn_compare);
	*ret_turns = turns;
	*ret_count = used;
	return 0;
}

static void row_step(struct turn *turn, uint32_t size)
{
	turn->row += turn->skip;
	if (turn->row >= size)
		turn->row -= size;
}

static void row_take(struct turn *turn, struct ring_slot *rows, uint32_t size)
{
	while (rows[turn->row].endpoint != ENDPOINT_NONE)
		row_step(turn, size);
	rows[turn->row].endpoint = turn->endpoint;
}

/* All rows are ENDPOINT_NONE and there is at least one turn. */
static void rows_fill(struct turn *turns, size_t count, struct ring_slot *rows, uint32_t size)
{
	uint32_t weight_max = 0, taken = 0;

	for (size_t i = 0; i < count; i++) {
		turns[i].row = (uint32_t)(turns[i].hash.low64 % size);
		turns[i].skip = (uint32_t)(turns[i].hash.high64 % (size - 1)) + 1;
		if (turns[i].weight > weight_max)
			weight_max = turns[i].weight;
	}
	for (;;) {
		for (size_t i = 0; i < count; i++) {
			turns[i].saved += turns[i].weight;
			if (turns[i].saved < weight_max)
				continue;
			turns[i].saved -= weight_max;
			row_take(&turns[i], rows, size);
			if (++taken == size)
				return;
		}
	}
}

/* Within the grace after a swap the older endpoint is the one that packets without
 * a flow belong to: flows of the newer one are in the flow table. */
static uint32_t row_previous(const struct ring_slot *before, uint32_t row, uint32_t tick)
{
	bool in_grace = before[0].swapped_at && tick - before[0].swapped_at < RING_GRACE_TICKS;

	if (in_grace && before[row].previous != ENDPOINT_NONE)
		return before[row].previous;
	return before[row].endpoint;
}

static struct ring_slot *slots_new(uint32_t size, const struct ring_slot *before, uint32_t tick)
{
	struct ring_slot *slots = calloc((size_t)size + 1, sizeof(*slots));
	bool same_size = before && before[0].size == size;

	if (!slots)
		return NULL;
	slots[0].size = size;
	slots[0].swapped_at = before ? tick : 0;
	for (uint32_t row = 1; row <= size; row++) {
		slots[row].endpoint = ENDPOINT_NONE;
		slots[row].previous = same_size ? row_previous(before, row, tick) : ENDPOINT_NONE;
	}
	return slots;
}

static int members_check(const struct ring_member *members, size_t count)
{
	if (count > ENDPOINTS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < count; i++) {
		if (members[i].weight > RING_WEIGHT_MAX || members[i].endpoint == ENDPOINT_NONE)
			return -EINVAL;
	}
	return 0;
}

int ring_build_sized(const struct ring_member *members, size_t count, uint32_t size, uint64_t seed,
		     const struct ring_slot *before, uint32_t tick, struct ring_slot **ret_slots)
{
	_cleanup_free_ struct turn *turns = NULL;
	struct ring_slot *slots;
	size_t turn_count;
	int err = members_check(members, count);

	if (!err)
		err = turns_new(members, count, seed, &turns, &turn_count);
	if (err)
		return err;
	slots = slots_new(size, before, tick);
	if (!slots)
		return -ENOMEM;
	if (turn_count)
		rows_fill(turns, turn_count, slots + 1, size);
	*ret_slots = slots;
	return 0;
}

int ring_build(const struct ring_member *members, size_t count, uint64_t seed,
	       const struct ring_slot *before, uint32_t tick, struct ring_slot **ret_slots,
	       uint32_t *ret_size)
{
	size_t used = 0;
	uint32_t size;
	int err;

	if (count > ENDPOINTS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < count; i++)
		used += members[i].weight > 0;
	size = ring_size_for(used);
	err = ring_build_sized(members, count, size, seed, before, tick, ret_slots);
	if (!err)
		*ret_size = size;
	return err;
}

bool ring_rows_equal(const struct ring_slot *a, const struct ring_slot *b)
{
	if (a[0].size != b[0].size)
		return false;
	for (uint32_t row = 1; row <= a[0].size; row++) {
		if (a[row].endpoint != b[row].endpoint)
			return false;
	}
	return true;
}
