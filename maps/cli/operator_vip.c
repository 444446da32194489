// SPDX-License-Identifier: BSD-2-Clause
/* The three changes.  The order is what packets may see: a VIP learns to look into
 * the NAT table before an endpoint is reached by NAT and unlearns it after, endpoints
 * and server ids are there before the ring names them, and what is gone goes last. */
#include "maps/cli/operator_vip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "maps/cli/operator_check.h"
#include "maps/cli/operator_cids.h"
#include "maps/cli/operator_members.h"
#include "maps/cli/operator_records.h"
#include "maps/cli/remaining.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/publish/ring.h"

#define NAME_PREFIX "operator/"

/* ---- the VIP itself ---- */

static int vip_find_ours(const struct maps *maps, const struct vip_key *key, struct vip *ret_vip)
{
	char text[VIP_TEXT_MAX];
	struct vip vip;
	int err;

	err = vips_lookup(maps, key, &vip);
	if (err == -ENOENT)
		return log_error(err, "%s: no such VIP; 'sluicectl show vips' lists them",
				 vip_key_format(key, text));
	if (err)
		return log_error(err, "%s: cannot look it up (%s)", vip_key_format(key, text),
				 strerror(-err));
	if (vip.owner != VIP_OWNER_OPERATOR || vip.mode != VIP_MODE_L4 || vip.pool >= POOLS_MAX)
		return log_error(-EPERM,
				 "%s: belongs to the controller; change the Gateway it comes from",
				 vip_key_format(key, text));
	*ret_vip = vip;
	return 0;
}

static int vip_find_none(const struct maps *maps, const struct vip_key *key)
{
	char text[VIP_TEXT_MAX];
	struct vip vip;
	int err;

	err = vips_lookup(maps, key, &vip);
	if (err == -ENOENT)
		return 0;
	if (err)
		return log_error(err, "%s: cannot look it up (%s)", vip_key_format(key, text),
				 strerror(-err));
	if (vip.owner != VIP_OWNER_OPERATOR)
		return log_error(
			-EPERM,
			"%s: is there already and belongs to the controller; choose another "
			"address or port, or change the Gateway it comes from",
			vip_key_format(key, text));
	return log_error(-EEXIST,
			 "%s: is there already; 'sluicectl vip set' replaces its endpoints",
			 vip_key_format(key, text));
}

static bool spec_has_nat(const struct vip_spec *spec)
{
	for (size_t i = 0; i < spec->endpoint_count; i++) {
		if (spec->endpoints[i].way == WAY_NAT)
			return true;
	}
	return false;
}

/* `vip` with what the operator chose; ids, owner and address stay. */
static struct vip vip_with(struct vip vip, const struct vip_spec *spec)
{
	vip.pick = spec->pick;
	vip.down = spec->down;
	vip.flags &= (uint16_t) ~(VIP_F_NAT | VIP_F_QUIC);
	if (spec_has_nat(spec))
		vip.flags |= VIP_F_NAT;
	if (spec->quic)
		vip.flags |= VIP_F_QUIC;
	return vip;
}

static int vip_write(const struct maps *maps, const struct vip_key *key, const struct vip *vip)
{
	char text[VIP_TEXT_MAX];
	int err = vips_put(maps, key, vip);

	if (err)
		return log_error(err, "%s: cannot write it (%s)", vip_key_format(key, text),
				 strerror(-err));
	return 0;
}

/* ---- server ids and ring ---- */

static int server_ids_switch(const struct maps *maps, uint32_t pool, const struct members *members)
{
	_cleanup_(server_ids_deinit) struct server_ids wanted = {0};
	int err = members_server_ids(maps, members, &wanted);

	return err ? err : server_ids_write(maps, pool, &wanted);
}

static uint32_t rows_moved(const struct ring_slot *before, const struct ring_slot *after)
{
	uint32_t moved = 0;

	if (!before)
		return 0;
	if (before[0].size != after[0].size)
		return after[0].size;
	for (uint32_t row = 1; row <= after[0].size; row++)
		moved += before[row].endpoint != after[row].endpoint;
	return moved;
}

static int ring_swap(const struct maps *maps, uint32_t pool, const struct members *members,
		     struct operator_vip *done)
{
	_cleanup_free_ struct ring_slot *before = NULL, *after = NULL;
	struct ring_member ring[REQUEST_ENDPOINTS_MAX];
	uint32_t size;
	int err;

	members_ring(members, ring);
	err = rings_get(maps, pool, &before, &size);
	if (err && err != -ENOENT)
		return log_error(err, "rings: cannot read the ring of pool %u (%s)", pool,
				 strerror(-err));
	err = ring_build(ring, members->count, maps->contract.ring_seed, before, clock_tick(),
			 &after, &size);
	if (!err)
		err = rings_put(maps, pool, after, size);
	if (err)
		return log_error(err, "rings: cannot write the ring of pool %u (%s)", pool,
				 strerror(-err));
	done->ring_size = size;
	done->rows_moved = rows_moved(before, after);
	return 0;
}

/* ---- what is gone ---- */

static size_t others_list(const struct maps *maps, uint32_t pool, const struct members *members,
			  uint32_t ids[REQUEST_ENDPOINTS_MAX])
{
	size_t count = 0;

	for (uint32_t id = ENDPOINTS_MAX; id-- > 0 && count < REQUEST_ENDPOINTS_MAX;) {
		if (endpoint_record_is_ours(maps, id, pool) && !members_have(members, id))
			ids[count++] = id;
	}
	return count;
}

/* Frees endpoints of `pool` that are no members, with their slots in the flow table,
 * and counts the flows this cuts. */
static int others_free(const struct maps *maps, uint32_t pool, const struct members *members,
		       struct operator_vip *done)
{
	_cleanup_free_ uint32_t *nat = calloc(ENDPOINTS_MAX, sizeof(*nat));
	uint32_t ids[REQUEST_ENDPOINTS_MAX];
	size_t count = others_list(maps, pool, members, ids);
	int err = -ENOMEM;

	if (!count)
		return 0;
	if (nat)
		err = nat_flows_count(maps, clock_monotonic_ns(), nat);
	for (size_t i = 0; i < count; i++) {
		endpoint_record_free(maps, ids[i]);
		done->flows_cut += err ? 0 : nat[ids[i]];
	}
	done->flows_cut += flow_table_forget_all(maps, ids, count, clock_tick());
	done->removed = (uint32_t)count;
	if (err)
		return log_error(err, "nat_fwd: cannot walk the map (%s)", strerror(-err));
	return 0;
}

/* Live NAT flows of members that are reached another way from now on. */
static int nat_flows_left(const struct maps *maps, const struct members *members,
			  uint64_t *ret_left)
{
	_cleanup_free_ uint32_t *nat = calloc(ENDPOINTS_MAX, sizeof(*nat));
	int err = nat ? nat_flows_count(maps, clock_monotonic_ns(), nat) : -ENOMEM;

	if (err)
		return log_error(err, "nat_fwd: cannot walk the map (%s)", strerror(-err));
	*ret_left = 0;
	for (size_t i = 0; i < members->count; i++) {
		if (members->all[i].spec->way != WAY_NAT)
			*ret_left += nat[members->all[i].id];
	}
	return 0;
}

/* ---- the three changes ---- */

static int pool_name_make(const struct vip_spec *spec, char name[sizeof(((struct pool *)0)->name)])
{
	size_t room = sizeof(((struct pool *)0)->name);
	char text[VIP_TEXT_MAX];

	if (spec->pool && (!*spec->pool || strlen(spec->pool) >= room))
		return log_error(-EINVAL, "--pool '%s': a name has 1 to %zu bytes", spec->pool,
				 room - 1);
	if (spec->pool)
		snprintf(name, room, "%s", spec->pool);
	else
		snprintf(name, room, NAME_PREFIX "%s", vip_key_format(&spec->key, text));
	return 0;
}

static int vip_switch_on(const struct maps *maps, const struct members *members,
			 const char *pool_name, struct operator_vip *done)
{
	static const struct server_ids none;
	uint32_t pool = done->vip.pool;
	int err;

	pool_record_write(maps, pool, pool_name, members->count);
	err = server_ids_switch(maps, pool, members);
	if (!err)
		err = ring_swap(maps, pool, members, done);
	if (!err)
		err = vip_write(maps, &done->key, &done->vip);
	if (!err)
		return 0;
	rings_remove(maps, pool);
	server_ids_write(maps, pool, &none);
	pool_record_free(maps, pool);
	return err;
}

int operator_vip_add(const struct maps *maps, const struct vip_spec *spec,
		     struct operator_vip *ret_done)
{
	struct operator_vip done = {.key = spec->key};
	char name[sizeof(((struct pool *)0)->name)];
	struct members members;
	int err;

	done.vip = vip_with((struct vip){.mode = VIP_MODE_L4, .owner = VIP_OWNER_OPERATOR}, spec);
	err = vip_spec_check(maps, spec);
	if (!err)
		err = vip_find_none(maps, &spec->key);
	if (!err)
		err = pool_name_make(spec, name);
	if (!err)
		err = vip_id_find(maps, &done.vip.id);
	if (!err)
		err = pool_id_find(maps, name, &done.vip.pool);
	if (!err)
		err = members_find(maps, done.vip.pool, spec, &members);
	if (err)
		return err;
	members_write(maps, done.vip.pool, &members);
	err = vip_switch_on(maps, &members, name, &done);
	if (err) {
		members_undo(maps, &members);
		return err;
	}
	done.added = (uint32_t)members.added_count;
	*ret_done = done;
	return 0;
}

/* The new endpoints, server ids and ring in place of the old ones, or the old ones. */
static int vip_switch(const struct maps *maps, const struct members *members,
		      struct operator_vip *done)
{
	_cleanup_(server_ids_deinit) struct server_ids ids_before = {0};
	uint32_t pool = done->vip.pool;
	struct vip both = done->vip;
	int err;

	err = server_ids_read(maps, pool, &ids_before);
	if (err)
		return err;
	both.flags |= done->before.flags;
	err = vip_write(maps, &done->key, &both);
	if (err)
		return err;
	done->flows_cut += members_write(maps, pool, members);
	err = server_ids_switch(maps, pool, members);
	if (!err)
		err = ring_swap(maps, pool, members, done);
	if (!err)
		return 0;
	server_ids_write(maps, pool, &ids_before);
	members_undo(maps, members);
	vip_write(maps, &done->key, &done->before);
	return err;
}

/* Flows that NAT has translated can go on only by NAT: the VIP looks for them as long
 * as there are any.  The next `vip set` asks again. */
static int vip_settle(const struct maps *maps, const struct members *members,
		      struct operator_vip *done)
{
	bool had_nat = done->before.flags & VIP_F_NAT;
	int err = 0;

	if (had_nat)
		err = nat_flows_left(maps, members, &done->nat_flows_left);
	if (err || done->nat_flows_left)
		done->vip.flags |= VIP_F_NAT;
	return vip_write(maps, &done->key, &done->vip) ?: err;
}

int operator_vip_set(const struct maps *maps, const struct vip_spec *spec,
		     struct operator_vip *ret_done)
{
	struct operator_vip done = {.key = spec->key};
	struct members members;
	int err, freed;

	err = vip_spec_check(maps, spec);
	if (!err)
		err = vip_find_ours(maps, &spec->key, &done.before);
	done.vip = vip_with(done.before, spec);
	if (!err)
		err = members_find(maps, done.vip.pool, spec, &members);
	if (!err)
		err = vip_switch(maps, &members, &done);
	if (err)
		return err;
	err = vip_settle(maps, &members, &done);
	done.added = (uint32_t)members.added_count;
	done.kept = (uint32_t)(members.count - members.added_count);
	done.ways_changed = members_ways_changed(&members);
	maps->pools[done.vip.pool].endpoints = (uint32_t)members.count;
	freed = others_free(maps, done.vip.pool, &members, &done);
	*ret_done = done;
	return err ? err : freed;
}

int operator_vip_remove(const struct maps *maps, const struct vip_key *key,
			struct operator_vip *ret_done)
{
	static const struct members none;
	static const struct server_ids no_ids;
	struct operator_vip done = {.key = *key};
	char text[VIP_TEXT_MAX];
	int err, ids_err;

	err = vip_find_ours(maps, key, &done.vip);
	if (err)
		return err;
	err = vips_remove(maps, key);
	if (err)
		return log_error(err, "%s: cannot remove it (%s)", vip_key_format(key, text),
				 strerror(-err));
	err = rings_remove(maps, done.vip.pool);
	if (err && err != -ENOENT)
		log_warning("rings: cannot remove the ring of pool %u (%s)", done.vip.pool,
			    strerror(-err));
	ids_err = server_ids_write(maps, done.vip.pool, &no_ids);
	err = others_free(maps, done.vip.pool, &none, &done);
	pool_record_free(maps, done.vip.pool);
	*ret_done = done;
	return err ? err : ids_err;
}
