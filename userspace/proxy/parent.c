// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/parent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "maps/access/maps.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/file.h"
#include "userspace/base/log.h"
#include "userspace/http/serve.h"
#include "userspace/proxy/keeper.h"
#include "userspace/proxy/listeners.h"
#include "userspace/proxy/pages.h"
#include "userspace/proxy/parent_parts.h"
#include "userspace/proxy/process.h"
#include "userspace/proxy/rows.h"
#include "userspace/proxy/worker_process.h"
#include "userspace/telemetry/proxy_metrics.h"

#define TIMERS_MAX (SERVER_CONNECTIONS_MAX + 4)
#define TICK_NS NS_PER_S
#define PINS_NS (250 * NS_PER_MS)
#define YOUNG_NS NS_PER_S /* a worker that dies younger than this is not replaced at once */
#define KILL_AFTER_NS (2 * NS_PER_S) /* beyond the drain time-out */

/* ---- workers ---- */

static void worker_start(struct parent *parent, unsigned index)
{
	struct worker_slot *slot = &parent->workers[index];
	pid_t self = getpid();
	pid_t pid = fork();

	slot->started_ns = clock_monotonic_ns();
	if (pid < 0) {
		log_warning("worker %u: cannot be started (%s); trying again", index,
			    strerror(errno));
		return;
	}
	if (!pid)
		_exit(worker_process_run(parent->proxy, index, self));
	slot->pid = pid;
	__atomic_fetch_add(&parent->proxy->metrics->worker_starts, 1, __ATOMIC_RELAXED);
}

void parent_workers_signal(const struct parent *parent, int signal_number)
{
	for (unsigned i = 0; i < parent->proxy->worker_count; i++) {
		if (parent->workers[i].pid)
			kill(parent->workers[i].pid, signal_number);
	}
}

static unsigned workers_alive(const struct parent *parent)
{
	unsigned count = 0;

	for (unsigned i = 0; i < parent->proxy->worker_count; i++)
		count += parent->workers[i].pid != 0;
	return count;
}

static void worker_ended(struct parent *parent, unsigned index, int status)
{
	struct worker_slot *slot = &parent->workers[index];

	if (WIFSIGNALED(status))
		log_warning("worker %u (pid %d): killed by signal %d%s", index, (int)slot->pid,
			    WTERMSIG(status), parent->stopping ? "" : "; starting another");
	else if (!parent->stopping)
		log_warning("worker %u (pid %d): ended with status %d; starting another", index,
			    (int)slot->pid, WEXITSTATUS(status));
	slot->pid = 0;
	rows_sweep(parent->proxy->rows_path, parent->proxy->maps, parent->proxy->metrics,
		   parent->proxy->clients);
	if (!parent->stopping && parent->proxy->ready_fd >= 0)
		succession_fail(parent, "a worker ended before it served");
	if (!parent->stopping && clock_monotonic_ns() - slot->started_ns >= YOUNG_NS)
		worker_start(parent, index);
}

static void children_reap(struct parent *parent)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (unsigned i = 0; i < parent->proxy->worker_count; i++) {
			if (parent->workers[i].pid == pid)
				worker_ended(parent, i, status);
		}
		if (parent->heir_pid == pid)
			heir_ended(parent);
	}
}

/* ---- stopping ---- */

static void stop_finish(struct parent *parent)
{
	if (parent->owner)
		unlink(parent->proxy->pid_path);
	loop_stop(parent->loop);
}

void parent_keeper_end(struct parent *parent)
{
	int fd = parent->keeper.fd;

	if (!parent->keeper_pid)
		return;
	kill(parent->keeper_pid, SIGKILL);
	waitpid(parent->keeper_pid, NULL, 0);
	loop_unwatch(parent->loop, &parent->keeper);
	close(fd);
	parent->keeper_pid = 0;
}

void parent_stopping(struct parent *parent)
{
	struct proxy *proxy = parent->proxy;

	parent->stopping = true;
	parent->kill_at_ns = loop_now_ns(parent->loop) + proxy->options.drain_timeout_s * NS_PER_S +
			     KILL_AFTER_NS;
	listeners_close(proxy->listeners, proxy->worker_count);
	if (!workers_alive(parent))
		stop_finish(parent);
}

void parent_stop(struct parent *parent)
{
	struct proxy *proxy = parent->proxy;

	if (parent->stopping)
		return;
	log_info("stopping: answers under way have %u s to finish", proxy->options.drain_timeout_s);
	if (parent->owner) {
		unlink(proxy->socket_path);
		heirs_dismiss(parent);
		listeners_withdraw(proxy->maps);
	}
	parent_keeper_end(parent);
	parent_workers_signal(parent, SIGTERM);
	parent_stopping(parent);
}

static void stop_asked(struct parent *parent)
{
	if (parent->asked) /* twice: now */
		parent_workers_signal(parent, SIGKILL);
	parent->asked = true;
	parent_stop(parent);
}

static void on_signal(struct watch *watch, uint32_t events)
{
	struct parent *parent = container_of(watch, struct parent, signals);
	struct signalfd_siginfo info;

	(void)events;
	if (parent->took_over)
		return;
	while (read(watch->fd, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGTERM:
		case SIGINT: stop_asked(parent); break;
		case SIGCHLD: children_reap(parent); break;
		case SIGUSR1: parent_workers_signal(parent, SIGUSR1); break;
		case SIGUSR2: heir_start(parent); break;
		default: break;
		}
	}
	if (parent->stopping && !workers_alive(parent))
		stop_finish(parent);
}

/* ---- the keeper ---- */

static void on_keeper_gone(struct watch *watch, uint32_t events);

void parent_keeper_make(struct parent *parent)
{
	int fd = -1;
	bool took_over = false;

	if (keeper_start(parent->proxy, &parent->keeper_pid, &fd, &took_over))
		return;
	if (took_over) {
		parent->took_over = true;
		return;
	}
	parent->keeper = WATCH_INIT(on_keeper_gone);
	if (loop_watch(parent->loop, &parent->keeper, fd, EPOLLIN)) {
		kill(parent->keeper_pid, SIGKILL);
		parent->keeper_pid = 0;
		close(fd);
	}
}

static void on_keeper_gone(struct watch *watch, uint32_t events)
{
	struct parent *parent = container_of(watch, struct parent, keeper);
	int fd = watch->fd;

	(void)events;
	log_warning("keeper (pid %d): gone; starting another", (int)parent->keeper_pid);
	loop_unwatch(parent->loop, watch);
	close(fd);
	parent->keeper_pid = 0;
	parent_keeper_make(parent);
	if (parent->took_over)
		loop_stop(parent->loop);
}

/* ---- once a second ---- */

static void server_make(struct parent *parent)
{
	const struct proxy_options *options = &parent->proxy->options;
	int err = -EADDRNOTAVAIL;

	if (parent->server || options->metrics_off || parent->stopping)
		return;
	if (parent->proxy->page_fd >= 0)
		err = server_new_over(parent->loop, TAKE_FD(parent->proxy->page_fd),
				      &options->metrics_addr, options->metrics_port, pages_answer,
				      parent->proxy, &parent->server);
	if (err)
		server_new(parent->loop, &options->metrics_addr, options->metrics_port,
			   pages_answer, parent->proxy, &parent->server);
}

static ino_t pins_look(const struct parent *parent)
{
	char path[2 * INSTANCE_PATH_MAX];
	struct stat pin;

	snprintf(path, sizeof(path), "%s/contract", parent->proxy->instance.pin_dir);
	return stat(path, &pin) < 0 ? 0 : pin.st_ino;
}

/* 'sluice-loader unload' and 'load' make new maps; they count once they have
 * been there for two looks.  Workers and keeper inherit them by being started
 * again; requests under way finish with the old ones. */
static void pins_check(struct parent *parent)
{
	struct proxy *proxy = parent->proxy;
	ino_t now = pins_look(parent);
	struct maps *maps = NULL;

	if (!now || now == parent->pins_held || now != parent->pins_other) {
		parent->pins_other = now;
		return;
	}
	log_info("%s: other maps are pinned now; the workers start over with them",
		 proxy->instance.pin_dir);
	if (maps_open(&proxy->instance, MAPS_WORKER, &maps))
		return;
	if (listeners_publish(maps, proxy->listeners)) {
		maps_close(maps);
		return;
	}
	maps_close(proxy->maps);
	proxy->maps = maps;
	parent->pins_held = now;
	parent_keeper_end(parent);
	parent_keeper_make(parent);
	if (parent->took_over)
		return;
	for (unsigned i = 0; i < proxy->worker_count; i++) {
		if (parent->workers[i].pid)
			kill(parent->workers[i].pid, SIGUSR2);
		parent->workers[i].pid = 0; /* it ends by itself, unknown to us */
		worker_start(parent, i);
	}
}

static void workers_check(struct parent *parent)
{
	for (unsigned i = 0; i < parent->proxy->worker_count && !parent->stopping; i++) {
		if (!parent->workers[i].pid)
			worker_start(parent, i);
	}
	if (parent->stopping && !parent->killed && loop_now_ns(parent->loop) > parent->kill_at_ns) {
		log_warning("%u workers did not end in time; killing them", workers_alive(parent));
		parent_workers_signal(parent, SIGKILL);
		parent->killed = true;
	}
}

static void on_tick(struct timer *timer)
{
	struct parent *parent = container_of(timer, struct parent, tick);

	if (parent->took_over)
		return;
	loop_timer_after(parent->loop, timer, TICK_NS);
	rows_sweep(parent->proxy->rows_path, parent->proxy->maps, parent->proxy->metrics,
		   parent->proxy->clients);
	server_make(parent);
	workers_check(parent);
	if (!parent->stopping && parent->owner && !parent->keeper_pid)
		parent_keeper_make(parent);
	if (parent->took_over)
		loop_stop(parent->loop);
}

/* More often than the tick: until the listeners are in the new maps nothing is served. */
static void on_pins_look(struct timer *timer)
{
	struct parent *parent = container_of(timer, struct parent, pins_look);

	if (parent->took_over || parent->stopping)
		return;
	loop_timer_after(parent->loop, timer, PINS_NS);
	if (parent->owner)
		pins_check(parent);
	if (parent->took_over)
		loop_stop(parent->loop);
}

/* ---- a parent's life ---- */

static int signals_watch(struct parent *parent)
{
	sigset_t set;
	int err, fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_SETMASK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	parent->signals = WATCH_INIT(on_signal);
	err = loop_watch(parent->loop, &parent->signals, fd, EPOLLIN);
	if (err)
		close(fd);
	return err;
}

static int pid_write(const struct proxy *proxy)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	int err = file_replace(proxy->pid_path, text, (size_t)n, 0644);

	if (err)
		return log_error(err, "%s: cannot be written (%s)", proxy->pid_path,
				 strerror(-err));
	return 0;
}

/* Without the socket it serves all the same, but nobody can take its place. */
int parent_own(struct parent *parent)
{
	int err = pid_write(parent->proxy);

	if (err)
		return err;
	parent->owner = true;
	parent_keeper_make(parent);
	if (!parent->took_over)
		heirs_watch(parent);
	return 0;
}

/* The first life must have its metrics page; a later one tries until it has. */
static int parent_begin(struct parent *parent, bool first)
{
	struct proxy *proxy = parent->proxy;
	int err = loop_new(TIMERS_MAX, &parent->loop);

	if (!err)
		err = signals_watch(parent);
	if (err)
		return log_error(err, "parent: cannot make its loop (%s)", strerror(-err));
	server_make(parent);
	if (first && !parent->server && !proxy->options.metrics_off)
		return -EADDRINUSE;
	parent->pins_held = pins_look(parent);
	if (proxy->predecessor_fd >= 0) {
		err = predecessor_watch(parent);
		if (err)
			return log_error(err, "parent: cannot wait for its workers (%s)",
					 strerror(-err));
	} else {
		err = parent_own(parent);
	}
	if (err || parent->took_over)
		return err;
	for (unsigned i = 0; i < proxy->worker_count; i++)
		worker_start(parent, i);
	parent->tick = TIMER_INIT(on_tick);
	parent->pins_look = TIMER_INIT(on_pins_look);
	err = loop_timer_after(parent->loop, &parent->tick, TICK_NS);
	return err ?: loop_timer_after(parent->loop, &parent->pins_look, PINS_NS);
}

/* Also in a keeper that takes over, where the descriptors are closed already:
 * only memory is given back then. */
static void parent_leave(struct parent *parent)
{
	int signals = parent->signals.fd;

	if (!parent->loop)
		return;
	server_free(parent->server);
	if (!parent->took_over)
		heirs_dismiss(parent);
	loop_unwatch(parent->loop, &parent->signals);
	if (signals >= 0)
		close(signals);
	loop_free(parent->loop);
}

int parent_run(struct proxy *proxy)
{
	bool first = true;

	for (;;) {
		struct parent parent = {.proxy = proxy};
		int err;

		parent.signals.fd = parent.keeper.fd = -1;
		parent.heirs.fd = parent.heir.fd = parent.ready.fd = parent.predecessor.fd = -1;
		err = parent_begin(&parent, first);
		if (!err && !parent.took_over)
			err = loop_run(parent.loop);
		if (!parent.took_over && err) {
			parent_keeper_end(&parent);
			parent_workers_signal(&parent, SIGKILL);
		}
		parent_leave(&parent);
		if (!parent.took_over)
			return err ?: parent.failed ? -ECANCELED : 0;
		first = false;
		log_warning("the parent was killed; this process (pid %d) takes its place",
			    (int)getpid());
		__atomic_fetch_add(&proxy->metrics->takeovers, 1, __ATOMIC_RELAXED);
	}
}
