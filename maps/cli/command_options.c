// SPDX-License-Identifier: BSD-2-Clause
/* Every option that there is, a row each: a command names its own by bits, so one
 * spelling means one thing everywhere; but --interval, which is what lies between two
 * looks of watch, or between two packets of capture. */
#include "maps/cli/command.h"

#include <errno.h>
#include <string.h>

#include "maps/access/maps.h"
#include "maps/layout/contract.h"
#include "userspace/base/log.h"

_Static_assert(VERDICT_COUNT <= 64, "verdicts of a capture are bits of a word");

static int set_instance(void *ctx, const char *value)
{
	struct request *request = ctx;

	return instance_init(&request->instance, value);
}

static int set_json(void *ctx, const char *value)
{
	struct request *request = ctx;

	(void)value;
	request->json = true;
	return 0;
}

static int set_cluster(void *ctx, const char *value)
{
	struct request *request = ctx;

	request->cluster = value;
	return 0;
}

static int set_pool(void *ctx, const char *value)
{
	struct request *request = ctx;

	request->pool = value;
	return 0;
}

static int set_use(void *ctx, const char *value)
{
	struct request *request = ctx;

	request->use = value;
	return 0;
}

static int set_all(void *ctx, const char *value)
{
	struct request *request = ctx;

	(void)value;
	request->all = true;
	return 0;
}

static int set_wide(void *ctx, const char *value)
{
	struct request *request = ctx;

	(void)value;
	request->wide = true;
	return 0;
}

static int set_limit(void *ctx, const char *value)
{
	struct request *request = ctx;

	return options_number("limit", value, 1, NAT_FLOWS_MAX, &request->limit);
}

static int set_interval(void *ctx, const char *value)
{
	struct request *request = ctx;

	return options_number("interval", value, 100, 3600 * 1000, &request->interval_ms);
}

static int set_count(void *ctx, const char *value)
{
	struct request *request = ctx;

	return options_number("count", value, 1, 1000 * 1000 * 1000, &request->count);
}

static int set_wait(void *ctx, const char *value)
{
	struct request *request = ctx;

	return options_number("wait", value, 1, 24 * 3600, &request->wait_s);
}

static int set_deadline(void *ctx, const char *value)
{
	struct request *request = ctx;

	return options_number("deadline", value, 1, 7 * 24 * 3600, &request->deadline_s);
}

static int set_endpoint(void *ctx, const char *value)
{
	struct request *request = ctx;

	if (request->endpoint_count == REQUEST_ENDPOINTS_MAX)
		return log_error(-E2BIG, "--endpoint %s: at most %d endpoints a VIP here", value,
				 REQUEST_ENDPOINTS_MAX);
	request->endpoints[request->endpoint_count++] = value;
	return 0;
}

static int set_way(void *ctx, const char *value)
{
	struct request *request = ctx;

	request->way = value;
	return 0;
}

static int set_pick(void *ctx, const char *value)
{
	struct request *request = ctx;

	request->pick = value;
	return 0;
}

static int set_down(void *ctx, const char *value)
{
	struct request *request = ctx;

	request->down = value;
	return 0;
}

static int set_quic(void *ctx, const char *value)
{
	struct request *request = ctx;

	(void)value;
	request->quic = true;
	return 0;
}

static int set_vip(void *ctx, const char *value)
{
	struct request *request = ctx;

	request->vip = value;
	return 0;
}

static int set_verdict(void *ctx, const char *value)
{
	struct request *request = ctx;

	for (int v = 0; v < VERDICT_COUNT; v++) {
		if (!strcmp(value, verdict_name((enum verdict)v))) {
			request->verdicts |= 1ull << v;
			return 0;
		}
	}
	return log_error(
		-EINVAL,
		"--verdict %s: no such verdict; 'sluicectl show verdicts --all' lists them", value);
}

static int set_sample(void *ctx, const char *value)
{
	struct request *request = ctx;

	return options_number("interval", value, 1, 1000 * 1000 * 1000, &request->sample);
}

static int set_seconds(void *ctx, const char *value)
{
	struct request *request = ctx;

	return options_number("seconds", value, 1, 24 * 3600, &request->seconds);
}

static int set_pcap(void *ctx, const char *value)
{
	struct request *request = ctx;

	request->pcap = value;
	return 0;
}

static int set_src(void *ctx, const char *value)
{
	struct request *request = ctx;

	request->src = value;
	return 0;
}

static int set_dst(void *ctx, const char *value)
{
	struct request *request = ctx;

	request->dst = value;
	return 0;
}

static int set_tcp_flags(void *ctx, const char *value)
{
	struct request *request = ctx;

	request->tcp_flags = value;
	return 0;
}

static int set_ifname(void *ctx, const char *value)
{
	struct request *request = ctx;

	request->ifname = value;
	return 0;
}

static int set_quic_cid(void *ctx, const char *value)
{
	struct request *request = ctx;

	request->quic_cid = value;
	return 0;
}

static int set_method(void *ctx, const char *value)
{
	struct request *request = ctx;

	request->method = value;
	return 0;
}

static int set_path(void *ctx, const char *value)
{
	struct request *request = ctx;

	request->path = value;
	return 0;
}

static int set_header(void *ctx, const char *value)
{
	struct request *request = ctx;

	if (!strchr(value, ':'))
		return log_error(-EINVAL, "--header '%s': give it as 'NAME: VALUE'", value);
	if (request->header_count == REQUEST_HEADERS_MAX)
		return log_error(-E2BIG, "--header %s: at most %d headers here", value,
				 REQUEST_HEADERS_MAX);
	request->headers[request->header_count++] = value;
	return 0;
}

const struct option_row global_rows[GLOBAL_OPTION_COUNT] = {
	{"instance", 'i', "NAME", "which gateway of this host (default: " INSTANCE_DEFAULT ")",
	 set_instance},
	{"json", 'j', NULL, "JSON instead of text", set_json},
};

const struct option_row command_rows[COMMAND_OPTION_COUNT] = {
	[OPTION_CLUSTER] = {"cluster", 'c', "NAME", "only of this cluster", set_cluster},
	[OPTION_POOL] = {"pool", 'p', "NAME", "this pool", set_pool},
	[OPTION_USE] = {"use", 'u', "USE", "only usable, draining, down or maint ones", set_use},
	[OPTION_ALL] = {"all", 'a', NULL, "all rows, however many or uninteresting", set_all},
	[OPTION_WIDE] = {"wide", 'w', NULL, "all columns", set_wide},
	[OPTION_LIMIT] = {"limit", 'n', "N", "so many rows of flows (default: 100)", set_limit},
	[OPTION_INTERVAL] = {"interval", 't', "MS", "between two looks (default: 1000)",
			     set_interval},
	[OPTION_COUNT] = {"count", 'N', "N", "stop after so many looks or records (default: never)",
			  set_count},
	[OPTION_WAIT] = {"wait", 'W', "SECONDS", "wait at most so long until nothing is left there",
			 set_wait},
	[OPTION_DEADLINE] = {"deadline", 'D', "SECONDS",
			     "so long old flows may stay; then as in maint (default: no end)",
			     set_deadline},
	[OPTION_ENDPOINT] = {"endpoint", 'e', "ENDPOINT",
			     "ADDRESS:PORT[*WEIGHT][,way=WAY][,id=N]; repeat for each",
			     set_endpoint},
	[OPTION_WAY] = {"way", 0, "WAY", "to endpoints: nat (default), ipip, gue or l2", set_way},
	[OPTION_PICK] = {"pick", 0, "PICK", "of new flows: maglev (default) or least", set_pick},
	[OPTION_DOWN] = {"down", 0, "WHAT",
			 "of TCP flows whose endpoint is out: reset (default) or drop", set_down},
	[OPTION_QUIC] = {"quic", 0, NULL, "follow the server id in QUIC connection ids (UDP)",
			 set_quic},
	[OPTION_VIP] = {"vip", 'v', "A:P/PROTO", "only packets to this VIP and their answers",
			set_vip},
	[OPTION_VERDICT] = {"verdict", 'V', "NAME", "only packets with this verdict; repeat",
			    set_verdict},
	[OPTION_SAMPLE] = {"interval", 't', "N", "one of N packets, by chance (default: 1)",
			   set_sample},
	[OPTION_SECONDS] = {"seconds", 's', "S", "stop after so long (default: never)",
			    set_seconds},
	[OPTION_PCAP] = {"pcap", 'o', "FILE", "a pcapng file instead of lines; '-': stdout",
			 set_pcap},
	[OPTION_SRC] = {"src", 0, "A:P", "where the packet comes from", set_src},
	[OPTION_DST] = {"dst", 0, "A:P[/PROTO]", "where it goes to (default: /tcp)", set_dst},
	[OPTION_TCP_FLAGS] = {"tcp-flags", 'f', "FLAGS",
			      "syn, ack, fin, rst, ... with commas between (default: syn)",
			      set_tcp_flags},
	[OPTION_IFNAME] = {"ifname", 'I', "DEV", "the device it arrives by", set_ifname},
	[OPTION_QUIC_CID] = {"quic-cid", 'q', "HEX", "QUIC connection id; makes it UDP",
			     set_quic_cid},
	[OPTION_METHOD] = {"method", 'm', "METHOD", "of the request (default: POST)", set_method},
	[OPTION_PATH] = {"path", 'P', "PATH", "of the request, a query may follow", set_path},
	[OPTION_HEADER] = {"header", 'H', "NAME: VALUE", "of the request; repeat for each",
			   set_header},
};
