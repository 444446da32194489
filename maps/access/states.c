// SPDX-License-Identifier: BSD-2-Clause
/* What the records mean together, and their names for people.
 *
 * What the operator wants comes before what was observed, so that a maintained
 * endpoint says so whatever its probes see; a sentence about another generation
 * of the id does not count. */
#include "maps/access/maps.h"

#include <errno.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

static uint32_t generation_of(const struct maps *maps, uint32_t id)
{
	return __atomic_load_n(&maps->endpoints[id].generation, __ATOMIC_RELAXED);
}

static enum admin_state admin_at(const struct maps *maps, uint32_t slot, uint32_t generation)
{
	const struct admin *said = &maps->admin[slot];

	if (__atomic_load_n(&said->generation, __ATOMIC_RELAXED) != generation)
		return ADMIN_READY;
	return said->state < ADMIN_COUNT ? (enum admin_state)said->state : ADMIN_MAINT;
}

enum admin_state endpoint_admin(const struct maps *maps, uint32_t id)
{
	return admin_at(maps, id, generation_of(maps, id));
}

enum admin_state cluster_admin(const struct maps *maps, uint32_t cluster)
{
	return admin_at(maps, ADMIN_CLUSTER_BASE + cluster, 0);
}

static uint64_t drain_until_at(const struct maps *maps, uint32_t slot, uint32_t generation)
{
	if (admin_at(maps, slot, generation) != ADMIN_DRAIN)
		return 0;
	return __atomic_load_n(&maps->admin[slot].drain_until, __ATOMIC_RELAXED);
}

uint64_t cluster_drain_until(const struct maps *maps, uint32_t cluster)
{
	return drain_until_at(maps, ADMIN_CLUSTER_BASE + cluster, 0);
}

uint64_t endpoint_drain_until(const struct maps *maps, uint32_t id)
{
	uint32_t cluster = maps->endpoints[id].cluster;
	uint64_t own = drain_until_at(maps, id, generation_of(maps, id)), whole = 0;

	if (cluster < CLUSTERS_MAX)
		whole = cluster_drain_until(maps, cluster);
	if (!own || !whole)
		return own ?: whole;
	return own < whole ? own : whole;
}

struct health endpoint_health(const struct maps *maps, uint32_t id)
{
	struct health seen = maps->health[id];

	return seen.generation == generation_of(maps, id) ? seen : (struct health){0};
}

struct load endpoint_load(const struct maps *maps, uint32_t id)
{
	struct load sample = maps->load[id];

	return sample.generation == generation_of(maps, id) ? sample : (struct load){0};
}

/* The stricter of the endpoint's and its cluster's.  The clock is read only where a
 * drain has a deadline. */
static enum admin_state admin_of(const struct maps *maps, uint32_t id)
{
	uint32_t cluster = maps->endpoints[id].cluster;
	enum admin_state own = endpoint_admin(maps, id), whole = ADMIN_READY;

	if (cluster < CLUSTERS_MAX)
		whole = cluster_admin(maps, cluster);
	own = own > whole ? own : whole;
	if (own == ADMIN_DRAIN) {
		uint64_t until = endpoint_drain_until(maps, id);

		if (until && clock_monotonic_ns() >= until)
			return ADMIN_MAINT;
	}
	return own;
}

enum endpoint_use endpoint_use(const struct maps *maps, uint32_t id, uint32_t generation)
{
	enum admin_state wanted;

	if (id >= ENDPOINTS_MAX || maps->endpoints[id].way == WAY_NONE)
		return ENDPOINT_FREE;
	if (generation && generation != generation_of(maps, id))
		return ENDPOINT_FREE;
	wanted = admin_of(maps, id);
	if (wanted == ADMIN_MAINT)
		return ENDPOINT_MAINT;
	if (endpoint_health(maps, id).state == HEALTH_DOWN)
		return ENDPOINT_DOWN;
	return wanted == ADMIN_DRAIN ? ENDPOINT_DRAINING : ENDPOINT_USABLE;
}

struct inflight inflight_sum(const struct maps *maps, uint32_t endpoint)
{
	struct inflight sum = {0};

	for (uint32_t row = 0; row < WORKERS_MAX && endpoint < ENDPOINTS_MAX; row++) {
		const struct inflight *one =
			&maps->inflight[(size_t)row * ENDPOINTS_MAX + endpoint];

		sum.requests += __atomic_load_n(&one->requests, __ATOMIC_RELAXED);
		sum.waiting += __atomic_load_n(&one->waiting, __ATOMIC_RELAXED);
		sum.uncached_tokens += __atomic_load_n(&one->uncached_tokens, __ATOMIC_RELAXED);
	}
	return sum;
}

int admin_put(const struct maps *maps, uint32_t slot, const struct admin *admin)
{
	union {
		struct admin admin;
		uint64_t words[3];
	} value = {.admin = *admin};
	uint64_t *into;

	if (maps->role != MAPS_OPERATOR)
		return -EPERM;
	if (slot >= ADMIN_SLOTS || admin->state >= ADMIN_COUNT)
		return -EINVAL;
	/* state, weight and generation are one word: whole for every reader */
	into = (uint64_t *)(void *)&maps->admin[slot];
	__atomic_store_n(&into[1], value.words[1], __ATOMIC_RELAXED);
	__atomic_store_n(&into[2], value.words[2], __ATOMIC_RELAXED);
	__atomic_store_n(&into[0], value.words[0], __ATOMIC_RELEASE);
	return 0;
}

static const struct {
	const char *name;
	const char *text;
	bool drops;
} verdicts[VERDICT_COUNT] = {
#define X(id, name, text, drop) [id] = {name, text, drop},
	VERDICT_LIST(X)
#undef X
};

static const struct {
	const char *name;
	const char *text;
} whys[WHY_COUNT] = {
#define X(id, name, text) [id] = {name, text},
	WHY_LIST(X)
#undef X
};

static const char *const health_reasons[HEALTH_REASON_COUNT] = {
#define X(id, name, text) [id] = name,
	HEALTH_REASON_LIST(X)
#undef X
};

static const char *const admin_states[ADMIN_COUNT] = {"READY", "DRAIN", "MAINT"};
static const char *const health_states[HEALTH_COUNT] = {"UNKNOWN", "UP", "DOWN"};
static const char *const endpoint_ways[WAY_COUNT] = {"none", "nat", "ipip", "gue", "l2"};
static const char *const vip_picks[VIP_PICK_COUNT] = {"maglev", "least"};
static const char *const vip_downs[VIP_DOWN_COUNT] = {"reset", "drop"};
static const char *const endpoint_uses[] = {"free", "usable", "draining", "down", "maint"};

/* Values come from shared memory: any may be there. */
static const char *name_at(const char *const *names, size_t count, size_t index)
{
	return index < count ? names[index] : "invalid";
}

const char *verdict_name(enum verdict verdict)
{
	return (size_t)verdict < VERDICT_COUNT ? verdicts[verdict].name : "invalid";
}

const char *verdict_text(enum verdict verdict)
{
	return (size_t)verdict < VERDICT_COUNT ? verdicts[verdict].text : "no verdict of ours";
}

bool verdict_drops(enum verdict verdict)
{
	return (size_t)verdict < VERDICT_COUNT && verdicts[verdict].drops;
}

const char *why_name(enum why why)
{
	return (size_t)why < WHY_COUNT ? whys[why].name : "invalid";
}

const char *why_text(enum why why)
{
	return (size_t)why < WHY_COUNT ? whys[why].text : "no reason of ours";
}

const char *admin_state_name(uint8_t state)
{
	return name_at(admin_states, ARRAY_SIZE(admin_states), state);
}

const char *health_state_name(uint8_t state)
{
	return name_at(health_states, ARRAY_SIZE(health_states), state);
}

const char *health_reason_name(uint8_t reason)
{
	return name_at(health_reasons, ARRAY_SIZE(health_reasons), reason);
}

const char *endpoint_use_name(enum endpoint_use use)
{
	return name_at(endpoint_uses, ARRAY_SIZE(endpoint_uses), (size_t)use);
}

const char *endpoint_way_name(uint8_t way)
{
	return name_at(endpoint_ways, WAY_COUNT, way);
}

const char *vip_pick_name(uint8_t pick)
{
	return name_at(vip_picks, VIP_PICK_COUNT, pick);
}

const char *vip_down_name(uint8_t down)
{
	return name_at(vip_downs, VIP_DOWN_COUNT, down);
}
