/* SPDX-License-Identifier: BSD-2-Clause */
/* The emulated model server: connections, answers, and the engine's clock.
 *
 * One thread on a loop.  A connection carries one request at a time, kept alive
 * between them.  An inference request is read whole, checked, and given to the
 * engine; its tokens are written as the clock produces them.  A client that goes
 * away aborts its request in the engine at once.  Idle, nothing runs.
 *
 * Test tool: out of memory ends the process.  Bodies are bounded, sessions too.
 */
#ifndef SLUICE_TESTS_MODEL_SERVER_SERVER_H
#define SLUICE_TESTS_MODEL_SERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "maps/layout/types.h"
#include "tests/harness/model_server/completion.h"
#include "tests/harness/model_server/faults.h"
#include "userspace/sim/engine.h"

struct loop;
struct model_server;

#define SERVER_SESSIONS_MAX 4096
#define SERVER_TIMERS_MAX (SERVER_SESSIONS_MAX + 8)

struct model_server_config {
	struct ip_addr addr;
	uint16_t port; /* host order; 0: any */
	bool has_admin; /* a second port that faults do not touch */
	struct ip_addr admin_addr;
	uint16_t admin_port;
	char pod[64]; /* in every answer's x-served-by */
	uint32_t keep_alive_s; /* idle connections are closed after it */
	struct completion_config completion;
	struct engine_config engine;
	struct faults faults; /* at start */
};

/* Listens; logs what fails.  `loop` needs SERVER_TIMERS_MAX timers. */
int model_server_new(struct loop *loop, const struct model_server_config *config,
		     struct model_server **ret_server);
void model_server_free(struct model_server *server);
uint16_t model_server_port(const struct model_server *server);
uint16_t model_server_admin_port(const struct model_server *server);

#endif
