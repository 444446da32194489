/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The catalogue of pinned maps: names, written once for both sides.
 * maps/README.md has the table of writers and readers. */
#ifndef SLUICE_MAPS_LAYOUT_MAPS_H
#define SLUICE_MAPS_LAYOUT_MAPS_H

/* Names of the pinned maps, once for both sides.  At most 15 characters, what
 * bpftool shows.  Pinned at PIN_DIR/NAME. */
#define MAP_LIST(X)                                                                                \
	X(MAP_CONTRACT, "contract")                                                                \
	X(MAP_VIPS, "vips")                                                                        \
	X(MAP_POOLS, "pools")                                                                      \
	X(MAP_RINGS, "rings")                                                                      \
	X(MAP_CLUSTERS, "clusters")                                                                \
	X(MAP_ENDPOINTS, "endpoints")                                                              \
	X(MAP_ADMIN, "admin")                                                                      \
	X(MAP_HEALTH, "health")                                                                    \
	X(MAP_LOAD, "load")                                                                        \
	X(MAP_INFLIGHT, "inflight")                                                                \
	X(MAP_PASSIVE, "passive")                                                                  \
	X(MAP_PATHS, "paths")                                                                      \
	X(MAP_NEXTHOPS, "nexthops")                                                                \
	X(MAP_LIVE, "live")                                                                        \
	X(MAP_OPENS, "opens")                                                                      \
	X(MAP_CIDS, "cids")                                                                        \
	X(MAP_FLOWS, "flows")                                                                      \
	X(MAP_FRAGMENTS, "fragments")                                                              \
	X(MAP_NAT_CLIENTS, "nat_clients")                                                          \
	X(MAP_PROBES, "probes")                                                                    \
	X(MAP_NAT_FWD, "nat_fwd")                                                                  \
	X(MAP_NAT_REV, "nat_rev")                                                                  \
	X(MAP_DEVICES, "devices")                                                                  \
	X(MAP_LISTENERS, "listeners")                                                              \
	X(MAP_VERDICTS, "verdicts")                                                                \
	X(MAP_VIP_STATS, "vip_stats")                                                              \
	X(MAP_EP_STATS, "ep_stats")                                                                \
	X(MAP_CAPTURE, "capture")                                                                  \
	X(MAP_EVENTS, "events")                                                                    \
	X(MAP_SPLICES, "splices")                                                                  \
	X(MAP_SPLICE_LEARNS, "splice_learns")                                                      \
	X(MAP_SPLICE_SETUP, "splice_setup")                                                        \
	X(MAP_SPLICE_EVENTS, "splice_events")

enum map_id {
#define X(id, name) id,
	MAP_LIST(X)
#undef X
		MAP_ID_COUNT
};

#endif
