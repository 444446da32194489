// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/controller/options.h"

#include <errno.h>
#include <string.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"

/* They become labels, words of a command line and columns of a table. */
#define CLUSTER_NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/"

static int set_instance(void *ctx, const char *value)
{
	struct controller_options *options = ctx;

	return instance_init(&options->instance, value);
}

static int set_config(void *ctx, const char *value)
{
	struct controller_options *options = ctx;

	if (options->config.path)
		return log_error(-EINVAL, "--config-cluster: given twice; name one folder");
	options->config.path = value;
	return 0;
}

static int set_cluster(void *ctx, const char *value)
{
	struct controller_options *options = ctx;
	const char *equals = strchr(value, '=');
	size_t length = equals ? (size_t)(equals - value) : 0;
	size_t index = options->cluster_count;

	if (!length || !equals[1] || length >= CONTROLLER_CLUSTER_NAME_MAX ||
	    strspn(value, CLUSTER_NAME_CHARACTERS) != length)
		return log_error(-EINVAL,
				 "--cluster %s: must be NAME=DIR with a name of 1 to %d letters, "
				 "digits, '.', '_', '-' and '/'",
				 value, CONTROLLER_CLUSTER_NAME_MAX - 1);
	if (index == CLUSTERS_MAX)
		return log_error(-EINVAL, "--cluster %s: at most %d clusters", value, CLUSTERS_MAX);
	memcpy(options->cluster_names[index], value, length);
	options->clusters[index] =
		(struct source_folder){options->cluster_names[index], equals + 1};
	options->cluster_count++;
	return 0;
}

static int set_metrics(void *ctx, const char *value)
{
	struct controller_options *options = ctx;

	options->metrics = strcmp(value, "off") != 0;
	if (options->metrics &&
	    address_port_parse(value, &options->metrics_addr, &options->metrics_port) < 0)
		return log_error(-EINVAL,
				 "--metrics %s: must be ADDR:PORT, as 127.0.0.1:%d, or off", value,
				 CONTROLLER_METRICS_PORT);
	return 0;
}

static int set_scrape_interval(void *ctx, const char *value)
{
	struct controller_options *options = ctx;
	unsigned long number;
	int err = options_number("scrape-interval-ms", value, 50, 3600000, &number);

	if (!err)
		options->scrape_interval_ms = (uint32_t)number;
	return err;
}

static int set_log_level(void *ctx, const char *value)
{
	struct controller_options *options = ctx;

	if (log_level_parse(value, &options->log_level) < 0)
		return log_error(-EINVAL, "--log-level %s: must be error, warning, info or debug",
				 value);
	return 0;
}

static const struct option_row rows[] = {
	{"instance", 'i', "NAME", "which gateway of this host (main)", set_instance},
	{"config-cluster", 0, "DIR", "YAML of Gateways, HTTPRoutes and policies", set_config},
	{"cluster", 0, "NAME=DIR", "YAML of a target cluster: pools and pods; may repeat",
	 set_cluster},
	{"metrics", 0, "ADDR:PORT", "serve /metrics and /healthz there (127.0.0.1:9465), or off",
	 set_metrics},
	{"scrape-interval-ms", 0, "N", "pace of scrapes (200 in pools up to 100 endpoints, 1000)",
	 set_scrape_interval},
	{"log-level", 0, "LEVEL", "error, warning, info or debug (info)", set_log_level},
};

static const struct option_table table = {
	.program = "sluice-controller",
	.usage = "--config-cluster DIR [--cluster NAME=DIR]... [OPTIONS]",
	.about = "Reads folders of Kubernetes YAML, probes and scrapes the model servers they\n"
		 "name, and keeps the gateway's maps and routes up to date. SIGHUP reads\n"
		 "everything again; SIGTERM leaves the maps serving.",
	.rows = rows,
	.row_count = ARRAY_SIZE(rows),
};

int controller_options_parse(int argc, char **argv, struct controller_options *ret_options,
			     enum options_verdict *ret_verdict)
{
	struct controller_options *options = ret_options;
	int index, err;

	*options = (struct controller_options){
		.metrics = true,
		.metrics_port = CONTROLLER_METRICS_PORT,
		.log_level = LOG_LEVEL_INFO,
	};
	address_parse("127.0.0.1", &options->metrics_addr);
	instance_init(&options->instance, INSTANCE_DEFAULT);
	err = options_parse(&table, options, argc, argv, &index, ret_verdict);
	if (err || *ret_verdict == OPTIONS_DONE)
		return err;
	if (index < argc)
		return log_error(-EINVAL, "'%s': no such option; see --help", argv[index]);
	if (!options->config.path)
		return log_error(-EINVAL, "--config-cluster DIR is missing; see --help");
	return 0;
}
