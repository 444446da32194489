/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stage 5, new flows only: a NAT port towards the endpoint, and both entries.
 *
 * The port is found by inserting: BPF_NOEXIST into nat_rev is the lock.  Probing
 * starts in the CPU's own share of the ports, at a secret hash of the 5-tuple, so
 * that ports cannot be guessed, and looks at a bounded number.  A port taken by a flow that is over
 * is taken from it, both its entries removed; when all are busy, the connection that has been
 * closed longest gives up its rest.  It runs after the route was found: a packet
 * that cannot be sent takes no port.
 */
#ifndef SLUICE_BPF_STAGE_SNAT_H
#define SLUICE_BPF_STAGE_SNAT_H

#include <linux/errno.h>

#include "bpf/maps.h"
#include "bpf/stage/hash.h"
#include "bpf/stage/nat_flow.h"
#include "bpf/stage/packet.h"

/* Set at load: possible CPUs. */
const volatile __u32 cpu_count = 1;

/* Ports one new flow may look at. */
#define SNAT_PROBES_MAX 64

/* How long a silent flow keeps its port, by what is known of it. */
#define S_NS 1000000000ull
#define REST_CLOSED_NS (60 * S_NS) /* FIN both ways or RST: Linux's TIME_WAIT */
#define REST_CLOSED_MIN_NS (1 * S_NS) /* ... when no other port is left */
#define REST_NEW_NS (60 * S_NS) /* never got beyond SYN */
#define REST_UDP_NS (180 * S_NS) /* RFC 4787 asks for 2 minutes at least */
#define REST_TCP_NS (7500 * S_NS) /* RFC 5382 asks for 2 hours 4 minutes */

struct snat_search {
	struct flow_key key; /* the nat_rev entry wanted; dst_port is what is searched */
	struct nat_flow value; /* of that entry */
	__u64 now;
	__u64 resting_ns; /* of the candidate: how long it has been closed and silent */
	__u32 start; /* first port's place in the range */
	__u16 low;
	__u16 count;
	int error; /* 0: stored */
	bool is_capped; /* flows of a client are counted */
	__be16 candidate; /* closed but still at rest; 0: none */
};

/* Not on the stack: the frames of a call chain share 512 bytes.  One a CPU is
 * enough, as neither XDP nor TC ingress is interrupted by the other. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct snat_search);
} snat_scratch SEC(".maps");

static __always_inline __u64 rest_needed_ns(const struct nat_flow *rev, const struct nat_flow *fwd,
					    __u8 proto)
{
	__u32 fwd_state = fwd ? fwd->state : FLOW_CLOSING;

	if (proto != IPPROTO_TCP)
		return REST_UDP_NS;
	if (rev->state == FLOW_CLOSING && fwd_state == FLOW_CLOSING)
		return REST_CLOSED_NS;
	return rev->state == FLOW_NEW && fwd_state == FLOW_NEW ? REST_NEW_NS : REST_TCP_NS;
}

static __always_inline int snat_insert(const struct snat_search *search)
{
	return bpf_map_update_elem(&nat_rev, &search->key, &search->value, BPF_NOEXIST);
}

/* Removes the flow that owns the port of search->key. */
static __noinline int snat_evict(const struct snat_search *search)
{
	const struct nat_flow *rev, *fwd;
	struct flow_key fwd_key;

	rev = bpf_map_lookup_elem(&nat_rev, &search->key);
	if (!rev)
		return 0;
	flow_mirror_key((const struct translation *)rev, search->key.proto, &fwd_key);
	fwd = bpf_map_lookup_elem(&nat_fwd, &fwd_key);
	if (fwd && flow_mirrors(fwd, &search->key)) {
		if (search->is_capped && fwd->state != FLOW_CLOSING)
			nat_client_less(&fwd_key.src);
		bpf_map_delete_elem(&nat_fwd, &fwd_key);
	}
	return bpf_map_delete_elem(&nat_rev, &search->key);
}

/* May the port of search->key be taken from its flow?  Remembers it if soon. */
static __noinline bool snat_is_over(struct snat_search *search)
{
	const struct nat_flow *rev, *fwd;
	struct flow_key fwd_key;
	__u64 seen_at, needed;

	rev = bpf_map_lookup_elem(&nat_rev, &search->key);
	if (!rev)
		return true;
	flow_mirror_key((const struct translation *)rev, search->key.proto, &fwd_key);
	fwd = bpf_map_lookup_elem(&nat_fwd, &fwd_key);
	if (fwd && !flow_mirrors(fwd, &search->key))
		fwd = NULL;
	seen_at = rev->seen_at;
	if (fwd && fwd->seen_at > seen_at)
		seen_at = fwd->seen_at;
	/* another CPU may have a later `now` than ours */
	if (seen_at >= search->now)
		return false;
	needed = rest_needed_ns(rev, fwd, search->key.proto);
	if (search->now - seen_at >= needed)
		return true;
	if (needed == REST_CLOSED_NS && search->now - seen_at > search->resting_ns) {
		search->resting_ns = search->now - seen_at;
		search->candidate = search->key.dst_port;
	}
	return false;
}

/* 1: the search is over, search->error says how. */
static long snat_probe(__u32 index, void *unused)
{
	__u32 zero = 0;
	struct snat_search *search = bpf_map_lookup_elem(&snat_scratch, &zero);

	if (!search || index >= search->count)
		return 1;
	search->key.dst_port = bpf_htons(search->low + (search->start + index) % search->count);
	search->error = snat_insert(search);
	if (search->error == -EEXIST && snat_is_over(search)) {
		snat_evict(search);
		search->error = snat_insert(search);
	}
	return search->error != -EEXIST;
}

/* Where the search begins: within this CPU's share of the ports, so that CPUs
 * meet only when shares run out. */
static __always_inline __u32 snat_start(const struct packet *p, const struct contract *c,
					__u32 count)
{
	__u32 hash = hash_flow(&p->key, p->is_ipv6, c->hash_secret) >> 32;
	__u32 share = count / cpu_count;

	if (!share)
		return hash_scale(hash, count);
	return bpf_get_smp_processor_id() % cpu_count * share + hash_scale(hash, share);
}

/* Stores the nat_rev half; p->to.src_port is set on STAGE_NEXT. */
__noinline int snat_port_take(struct packet *p, const struct contract *c, __u64 now)
{
	__u32 zero = 0;
	struct snat_search *search = bpf_map_lookup_elem(&snat_scratch, &zero);

	if (!search || !p || !c)
		return VERDICT_TABLE_FULL;
	search->now = now;
	search->resting_ns = REST_CLOSED_MIN_NS;
	search->candidate = 0;
	search->is_capped = p->client_max;
	search->error = -EEXIST;
	search->low = c->snat_port_low;
	search->count = c->snat_port_high - c->snat_port_low + 1;
	search->start = snat_start(p, c, search->count);
	flow_mirror_key(&p->to, p->key.proto, &search->key);
	flow_mirror_value(p, now, FLOW_NEW, &search->value);
	bpf_loop(SNAT_PROBES_MAX, snat_probe, NULL, 0);
	if (search->error == -EEXIST && search->candidate) {
		search->key.dst_port = search->candidate;
		snat_evict(search);
		search->error = snat_insert(search);
	}
	p->to.src_port = search->key.dst_port;
	if (search->error == -EEXIST)
		return VERDICT_SNAT_EXHAUSTED;
	return search->error ? VERDICT_TABLE_FULL : STAGE_NEXT;
}

/* Another CPU stored the same flow first: its port is used, ours given back. */
static __always_inline int flow_join(struct packet *p)
{
	const struct nat_flow *winner;
	struct flow_key key;

	flow_mirror_key(&p->to, p->key.proto, &key);
	bpf_map_delete_elem(&nat_rev, &key);
	key = p->key;
	winner = bpf_map_lookup_elem(&nat_fwd, &key);
	if (!winner)
		return VERDICT_TABLE_FULL;
	__builtin_memcpy(&p->to, winner, sizeof(p->to));
	p->endpoint = winner->endpoint;
	p->generation = winner->generation;
	return STAGE_NEXT;
}

/* Stores the nat_fwd half, the other being there. */
static __noinline int snat_forward_store(struct packet *p, __u64 now)
{
	struct nat_flow value = {.seen_at = now};
	struct flow_key key;

	if (!p)
		return VERDICT_TABLE_FULL;
	key = p->key;
	value.endpoint = p->endpoint;
	value.generation = p->generation;
	value.vip = p->vip;
	value.state = p->key.proto == IPPROTO_TCP ? FLOW_NEW : FLOW_ESTABLISHED;
	value.packets = p->count;
	value.bytes = p->bytes;
	__builtin_memcpy(&value, &p->to, sizeof(p->to));
	if (bpf_map_update_elem(&nat_fwd, &key, &value, BPF_NOEXIST))
		return flow_join(p);
	return STAGE_NEXT;
}

/* Stores a new flow.  STAGE_NEXT: p->to is complete. */
static __always_inline int flow_store(struct packet *p, const struct contract *c, __u64 now)
{
	int stage;

	if (p->client_max && !nat_client_more(&p->key.src, p->client_max))
		return VERDICT_CLIENT_CAP;
	stage = snat_port_take(p, c, now);
	if (stage == STAGE_NEXT)
		stage = snat_forward_store(p, now);
	if (stage != STAGE_NEXT && p->client_max)
		nat_client_less(&p->key.src);
	return stage;
}

#endif
