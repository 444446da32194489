/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Devices of the gateway that packets may leave by.
 *
 * Map `devices`: devmap_hash, DEVICES_MAX, ifindex -> struct bpf_devmap_val.
 * Writer: loader (attach and detach).  Reader: XDP.  A packet is redirected
 * only to a device in it.  MACs come from the kernel's own neighbour table by
 * bpf_fib_lookup, so no copy of it has to be kept fresh; a table of next hops
 * comes with the spliced path, which must not look up a route a packet.
 */
#ifndef SLUICE_MAPS_LAYOUT_DEVICE_H
#define SLUICE_MAPS_LAYOUT_DEVICE_H

#include "maps/layout/contract.h"

#endif
