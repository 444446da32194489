// SPDX-License-Identifier: BSD-2-Clause
/* What the controller and the operator would have written: endpoints, ways to
 * them, rings, VIPs, states. */
#include "tests/harness/program.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"

void bench_endpoint_way(struct bench *bench, uint32_t id, const char *addr, uint8_t way)
{
	struct endpoint *endpoint = &bench->controller->endpoints[id];

	memset(endpoint, 0, sizeof(*endpoint));
	assert_int_equal(address_parse(addr, &endpoint->addr), 0);
	endpoint->port = htons(8000);
	endpoint->way = way;
	endpoint->owner = VIP_OWNER_CONTROLLER;
	endpoint->generation = 1;
}

void bench_endpoint(struct bench *bench, uint32_t id, const char *addr)
{
	bench_endpoint_way(bench, id, addr, WAY_NAT);
}

void bench_endpoint_remove(struct bench *bench, uint32_t id)
{
	memset(&bench->controller->endpoints[id], 0, sizeof(struct endpoint));
}

void bench_nexthop(struct bench *bench, uint32_t id, uint32_t ifindex, const uint8_t mac[6],
		   uint16_t vlan)
{
	struct nexthop *nexthop = &bench->controller->nexthops[id];
	static const uint8_t own[6] = {2, 0, 0, 0, 9, 9};

	memset(nexthop, 0, sizeof(*nexthop));
	memcpy(nexthop->dmac, mac, sizeof(nexthop->dmac));
	memcpy(nexthop->smac, own, sizeof(own));
	nexthop->vlan = vlan;
	nexthop->ifindex = ifindex;
	nexthop->mtu = 1500;
	nexthop->state = NEXTHOP_RESOLVED;
}

/* Of the outer IPv4 header: DF, TTL and addresses. */
static uint16_t path_check(const struct endpoint *endpoint, const struct path *path)
{
	uint8_t header[20] = {[6] = 0x40, [8] = 64};
	uint16_t check;

	if (!address_is_ipv4(&endpoint->addr) || endpoint->way == WAY_L2)
		return 0;
	memcpy(header + 12, &path->src.words[3], 4);
	memcpy(header + 16, &endpoint->addr.words[3], 4);
	check = htons(frame_sum_fold(frame_sum_add(0, header, sizeof(header))));
	return check;
}

void bench_path(struct bench *bench, uint32_t id, uint32_t nexthop, uint16_t mtu)
{
	const struct endpoint *endpoint = &bench->controller->endpoints[id];
	struct path *path = &bench->controller->paths[id];

	memset(path, 0, sizeof(*path));
	address_parse(address_is_ipv4(&endpoint->addr) ? "10.2.0.1" : "fd00:2::1", &path->src);
	path->nexthop = nexthop;
	path->mtu = mtu;
	path->check = path_check(endpoint, path);
	path->generation = endpoint->generation;
}

void bench_ring(struct bench *bench, const uint32_t *ids, uint32_t count)
{
	_cleanup_free_ struct ring_slot *slots = NULL;

	slots = calloc(RING_SIZE_SMALL + 1, sizeof(*slots));
	assert_non_null(slots);
	slots[0].size = RING_SIZE_SMALL;
	for (uint32_t row = 0; row < RING_SIZE_SMALL; row++)
		slots[row + 1].endpoint = count ? ids[row % count] : ENDPOINT_NONE;
	assert_int_equal(rings_put(bench->controller, 0, slots, RING_SIZE_SMALL), 0);
}

void bench_vip_put(struct bench *bench, const char *addr, uint16_t port, uint8_t proto,
		   struct vip vip)
{
	struct vip_key key = {.port = htons(port), .proto = proto};

	vip.id = vip.id ? vip.id : 7;
	vip.owner = vip.owner ? vip.owner : VIP_OWNER_CONTROLLER;
	assert_int_equal(address_parse(addr, &key.addr), 0);
	assert_int_equal(vips_put(bench->controller, &key, &vip), 0);
}

void bench_vip(struct bench *bench, const char *addr, uint16_t port, uint8_t proto, uint8_t mode)
{
	struct vip vip = {.mode = mode, .flags = VIP_F_NAT};

	if (mode == VIP_MODE_L7)
		vip.pool = POOL_NONE;
	bench_vip_put(bench, addr, port, proto, vip);
}

void bench_cid(struct bench *bench, uint32_t server_id, uint32_t endpoint)
{
	const struct cid_key key = {.server_id = server_id};
	const struct cid cid = {
		.endpoint = endpoint,
		.generation = bench->controller->endpoints[endpoint].generation,
	};

	assert_int_equal(cids_put(bench->controller, &key, &cid), 0);
}

void bench_live(struct bench *bench, uint32_t id, uint32_t flows, uint32_t cost, uint32_t weight)
{
	struct live *live = &bench->controller->live[id];

	memset(live, 0, sizeof(*live));
	live->generation = bench->controller->endpoints[id].generation;
	live->flows = flows;
	live->opened = bench->controller->opens[id].count;
	live->cost = cost;
	live->weight = weight;
}

void bench_admin(struct bench *bench, uint32_t slot, uint8_t state)
{
	bench->operator->admin[slot].generation = slot >= ADMIN_CLUSTER_BASE ? 0 : 1;
	bench->operator->admin[slot].state = state;
}

void bench_drain_until(struct bench *bench, uint32_t slot, uint64_t until)
{
	bench->operator->admin[slot].drain_until = until;
	bench_admin(bench, slot, ADMIN_DRAIN);
}

void bench_health(struct bench *bench, uint32_t id, uint8_t state)
{
	bench->controller->health[id].generation = 1;
	bench->controller->health[id].state = state;
}

void bench_serve_way(struct bench *bench, bool is_ipv6, uint8_t way, bool endpoints_ipv6)
{
	static const uint32_t ids[] = {0, 1, 2};
	const char *vip = is_ipv6 ? "fd00:99::1" : "10.99.0.1";
	uint8_t mac[6] = {2, 0, 0, 0, 2};

	for (uint32_t id = 0; id < 3; id++) {
		char addr[32];

		snprintf(addr, sizeof(addr), endpoints_ipv6 ? "fd00:2::%u" : "10.2.0.%u", id + 2);
		bench_endpoint_way(bench, id, addr, way);
		if (way == WAY_NAT)
			continue;
		mac[5] = (uint8_t)(id + 2);
		bench_nexthop(bench, id, bench->endpoint_ifindex, mac, 0);
		bench_path(bench, id, id, 1500);
	}
	bench_ring(bench, ids, 3);
	for (int udp = 0; udp < 2; udp++)
		bench_vip_put(bench, vip, 80, udp ? IPPROTO_UDP : IPPROTO_TCP,
			      (struct vip){.mode = VIP_MODE_L4,
					   .flags = way == WAY_NAT ? VIP_F_NAT : 0});
}

void bench_serve(struct bench *bench, bool is_ipv6)
{
	bench_serve_way(bench, is_ipv6, WAY_NAT, is_ipv6);
}
