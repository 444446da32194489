// SPDX-License-Identifier: BSD-2-Clause
/* Rules of the four ways:
 *
 *	        families of VIP and endpoint   port          the gateway needs
 *	nat     one                            any           --snat of the family
 *	ipip    any                            the VIP's     an outer source of the endpoint's
 *family gue     any                            the VIP's     the same l2      one the VIP's nothing
 *
 * The server behind ipip, gue and l2 gets the client's packet as it was, so it must
 * listen on the VIP's address and port. */
#include "maps/cli/operator_check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "userspace/base/log.h"

/* One endpoint of one VIP, with both names for messages. */
struct pair {
	const struct vip_key *key;
	const struct endpoint_spec *spec;
	char vip[VIP_TEXT_MAX], endpoint[ADDRESS_TEXT_MAX];
};

static void pair_init(struct pair *pair, const struct vip_key *key,
		      const struct endpoint_spec *spec)
{
	pair->key = key;
	pair->spec = spec;
	vip_key_format(key, pair->vip);
	address_port_format(&spec->addr, spec->port, pair->endpoint);
}

static bool way_is_tunnel(uint8_t way)
{
	return way == WAY_IPIP || way == WAY_GUE;
}

static int family_check(const struct pair *pair)
{
	if (way_is_tunnel(pair->spec->way) ||
	    address_is_ipv4(&pair->spec->addr) == address_is_ipv4(&pair->key->addr))
		return 0;
	return log_error(-EAFNOSUPPORT,
			 "%s: endpoint %s is of the other IP family; %s needs VIP and endpoint of "
			 "one family; ipip and gue carry either",
			 pair->vip, pair->endpoint, pair->spec->way == WAY_NAT ? "NAT" : "L2");
}

static int port_check(const struct pair *pair)
{
	if (pair->spec->way == WAY_NAT || pair->spec->port == ntohs(pair->key->port))
		return 0;
	return log_error(-EINVAL,
			 "%s: endpoint %s has another port; %s keeps the packet's port, so the "
			 "server must listen on the VIP's address and port: write port %u, or "
			 "way=nat",
			 pair->vip, pair->endpoint, endpoint_way_name(pair->spec->way),
			 ntohs(pair->key->port));
}

static int nat_source_check(const struct maps *maps, const struct pair *pair)
{
	bool ipv4 = address_is_ipv4(&pair->key->addr);

	if (pair->spec->way != WAY_NAT ||
	    !address_is_zero(ipv4 ? &maps->contract.snat4 : &maps->contract.snat6))
		return 0;
	return log_error(-EAFNOSUPPORT,
			 "%s: endpoint %s is reached by NAT, and no NAT source address of this "
			 "family is set; load with 'sluice-loader load --snat ADDRESS'",
			 pair->vip, pair->endpoint);
}

static bool id_is_named_before(const struct vip_spec *spec, size_t index)
{
	for (size_t i = 0; i < index; i++) {
		if (spec->endpoints[i].server_id == spec->endpoints[index].server_id)
			return true;
	}
	return false;
}

static int server_id_check(const struct vip_spec *spec, const struct pair *pair, size_t index)
{
	uint16_t id = pair->spec->server_id;

	if (!id)
		return 0;
	if (!spec->quic)
		return log_error(-EINVAL,
				 "%s: endpoint %s has id=%u, but only a VIP with --quic follows "
				 "server ids; add --quic, or leave the id out",
				 pair->vip, pair->endpoint, id);
	if (!id_is_named_before(spec, index))
		return 0;
	return log_error(-EINVAL,
			 "%s: endpoint %s has id=%u, which another endpoint has; a server id names "
			 "one endpoint of a VIP",
			 pair->vip, pair->endpoint, id);
}

static bool endpoint_is_named_before(const struct vip_spec *spec, size_t index)
{
	for (size_t i = 0; i < index; i++) {
		if (spec->endpoints[i].port == spec->endpoints[index].port &&
		    address_equal(&spec->endpoints[i].addr, &spec->endpoints[index].addr))
			return true;
	}
	return false;
}

static int endpoint_check(const struct maps *maps, const struct vip_spec *spec, size_t index)
{
	struct pair pair;
	int err;

	pair_init(&pair, &spec->key, &spec->endpoints[index]);
	err = family_check(&pair);
	if (!err)
		err = port_check(&pair);
	if (!err)
		err = nat_source_check(maps, &pair);
	if (!err)
		err = server_id_check(spec, &pair, index);
	if (err)
		return err;
	if (address_equal(&pair.spec->addr, &spec->key.addr))
		return log_error(-ELOOP,
				 "%s: its own address cannot be an endpoint of it; name the "
				 "servers behind it",
				 pair.vip);
	if (endpoint_is_named_before(spec, index))
		return log_error(-EINVAL,
				 "%s: endpoint %s is named twice; say it once, with *WEIGHT for a "
				 "larger share",
				 pair.vip, pair.endpoint);
	return 0;
}

/* ---- what is allowed, but not for certain ---- */

static bool outer_source_is_set(const struct maps *maps, const struct endpoint_spec *spec)
{
	const struct contract *contract = &maps->contract;

	if (address_is_ipv4(&spec->addr))
		return !address_is_zero(&contract->encap4) || !address_is_zero(&contract->snat4);
	return !address_is_zero(&contract->encap6) || !address_is_zero(&contract->snat6);
}

static void outer_source_warn(const struct maps *maps, const struct vip_spec *spec)
{
	for (size_t i = 0; i < spec->endpoint_count; i++) {
		const struct endpoint_spec *endpoint = &spec->endpoints[i];
		struct pair pair;

		if (!way_is_tunnel(endpoint->way) || outer_source_is_set(maps, endpoint))
			continue;
		pair_init(&pair, &spec->key, endpoint);
		log_warning("%s: endpoint %s: no outer source address of its family is set, so %s "
			    "works only while sluice-controller supplies one with the endpoint's "
			    "path; 'sluice-loader load --encap ADDRESS' sets it",
			    pair.vip, pair.endpoint, endpoint_way_name(endpoint->way));
		return;
	}
}

static void quic_warn(const struct vip_spec *spec)
{
	char vip[VIP_TEXT_MAX];

	for (size_t i = 0; i < spec->endpoint_count; i++) {
		if (spec->endpoints[i].server_id)
			return;
	}
	if (spec->quic)
		log_warning("%s: --quic, but no endpoint has a server id; connections stay with "
			    "their flow only; write --endpoint ADDRESS:PORT,id=N",
			    vip_key_format(&spec->key, vip));
}

int vip_spec_check(const struct maps *maps, const struct vip_spec *spec)
{
	char vip[VIP_TEXT_MAX];

	if (!spec->endpoint_count)
		return log_error(-EINVAL, "%s: wants 1 to %d endpoints, each with --endpoint A:P",
				 vip_key_format(&spec->key, vip), REQUEST_ENDPOINTS_MAX);
	if (spec->quic && spec->key.proto != IPPROTO_UDP)
		return log_error(-EINVAL, "%s: --quic is for UDP; write /udp, or leave --quic out",
				 vip_key_format(&spec->key, vip));
	for (size_t i = 0; i < spec->endpoint_count; i++) {
		int err = endpoint_check(maps, spec, i);

		if (err)
			return err;
	}
	outer_source_warn(maps, spec);
	quic_warn(spec);
	return 0;
}
