/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows of bench l4 about Maglev rings: what building one takes, how evenly it
 * spreads, and how many rows change their endpoint beyond those that must. */
#ifndef SLUICE_BENCH_L4_RINGS_H
#define SLUICE_BENCH_L4_RINGS_H

void l4_rings_run(void);

#endif
