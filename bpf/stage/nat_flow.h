/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow through NAT that a packet belongs to.
 *
 * A flow is two entries, each the other's mirror: nat_fwd from client to VIP,
 * nat_rev from endpoint to the gateway's NAT address.  Both maps are LRU
 * hashes, so either half may vanish; flow_is_paired() looks now and then and
 * puts it back.  A half whose mirror meanwhile belongs to another flow is dead:
 * it is removed, and its packet treated as a stranger's.
 *
 * Counters are plain additions: a flow's packets one way come in on one CPU,
 * as receive queues are chosen by 5-tuple.
 */
#ifndef SLUICE_BPF_STAGE_NAT_FLOW_H
#define SLUICE_BPF_STAGE_NAT_FLOW_H

#include "bpf/maps.h"
#include "bpf/stage/nat_client.h"
#include "bpf/stage/packet.h"
#include "bpf/stage/state.h"

/* The other half is looked at every so many packets, a power of two, and after
 * a pause. */
#define FLOW_PAIR_CHECK_PACKETS 64
#define FLOW_PAIR_CHECK_NS 1000000000ull

/* Key of the entry that turns back what is sent as `to`. */
static __always_inline void flow_mirror_key(const struct translation *to, __u8 proto,
					    struct flow_key *ret_key)
{
	*ret_key = (struct flow_key){
		.src = to->dst,
		.dst = to->src,
		.src_port = to->dst_port,
		.dst_port = to->src_port,
		.proto = proto,
	};
}

/* A new entry that turns packets back to where `p` came from. */
static __always_inline void flow_mirror_value(const struct packet *p, __u64 now, __u32 state,
					      struct nat_flow *ret_flow)
{
	*ret_flow = (struct nat_flow){
		.src = p->key.dst,
		.dst = p->key.src,
		.src_port = p->key.dst_port,
		.dst_port = p->key.src_port,
		.endpoint = p->endpoint,
		.generation = p->generation,
		.vip = p->vip,
		.state = state,
		.seen_at = now,
	};
}

/* Does `flow` lead back to where packets with `key` come from? */
static __always_inline bool flow_mirrors(const struct nat_flow *flow, const struct flow_key *key)
{
	return flow->src_port == key->dst_port && flow->dst_port == key->src_port &&
	       address_equal(&flow->src, &key->dst) && address_equal(&flow->dst, &key->src);
}

static __always_inline struct nat_flow *flow_lookup(const struct flow_key *key, bool is_answer)
{
	if (is_answer)
		return bpf_map_lookup_elem(&nat_rev, key);
	return bpf_map_lookup_elem(&nat_fwd, key);
}

static __always_inline long flow_insert(const struct flow_key *key, const struct nat_flow *flow,
					bool is_answer)
{
	if (is_answer)
		return bpf_map_update_elem(&nat_rev, key, flow, BPF_NOEXIST);
	return bpf_map_update_elem(&nat_fwd, key, flow, BPF_NOEXIST);
}

static __always_inline void flow_remove(const struct flow_key *key, bool is_answer)
{
	if (is_answer)
		bpf_map_delete_elem(&nat_rev, key);
	else
		bpf_map_delete_elem(&nat_fwd, key);
}

/* Looks at the other half of p's flow (p->to is set), puts it back if it was
 * evicted.  False: the place is another flow's. */
__noinline int flow_is_paired(const struct packet *p, __u64 now)
{
	const struct nat_flow *mirror;
	struct nat_flow value;
	struct flow_key key;

	if (!p)
		return 0;
	flow_mirror_key(&p->to, p->key.proto, &key);
	mirror = flow_lookup(&key, !p->is_answer);
	if (mirror)
		return flow_mirrors(mirror, &p->key);
	flow_mirror_value(p, now, FLOW_ESTABLISHED, &value);
	return flow_insert(&key, &value, !p->is_answer) == 0;
}

/* The entry of p->key in its direction, with p->to and the ids taken from it. */
static __always_inline struct nat_flow *flow_find(struct packet *p, __u64 now)
{
	struct nat_flow *flow = flow_lookup(&p->key, p->is_answer);

	if (!flow)
		return NULL;
	__builtin_memcpy(&p->to, flow, sizeof(p->to));
	p->endpoint = flow->endpoint;
	p->generation = flow->generation;
	p->vip = flow->vip;
	p->state = flow->state;
	if (p->is_dry)
		return flow;
	if ((flow->packets ^ (flow->packets + p->count)) < FLOW_PAIR_CHECK_PACKETS &&
	    now - flow->seen_at < FLOW_PAIR_CHECK_NS)
		return flow;
	if (flow_is_paired(p, now))
		return flow;
	flow_remove(&p->key, p->is_answer);
	return NULL;
}

/* Both halves of p's flow, p being the client's, so that the packet may begin a new
 * one. */
static __noinline int flow_forget(const struct packet *p)
{
	struct flow_key key;

	if (!p)
		return 0;
	if (p->client_max && p->state != FLOW_CLOSING)
		nat_client_less(&p->key.src);
	flow_mirror_key(&p->to, p->key.proto, &key);
	flow_remove(&key, !p->is_answer);
	key = p->key; /* 6.1 takes no key from a global function's argument */
	flow_remove(&key, p->is_answer);
	return 0;
}

enum flow_fate { FLOW_KEEPS, FLOW_MOVES, FLOW_IS_DOWN };

/* May p, from a client, go on to the endpoint its flow has?  What begins anew (a
 * SYN) or has no connection to lose (UDP) leaves an endpoint that is out; a
 * draining one keeps what it has, a repeated SYN included. */
static __always_inline enum flow_fate flow_fate(const struct packet *p, const struct nat_flow *flow)
{
	__u32 id = flow->endpoint;
	const struct endpoint *endpoint = bpf_map_lookup_elem(&endpoints, &id);
	enum endpoint_state state = ENDPOINT_OUT;

	if (endpoint && endpoint->way != WAY_NONE && endpoint->generation == flow->generation)
		state = endpoint_state(endpoint, id);
	/* reached another way by now: connections that are open finish by NAT */
	if (endpoint && endpoint->way != WAY_NAT && !packet_is_mid_flow(p))
		return FLOW_MOVES;
	if (state == ENDPOINT_OUT)
		return packet_is_mid_flow(p) ? FLOW_IS_DOWN : FLOW_MOVES;
	if (state == ENDPOINT_DRAINING && packet_is_syn(p) && flow->state != FLOW_NEW)
		return FLOW_MOVES;
	return FLOW_KEEPS;
}

static __always_inline __u32 flow_state_next(const struct packet *p, __u32 state)
{
	if (p->key.proto != IPPROTO_TCP)
		return FLOW_ESTABLISHED;
	if (p->tcp_flags & (TCP_RST | TCP_FIN))
		return FLOW_CLOSING;
	if (p->tcp_flags & TCP_SYN)
		return FLOW_NEW;
	return state == FLOW_NEW ? FLOW_ESTABLISHED : state;
}

/* A reset ends both directions at once. */
__noinline int flow_close_mirror(const struct packet *p)
{
	struct flow_key key;
	struct nat_flow *mirror;

	if (!p)
		return 0;
	flow_mirror_key(&p->to, p->key.proto, &key);
	mirror = flow_lookup(&key, !p->is_answer);
	if (!mirror)
		return 0;
	if (p->client_max && p->is_answer && mirror->state != FLOW_CLOSING)
		nat_client_less(&p->to.dst);
	mirror->state = FLOW_CLOSING;
	return 0;
}

/* A client's flow closes, or begins again on the same ports: counted for the client
 * that has a cap, and for the endpoint where loads are compared. */
static __noinline void flow_count_change(const struct packet *p, const struct nat_flow *flow)
{
	bool was_closing = flow->state == FLOW_CLOSING;
	bool is_closing = flow_state_next(p, flow->state) == FLOW_CLOSING;

	if (is_closing == was_closing)
		return;
	if (p->pick == VIP_PICK_LEAST)
		opens_add(flow->endpoint, is_closing ? -1 : 1);
	if (p->client_max && is_closing)
		nat_client_less(&p->key.src);
	else if (p->client_max)
		nat_client_more(&p->key.src, ~0u);
}

static __always_inline void flow_touch(const struct packet *p, struct nat_flow *flow, __u64 now)
{
	if (p->is_dry)
		return;
	flow->seen_at = now;
	flow->packets += p->count;
	flow->bytes += p->bytes;
	if (!p->is_answer && (p->client_max || p->pick == VIP_PICK_LEAST))
		flow_count_change(p, flow);
	flow->state = flow_state_next(p, flow->state);
	if (p->tcp_flags & TCP_RST)
		flow_close_mirror(p);
}

#endif
