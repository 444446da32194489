/* SPDX-License-Identifier: BSD-2-Clause */
/* Which worker counts in which row of `inflight`, of the metrics and of the clients.
 *
 * Row K belongs to whoever holds an OFD lock on byte K of a file in the run
 * directory.  The kernel lets go of it when the worker ends, however that
 * happens and whoever its parent was; what the dead worker had counted as in
 * flight or connected is cleared by the next one who gets the lock: the parent's sweep, or a
 * worker that takes the row over.  `clients` may be NULL. */
#ifndef SLUICE_PROXY_ROWS_H
#define SLUICE_PROXY_ROWS_H

#include <stdint.h>

struct client_table;
struct maps;
struct proxy_metrics;

/* The first row that is free.  *ret_fd holds it for as long as it is open and
 * must not be inherited by another process.  -ENOSPC: all are held.  Logs. */
int row_claim(const char *path, struct maps *maps, struct proxy_metrics *metrics,
	      struct client_table *clients, uint32_t *ret_row, int *ret_fd);

/* Clears what dead workers left behind. */
void rows_sweep(const char *path, struct maps *maps, struct proxy_metrics *metrics,
		struct client_table *clients);

#endif
