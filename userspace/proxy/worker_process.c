// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/worker_process.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/proxy/process.h"
#include "userspace/proxy/proxy.h"
#include "userspace/proxy/rows.h"

struct worker_process {
	struct worker *worker;
	int listeners[WORKER_LISTENERS];
	struct watch signals;
	struct watch parent;
	struct timer deaf;
};

/* Our copies of the listeners go too: a queue that nobody serves would hold
 * connections that another member of the group could take, or refuse. */
static void drain(struct worker_process *process, bool leave_queue)
{
	worker_drain(process->worker, leave_queue);
	for (size_t i = 0; i < WORKER_LISTENERS; i++)
		closep(&process->listeners[i]);
}

static void on_deaf(struct timer *timer)
{
	drain(container_of(timer, struct worker_process, deaf), false);
}

/* The parent leads no new connections here any more, and this socket is the last of
 * its kind: what is still in a handshake is waited for, because it would be reset. */
static void last_accepts(struct worker_process *process)
{
	if (!process->worker->draining && !timer_is_armed(&process->deaf))
		loop_timer_after(process->worker->loop, &process->deaf, LAST_ACCEPTS_NS);
}

static void on_signal(struct watch *watch, uint32_t events)
{
	struct worker_process *process = container_of(watch, struct worker_process, signals);
	struct signalfd_siginfo info;

	(void)events;
	while (read(watch->fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTERM)
			last_accepts(process);
		else if (info.ssi_signo == SIGUSR2) /* a successor has the listeners */
			drain(process, true);
		else if (info.ssi_signo == SIGUSR1)
			access_log_reopen(&process->worker->log);
	}
}

static void on_parent_gone(struct watch *watch, uint32_t events)
{
	struct worker_process *process = container_of(watch, struct worker_process, parent);

	(void)events;
	log_info("the parent has gone; finishing %zu connections", process->worker->session_count);
	loop_unwatch(process->worker->loop, watch);
	drain(process, true);
}

static int watch_signals(struct worker_process *process, int *ret_fd)
{
	sigset_t set;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	*ret_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (*ret_fd < 0)
		return -errno;
	process->signals = WATCH_INIT(on_signal);
	err = loop_watch(process->worker->loop, &process->signals, *ret_fd, EPOLLIN);
	return err;
}

static int watch_parent(struct worker_process *process, pid_t parent, int *ret_fd)
{
	int err = process_watch(parent, ret_fd);

	if (!err && getppid() != parent)
		err = -ESRCH; /* it died before we looked, and its pid may be another's */
	if (err)
		return err;
	process->parent = WATCH_INIT(on_parent_gone);
	return loop_watch(process->worker->loop, &process->parent, *ret_fd, EPOLLIN);
}

static void ready_tell(int ready_fd)
{
	uint64_t one = 1;

	if (ready_fd >= 0 && write(ready_fd, &one, sizeof(one)) < 0)
		log_warning("worker: cannot say that it is ready (%s)", strerror(errno));
}

static int run(const struct worker_config *config, pid_t parent, int ready_fd)
{
	_cleanup_(worker_freep) struct worker *worker = NULL;
	_cleanup_close_ int signals = -1;
	_cleanup_close_ int parent_fd = -1;
	struct worker_process process = {0};
	int err = worker_new(config, &worker);

	if (err)
		return err;
	process.worker = worker;
	process.deaf = TIMER_INIT(on_deaf);
	memcpy(process.listeners, config->listener_fds, sizeof(process.listeners));
	err = watch_signals(&process, &signals);
	if (!err)
		err = watch_parent(&process, parent, &parent_fd);
	if (err)
		return log_error(err, "worker: cannot watch signals and its parent (%s)",
				 strerror(-err));
	err = process_drop_capabilities();
	if (err)
		return err;
	ready_tell(ready_fd);
	return loop_run(worker->loop);
}

int worker_process_run(const struct proxy *proxy, unsigned index, pid_t parent)
{
	struct worker_config config = {
		.options = &proxy->options,
		.maps = proxy->maps,
		.metrics = proxy->metrics,
		.clients = proxy->clients,
		.run_dir = proxy->instance.run_dir,
		.access_log = proxy->access_log,
		.persist_key = proxy->persist_key,
	};
	_cleanup_close_ int row_fd = -1;
	int kept[WORKER_LISTENERS + 1] = {[WORKER_LISTENERS] = proxy->ready_fd};

	process_set_name("sluice-worker");
	memcpy(kept, proxy->listeners[index], sizeof(proxy->listeners[index]));
	process_keep_only(kept, ARRAY_SIZE(kept));
	memcpy(config.listener_fds, proxy->listeners[index], sizeof(config.listener_fds));
	if (row_claim(proxy->rows_path, proxy->maps, proxy->metrics, proxy->clients, &config.row,
		      &row_fd))
		return EXIT_FAILURE;
	return run(&config, parent, proxy->ready_fd) ? EXIT_FAILURE : EXIT_SUCCESS;
}
