/* SPDX-License-Identifier: BSD-2-Clause */
/* VIPs as addresses of this host: /32 or /128 on lo, so that the stack takes
 * what XDP passes up for the proxy.  rtnetlink, in the caller's network
 * namespace; needs CAP_NET_ADMIN. */
#ifndef SLUICE_PUBLISH_VIP_ADDRESS_H
#define SLUICE_PUBLISH_VIP_ADDRESS_H

#include <stdbool.h>

#include "maps/layout/types.h"

/* Is it an address of this host, on whatever device or by an AnyIP route?  Does
 * not log. */
int vip_address_is_local(const struct ip_addr *addr, bool *ret_local);

/* Makes sure that the address is local.  *ret_added: it was not and we put it
 * on lo, so it is ours to remove.  Logs what fails. */
int vip_address_add(const struct ip_addr *addr, bool *ret_added);

/* Takes it from lo; fine when it is gone already.  Logs what fails. */
int vip_address_remove(const struct ip_addr *addr);

#endif
