/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands as rows of a table: finding, parsing and help come from it. */
#ifndef SLUICE_CLI_COMMAND_H
#define SLUICE_CLI_COMMAND_H

#include <stddef.h>
#include <stdio.h>

#include "maps/cli/request.h"
#include "userspace/base/options.h"

struct command {
	const char *name; /* one or two words: "show", "vip add" */
	const char *arguments; /* after the name, for the usage line */
	const char *summary; /* one line */
	const char *help; /* paragraphs */
	unsigned options; /* bits of enum command_option */
	size_t words_min, words_max;
	/* 0 or -errno after a message */
	int (*run)(struct request *request);
	void (*help_more)(FILE *out); /* NULL: nothing behind the options */
};

enum command_option {
	OPTION_CLUSTER,
	OPTION_POOL,
	OPTION_USE,
	OPTION_ALL,
	OPTION_WIDE,
	OPTION_LIMIT,
	OPTION_INTERVAL,
	OPTION_COUNT,
	OPTION_WAIT,
	OPTION_DEADLINE,
	OPTION_ENDPOINT,
	OPTION_WAY,
	OPTION_PICK,
	OPTION_DOWN,
	OPTION_QUIC,
	OPTION_VIP,
	OPTION_VERDICT,
	OPTION_SAMPLE,
	OPTION_SECONDS,
	OPTION_PCAP,
	OPTION_SRC,
	OPTION_DST,
	OPTION_TCP_FLAGS,
	OPTION_IFNAME,
	OPTION_QUIC_CID,
	OPTION_METHOD,
	OPTION_PATH,
	OPTION_HEADER,
	COMMAND_OPTION_COUNT
};
#define WITH(option) (1u << (option))

#define GLOBAL_OPTION_COUNT 2
extern const struct option_row global_rows[GLOBAL_OPTION_COUNT]; /* of every command */
extern const struct option_row command_rows[COMMAND_OPTION_COUNT];

extern const struct command command_show, command_watch, command_drain, command_undrain,
	command_maint, command_vip_add, command_vip_set, command_vip_remove, command_capture,
	command_explain, command_model;

/* The whole program: exit code 0, 1 (failed) or 2 (not understood).  Results go
 * to `out`, messages to stderr; argv is scribbled on. */
int command_line_run(int argc, char **argv, FILE *out);

#endif
