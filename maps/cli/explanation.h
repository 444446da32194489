/* SPDX-License-Identifier: BSD-2-Clause */
/* What the program answered about a packet, with what the maps say of the ids in it:
 * in words for people, as one object for programs. */
#ifndef SLUICE_CLI_EXPLANATION_H
#define SLUICE_CLI_EXPLANATION_H

#include <net/if.h>
#include <stdbool.h>

#include "maps/access/maps.h"
#include "maps/cli/explain_ask.h"
#include "maps/cli/explain_packet.h"
#include "maps/cli/vip_index.h"
#include "userspace/base/text.h"

#define EXPLANATION_TEXT_MAX 4096

struct explanation {
	struct explain_packet packet;
	struct explain_device device;
	struct explain_answer answer;
	const struct maps *maps; /* reads pools, clusters, endpoints, admin, health, nexthops */
	const struct vip_index *vips;
	/* Has the ring's row been swapped a moment ago, so that a SYN is stored? */
	bool row_is_fresh;
	char nexthop_device[IF_NAMESIZE]; /* of answer.explain.nexthop; "": not known */
};

/* Lines of a heading and words; ends with a newline. */
void explanation_write(struct text *text, const struct explanation *explanation);
/* One object, one line, with a newline. */
void explanation_json_write(struct text *text, const struct explanation *explanation);

/* "sent", "dropped" or "passed" (to the TC program or the kernel). */
const char *explanation_fate(const struct explanation *explanation);
/* What this packet, had it been a real one, would have left behind. */
void explanation_changes_write(struct text *text, const struct explanation *explanation);

#endif
