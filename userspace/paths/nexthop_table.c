// SPDX-License-Identifier: BSD-2-Clause
/* Ids are slots of an array; a chained hash finds the slot of a key. */
#include "userspace/paths/nexthop_table.h"

#include <linux/neighbour.h>
#include <string.h>

#include <xxhash.h>

#include "userspace/base/address.h"

/* Neighbours of which the kernel itself would send by the address it has. */
#define NUD_USABLE (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)

_Static_assert(sizeof(struct nexthop_key) == 24, "a key is hashed as bytes: it has no gaps");

static uint32_t bucket_of(const struct nexthop_key *key)
{
	return (uint32_t)XXH3_64bits(key, sizeof(*key)) & (NEXTHOP_BUCKETS - 1);
}

static bool key_equal(const struct nexthop_key *a, const struct nexthop_key *b)
{
	return a->ifindex == b->ifindex && a->vlan == b->vlan && address_equal(&a->addr, &b->addr);
}

void nexthop_table_init(struct nexthop_table *table)
{
	memset(table, 0, sizeof(*table));
	for (uint32_t i = 0; i < NEXTHOP_BUCKETS; i++)
		table->buckets[i] = NEXTHOP_NONE;
}

uint32_t nexthop_table_find(const struct nexthop_table *table, const struct nexthop_key *key)
{
	uint32_t id = table->buckets[bucket_of(key)];

	while (id != NEXTHOP_NONE && !key_equal(&table->entries[id].key, key))
		id = table->entries[id].next;
	return id;
}

static void entry_link(struct nexthop_table *table, uint32_t id, const struct nexthop_key *key,
		       uint64_t now_ns)
{
	uint32_t *bucket = &table->buckets[bucket_of(key)];

	table->entries[id] = (struct nexthop_entry){
		.taken = true,
		.key = *key,
		.idle_since_ns = now_ns,
		.round = table->round,
		.next = *bucket,
	};
	*bucket = id;
	table->count++;
}

void nexthop_table_adopt(struct nexthop_table *table, const struct nexthop *records,
			 uint64_t now_ns)
{
	for (uint32_t id = 0; id < NEXTHOPS_MAX; id++) {
		const struct nexthop *record = &records[id];
		const struct nexthop_key key = {record->ifindex, record->vlan, record->addr};
		struct nexthop_entry *entry = &table->entries[id];

		if (record->state == NEXTHOP_FREE || entry->taken ||
		    nexthop_table_find(table, &key) != NEXTHOP_NONE)
			continue;
		entry_link(table, id, &key, now_ns);
		entry->exit = (struct link_exit){
			.ifindex = record->ifindex,
			.vlan = record->vlan,
			.mtu = record->mtu,
			.up = true,
		};
		memcpy(entry->exit.smac, record->smac, sizeof(record->smac));
		entry->neighbour.addr = record->addr;
		if (record->state != NEXTHOP_RESOLVED)
			continue;
		entry->neighbour.state = NUD_STALE;
		entry->neighbour.has_mac = true;
		memcpy(entry->neighbour.mac, record->dmac, sizeof(record->dmac));
	}
}

uint32_t nexthop_table_take(struct nexthop_table *table, const struct nexthop_key *key,
			    uint64_t now_ns)
{
	uint32_t id = nexthop_table_find(table, key);

	if (id != NEXTHOP_NONE || table->count == NEXTHOPS_MAX)
		return id;
	for (id = 0; table->entries[id].taken; id++)
		;
	entry_link(table, id, key, now_ns);
	table->entries[id].neighbour.addr = key->addr;
	return id;
}

void nexthop_table_use(struct nexthop_table *table, uint32_t id, bool holds)
{
	table->entries[id].users++;
	table->entries[id].holders += holds;
}

void nexthop_table_drop(struct nexthop_table *table, uint32_t id, bool holds, uint64_t now_ns)
{
	struct nexthop_entry *entry = &table->entries[id];

	entry->users--;
	entry->holders -= holds;
	entry->idle_since_ns = now_ns;
}

bool nexthop_entry_is_over(const struct nexthop_entry *entry, uint64_t now_ns)
{
	return entry->taken && !entry->users && now_ns >= entry->idle_since_ns + NEXTHOP_LINGER_NS;
}

void nexthop_table_free(struct nexthop_table *table, uint32_t id)
{
	struct nexthop_entry *entry = &table->entries[id];
	uint32_t *link = &table->buckets[bucket_of(&entry->key)];

	while (*link != id)
		link = &table->entries[*link].next;
	*link = entry->next;
	*entry = (struct nexthop_entry){0};
	table->count--;
}

bool neighbour_is_resolved(const struct neighbour *neighbour)
{
	return neighbour->has_mac && (neighbour->state & NUD_USABLE);
}

struct nexthop nexthop_entry_record(const struct nexthop_entry *entry)
{
	const struct link_exit *exit = &entry->exit;
	struct nexthop record = {.state = NEXTHOP_UNRESOLVED};

	if (!entry->taken)
		return (struct nexthop){.state = NEXTHOP_FREE};
	record.ifindex = entry->key.ifindex;
	record.vlan = (uint16_t)entry->key.vlan;
	record.addr = entry->key.addr;
	record.mtu = (uint16_t)(exit->mtu < UINT16_MAX ? exit->mtu : UINT16_MAX);
	memcpy(record.smac, exit->smac, sizeof(record.smac));
	if (exit->up && neighbour_is_resolved(&entry->neighbour)) {
		record.state = NEXTHOP_RESOLVED;
		memcpy(record.dmac, entry->neighbour.mac, sizeof(record.dmac));
	}
	return record;
}
