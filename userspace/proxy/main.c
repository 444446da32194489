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
	return log_error(-EBUSY,
			 "instance '%s' has a proxy already (pid %s); stop it first, or choose "
			 "another --instance",
			 proxy->instance.name, pid);
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
	err = lock_take(proxy);
	if (!err)
		err = maps_open(&proxy->instance, MAPS_WORKER, &proxy->maps);
	if (err)
		return err;
	err = proxy_metrics_new(WORKERS_MAX, &proxy->metrics);
	if (err)
		return log_error(err, "cannot take memory for the counters (%s)", strerror(-err));
	proxy->worker_count = proxy->options.workers ? proxy->options.workers : cores();
	err = clients_make(proxy);
	if (err)
		return err;
	err = listeners_open(proxy->listeners, proxy->worker_count);
	if (!err)
		err = listeners_publish(proxy->maps, proxy->listeners);
	return err;
}

int main(int argc, char **argv)
{
	struct proxy proxy = {.lock_fd = -1};
	enum options_verdict verdict;
	int err;

	log_init("sluice-proxy", LOG_LEVEL_INFO);
	err = proxy_options_parse(argc, argv, &proxy.options, &verdict);
	if (err || verdict == OPTIONS_DONE)
		return err ? 2 : 0;
	log_set_level(proxy.options.log_level);
	signal(SIGPIPE, SIG_IGN);
	process_raise_files();
	err = proxy_prepare(&proxy);
	if (!err) {
		log_info("instance '%s': serving with %u workers", proxy.instance.name,
			 proxy.worker_count);
		err = parent_run(&proxy);
	}
	listeners_close(proxy.listeners, proxy.worker_count);
	maps_close(proxy.maps);
	proxy_metrics_free(proxy.metrics);
	client_table_free(proxy.clients);
	closep(&proxy.lock_fd);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
