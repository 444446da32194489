// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* On an endpoint host: takes off what the gateway put around its packets.
 *
 * TC ingress of the device that the gateway's packets come in by: IPIP or GUE to
 * an address of this host with a packet to one of the listed VIPs inside becomes
 * that packet, and the stack, which has the VIP on lo, takes it.  Anything else is
 * passed untouched.  TC and not XDP, because GRO has merged the packets of a flow
 * by then, inner headers and all.  TC egress of the same device clamps the MSS
 * that the VIPs offer, so that clients' segments fit through the tunnel.
 *
 * The inner TTL stays what it is; ECN is decapsulated as RFC 6040 has it.
 */
#include "bpf/decap/maps.h"
#include "bpf/decap/outer.h"
#include "bpf/decap/inner.h"
#include "bpf/decap/strip.h"
#include "bpf/decap/mss.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tc")
int decap_ingress(struct __sk_buff *skb)
{
	const struct decap_config *config = config_get();
	struct size size = size_of(skb);
	struct tunnel tunnel = {};
	int stage;

	if (!config)
		return TC_PASS; /* the verifier: an array has its entries */
	stage = outer_parse(skb, config, &tunnel);
	if (stage == STAGE_NEXT)
		stage = inner_parse(skb, &tunnel);
	if (stage == STAGE_NEXT)
		stage = outer_strip(skb, &tunnel);
	return verdict_out(size, stage);
}

SEC("tc")
int decap_egress(struct __sk_buff *skb)
{
	const struct decap_config *config = config_get();
	struct size size = size_of(skb);
	struct syn syn = {};
	int stage;

	if (!config)
		return TC_PASS; /* the verifier: an array has its entries */
	stage = syn_parse(skb, config, &syn);
	if (stage == STAGE_NEXT && !bpf_map_lookup_elem(&decap_vips, &syn.src))
		stage = DECAP_NOT_A_SYN;
	if (stage == STAGE_NEXT)
		stage = mss_clamp(skb, &syn);
	return verdict_out(size, stage);
}
