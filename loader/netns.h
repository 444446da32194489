/* SPDX-License-Identifier: BSD-2-Clause */
/* Moved to userspace/base, as sluicectl enters the gateway's namespace too. */
#ifndef SLUICE_LOADER_NETNS_H
#define SLUICE_LOADER_NETNS_H

#include "userspace/base/netns.h"

#endif
