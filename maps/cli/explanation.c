// SPDX-License-Identifier: BSD-2-Clause
#include "maps/cli/explanation.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "maps/cli/words.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"

#define NAME_MAX_BYTES 112

const char *explanation_fate(const struct explanation *explanation)
{
	switch (explanation->answer.action) {
	case XDP_TX:
	case XDP_REDIRECT: return "sent";
	case XDP_PASS: return "passed";
	}
	return "dropped";
}

/* ---- what is there: NULL or false otherwise ---- */

static const struct endpoint *endpoint_of(const struct explanation *explanation)
{
	uint32_t id = explanation->answer.explain.endpoint;

	return id < ENDPOINTS_MAX ? &explanation->maps->endpoints[id] : NULL;
}

static const struct nexthop *nexthop_of(const struct explanation *explanation)
{
	uint32_t id = explanation->answer.explain.nexthop;

	return id < NEXTHOPS_MAX ? &explanation->maps->nexthops[id] : NULL;
}

/* Was a row of the ring looked at? */
static bool has_row(const struct explain *answer)
{
	switch (answer->why) {
	case WHY_RING:
	case WHY_RING_NEXT:
	case WHY_PREVIOUS:
	case WHY_LEAST:
	case WHY_MOVED:
	case WHY_FULL: return true;
	}
	return false;
}

/* The flow's state before this packet; NULL: no table knew it. */
static const char *state_name(const struct explanation *explanation)
{
	static const char *const slots[] = {NULL, "on probation", "confirmed", "closing"};
	static const char *const nat[] = {"new", "established", "closing"};
	const struct explain *answer = &explanation->answer.explain;

	/* WHY_DOWN and WHY_MOVED do not say which table it was */
	if (answer->why == WHY_NAT)
		return answer->state < ARRAY_SIZE(nat) ? nat[answer->state] : "invalid";
	if (answer->why == WHY_HIT)
		return answer->state < ARRAY_SIZE(slots) ? slots[answer->state] : "invalid";
	return NULL;
}

static const char *pool_name(const struct maps *maps, uint32_t id, char buffer[NAME_MAX_BYTES])
{
	buffer[0] = '\0';
	if (id < POOLS_MAX)
		words_clean(maps->pools[id].name, sizeof(maps->pools[id].name), buffer,
			    NAME_MAX_BYTES);
	return buffer;
}

static const char *cluster_name(const struct maps *maps, uint32_t id, char buffer[NAME_MAX_BYTES])
{
	buffer[0] = '\0';
	if (id < CLUSTERS_MAX)
		words_clean(maps->clusters[id].name, sizeof(maps->clusters[id].name), buffer,
			    NAME_MAX_BYTES);
	return buffer;
}

static const char *mac_format(const uint8_t mac[6], char buffer[18])
{
	snprintf(buffer, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		 mac[4], mac[5]);
	return buffer;
}

/* ---- in words ---- */

static void heading_write(struct text *text, const char *heading)
{
	text_printf(text, "%-10s", heading);
}

static void packet_write(struct text *text, const struct explanation *explanation)
{
	const struct explain_packet *packet = &explanation->packet;
	const struct explain_device *device = &explanation->device;
	char src[ADDRESS_TEXT_MAX], dst[ADDRESS_TEXT_MAX], flags[TCP_FLAGS_TEXT_MAX];
	char proto[PROTO_TEXT_MAX];

	heading_write(text, "packet");
	tcp_flags_format(packet->tcp_flags, flags);
	text_printf(text, "%s%s%s %s > %s", proto_format(packet->proto, proto), flags[0] ? " " : "",
		    flags, address_port_format(&packet->src, packet->src_port, src),
		    address_port_format(&packet->dst, packet->dst_port, dst));
	if (packet->cid_bytes) {
		text_puts(text, ", QUIC connection id ");
		for (int i = 0; i < packet->cid_bytes; i++)
			text_printf(text, "%02x", packet->cid[i]);
	}
	text_printf(text, ", arriving by %s (ifindex %u, ", device->name, device->ifindex);
	text_printf(text, device->hook[0] ? "attached: %s)\n" : "nothing of ours attached%s)\n",
		    device->hook);
}

static void verdict_write(struct text *text, const struct explanation *explanation)
{
	const struct explain *answer = &explanation->answer.explain;
	const char *state = state_name(explanation);

	heading_write(text, "verdict");
	text_printf(text, "%s: %s%s\n", verdict_name(answer->verdict),
		    verdict_text(answer->verdict),
		    verdict_drops(answer->verdict) ? "; dropped" : "");
	heading_write(text, "why");
	text_printf(text, "%s: %s", why_name(answer->why), why_text(answer->why));
	if (has_row(answer))
		text_printf(text, " (row %u)", answer->secret);
	if (state)
		text_printf(text, "; the flow was %s", state);
	text_puts(text, "\n");
}

static void vip_write(struct text *text, const struct explanation *explanation)
{
	char name[VIP_TEXT_MAX], pool[NAME_MAX_BYTES];
	const struct vip *vip;

	heading_write(text, "vip");
	if (explanation->answer.explain.vip == VIP_ID_ANY) {
		text_puts(text, "none\n");
		return;
	}
	text_puts(text, vip_index_format(explanation->vips, explanation->answer.explain.vip, name));
	if (vip_index_find(explanation->vips, explanation->answer.explain.vip, &vip)) {
		text_printf(text, ", %s", words_mode(vip->mode));
		if (vip->mode == VIP_MODE_L4)
			text_printf(text, ", pool %s, pick %s",
				    pool_name(explanation->maps, vip->pool, pool),
				    vip_pick_name(vip->pick));
	}
	text_puts(text, "\n");
}

static void endpoint_write(struct text *text, const struct explanation *explanation)
{
	const struct maps *maps = explanation->maps;
	const struct endpoint *endpoint = endpoint_of(explanation);
	uint32_t id = explanation->answer.explain.endpoint;
	char name[NAME_MAX_BYTES], address[ADDRESS_TEXT_MAX];

	heading_write(text, "endpoint");
	if (!endpoint) {
		text_puts(text, "none\n");
		return;
	}
	words_clean(endpoint->name, sizeof(endpoint->name), name, sizeof(name));
	text_printf(text, "%s%s%s by %s, id %u generation %u", name, name[0] ? " " : "",
		    address_port_format(&endpoint->addr, ntohs(endpoint->port), address),
		    endpoint_way_name(endpoint->way), id, endpoint->generation);
	if (cluster_name(maps, endpoint->cluster, name)[0])
		text_printf(text, ", cluster %s", name);
	text_printf(text, "; %s: admin %s", endpoint_use_name(endpoint_use(maps, id, 0)),
		    admin_state_name((uint8_t)endpoint_admin(maps, id)));
	if (endpoint->cluster < CLUSTERS_MAX)
		text_printf(text, ", of its cluster %s",
			    admin_state_name((uint8_t)cluster_admin(maps, endpoint->cluster)));
	if (endpoint_drain_until(maps, id) && endpoint_use(maps, id, 0) == ENDPOINT_MAINT)
		text_puts(text, " (the deadline of the drain is over)");
	text_printf(text, ", health %s\n", health_state_name(endpoint_health(maps, id).state));
}

static void nexthop_write(struct text *text, const struct explanation *explanation)
{
	const struct nexthop *nexthop = nexthop_of(explanation);
	char mac[18], address[ADDRESS_TEXT_MAX];

	heading_write(text, "next hop");
	if (explanation->answer.action != XDP_TX && explanation->answer.action != XDP_REDIRECT)
		text_puts(text, "none\n");
	else if (!nexthop)
		text_puts(text, "the kernel's routes and neighbours were asked\n");
	else
		text_printf(text, "%s at %s by %s, %s\n", address_format(&nexthop->addr, address),
			    mac_format(nexthop->dmac, mac),
			    explanation->nexthop_device[0] ? explanation->nexthop_device : "?",
			    words_nexthop_state(nexthop->state));
}

void explanation_write(struct text *text, const struct explanation *explanation)
{
	packet_write(text, explanation);
	verdict_write(text, explanation);
	vip_write(text, explanation);
	endpoint_write(text, explanation);
	nexthop_write(text, explanation);
	heading_write(text, "changes");
	text_puts(text, "by a real packet: ");
	explanation_changes_write(text, explanation);
	text_puts(text, "\n");
}

/* ---- for programs ---- */

static void packet_json_write(struct text *text, const struct explanation *explanation)
{
	const struct explain_packet *packet = &explanation->packet;
	char buffer[ADDRESS_TEXT_MAX], flags[TCP_FLAGS_TEXT_MAX], proto[PROTO_TEXT_MAX];

	words_json_string(text, "proto", proto_format(packet->proto, proto));
	words_json_string(text, "tcp_flags", tcp_flags_format(packet->tcp_flags, flags));
	words_json_string(text, "src", address_port_format(&packet->src, packet->src_port, buffer));
	words_json_string(text, "dst", address_port_format(&packet->dst, packet->dst_port, buffer));
	words_json_string(text, "device", explanation->device.name);
	text_json_uint(text, "ifindex", explanation->device.ifindex);
	words_json_string(text, "hook", explanation->device.hook);
}

static void verdict_json_write(struct text *text, const struct explanation *explanation)
{
	const struct explain *answer = &explanation->answer.explain;
	const char *state = state_name(explanation);

	words_json_string(text, "verdict", verdict_name(answer->verdict));
	words_json_string(text, "verdict_text", verdict_text(answer->verdict));
	words_json_string(text, "fate", explanation_fate(explanation));
	words_json_string(text, "why", why_name(answer->why));
	words_json_string(text, "why_text", why_text(answer->why));
	if (has_row(answer))
		text_json_uint(text, "row", answer->secret);
	else
		words_json_none(text, "row");
	words_json_string(text, "flow_state", state ? state : "");
}

static void vip_json_write(struct text *text, const struct explanation *explanation)
{
	uint32_t id = explanation->answer.explain.vip;
	char name[VIP_TEXT_MAX], pool[NAME_MAX_BYTES];
	const struct vip *vip;

	words_json_string(text, "vip", vip_index_format(explanation->vips, id, name));
	if (!vip_index_find(explanation->vips, id, &vip))
		return;
	words_json_string(text, "vip_mode", words_mode(vip->mode));
	words_json_string(text, "pool", pool_name(explanation->maps, vip->pool, pool));
	words_json_string(text, "pick", vip->mode == VIP_MODE_L4 ? vip_pick_name(vip->pick) : "");
}

static void endpoint_json_write(struct text *text, const struct explanation *explanation)
{
	const struct endpoint *endpoint = endpoint_of(explanation);
	uint32_t id = explanation->answer.explain.endpoint;
	const struct maps *maps = explanation->maps;
	char name[NAME_MAX_BYTES], address[ADDRESS_TEXT_MAX];

	if (!endpoint) {
		words_json_none(text, "endpoint");
		return;
	}
	words_json_string(text, "endpoint",
			  words_clean(endpoint->name, sizeof(endpoint->name), name, sizeof(name)));
	text_json_uint(text, "endpoint_id", id);
	text_json_uint(text, "endpoint_generation", endpoint->generation);
	words_json_string(text, "endpoint_address",
			  address_port_format(&endpoint->addr, ntohs(endpoint->port), address));
	words_json_string(text, "way", endpoint_way_name(endpoint->way));
	words_json_string(text, "cluster", cluster_name(maps, endpoint->cluster, name));
	words_json_string(text, "use", endpoint_use_name(endpoint_use(maps, id, 0)));
	words_json_string(text, "admin", admin_state_name((uint8_t)endpoint_admin(maps, id)));
	words_json_string(text, "health", health_state_name(endpoint_health(maps, id).state));
}

static void nexthop_json_write(struct text *text, const struct explanation *explanation)
{
	const struct nexthop *nexthop = nexthop_of(explanation);
	char mac[18], address[ADDRESS_TEXT_MAX];

	if (!nexthop) {
		words_json_none(text, "nexthop");
		return;
	}
	words_json_string(text, "nexthop", address_format(&nexthop->addr, address));
	words_json_string(text, "nexthop_mac", mac_format(nexthop->dmac, mac));
	words_json_string(text, "nexthop_device", explanation->nexthop_device);
	words_json_string(text, "nexthop_state", words_nexthop_state(nexthop->state));
}

void explanation_json_write(struct text *text, const struct explanation *explanation)
{
	char buffer[256];
	struct text changes = TEXT_INIT(buffer);

	text_puts(text, "{");
	packet_json_write(text, explanation);
	verdict_json_write(text, explanation);
	vip_json_write(text, explanation);
	endpoint_json_write(text, explanation);
	nexthop_json_write(text, explanation);
	explanation_changes_write(&changes, explanation);
	words_json_string(text, "changes", buffer);
	text_puts(text, "}\n");
}
