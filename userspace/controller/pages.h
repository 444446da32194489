/* SPDX-License-Identifier: BSD-2-Clause */
/* The controller's /metrics: its own work, and what the maps say, in Prometheus'
 * text form.  Two tools' worth of state is there: what was asked for (objects,
 * admin) and what was observed (health, load, traffic). */
#ifndef SLUICE_CONTROLLER_PAGES_H
#define SLUICE_CONTROLLER_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct desired;
struct maps;
struct watcher_counts;

/* How configuration got into the maps. */
struct controller_reloads {
	uint64_t ok, failed; /* counts */
	uint64_t ok_at, failed_at; /* CLOCK_REALTIME ns of the last, 0: never */
	uint64_t snapshot_generation; /* of the last routes written */
};

struct pages_input {
	const struct maps *maps;
	const struct desired *desired; /* NULL: nothing was resolved yet */
	bool sources_broken; /* a file or object is refused */
	const struct watcher_counts *counts;
	const struct controller_reloads *reloads;
	uint64_t started_at; /* CLOCK_REALTIME ns */
	uint64_t now; /* likewise */
};

/* *ret_text is malloc'd.  -ENOMEM. */
int pages_metrics(const struct pages_input *input, char **ret_text, size_t *ret_length);

#endif
