// SPDX-License-Identifier: BSD-2-Clause
/* Rings: how evenly a pool's rows are shared, and how many the last swap moved. */
#include "maps/cli/view.h"

#include <errno.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

static const struct column columns[] = {
	{"pool", COLUMN_TEXT, .identity = true, .about = "whose ring"},
	{"id", COLUMN_NUMBER, .about = "of the pool"},
	{"rows", COLUMN_NUMBER, .about = "size of the ring, a prime"},
	{"swapped_at", COLUMN_NUMBER, .about = "tick (1.07 s) of the last swap; 0: never"},
	{"endpoints", COLUMN_NUMBER, .about = "that have rows"},
	{"fewest", COLUMN_NUMBER, .about = "rows of the endpoint with the fewest"},
	{"most", COLUMN_NUMBER, .about = "rows of the endpoint with the most"},
	{"empty", COLUMN_NUMBER, .about = "rows that lead nowhere"},
	{"moved", COLUMN_NUMBER, .about = "rows whose endpoint the last swap changed"},
};

struct shares {
	uint32_t endpoints, fewest, most, empty, moved;
};

static int shares_count(const struct ring_slot *slots, uint32_t size, struct shares *ret_shares)
{
	_cleanup_free_ uint32_t *rows = calloc(ENDPOINTS_MAX, sizeof(*rows));
	struct shares shares = {.fewest = size};

	if (!rows)
		return -ENOMEM;
	for (uint32_t row = 1; row <= size; row++) {
		if (slots[row].endpoint < ENDPOINTS_MAX)
			rows[slots[row].endpoint]++;
		else
			shares.empty++;
		shares.moved += slots[row].previous != ENDPOINT_NONE &&
				slots[row].previous != slots[row].endpoint;
	}
	for (uint32_t id = 0; id < ENDPOINTS_MAX; id++) {
		if (!rows[id])
			continue;
		shares.endpoints++;
		if (rows[id] < shares.fewest)
			shares.fewest = rows[id];
		if (rows[id] > shares.most)
			shares.most = rows[id];
	}
	if (!shares.endpoints)
		shares.fewest = 0;
	*ret_shares = shares;
	return 0;
}

static int row_push(const struct maps *maps, uint32_t pool, struct table *table)
{
	_cleanup_free_ struct ring_slot *slots = NULL;
	struct shares shares = {0};
	uint32_t size;
	int err;

	err = rings_get(maps, pool, &slots, &size);
	if (err == -ENOENT) /* L7 pools need none */
		return 0;
	if (!err)
		err = shares_count(slots, size, &shares);
	if (err)
		return log_error(err, "rings: cannot read the ring of pool %u (%s)", pool,
				 strerror(-err));
	table_row(table);
	view_push_pool(table, maps, pool);
	table_push_number(table, pool);
	table_push_number(table, size);
	table_push_number(table, slots[0].swapped_at);
	table_push_number(table, shares.endpoints);
	table_push_number(table, shares.fewest);
	table_push_number(table, shares.most);
	table_push_number(table, shares.empty);
	table_push_number(table, shares.moved);
	return 0;
}

static int fill(const struct request *request, const struct maps *maps, const struct view_now *now,
		struct table *table)
{
	int err = 0;

	(void)request;
	(void)now;
	for (uint32_t pool = 0; !err && pool < POOLS_MAX; pool++)
		err = row_push(maps, pool, table);
	return err;
}

const struct view view_rings = {
	.name = "rings",
	.about = "Maglev rings of the pools of L4 VIPs",
	.empty = "no rings; only pools of L4 VIPs have one",
	VIEW_COLUMNS(columns),
	.fill = fill,
};
