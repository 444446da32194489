/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel says of routes and neighbours, as plain values. */
#ifndef SLUICE_PATHS_ROUTE_H
#define SLUICE_PATHS_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "maps/layout/types.h"

/* The route to one destination. */
struct route_answer {
	int err; /* -errno of the kernel's refusal (-ENETUNREACH ...); 0: the rest counts */
	uint8_t type; /* RTN_UNICAST, RTN_LOCAL ... */
	bool encap; /* the route adds headers of its own (MPLS, SRv6 ...) */
	uint32_t ifindex; /* of the device, VLAN devices included */
	uint32_t mtu; /* metric of the route or its destination, bytes; 0: none */
	struct ip_addr gateway; /* all zero: the destination is on the link */
	struct ip_addr prefsrc; /* that the administrator gave to the route; all zero: none */
	struct ip_addr chosen_src; /* that the kernel would take; all zero: none */
};

/* A neighbour as the kernel sees it. */
struct neighbour {
	uint32_t ifindex; /* of its device, VLAN devices included */
	struct ip_addr addr;
	uint16_t state; /* NUD_*; 0: the kernel has no entry */
	uint8_t mac[6];
	bool has_mac; /* of six bytes, one host's */
	bool managed; /* NTF_EXT_MANAGED: the kernel keeps resolving it */
	bool ours; /* its protocol is ROUTE_PROTOCOL_OURS */
};

/* "proto 83" in `ip neigh`: marks the entries that a controller of Sluice asked for. */
#define ROUTE_PROTOCOL_OURS 83

#endif
