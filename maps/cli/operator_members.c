// SPDX-License-Identifier: BSD-2-Clause
#include "maps/cli/operator_members.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "maps/cli/operator_records.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"

/* The endpoint of `pool` with this address; ENDPOINT_NONE: there is none. */
static uint32_t member_there(const struct maps *maps, uint32_t pool,
			     const struct endpoint_spec *spec)
{
	for (uint32_t id = ENDPOINTS_MAX; id-- > 0;) {
		const struct endpoint *endpoint = &maps->endpoints[id];

		if (endpoint_record_is_ours(maps, id, pool) &&
		    endpoint->port == htons(spec->port) &&
		    address_equal(&endpoint->addr, &spec->addr))
			return id;
	}
	return ENDPOINT_NONE;
}

int members_find(const struct maps *maps, uint32_t pool, const struct vip_spec *spec,
		 struct members *ret_members)
{
	uint32_t below = ENDPOINTS_MAX; /* ids from here up are taken */

	ret_members->count = ret_members->added_count = 0;
	for (size_t i = 0; i < spec->endpoint_count; i++) {
		struct member *member = &ret_members->all[i];
		int err;

		*member = (struct member){.spec = &spec->endpoints[i]};
		member->id = member_there(maps, pool, member->spec);
		if (member->id != ENDPOINT_NONE) {
			member->way_before = maps->endpoints[member->id].way;
		} else {
			err = endpoint_id_find(maps, below, &member->id);
			if (err)
				return err;
			below = member->id;
			ret_members->added_count++;
		}
		ret_members->count++;
	}
	return 0;
}

static bool member_is_new(const struct member *member)
{
	return member->way_before == WAY_NONE;
}

static bool member_way_changes(const struct member *member)
{
	return !member_is_new(member) && member->way_before != member->spec->way;
}

static bool member_goes_to_nat(const struct member *member)
{
	return member_way_changes(member) && member->spec->way == WAY_NAT;
}

static uint32_t slots_forget(const struct maps *maps, const struct members *members,
			     bool (*is_one)(const struct member *member))
{
	uint32_t ids[REQUEST_ENDPOINTS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < members->count; i++) {
		if (is_one(&members->all[i]))
			ids[count++] = members->all[i].id;
	}
	return flow_table_forget_all(maps, ids, count, clock_tick());
}

uint32_t members_write(const struct maps *maps, uint32_t pool, const struct members *members)
{
	slots_forget(maps, members, member_is_new); /* left by one who died over it */
	for (size_t i = 0; i < members->count; i++) {
		const struct member *member = &members->all[i];

		if (member_is_new(member))
			endpoint_record_write(maps, member->id, pool, member->spec);
		else if (member_way_changes(member))
			endpoint_record_set_way(maps, member->id, member->spec->way);
	}
	return slots_forget(maps, members, member_goes_to_nat);
}

void members_undo(const struct maps *maps, const struct members *members)
{
	for (size_t i = 0; i < members->count; i++) {
		const struct member *member = &members->all[i];

		if (member_is_new(member))
			endpoint_record_free(maps, member->id);
		else
			endpoint_record_set_way(maps, member->id, member->way_before);
	}
	slots_forget(maps, members, member_is_new);
}

bool members_have(const struct members *members, uint32_t id)
{
	for (size_t i = 0; i < members->count; i++) {
		if (members->all[i].id == id)
			return true;
	}
	return false;
}

uint32_t members_ways_changed(const struct members *members)
{
	uint32_t changed = 0;

	for (size_t i = 0; i < members->count; i++)
		changed += member_way_changes(&members->all[i]);
	return changed;
}

void members_ring(const struct members *members, struct ring_member *ret_ring)
{
	for (size_t i = 0; i < members->count; i++) {
		const struct endpoint_spec *spec = members->all[i].spec;

		ret_ring[i] = (struct ring_member){.addr = spec->addr,
						   .port = htons(spec->port),
						   .weight = spec->weight,
						   .endpoint = members->all[i].id};
	}
}

int members_server_ids(const struct maps *maps, const struct members *members,
		       struct server_ids *ret_ids)
{
	struct server_ids ids = {.all = calloc(members->count + 1, sizeof(*ids.all))};

	if (!ids.all)
		return log_error(-ENOMEM, "cids: out of memory");
	for (size_t i = 0; i < members->count; i++) {
		const struct member *member = &members->all[i];

		if (!member->spec->server_id)
			continue;
		ids.all[ids.count++] = (struct server_id){
			.id = member->spec->server_id,
			.cid = {.endpoint = member->id,
				.generation = maps->endpoints[member->id].generation}};
	}
	*ret_ids = ids;
	return 0;
}
