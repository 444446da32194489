/* SPDX-License-Identifier: BSD-2-Clause */
/* Records of map `events` as a pcapng stream: one section, one interface a device
 * that packets came in by, the verdict in each packet's comment. */
#ifndef SLUICE_CLI_CAPTURE_FILE_H
#define SLUICE_CLI_CAPTURE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "maps/cli/event_words.h"

#define CAPTURE_INTERFACES_MAX 256

struct capture_file {
	FILE *out; /* borrowed */
	uint32_t ifindexes[CAPTURE_INTERFACES_MAX];
	size_t interface_count;
};

/* Writes the section.  Whether writing worked, ferror(out) says at the end. */
void capture_file_begin(struct capture_file *file, FILE *out);
/* -E2BIG after a message: packets came in by too many devices. */
int capture_file_write(struct capture_file *file, const struct event *event,
		       const struct event_words *words);

#endif
