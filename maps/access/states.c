// SPDX-License-Identifier: BSD-2-Clause
/* What the records mean together, and their names for people.
 *
 * What the operator wants comes before what was observed, so that a maintained
 * endpoint says so whatever its probes see; a sentence about another generation
 * of the id does not count. */
#include "maps/access/maps.h"

#include <errno.h>

#include "userspace/base/cleanup.h"

static uint8_t stricter(uint8_t a, uint8_t b)
{
	return a > b ? a : b;
}

/* The stricter of the endpoint's and its cluster's; names no state we know: out. */
static enum admin_state admin_of(const struct maps *maps, uint32_t id, uint32_t generation)
{
	const struct admin *own = &maps->admin[id];
	uint32_t cluster = maps->endpoints[id].cluster;
	uint8_t state = ADMIN_READY;

	if (__atomic_load_n(&own->generation, __ATOMIC_RELAXED) == generation)
		state = own->state;
	if (cluster < CLUSTERS_MAX)
		state = stricter(state, maps->admin[ADMIN_CLUSTER_BASE + cluster].state);
	return state < ADMIN_COUNT ? (enum admin_state)state : ADMIN_MAINT;
}

enum endpoint_use endpoint_use(const struct maps *maps, uint32_t id, uint32_t generation)
{
	enum admin_state wanted;
	uint32_t now;

	if (id >= ENDPOINTS_MAX || maps->endpoints[id].way == WAY_NONE)
		return ENDPOINT_FREE;
	now = __atomic_load_n(&maps->endpoints[id].generation, __ATOMIC_RELAXED);
	if (generation && generation != now)
		return ENDPOINT_FREE;
	wanted = admin_of(maps, id, now);
	if (wanted == ADMIN_MAINT)
		return ENDPOINT_MAINT;
	if (maps->health[id].generation == now && maps->health[id].state == HEALTH_DOWN)
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
		uint64_t words[2];
	} value = {.admin = *admin};
	uint64_t *into;

	if (maps->role != MAPS_OPERATOR)
		return -EPERM;
	if (slot >= ADMIN_SLOTS || admin->state >= ADMIN_COUNT)
		return -EINVAL;
	/* state, weight and generation are one word: whole for every reader */
	into = (uint64_t *)(void *)&maps->admin[slot];
	__atomic_store_n(&into[1], value.words[1], __ATOMIC_RELAXED);
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

static const char *const health_reasons[HEALTH_REASON_COUNT] = {
#define X(id, name, text) [id] = name,
	HEALTH_REASON_LIST(X)
#undef X
};

static const char *const admin_states[ADMIN_COUNT] = {"READY", "DRAIN", "MAINT"};
static const char *const health_states[HEALTH_COUNT] = {"UNKNOWN", "UP", "DOWN"};
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
