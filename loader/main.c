// SPDX-License-Identifier: BSD-2-Clause
/* sluice-loader: options, then one command. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include "loader/loader.h"
#include "loader/share.h"
#include "maps/layout/contract.h"
#include "maps/layout/flow.h"
#include "maps/layout/path.h"
#include "maps/layout/probe.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/base/options.h"

#define WORDS_MAX (DEVICES_MAX + 1) /* the command and its devices */
/* Any number; gateways that agree on it agree on picks. */
#define RING_SEED 0x5eed5eedu
#define NEIGHBOUR_INTERVAL 16
#define MSS_LOW 88 /* below, headers are most of every packet */

static const struct command {
	const char *name;
	int (*run)(const struct loader *loader, int word_count, char **words);
} commands[] = {
	{"check", loader_check},   {"load", loader_load},	{"attach", loader_attach},
	{"detach", loader_detach}, {"upgrade", loader_upgrade}, {"status", loader_status},
	{"unload", loader_unload}, {"decap", loader_decap},
};

static bool verbose; /* libbpf's callback has no context */

static int set_instance(void *ctx, const char *value)
{
	struct loader *loader = ctx;

	return instance_init(&loader->instance, value);
}

static int set_json(void *ctx, const char *value)
{
	struct loader *loader = ctx;

	(void)value;
	loader->json = true;
	return 0;
}

static int set_verbose(void *ctx, const char *value)
{
	(void)ctx;
	(void)value;
	verbose = true;
	log_set_level(LOG_LEVEL_DEBUG);
	return 0;
}

static int set_snat(void *ctx, const char *value)
{
	struct loader *loader = ctx;
	struct ip_addr addr;

	if (address_parse(value, &addr) < 0 || address_is_zero(&addr))
		return log_error(-EINVAL, "--snat %s: not an IPv4 or IPv6 address", value);
	*(address_is_ipv4(&addr) ? &loader->snat4 : &loader->snat6) = addr;
	return 0;
}

static int ports_parse(const char *option, const char *value, uint32_t *ret_low, uint32_t *ret_high)
{
	unsigned low, high;
	char end;

	if (sscanf(value, "%u-%u%c", &low, &high, &end) != 2 || low < 1024 || high > 65535 ||
	    low > high)
		return log_error(-EINVAL, "--%s %s: wants LOW-HIGH within 1024-65535", option,
				 value);
	*ret_low = low;
	*ret_high = high;
	return 0;
}

static int set_snat_ports(void *ctx, const char *value)
{
	struct loader *loader = ctx;

	return ports_parse("snat-ports", value, &loader->snat_port_low, &loader->snat_port_high);
}

static int set_probe_ports(void *ctx, const char *value)
{
	struct loader *loader = ctx;
	uint32_t low, high;
	int err = ports_parse("probe-ports", value, &low, &high);

	if (!err && high - low >= PROBE_PORTS_MAX)
		err = log_error(-EINVAL, "--probe-ports %s: are more than %d ports", value,
				PROBE_PORTS_MAX);
	if (err)
		return err;
	loader->probe_port_low = low;
	loader->probe_port_high = high;
	return 0;
}

static int set_ring_seed(void *ctx, const char *value)
{
	struct loader *loader = ctx;
	unsigned long seed;
	int err = options_number("ring-seed", value, 0, ~0ul, &seed);

	if (!err)
		loader->ring_seed = seed;
	return err;
}

static int set_encap(void *ctx, const char *value)
{
	struct loader *loader = ctx;
	struct ip_addr addr;

	if (address_parse(value, &addr) < 0 || address_is_zero(&addr))
		return log_error(-EINVAL, "--encap %s: not an IPv4 or IPv6 address", value);
	*(address_is_ipv4(&addr) ? &loader->encap4 : &loader->encap6) = addr;
	return 0;
}

/* Rounded up to whole sets, a power of two of them. */
static int set_flows(void *ctx, const char *value)
{
	struct loader *loader = ctx;
	unsigned long count;
	uint32_t sets = FLOW_SETS_MIN;
	int err = options_number("flows", value, 1, (unsigned long)FLOW_SETS_MAX * FLOW_SLOTS,
				 &count);

	if (err)
		return err;
	while ((unsigned long)sets * FLOW_SLOTS < count)
		sets *= 2;
	loader->settings.flow_sets = sets;
	return 0;
}

static int set_client_max(void *ctx, const char *value)
{
	struct loader *loader = ctx;
	unsigned long count;
	int err = options_number("client-max", value, 0, NAT_FLOWS_MAX, &count);

	if (!err)
		loader->nat_client_max = (uint32_t)count;
	return err;
}

static int set_mode(void *ctx, const char *value)
{
	static const char *const names[] = {"auto", "native", "tc", "clsact", "generic"};
	struct loader *loader = ctx;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(value, names[i]) == 0) {
			loader->mode = (enum attach_mode)i;
			return 0;
		}
	}
	return log_error(-EINVAL, "--mode %s: wants auto, native, tc, clsact or generic", value);
}

static int set_share(void *ctx, const char *value)
{
	(void)value;
	((struct loader *)ctx)->share = true;
	return 0;
}

static int set_priority(void *ctx, const char *value)
{
	struct loader *loader = ctx;
	unsigned long priority;
	int err = options_number("priority", value, 0, INT32_MAX, &priority);

	if (!err)
		loader->priority = (uint32_t)priority;
	return err;
}

static int set_vip(void *ctx, const char *value)
{
	struct decap_options *decap = &((struct loader *)ctx)->decap;
	struct ip_addr addr;

	if (address_parse(value, &addr) < 0 || !address_is_unicast(&addr))
		return log_error(-EINVAL, "--vip %s: not the IPv4 or IPv6 address of a host",
				 value);
	if (decap->vip_count == DECAP_VIPS_MAX)
		return log_error(-E2BIG, "--vip %s: more than %d VIPs", value, DECAP_VIPS_MAX);
	decap->vips[decap->vip_count++] = addr;
	return 0;
}

static int set_mss(void *ctx, const char *value)
{
	struct loader *loader = ctx;
	unsigned long mss;
	int err = options_number("mss", value, MSS_LOW, UINT16_MAX, &mss);

	if (!err)
		loader->decap.mss = (uint16_t)mss;
	return err;
}

static int set_gue_port(void *ctx, const char *value)
{
	struct loader *loader = ctx;
	unsigned long port;
	int err = options_number("gue-port", value, 1, UINT16_MAX, &port);

	if (!err)
		loader->decap.gue_port = (uint16_t)port;
	return err;
}

static int set_off(void *ctx, const char *value)
{
	(void)value;
	((struct loader *)ctx)->decap.off = true;
	return 0;
}

static int set_status(void *ctx, const char *value)
{
	(void)value;
	((struct loader *)ctx)->decap.status = true;
	return 0;
}

static const struct option_row rows[] = {
	{"instance", 'i', "NAME", "which gateway of this host (default main)", set_instance},
	{"json", 'j', NULL, "status as JSON", set_json},
	{"verbose", 'v', NULL, "also what libbpf and the verifier say", set_verbose},
	{"snat", 0, "ADDR", "load: source address of NAT, one a family", set_snat},
	{"snat-ports", 0, "LOW-HIGH", "load: NAT's ports (default 61000-65000)", set_snat_ports},
	{"probe-ports", 0, "LOW-HIGH",
	 "load: source ports of health probes on the data path (default 65001-65400)",
	 set_probe_ports},
	{"ring-seed", 0, "N", "load: seed of picks, the same on all gateways", set_ring_seed},
	{"encap", 0, "ADDR", "load: source address of IPIP and GUE, one a family", set_encap},
	{"flows", 0, "N", "load: room for so many encapsulated flows (default a million, 8 MiB)",
	 set_flows},
	{"client-max", 0, "N", "load: NAT flows that one client may have (default: no cap)",
	 set_client_max},
	{"mode", 0, "MODE", "attach: auto (default), native, tc, clsact or generic", set_mode},
	{"share", 0, NULL, "attach: by libxdp's dispatcher, so that other XDP programs can come",
	 set_share},
	{"priority", 0, "N",
	 "attach: place among a dispatcher's programs, low ones first "
	 "(default 60)",
	 set_priority},
	{"vip", 0, "ADDR", "decap: a VIP whose packets are taken off; once for each", set_vip},
	{"mss", 0, "N", "decap: what the VIPs offer at most (default: by the device's MTU)",
	 set_mss},
	{"gue-port", 0, "PORT", "decap: UDP port of GUE (default 6080)", set_gue_port},
	{"off", 0, NULL, "decap: takes the programs away again", set_off},
	{"status", 0, NULL, "decap: shows what is there, and the counters", set_status},
};

static const struct option_table table = {
	.program = "sluice-loader",
	.usage =
		"[OPTIONS] check [DEV...] | load | attach DEV... | detach DEV... | upgrade | "
		"status | unload | decap DEV --vip ADDR... | decap --off DEV | decap --status [DEV]",
	.about = "Loads Sluice's kernel programs and attaches them to devices; unload restores the "
		 "host.",
	.rows = rows,
	.row_count = ARRAY_SIZE(rows),
};

/* The verifier's log comes as one message of many lines, too long for log.h. */
static int libbpf_log(enum libbpf_print_level level, const char *format, va_list args)
{
	return verbose && level != LIBBPF_DEBUG ? vfprintf(stderr, format, args) : 0;
}

static int libxdp_log(enum libxdp_print_level level, const char *format, va_list args)
{
	return verbose && level != LIBXDP_DEBUG ? vfprintf(stderr, format, args) : 0;
}

/* Options may stand before, between and after the words. */
static int words_collect(struct loader *loader, int argc, char **argv, char **words, int *ret_count,
			 enum options_verdict *ret_verdict)
{
	int at = 0, count = 0;

	for (;;) {
		int next, err;

		err = options_parse(&table, loader, argc - at, argv + at, &next, ret_verdict);
		if (err || *ret_verdict == OPTIONS_DONE)
			return err;
		at += next;
		if (at >= argc) {
			*ret_count = count;
			return 0;
		}
		if (count == WORDS_MAX)
			return log_error(-E2BIG, "%s: more than %d devices", argv[at], DEVICES_MAX);
		words[count++] = argv[at];
	}
}

int main(int argc, char **argv)
{
	struct loader loader = {
		.snat_port_low = SNAT_PORT_LOW,
		.snat_port_high = SNAT_PORT_HIGH,
		.probe_port_low = PROBE_PORT_LOW,
		.probe_port_high = PROBE_PORT_HIGH,
		.ring_seed = RING_SEED,
		.priority = SHARE_PRIORITY,
		.decap = {.gue_port = GUE_PORT},
		.settings = {.flow_sets = FLOW_SETS_DEFAULT,
			     .neighbour_interval = NEIGHBOUR_INTERVAL},
	};
	enum options_verdict verdict;
	char *words[WORDS_MAX];
	int count = 0;

	log_init_cli("sluice-loader");
	libbpf_set_print(libbpf_log);
	libxdp_set_print(libxdp_log);
	if (instance_init(&loader.instance, INSTANCE_DEFAULT) < 0 ||
	    words_collect(&loader, argc, argv, words, &count, &verdict) < 0)
		return 2;
	if (verdict == OPTIONS_DONE)
		return 0;
	if (count == 0) {
		options_print_help(&table);
		return 2;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(words[0], commands[i].name) == 0)
			return commands[i].run(&loader, count - 1, words + 1) ? 1 : 0;
	}
	log_message(LOG_LEVEL_ERROR, "%s: no such command; --help lists them", words[0]);
	return 2;
}
