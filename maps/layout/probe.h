/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Health probes that take the way of traffic.
 *
 * An endpoint reached by IPIP, GUE or L2 answers as the VIP, so only a packet to
 * the VIP, sent its way, shows whether it would serve a client.  The prober
 * connects an ordinary socket to the endpoint's address, from a source port of
 * contract.probe_port_low to _high and with the mark contract.probe_mark | endpoint
 * id.  TC egress turns what has the mark into packets to the VIP and sends them as
 * XDP would send a client's; XDP and TC ingress turn the VIP's answers to that
 * port back, and the socket never learns of it.  VIP and endpoint may be of
 * different IP families: then TC changes the packets' family, both ways.
 *
 * Map `probes`: array, PROBE_PORTS_MAX, mappable; index: source port -
 * contract.probe_port_low.  It has a place of its own, not one in nat_rev, so that
 * no flood of flows can push probes out and take endpoints DOWN.  Writer:
 * controller, before the socket connects; TC egress, XDP and TC ingress write the
 * two counts.  Readers: XDP, TC, CLI.
 */
#ifndef SLUICE_MAPS_LAYOUT_PROBE_H
#define SLUICE_MAPS_LAYOUT_PROBE_H

#include "maps/layout/types.h"

#define PROBE_PORTS_MAX 1024
#define PROBE_MARK_SHIFT 16 /* below: the endpoint's id */

/* The probe that has, or had last, this source port. */
struct probe_port {
	struct ip_addr src; /* the gateway's: the socket is bound to it */
	struct ip_addr addr; /* the endpoint's: the socket is connected to it */
	struct ip_addr vip; /* what the packets are for, and come back from */
	struct ip_addr vip_src; /* the gateway's, of the VIP's family: they come back to it */
	__be16 port; /* the endpoint's */
	__be16 vip_port;
	__u32 endpoint; /* id */
	__u32 generation; /* of the endpoint; written last, 0: no probe had the port yet */
	__u32 vip_id;
	__u32 sent; /* packets that TC egress sent on since the controller wrote this */
	__u32 returned; /* answers since then */
};
_Static_assert(sizeof(struct probe_port) == 88, "probe_port is a wire format");

#endif
