/* SPDX-License-Identifier: BSD-2-Clause */
/* One rule of an HTTPRoute; private to resolve_routes.c and resolve_rules.c. */
#ifndef SLUICE_SOURCES_RESOLVE_RULES_H
#define SLUICE_SOURCES_RESOLVE_RULES_H

#include "userspace/base/route.h"
#include "userspace/sources/resolve.h"

/* Rule `index` of `route` into *ret_rule.  *ret_dropped: it cannot be matched, so
 * it is left out.  A rule that can be matched but not served answers 500: its
 * backends are POOL_NONE.  -ENOMEM. */
int rule_resolve(struct resolve *resolve, const struct object *route, size_t index,
		 struct snapshot_rule *ret_rule, bool *ret_dropped);

#endif
