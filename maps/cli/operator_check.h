/* SPDX-License-Identifier: BSD-2-Clause */
/* Which VIPs the data path can serve: each rule refuses by name. */
#ifndef SLUICE_CLI_OPERATOR_CHECK_H
#define SLUICE_CLI_OPERATOR_CHECK_H

#include "maps/access/maps.h"
#include "maps/cli/vip_spec.h"

/* -EINVAL, -EAFNOSUPPORT (families), -ELOOP (the VIP's own address); after a
 * message.  What works only under a condition is allowed with a warning. */
int vip_spec_check(const struct maps *maps, const struct vip_spec *spec);

#endif
