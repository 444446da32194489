// SPDX-License-Identifier: BSD-2-Clause
/* IPv4 lives in struct ip_addr as ::ffff:a.b.c.d, so that one key type serves
 * both families; text and sockaddr use the family the address really has. */
#include "userspace/base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool address_is_ipv4(const struct ip_addr *addr)
{
	return memcmp(addr->bytes, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool address_is_zero(const struct ip_addr *addr)
{
	static const struct ip_addr zero;

	return address_equal(addr, &zero);
}

bool address_is_unicast(const struct ip_addr *addr)
{
	if (address_is_ipv4(addr))
		return addr->bytes[12] != 0 && addr->bytes[12] < 224;
	return !address_is_zero(addr) && addr->bytes[0] != 0xff;
}

bool address_is_loopback(const struct ip_addr *addr)
{
	static const struct ip_addr loopback6 = {.bytes = {[15] = 1}};

	return address_is_ipv4(addr) ? addr->bytes[12] == 127 : address_equal(addr, &loopback6);
}

bool address_is_link_local6(const struct ip_addr *addr)
{
	return addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
}

bool address_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int address_parse(const char *text, struct ip_addr *ret_addr)
{
	struct ip_addr addr = {0};

	if (inet_pton(AF_INET, text, addr.bytes + 12) == 1)
		memcpy(addr.bytes, v4_prefix, sizeof(v4_prefix));
	else if (inet_pton(AF_INET6, text, addr.bytes) != 1)
		return -EINVAL;
	*ret_addr = addr;
	return 0;
}

int address_port_parse(const char *text, struct ip_addr *ret_addr, uint16_t *ret_port)
{
	char host[ADDRESS_TEXT_MAX];
	const char *start = text, *end, *colon;
	unsigned long port;
	char *rest;
	int err;

	if (*text == '[') {
		start = text + 1;
		end = strchr(start, ']');
		if (!end || end[1] != ':')
			return -EINVAL;
		colon = end + 1;
	} else {
		colon = end = strrchr(text, ':');
		if (!colon || strchr(text, ':') != colon)
			return -EINVAL;
	}
	if ((size_t)(end - start) >= sizeof(host) || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	port = strtoul(colon + 1, &rest, 10);
	if (*rest || port > 65535)
		return -EINVAL;
	err = address_parse(host, ret_addr);
	if (err)
		return err;
	*ret_port = (uint16_t)port;
	return 0;
}

const char *address_format(const struct ip_addr *addr, char buffer[ADDRESS_TEXT_MAX])
{
	if (address_is_ipv4(addr))
		inet_ntop(AF_INET, addr->bytes + 12, buffer, ADDRESS_TEXT_MAX);
	else
		inet_ntop(AF_INET6, addr->bytes, buffer, ADDRESS_TEXT_MAX);
	return buffer;
}

const char *address_port_format(const struct ip_addr *addr, uint16_t port,
				char buffer[ADDRESS_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN + 1];

	if (address_is_ipv4(addr)) {
		inet_ntop(AF_INET, addr->bytes + 12, host, sizeof(host));
		snprintf(buffer, ADDRESS_TEXT_MAX, "%s:%u", host, port);
	} else {
		inet_ntop(AF_INET6, addr->bytes, host, sizeof(host));
		snprintf(buffer, ADDRESS_TEXT_MAX, "[%s]:%u", host, port);
	}
	return buffer;
}

socklen_t address_to_sockaddr(const struct ip_addr *addr, uint16_t port,
			      struct sockaddr_storage *ret_sa)
{
	memset(ret_sa, 0, sizeof(*ret_sa));
	if (address_is_ipv4(addr)) {
		struct sockaddr_in *sin = (struct sockaddr_in *)ret_sa;

		sin->sin_family = AF_INET;
		sin->sin_port = htons(port);
		memcpy(&sin->sin_addr, addr->bytes + 12, 4);
		return sizeof(*sin);
	}
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ret_sa;

	sin6->sin6_family = AF_INET6;
	sin6->sin6_port = htons(port);
	memcpy(&sin6->sin6_addr, addr->bytes, 16);
	return sizeof(*sin6);
}

int address_from_sockaddr(const struct sockaddr_storage *sa, struct ip_addr *ret_addr,
			  uint16_t *ret_port)
{
	uint16_t port;

	if (sa->ss_family == AF_INET) {
		const struct sockaddr_in *sin = (const struct sockaddr_in *)sa;

		memcpy(ret_addr->bytes, v4_prefix, sizeof(v4_prefix));
		memcpy(ret_addr->bytes + 12, &sin->sin_addr, 4);
		port = ntohs(sin->sin_port);
	} else if (sa->ss_family == AF_INET6) {
		const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)sa;

		memcpy(ret_addr->bytes, &sin6->sin6_addr, 16);
		port = ntohs(sin6->sin6_port);
	} else {
		return -EAFNOSUPPORT;
	}
	if (ret_port)
		*ret_port = port;
	return 0;
}
