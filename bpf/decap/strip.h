/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stage 3: the outer headers go.
 *
 * bpf_skb_adjust_room keeps a merged packet merged, with the segment size that
 * GRO found in the inner packets (FIXED_GSO).  Its flags for a decapsulation
 * that changes the IP version came with Linux 6.3; bpf_skb_change_proto does
 * that on all kernels: it makes the outer header one of the inner version's
 * size, which is then taken off.  So there is one way, and 6.1 has it too.
 */
#ifndef SLUICE_BPF_DECAP_STRIP_H
#define SLUICE_BPF_DECAP_STRIP_H

#include <stddef.h>

#include "bpf/decap/inner.h"

#define FAMILY_BYTES (sizeof(struct ipv6hdr) - sizeof(struct iphdr))

/* Writes the ECN bits into the header that is the outermost now. */
static __always_inline long ecn_write(struct __sk_buff *skb, const struct tunnel *t, __u8 ecn)
{
	__u8 tos = (t->inner_tos & ~ECN_MASK) | ecn;
	__be16 word_old, word;
	long error;

	if (tos == t->inner_tos)
		return 0;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, &word_old, sizeof(word_old)))
		return -1;
	if (t->inner_proto == IPPROTO_IPV6) {
		/* version, traffic class, flow label's highest four bits */
		word = (word_old & bpf_htons(0xf00f)) | bpf_htons((__u16)tos << 4);
		return bpf_skb_store_bytes(skb, ETH_HLEN, &word, sizeof(word),
					   BPF_F_RECOMPUTE_CSUM);
	}
	word = (word_old & bpf_htons(0xff00)) | bpf_htons(tos);
	/* the header's sum stays what it was, and with it a checksum over the whole packet */
	error = bpf_l3_csum_replace(skb, ETH_HLEN + offsetof(struct iphdr, check), word_old, word,
				    sizeof(word));
	return error | bpf_skb_store_bytes(skb, ETH_HLEN, &word, sizeof(word), 0);
}

static __always_inline long headers_strip(struct __sk_buff *skb, const struct tunnel *t)
{
	bool is_ipv6 = t->inner_proto == IPPROTO_IPV6;
	__be16 protocol = is_ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	__s32 bytes = t->inner - ETH_HLEN;

	if (is_ipv6 != t->outer_is_ipv6) {
		if (bpf_skb_change_proto(skb, protocol, 0))
			return -1;
		bytes += is_ipv6 ? (__s32)FAMILY_BYTES : -(__s32)FAMILY_BYTES;
	}
	if (bpf_skb_adjust_room(skb, -bytes, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
		return -1;
	return bpf_skb_store_bytes(skb, offsetof(struct ethhdr, h_proto), &protocol,
				   sizeof(protocol), 0);
}

/* Ends in the packet's verdict.  A packet that a helper left half done is
 * dropped. */
static __always_inline int outer_strip(struct __sk_buff *skb, const struct tunnel *t)
{
	int ecn = ecn_decapsulate(t->outer_tos, t->inner_tos);

	if (ecn < 0)
		return DECAP_ECN_DROP;
	if (headers_strip(skb, t) || ecn_write(skb, t, ecn))
		return DECAP_REFUSED;
	return t->is_gue ? DECAP_GUE : DECAP_IPIP;
}

#endif
