// SPDX-License-Identifier: BSD-2-Clause
#include "maps/cli/vip_spec.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/log.h"
#include "userspace/publish/ring.h"

#define SPEC_TEXT_MAX 96

/* Copies what is before `separator`; *ret_rest is what is behind it or NULL. */
static int head_split(const char *text, char separator, char head[SPEC_TEXT_MAX],
		      const char **ret_rest)
{
	const char *at = strrchr(text, separator);
	size_t length = at ? (size_t)(at - text) : strlen(text);

	if (length >= SPEC_TEXT_MAX)
		return -EINVAL;
	memcpy(head, text, length);
	head[length] = '\0';
	*ret_rest = at ? at + 1 : NULL;
	return 0;
}

static uint8_t proto_parse(const char *text)
{
	if (text && !strcmp(text, "tcp"))
		return IPPROTO_TCP;
	if (text && !strcmp(text, "udp"))
		return IPPROTO_UDP;
	return 0;
}

/* Packets can come from a link for it, or go out on one. */
static bool address_is_steerable(const struct ip_addr *addr)
{
	return address_is_unicast(addr) && !address_is_loopback(addr) &&
	       !address_is_link_local6(addr);
}

int vip_key_parse(const char *text, struct vip_key *ret_key)
{
	struct vip_key key = {0};
	char head[SPEC_TEXT_MAX];
	const char *proto = NULL;
	uint16_t port = 0;
	int err;

	err = head_split(text, '/', head, &proto);
	if (!err)
		err = address_port_parse(head, &key.addr, &port);
	key.proto = proto_parse(proto);
	key.port = htons(port);
	if (err || !port || !key.proto || !address_is_steerable(&key.addr))
		return log_error(-EINVAL,
				 "'%s': not a VIP; write ADDRESS:PORT/tcp or /udp, such as "
				 "10.99.0.20:8000/tcp or [2001:db8::1]:53/udp",
				 text);
	*ret_key = key;
	return 0;
}

const char *vip_key_format(const struct vip_key *key, char buffer[VIP_TEXT_MAX])
{
	char address[ADDRESS_TEXT_MAX];

	address_port_format(&key->addr, ntohs(key->port), address);
	if (key->proto == IPPROTO_TCP || key->proto == IPPROTO_UDP)
		snprintf(buffer, VIP_TEXT_MAX, "%s/%s", address,
			 key->proto == IPPROTO_TCP ? "tcp" : "udp");
	else
		snprintf(buffer, VIP_TEXT_MAX, "%s/%u", address, key->proto);
	return buffer;
}

static int weight_parse(const char *text, uint32_t *ret_weight)
{
	unsigned long weight;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	weight = strtoul(text, &end, 10);
	if (errno || *end || !weight || weight > RING_WEIGHT_MAX)
		return -EINVAL;
	*ret_weight = (uint32_t)weight;
	return 0;
}

int endpoint_spec_parse(const char *text, struct endpoint_spec *ret_spec)
{
	struct endpoint_spec spec = {.weight = SPEC_WEIGHT_DEFAULT};
	char head[SPEC_TEXT_MAX];
	const char *weight = NULL;
	int err;

	err = head_split(text, '*', head, &weight);
	if (!err)
		err = address_port_parse(head, &spec.addr, &spec.port);
	if (err || !spec.port || !address_is_steerable(&spec.addr))
		return log_error(-EINVAL,
				 "--endpoint '%s': not an endpoint; write ADDRESS:PORT, or "
				 "ADDRESS:PORT*WEIGHT, with the address of another host",
				 text);
	if (weight && weight_parse(weight, &spec.weight))
		return log_error(
			-EINVAL,
			"--endpoint '%s': a weight is a whole number from 1 to %u; leave an "
			"endpoint out that shall get nothing",
			text, RING_WEIGHT_MAX);
	*ret_spec = spec;
	return 0;
}
