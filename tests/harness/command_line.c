// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/command_line.h"

struct command_line command_line(const char *program, const char *const words[COMMAND_WORDS_MAX])
{
	struct command_line line = {.argc = 1, .argv = {(char *)program}};

	for (int i = 0; i < COMMAND_WORDS_MAX && words[i]; i++)
		line.argv[line.argc++] = (char *)words[i];
	return line;
}
