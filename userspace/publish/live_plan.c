// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/publish/live_plan.h"

#include <stdbool.h>

static bool load_is_fresh(const struct live_facts *facts)
{
	const struct load *load = &facts->load;

	/* the clock may have been set back: a sample of the future is one of now */
	return load->sampled_at && load->generation == facts->generation &&
	       load->sampled_at + LIVE_LOAD_FRESH_NS > facts->now_ns;
}

static uint32_t cost_of(const struct load *load)
{
	uint64_t cost = (uint64_t)load->running + load->waiting;

	return cost > UINT32_MAX ? UINT32_MAX : (uint32_t)cost;
}

struct live live_record(const struct live_facts *facts)
{
	const struct admin *admin = &facts->admin;
	bool weighed = admin->generation == facts->generation && admin->weight;
	uint32_t weight = weighed ? admin->weight : 100;

	return (struct live){
		.generation = facts->generation,
		.flows = facts->flows,
		.opened = facts->opened,
		.cost = load_is_fresh(facts) ? cost_of(&facts->load) : 0,
		.weight = weight > 10000 ? 10000 : weight,
		.counted_at = facts->now_ns,
	};
}

static uint64_t at_least(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t live_pause_ns(enum live_step step, uint64_t took_ns, uint64_t since_ns)
{
	uint64_t pause = took_ns * LIVE_SHARE;

	if (step == LIVE_IDLE)
		return at_least(pause, LIVE_IDLE_NS);
	if (step == LIVE_DONE && since_ns < LIVE_INTERVAL_MIN_NS)
		return at_least(pause, LIVE_INTERVAL_MIN_NS - since_ns);
	return pause;
}
