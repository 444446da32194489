// SPDX-License-Identifier: BSD-2-Clause
#include "tests/bench/l4_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "maps/layout/ring.h" /* a type that the skeleton names */
#include "tests/bench/l4_harness.skel.h"
#include "loader/pin.h"
#include "maps/access/map_spec.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/paths/choice.h"
#include "userspace/publish/ring.h"

#define NEXTHOP_CLIENT_SIDE 1
#define NEXTHOP_NAT 8 /* and one more an endpoint */
#define ENDPOINTS_A_POOL 8
#define RING_SEED 1
#define MTU 1500

static const char network_script[] =
	"set -e; ip link set lo up\n"
	"ip link add cl type veth peer name clx; ip link add ep type veth peer name epx\n"
	"for d in cl clx ep epx; do ip link set $d up; done\n"
	"ip addr add 10.1.0.1/24 dev cl; ip addr add fd00:1::1/64 dev cl nodad\n"
	"ip addr add 10.2.0.1/24 dev ep\n"
	"echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding\n"
	"ip neigh add 10.1.0.2 lladdr 02:00:00:00:01:02 dev cl nud permanent\n"
	"ip neigh add fd00:1::2 lladdr 02:00:00:00:01:02 dev cl nud permanent\n"
	"ip route add default via 10.1.0.2; ip route add default via fd00:1::2\n"
	"for i in 2 3 4 5 6 7 8 9; do\n"
	"  ip neigh add 10.2.0.$i lladdr 02:00:00:00:02:0$i dev ep nud permanent\n"
	"done\n";

bool l4_namespaces_make(void)
{
	if (geteuid() != 0) {
		log_error(-EPERM, "loading programs needs root");
		return false;
	}
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("run", "/run", "tmpfs", 0, NULL) < 0 ||
	    mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) < 0) {
		log_error(-errno, "namespaces of our own: %s", strerror(errno));
		return false;
	}
	if (system(network_script) != 0) {
		log_error(-EINVAL, "veth devices in a namespace: 'ip' could not make them");
		return false;
	}
	return true;
}

struct service {
	enum endpoint_way way;
	const char *vip;
	const char *base; /* address of its first endpoint; the others follow */
	uint32_t endpoints;
	uint8_t pick;
};

static const struct service services[L4_SERVICE_COUNT] = {
	[L4_IPIP] = {WAY_IPIP, "10.99.0.1", "10.3.0.2", ENDPOINTS_A_POOL, VIP_PICK_MAGLEV},
	[L4_NAT] = {WAY_NAT, "10.99.0.2", "10.2.0.2", ENDPOINTS_A_POOL, VIP_PICK_MAGLEV},
	[L4_GUE] = {WAY_GUE, "10.99.0.3", "10.3.1.2", ENDPOINTS_A_POOL, VIP_PICK_MAGLEV},
	[L4_L2] = {WAY_L2, "10.99.0.4", "10.1.0.16", ENDPOINTS_A_POOL, VIP_PICK_MAGLEV},
	[L4_WIDE] = {WAY_IPIP, "10.99.0.5", "10.4.0.2", L4_WIDE_ENDPOINTS, VIP_PICK_MAGLEV},
	[L4_LEAST] = {WAY_IPIP, "10.99.0.6", "10.3.2.2", ENDPOINTS_A_POOL, VIP_PICK_LEAST},
	[L4_IPIP6] = {WAY_IPIP, "fd00:99::1", "fd00:3::2", ENDPOINTS_A_POOL, VIP_PICK_MAGLEV},
};

/* Pools' endpoints lie one after the other. */
static uint32_t endpoint_first(enum l4_service service)
{
	uint32_t first = 0;

	for (int i = 0; i < (int)service; i++)
		first += services[i].endpoints;
	return first;
}

static void address_add(struct ip_addr *addr, uint32_t count)
{
	addr->words[3] = htonl(ntohl(addr->words[3]) + count);
}

static void nexthop_fill(struct l4_world *world, uint32_t id, uint32_t ifindex, uint8_t mac_last)
{
	struct nexthop *nexthop = &world->controller->nexthops[id];

	*nexthop = (struct nexthop){
		.dmac = {2, 0, 0, 0, ifindex == world->client_ifindex ? 1 : 2, mac_last},
		.state = NEXTHOP_RESOLVED,
		.smac = {2, 0, 0, 0, 9, 1},
		.ifindex = ifindex,
		.mtu = MTU,
	};
}

static void path_fill(struct l4_world *world, uint32_t id, uint32_t nexthop)
{
	const struct endpoint *endpoint = &world->controller->endpoints[id];
	struct path path = {.generation = endpoint->generation, .nexthop = nexthop, .mtu = MTU};
	bool is_ipv4 = address_is_ipv4(&endpoint->addr);

	address_parse(!is_ipv4			 ? "fd00:1::1"
		      : endpoint->way == WAY_NAT ? "10.2.0.1"
						 : "10.1.0.1",
		      &path.src);
	if (is_ipv4 && (endpoint->way == WAY_IPIP || endpoint->way == WAY_GUE))
		path.check = path_header_sum(&path.src, &endpoint->addr);
	world->controller->paths[id] = path;
}

static void endpoint_fill(struct l4_world *world, enum l4_service number, uint32_t index)
{
	const struct service *service = &services[number];
	uint32_t id = endpoint_first(number) + index;
	struct endpoint *endpoint = &world->controller->endpoints[id];
	uint32_t nexthop = NEXTHOP_CLIENT_SIDE;

	*endpoint = (struct endpoint){.port = htons(service->way == WAY_NAT ? 8000 : 80),
				      .way = service->way,
				      .owner = VIP_OWNER_CONTROLLER,
				      .pool = number,
				      .generation = 1};
	address_parse(service->base, &endpoint->addr);
	address_add(&endpoint->addr, index);
	world->controller->health[id] = (struct health){.state = HEALTH_UP, .generation = 1};
	if (service->way == WAY_NAT) {
		nexthop = NEXTHOP_NAT + index;
		nexthop_fill(world, nexthop, world->endpoint_ifindex, (uint8_t)(2 + index));
	}
	path_fill(world, id, nexthop);
}

static int ring_fill(struct l4_world *world, enum l4_service number)
{
	_cleanup_free_ struct ring_member *members = NULL;
	_cleanup_free_ struct ring_slot *slots = NULL;
	uint32_t first = endpoint_first(number), count = services[number].endpoints, size;
	int err;

	members = calloc(count, sizeof(*members));
	if (!members)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		members[i] = (struct ring_member){
			.addr = world->controller->endpoints[first + i].addr,
			.port = world->controller->endpoints[first + i].port,
			.weight = 100,
			.endpoint = first + i,
		};
	err = ring_build(members, count, RING_SEED, NULL, 0, &slots, &size);
	return err ? err : rings_put(world->controller, number, slots, size);
}

static int vip_fill(struct l4_world *world, const char *addr, uint32_t offset, uint8_t proto,
		    uint32_t id, enum l4_service number)
{
	struct vip_key key = {.port = htons(80), .proto = proto};
	struct vip vip = {.id = id,
			  .pool = number,
			  .mode = VIP_MODE_L4,
			  .owner = VIP_OWNER_CONTROLLER,
			  .flags = services[number].way == WAY_NAT ? VIP_F_NAT : 0,
			  .pick = services[number].pick};

	address_parse(addr, &key.addr);
	address_add(&key.addr, offset);
	return vips_put(world->controller, &key, &vip);
}

static int world_fill(struct l4_world *world)
{
	int err = 0;

	nexthop_fill(world, NEXTHOP_CLIENT_SIDE, world->client_ifindex, 2);
	for (int i = 0; !err && i < L4_SERVICE_COUNT; i++) {
		for (uint32_t k = 0; k < services[i].endpoints; k++)
			endpoint_fill(world, i, k);
		err = ring_fill(world, i);
		if (!err)
			err = vip_fill(world, services[i].vip, 0, IPPROTO_TCP, 2 * (uint32_t)i, i);
		if (!err)
			err = vip_fill(world, services[i].vip, 0, IPPROTO_UDP, 2 * (uint32_t)i + 1,
				       i);
	}
	for (uint32_t i = 0; !err && i < L4_MANY_VIPS; i++)
		err = vip_fill(world, "10.98.0.0", i, IPPROTO_TCP, 100 + i, L4_IPIP);
	if (!err)
		err = devices_put(world->writer, world->client_ifindex);
	if (!err)
		err = devices_put(world->writer, world->endpoint_ifindex);
	return err;
}

/* The balancer in the harness works on the maps that are pinned. */
static int harness_load(struct l4_world *world)
{
	struct bpf_object *object;
	int err = 0;

	world->harness = l4_harness__open();
	if (!world->harness)
		return -errno;
	object = world->harness->obj;
	for (int id = 0; !err && id < MAP_ID_COUNT; id++) {
		char path[PIN_PATH_MAX];
		_cleanup_close_ int fd = -1;
		struct bpf_map *map = bpf_object__find_map_by_name(object, map_name(id));

		snprintf(path, sizeof(path), "%s/%s", world->loader.instance.pin_dir, map_name(id));
		fd = bpf_obj_get(path);
		err = fd < 0 ? -errno : map ? bpf_map__reuse_fd(map, fd) : -ENOENT;
	}
	if (err)
		return err;
	bpf_program__set_autoload(world->harness->progs.xdp_ingress, false);
	bpf_program__set_autoload(world->harness->progs.xdp_generic, false);
	err = l4_harness__load(world->harness);
	if (err)
		return err;
	world->balancer = (struct measure){
		.program = bpf_program__fd(world->harness->progs.measure_balancer),
		.plan = &world->harness->bss->plan,
		.result = &world->harness->bss->result,
	};
	world->nothing = world->balancer;
	world->nothing.program = bpf_program__fd(world->harness->progs.measure_nothing);
	return 0;
}

static int world_load(struct l4_world *world, uint32_t flow_sets)
{
	struct loader *loader = &world->loader;
	char name[INSTANCE_NAME_MAX];
	int err;

	snprintf(name, sizeof(name), "b-%d", getpid());
	instance_init(&loader->instance, name);
	loader->snat_port_low = 40000;
	loader->snat_port_high = 49999;
	loader->ring_seed = RING_SEED;
	loader->settings.flow_sets = flow_sets;
	address_parse("10.2.0.1", &loader->snat4);
	address_parse("10.1.0.1", &loader->encap4);
	address_parse("fd00:1::1", &loader->encap6);
	world->client_ifindex = if_nametoindex("cl");
	world->endpoint_ifindex = if_nametoindex("ep");
	err = loader_load(loader, 0, NULL);
	if (!err)
		err = maps_open(&loader->instance, MAPS_CONTROLLER, &world->controller);
	if (!err)
		err = maps_open(&loader->instance, MAPS_LOADER, &world->writer);
	return err;
}

int l4_world_open(uint32_t flow_sets, struct l4_world **ret_world)
{
	struct l4_world *world = calloc(1, sizeof(*world));
	int err;

	if (!world)
		return -ENOMEM;
	err = world_load(world, flow_sets);
	if (!err)
		err = harness_load(world);
	if (!err)
		err = world_fill(world);
	if (err) {
		log_error(err, "the gateway to be measured: %s", strerror(-err));
		l4_world_close(world);
		return err;
	}
	*ret_world = world;
	return 0;
}

void l4_world_close(struct l4_world *world)
{
	if (world->harness)
		l4_harness__destroy(world->harness);
	maps_close(world->controller);
	maps_close(world->writer);
	loader_unload(&world->loader, 0, NULL);
	free(world);
}

uint64_t l4_flows_bytes(const struct l4_world *world)
{
	char path[64], line[128];
	unsigned long long bytes = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", world->controller->fds[MAP_FLOWS]);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	}
	if (file)
		fclose(file);
	return bytes;
}

uint64_t l4_flows_count(const struct l4_world *world, unsigned state)
{
	const struct maps *maps = world->controller;
	uint64_t count = 0;

	for (uint32_t set = 0; set < maps->contract.flow_sets; set++) {
		for (int slot = 0; slot < FLOW_SLOTS; slot++)
			count += maps->flows[set].slots[slot].where >> FLOW_ENDPOINT_BITS == state;
	}
	return count;
}
