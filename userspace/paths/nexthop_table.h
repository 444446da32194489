/* SPDX-License-Identifier: BSD-2-Clause */
/* Who has which id of map `nexthops`.  Pure: records are taken and given as
 * values.
 *
 * A next hop is known by physical device, VLAN and address; it keeps its id while
 * anyone uses it and NEXTHOP_LINGER_NS longer, so that a route that flaps gets its
 * old id back and whoever still holds an id never sends to somebody else. */
#ifndef SLUICE_PATHS_NEXTHOP_TABLE_H
#define SLUICE_PATHS_NEXTHOP_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "maps/layout/path.h"
#include "userspace/base/clock.h"
#include "userspace/paths/link_table.h"
#include "userspace/paths/route.h"

#define NEXTHOP_LINGER_NS (60 * NS_PER_S)
#define NEXTHOP_BUCKETS 8192 /* a power of two */

struct nexthop_key {
	uint32_t ifindex; /* physical */
	uint32_t vlan;
	struct ip_addr addr;
};

struct nexthop_entry {
	bool taken;
	struct nexthop_key key;
	uint32_t users; /* endpoints */
	uint32_t holders; /* of these, whose way needs the neighbour resolved all the time */
	uint64_t idle_since_ns; /* CLOCK_MONOTONIC, while it has no user */
	uint32_t device; /* that the neighbour is on: the VLAN device; 0: not known yet */
	struct link_exit exit;
	struct neighbour neighbour;
	uint32_t round; /* of nexthop_table_sweep() */
	uint32_t next; /* in its bucket */
};

struct nexthop_table {
	uint32_t count; /* taken */
	uint32_t round;
	uint32_t buckets[NEXTHOP_BUCKETS];
	struct nexthop_entry entries[NEXTHOPS_MAX];
};

void nexthop_table_init(struct nexthop_table *table);
/* The memory of an earlier controller: ids of records that are in use.  They linger until
 * they are taken, in the state that the record says. */
void nexthop_table_adopt(struct nexthop_table *table, const struct nexthop *records,
			 uint64_t now_ns);

/* NEXTHOP_NONE: not there. */
uint32_t nexthop_table_find(const struct nexthop_table *table, const struct nexthop_key *key);
/* The same, given an id when it has none; NEXTHOP_NONE: all ids are in use or linger. */
uint32_t nexthop_table_take(struct nexthop_table *table, const struct nexthop_key *key,
			    uint64_t now_ns);
/* One more user, one less. */
void nexthop_table_use(struct nexthop_table *table, uint32_t id, bool holds);
void nexthop_table_drop(struct nexthop_table *table, uint32_t id, bool holds, uint64_t now_ns);
/* Has it lingered long enough? */
bool nexthop_entry_is_over(const struct nexthop_entry *entry, uint64_t now_ns);
void nexthop_table_free(struct nexthop_table *table, uint32_t id);

/* May packets be sent to this neighbour now? */
bool neighbour_is_resolved(const struct neighbour *neighbour);
/* The record of an entry, without changed_at. */
struct nexthop nexthop_entry_record(const struct nexthop_entry *entry);

#endif
