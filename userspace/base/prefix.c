// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/base/prefix.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "userspace/base/address.h"

struct ip_addr address_masked(const struct ip_addr *addr, unsigned length)
{
	struct ip_addr masked = *addr;

	for (unsigned i = 0; i < sizeof(masked.bytes); i++) {
		unsigned bits = length > 8 * i ? length - 8 * i : 0;

		if (bits < 8)
			masked.bytes[i] &= (uint8_t)(0xff00 >> bits);
	}
	return masked;
}

static int bits_parse(const char *text, unsigned most, unsigned *ret_bits)
{
	unsigned bits = 0;

	if (!*text || strlen(text) > 3)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		bits = 10 * bits + (unsigned)(*text - '0');
	}
	*ret_bits = bits;
	return bits <= most ? 0 : -EINVAL;
}

int prefix_parse(const char *text, struct prefix *ret_prefix)
{
	char address[ADDRESS_TEXT_MAX];
	size_t length = strcspn(text, "/");
	struct prefix prefix;
	struct ip_addr masked;
	unsigned bits, before;

	if (length >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, length);
	address[length] = '\0';
	if (address_parse(address, &prefix.addr))
		return -EINVAL;
	prefix.ipv4 = address_is_ipv4(&prefix.addr);
	before = prefix.ipv4 ? PREFIX_IPV4_BITS : 0;
	bits = 128 - before;
	if (text[length] && bits_parse(text + length + 1, 128 - before, &bits))
		return -EINVAL;
	prefix.length = before + bits;
	masked = address_masked(&prefix.addr, prefix.length);
	if (!address_equal(&masked, &prefix.addr))
		return -EINVAL;
	*ret_prefix = prefix;
	return 0;
}

bool prefix_contains(const struct prefix *prefix, const struct ip_addr *addr)
{
	struct ip_addr masked = address_masked(addr, prefix->length);

	return address_is_ipv4(addr) == prefix->ipv4 && address_equal(&masked, &prefix->addr);
}
