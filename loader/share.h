/* SPDX-License-Identifier: BSD-2-Clause */
/* Who gets a device's XDP: our own link, a place in libxdp's dispatcher, or nobody new. */
#ifndef SLUICE_LOADER_SHARE_H
#define SLUICE_LOADER_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* After programs of libxdp's default priority, 50: a filter behind us would never see what
 * we send on. */
#define SHARE_PRIORITY 60

#define SHARE_SENTENCE_MAX 384
#define SHARE_PROGRAMS_MAX 10 /* of one dispatcher: libxdp's MAX_DISPATCHER_ACTIONS */

enum share_seat {
	SHARE_SEAT_FREE,
	SHARE_SEAT_ALONE, /* a program that is no dispatcher */
	SHARE_SEAT_DISPATCHER, /* in native mode */
	SHARE_SEAT_DISPATCHER_GENERIC,
};

struct share_device {
	enum share_seat seat;
	uint32_t program_id; /* what is attached there; 0: free */
	char program_name[64];
	int program_count; /* in a dispatcher */
};

enum share_wish {
	SHARE_WISH_NATIVE, /* native XDP, no matter how */
	SHARE_WISH_SHARE, /* --share */
	SHARE_WISH_GENERIC, /* generic XDP, which has no place in a dispatcher */
};

enum share_plan {
	SHARE_PLAN_LINK, /* a bpf_link of our own, native or generic */
	SHARE_PLAN_JOIN, /* libxdp's dispatcher */
};

/* Must share_decide be told whether extensions work? */
bool share_needs_extensions(const struct share_device *device, enum share_wish wish);

/* `extension_err`: dispatcher_probe's answer.  0; or a negative errno, and the sentence for the
 * operator, without the device's name. */
int share_decide(const struct share_device *device, enum share_wish wish, int extension_err,
		 enum share_plan *ret_plan, char sentence[SHARE_SENTENCE_MAX]);

/* Why a dispatcher cannot work here. */
void share_explain_extensions(int extension_err, char sentence[SHARE_SENTENCE_MAX]);

#endif
