/* SPDX-License-Identifier: BSD-2-Clause */
/* What the operator may set on the command line of sluice-proxy. */
#ifndef SLUICE_PROXY_OPTIONS_H
#define SLUICE_PROXY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/layout/types.h"
#include "userspace/base/instance.h"
#include "userspace/base/log.h"
#include "userspace/base/options.h"
#include "userspace/base/prefix.h"
#include "userspace/proxy/client_table.h"

#define BALANCERS_MAX 16
#define PROXY_WORKERS_MAX 16 /* half of WORKERS_MAX: rows for those who drain after a takeover */

struct proxy_options {
	const char *instance;
	unsigned workers; /* 0: one a core */
	struct ip_addr metrics_addr;
	uint16_t metrics_port;
	bool metrics_off;
	const char *access_log; /* NULL: RUN_DIR/access.log; "-"; "" none */
	const char *spill_dir;
	uint64_t body_bytes_max;
	size_t sessions_max; /* of one worker */
	size_t buffers_max; /* of one worker */
	size_t mirrors_max; /* of one worker, at once */
	unsigned attempts;
	unsigned connect_timeout_ms;
	unsigned head_timeout_s;
	unsigned request_timeout_s;
	unsigned upgrade_idle_s;
	unsigned drain_timeout_s;
	bool proxy_protocol; /* every connection begins with a PROXY header */
	bool replace; /* take the place of the proxy that runs */
	struct prefix balancers[BALANCERS_MAX]; /* who may send one; others are closed */
	size_t balancer_count; /* 0: anybody */
	struct client_limits clients;
	bool half_close; /* a client may close its sending side and still get its answer */
	enum log_level log_level;
};

extern const struct proxy_options proxy_options_default;

/* -EINVAL after a message. */
int proxy_options_parse(int argc, char **argv, struct proxy_options *ret_options,
			enum options_verdict *ret_verdict);

#endif
