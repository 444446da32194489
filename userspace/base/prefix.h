/* SPDX-License-Identifier: BSD-2-Clause */
/* Address prefixes, as in "10.0.0.0/8" and "2001:db8::/32".
 *
 * A length counts the bits of struct ip_addr, 128 at most: an IPv4 prefix of 8 bits
 * has 104, for IPv4 lives there as ::ffff:a.b.c.d.  So one comparison serves both
 * families, and an IPv6 prefix of less than 96 bits that covers ::ffff:0:0 would
 * cover IPv4 too: prefix_contains() keeps them apart. */
#ifndef SLUICE_BASE_PREFIX_H
#define SLUICE_BASE_PREFIX_H

#include <stdbool.h>

#include "maps/layout/types.h"

#define PREFIX_IPV4_BITS 96 /* what an IPv4 prefix has in front */

struct prefix {
	struct ip_addr addr; /* bits behind `length` are zero */
	unsigned length; /* bits of addr */
	bool ipv4;
};

/* "ADDRESS/BITS", or an address alone, which is all of it.  -EINVAL: neither, or bits
 * are set behind the prefix, which would mean something else than it says. */
int prefix_parse(const char *text, struct prefix *ret_prefix);
bool prefix_contains(const struct prefix *prefix, const struct ip_addr *addr);
/* The address with what is behind its first `length` bits set to zero. */
struct ip_addr address_masked(const struct ip_addr *addr, unsigned length);

#endif
