/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice-controller as one object: sources to plan to maps, watched endpoints,
 * pages.  Its death leaves the maps serving; its next life adopts them. */
#ifndef SLUICE_CONTROLLER_CONTROLLER_H
#define SLUICE_CONTROLLER_CONTROLLER_H

#include "userspace/controller/options.h"

/* Runs until SIGTERM or SIGINT; 0 then.  Everything that stops it is logged. */
int controller_run(const struct controller_options *options);

#endif
