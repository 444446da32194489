/* SPDX-License-Identifier: BSD-2-Clause */
/* Sums over the endpoints of a pool or a cluster. */
#ifndef SLUICE_CLI_TALLY_H
#define SLUICE_CLI_TALLY_H

#include <stdint.h>

#include "maps/access/maps.h"
#include "maps/cli/table.h"

struct tally {
	uint64_t endpoints, usable, draining, down, maint;
	uint64_t waiting, running; /* in the engines, by the last samples */
	uint64_t in_flight; /* from this gateway */
};

struct tally tally_pool(const struct maps *maps, uint32_t pool);
struct tally tally_cluster(const struct maps *maps, uint32_t cluster);
/* Eight cells, in the order of the struct. */
void tally_push(const struct tally *tally, struct table *table);

#endif
