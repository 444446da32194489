/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of sluice-controller. */
#ifndef SLUICE_CONTROLLER_OPTIONS_H
#define SLUICE_CONTROLLER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/layout/contract.h"
#include "userspace/base/instance.h"
#include "userspace/base/log.h"
#include "userspace/base/options.h"
#include "userspace/sources/source_set.h"

#define CONTROLLER_CLUSTER_NAME_MAX 64
#define CONTROLLER_METRICS_PORT 9465

struct controller_options {
	struct instance instance;
	struct source_folder config;
	size_t cluster_count;
	struct source_folder clusters[CLUSTERS_MAX];
	char cluster_names[CLUSTERS_MAX][CONTROLLER_CLUSTER_NAME_MAX];
	bool metrics; /* serve pages at all */
	struct ip_addr metrics_addr;
	uint16_t metrics_port; /* host order */
	uint32_t scrape_interval_ms; /* 0: by the size of the pool */
	enum log_level log_level;
};

/* Paths are borrowed from argv.  -EINVAL after a message. */
int controller_options_parse(int argc, char **argv, struct controller_options *ret_options,
			     enum options_verdict *ret_verdict);

#endif
