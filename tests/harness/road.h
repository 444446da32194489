/* SPDX-License-Identifier: BSD-2-Clause */
/* The roads a packet may take: program, the VIP's family, the way to the endpoint
 * and the family outside.  For tests of what must hold on each of them. */
#ifndef SLUICE_TESTS_HARNESS_ROAD_H
#define SLUICE_TESTS_HARNESS_ROAD_H

#include <netinet/in.h>

#include "tests/harness/frame_case.h"

struct road {
	enum program_id program;
	bool is_ipv6; /* VIP and client */
	uint8_t way; /* enum endpoint_way */
	bool outer_ipv6; /* the endpoint's address; of NAT and L2 the VIP's family */
};

#define ROADS 24
extern const struct road roads[ROADS];
/* for (EACH_ROAD(road)) */
#define EACH_ROAD(road)                                                                            \
	const struct road *road = roads;                                                           \
	road < roads + ROADS;                                                                      \
	road++

const char *road_client(const struct road *road);
const char *road_vip(const struct road *road);
const char *road_snat(const struct road *road);
/* Endpoint `id` of bench_serve_way(), in the family outside. */
const char *road_endpoint(const struct road *road, uint32_t id);
/* IPPROTO_ICMP or ICMPV6. */
uint8_t road_icmp(const struct road *road);

/* Empties the bench and serves port 80 by this road. */
struct bench *road_bench(void **state, const struct road *road);
/* From the client's port to the VIP; a SYN of TCP when `flags` is 0. */
struct frame_spec road_request(const struct road *road, uint8_t proto, uint16_t port,
			       uint8_t flags);
/* Sends a frame in at the client's device, or the endpoints', with poisoned headroom,
 * and marks the bench before. */
struct run road_send_frame(struct bench *bench, const struct road *road, const struct frame *frame,
			   bool from_endpoint);
struct run road_send(struct bench *bench, const struct road *road, const struct frame_spec *spec,
		     bool from_endpoint);

/* Asserts that `run` sent the IP packet of `in` on to endpoint `id`, counted forwarded
 * once: encapsulated or readdressed, not a byte of it changed.  Not for NAT. */
void road_assert_carried(struct bench *bench, const struct road *road, const struct run *run,
			 const struct frame *in, uint32_t id);
/* Asserts that `run` sent exactly the IP packet that `wanted` describes. */
void road_assert_is(const struct run *run, const struct frame_spec *wanted);
/* Opens a flow from the client's `port` and returns its endpoint; *ret_snat_port is its
 * port at the NAT address, 0 unless NAT. */
uint32_t road_open(struct bench *bench, const struct road *road, uint8_t proto, uint16_t port,
		   uint16_t *ret_snat_port);

#endif
