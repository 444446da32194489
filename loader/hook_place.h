/* SPDX-License-Identifier: BSD-2-Clause */
/* HOOK_SHARED: a place in libxdp's dispatcher.
 *
 * Its record, PIN_DIR/links/DEV-shared, is a pin of the instance's contract map, by which our
 * program is known in a dispatcher.  It comes before the program and goes after it. */
#ifndef SLUICE_LOADER_HOOK_PLACE_H
#define SLUICE_LOADER_HOOK_PLACE_H

#include <stdint.h>

struct hook;
struct objects_settings;
struct pin_dirs;

/* `map_fds`: the instance's.  Does not log: what libxdp and the kernel say. */
int place_attach(const struct pin_dirs *dirs, const char *device, uint32_t ifindex,
		 const int *map_fds, const struct objects_settings *settings, uint32_t priority);
/* A new program joins where the old one is, with its priority, then the old one leaves: for a
 * moment a packet passed by one is judged by both, and none is by neither.  Does not log. */
int place_exchange(const struct hook *hook, const int *map_fds,
		   const struct objects_settings *settings);
/* Takes away what an interrupted exchange left beside the newest program.  Does not log. */
int place_complete(const struct hook *hook, const int *map_fds);

/* For hook.c: fills ifindex and program_id; the removal without that of the record.  `record`
 * is an open descriptor of it. */
void place_read(int record, struct hook *hook);
int place_detach(int record, const struct hook *hook);

#endif
