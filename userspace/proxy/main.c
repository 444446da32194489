// SPDX-License-Identifier: BSD-2-Clause
/* sluice-proxy: options, lock, maps, listeners; then the parent's life. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "maps/access/maps.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/proxy/client_table.h"
#include "userspace/proxy/handover.h"
#include "userspace/proxy/listeners.h"
#include "userspace/proxy/parent.h"
#include "userspace/proxy/process.h"
#include "userspace/proxy/proxy.h"
#include "userspace/telemetry/proxy_metrics.h"

static unsigned cores(void)
{
	cpu_set_t set;
	int count = sched_getaffinity(0, sizeof(set), &set) < 0 ? 1 : CPU_COUNT(&set);

	return count < PROXY_WORKERS_MAX ? (unsigned)count : PROXY_WORKERS_MAX;
}

static void paths_fill(struct proxy *proxy)
{
	const char *log = proxy->options.access_log;

	instance_run_path(&proxy->instance, RUN_WORKERS, proxy->rows_path);
	instance_run_path(&proxy->instance, RUN_PROXY_PID, proxy->pid_path);
	instance_run_path(&proxy->instance, RUN_PROXY_SOCKET, proxy->socket_path);
	if (log)
		snprintf(proxy->access_log, sizeof(proxy->access_log), "%s", log);
	else
		instance_run_path(&proxy->instance, RUN_ACCESS_LOG, proxy->access_log);
}

/* The lock is on an open file that the keeper inherits and workers close, so it
 * is free as soon as neither parent nor keeper lives. */
static int lock_take(struct proxy *proxy)
{
	char path[2 * INSTANCE_PATH_MAX], pid[16] = "?";
	FILE *file;

	instance_run_path(&proxy->instance, RUN_PROXY_LOCK, path);
	proxy->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (proxy->lock_fd < 0)
		return log_error(-errno, "%s: cannot be opened (%s)", path, strerror(errno));
	if (flock(proxy->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return log_error(-errno, "%s: cannot be locked (%s)", path, strerror(errno));
	file = fopen(proxy->pid_path, "re");
	if (file && fgets(pid, sizeof(pid), file))
		pid[strcspn(pid, "\n")] = '\0';
	if (file)
		fclose(file);
	return log_error(
		-EBUSY,
		"instance '%s' has a proxy already (pid %s); --replace takes its place, or "
		"choose another --instance",
		proxy->instance.name, pid);
}

/* With --replace from the proxy that runs: its lock, listeners and counters. */
static int place_take(struct proxy *proxy)
{
	int err = proxy->options.replace ? handover_ask(proxy->socket_path, proxy) : -ENOENT;

	if (err != -ENOENT)
		return err;
	if (proxy->options.replace)
		log_info("instance '%s': no proxy runs that could be replaced",
			 proxy->instance.name);
	return lock_take(proxy);
}

/* The counters of the predecessor, or new ones: its rows may be held by workers
 * that still finish, and what they leave in flight is swept as if it were ours. */
static int counters_take(struct proxy *proxy)
{
	int err = -EPROTO;

	if (proxy->metrics_fd >= 0)
		err = proxy_metrics_map(proxy->metrics_fd, WORKERS_MAX, &proxy->metrics);
	if (err != -EPROTO)
		return err;
	if (proxy->metrics_fd >= 0)
		log_warning("the proxy that runs counts otherwise: counters begin at zero");
	closep(&proxy->metrics_fd);
	err = proxy_metrics_create(WORKERS_MAX, &proxy->metrics_fd);
	if (!err)
		err = proxy_metrics_map(proxy->metrics_fd, WORKERS_MAX, &proxy->metrics);
	if (err || proxy->predecessor_fd < 0)
		return err;
	proxy->metrics->rows_high = WORKERS_MAX;
	for (size_t i = 0; i < WORKERS_MAX; i++)
		proxy->metrics->rows[i].held = 1;
	return 0;
}

/* One listener a worker: a queue that was handed over needs somebody who serves it. */
static void workers_count(struct proxy *proxy)
{
	proxy->worker_count = proxy->options.workers ? proxy->options.workers : cores();
	if (proxy->worker_count >= proxy->listeners_held)
		return;
	log_warning("%u workers instead of %u, one for each queue of the proxy that runs",
		    proxy->listeners_held, proxy->worker_count);
	proxy->worker_count = proxy->listeners_held;
}

/* Kept over restarts, so that sessions are too. */
static int key_load(struct proxy *proxy)
{
	char path[2 * INSTANCE_PATH_MAX];

	instance_run_path(&proxy->instance, RUN_PERSIST_KEY, path);
	return persist_key_load(path, &proxy->persist_key);
}

/* Only if something is limited. */
static int clients_make(struct proxy *proxy)
{
	const struct proxy_options *options = &proxy->options;
	int err = 0;

	if (client_limits_any(&options->clients))
		err = client_table_new(&options->clients,
				       proxy->worker_count *
					       (options->sessions_max + SESSIONS_SPARE),
				       &proxy->clients);
	if (err)
		return log_error(err, "cannot take memory for the table of clients (%s)",
				 strerror(-err));
	return 0;
}

static int proxy_prepare(struct proxy *proxy)
{
	int err = instance_init(&proxy->instance, proxy->options.instance);

	if (!err)
		err = instance_make_run_dir(&proxy->instance);
	if (err)
		return err;
	paths_fill(proxy);
	err = place_take(proxy);
	if (!err)
		err = key_load(proxy);
	if (!err)
		err = maps_open(&proxy->instance, MAPS_WORKER, &proxy->maps);
	if (err)
		return err;
	err = counters_take(proxy);
	if (err)
		return log_error(err, "cannot take memory for the counters (%s)", strerror(-err));
	workers_count(proxy);
	err = clients_make(proxy);
	if (err)
		return err;
	err = listeners_open(proxy->listeners, proxy->listeners_held, proxy->worker_count);
	if (!err)
		err = listeners_publish(proxy->maps, proxy->listeners);
	return err;
}

/* Where a successor is started from; what is there may be replaced meanwhile. */
static void program_find(struct proxy *proxy, char **argv)
{
	ssize_t n = readlink("/proc/self/exe", proxy->program, sizeof(proxy->program) - 1);

	proxy->argv = argv;
	if (n < 0 || (size_t)n >= sizeof(proxy->program) - 1)
		n = 0;
	proxy->program[n] = '\0';
}

int main(int argc, char **argv)
{
	struct proxy proxy = {
		.lock_fd = -1,
		.metrics_fd = -1,
		.page_fd = -1,
		.predecessor_fd = -1,
		.ready_fd = -1,
	};
	enum options_verdict verdict;
	int err;

	log_init("sluice-proxy", LOG_LEVEL_INFO);
	err = proxy_options_parse(argc, argv, &proxy.options, &verdict);
	if (err || verdict == OPTIONS_DONE)
		return err ? 2 : 0;
	log_set_level(proxy.options.log_level);
	signal(SIGPIPE, SIG_IGN);
	process_raise_files();
	program_find(&proxy, argv);
	err = proxy_prepare(&proxy);
	if (!err) {
		log_info("instance '%s': serving with %u workers", proxy.instance.name,
			 proxy.worker_count);
		err = parent_run(&proxy);
	}
	listeners_close(proxy.listeners, proxy.worker_count);
	maps_close(proxy.maps);
	proxy_metrics_free(proxy.metrics);
	closep(&proxy.predecessor_fd);
	closep(&proxy.page_fd);
	closep(&proxy.metrics_fd);
	client_table_free(proxy.clients);
	closep(&proxy.lock_fd);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
