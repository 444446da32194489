/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel.bpf_stats_enabled = 0 while a bench runs: the statistics add 80 to 100 ns
 * to every run of a program.  Put back as it was when the process is gone, however
 * it ended: a child waits for that. */
#ifndef SLUICE_BENCH_STATS_OFF_H
#define SLUICE_BENCH_STATS_OFF_H

#include <stdbool.h>

/* Once a process, before anything is measured.  0 or -errno. */
int stats_off(void);
/* Has somebody turned them on since? */
bool stats_are_off(void);

#endif
