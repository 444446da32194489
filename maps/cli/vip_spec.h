/* SPDX-License-Identifier: BSD-2-Clause */
/* VIPs and endpoints as the operator types them. */
#ifndef SLUICE_CLI_VIP_SPEC_H
#define SLUICE_CLI_VIP_SPEC_H

#include <stdint.h>

#include "maps/layout/types.h"
#include "maps/layout/vip.h"
#include "userspace/base/address.h"

#define VIP_TEXT_MAX (ADDRESS_TEXT_MAX + 8)
#define SPEC_WEIGHT_DEFAULT 100u

struct endpoint_spec {
	struct ip_addr addr;
	uint16_t port; /* host order */
	uint32_t weight; /* 1 .. RING_WEIGHT_MAX */
};

/* "10.99.0.20:8000/tcp" or "[2001:db8::1]:53/udp"; -EINVAL after a message. */
int vip_key_parse(const char *text, struct vip_key *ret_key);
const char *vip_key_format(const struct vip_key *key, char buffer[VIP_TEXT_MAX]);

/* "10.10.0.5:8000", with "*50" behind it for a weight; -EINVAL after a message. */
int endpoint_spec_parse(const char *text, struct endpoint_spec *ret_spec);

#endif
