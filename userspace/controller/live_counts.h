/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps map `live` up to date by the loop's timer, for at most 1 % of one core. */
#ifndef SLUICE_CONTROLLER_LIVE_COUNTS_H
#define SLUICE_CONTROLLER_LIVE_COUNTS_H

struct live_counts;
struct loop;
struct maps;

/* maps: role MAPS_CONTROLLER; both borrowed.  Begins in the loop's next turn. */
int live_counts_new(struct loop *loop, struct maps *maps, struct live_counts **ret_counts);
void live_counts_free(struct live_counts *counts);

#endif
