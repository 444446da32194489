/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow table: which endpoint a flow stays with (maps/layout/flow.h).
 *
 * Who may push whom out decides what a flood can do.  A flow enters on probation
 * and is confirmed by a packet in a later tick.  A flow on probation takes a free
 * slot of its set, while at most three are on probation there, else the place of
 * the oldest one on probation; it never touches a confirmed flow.  Confirmed flows
 * have at most seven slots, so a set never closes.  A flood of packets from
 * sources that do not come again thus fights over three slots a set.
 *
 * A slot is one word and written by one store.  Two CPUs that write the same slot
 * at once lose one flow from the table, not from its endpoint: its next packet
 * finds the ring.
 *
 * The two functions are global, so that the verifier checks each once and takes
 * their results for unknown: eight ways to leave a loop are not eight programs.
 */
#ifndef SLUICE_BPF_STAGE_FLOW_TABLE_H
#define SLUICE_BPF_STAGE_FLOW_TABLE_H

#include "bpf/maps.h"
#include "bpf/stage/hash.h"
#include "bpf/stage/packet.h"
#include "bpf/stage/state.h"

#define FLOW_CONFIRMED_MAX (FLOW_SLOTS - 1)

union slot_word {
	struct flow_slot slot;
	__u64 word;
};

static __always_inline __u32 slot_state(union slot_word is)
{
	return is.slot.where >> FLOW_ENDPOINT_BITS;
}

static __always_inline __u32 slot_endpoint(union slot_word is)
{
	return is.slot.where & FLOW_ENDPOINT_MASK;
}

static __always_inline union slot_word slot_make(__u32 tag, __u32 endpoint, __u32 state, __u32 tick)
{
	union slot_word is = {.slot = {.tag = tag,
				       .where = endpoint | state << FLOW_ENDPOINT_BITS,
				       .tick = tick}};

	return is;
}

static __always_inline __u32 tick_now(void)
{
	return bpf_ktime_get_coarse_ns() >> TICK_SHIFT;
}

static __always_inline __u16 slot_silent(union slot_word is, __u32 tick)
{
	return tick - is.slot.tick;
}

/* Ticks that a silent slot is kept, by its state: four lengths in a word, and all
 * that follows is arithmetic on words, because every branch over eight slots is
 * eight more ways for the verifier. */
#define LIMITS(confirmed)                                                                          \
	((__u64)FLOW_PROBATION_TICKS << 16 * SLOT_PROBATION |                                      \
	 (__u64)(confirmed) << 16 * SLOT_CONFIRMED |                                               \
	 (__u64)FLOW_CLOSING_TICKS << 16 * SLOT_CLOSING)
#define LIMITS_TCP LIMITS(FLOW_TCP_TICKS)
#define LIMITS_UDP LIMITS(FLOW_UDP_TICKS)

/* 1: a < b, 0: not; both below 2^31. */
static __always_inline __u32 is_less(__u32 a, __u32 b)
{
	return (a - b) >> 31;
}

static __always_inline __u32 is_equal(__u32 a, __u32 b)
{
	return ((a ^ b) - 1) >> 31;
}

static __always_inline __u32 slot_is_live(union slot_word is, __u32 tick)
{
	__u64 is_udp = -(__u64)(is.slot.tag & 1);
	__u64 limits = LIMITS_TCP ^ (is_udp & (LIMITS_TCP ^ LIMITS_UDP));

	return is_less(slot_silent(is, tick), limits >> 16 * slot_state(is) & 0xffff);
}

/* The lowest bit of a tag says UDP, because UDP is forgotten earlier. */
static __always_inline __u32 table_tag(const struct packet *p)
{
	__u32 tag = p->hash >> 32;

	return p->key.proto == IPPROTO_UDP ? tag | 1 : tag & ~1u;
}

/* Index of the flow's slot, FLOW_SLOTS: it has none. */
__noinline int table_find(const struct flow_set *set, __u32 tag)
{
	if (!set)
		return FLOW_SLOTS;
#pragma unroll
	for (int i = 0; i < FLOW_SLOTS; i++) {
		if (set->slots[i].tag == tag && set->slots[i].where)
			return i;
	}
	return FLOW_SLOTS;
}

/* The larger one, without a branch. */
static __always_inline __u32 larger(__u32 a, __u32 b)
{
	__u32 mask = -is_less(a, b);

	asm volatile("" : "+r"(mask)); /* clang would see through it */
	return a ^ ((a ^ b) & mask);
}

/* Index of the slot that a new flow may have, FLOW_SLOTS: none. */
__noinline int table_room(const struct flow_set *set, __u32 tick)
{
	/* rank << 20 | ticks silent << 4 | 8 | index; 0: none */
	__u32 room = 0, oldest = 0, probation = 0;

	if (!set)
		return FLOW_SLOTS;
#pragma unroll
	for (__u32 i = 0; i < FLOW_SLOTS; i++) {
		union slot_word is = {.word = *(const volatile __u64 *)&set->slots[i]};
		__u32 live = slot_is_live(is, tick), silent = slot_silent(is, tick);
		__u32 on_probation = live & is_equal(slot_state(is), SLOT_PROBATION);
		__u32 is_closed = live & is_equal(slot_state(is), SLOT_CLOSING) &
				  is_less(FLOW_CLOSED_TICKS - 1, silent);
		__u32 place = silent << 4 | 8 | i;

		room = larger(room, -(1 - live) & (1 << 20 | place));
		room = larger(room, -is_closed & place);
		oldest = larger(oldest, -on_probation & place);
		probation += on_probation;
	}
	if (room && probation < FLOW_PROBATION_MAX)
		return room & 7;
	return oldest ? oldest & 7 : FLOW_SLOTS;
}

/* May one more flow of the set be confirmed? */
__noinline int table_may_confirm(const struct flow_set *set, __u32 tick)
{
	__u32 confirmed = 0;

	if (!set)
		return 0;
#pragma unroll
	for (int i = 0; i < FLOW_SLOTS; i++) {
		union slot_word is = {.word = *(const volatile __u64 *)&set->slots[i]};

		confirmed += slot_is_live(is, tick) & is_equal(slot_state(is), SLOT_CONFIRMED);
	}
	return confirmed < FLOW_CONFIRMED_MAX;
}

static __always_inline struct flow_set *table_set(struct packet *p, const struct contract *c)
{
	__u32 index;

	p->hash = hash_flow(&p->key, p->is_ipv6, c->hash_secret);
	index = p->hash & (c->flow_sets - 1);
	return bpf_map_lookup_elem(&flows, &index);
}

static __always_inline void slot_write(struct flow_set *set, int index, union slot_word is)
{
	*(volatile __u64 *)&set->slots[index & (FLOW_SLOTS - 1)] = is.word;
}

/* One more packet of a flow that is in the table: written only when something
 * changes, once a tick. */
static __always_inline void table_touch(const struct packet *p, struct flow_set *set, int index,
					union slot_word is, __u32 tick)
{
	__u32 state = slot_state(is);

	if (p->is_dry)
		return;
	if (p->tcp_flags & (TCP_FIN | TCP_RST))
		state = SLOT_CLOSING;
	else if (packet_is_syn(p))
		state = SLOT_PROBATION;
	else if (state == SLOT_PROBATION && slot_silent(is, tick) && table_may_confirm(set, tick))
		state = SLOT_CONFIRMED;
	if (state == slot_state(is) && is.slot.tick == (__u16)tick)
		return;
	slot_write(set, index, slot_make(is.slot.tag, slot_endpoint(is), state, tick));
	if (state == SLOT_CLOSING && slot_state(is) != SLOT_CLOSING && p->pick == VIP_PICK_LEAST)
		opens_add(slot_endpoint(is), -1);
}

/* Remembers a new flow, in the slot it has already if it has one (else index is
 * FLOW_SLOTS); false: its set has no room. */
static __always_inline bool table_store(const struct packet *p, struct flow_set *set, int index,
					__u32 tick)
{
	if (index < 0 || index >= FLOW_SLOTS)
		index = table_room(set, tick);
	if (index < 0 || index >= FLOW_SLOTS)
		return false;
	slot_write(set, index, slot_make(table_tag(p), p->endpoint, SLOT_PROBATION, tick));
	return true;
}

#endif
