// SPDX-License-Identifier: BSD-2-Clause
#include "maps/cli/event_words.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "userspace/base/address.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"

int event_check(const void *bytes, size_t size, const struct event **ret_event)
{
	const struct event *event = bytes;

	if (size != sizeof(*event))
		return log_error(-EPROTO,
				 "events: a record of %zu bytes, this sluicectl knows %zu: the "
				 "loaded programs are of another build; use the programs of one "
				 "release, or 'sluice-loader upgrade'",
				 size, sizeof(*event));
	if (event->verdict >= VERDICT_COUNT || event->why >= WHY_COUNT ||
	    event->snap_bytes > EVENT_SNAP_BYTES)
		return log_error(-EPROTO,
				 "events: a record with verdict %u, why %u and %u bytes of the "
				 "packet, which this sluicectl does not know: the loaded programs "
				 "are of a newer build; use its sluicectl",
				 event->verdict, event->why, event->snap_bytes);
	*ret_event = event;
	return 0;
}

bool event_matches(const struct event *event, const struct capture *asked)
{
	if (asked->vip != VIP_ID_ANY && asked->vip != event->vip)
		return false;
	return !asked->verdicts || asked->verdicts >> event->verdict & 1;
}

/* Fragments and ICMP have no ports. */
static void address_write(const struct ip_addr *addr, uint16_t port, uint8_t proto,
			  char buffer[ADDRESS_TEXT_MAX])
{
	if (address_is_zero(addr))
		buffer[0] = '\0';
	else if (port || proto == IPPROTO_TCP || proto == IPPROTO_UDP)
		address_port_format(addr, port, buffer);
	else
		address_format(addr, buffer);
}

static void flow_init(struct event_words *words, const struct event *event)
{
	char buffer[PROTO_TEXT_MAX];

	address_write(&event->src, ntohs(event->src_port), event->proto, words->src);
	address_write(&event->dst, ntohs(event->dst_port), event->proto, words->dst);
	if (words->src[0] || words->dst[0])
		snprintf(words->proto, sizeof(words->proto), "%s",
			 proto_format(event->proto, buffer));
	if (event->proto == IPPROTO_TCP)
		tcp_flags_format(event->tcp_flags, words->tcp_flags);
}

static void endpoint_init(struct event_words *words, const struct maps *maps, uint32_t id)
{
	const struct endpoint *endpoint;

	if (id == ENDPOINT_NONE)
		return;
	snprintf(words->endpoint, sizeof(words->endpoint), "#%u", id);
	if (id >= ENDPOINTS_MAX || maps->endpoints[id].way == WAY_NONE)
		return;
	endpoint = &maps->endpoints[id];
	if (endpoint->name[0])
		words_clean(endpoint->name, sizeof(endpoint->name), words->endpoint,
			    sizeof(words->endpoint));
	address_port_format(&endpoint->addr, ntohs(endpoint->port), words->endpoint_address);
}

void event_words_init(struct event_words *words, const struct event *event, const struct maps *maps,
		      const struct vip_index *vips, const char *device, uint64_t to_realtime_ns)
{
	memset(words, 0, sizeof(*words));
	words->at_ns = event->at + to_realtime_ns;
	words->verdict = verdict_name((enum verdict)event->verdict);
	words->why = why_name((enum why)event->why);
	words->device = device;
	flow_init(words, event);
	vip_index_format(vips, event->vip, words->vip);
	endpoint_init(words, maps, event->endpoint);
}

static const char *or_dash(const char *word)
{
	return word[0] ? word : "-";
}

static void time_write(struct text *text, uint64_t at_ns)
{
	time_t seconds = (time_t)(at_ns / NS_PER_S);
	char clock[16];
	struct tm local;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&seconds, &local));
	text_printf(text, "%s.%06llu", clock, at_ns % NS_PER_S / NS_PER_US);
}

void event_line_write(struct text *text, const struct event *event, const struct event_words *words)
{
	time_write(text, words->at_ns);
	text_printf(text, " %s", words->verdict);
	if (event->why != WHY_NONE)
		text_printf(text, " (%s)", words->why);
	if (words->proto[0])
		text_printf(text, " %s%s%s %s > %s", words->proto, words->tcp_flags[0] ? " " : "",
			    words->tcp_flags, or_dash(words->src), or_dash(words->dst));
	if (words->vip[0])
		text_printf(text, ", vip %s", words->vip);
	if (words->endpoint[0])
		text_printf(text, ", endpoint %s%s%s", words->endpoint,
			    words->endpoint_address[0] ? " " : "", words->endpoint_address);
	if (event->ifindex)
		text_printf(text, ", %u bytes by %s", event->frame_bytes, words->device);
	else
		text_printf(text, ", at %s", words->device);
	if (event->interval > 1)
		text_printf(text, ", stands for %u packets", event->interval);
}

static void snap_json_write(struct text *text, const struct event *event)
{
	char hex[2 * EVENT_SNAP_BYTES + 1] = "";

	for (uint32_t i = 0; i < event->snap_bytes; i++)
		snprintf(hex + 2 * (size_t)i, 3, "%02x", event->snap[i]);
	words_json_string(text, "frame", hex);
}

void event_json_write(struct text *text, const struct event *event, const struct event_words *words)
{
	text_printf(text, "{\"at\":%llu.%09llu", words->at_ns / NS_PER_S, words->at_ns % NS_PER_S);
	words_json_string(text, "verdict", words->verdict);
	words_json_string(text, "why", words->why);
	words_json_string(text, "proto", words->proto);
	words_json_string(text, "src", words->src);
	words_json_string(text, "dst", words->dst);
	words_json_string(text, "tcp_flags", words->tcp_flags);
	words_json_string(text, "vip", words->vip);
	words_json_string(text, "endpoint", words->endpoint);
	words_json_string(text, "endpoint_address", words->endpoint_address);
	words_json_string(text, "device", words->device);
	text_json_uint(text, "frame_bytes", event->frame_bytes);
	text_json_uint(text, "packets", event->interval);
	snap_json_write(text, event);
	text_puts(text, "}");
}

void event_comment_write(struct text *text, const struct event *event,
			 const struct event_words *words)
{
	text_printf(text, "verdict=%s why=%s vip=%s endpoint=%s packets=%u", words->verdict,
		    words->why, or_dash(words->vip), or_dash(words->endpoint), event->interval);
}
