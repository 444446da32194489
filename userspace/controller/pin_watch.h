/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether the maps we hold are still the pinned ones: 'sluice-loader unload' and
 * 'load' make new ones, and writing the old ones on would serve nobody. */
#ifndef SLUICE_CONTROLLER_PIN_WATCH_H
#define SLUICE_CONTROLLER_PIN_WATCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "userspace/base/instance.h"

struct pin_watch {
	char path[2 * INSTANCE_PATH_MAX];
	ino_t held; /* pin of the map we have open */
	ino_t other; /* another one seen by the last check, 0: none */
	bool gone; /* said that the pin is missing */
};

/* After the maps were opened.  -errno when the pin cannot be looked at. */
int pin_watch_init(struct pin_watch *watch, const struct instance *instance);

/* True when other maps are pinned now, and were at the check before too: a load
 * that is under way is given time to end.  Logs what it finds, once. */
bool pin_watch_check(struct pin_watch *watch);

#endif
