/* SPDX-License-Identifier: BSD-2-Clause */
/* One sluicectl writes at a time: two would hand out the same ids. */
#ifndef SLUICE_CLI_OPERATOR_LOCK_H
#define SLUICE_CLI_OPERATOR_LOCK_H

#include "maps/access/maps.h"
#include "userspace/base/instance.h"

/* Waits for the lock, then opens the maps as the operator; closing *ret_lock_fd
 * unlocks.  The lock is on the directory of pins, so it leaves no file.  -errno
 * after a message. */
int operator_maps_open(const struct instance *instance, struct maps **ret_maps, int *ret_lock_fd);

#endif
