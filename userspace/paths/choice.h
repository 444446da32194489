/* SPDX-License-Identifier: BSD-2-Clause */
/* The path to one endpoint, from what the kernel answered.  Pure. */
#ifndef SLUICE_PATHS_CHOICE_H
#define SLUICE_PATHS_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "maps/layout/contract.h"
#include "maps/layout/endpoint.h"
#include "maps/layout/path.h"
#include "userspace/paths/nexthop_table.h"

/* Why there is no path; the text completes "no path: ...". */
#define PATH_PROBLEM_LIST(X)                                                                       \
	X(PATH_PROBLEM_NONE, "")                                                                   \
	X(PATH_PROBLEM_NOT_A_HOST, "its address is not one of a host that can be routed to")       \
	X(PATH_PROBLEM_NO_ROUTE, "this host has no route to it")                                   \
	X(PATH_PROBLEM_LOCAL, "its address is one of this host's own")                             \
	X(PATH_PROBLEM_OFF_LINK,                                                                   \
	  "way l2 needs it on a link of this host, but the route leads through a router")          \
	X(PATH_PROBLEM_NO_ETHERNET,                                                                \
	  "way l2 needs an Ethernet link to it, with at most one VLAN tag")                        \
	X(PATH_PROBLEM_NO_SOURCE,                                                                  \
	  "this host has no address of its family for the outer header; add one, or load with "    \
	  "an outer source")                                                                       \
	X(PATH_PROBLEM_TABLE_FULL, "all next hops are in use; the kernel is asked per packet")

enum path_problem {
#define X(id, text) id,
	PATH_PROBLEM_LIST(X)
#undef X
		PATH_PROBLEM_COUNT
};

struct path_choice {
	enum path_problem problem; /* NONE: `path` counts */
	bool has_hop; /* false: the kernel decides, packet by packet */
	struct nexthop_key hop;
	uint32_t device; /* that the neighbour is on */
	struct link_exit exit;
	struct path path; /* without nexthop and generation */
};

const char *path_problem_text(enum path_problem problem);

/* Is it worth asking for a route to this address at all? */
bool path_is_askable(const struct ip_addr *addr);

/* way: enum endpoint_way, not WAY_NONE. */
struct path_choice path_choose(uint8_t way, const struct ip_addr *addr,
			       const struct route_answer *route, const struct link_table *links,
			       const struct contract *contract);

/* Of the outer IPv4 header of IPIP and GUE: the folded, not complemented, one's
 * complement sum of its words that are the same for all packets to an endpoint, as
 * 16-bit words as they lie in memory: fragment word (DF), time to live (64) with a
 * protocol of 0, source, destination.  Not in it: version, length and TOS; total
 * length; id (0); protocol; the checksum itself. */
uint16_t path_header_sum(const struct ip_addr *src, const struct ip_addr *dst);

#endif
