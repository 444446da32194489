/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What has no ports: to whose flow does it belong?  Out of line, and the only place
 * that knows all kinds. */
#ifndef SLUICE_BPF_STAGE_EDGE_H
#define SLUICE_BPF_STAGE_EDGE_H

#include "bpf/stage/fragment.h"
#include "bpf/stage/icmp.h"

/* As steer_packet(), for the other kinds; there is no entry of nat_fwd or nat_rev
 * to be touched. */
static __always_inline int edge_steer(struct frame_ctx *ctx, struct packet *p,
				      const struct contract *c)
{
	switch (p->kind) {
	case KIND_ICMP: return icmp_steer(ctx, p, c);
	case KIND_LATER: return fragment_steer(p);
	}
	return vip_has_address(&p->key.dst) ? VERDICT_UNSUPPORTED : VERDICT_NOT_A_VIP;
}

#endif
