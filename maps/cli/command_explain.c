// SPDX-License-Identifier: BSD-2-Clause
/* explain: what the loaded XDP program would do with a packet, and why. */
#include "maps/cli/command.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "maps/access/maps.h"
#include "maps/cli/explain_ask.h"
#include "maps/cli/explain_packet.h"
#include "maps/cli/explanation.h"
#include "maps/cli/gateway.h"
#include "maps/cli/vip_index.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"

#define PROGRAM "xdp_ingress"

/* Does the row still remember another endpoint from before a swap?  Then a SYN in it
 * is stored (maps/layout/ring.h).  No ring: no. */
static bool row_is_fresh(const struct maps *maps, const struct vip_index *vips,
			 const struct explain *answer)
{
	_cleanup_free_ struct ring_slot *slots = NULL;
	const struct vip *vip;
	uint32_t size;

	if (answer->why != WHY_RING || !vip_index_find(vips, answer->vip, &vip) ||
	    rings_get(maps, vip->pool, &slots, &size) || answer->secret >= size)
		return false;
	return slots[0].swapped_at && clock_tick() - slots[0].swapped_at < RING_GRACE_TICKS &&
	       slots[answer->secret + 1].previous != slots[answer->secret + 1].endpoint;
}

static void nexthop_device_find(struct explanation *explanation)
{
	uint32_t id = explanation->answer.explain.nexthop;

	if (id < NEXTHOPS_MAX &&
	    !if_indextoname(explanation->maps->nexthops[id].ifindex, explanation->nexthop_device))
		explanation->nexthop_device[0] = '\0';
}

static int ask(const struct request *request, struct explanation *explanation)
{
	uint8_t frame[EXPLAIN_FRAME_MAX];
	_cleanup_close_ int program = -1;
	struct attachments attachments;
	size_t size;
	int err;

	err = attachments_program_open(&request->instance, PROGRAM, &program);
	if (err)
		return err;
	/* said what is wrong; a device named by hand may be of this namespace */
	if (!gateway_enter(&request->instance, &attachments) && !request->ifname)
		return -ENODEV;
	err = explain_device_find(&attachments, request->ifname, &explanation->device);
	if (err)
		return err;
	memcpy(explanation->packet.mac, explanation->device.mac, sizeof(explanation->packet.mac));
	size = explain_packet_build(&explanation->packet, frame);
	return explain_ask(program, &explanation->maps->contract, &explanation->device, frame, size,
			   &explanation->answer);
}

static int explain_run(struct request *request)
{
	static char buffer[EXPLANATION_TEXT_MAX];
	struct text text = TEXT_INIT(buffer);
	const struct explain_words words = {request->src, request->dst, request->tcp_flags,
					    request->quic_cid};
	_cleanup_(vip_index_freep) struct vip_index *vips = NULL;
	_cleanup_(maps_closep) struct maps *maps = NULL;
	struct explanation explanation = {0};
	int err;

	err = explain_packet_parse(&words, &explanation.packet);
	if (!err)
		err = maps_open(&request->instance, MAPS_READ, &maps);
	if (err)
		return err;
	explanation.maps = maps;
	err = ask(request, &explanation);
	if (!err)
		err = vip_index_read(maps, &vips);
	if (err)
		return err;
	explanation.vips = vips;
	explanation.row_is_fresh = row_is_fresh(maps, vips, &explanation.answer.explain);
	nexthop_device_find(&explanation);
	if (request->json)
		explanation_json_write(&text, &explanation);
	else
		explanation_write(&text, &explanation);
	fputs(buffer, request->out);
	return 0;
}

const struct command command_explain = {
	.name = "explain",
	.arguments = "--src A:P --dst A:P[/tcp|udp]",
	.summary = "where a packet would go and why, by asking the loaded program",
	.help = "Builds the packet and runs the loaded XDP program on it, with the live maps.  The\n"
		"program judges and answers; it stores nothing, counts nothing and sends nothing.\n"
		"A TCP packet is a SYN unless --tcp-flags says otherwise; --quic-cid makes a UDP packet\n"
		"one of QUIC with a short header.  The packet arrives by --ifname, or by the first\n"
		"device that a program is attached to: native XDP first, then by name.\n"
		"\n"
		"The XDP program is asked also where packets meet the TC program: both have the same\n"
		"stages and maps.  The TC program itself cannot be asked, as the kernel takes no\n"
		"question beside the packet there; verdict to_tc says that it would decide.  What\n"
		"only storing a flow finds out is not foreseen: no free NAT port, a client's cap of flows,\n"
		"a full flow table.",
	.options = WITH(OPTION_SRC) | WITH(OPTION_DST) | WITH(OPTION_TCP_FLAGS) |
		   WITH(OPTION_IFNAME) | WITH(OPTION_QUIC_CID),
	.run = explain_run,
};
