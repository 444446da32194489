// SPDX-License-Identifier: BSD-2-Clause
/* Flows of a client through NAT, counted again.
 *
 * XDP counts a client's flows up and down, but nobody tells it of those that the LRU
 * of nat_fwd pushed out.  So a sweep over nat_fwd counts what is there, and what XDP's
 * count was too high in two sweeps in a row is taken off: in one alone it may be flows
 * that were opened behind the sweep's back.  A count is never raised, and what XDP adds
 * in the moment of the write is lost, so a client may get a flow too many, not a block
 * for ever.
 *
 * The counts are an open-addressed table by the secret of this boot: addresses are the
 * clients' choice. */
#include "maps/access/maps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <xxhash.h>

#include "maps/access/walk.h"
#include "userspace/base/address.h"

#define SLOTS (2u * NAT_FLOWS_MAX)
_Static_assert((SLOTS & (SLOTS - 1)) == 0, "a hash is cut by a mask");

struct client_slot {
	struct ip_addr client; /* all zero: free */
	uint32_t flows; /* of this sweep */
	uint32_t excess; /* of XDP's count over it */
};

struct nat_client_counts {
	uint64_t secret;
	uint32_t used;
	bool overflown; /* not all clients are in it: nothing is corrected */
	struct client_slot *now, *before; /* this sweep's, the last one's */
};

static bool is_free(const struct client_slot *slot)
{
	static const struct ip_addr none;

	return address_equal(&slot->client, &none);
}

int nat_client_counts_new(const struct maps *maps, struct nat_client_counts **ret_counts)
{
	struct nat_client_counts *counts = calloc(1, sizeof(*counts));

	if (!counts)
		return -ENOMEM;
	counts->secret = maps->contract.hash_secret;
	counts->now = calloc(SLOTS, sizeof(*counts->now));
	counts->before = calloc(SLOTS, sizeof(*counts->before));
	if (!counts->now || !counts->before) {
		nat_client_counts_free(counts);
		return -ENOMEM;
	}
	*ret_counts = counts;
	return 0;
}

void nat_client_counts_free(struct nat_client_counts *counts)
{
	if (!counts)
		return;
	free(counts->now);
	free(counts->before);
	free(counts);
}

void nat_client_counts_begin(struct nat_client_counts *counts)
{
	struct client_slot *last = counts->now;

	counts->now = counts->before;
	counts->before = last;
	memset(counts->now, 0, SLOTS * sizeof(*counts->now));
	counts->used = 0;
	counts->overflown = false;
}

static uint32_t slot_index(const struct nat_client_counts *counts, const struct ip_addr *client)
{
	return (uint32_t)XXH3_64bits_withSeed(client, sizeof(*client), counts->secret) &
	       (SLOTS - 1);
}

/* The client's slot, or the free one where it would be: at least half are free. */
static struct client_slot *slot_find(const struct nat_client_counts *counts,
				     struct client_slot *slots, const struct ip_addr *client)
{
	uint32_t index = slot_index(counts, client);

	while (!is_free(&slots[index]) && !address_equal(&slots[index].client, client))
		index = (index + 1) & (SLOTS - 1);
	return &slots[index];
}

/* NULL: no room. */
static struct client_slot *slot_take(struct nat_client_counts *counts, const struct ip_addr *client)
{
	struct client_slot *slot = slot_find(counts, counts->now, client);

	if (!is_free(slot))
		return slot;
	if (counts->used == NAT_FLOWS_MAX) {
		counts->overflown = true;
		return NULL;
	}
	slot->client = *client;
	counts->used += !is_free(slot);
	return slot;
}

void nat_client_counts_add(struct nat_client_counts *counts, const struct ip_addr *client)
{
	struct client_slot *slot = slot_take(counts, client);

	if (slot)
		slot->flows++;
}

struct correction {
	const struct maps *maps;
	struct nat_client_counts *counts;
};

static int client_correct(void *ctx, const void *key, const void *value)
{
	const struct correction *correction = ctx;
	struct nat_client_counts *counts = correction->counts;
	const struct nat_client *counted = value;
	struct client_slot *slot = slot_take(counts, key);
	uint32_t excess, before;
	struct nat_client right;

	if (!slot || counts->overflown)
		return 0;
	excess = counted->flows > slot->flows ? counted->flows - slot->flows : 0;
	before = slot_find(counts, counts->before, key)->excess;
	if (before > excess)
		before = excess;
	slot->excess = excess - before;
	if (!before)
		return 0;
	right = (struct nat_client){.flows = counted->flows - before};
	/* -ENOENT: it was pushed out meanwhile */
	bpf_map_update_elem(correction->maps->fds[MAP_NAT_CLIENTS], key, &right, BPF_EXIST);
	return 0;
}

int nat_clients_correct_part(const struct maps *maps, struct nat_client_counts *counts,
			     struct walk_position *position, uint32_t entries)
{
	struct correction correction = {maps, counts};

	return walk_hash_part(maps->fds[MAP_NAT_CLIENTS], sizeof(struct ip_addr),
			      sizeof(struct nat_client), NAT_CLIENTS_MAX, position, entries,
			      client_correct, &correction);
}
