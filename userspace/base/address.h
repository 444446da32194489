/* SPDX-License-Identifier: BSD-2-Clause */
/* struct ip_addr and text, and sockaddr. Ports here are in host byte order. */
#ifndef SLUICE_BASE_ADDRESS_H
#define SLUICE_BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "maps/layout/types.h"

#define ADDRESS_TEXT_MAX 56 /* "[v6]:65535" and NUL */

bool address_is_ipv4(const struct ip_addr *addr);
bool address_is_zero(const struct ip_addr *addr);
/* Of one host: not unspecified, multicast, broadcast or reserved. */
bool address_is_unicast(const struct ip_addr *addr);
bool address_is_loopback(const struct ip_addr *addr);
/* fe80::/10: means nothing without its link. */
bool address_is_link_local6(const struct ip_addr *addr);
bool address_equal(const struct ip_addr *a, const struct ip_addr *b);

/* "10.0.0.1" or "2001:db8::1"; -EINVAL otherwise. */
int address_parse(const char *text, struct ip_addr *ret_addr);
/* "10.0.0.1:80" or "[2001:db8::1]:80"; -EINVAL otherwise. */
int address_port_parse(const char *text, struct ip_addr *ret_addr, uint16_t *ret_port);
/* Both write at most ADDRESS_TEXT_MAX bytes and return `buffer`. */
const char *address_format(const struct ip_addr *addr, char buffer[ADDRESS_TEXT_MAX]);
const char *address_port_format(const struct ip_addr *addr, uint16_t port,
				char buffer[ADDRESS_TEXT_MAX]);

/* AF_INET for IPv4, else AF_INET6.  Returns the length for connect() and bind(). */
socklen_t address_to_sockaddr(const struct ip_addr *addr, uint16_t port,
			      struct sockaddr_storage *ret_sa);
/* -EAFNOSUPPORT for other families.  ret_port may be NULL. */
int address_from_sockaddr(const struct sockaddr_storage *sa, struct ip_addr *ret_addr,
			  uint16_t *ret_port);

#endif
