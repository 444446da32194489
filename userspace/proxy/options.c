// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/proxy/limits.h"

#define PREFIX_TEXT_MAX 64

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
	.connect_timeout_ms = 1000,
	.head_timeout_s = 15,
	.request_timeout_s = 600,
	.upgrade_idle_s = 300,
	.drain_timeout_s = 30,
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

#define NUMBER(member, option, low, high)                                                          \
	static int set_##member(void *ctx, const char *value)                                      \
	{                                                                                          \
		struct proxy_options *options = ctx;                                               \
		unsigned long number;                                                              \
		int err = options_number(option, value, low, high, &number);                       \
                                                                                                   \
		if (!err)                                                                          \
			options->member = (typeof(options->member))number;                         \
		return err;                                                                        \
	}

NUMBER(workers, "workers", 1, PROXY_WORKERS_MAX)
NUMBER(body_bytes_max, "body-bytes-max", 1, 1ul << 40)
NUMBER(sessions_max, "sessions-max", 1, 1ul << 20)
NUMBER(buffers_max, "buffers-max", 16, 1ul << 20)
NUMBER(attempts, "attempts", 1, ATTEMPTS_MAX)
NUMBER(connect_timeout_ms, "connect-timeout-ms", 1, 600000)
NUMBER(head_timeout_s, "head-timeout-s", 1, 86400)
NUMBER(request_timeout_s, "request-timeout-s", 1, 86400)
NUMBER(upgrade_idle_s, "upgrade-idle-s", 1, 86400)
NUMBER(drain_timeout_s, "drain-timeout-s", 0, 86400)

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
	*ret_options = options;
	return 0;
}
