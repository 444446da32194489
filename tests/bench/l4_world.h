/* SPDX-License-Identifier: BSD-2-Clause */
/* A gateway for bench l4: the product's maps and programs, loaded by the loader's
 * own code in a network and mount namespace of this process, filled as the
 * controller would, and the harness with the balancer in it on the same maps.
 *
 *   client 10.1.0.2, fd00:1::2, a router to 10.3/16, 10.4/16, fd00:3::/64
 *     |
 *     cl [gateway] ep -- endpoints reached by NAT, 10.2.0.2 ..
 *
 * Encapsulated packets leave by the device they came in by (one-armed). */
#ifndef SLUICE_BENCH_L4_WORLD_H
#define SLUICE_BENCH_L4_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/loader.h"
#include "maps/access/maps.h"
#include "tests/bench/measure.h"

struct l4_harness;

/* A pool is one way out, a VIP one pool; ids of both are these. */
enum l4_service {
	L4_IPIP, /* 10.99.0.1, TCP and UDP */
	L4_NAT, /* 10.99.0.2 */
	L4_GUE, /* 10.99.0.3 */
	L4_L2, /* 10.99.0.4 */
	L4_WIDE, /* 10.99.0.5: IPIP to 1,000 endpoints */
	L4_LEAST, /* 10.99.0.6: IPIP, pick least */
	L4_IPIP6, /* fd00:99::1, IPv6 in IPv6 */
	L4_SERVICE_COUNT
};

#define L4_MANY_VIPS 1024 /* 10.98.0.0 and on, of pool L4_IPIP */
#define L4_WIDE_ENDPOINTS 1000

struct l4_world {
	struct loader loader;
	struct maps *controller, *writer;
	struct l4_harness *harness;
	struct measure balancer, nothing; /* without a frame yet */
	uint32_t client_ifindex, endpoint_ifindex;
};

/* Once a process, before the first world.  False after saying why not. */
bool l4_namespaces_make(void);
/* flow_sets: entries of map flows.  0 or -errno, logged. */
int l4_world_open(uint32_t flow_sets, struct l4_world **ret_world);
void l4_world_close(struct l4_world *world);

/* Memory that the kernel holds for the flow table. */
uint64_t l4_flows_bytes(const struct l4_world *world);
/* Flows of the flow table in a state (enum slot_state), of all endpoints. */
uint64_t l4_flows_count(const struct l4_world *world, unsigned state);

#endif
