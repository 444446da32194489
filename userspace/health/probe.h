/* SPDX-License-Identifier: BSD-2-Clause */
/* Probes thousands of endpoints on one loop and runs each one's state machine.
 *
 * The owner says which endpoints there are (prober_put, prober_remove) and is
 * told every result.  The prober knows nothing of maps.  HTTP GET, where a status
 * of 200 to 399 is a success, or a TCP connection that comes about.  A TCP probe may
 * carry a mark, by which the kernel sends it another way (prober_path).
 */
#ifndef SLUICE_HEALTH_PROBE_H
#define SLUICE_HEALTH_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/layout/types.h"
#include "userspace/health/hysteresis.h"

struct loop;
struct prober;
struct fetch_result;

#define PROBE_PATH_MAX 256

enum probe_kind { PROBE_HTTP, PROBE_TCP };

struct probe_target {
	uint32_t id; /* endpoint id, < ENDPOINTS_MAX */
	uint32_t generation;
	struct ip_addr addr;
	uint16_t port; /* host order */
	enum probe_kind kind;
	struct ip_addr source; /* TCP: of the family of addr; all zero: the kernel's choice */
	uint32_t mark; /* TCP: SO_MARK; then it leaves from a port of prober_path().  0: none */
	char path[PROBE_PATH_MAX]; /* HTTP */
	char host[PROBE_PATH_MAX]; /* HTTP: Host header; empty: the address */
	struct health_policy policy;
};

struct probe_report {
	uint32_t id;
	uint32_t generation;
	const struct health_track *track; /* since_ns: CLOCK_REALTIME */
	bool changed;
	int status; /* HTTP status, 0: none came */
	uint64_t connect_ns; /* of the TCP connection, 0: it failed */
	uint64_t finished_at; /* CLOCK_REALTIME ns */
};

/* Of probes with a mark, each from a source port of its own. */
struct probe_hooks {
	/* The probe leaves from this port (host order) next. */
	void (*begin)(void *ctx, const struct probe_target *target, uint16_t port);
	/* It has ended, with `err` as connect.h has it, and the port is given back after
	 * this.  Returns what is to count, HEALTH_REASON_NONE: nothing. */
	enum health_reason (*end)(void *ctx, const struct probe_target *target, uint16_t port,
				  int err, enum health_reason reason);
};

typedef void (*probe_callback)(void *ctx, const struct probe_report *report);

/* probes_max: how many may run at once; more wait a little.  Endpoints that are DOWN
 * get at most three quarters of these places. */
int prober_new(struct loop *loop, size_t probes_max, probe_callback callback, void *ctx,
	       struct prober **ret_prober);
void prober_free(struct prober *prober);

/* The source ports of probes with a mark, low to high, inclusive.  Call once, before
 * the first such target; `hooks` stay the caller's.  At most three quarters of the
 * ports are out for endpoints that are DOWN.  -EINVAL: no such range; -ENOMEM. */
int prober_path(struct prober *prober, uint16_t low, uint16_t high, const struct probe_hooks *hooks,
		void *ctx);

/* Adds an endpoint, or changes how it is probed.  The state is kept while
 * id, generation, address and port stay; otherwise it starts from *start (NULL:
 * UNKNOWN).  Copies the target.  -EINVAL: a mark without prober_path(); -ENOMEM. */
int prober_put(struct prober *prober, const struct probe_target *target,
	       const struct health_track *start);
/* Fine when there is none. */
void prober_remove(struct prober *prober, uint32_t id);
/* NULL: not probed.  Borrowed until the next prober_put or prober_remove. */
const struct health_track *prober_track(const struct prober *prober, uint32_t id);

/* Pure: the class of a finished exchange, and of a connection that did (err 0) or did
 * not come about.  HEALTH_REASON_NONE: the fault is ours (out of descriptors, ports or
 * memory) and says nothing of the endpoint. */
enum health_reason probe_reason(const struct fetch_result *result);
enum health_reason probe_reason_of(int err);

#endif
