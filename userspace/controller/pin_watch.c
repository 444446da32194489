// SPDX-License-Identifier: BSD-2-Clause
/* Every pin is an inode of its own, so the number tells maps apart. */
#include "userspace/controller/pin_watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "userspace/base/log.h"

int pin_watch_init(struct pin_watch *watch, const struct instance *instance)
{
	struct stat pin;

	*watch = (struct pin_watch){0};
	snprintf(watch->path, sizeof(watch->path), "%s/contract", instance->pin_dir);
	if (stat(watch->path, &pin) < 0)
		return log_error(-errno, "%s: cannot be looked at (%s)", watch->path,
				 strerror(errno));
	watch->held = pin.st_ino;
	return 0;
}

bool pin_watch_check(struct pin_watch *watch)
{
	struct stat pin;
	bool again;

	if (stat(watch->path, &pin) < 0) {
		if (!watch->gone)
			log_warning("%s: no longer pinned; nothing is served until "
				    "'sluice-loader load'",
				    watch->path);
		watch->gone = true;
		watch->other = 0;
		return false;
	}
	watch->gone = false;
	if (pin.st_ino == watch->held) {
		watch->other = 0;
		return false;
	}
	again = pin.st_ino == watch->other;
	watch->other = pin.st_ino;
	if (again)
		log_info("%s: other maps are pinned now; starting over with them", watch->path);
	return again;
}
