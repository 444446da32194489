/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Endpoints and what is known of them.
 *
 * A map update writes a whole value, so every opinion has its own map with one
 * writer: what the endpoint is (`endpoints`, controller), what the operator
 * wants (`admin`, CLI), what probes saw (`health`, controller), what scrapes
 * said (`load`, controller), what the gateway has running there (`inflight`,
 * proxy workers), what packets showed (`passive`, XDP and TC).
 *
 * All of these are arrays by endpoint id; an id keeps its meaning while
 * `generation` stays the same.
 */
#ifndef SLUICE_MAPS_LAYOUT_ENDPOINT_H
#define SLUICE_MAPS_LAYOUT_ENDPOINT_H

#include "maps/layout/contract.h"
#include "maps/layout/types.h"

enum endpoint_way {
	WAY_NONE, /* the slot is free */
	WAY_NAT, /* addresses and ports rewritten, both ways */
	WAY_IPIP,
	WAY_GUE,
	WAY_L2,
	WAY_COUNT
};

/* Map `endpoints`: array, ENDPOINTS_MAX, mappable.  Writer: controller (and the
 * CLI for operator-owned ones).  Readers: XDP, TC, proxy, CLI. */
struct endpoint {
	struct ip_addr addr;
	__be16 port;
	__u8 way; /* enum endpoint_way; WAY_NONE: free */
	__u8 owner; /* enum vip_owner */
	__u32 cluster; /* id, < CLUSTERS_MAX */
	__u32 pool; /* id of the pool it belongs to */
	__u32 generation; /* rises when the id is given to another pod or address */
	char name[64]; /* "namespace/pod", cut, NUL-terminated: for people */
	char zone[32]; /* topology zone, cut, NUL-terminated */
};
_Static_assert(sizeof(struct endpoint) == 128, "endpoint is a wire format");

/* Map `clusters`: array, CLUSTERS_MAX, mappable.  Writer: controller.
 * Readers: proxy, CLI. */
struct cluster {
	char name[64]; /* NUL-terminated; empty: free */
	char region[32]; /* NUL-terminated */
	__u32 rtt_us; /* smoothed round trip measured by probes, 0: unknown */
	__u32 endpoints; /* how many it has */
	__u64 observed_at; /* CLOCK_REALTIME ns of the last successful probe there */
};
_Static_assert(sizeof(struct cluster) == 112, "cluster is a wire format");

/* Map `pools`: array, POOLS_MAX, mappable.  Writer: controller (and CLI for
 * operator-owned VIPs).  Readers: proxy, CLI.  Cold; the ring is in `rings`. */
struct pool {
	char name[96]; /* "namespace/name", cut, NUL-terminated; empty: free */
	__u32 owner; /* enum vip_owner */
	__u32 endpoints;
};
_Static_assert(sizeof(struct pool) == 104, "pool is a wire format");

enum admin_state {
	ADMIN_READY, /* zero: a fresh map means ready */
	ADMIN_DRAIN, /* no new flow or request; old ones stay, until the deadline if there is one */
	ADMIN_MAINT, /* out: treated as DOWN */
	ADMIN_COUNT
};

/* Map `admin`: array, ADMIN_SLOTS, mappable.  Index: endpoint id, or
 * ADMIN_CLUSTER_BASE + cluster id.  Writer: CLI.  Readers: all.  A deadline needs
 * nobody to watch for it: from then on every reader takes DRAIN for MAINT. */
#define ADMIN_CLUSTER_BASE ENDPOINTS_MAX
#define ADMIN_SLOTS (ENDPOINTS_MAX + CLUSTERS_MAX)
struct admin {
	__u8 state; /* enum admin_state */
	__u8 pad;
	__u16 weight; /* percent of the configured weight; 0 means 100 */
	__u32 generation; /* of the endpoint it was said of: stale ones do not count; 0 for clusters
			   */
	__u64 since; /* CLOCK_REALTIME, ns */
	__u64 drain_until; /* the deadline of a DRAIN: CLOCK_MONOTONIC, ns; 0: none */
};
_Static_assert(sizeof(struct admin) == 24, "admin is a wire format");

enum health_state { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN, HEALTH_COUNT };

/* Map `health`: array, ENDPOINTS_MAX, mappable.  Writer: controller.
 * Readers: all.  UNKNOWN serves (a controller that has just started must not
 * stop traffic), after every UP. */
struct health {
	__u8 state; /* enum health_state */
	__u8 rise; /* consecutive successes, saturating */
	__u8 fall; /* consecutive failures, saturating */
	__u8 reason; /* enum health_reason */
	__u32 generation; /* endpoint generation it was observed of */
	__u64 since; /* CLOCK_REALTIME ns of the last change of state */
	__u64 probed_at; /* CLOCK_REALTIME ns of the last finished probe */
};
_Static_assert(sizeof(struct health) == 24, "health is a wire format");

#define HEALTH_REASON_LIST(X)                                                                      \
	X(HEALTH_REASON_NONE, "none", "not probed yet")                                            \
	X(HEALTH_REASON_OK, "ok", "the probe was answered as expected")                            \
	X(HEALTH_REASON_REFUSED, "refused", "the connection was refused")                          \
	X(HEALTH_REASON_TIMEOUT, "timeout", "no answer in time")                                   \
	X(HEALTH_REASON_UNREACHABLE, "unreachable", "no route, or link down")                      \
	X(HEALTH_REASON_STATUS, "status", "an HTTP status not expected")                           \
	X(HEALTH_REASON_PROTOCOL, "protocol", "the answer was not HTTP")                           \
	X(HEALTH_REASON_PASSIVE, "passive", "the data path saw it fail")

enum health_reason {
#define X(id, name, text) id,
	HEALTH_REASON_LIST(X)
#undef X
		HEALTH_REASON_COUNT
};

/* Map `load`: array, ENDPOINTS_MAX, mappable.  Writer: controller (scrapes).
 * Readers: XDP, proxy, CLI.  A sample counts only with the generation of the
 * endpoint; sampled_at 0 means never. */
struct load {
	__u32 waiting; /* requests queued in the engine */
	__u32 running; /* requests in the batch */
	__u32 kv_permille; /* KV cache in use, 0..1000 */
	__u32 kv_blocks; /* capacity in blocks, 0: unknown */
	__u32 block_tokens; /* tokens a block, 0: unknown */
	__u32 generation; /* of the endpoint */
	__u64 sampled_at; /* CLOCK_REALTIME, ns */
	__u32 failures; /* scrapes failed since the last good one */
	__u32 pad;
};
_Static_assert(sizeof(struct load) == 40, "load is a wire format");

/* Map `live`: array, ENDPOINTS_MAX, mappable.  Writer: controller, every sweep of
 * `flows` and `nat_fwd`.  Readers: XDP and TC (pick least), CLI.  Load of an
 * endpoint = flows + opens[id].count - opened + cost, times 100 / weight. */
struct live {
	__u32 generation; /* of the endpoint; else void */
	__u32 flows; /* live ones at counted_at */
	__u32 opened; /* opens[id].count at counted_at */
	__u32 cost; /* what the servers report, in flows: running + waiting requests */
	__u32 weight; /* percent, 1 .. 10000; 0 means 100 */
	__u32 pad;
	__u64 counted_at; /* CLOCK_REALTIME, ns */
};
_Static_assert(sizeof(struct live) == 32, "live is a wire format");

/* Map `opens`: array, ENDPOINTS_MAX, mappable.  Writer: XDP and TC, atomically.
 * Flows of VIPs with pick least that were given to the endpoint, less those whose
 * client closed them; only differences mean something (it wraps, and flows that
 * just fall silent are not taken off). */
struct opens {
	__u32 count;
	__u32 pad;
};
_Static_assert(sizeof(struct opens) == 8, "opens is a wire format");

/* Map `inflight`: array, WORKERS_MAX * ENDPOINTS_MAX, mappable.  Index: worker
 * row * ENDPOINTS_MAX + endpoint.  Writer: each proxy worker its own row; the
 * parent zeroes the row of a dead one.  Readers: proxy, controller, CLI (sum
 * over rows; relaxed atomics). */
struct inflight {
	__u32 requests; /* dispatched, not ended */
	__u32 waiting; /* of these: no byte of the answer yet */
	__u64 uncached_tokens; /* outstanding prefill, estimated tokens */
};
_Static_assert(sizeof(struct inflight) == 16, "inflight is a wire format");

/* Map `passive`: per-CPU array, ENDPOINTS_MAX.  Writer: XDP and TC.  Reader:
 * controller.  What L4 traffic showed of an endpoint. */
struct passive {
	__u64 syns; /* SYNs sent on to it */
	__u64 synacks; /* SYN-ACKs that came back */
	__u64 resets; /* RSTs that came back */
	__u64 seen_at; /* bpf_ktime_get_ns of the last packet from it */
};
_Static_assert(sizeof(struct passive) == 32, "passive is a wire format");

#endif
