// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/publish/live_sweep.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "maps/access/maps.h"
#include "userspace/base/clock.h"

struct live_sweep {
	struct maps *maps;
	struct live_portion portion;
	bool under_way;
	struct walk_position nat; /* how far it has come, */
	uint32_t next_set; /* and then here */
	struct nat_client_counts *clients; /* NULL: they have no cap */
	struct walk_position corrected; /* of them, at last */
	bool published; /* map `live` has records of ours */
	bool pools[POOLS_MAX]; /* behind an L4 VIP */
	uint32_t generations[ENDPOINTS_MAX]; /* when the sweep began; 0: not counted */
	uint32_t opened[ENDPOINTS_MAX];
	uint32_t flows[ENDPOINTS_MAX];
};

int live_sweep_new(struct maps *maps, struct live_portion portion, struct live_sweep **ret_sweep)
{
	struct live_sweep *sweep = calloc(1, sizeof(*sweep));

	if (!sweep)
		return -ENOMEM;
	sweep->maps = maps;
	sweep->portion = portion;
	sweep->published = true; /* a controller before us may have left some */
	if (maps->contract.nat_client_max && nat_client_counts_new(maps, &sweep->clients) < 0) {
		free(sweep);
		return -ENOMEM;
	}
	*ret_sweep = sweep;
	return 0;
}

void live_sweep_free(struct live_sweep *sweep)
{
	if (sweep)
		nat_client_counts_free(sweep->clients);
	free(sweep);
}

static int vip_note(void *ctx, const struct vip_key *key, const struct vip *vip)
{
	struct live_sweep *sweep = ctx;

	(void)key;
	if (vip->mode == VIP_MODE_L4 && vip->pool < POOLS_MAX)
		sweep->pools[vip->pool] = true;
	return 0;
}

static bool any(const bool *flags, size_t count)
{
	return memchr(flags, true, count) != NULL;
}

static bool endpoint_counts(const struct live_sweep *sweep, const struct endpoint *endpoint)
{
	return endpoint->way != WAY_NONE && endpoint->pool < POOLS_MAX &&
	       sweep->pools[endpoint->pool];
}

static void void_record(struct live *record)
{
	if (record->generation)
		__atomic_store_n(&record->generation, 0, __ATOMIC_RELAXED);
}

static void all_void(struct live_sweep *sweep)
{
	for (uint32_t id = 0; sweep->published && id < ENDPOINTS_MAX; id++)
		void_record(&sweep->maps->live[id]);
	sweep->published = false;
}

/* XDP reads while we write: a record that changes its endpoint is void meanwhile; in
 * one that stays, numbers of two sweeps may be mixed for some nanoseconds. */
static void record_store(struct live *into, const struct live *record)
{
	if (into->generation != record->generation)
		__atomic_store_n(&into->generation, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&into->opened, record->opened, __ATOMIC_RELAXED);
	__atomic_store_n(&into->flows, record->flows, __ATOMIC_RELAXED);
	__atomic_store_n(&into->cost, record->cost, __ATOMIC_RELAXED);
	__atomic_store_n(&into->weight, record->weight, __ATOMIC_RELAXED);
	__atomic_store_n(&into->counted_at, record->counted_at, __ATOMIC_RELAXED);
	__atomic_store_n(&into->generation, record->generation, __ATOMIC_RELEASE);
}

static void publish(struct live_sweep *sweep)
{
	const struct maps *maps = sweep->maps;
	uint64_t now_ns = clock_realtime_ns();

	for (uint32_t id = 0; id < ENDPOINTS_MAX; id++) {
		const struct live_facts facts = {
			.generation = sweep->generations[id],
			.flows = sweep->flows[id],
			.opened = sweep->opened[id],
			.load = maps->load[id],
			.admin = maps->admin[id],
			.now_ns = now_ns,
		};
		struct live record = live_record(&facts);

		/* another one by now: the next sweep counts it */
		if (!facts.generation || endpoint_use(maps, id, facts.generation) == ENDPOINT_FREE)
			void_record(&maps->live[id]);
		else
			record_store(&maps->live[id], &record);
	}
	sweep->published = true;
}

/* Who is counted, with what was opened until now. */
static void endpoints_note(struct live_sweep *sweep)
{
	const struct maps *maps = sweep->maps;

	for (uint32_t id = 0; id < ENDPOINTS_MAX; id++) {
		bool counts = endpoint_counts(sweep, &maps->endpoints[id]);

		sweep->generations[id] = counts ? maps->endpoints[id].generation : 0;
		sweep->opened[id] = __atomic_load_n(&maps->opens[id].count, __ATOMIC_ACQUIRE);
		sweep->flows[id] = 0;
	}
}

/* under_way, or there is no L4 VIP. */
static int begin(struct live_sweep *sweep)
{
	int err;

	memset(sweep->pools, 0, sizeof(sweep->pools));
	err = vips_each(sweep->maps, vip_note, sweep);
	if (err || !any(sweep->pools, POOLS_MAX))
		return err;
	endpoints_note(sweep);
	sweep->nat = (struct walk_position){0};
	sweep->next_set = 0;
	sweep->corrected = (struct walk_position){.done = !sweep->clients};
	if (sweep->clients)
		nat_client_counts_begin(sweep->clients);
	sweep->under_way = true;
	return 0;
}

static bool is_counted(const struct live_sweep *sweep)
{
	return sweep->next_set >= sweep->maps->contract.flow_sets;
}

/* A portion of the NAT table, when that is done one of the other, then of the clients. */
static int count(struct live_sweep *sweep)
{
	int err = 0;

	if (!sweep->nat.done)
		err = nat_flows_count_part(sweep->maps, &sweep->nat, sweep->portion.nat_flows,
					   clock_monotonic_ns(), sweep->flows, sweep->clients);
	if (err || !sweep->nat.done)
		return err;
	if (!is_counted(sweep)) {
		flow_table_count_part(sweep->maps, sweep->next_set, sweep->portion.sets,
				      clock_tick(), sweep->flows);
		sweep->next_set += sweep->portion.sets;
	}
	if (is_counted(sweep) && sweep->clients)
		err = nat_clients_correct_part(sweep->maps, sweep->clients, &sweep->corrected,
					       sweep->portion.nat_flows);
	return err;
}

int live_sweep_step(struct live_sweep *sweep, enum live_step *ret_step)
{
	int err = sweep->under_way ? 0 : begin(sweep);

	if (!err && !sweep->under_way) {
		all_void(sweep);
		*ret_step = LIVE_IDLE;
		return 0;
	}
	if (!err)
		err = count(sweep);
	if (err) {
		sweep->under_way = false;
		return err;
	}
	*ret_step = LIVE_PART;
	if (is_counted(sweep) && sweep->corrected.done) {
		publish(sweep);
		sweep->under_way = false;
		*ret_step = LIVE_DONE;
	}
	return 0;
}
