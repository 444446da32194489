/* SPDX-License-Identifier: BSD-2-Clause */
/* The ways in which the programs serve a flow, and packets of one flow sent
 * through them, for tests/program. */
#ifndef SLUICE_TESTS_HARNESS_WAY_H
#define SLUICE_TESTS_HARNESS_WAY_H

#include <netinet/in.h>

#include "tests/harness/packet.h"
#include "tests/harness/program.h"
#include "userspace/base/cleanup.h"

struct way {
	enum program_id program;
	bool is_ipv6;
	uint8_t proto;
};

#define WAY_LIST_COUNT 8
extern const struct way ways[WAY_LIST_COUNT];
/* for (EACH_WAY(way)) */
#define EACH_WAY(way)                                                                              \
	const struct way *way = ways;                                                              \
	way < ways + WAY_LIST_COUNT;                                                               \
	way++

const char *way_client(const struct way *way);
const char *way_vip(const struct way *way);
const char *way_snat(const struct way *way);

/* From the client's port to the VIP; a SYN when `flags` is 0. */
struct frame_spec way_request(const struct way *way, uint16_t port, uint8_t flags);
/* Sends it in at the client's device or the endpoint's. */
struct run way_send(struct bench *bench, const struct way *way, const struct frame_spec *spec,
		    bool from_endpoint);
/* Both in one. */
struct run way_ask(struct bench *bench, const struct way *way, uint16_t port, uint8_t flags);
/* The endpoint's answer to a packet that it got. */
struct run way_answer(struct bench *bench, const struct way *way, const struct frame_seen *got,
		      uint8_t flags);
/* What was sent, its checksums right, or a failed test. */
struct frame_seen way_sent(const struct run *run);
/* Index of the endpoint that `seen` went to, in the order of bench_serve(). */
uint32_t way_endpoint(const struct frame_seen *seen);

#endif
