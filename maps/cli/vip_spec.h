/* SPDX-License-Identifier: BSD-2-Clause */
/* VIPs and endpoints as the operator types them. */
#ifndef SLUICE_CLI_VIP_SPEC_H
#define SLUICE_CLI_VIP_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/cli/request.h"
#include "maps/layout/types.h"
#include "maps/layout/vip.h"
#include "userspace/base/address.h"

#define VIP_TEXT_MAX (ADDRESS_TEXT_MAX + 8)
#define SPEC_WEIGHT_DEFAULT 100u

struct endpoint_spec {
	struct ip_addr addr;
	uint16_t port; /* host order */
	uint16_t server_id; /* QUIC; 0: none */
	uint32_t weight; /* 1 .. RING_WEIGHT_MAX */
	uint8_t way; /* enum endpoint_way; WAY_NONE: not said */
};

/* A whole VIP.  What was not said has its default. */
struct vip_spec {
	struct vip_key key;
	const char *pool; /* name; NULL: made from the VIP's */
	uint8_t pick; /* enum vip_pick */
	uint8_t down; /* enum vip_down */
	bool quic;
	struct endpoint_spec endpoints[REQUEST_ENDPOINTS_MAX]; /* way is never WAY_NONE */
	size_t endpoint_count;
};

/* "10.99.0.20:8000/tcp" or "[2001:db8::1]:53/udp"; -EINVAL after a message. */
int vip_key_parse(const char *text, struct vip_key *ret_key);
const char *vip_key_format(const struct vip_key *key, char buffer[VIP_TEXT_MAX]);

/* "10.10.0.5:8000", with "*50" behind it for a weight, and then options: ",way=gue",
 * ",id=7".  -EINVAL after a message. */
int endpoint_spec_parse(const char *text, struct endpoint_spec *ret_spec);

/* The first word and the options of `vip add` and `vip set`: -EINVAL after a message.
 * Whether the maps can have it is for operator_check.h. */
int vip_spec_parse(const struct request *request, struct vip_spec *ret_spec);

#endif
