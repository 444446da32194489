// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Gives the connections to an L7 VIP to the proxy's listener.
 *
 * The kernel asks this program for every packet that begins a connection to a
 * local address.  The proxy listens on one port of its own; whatever port the
 * VIP has is looked up in `vips` as XDP does, so nothing is bound a VIP and a
 * new VIP needs no restart.  `listeners` holds one member of the proxy's
 * SO_REUSEPORT group a family; the kernel then chooses among the group.
 */
#include <bpf/bpf_endian.h>

/* There is no packet at this hook. */
#define PACKET_LOAD(ctx, to, bytes) (-1)

#include "bpf/maps.h"
#include "bpf/stage/packet.h"
#include "bpf/stage/parse.h"
#include "bpf/stage/verdict.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define AF_INET6 10

/* The verifier takes no computed offset into ctx, so both families are read
 * and one is chosen: volatile keeps clang from choosing the address instead. */
static __always_inline void key_from_lookup(const struct bpf_sk_lookup *ctx,
					    struct vip_key *ret_key)
{
	__be32 ipv4 = *(volatile __u32 *)&ctx->local_ip4;
	struct ip_addr ipv6;

#pragma unroll
	for (int i = 0; i < 4; i++)
		ipv6.words[i] = *(volatile __u32 *)&ctx->local_ip6[i];
	*ret_key = (struct vip_key){
		.port = bpf_htons(ctx->local_port),
		.proto = IPPROTO_TCP,
	};
	if (ctx->family == AF_INET6)
		ret_key->addr = ipv6;
	else
		address_from_ipv4(&ret_key->addr, ipv4);
}

static __always_inline __u32 listener_assign(struct bpf_sk_lookup *ctx)
{
	__u32 slot = ctx->family == AF_INET6 ? LISTENER_IPV6 : LISTENER_IPV4;
	struct bpf_sock *listener = bpf_map_lookup_elem(&listeners, &slot);
	long error;

	if (!listener)
		return VERDICT_L7_NO_LISTENER;
	error = bpf_sk_assign(ctx, listener, 0);
	bpf_sk_release(listener);
	return error ? VERDICT_L7_NO_LISTENER : VERDICT_L7_ASSIGNED;
}

SEC("sk_lookup")
int sk_assign(struct bpf_sk_lookup *ctx)
{
	struct packet packet = {.count = 1, .vip = VIP_NONE, .endpoint = ENDPOINT_NONE};
	const struct vip *vip;
	struct vip_key key;
	__u32 verdict;

	if (ctx->protocol != IPPROTO_TCP)
		return SK_PASS;
	key_from_lookup(ctx, &key);
	vip = bpf_map_lookup_elem(&vips, &key);
	if (!vip || vip->mode != VIP_MODE_L7)
		return SK_PASS;
	packet.key.dst = key.addr;
	packet.key.dst_port = key.port;
	packet.key.proto = key.proto;
	verdict = listener_assign(ctx);
	event_report(ctx, &packet, verdict);
	verdict_count(&packet, verdict);
	return SK_PASS;
}
