/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* VIPs: which destination belongs to Sluice, and which path serves it. */
#ifndef SLUICE_MAPS_LAYOUT_VIP_H
#define SLUICE_MAPS_LAYOUT_VIP_H

#include "maps/layout/types.h"

enum vip_mode {
	VIP_MODE_NONE,
	VIP_MODE_L4, /* steered to an endpoint packet by packet */
	VIP_MODE_L7, /* given to the proxy's listener by sk_lookup */
	VIP_MODE_ADDRESS, /* key with port and proto 0: an address that L4 VIPs have, so that
			   * echo requests, ICMP errors and later fragments are known as ours */
	VIP_MODE_COUNT
};

/* How a new flow of an L4 VIP gets its endpoint. */
enum vip_pick {
	VIP_PICK_MAGLEV, /* the ring's row: the same on every gateway */
	VIP_PICK_LEAST, /* the less loaded of two rows */
	VIP_PICK_COUNT
};

/* What becomes of a TCP packet mid-flow whose endpoint is DOWN or in MAINT. */
enum vip_down {
	VIP_DOWN_RESET, /* the client gets a RST */
	VIP_DOWN_DROP, /* dropped, so the flow goes on if the endpoint comes back */
	VIP_DOWN_COUNT
};

enum vip_owner {
	VIP_OWNER_NONE,
	VIP_OWNER_CONTROLLER,
	VIP_OWNER_OPERATOR, /* the controller never touches these */
	VIP_OWNER_COUNT
};

enum vip_flags {
	VIP_F_ADDRESS_ADDED = 1 << 0, /* we put the address on lo: unload removes it */
	VIP_F_NAT = 1 << 1, /* the pool has endpoints reached by NAT: look into nat_fwd */
	VIP_F_QUIC = 1 << 2, /* UDP: follow the server id in QUIC connection ids */
};

/* Key of map `vips`; the padding is compared too, keep it zero. */
struct vip_key {
	struct ip_addr addr;
	__be16 port;
	__u8 proto; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 pad[5];
};
_Static_assert(sizeof(struct vip_key) == 24, "vip_key is a wire format");

/* Map `vips`: hash, VIPS_MAX.  Writer: controller; the CLI for operator-owned
 * VIPs.  Readers: XDP, TC, sk_lookup, proxy, CLI. */
struct vip {
	__u32 id; /* index into vip_stats, < VIPS_MAX */
	__u32 pool; /* L4: index into rings; POOL_NONE for L7 */
	__u8 mode; /* enum vip_mode */
	__u8 owner; /* enum vip_owner */
	__u16 flags; /* enum vip_flags */
	__u8 pick; /* enum vip_pick */
	__u8 down; /* enum vip_down */
	__u16 pad;
};
_Static_assert(sizeof(struct vip) == 16, "vip is a wire format");

/* Map `cids`: hash, CIDS_MAX.  Writer: controller; the CLI for the operator's.
 * Reader: XDP, TC.  Which endpoint of a pool a QUIC server id names; the id is
 * in connection ids as draft-ietf-quic-load-balancers-21, section 5.2 (plain text)
 * has it: first octet, then the id in two octets, network order. */
struct cid_key {
	__u32 pool;
	__u32 server_id; /* 1 .. 65535, host order */
};
_Static_assert(sizeof(struct cid_key) == 8, "cid_key is a wire format");

struct cid {
	__u32 endpoint;
	__u32 generation; /* of the endpoint */
};
_Static_assert(sizeof(struct cid) == 8, "cid is a wire format");

/* Map `listeners`: sockmap, LISTENERS_MAX, __u32 -> __u64 (a socket's cookie when
 * read).  Writer: proxy parent.  Reader:
 * sk_lookup.  Each slot holds one member of the parent's SO_REUSEPORT group;
 * the kernel then chooses among the group. */
#define LISTENER_IPV4 0
#define LISTENER_IPV6 1

#endif
