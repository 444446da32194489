// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "maps/access/maps.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/proxy/client_table.h"
#include "userspace/telemetry/proxy_metrics.h"

static int rows_open(const char *path, int *ret_fd)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);

	if (fd < 0)
		return log_error(-errno, "%s: cannot be opened (%s)", path, strerror(errno));
	*ret_fd = fd;
	return 0;
}

static int row_lock(int fd, uint32_t row, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = row, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

/* Only with the row's lock held. */
static void row_clear(struct maps *maps, struct proxy_metrics *metrics,
		      struct client_table *clients, uint32_t row)
{
	struct proxy_row *counters = &metrics->rows[row];

	memset(&maps->inflight[(size_t)row * ENDPOINTS_MAX], 0,
	       ENDPOINTS_MAX * sizeof(*maps->inflight));
	if (clients)
		client_table_forget(clients, row);
	counters->sessions = 0;
	counters->buffers_free = 0;
	counters->snapshot_generation = 0;
	__atomic_store_n(&counters->held, 0, __ATOMIC_RELEASE);
}

int row_claim(const char *path, struct maps *maps, struct proxy_metrics *metrics,
	      struct client_table *clients, uint32_t *ret_row, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	int err = rows_open(path, &fd);

	if (err)
		return err;
	for (uint32_t row = 0; row < metrics->row_count && row < WORKERS_MAX; row++) {
		if (row_lock(fd, row, F_WRLCK))
			continue;
		row_clear(maps, metrics, clients, row);
		__atomic_store_n(&metrics->rows[row].held, 1, __ATOMIC_RELEASE);
		*ret_row = row;
		*ret_fd = TAKE_FD(fd);
		return 0;
	}
	return log_error(-ENOSPC, "%s: all %d rows are held by workers that still finish; waiting",
			 path, WORKERS_MAX);
}

void rows_sweep(const char *path, struct maps *maps, struct proxy_metrics *metrics,
		struct client_table *clients)
{
	_cleanup_close_ int fd = -1;

	for (uint32_t row = 0; row < metrics->row_count && row < WORKERS_MAX; row++) {
		if (!__atomic_load_n(&metrics->rows[row].held, __ATOMIC_ACQUIRE))
			continue;
		if (fd < 0 && rows_open(path, &fd))
			return;
		if (row_lock(fd, row, F_WRLCK))
			continue;
		row_clear(maps, metrics, clients, row);
		row_lock(fd, row, F_UNLCK);
	}
}
