/* SPDX-License-Identifier: BSD-2-Clause */
/* One controller an instance: a lock on the pid file, held while it runs.  The
 * kernel lets go of it however the process ends. */
#ifndef SLUICE_CONTROLLER_INSTANCE_LOCK_H
#define SLUICE_CONTROLLER_INSTANCE_LOCK_H

/* Takes the lock on `path` and writes our pid into it.  *ret_fd holds it.
 * -EBUSY after a message that names the pid of the one that has it. */
int instance_lock_take(const char *path, const char *instance, int *ret_fd);

/* Removes the file and lets go; *fd becomes -1.  Fine when it is -1. */
void instance_lock_release(const char *path, int *fd);

#endif
