/* SPDX-License-Identifier: BSD-2-Clause */
/* Network namespaces by inode, as the kernel names them in link information. */
#ifndef SLUICE_BASE_NETNS_H
#define SLUICE_BASE_NETNS_H

#include <stdint.h>

/* The inode of this process's network namespace; 0 if it cannot be read. */
uint64_t netns_own(void);

/* Moves this process there, if it is elsewhere.  -ENOENT: no such namespace is
 * mounted in /run/netns or has a process. */
int netns_enter(uint64_t inode);

#endif
