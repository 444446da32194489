/* SPDX-License-Identifier: BSD-2-Clause */
/* The typed user-space API of the pinned maps; nobody else calls bpf_map_*_elem.
 *
 * maps_open() checks the contract first and refuses another version by name.
 * Mappable arrays are mapped and given out as pointers: a record is read with
 * plain loads (each field is whole; a record may be between two writes, which
 * readers must bear), and written by its one writer (maps/README.md).
 */
#ifndef SLUICE_MAPS_ACCESS_MAPS_H
#define SLUICE_MAPS_ACCESS_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/layout/contract.h"
#include "maps/layout/device.h"
#include "maps/layout/endpoint.h"
#include "maps/layout/flow.h"
#include "maps/layout/maps.h"
#include "maps/layout/path.h"
#include "maps/layout/probe.h"
#include "maps/layout/ring.h"
#include "maps/layout/splice.h"
#include "maps/layout/types.h"
#include "maps/layout/verdict.h"
#include "maps/layout/vip.h"

struct instance;

enum maps_role {
	MAPS_READ, /* every mapping read-only */
	MAPS_CONTROLLER, /* may write endpoints, clusters, pools, health, load, vips, rings, cids,
			  * paths, nexthops, live, flows, probes */
	MAPS_WORKER, /* may write inflight and listeners */
	MAPS_OPERATOR, /* may write admin, capture; vips, pools, endpoints, rings, cids of the
			* operator's; flows */
	MAPS_LOADER, /* may write contract and devices */
	MAPS_SPLICER, /* the proxy's parent: may write splices, splice_learns, splice_setup, and
		       * take from splice_events */
};

struct maps {
	int fds[MAP_ID_COUNT];
	enum maps_role role;
	struct contract contract; /* as read at opening */
	int cpu_count; /* possible CPUs: how many values a per-CPU entry has */
	/* mappings, by id; const unless the role may write (then cast by the setters) */
	struct endpoint *endpoints; /* ENDPOINTS_MAX */
	struct cluster *clusters; /* CLUSTERS_MAX */
	struct pool *pools; /* POOLS_MAX */
	struct admin *admin; /* ADMIN_SLOTS */
	struct health *health; /* ENDPOINTS_MAX */
	struct load *load; /* ENDPOINTS_MAX */
	struct inflight *inflight; /* WORKERS_MAX * ENDPOINTS_MAX */
	struct path *paths; /* ENDPOINTS_MAX */
	struct nexthop *nexthops; /* NEXTHOPS_MAX */
	struct live *live; /* ENDPOINTS_MAX */
	struct opens *opens; /* ENDPOINTS_MAX */
	struct flow_set *flows; /* contract.flow_sets */
	struct probe_port *probes; /* PROBE_PORTS_MAX */
	struct ring_btf { /* describes the inner arrays of rings; fd -1: may not write them */
		int fd;
		uint32_t key_type, value_type;
	} ring_btf;
};

/* -ENOENT: not loaded; -EPROTO: other version or shape; -EPERM or -EACCES: not
 * root; logs with what to do.  What `role` may not write is opened and mapped
 * read-only: a write is -EPERM, or a fault. */
int maps_open(const struct instance *instance, enum maps_role role, struct maps **ret_maps);
void maps_close(struct maps *maps);
static inline void maps_closep(struct maps **maps)
{
	maps_close(*maps);
}

/* All functions below return 0 or -errno and log nothing: the caller knows what
 * the object was. */

/* ---- vips ---- */
/* -ENOENT: no such VIP */
int vips_lookup(const struct maps *maps, const struct vip_key *key, struct vip *ret_vip);
/* -E2BIG: VIPS_MAX are there */
int vips_put(const struct maps *maps, const struct vip_key *key, const struct vip *vip);
int vips_remove(const struct maps *maps, const struct vip_key *key);
/* Calls `each` for every VIP (not for addresses, which put and remove keep by
 * themselves); stops at and returns its first non-zero value. */
int vips_each(const struct maps *maps,
	      int (*each)(void *ctx, const struct vip_key *key, const struct vip *vip), void *ctx);

/* ---- rings ---- */
/* Swaps in a new ring of `size` rows (slots[0] is the header, size + 1 in all). */
int rings_put(const struct maps *maps, uint32_t pool, const struct ring_slot *slots, uint32_t size);
int rings_remove(const struct maps *maps, uint32_t pool);
/* Reads the ring back: malloc'd, size + 1 slots.  -ENOENT: the pool has none. */
int rings_get(const struct maps *maps, uint32_t pool, struct ring_slot **ret_slots,
	      uint32_t *ret_size);

/* ---- cids ---- */
int cids_put(const struct maps *maps, const struct cid_key *key, const struct cid *cid);
/* -ENOENT: not there. */
int cids_remove(const struct maps *maps, const struct cid_key *key);
int cids_each(const struct maps *maps,
	      int (*each)(void *ctx, const struct cid_key *key, const struct cid *cid), void *ctx);

/* ---- capture ---- */
/* -EPERM unless the role is MAPS_OPERATOR. */
int capture_put(const struct maps *maps, const struct capture *capture);
int capture_get(const struct maps *maps, struct capture *ret_capture);

/* ---- the flow table (encapsulated flows), read and swept by mapping ---- */
/* What a slot is at tick `now` (clock_tick()): SLOT_FREE also when it is over. */
enum slot_state flow_slot_state(const struct flow_slot *slot, uint32_t now);
/* Is the flow in it alive: on probation or confirmed, neither closing nor over? */
bool flow_slot_is_live(const struct flow_slot *slot, uint32_t now);
/* Adds live flows to counts[endpoint id], ENDPOINTS_MAX of them. */
void flow_table_count(const struct maps *maps, uint32_t now, uint32_t *counts);
/* The same of `sets` sets from `first` on: a large table is counted in parts. */
void flow_table_count_part(const struct maps *maps, uint32_t first, uint32_t sets, uint32_t now,
			   uint32_t *counts);

/* Slots that are not over, by state; `udp` counts those of UDP among all three. */
struct flow_states {
	uint32_t probation, confirmed, closing, udp;
};
struct flow_table_survey {
	uint64_t slots_used; /* not over */
	uint32_t sets_full; /* sets in which every slot is used */
	struct flow_states endpoints[ENDPOINTS_MAX];
};
void flow_table_survey(const struct maps *maps, uint32_t now, struct flow_table_survey *survey);

/* Empties the slots of endpoints whose ids are to mean others, in one pass.  Call it
 * when their records say so already (way NONE): it waits until every program that
 * read an older record has ended.  Returns how many flows were live.  The role must
 * be MAPS_CONTROLLER or MAPS_OPERATOR. */
uint32_t flow_table_forget_all(const struct maps *maps, const uint32_t *endpoints, size_t count,
			       uint32_t now);
uint32_t flow_table_forget(const struct maps *maps, uint32_t endpoint, uint32_t now);

/* ---- paths and next hops (controller) ---- */
/* Into slots of maps->paths and maps->nexthops, or of a test's own memory, so that a
 * reader never takes half of the old and half of the new record.  True when something
 * differed.  nexthop_put() sets changed_at to `now` (CLOCK_REALTIME, ns) then. */
bool path_put(struct path *slot, const struct path *path);
bool nexthop_put(struct nexthop *slot, const struct nexthop *nexthop, uint64_t now);

/* ---- flows through NAT ---- */
/* A flow through NAT counts as live when it is not closing, its endpoint is still the
 * same, and its client sent a packet this recently; NAT keeps entries of idle ones
 * until it needs their room. */
#define NAT_LIVE_S 60
bool nat_flow_is_live(const struct maps *maps, const struct nat_flow *flow, uint64_t now_ns);
/* Adds live flows at `now_ns` (CLOCK_MONOTONIC) to counts[endpoint id], ENDPOINTS_MAX
 * of them. */
int nat_flows_count(const struct maps *maps, uint64_t now_ns, uint32_t *counts);
/* The same of about `entries` entries from *position on, all zero to begin, until
 * position->done. */
struct walk_position {
	uint32_t token;
	bool begun, done;
};
struct nat_client_counts;
/* clients: NULL, or where flows that XDP counts for their client are counted. */
int nat_flows_count_part(const struct maps *maps, struct walk_position *position, uint32_t entries,
			 uint64_t now_ns, uint32_t *counts, struct nat_client_counts *clients);

/* ---- flows of clients through NAT, where there is a cap (controller) ---- */
/* 12 MB.  -ENOMEM. */
int nat_client_counts_new(const struct maps *maps, struct nat_client_counts **ret_counts);
void nat_client_counts_free(struct nat_client_counts *counts);
/* A sweep begins: what the one before found is remembered, and no flow is counted. */
void nat_client_counts_begin(struct nat_client_counts *counts);
void nat_client_counts_add(struct nat_client_counts *counts, const struct ip_addr *client);
/* When all of nat_fwd is counted: lowers the counts of map nat_clients that were too
 * high in this sweep and the one before, about `entries` of them from *position on.
 * -EPERM or another -errno when the map cannot be walked. */
int nat_clients_correct_part(const struct maps *maps, struct nat_client_counts *counts,
			     struct walk_position *position, uint32_t entries);

/* One entry of nat_fwd (reverse = false) or nat_rev; does not count as use of
 * it.  -ENOENT: no such flow. */
int flows_lookup(const struct maps *maps, bool reverse, const struct flow_key *key,
		 struct nat_flow *ret_flow);
/* Every entry of nat_fwd (reverse = false) or nat_rev. */
int flows_each(const struct maps *maps, bool reverse,
	       int (*each)(void *ctx, const struct flow_key *key, const struct nat_flow *flow),
	       void *ctx);

/* ---- spliced connections (proxy parent) ---- */
/* What is below: -EPERM unless the role is MAPS_SPLICER, where it writes. */
int splice_setup_put(const struct maps *maps, const struct splice_setup *setup);
int splice_setup_get(const struct maps *maps, struct splice_setup *ret_setup);
/* One direction of a connection.  -EEXIST: a record is there, which is not touched;
 * -E2BIG: SPLICES_MAX are; -EINVAL: a scale or shift that TCP does not know. */
int splices_put(const struct maps *maps, const struct flow_key *key, const struct splice *splice);
/* -ENOENT: not there. */
int splices_lookup(const struct maps *maps, const struct flow_key *key, struct splice *ret_splice);
int splices_remove(const struct maps *maps, const struct flow_key *key);
int splices_each(const struct maps *maps,
		 int (*each)(void *ctx, const struct flow_key *key, const struct splice *splice),
		 void *ctx);
/* The key of the other direction's packets as they arrive. */
struct flow_key splice_peer_key(const struct splice *splice);

/* Begins to learn the server's timestamps: `key` as its packets arrive.  Forgets what
 * was learnt before; -E2BIG: SPLICE_LEARNS_MAX learn. */
int splice_learn_begin(const struct maps *maps, const struct flow_key *key);
int splice_learn_end(const struct maps *maps, const struct flow_key *key);
/* The timestamp of the segment that ends at `received`, what the socket has received.
 * -ENOENT: not learning, or no such segment is remembered. */
int splice_learn_get(const struct maps *maps, const struct flow_key *key, uint32_t received,
		     uint32_t *ret_tsval);

/* ---- per-CPU counters, summed ---- */
int verdicts_read(const struct maps *maps, struct traffic ret_traffic[VERDICT_COUNT]);
int vip_stats_read(const struct maps *maps, uint32_t vip, struct traffic *ret_traffic);
int ep_stats_read(const struct maps *maps, uint32_t endpoint, struct traffic *ret_traffic);
int passive_read(const struct maps *maps, uint32_t endpoint, struct passive *ret_passive);

/* ---- listeners (proxy parent) ---- */
/* Puts a listening socket into slot LISTENER_IPV4 or LISTENER_IPV6. */
int listeners_put(const struct maps *maps, uint32_t slot, int socket_fd);
/* New connections find nobody from here on.  -EINVAL: the slot is empty. */
int listeners_remove(const struct maps *maps, uint32_t slot);

/* ---- admin (CLI) ---- */
/* Writes one slot so that a reader never sees the state of one generation with
 * another: endpoint id, or ADMIN_CLUSTER_BASE + cluster id.  -EPERM unless the
 * role is MAPS_OPERATOR. */
int admin_put(const struct maps *maps, uint32_t slot, const struct admin *admin);

/* ---- contract and devices (loader) ---- */
/* Into a map that may not be pinned yet, hence the bare descriptor. */
int contract_put(int contract_fd, const struct contract *contract);
/* A device that XDP may send by.  The kernel forgets it when it goes away. */
int devices_put(const struct maps *maps, uint32_t ifindex);
/* -ENOENT: not there. */
int devices_remove(const struct maps *maps, uint32_t ifindex);

/* ---- what the records mean together ---- */

enum endpoint_use {
	ENDPOINT_FREE, /* slot is not in use, or of another generation */
	ENDPOINT_USABLE,
	ENDPOINT_DRAINING, /* old flows and requests only */
	ENDPOINT_DOWN, /* health DOWN */
	ENDPOINT_MAINT, /* the operator took it out */
};

/* What counts as said of the endpoint now: sentences about another generation of
 * the id do not.  Below ENDPOINTS_MAX and CLUSTERS_MAX; a state we do not know is
 * MAINT.  A DRAIN whose deadline has passed is still called so. */
enum admin_state endpoint_admin(const struct maps *maps, uint32_t id);
enum admin_state cluster_admin(const struct maps *maps, uint32_t cluster);
/* The deadline of its drain, CLOCK_MONOTONIC ns; 0: none, or no drain.  The endpoint's
 * is its own or its cluster's, whichever is earlier. */
uint64_t endpoint_drain_until(const struct maps *maps, uint32_t id);
uint64_t cluster_drain_until(const struct maps *maps, uint32_t cluster);
/* Zeroed (UNKNOWN, never sampled) when the record is of another generation. */
struct health endpoint_health(const struct maps *maps, uint32_t id);
struct load endpoint_load(const struct maps *maps, uint32_t id);

/* The truth table over admin (endpoint's and cluster's) and health; UNKNOWN
 * health is usable, a drain past its deadline is MAINT.  `generation` 0: any. */
enum endpoint_use endpoint_use(const struct maps *maps, uint32_t id, uint32_t generation);

/* Sum over worker rows. */
struct inflight inflight_sum(const struct maps *maps, uint32_t endpoint);

const char *verdict_name(enum verdict verdict);
const char *verdict_text(enum verdict verdict);
bool verdict_drops(enum verdict verdict);
const char *nexthop_state_name(uint16_t state);
/* "fin", "reset", ...; "invalid" */
const char *splice_event_name(uint32_t kind);
const char *splice_event_text(uint32_t kind);
const char *why_name(enum why why);
const char *why_text(enum why why);
const char *admin_state_name(uint8_t state);
const char *health_state_name(uint8_t state);
const char *health_reason_name(uint8_t reason);
const char *endpoint_use_name(enum endpoint_use use);
/* "nat", "ipip", ...; "maglev", "least"; "reset", "drop": as typed for sluicectl. */
const char *endpoint_way_name(uint8_t way);
const char *vip_pick_name(uint8_t pick);
const char *vip_down_name(uint8_t down);

#endif
