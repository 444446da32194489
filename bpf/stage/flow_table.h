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

static __always_inline bool slot_is_over(union slot_word is, __u32 tick)
{
	__u16 silent = slot_silent(is, tick);

	switch (slot_state(is)) {
	case SLOT_PROBATION: return silent >= FLOW_PROBATION_TICKS;
	case SLOT_CONFIRMED: return silent >= (is.slot.tag & 1 ? FLOW_UDP_TICKS : FLOW_TCP_TICKS);
	case SLOT_CLOSING: return silent >= FLOW_CLOSING_TICKS;
	}
	return true;
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

/* Index of the slot that a new flow may have, FLOW_SLOTS: none. */
__noinline int table_room(const struct flow_set *set, __u32 tag, __u32 tick)
{
	int room = FLOW_SLOTS, closing = FLOW_SLOTS, oldest = FLOW_SLOTS, probation = 0;
	__u16 oldest_silent = 0;

	if (!set)
		return FLOW_SLOTS;
#pragma unroll
	for (int i = 0; i < FLOW_SLOTS; i++) {
		union slot_word is = {.word = *(const volatile __u64 *)&set->slots[i]};

		if (is.slot.where && is.slot.tag == tag)
			return i;
		if (slot_is_over(is, tick)) {
			room = i;
		} else if (slot_state(is) == SLOT_CLOSING) {
			if (slot_silent(is, tick) >= FLOW_CLOSED_TICKS)
				closing = i;
		} else if (slot_state(is) == SLOT_PROBATION) {
			probation++;
			if (oldest == FLOW_SLOTS || slot_silent(is, tick) > oldest_silent) {
				oldest = i;
				oldest_silent = slot_silent(is, tick);
			}
		}
	}
	if (room == FLOW_SLOTS)
		room = closing;
	return room < FLOW_SLOTS && probation < FLOW_PROBATION_MAX ? room : oldest;
}

/* May one more flow of the set be confirmed? */
__noinline int table_may_confirm(const struct flow_set *set, __u32 tick)
{
	int confirmed = 0;

	if (!set)
		return 0;
#pragma unroll
	for (int i = 0; i < FLOW_SLOTS; i++) {
		union slot_word is = {.word = *(const volatile __u64 *)&set->slots[i]};

		if (slot_state(is) == SLOT_CONFIRMED && !slot_is_over(is, tick))
			confirmed++;
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
}

/* Remembers a new flow; false: its set has no room. */
static __always_inline bool table_store(const struct packet *p, struct flow_set *set, __u32 tick)
{
	__u32 tag = table_tag(p);
	int index = table_room(set, tag, tick);

	if (index < 0 || index >= FLOW_SLOTS)
		return false;
	slot_write(set, index, slot_make(tag, p->endpoint, SLOT_PROBATION, tick));
	return true;
}

#endif
