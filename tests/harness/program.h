/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel programs under test: loaded by the loader's own code as instance
 * t-PID, in a network namespace of this process with a client's and an
 * endpoint's side, and run by BPF_PROG_TEST_RUN.
 *
 *   client 10.1.0.2, fd00:1::2  --  cl [gateway] ep  --  endpoints 10.2.0.2.., fd00:2::2..
 *
 * Neighbours .2 to .4 of `ep` and .2 of `cl` are permanent; others are unknown.
 * The VIPs are 10.99.0.1 and fd00:99::1; the gateway's NAT addresses 10.2.0.1
 * and fd00:2::1. */
#ifndef SLUICE_TESTS_HARNESS_PROGRAM_H
#define SLUICE_TESTS_HARNESS_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/loader.h"
#include "loader/objects.h"
#include "loader/pin.h"
#include "maps/access/maps.h"
#include "tests/harness/packet.h"

#define BENCH_SNAT_LOW 61000
#define BENCH_SNAT_HIGH 61999
#define BENCH_IDS 16 /* endpoints, paths and next hops that bench_of() empties */

#define BENCH_GOT_IDS 4 /* endpoints that bench_got() looks at */

struct bench {
	struct loader loader;
	struct pin_dirs dirs;
	/* one a role: MAPS_LOADER is writer */
	struct maps *controller, *operator, * writer, *splicer;
	int programs[PROGRAM_COUNT];
	uint32_t client_ifindex, endpoint_ifindex;
	struct traffic before[VERDICT_COUNT]; /* at bench_mark() */
	struct traffic endpoints_before[BENCH_GOT_IDS];
	bool is_poisoned; /* XDP: room for new headers is full of ff, not 00 ... */
	size_t poison_bytes; /* ... so many before the packet, as the kernel lets us */
};

/* cmocka group set-up and tear-down.  Without the rights for it *state stays
 * NULL after a printed "skip:" line, and bench_of() skips each test. */
int bench_setup(void **state);
int bench_teardown(void **state);
/* Empties maps and counters, makes both devices members of `devices`; skips the
 * test if there is no bench. */
struct bench *bench_of(void **state);

/* Pins were replaced (upgrade): opens the programs again. */
void bench_reopen(struct bench *bench);
/* Puts the programs' next generation in place, as sluice-loader upgrade does. */
void bench_upgrade(struct bench *bench);
/* Runs `table` on empty maps, upgrades, and runs it again on the maps that the new
 * programs have adopted, emptied. */
void bench_across_upgrade(void **state, void (*table)(struct bench *bench));

/* ---- objects (program_objects.c) ---- */

/* Endpoint `id` of pool 0 at ADDR:8000, reached by NAT or by `way`. */
void bench_endpoint(struct bench *bench, uint32_t id, const char *addr);
void bench_endpoint_way(struct bench *bench, uint32_t id, const char *addr, uint8_t way);
void bench_endpoint_remove(struct bench *bench, uint32_t id);
/* Next hop `id`: through `ifindex` to `mac`, resolved.  vlan 0: untagged. */
void bench_nexthop(struct bench *bench, uint32_t id, uint32_t ifindex, const uint8_t mac[6],
		   uint16_t vlan);
/* The path to endpoint `id`, which must be there, by a next hop (or NEXTHOP_NONE).
 * mtu 0: unknown.  The outer source is the gateway's address on `ep`. */
void bench_path(struct bench *bench, uint32_t id, uint32_t nexthop, uint16_t mtu);
/* A ring of pool 0 with these endpoints in turn. */
void bench_ring(struct bench *bench, const uint32_t *ids, uint32_t count);
/* VIP 7 of pool 0. */
void bench_vip(struct bench *bench, const char *addr, uint16_t port, uint8_t proto, uint8_t mode);
/* The same with a record of one's own; pool, owner and id 0 stand for those. */
void bench_vip_put(struct bench *bench, const char *addr, uint16_t port, uint8_t proto,
		   struct vip vip);
/* QUIC server id -> endpoint of pool 0. */
void bench_cid(struct bench *bench, uint32_t server_id, uint32_t endpoint);
/* What pick least is told of an endpoint; opens so far are counted as known. */
void bench_live(struct bench *bench, uint32_t id, uint32_t flows, uint32_t cost, uint32_t weight);
/* Slot: endpoint id or ADMIN_CLUSTER_BASE. */
void bench_admin(struct bench *bench, uint32_t slot, uint8_t state);
/* The same, a DRAIN with a deadline: CLOCK_MONOTONIC ns. */
void bench_drain_until(struct bench *bench, uint32_t slot, uint64_t until);
void bench_health(struct bench *bench, uint32_t id, uint8_t state);
/* L4 VIPs of both protocols, port 80, with endpoints 0, 1, 2 reached by NAT, all
 * of one family. */
void bench_serve(struct bench *bench, bool is_ipv6);
/* The same with another way, and endpoints of a family of their own.  Endpoints have
 * paths (MTU 1500) by next hops 0, 1, 2, whose MACs end in 2, 3, 4. */
void bench_serve_way(struct bench *bench, bool is_ipv6, uint8_t way, bool endpoints_ipv6);

/* ---- runs ---- */

struct run {
	int result; /* XDP_..., TC_ACT_... */
	struct frame out; /* without metadata */
	uint32_t mark_verdict; /* XDP: left for TC; VERDICT_COUNT: no mark */
	bool is_sent; /* XDP_TX, XDP_REDIRECT, TC_ACT_REDIRECT */
	bool is_passed;
	bool is_dropped;
};

/* Runs a program on a frame that comes in by `ifindex`. */
struct run bench_run(const struct bench *bench, enum program_id program, uint32_t ifindex,
		     const struct frame *frame);

/* Remembers the counters; bench_counted() is then how many packets each verdict
 * got since, and bench_only() whether that is one packet of one verdict. */
void bench_mark(struct bench *bench);
uint64_t bench_counted(const struct bench *bench, enum verdict verdict);
uint64_t bench_counted_all(const struct bench *bench);
/* The endpoint that got a packet since; ENDPOINT_NONE: none did. */
uint32_t bench_got(const struct bench *bench);
/* Prints what differs. */
bool bench_only(const struct bench *bench, enum verdict verdict);

#endif
