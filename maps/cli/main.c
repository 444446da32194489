// SPDX-License-Identifier: BSD-2-Clause
/* sluicectl: the operator's tool over the pinned maps. */
#include "maps/cli/command.h"
#include "userspace/base/log.h"

int main(int argc, char **argv)
{
	log_init_cli("sluicectl");
	return command_line_run(argc, argv, stdout);
}
