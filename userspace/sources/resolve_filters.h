/* SPDX-License-Identifier: BSD-2-Clause */
/* The filters of a rule with those of one backend after them; private to
 * resolve_rules.c.  Joined here, so that the proxy applies one set of edits,
 * whichever backend a request goes to. */
#ifndef SLUICE_SOURCES_RESOLVE_FILTERS_H
#define SLUICE_SOURCES_RESOLVE_FILTERS_H

#include "userspace/base/arena.h"
#include "userspace/base/route.h"

/* *ret_both does what `first` and then `second` would do.  Strings are shared with
 * them, lists are in the arena.  A path or host that both rewrite, and a redirect in
 * both, is the second's.  -ENOMEM. */
int filters_join(struct arena *arena, const struct snapshot_filters *first,
		 const struct snapshot_filters *second, struct snapshot_filters *ret_both);

#endif
