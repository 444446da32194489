/* SPDX-License-Identifier: BSD-2-Clause */
/* Where an instance's kernel objects are pinned, and how that is changed whole.
 *
 *   PIN_DIR/MAP             one a map of the catalogue
 *   PIN_DIR/programs/NAME   the programs
 *   PIN_DIR/links/DEV-HOOK  what holds them to devices and namespace (hook.h);
 *                           read by maps/access/attachments.c too
 *
 * A load pins into a directory beside it and renames; an unload renames it away
 * and removes.  Instance names have no underscore, so those two cannot be
 * anybody's instance. */
#ifndef SLUICE_LOADER_PIN_H
#define SLUICE_LOADER_PIN_H

#include <stdbool.h>

#include "userspace/base/instance.h"

#define PIN_PATH_MAX 384

struct pin_dirs {
	char instance[INSTANCE_NAME_MAX];
	char live[INSTANCE_PATH_MAX];
	char loading[INSTANCE_PATH_MAX + 16];
	char unloading[INSTANCE_PATH_MAX + 16];
	char programs[INSTANCE_PATH_MAX + 16]; /* of live */
	char links[INSTANCE_PATH_MAX + 16]; /* of live */
};

void pin_dirs_init(struct pin_dirs *dirs, const struct instance *instance);

/* Is there a live pin directory? */
bool pin_is_loaded(const struct pin_dirs *dirs);

/* Mounts bpffs on /sys/fs/bpf if nothing is there, makes INSTANCE_BPFFS.  Logs. */
int pin_root_make(void);

/* Makes `directory`, empty, removing what an interrupted run left there.  Logs. */
int pin_directory_make(const char *directory);

/* Removes a directory of pins and all below it; fine when it is gone.  Logs. */
int pin_tree_remove(const char *directory);

/* Pins `fd` at DIRECTORY/NAME, over an older pin if there is one.  Logs. */
int pin_put(int fd, const char *directory, const char *name);

/* The instance's lock, held until *ret_fd is closed: one loader at a time.
 * Waits.  Logs. */
int pin_lock(const struct instance *instance, int *ret_fd);
/* Removes the run directory if nothing is in it.  Call with the lock held. */
void pin_run_dir_remove(const struct instance *instance);

#endif
