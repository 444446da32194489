/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses and small ids shared by every map family.
 *
 * Included by clang -target bpf and by the host compiler alike, so it uses
 * <linux/types.h> only.  __be16 and __be32 mean network byte order and are
 * used nowhere else; every other integer is in host byte order.
 */
#ifndef SLUICE_MAPS_LAYOUT_TYPES_H
#define SLUICE_MAPS_LAYOUT_TYPES_H

#include <linux/types.h>

/* An IPv6 address, or an IPv4 one as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2).
 * Network byte order.  16 bytes. */
struct ip_addr {
	union {
		__u8 bytes[16];
		__be32 words[4];
	};
};
_Static_assert(sizeof(struct ip_addr) == 16, "ip_addr is part of map keys");

/* ids index arrays; 0 is valid, NONE is not */
#define ENDPOINT_NONE 0xffffffffu
#define POOL_NONE 0xffffffffu
#define CLUSTER_NONE 0xffffffffu
#define NEXTHOP_NONE 0xffffffffu

#endif
