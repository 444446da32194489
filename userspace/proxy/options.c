// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/proxy/limits.h"

#define PREFIX_TEXT_MAX 64
#define CLIENT_REQUESTS_MAX 1000000

const struct proxy_options proxy_options_default = {
	.instance = INSTANCE_DEFAULT,
	/* 127.0.0.1, as an IPv4-mapped address */
	.metrics_addr = {.bytes = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}},
	.metrics_port = 9466,
	.spill_dir = "/var/tmp",
	.body_bytes_max = 16u << 20,
	.sessions_max = 4096,
	.buffers_max = 4096,
	.attempts = 4,
	.mirrors_max = 64,
	.connect_timeout_ms = 1000,
	.head_timeout_s = 15,
	.request_timeout_s = 600,
	.upgrade_idle_s = 300,
	.drain_timeout_s = 30,
	.clients = {.ipv4_bits = 32, .ipv6_bits = 64},
	.log_level = LOG_LEVEL_INFO,
};

static int set_instance(void *ctx, const char *value)
{
	((struct proxy_options *)ctx)->instance = value;
	return 0;
}

static int set_metrics(void *ctx, const char *value)
{
	struct proxy_options *options = ctx;

	options->metrics_off = strcmp(value, "off") == 0;
	if (options->metrics_off)
		return 0;
	if (address_port_parse(value, &options->metrics_addr, &options->metrics_port))
		return log_error(-EINVAL, "--metrics %s: wants ADDRESS:PORT, or off", value);
	return 0;
}

static int set_access_log(void *ctx, const char *value)
{
	((struct proxy_options *)ctx)->access_log = strcmp(value, "off") == 0 ? "" : value;
	return 0;
}

static int set_spill_dir(void *ctx, const char *value)
{
	((struct proxy_options *)ctx)->spill_dir = value;
	return 0;
}

static int set_half_close(void *ctx, const char *value)
{
	(void)value;
	((struct proxy_options *)ctx)->half_close = true;
	return 0;
}

static int set_proxy_protocol(void *ctx, const char *value)
{
	(void)value;
	((struct proxy_options *)ctx)->proxy_protocol = true;
	return 0;
}

static int set_replace(void *ctx, const char *value)
{
	(void)value;
	((struct proxy_options *)ctx)->replace = true;
	return 0;
}

/* Again and again: they add up. */
static int set_balancers(void *ctx, const char *value)
{
	struct proxy_options *options = ctx;
	char text[PREFIX_TEXT_MAX];

	options->proxy_protocol = true;
	for (;;) {
		size_t length = strcspn(value, ",");

		if (options->balancer_count == BALANCERS_MAX)
			return log_error(-EINVAL,
					 "--proxy-protocol-from: takes %d prefixes at most",
					 BALANCERS_MAX);
		snprintf(text, sizeof(text), "%.*s", (int)length, value);
		if (length >= sizeof(text) ||
		    prefix_parse(text, &options->balancers[options->balancer_count]))
			return log_error(
				-EINVAL,
				"--proxy-protocol-from %.*s: wants prefixes like 10.1.0.0/16 "
				"or 2001:db8::/32, with no bit set behind them",
				(int)length, value);
		options->balancer_count++;
		if (!value[length])
			return 0;
		value += length + 1;
	}
}

static int set_log_level(void *ctx, const char *value)
{
	if (log_level_parse(value, &((struct proxy_options *)ctx)->log_level))
		return log_error(-EINVAL, "--log-level %s: wants error, warning, info or debug",
				 value);
	return 0;
}

#define NUMBER_AT(name, member, option, low, high)                                                 \
	static int set_##name(void *ctx, const char *value)                                        \
	{                                                                                          \
		struct proxy_options *options = ctx;                                               \
		unsigned long number;                                                              \
		int err = options_number(option, value, low, high, &number);                       \
                                                                                                   \
		if (!err)                                                                          \
			options->member = (typeof(options->member))number;                         \
		return err;                                                                        \
	}
#define NUMBER(member, option, low, high) NUMBER_AT(member, member, option, low, high)

NUMBER(workers, "workers", 1, PROXY_WORKERS_MAX)
NUMBER(body_bytes_max, "body-bytes-max", 1, 1ul << 40)
NUMBER(sessions_max, "sessions-max", 1, 1ul << 20)
NUMBER(buffers_max, "buffers-max", 16, 1ul << 20)
NUMBER(mirrors_max, "mirrors-max", 0, 65536)
NUMBER(attempts, "attempts", 1, ATTEMPTS_MAX)
NUMBER(connect_timeout_ms, "connect-timeout-ms", 1, 600000)
NUMBER(head_timeout_s, "head-timeout-s", 1, 86400)
NUMBER(request_timeout_s, "request-timeout-s", 1, 86400)
NUMBER(upgrade_idle_s, "upgrade-idle-s", 1, 86400)
NUMBER(drain_timeout_s, "drain-timeout-s", 0, 86400)
NUMBER_AT(client_connections, clients.connections, "client-connections", 1, CLIENT_CONNECTIONS_MAX)
NUMBER_AT(client_burst, clients.requests.burst, "client-burst", 1, CLIENT_REQUESTS_MAX)
NUMBER_AT(client_bytes, clients.bytes.count, "client-bytes", 4096, 1ul << 40)
NUMBER_AT(client_ipv4_bits, clients.ipv4_bits, "client-ipv4-bits", 1, 32)
NUMBER_AT(client_ipv6_bits, clients.ipv6_bits, "client-ipv6-bits", 1, 128)

/* "N", "N/s", "N/min" or "N/h" */
static int set_client_requests(void *ctx, const char *value)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} times[] = {
		{"", NS_PER_S}, {"/s", NS_PER_S}, {"/min", 60 * NS_PER_S}, {"/h", 3600 * NS_PER_S}};
	struct client_rate *rate = &((struct proxy_options *)ctx)->clients.requests;
	char number[16];
	size_t length = strcspn(value, "/");
	unsigned long count;

	snprintf(number, sizeof(number), "%.*s", (int)length, value);
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		if (strcmp(value + length, times[i].name) != 0)
			continue;
		if (options_number("client-requests", number, 1, CLIENT_REQUESTS_MAX, &count))
			return -EINVAL;
		rate->count = count;
		rate->per_ns = times[i].ns;
		return 0;
	}
	return log_error(-EINVAL, "--client-requests %s: wants a number and /s, /min or /h", value);
}

/* What follows from several of them. */
static int clients_complete(struct client_limits *clients)
{
	struct client_rate *requests = &clients->requests, *bytes = &clients->bytes;

	if (requests->burst && !requests->per_ns)
		return log_error(-EINVAL,
				 "--client-burst: means nothing without --client-requests");
	if (requests->per_ns && !requests->burst)
		requests->burst = requests->count * NS_PER_S / requests->per_ns ?: 1;
	if (bytes->count) {
		bytes->per_ns = NS_PER_S;
		bytes->burst = bytes->count > BUFFER_BYTES ? bytes->count : BUFFER_BYTES;
	}
	return 0;
}

static const struct option_row rows[] = {
	{"instance", 'i', "NAME", "which gateway of this host (main)", set_instance},
	{"workers", 'w', "N", "worker processes (one a core, at most 16)", set_workers},
	{"metrics", 0, "ADDR:PORT", "serve /metrics and /healthz there, or off (127.0.0.1:9466)",
	 set_metrics},
	{"access-log", 0, "PATH", "JSON lines: a file, - for stdout, or off (RUN_DIR/access.log)",
	 set_access_log},
	{"body-bytes-max", 0, "N", "largest request body, else 413 (16777216)", set_body_bytes_max},
	{"spill-dir", 0, "DIR", "where large bodies wait in unlinked files (/var/tmp)",
	 set_spill_dir},
	{"sessions-max", 0, "N", "client connections of one worker, else 429 (4096)",
	 set_sessions_max},
	{"buffers-max", 0, "N", "buffers of 32 KiB of one worker (4096)", set_buffers_max},
	{"mirrors-max", 0, "N", "copies of requests for mirrors of one worker at once (64)",
	 set_mirrors_max},
	{"attempts", 0, "N", "endpoints a request may be sent to, one after the other (4)",
	 set_attempts},
	{"connect-timeout-ms", 0, "N", "for a connection to an endpoint (1000)",
	 set_connect_timeout_ms},
	{"head-timeout-s", 0, "N",
	 "from a request's first byte to the end of its head, else 408 (15)", set_head_timeout_s},
	{"request-timeout-s", 0, "N", "for a request whose route says nothing (600)",
	 set_request_timeout_s},
	{"upgrade-idle-s", 0, "N", "how long an upgraded connection may be silent, both ways (300)",
	 set_upgrade_idle_s},
	{"drain-timeout-s", 0, "N", "how long answers may take to finish at the end (30)",
	 set_drain_timeout_s},
	{"client-connections", 0, "N", "of one client at a time, else 429 (no limit)",
	 set_client_connections},
	{"client-requests", 0, "N/s",
	 "of one client, also N/min or N/h, else 429 with Retry-After (no limit)",
	 set_client_requests},
	{"client-burst", 0, "N", "requests of one client at once (those of one second)",
	 set_client_burst},
	{"client-bytes", 0, "N",
	 "of request bodies a second of one client, else reading waits (no limit)",
	 set_client_bytes},
	{"client-ipv4-bits", 0, "N", "of an IPv4 address that make a client (32)",
	 set_client_ipv4_bits},
	{"client-ipv6-bits", 0, "N", "of an IPv6 address that make a client (64)",
	 set_client_ipv6_bits},
	{"half-close", 0, NULL, "a client that closes its sending side still gets its answer",
	 set_half_close},
	{"proxy-protocol", 0, NULL,
	 "every connection begins with a PROXY header (v1 or v2), else it is closed",
	 set_proxy_protocol},
	{"replace", 0, NULL,
	 "take the place of the proxy that runs, if one does: it finishes what it has",
	 set_replace},
	{"proxy-protocol-from", 0, "PREFIX,...",
	 "the same, and connections from elsewhere are closed: 10.1.0.0/16,2001:db8::/32",
	 set_balancers},
	{"log-level", 0, "LEVEL", "error, warning, info or debug (info)", set_log_level},
};

static const struct option_table table = {
	.program = "sluice-proxy",
	.usage = "[OPTIONS]",
	.about =
		"Serves the gateway's L7 addresses: reads the model of each request, routes it, and\n"
		"relays it to the endpoint that will answer soonest. Needs 'sluice-loader load' first.",
	.rows = rows,
	.row_count = ARRAY_SIZE(rows),
};

int proxy_options_parse(int argc, char **argv, struct proxy_options *ret_options,
			enum options_verdict *ret_verdict)
{
	struct proxy_options options = proxy_options_default;
	int index = 0;
	int err = options_parse(&table, &options, argc, argv, &index, ret_verdict);

	if (err)
		return err;
	if (*ret_verdict == OPTIONS_GO_ON && index < argc)
		return log_error(-EINVAL, "%s: not an option; see --help", argv[index]);
	err = clients_complete(&options.clients);
	if (err)
		return err;
	*ret_options = options;
	return 0;
}
