// SPDX-License-Identifier: BSD-2-Clause
/* A sorted array: links are looked up for every route answer, and come and go
 * rarely.  One level of VLAN devices is taken apart; a VLAN on a VLAN would need
 * two tags, which a next hop has no room for. */
#include "userspace/paths/link_table.h"

#include <string.h>

static size_t place_of(const struct link_table *table, uint32_t ifindex)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (table->links[middle].ifindex < ifindex)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct link_table *table, size_t place, uint32_t ifindex)
{
	return place < table->count && table->links[place].ifindex == ifindex;
}

const struct link *link_table_find(const struct link_table *table, uint32_t ifindex)
{
	size_t place = place_of(table, ifindex);

	return is_at(table, place, ifindex) ? &table->links[place] : NULL;
}

static bool link_equal(const struct link *a, const struct link *b)
{
	return a->parent == b->parent && a->mtu == b->mtu && a->vlan == b->vlan &&
	       !memcmp(a->mac, b->mac, sizeof(a->mac)) && a->ethernet == b->ethernet &&
	       a->opaque == b->opaque && a->up == b->up;
}

bool link_table_put(struct link_table *table, const struct link *link)
{
	size_t place = place_of(table, link->ifindex);
	struct link *slot = &table->links[place];
	bool differs = true;

	if (is_at(table, place, link->ifindex)) {
		differs = !link_equal(slot, link);
	} else if (table->count == LINKS_MAX) {
		table->refused++;
		return false;
	} else {
		memmove(slot + 1, slot, (table->count - place) * sizeof(*slot));
		table->count++;
	}
	*slot = *link;
	slot->round = table->round;
	return differs;
}

static void remove_at(struct link_table *table, size_t place)
{
	struct link *slot = &table->links[place];

	table->count--;
	memmove(slot, slot + 1, (table->count - place) * sizeof(*slot));
}

bool link_table_remove(struct link_table *table, uint32_t ifindex)
{
	size_t place = place_of(table, ifindex);

	if (!is_at(table, place, ifindex))
		return false;
	remove_at(table, place);
	return true;
}

void link_table_begin(struct link_table *table)
{
	table->round++;
}

bool link_table_sweep(struct link_table *table)
{
	bool removed = false;

	for (size_t place = table->count; place-- > 0;) {
		if (table->links[place].round == table->round)
			continue;
		remove_at(table, place);
		removed = true;
	}
	return removed;
}

bool link_table_exit(const struct link_table *table, uint32_t ifindex, struct link_exit *ret_exit)
{
	const struct link *link = link_table_find(table, ifindex), *below = link;

	if (!link || !link->ethernet || link->opaque)
		return false;
	if (link->parent) {
		below = link_table_find(table, link->parent);
		if (!below || !below->ethernet || below->opaque || below->parent)
			return false;
	}
	*ret_exit = (struct link_exit){
		.ifindex = below->ifindex,
		.vlan = link->parent ? link->vlan : 0,
		.mtu = link->mtu,
		.up = link->up && below->up,
	};
	memcpy(ret_exit->smac, link->mac, sizeof(ret_exit->smac));
	return true;
}
