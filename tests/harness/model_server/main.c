// SPDX-License-Identifier: BSD-2-Clause
/* sluice-model-server: options in, a server on a loop until SIGTERM. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include "tests/harness/model_server/server.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/base/loop.h"
#include "userspace/base/options.h"

static int set_listen(void *ctx, const char *value)
{
	struct model_server_config *config = ctx;

	if (address_port_parse(value, &config->addr, &config->port) < 0)
		return log_error(-EINVAL, "--listen %s: wants ADDRESS:PORT", value);
	return 0;
}

static int set_admin(void *ctx, const char *value)
{
	struct model_server_config *config = ctx;

	if (address_port_parse(value, &config->admin_addr, &config->admin_port) < 0)
		return log_error(-EINVAL, "--admin %s: wants ADDRESS:PORT", value);
	config->has_admin = true;
	return 0;
}

/* Names go into JSON and headers as they are. */
static bool name_is_plain(const char *name)
{
	return *name && !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789._/:@-")];
}

static int set_model(void *ctx, const char *value)
{
	struct completion_config *completion = &((struct model_server_config *)ctx)->completion;

	if (!name_is_plain(value))
		return log_error(-EINVAL, "--model %s: letters, digits and ._/:@- only", value);
	if (completion->model_count == COMPLETION_MODELS_MAX)
		return log_error(-EINVAL, "--model %s: at most %d models", value,
				 COMPLETION_MODELS_MAX);
	completion->models[completion->model_count++] = value;
	return 0;
}

static int set_pod(void *ctx, const char *value)
{
	struct model_server_config *config = ctx;

	if (!name_is_plain(value) || strlen(value) >= sizeof(config->pod))
		return log_error(-EINVAL, "--pod %s: up to 63 letters, digits and ._/:@-", value);
	strcpy(config->pod, value);
	return 0;
}

static int set_speed(void *ctx, const char *value)
{
	struct model_server_config *config = ctx;
	char *end;

	config->engine.speed = strtod(value, &end);
	if (*end || !isfinite(config->engine.speed) || config->engine.speed < 0.001 ||
	    config->engine.speed > 100000)
		return log_error(-EINVAL, "--speed %s: wants a number from 0.001 to 100000", value);
	return 0;
}

static int set_fault(void *ctx, const char *value)
{
	struct model_server_config *config = ctx;
	const char *why;

	if (faults_apply(&config->faults, value, strlen(value), clock_monotonic_ns(), &why) < 0)
		return log_error(-EINVAL, "--fault %s: %s", value, why);
	return 0;
}

static int set_number(const char *name, const char *value, unsigned long high, uint32_t *ret)
{
	unsigned long number;
	int err = options_number(name, value, 1, high, &number);

	if (!err)
		*ret = (uint32_t)number;
	return err;
}

static int set_kv_blocks(void *ctx, const char *value)
{
	struct model_server_config *config = ctx;

	return set_number("kv-blocks", value, 1 << 20, &config->engine.kv_blocks);
}

static int set_model_len(void *ctx, const char *value)
{
	struct model_server_config *config = ctx;

	return set_number("max-model-len", value, 16 << 20, &config->completion.model_len_max);
}

static int set_output_tokens(void *ctx, const char *value)
{
	struct model_server_config *config = ctx;

	return set_number("output-tokens", value, 1 << 20, &config->completion.output_tokens);
}

static int set_keep_alive(void *ctx, const char *value)
{
	struct model_server_config *config = ctx;

	return set_number("keep-alive-s", value, 86400, &config->keep_alive_s);
}

static int set_running_max(void *ctx, const char *value)
{
	struct model_server_config *config = ctx;

	return set_number("max-num-seqs", value, 1 << 16, &config->engine.running_max);
}

static const struct option_row rows[] = {
	{"listen", 'l', "ADDR:PORT", "serve here (default 127.0.0.1:8000)", set_listen},
	{"admin", 0, "ADDR:PORT", "serve here too, untouched by faults", set_admin},
	{"model", 'm', "NAME", "a model to serve; may repeat, the first is the default", set_model},
	{"pod", 'p', "NAME", "name in every answer's x-served-by (default model-server)", set_pod},
	{"speed", 's', "FACTOR", "run the engine's clock faster (default 1)", set_speed},
	{"output-tokens", 'o', "N", "length of an answer without limit (default 64)",
	 set_output_tokens},
	{"max-model-len", 0, "N", "tokens of prompt and answer together (default 131072)",
	 set_model_len},
	{"kv-blocks", 0, "N", "KV cache in blocks of 512 tokens (default 600)", set_kv_blocks},
	{"max-num-seqs", 0, "N", "requests that run at once (default 256)", set_running_max},
	{"keep-alive-s", 0, "N", "close idle connections after N seconds (default 5)",
	 set_keep_alive},
	{"fault", 0, "JSON", "start with a fault, e.g. '{\"slow_start_s\": 10}'; may repeat",
	 set_fault},
};

static const struct option_table table = {
	.program = "sluice-model-server",
	.usage = "[OPTIONS]",
	.about = "A model server without a model: vLLM's OpenAI endpoints and metrics, with the "
		 "timing of a\ncontinuous-batching engine and a prefix cache.  POST /faults breaks "
		 "it on demand; see\ntests/harness/README.md.",
	.rows = rows,
	.row_count = ARRAY_SIZE(rows),
};

static void config_init(struct model_server_config *config)
{
	*config = (struct model_server_config){
		.pod = "model-server",
		.keep_alive_s = 5,
		.engine = engine_config_default(),
		.completion = {.model_len_max = 131072, .output_tokens = 64},
	};
	address_port_parse("127.0.0.1:8000", &config->addr, &config->port);
}

struct stop {
	struct loop *loop;
	struct watch watch;
};

static void stop_now(struct watch *watch, uint32_t events)
{
	(void)events;
	loop_stop(container_of(watch, struct stop, watch)->loop);
}

static int run(const struct model_server_config *config)
{
	_cleanup_(loop_freep) struct loop *loop = NULL;
	_cleanup_close_ int fd = -1;
	struct model_server *server = NULL;
	struct stop stop = {.watch = WATCH_INIT(stop_now)};
	char text[ADDRESS_TEXT_MAX];
	sigset_t signals;
	int err;

	err = loop_new(SERVER_TIMERS_MAX, &loop);
	if (err)
		return log_error(err, "no event loop: %s", strerror(-err));
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	stop.loop = loop;
	err = loop_watch(loop, &stop.watch, fd, EPOLLIN);
	if (!err)
		err = model_server_new(loop, config, &server);
	if (err)
		return err;
	log_info("%s serves %s on %s", config->pod, config->completion.models[0],
		 address_port_format(&config->addr, model_server_port(server), text));
	err = loop_run(loop);
	model_server_free(server);
	return err;
}

int main(int argc, char **argv)
{
	struct model_server_config config;
	struct rlimit files;
	enum options_verdict verdict;
	int index;

	log_init("sluice-model-server", LOG_LEVEL_INFO);
	config_init(&config);
	if (options_parse(&table, &config, argc, argv, &index, &verdict) < 0)
		return 2;
	if (verdict == OPTIONS_DONE)
		return 0;
	if (index != argc) {
		log_message(LOG_LEVEL_ERROR, "unexpected '%s'; see --help", argv[index]);
		return 2;
	}
	config.completion.block_tokens = config.engine.block_tokens;
	if (!config.completion.model_count)
		config.completion.models[config.completion.model_count++] = "emulated-model";
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	return run(&config) ? 1 : 0;
}
