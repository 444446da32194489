/* SPDX-License-Identifier: BSD-2-Clause */
/* What a process does to itself. */
#ifndef SLUICE_PROXY_PROCESS_H
#define SLUICE_PROXY_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

/* Closes every descriptor above 2 that is not in the list (-1 entries are
 * ignored), so that a child holds nothing of its parent's by accident. */
void process_keep_only(const int *fds, size_t count);

/* The name that ps and top show. */
void process_set_name(const char *name);

/* Gives up all capabilities and the way to gain any by exec.  Logs. */
int process_drop_capabilities(void);

/* A descriptor that becomes readable when the process ends.  -ESRCH: it has. */
int process_watch(pid_t pid, int *ret_fd);

/* Raises the soft limit of open files to the hard one. */
void process_raise_files(void);

#endif
