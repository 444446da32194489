// SPDX-License-Identifier: BSD-2-Clause
/* Adding: endpoints, pool, ring, and the VIP last, which switches it on.
 * Removing: the VIP first.  Replacing: new endpoints, then the ring's one write,
 * then old endpoints are freed.  A step that fails undoes the ones before. */
#include "maps/cli/operator_vip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "maps/cli/remaining.h"
#include "maps/cli/request.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/publish/ring.h"

#define NAME_PREFIX "operator/"

/* Endpoints of one VIP while it is changed. */
struct members {
	struct ring_member all[REQUEST_ENDPOINTS_MAX];
	size_t count;
	uint32_t added[REQUEST_ENDPOINTS_MAX]; /* ids written by us just now */
	size_t added_count;
};

/* ---- records ---- */

static void endpoint_write(const struct maps *maps, uint32_t id, uint32_t pool,
			   const struct endpoint_spec *spec)
{
	struct endpoint *endpoint = &maps->endpoints[id];
	char address[ADDRESS_TEXT_MAX];

	endpoint->addr = spec->addr;
	endpoint->port = htons(spec->port);
	endpoint->owner = VIP_OWNER_OPERATOR;
	endpoint->cluster = CLUSTER_NONE;
	endpoint->pool = pool;
	endpoint->generation++; /* what was known of an earlier owner of the id is void */
	if (!endpoint->generation)
		endpoint->generation = 1;
	memset(endpoint->name, 0, sizeof(endpoint->name));
	memset(endpoint->zone, 0, sizeof(endpoint->zone));
	snprintf(endpoint->name, sizeof(endpoint->name), NAME_PREFIX "%s",
		 address_port_format(&spec->addr, spec->port, address));
	__atomic_store_n(&endpoint->way, WAY_NAT, __ATOMIC_RELEASE);
}

/* The generation stays, and rises when the id is given out again. */
static void endpoint_free(const struct maps *maps, uint32_t id)
{
	__atomic_store_n(&maps->endpoints[id].way, WAY_NONE, __ATOMIC_RELEASE);
	maps->endpoints[id].owner = VIP_OWNER_NONE;
	maps->endpoints[id].pool = POOL_NONE;
}

static bool endpoint_is_ours(const struct maps *maps, uint32_t id, uint32_t pool)
{
	const struct endpoint *endpoint = &maps->endpoints[id];

	return endpoint->way != WAY_NONE && endpoint->owner == VIP_OWNER_OPERATOR &&
	       endpoint->pool == pool;
}

static void pool_write(const struct maps *maps, uint32_t id, const char *name, size_t endpoints)
{
	struct pool *pool = &maps->pools[id];

	pool->owner = VIP_OWNER_OPERATOR;
	pool->endpoints = (uint32_t)endpoints;
	snprintf(pool->name, sizeof(pool->name), "%s", name);
}

static void pool_free(const struct maps *maps, uint32_t id)
{
	memset(&maps->pools[id], 0, sizeof(maps->pools[id]));
}

/* ---- free ids, from the top ---- */

static int endpoint_id_find(const struct maps *maps, uint32_t *ret_id)
{
	for (uint32_t id = ENDPOINTS_MAX; id-- > 0;) {
		if (maps->endpoints[id].way == WAY_NONE) {
			*ret_id = id;
			return 0;
		}
	}
	return log_error(-ENOSPC, "endpoints: all %d ids are in use", ENDPOINTS_MAX);
}

static int pool_id_find(const struct maps *maps, const char *name, uint32_t *ret_id)
{
	uint32_t free_id = POOL_NONE;

	for (uint32_t id = POOLS_MAX; id-- > 0;) {
		const struct pool *pool = &maps->pools[id];

		if (!strncmp(pool->name, name, sizeof(pool->name)))
			return log_error(-EEXIST,
					 "pool '%s': there is one already, id %u; choose "
					 "another name with --pool",
					 name, id);
		if (free_id == POOL_NONE && !pool->name[0])
			free_id = id;
	}
	if (free_id == POOL_NONE)
		return log_error(-ENOSPC, "pools: all %d ids are in use", POOLS_MAX);
	*ret_id = free_id;
	return 0;
}

static int vip_id_mark(void *ctx, const struct vip_key *key, const struct vip *vip)
{
	bool *used = ctx;

	(void)key;
	if (vip->id < VIPS_MAX)
		used[vip->id] = true;
	return 0;
}

static int vip_id_find(const struct maps *maps, uint32_t *ret_id)
{
	bool used[VIPS_MAX] = {false};
	int err;

	err = vips_each(maps, vip_id_mark, used);
	if (err)
		return log_error(err, "vips: cannot walk the map (%s)", strerror(-err));
	for (uint32_t id = VIPS_MAX; id-- > 0;) {
		if (!used[id]) {
			*ret_id = id;
			return 0;
		}
	}
	return log_error(-ENOSPC, "vips: all %d ids are in use", VIPS_MAX);
}

/* ---- checks ---- */

static int family_check(const struct maps *maps, const struct vip_key *key,
			const struct endpoint_spec *spec)
{
	bool ipv4 = address_is_ipv4(&key->addr);
	char vip[VIP_TEXT_MAX], address[ADDRESS_TEXT_MAX];

	if (address_is_ipv4(&spec->addr) != ipv4)
		return log_error(-EAFNOSUPPORT,
				 "%s: endpoint %s is of the other IP family; NAT needs VIP and "
				 "endpoint of one family",
				 vip_key_format(key, vip),
				 address_port_format(&spec->addr, spec->port, address));
	if (address_is_zero(ipv4 ? &maps->contract.snat4 : &maps->contract.snat6))
		return log_error(-EAFNOSUPPORT,
				 "%s: no NAT source address of this family is set; load with "
				 "'sluice-loader load --snat ADDRESS'",
				 vip_key_format(key, vip));
	return 0;
}

static int specs_check(const struct maps *maps, const struct vip_key *key,
		       const struct endpoint_spec *specs, size_t count)
{
	char vip[VIP_TEXT_MAX], address[ADDRESS_TEXT_MAX];

	if (!count || count > REQUEST_ENDPOINTS_MAX)
		return log_error(-EINVAL, "%s: wants 1 to %d endpoints, each with --endpoint A:P",
				 vip_key_format(key, vip), REQUEST_ENDPOINTS_MAX);
	for (size_t i = 0; i < count; i++) {
		int err = family_check(maps, key, &specs[i]);

		if (err)
			return err;
		if (address_equal(&specs[i].addr, &key->addr))
			return log_error(-ELOOP,
					 "%s: its own address cannot be an endpoint of it; name "
					 "the servers behind it",
					 vip_key_format(key, vip));
		for (size_t j = 0; j < i; j++) {
			if (specs[i].port == specs[j].port &&
			    address_equal(&specs[i].addr, &specs[j].addr))
				return log_error(-EINVAL,
						 "%s: endpoint %s is named twice; say it "
						 "once, with *WEIGHT for a larger share",
						 vip_key_format(key, vip),
						 address_port_format(&specs[i].addr, specs[i].port,
								     address));
		}
	}
	return 0;
}

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

/* ---- members and ring ---- */

static void added_undo(const struct maps *maps, const struct members *members)
{
	for (size_t i = 0; i < members->added_count; i++)
		endpoint_free(maps, members->added[i]);
}

/* The endpoint of `pool` with this address, or a new one. */
static int member_make(const struct maps *maps, uint32_t pool, const struct endpoint_spec *spec,
		       struct members *members)
{
	struct ring_member *member = &members->all[members->count];
	int err;

	*member = (struct ring_member){
		.addr = spec->addr, .port = htons(spec->port), .weight = spec->weight};
	for (uint32_t id = ENDPOINTS_MAX; id-- > 0;) {
		const struct endpoint *endpoint = &maps->endpoints[id];

		if (endpoint_is_ours(maps, id, pool) && endpoint->port == member->port &&
		    address_equal(&endpoint->addr, &spec->addr)) {
			member->endpoint = id;
			members->count++;
			return 0;
		}
	}
	err = endpoint_id_find(maps, &member->endpoint);
	if (err)
		return err;
	endpoint_write(maps, member->endpoint, pool, spec);
	members->added[members->added_count++] = member->endpoint;
	members->count++;
	return 0;
}

static int members_make(const struct maps *maps, uint32_t pool, const struct endpoint_spec *specs,
			size_t count, struct members *members)
{
	for (size_t i = 0; i < count; i++) {
		int err = member_make(maps, pool, &specs[i], members);

		if (err)
			return err;
	}
	return 0;
}

static bool is_member(const struct members *members, uint32_t id)
{
	for (size_t i = 0; i < members->count; i++) {
		if (members->all[i].endpoint == id)
			return true;
	}
	return false;
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
	uint32_t size;
	int err;

	err = rings_get(maps, pool, &before, &size);
	if (err && err != -ENOENT)
		return log_error(err, "rings: cannot read the ring of pool %u (%s)", pool,
				 strerror(-err));
	err = ring_build(members->all, members->count, maps->contract.ring_seed, before,
			 clock_tick(), &after, &size);
	if (!err)
		err = rings_put(maps, pool, after, size);
	if (err)
		return log_error(err, "rings: cannot write the ring of pool %u (%s)", pool,
				 strerror(-err));
	done->ring_size = size;
	done->rows_moved = rows_moved(before, after);
	return 0;
}

/* Frees endpoints of `pool` that are no members, and counts the flows this cuts. */
static int others_free(const struct maps *maps, uint32_t pool, const struct members *members,
		       struct operator_vip *done)
{
	uint32_t ids[REQUEST_ENDPOINTS_MAX];
	struct remaining remaining;
	size_t count = 0;
	int err;

	for (uint32_t id = ENDPOINTS_MAX; id-- > 0 && count < ARRAY_SIZE(ids);) {
		if (endpoint_is_ours(maps, id, pool) && !is_member(members, id))
			ids[count++] = id;
	}
	if (!count)
		return 0;
	err = remaining_read(maps, ids, count, clock_monotonic_ns(), &remaining);
	for (size_t i = 0; i < count; i++)
		endpoint_free(maps, ids[i]);
	done->removed = (uint32_t)count;
	done->flows_cut = err ? 0 : remaining.flows;
	return err;
}

/* ---- the three changes ---- */

static int vip_switch_on(const struct maps *maps, const struct members *members,
			 const char *pool_name, struct operator_vip *done)
{
	char text[VIP_TEXT_MAX];
	int err;

	pool_write(maps, done->vip.pool, pool_name, members->count);
	err = ring_swap(maps, done->vip.pool, members, done);
	if (err) {
		pool_free(maps, done->vip.pool);
		return err;
	}
	err = vips_put(maps, &done->key, &done->vip);
	if (!err)
		return 0;
	rings_remove(maps, done->vip.pool);
	pool_free(maps, done->vip.pool);
	return log_error(err, "%s: cannot write it (%s)", vip_key_format(&done->key, text),
			 strerror(-err));
}

static int pool_name_make(const struct vip_key *key, const char *pool_name,
			  char name[sizeof(((struct pool *)0)->name)])
{
	size_t room = sizeof(((struct pool *)0)->name);
	char text[VIP_TEXT_MAX];

	if (pool_name && (!*pool_name || strlen(pool_name) >= room))
		return log_error(-EINVAL, "--pool '%s': a name has 1 to %zu bytes", pool_name,
				 room - 1);
	if (pool_name)
		snprintf(name, room, "%s", pool_name);
	else
		snprintf(name, room, NAME_PREFIX "%s", vip_key_format(key, text));
	return 0;
}

int operator_vip_add(const struct maps *maps, const struct vip_key *key, const char *pool_name,
		     const struct endpoint_spec *specs, size_t spec_count,
		     struct operator_vip *ret_done)
{
	struct operator_vip done = {
		.key = *key,
		.vip = {.mode = VIP_MODE_L4, .flags = VIP_F_NAT, .owner = VIP_OWNER_OPERATOR}};
	char name[sizeof(((struct pool *)0)->name)];
	struct members members = {0};
	int err;

	err = specs_check(maps, key, specs, spec_count);
	if (!err)
		err = vip_find_none(maps, key);
	if (!err)
		err = pool_name_make(key, pool_name, name);
	if (!err)
		err = vip_id_find(maps, &done.vip.id);
	if (!err)
		err = pool_id_find(maps, name, &done.vip.pool);
	if (err)
		return err;
	err = members_make(maps, done.vip.pool, specs, spec_count, &members);
	if (!err)
		err = vip_switch_on(maps, &members, name, &done);
	if (err) {
		added_undo(maps, &members);
		return err;
	}
	done.added = (uint32_t)members.added_count;
	*ret_done = done;
	return 0;
}

int operator_vip_set(const struct maps *maps, const struct vip_key *key,
		     const struct endpoint_spec *specs, size_t spec_count,
		     struct operator_vip *ret_done)
{
	struct operator_vip done = {.key = *key};
	struct members members = {0};
	int err;

	err = specs_check(maps, key, specs, spec_count);
	if (!err)
		err = vip_find_ours(maps, key, &done.vip);
	if (err)
		return err;
	err = members_make(maps, done.vip.pool, specs, spec_count, &members);
	if (!err)
		err = ring_swap(maps, done.vip.pool, &members, &done);
	if (err) {
		added_undo(maps, &members);
		return err;
	}
	done.added = (uint32_t)members.added_count;
	done.kept = (uint32_t)(members.count - members.added_count);
	maps->pools[done.vip.pool].endpoints = (uint32_t)members.count;
	err = others_free(maps, done.vip.pool, &members, &done);
	*ret_done = done;
	return err;
}

int operator_vip_remove(const struct maps *maps, const struct vip_key *key,
			struct operator_vip *ret_done)
{
	static const struct members none;
	struct operator_vip done = {.key = *key};
	char text[VIP_TEXT_MAX];
	int err;

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
	err = others_free(maps, done.vip.pool, &none, &done);
	pool_free(maps, done.vip.pool);
	*ret_done = done;
	return err;
}
