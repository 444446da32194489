/* SPDX-License-Identifier: BSD-2-Clause */
/* The TC program on kernels without TCX (before 6.6): a filter on one side of the
 * clsact qdisc, known by its handle, of which every instance has its own. */
#ifndef SLUICE_LOADER_CLSACT_H
#define SLUICE_LOADER_CLSACT_H

#include <stdbool.h>
#include <stdint.h>

enum clsact_side { CLSACT_INGRESS, CLSACT_EGRESS };

/* The handle of an instance's filters. */
uint32_t clsact_handle(const char *instance);

/* Makes the qdisc.  -EEXIST: the device has one already. */
int clsact_qdisc_make(uint32_t ifindex);
/* Puts the filter there.  -EEXIST: one with that handle is there. */
int clsact_filter_put(uint32_t ifindex, enum clsact_side side, uint32_t handle, int program_fd);
/* Gives it another program in one step. */
int clsact_filter_replace(uint32_t ifindex, enum clsact_side side, uint32_t handle, int program_fd);
/* Is it there?  *ret_program_id is its program's id. */
int clsact_filter_find(uint32_t ifindex, enum clsact_side side, uint32_t handle,
		       uint32_t *ret_program_id);
int clsact_filter_remove(uint32_t ifindex, enum clsact_side side, uint32_t handle);
/* Removes the qdisc unless somebody else has filters on it (-EBUSY). */
int clsact_qdisc_remove(uint32_t ifindex);

#endif
