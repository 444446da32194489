/* SPDX-License-Identifier: BSD-2-Clause */
/* A command line made of a test's words, as main() would get it. */
#ifndef SLUICE_HARNESS_COMMAND_LINE_H
#define SLUICE_HARNESS_COMMAND_LINE_H

#define COMMAND_WORDS_MAX 8

struct command_line {
	int argc;
	char *argv[COMMAND_WORDS_MAX + 2]; /* the program's name first, NULL last */
};

/* Words up to the first NULL; they stay the caller's. */
struct command_line command_line(const char *program, const char *const words[COMMAND_WORDS_MAX]);

#endif
