/* SPDX-License-Identifier: BSD-2-Clause */
/* Asks the live XDP program what it would do with a packet, by BPF_PROG_TEST_RUN. */
#ifndef SLUICE_CLI_EXPLAIN_ASK_H
#define SLUICE_CLI_EXPLAIN_ASK_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/access/maps.h"
#include "maps/cli/explain_packet.h"
#include "maps/cli/gateway.h"

struct explain_device {
	char name[IF_NAMESIZE];
	uint32_t ifindex;
	uint8_t mac[6];
	char hook[ATTACHMENT_HOOK_MAX]; /* "": nothing of ours is attached there */
};

struct explain_answer {
	uint32_t action; /* enum xdp_action */
	struct explain explain; /* as the program filled it */
};

/* The device a packet arrives by: `name`, or the first that a program is attached
 * to.  This process is in the devices' namespace (gateway_enter()).  -ENODEV after a
 * message. */
int explain_device_find(const struct attachments *attachments, const char *name,
			struct explain_device *ret_device);

/* `program_fd` is xdp_ingress.  -EOPNOTSUPP: the program is of a build that does not
 * explain; it was asked with a frame that is no IP packet, so no flow was made.
 * After a message. */
int explain_ask(int program_fd, const struct contract *contract,
		const struct explain_device *device, const uint8_t *frame, size_t frame_bytes,
		struct explain_answer *ret_answer);

/* Takes the answer out of what a test run gave back: `metadata_bytes` of metadata
 * are in front of the frame, ours last.  -EOPNOTSUPP: nobody answered; -EPROTO: it
 * is no answer. */
int explain_answer_read(const uint8_t *bytes, size_t size, size_t metadata_bytes,
			struct explain *ret_explain);

#endif
