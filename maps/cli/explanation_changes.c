// SPDX-License-Identifier: BSD-2-Clause
/* What a real packet would have left behind, by the rules of bpf/stage/steer.h and
 * flow_table.h: said from the answer, since the program itself only looked. */
#include "maps/cli/explanation.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#define TCP_KIND (TH_SYN | TH_ACK | TH_RST | TH_FIN)

static bool is_syn(const struct explain_packet *packet)
{
	return packet->proto == IPPROTO_TCP && (packet->tcp_flags & TCP_KIND) == TH_SYN;
}

static bool is_closing(const struct explain_packet *packet)
{
	return packet->proto == IPPROTO_TCP && packet->tcp_flags & (TH_FIN | TH_RST);
}

static bool pick_is_least(const struct explanation *explanation)
{
	const struct vip *vip;

	return vip_index_find(explanation->vips, explanation->answer.explain.vip, &vip) &&
	       vip->pick == VIP_PICK_LEAST;
}

static void opens_write(struct text *text, const struct explanation *explanation)
{
	const struct explain_packet *packet = &explanation->packet;

	if (pick_is_least(explanation) && (packet->proto != IPPROTO_TCP || is_syn(packet)))
		text_puts(text, "; one flow more counted for the endpoint, for pick least");
}

static void nat_write(struct text *text, const struct explanation *explanation)
{
	if (explanation->answer.explain.why != WHY_NAT) {
		text_puts(text,
			  "a new NAT flow: an entry in nat_fwd and one in nat_rev, with a port "
			  "of the gateway's");
		opens_write(text, explanation);
	} else if (is_closing(&explanation->packet)) {
		text_puts(text, "the NAT flow is marked as closing");
	} else {
		text_puts(text, "the NAT flow's counters, and when it was last used");
	}
}

static void hit_write(struct text *text, const struct explanation *explanation)
{
	if (is_closing(&explanation->packet))
		text_puts(text, "the flow is marked as closing");
	else if (is_syn(&explanation->packet))
		text_puts(text, "the flow is on probation again");
	else if (explanation->answer.explain.state == SLOT_PROBATION)
		text_puts(text, "when the flow was last used; it is confirmed unless it began "
				"within this second");
	else
		text_puts(text, "when the flow was last used");
}

static void new_write(struct text *text, const struct explanation *explanation)
{
	const struct explain *answer = &explanation->answer.explain;

	if (is_closing(&explanation->packet)) {
		text_puts(text, "nothing: a FIN or RST begins no flow");
		return;
	}
	if (is_syn(&explanation->packet) && answer->why == WHY_RING && !explanation->row_is_fresh) {
		text_puts(text, "nothing: a SYN under pick maglev is not stored, as the ring gives "
				"the same endpoint again");
		return;
	}
	text_puts(text, "a new flow, on probation in the flow table");
	opens_write(text, explanation);
}

void explanation_changes_write(struct text *text, const struct explanation *explanation)
{
	const struct explain *answer = &explanation->answer.explain;

	if (answer->verdict != VERDICT_FORWARDED && answer->verdict != VERDICT_RETURNED)
		text_puts(text, "nothing but counters");
	else if (answer->way == WAY_NAT)
		nat_write(text, explanation);
	else if (answer->why == WHY_HIT)
		hit_write(text, explanation);
	else
		new_write(text, explanation);
}
