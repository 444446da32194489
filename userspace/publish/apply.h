/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes a plan: maps, addresses of VIPs, the routes snapshot.
 *
 * Order matters, because readers see every step: clusters, pools and endpoints
 * first, then the snapshot that names them, then the VIPs that bring traffic,
 * and what is gone last.
 */
#ifndef SLUICE_PUBLISH_APPLY_H
#define SLUICE_PUBLISH_APPLY_H

#include "userspace/publish/plan.h"

struct maps;
struct snapshot;

/* What is in the maps now: the arrays are borrowed from `maps`, the list of VIPs
 * is the view's. */
struct apply_view {
	struct plan_observed observed;
	struct plan_vip *vips;
};

int apply_view_read(const struct maps *maps, struct apply_view *ret_view);
void apply_view_deinit(struct apply_view *view);

/* Does all it can and returns the first error, each of them logged.  When the
 * snapshot cannot be written, VIPs stay as they are and nothing is taken away. */
int apply_plan(const struct maps *maps, const struct plan *plan, const struct apply_view *view,
	       const struct snapshot *snapshot, const char *snapshot_path);

/* Only sees to it that VIPs of the plan are local addresses still. */
int apply_addresses(const struct maps *maps, const struct plan *plan,
		    const struct apply_view *view);

#endif
