/* SPDX-License-Identifier: BSD-2-Clause */
/* A proxy worker in this process with real sockets on loopback and maps on the
 * heap: no BPF, no privilege.  The test plays clients and model servers; every
 * wait turns the worker's loop, so all of it runs in one thread.
 *
 * Pools: 0 all endpoints; 1 and 2 the endpoints 0 and 1; 3 none; 4 the endpoint 2.  Pool 2
 * knows the model food as food-1 and dashed as --x, pool 4 every model as lora.
 *
 * Endpoints 0 .. RIG_ENDPOINTS-1 listen at ports of their own; the first half is
 * cluster 0 (region eu), the rest cluster 1 (region us).  Failures end the test
 * through cmocka's asserts. */
#ifndef SLUICE_HARNESS_PROXY_RIG_H
#define SLUICE_HARNESS_PROXY_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/access/maps.h"
#include "userspace/base/cleanup.h"
#include "userspace/proxy/client_table.h"
#include "userspace/proxy/options.h"
#include "userspace/proxy/worker.h"

#define RIG_ENDPOINTS 4
#define RIG_WAIT_MS 15000
/* A rule for rig_routes(): everything goes to endpoint 0. */
#define RIG_TO_ONE                                                                                 \
	"{'matches':[{'path_type':'PathPrefix','path':'/'}],"                                      \
	"'backends':[{'pool':1,'weight':1,'name':'ai/one'}]}"

struct rig {
	struct maps maps;
	struct proxy_metrics *metrics;
	struct proxy_options options; /* set before rig_start */
	struct client_table *clients; /* made by rig_start when something is limited */
	struct worker *worker;
	int listener;
	uint16_t port;
	int servers[RIG_ENDPOINTS]; /* listening, -1: closed by the test */
	uint16_t server_ports[RIG_ENDPOINTS];
	char dir[64];
	char log_path[128];
	uint64_t generation;
};

struct rig *rig_new(void);
/* Routes with this text in place of the list of rules of one route ('
 * stands for "); NULL: any request to the pool of all endpoints. */
void rig_routes(struct rig *rig, const char *rules);
void rig_start(struct rig *rig);
void rig_free(struct rig *rig);
static inline void rig_freep(struct rig **rig)
{
	rig_free(*rig);
}

/* New, with these routes, and started; freed at the end of the block. */
struct rig *rig_ready(const char *rules);
#define RIG_READY(name, rules) _cleanup_(rig_freep) struct rig *name = rig_ready(rules)

/* Case counts in both. */
void assert_has(const char *text, const char *part);
void assert_has_not(const char *text, const char *part);

/* Turns the worker's loop for so long. */
void rig_turn(struct rig *rig, int ms);

int rig_client(struct rig *rig);
/* Sends all of it while turning the loop. */
void rig_send(struct rig *rig, int fd, const char *data, size_t length);
void rig_puts(struct rig *rig, int fd, const char *text);
/* Receives until `text` has been seen; what was received is in a buffer that
 * lives until the next call. */
const char *rig_expect(struct rig *rig, int fd, const char *text);
/* Receives until the other side closes; *ret_reset: with RST. */
const char *rig_expect_end(struct rig *rig, int fd, bool *ret_reset);
/* Nothing arrives for so long. */
bool rig_is_silent(struct rig *rig, int fd, int ms);
/* True when the other side has closed within RIG_WAIT_MS. */
bool rig_is_closed(struct rig *rig, int fd);

/* A connection that the worker made to endpoint `index`; -1: none within `ms`. */
int rig_accept(struct rig *rig, unsigned index, int ms);
/* To any endpoint. */
int rig_accept_any(struct rig *rig, unsigned *ret_index);

void rig_health(struct rig *rig, unsigned index, enum health_state state);
/* Ends the endpoint's listening socket: connections are refused from now on. */
void rig_server_stop(struct rig *rig, unsigned index);

/* The last line of the access log, flushed; "" when there is none. */
const char *rig_log_last(struct rig *rig);
/* Sum of all that is counted as in flight. */
struct inflight rig_inflight(struct rig *rig);

/* Nothing at all is. */
void assert_nothing_in_flight(struct rig *rig);

/* A POST of a chat completion for the model, with a body of its own. */
const char *rig_chat(const char *model);
/* Receives until that is whole; as rig_expect(). */
const char *rig_expect_chat(struct rig *rig, int fd);
/* The next connection, to any endpoint, once it has brought one. */
int rig_take_chat(struct rig *rig, unsigned *ret_index);

#endif
