// SPDX-License-Identifier: BSD-2-Clause
/* The catalogue of maps with their shapes: maps/layout says what a value is, a
 * row here says which map holds how many of them.
 *
 * Kinds whose BTF libbpf itself leaves out (maps of maps, device and socket
 * maps, ring buffers) are not asked for any. */
#include "maps/access/map_spec.h"

#include <linux/bpf.h>
#include <unistd.h>

#define BY(role) (1u << (role))
#define CONTROLLER_AND_OPERATOR (BY(MAPS_CONTROLLER) | BY(MAPS_OPERATOR))

#define SPEC(id, kind, key, value, count, with_btf, by, where)                                     \
	[id] = {.type = (kind),                                                                    \
		.key_size = sizeof(key),                                                           \
		.value_size = sizeof(value),                                                       \
		.entries = (count),                                                                \
		.btf = (with_btf),                                                                 \
		.writers = (by),                                                                   \
		.field = (where)}
#define PLAIN(id, kind, key, value, count, by)                                                     \
	SPEC(id, kind, key, value, count, true, by, MAP_NOT_MAPPED)
#define KEPT(id, kind, value, count, by)                                                           \
	SPEC(id, kind, uint32_t, value, count, false, by, MAP_NOT_MAPPED)
#define MAPPED(id, value, count, by, member)                                                       \
	SPEC(id, BPF_MAP_TYPE_ARRAY, uint32_t, value, count, true, by,                             \
	     offsetof(struct maps, member))

static const struct map_spec specs[MAP_ID_COUNT] = {
	PLAIN(MAP_CONTRACT, BPF_MAP_TYPE_ARRAY, uint32_t, struct contract, 1, BY(MAPS_LOADER)),
	PLAIN(MAP_VIPS, BPF_MAP_TYPE_HASH, struct vip_key, struct vip, 2 * VIPS_MAX,
	      CONTROLLER_AND_OPERATOR),
	MAPPED(MAP_POOLS, struct pool, POOLS_MAX, CONTROLLER_AND_OPERATOR, pools),
	KEPT(MAP_RINGS, BPF_MAP_TYPE_ARRAY_OF_MAPS, uint32_t, POOLS_MAX, CONTROLLER_AND_OPERATOR),
	MAPPED(MAP_CLUSTERS, struct cluster, CLUSTERS_MAX, BY(MAPS_CONTROLLER), clusters),
	MAPPED(MAP_ENDPOINTS, struct endpoint, ENDPOINTS_MAX, CONTROLLER_AND_OPERATOR, endpoints),
	MAPPED(MAP_ADMIN, struct admin, ADMIN_SLOTS, BY(MAPS_OPERATOR), admin),
	MAPPED(MAP_HEALTH, struct health, ENDPOINTS_MAX, BY(MAPS_CONTROLLER), health),
	MAPPED(MAP_LOAD, struct load, ENDPOINTS_MAX, BY(MAPS_CONTROLLER), load),
	MAPPED(MAP_INFLIGHT, struct inflight, WORKERS_MAX *ENDPOINTS_MAX, BY(MAPS_WORKER),
	       inflight),
	PLAIN(MAP_PASSIVE, BPF_MAP_TYPE_PERCPU_ARRAY, uint32_t, struct passive, ENDPOINTS_MAX, 0),
	MAPPED(MAP_PATHS, struct path, ENDPOINTS_MAX, BY(MAPS_CONTROLLER), paths),
	MAPPED(MAP_NEXTHOPS, struct nexthop, NEXTHOPS_MAX, BY(MAPS_CONTROLLER), nexthops),
	MAPPED(MAP_LIVE, struct live, ENDPOINTS_MAX, BY(MAPS_CONTROLLER), live),
	MAPPED(MAP_OPENS, struct opens, ENDPOINTS_MAX, 0, opens),
	PLAIN(MAP_CIDS, BPF_MAP_TYPE_HASH, struct cid_key, struct cid, CIDS_MAX,
	      CONTROLLER_AND_OPERATOR),
	MAPPED(MAP_FLOWS, struct flow_set, 0, CONTROLLER_AND_OPERATOR, flows),
	PLAIN(MAP_FRAGMENTS, BPF_MAP_TYPE_LRU_HASH, struct fragment_key, struct fragment,
	      FRAGMENTS_MAX, 0),
	PLAIN(MAP_NAT_CLIENTS, BPF_MAP_TYPE_LRU_HASH, struct ip_addr, struct nat_client,
	      NAT_CLIENTS_MAX, BY(MAPS_CONTROLLER)),
	MAPPED(MAP_PROBES, struct probe_port, PROBE_PORTS_MAX, BY(MAPS_CONTROLLER), probes),
	PLAIN(MAP_NAT_FWD, BPF_MAP_TYPE_LRU_HASH, struct flow_key, struct nat_flow, NAT_FLOWS_MAX,
	      0),
	PLAIN(MAP_NAT_REV, BPF_MAP_TYPE_LRU_HASH, struct flow_key, struct nat_flow, NAT_FLOWS_MAX,
	      0),
	KEPT(MAP_DEVICES, BPF_MAP_TYPE_DEVMAP_HASH, struct bpf_devmap_val, DEVICES_MAX,
	     BY(MAPS_LOADER)),
	KEPT(MAP_LISTENERS, BPF_MAP_TYPE_SOCKMAP, uint64_t, LISTENERS_MAX, BY(MAPS_WORKER)),
	PLAIN(MAP_VERDICTS, BPF_MAP_TYPE_PERCPU_ARRAY, uint32_t, struct traffic, VERDICT_COUNT, 0),
	PLAIN(MAP_VIP_STATS, BPF_MAP_TYPE_PERCPU_ARRAY, uint32_t, struct traffic, VIPS_MAX, 0),
	PLAIN(MAP_EP_STATS, BPF_MAP_TYPE_PERCPU_ARRAY, uint32_t, struct traffic, ENDPOINTS_MAX, 0),
	PLAIN(MAP_CAPTURE, BPF_MAP_TYPE_ARRAY, uint32_t, struct capture, 1, BY(MAPS_OPERATOR)),
	/* reading a ring buffer moves its consumer position, which is a write */
	[MAP_EVENTS] = {.type = BPF_MAP_TYPE_RINGBUF,
			.entries = EVENTS_BYTES,
			.writers = BY(MAPS_OPERATOR),
			.field = MAP_NOT_MAPPED},
	PLAIN(MAP_SPLICES, BPF_MAP_TYPE_HASH, struct flow_key, struct splice, SPLICES_MAX,
	      BY(MAPS_SPLICER)),
	PLAIN(MAP_SPLICE_LEARNS, BPF_MAP_TYPE_HASH, struct flow_key, struct splice_learn,
	      SPLICE_LEARNS_MAX, BY(MAPS_SPLICER)),
	PLAIN(MAP_SPLICE_SETUP, BPF_MAP_TYPE_ARRAY, uint32_t, struct splice_setup, 1,
	      BY(MAPS_SPLICER)),
	[MAP_SPLICE_EVENTS] = {.type = BPF_MAP_TYPE_RINGBUF,
			       .entries = SPLICE_EVENTS_BYTES,
			       .writers = BY(MAPS_SPLICER),
			       .field = MAP_NOT_MAPPED},
};

static const char *const names[MAP_ID_COUNT] = {
#define X(id, name) [id] = name,
	MAP_LIST(X)
#undef X
};

const struct map_spec *map_spec_of(enum map_id id)
{
	return &specs[id];
}

const char *map_name(enum map_id id)
{
	return names[id];
}

uint32_t map_spec_entries(const struct map_spec *spec, const struct contract *contract)
{
	return spec->entries ? spec->entries : contract->flow_sets;
}

size_t map_spec_mapped_bytes(const struct map_spec *spec, const struct contract *contract)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	/* the kernel lays elements out in steps of 8 bytes; our sizes are multiples */
	size_t bytes = (size_t)map_spec_entries(spec, contract) * spec->value_size;

	return (bytes + page - 1) / page * page;
}
