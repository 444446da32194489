// SPDX-License-Identifier: BSD-2-Clause
/* sluice-controller: sources, health and samples in; maps and routes out. */
#include "userspace/base/log.h"
#include "userspace/controller/controller.h"
#include "userspace/controller/options.h"

int main(int argc, char **argv)
{
	struct controller_options options;
	enum options_verdict verdict;

	log_init("sluice-controller", LOG_LEVEL_INFO);
	if (controller_options_parse(argc, argv, &options, &verdict) < 0)
		return 2;
	if (verdict == OPTIONS_DONE)
		return 0;
	log_set_level(options.log_level);
	return controller_run(&options) < 0 ? 1 : 0;
}
