// SPDX-License-Identifier: BSD-2-Clause
/* A parent and its successor: see handover.h for who says what.  Until the word YOURS
 * has been said the predecessor has the pid file, the keeper and the say; both serve.
 * From then on the predecessor only waits for its workers to finish. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/http/serve.h"
#include "userspace/proxy/handover.h"
#include "userspace/proxy/listeners.h"
#include "userspace/proxy/parent_parts.h"
#include "userspace/proxy/process.h"
#include "userspace/telemetry/proxy_metrics.h"

#define HEIR_READY_NS (30 * NS_PER_S)
#define HEIR_ARGUMENTS_MAX 128

static void watch_end(struct parent *parent, struct watch *watch)
{
	int fd = watch->fd;

	if (fd < 0)
		return;
	loop_unwatch(parent->loop, watch);
	close(fd);
}

/* ---- the predecessor ---- */

static void heir_drop(struct parent *parent)
{
	loop_timer_cancel(parent->loop, &parent->heir_late);
	watch_end(parent, &parent->heir);
}

/* The successor serves: it has all from here on, and we only finish.  Closing the
 * listeners loses nothing, they are the same sockets. */
static void retire(struct parent *parent)
{
	struct proxy *proxy = parent->proxy;

	parent_keeper_end(parent);
	if (handover_say(parent->heir.fd, HANDOVER_YOURS)) {
		log_warning("the successor died at the last moment; this proxy goes on");
		heir_drop(parent);
		parent_keeper_make(parent);
		return;
	}
	log_info("a successor has taken over; answers under way have %u s to finish",
		 proxy->options.drain_timeout_s);
	parent->owner = false;
	heirs_dismiss(parent);
	server_free(parent->server);
	parent->server = NULL;
	parent_workers_signal(parent, SIGUSR2);
	closep(&proxy->lock_fd);
	parent_stopping(parent);
}

static void on_heir(struct watch *watch, uint32_t events)
{
	struct parent *parent = container_of(watch, struct parent, heir);
	int err = handover_hear(watch->fd, HANDOVER_READY);

	(void)events;
	if (err == -EAGAIN)
		return;
	if (err) {
		log_warning("the successor has given up; this proxy goes on");
		heir_drop(parent);
		return;
	}
	retire(parent);
	if (parent->took_over)
		loop_stop(parent->loop);
}

static void on_heir_late(struct timer *timer)
{
	struct parent *parent = container_of(timer, struct parent, heir_late);

	log_warning("the successor was not ready within %u s; this proxy goes on",
		    (unsigned)(HEIR_READY_NS / NS_PER_S));
	heir_drop(parent);
}

static void on_heirs(struct watch *watch, uint32_t events)
{
	struct parent *parent = container_of(watch, struct parent, heirs);
	int page = parent->server ? server_listener(parent->server) : -1;
	int fd = -1;

	(void)events;
	if (parent->heir.fd >= 0) { /* one at a time */
		fd = accept(watch->fd, NULL, NULL);
		closep(&fd);
		return;
	}
	if (handover_accept(watch->fd, parent->proxy, page, &fd))
		return;
	if (loop_watch(parent->loop, &parent->heir, fd, EPOLLIN)) {
		close(fd);
		return;
	}
	loop_timer_after(parent->loop, &parent->heir_late, HEIR_READY_NS);
}

int heirs_watch(struct parent *parent)
{
	int fd = -1;
	int err = handover_listen(parent->proxy->socket_path, &fd);

	parent->heir = WATCH_INIT(on_heir);
	parent->heirs = WATCH_INIT(on_heirs);
	parent->heir_late = TIMER_INIT(on_heir_late);
	if (err)
		return err;
	err = loop_watch(parent->loop, &parent->heirs, fd, EPOLLIN);
	if (err)
		close(fd);
	return err;
}

void heirs_dismiss(struct parent *parent)
{
	heir_drop(parent);
	watch_end(parent, &parent->heirs);
}

static void heir_exec(const struct proxy *proxy)
{
	static char replace[] = "--replace";
	char *argv[HEIR_ARGUMENTS_MAX + 2];
	sigset_t none;
	size_t count = 0;

	while (proxy->argv[count] && count < HEIR_ARGUMENTS_MAX) {
		argv[count] = proxy->argv[count];
		count++;
	}
	if (!proxy->options.replace)
		argv[count++] = replace;
	argv[count] = NULL;
	process_keep_only(NULL, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(proxy->program, argv);
	log_error(-errno, "%s: cannot be started (%s)", proxy->program, strerror(errno));
}

void heir_start(struct parent *parent)
{
	pid_t pid;

	if (parent->heir_pid || !parent->owner || parent->stopping)
		return;
	pid = fork();
	if (!pid) {
		heir_exec(parent->proxy);
		_exit(EXIT_FAILURE);
	}
	if (pid < 0)
		log_error(-errno, "%s: no process for a successor (%s)", parent->proxy->program,
			  strerror(errno));
	else
		parent->heir_pid = pid;
}

void heir_ended(struct parent *parent)
{
	log_warning("the successor (pid %d) has ended%s", (int)parent->heir_pid,
		    parent->owner ? "; this proxy goes on" : "");
	parent->heir_pid = 0;
}

/* ---- the successor ---- */

void succession_fail(struct parent *parent, const char *why)
{
	log_error(-ECANCELED, "cannot take the place of the proxy that runs: %s; it goes on", why);
	parent->failed = true;
	parent_stop(parent);
}

static void succession_end(struct parent *parent)
{
	struct proxy *proxy = parent->proxy;

	loop_unwatch(parent->loop, &parent->predecessor);
	closep(&proxy->predecessor_fd);
	loop_unwatch(parent->loop, &parent->ready);
	closep(&proxy->ready_fd);
	__atomic_fetch_add(&proxy->metrics->handovers, 1, __ATOMIC_RELAXED);
	log_info("this proxy (pid %d) has the place of the one before", (int)getpid());
}

static void on_predecessor(struct watch *watch, uint32_t events)
{
	struct parent *parent = container_of(watch, struct parent, predecessor);
	int err = handover_hear(watch->fd, HANDOVER_YOURS);

	(void)events;
	if (err == -EAGAIN)
		return;
	if (err) {
		loop_unwatch(parent->loop, watch);
		if (!parent->stopping)
			succession_fail(parent, "it has gone, or waited long enough");
		return;
	}
	succession_end(parent);
	if (parent_own(parent))
		parent_stop(parent);
	if (parent->took_over)
		loop_stop(parent->loop);
}

static void on_ready(struct watch *watch, uint32_t events)
{
	struct parent *parent = container_of(watch, struct parent, ready);
	uint64_t count;

	(void)events;
	if (read(watch->fd, &count, sizeof(count)) != sizeof(count))
		return;
	parent->ready_count += count;
	if (parent->ready_count < parent->proxy->worker_count)
		return;
	loop_unwatch(parent->loop, watch);
	handover_say(parent->proxy->predecessor_fd, HANDOVER_READY); /* its end is heard */
}

int predecessor_watch(struct parent *parent)
{
	struct proxy *proxy = parent->proxy;
	int err;

	parent->ready = WATCH_INIT(on_ready);
	parent->predecessor = WATCH_INIT(on_predecessor);
	proxy->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (proxy->ready_fd < 0)
		return -errno;
	err = loop_watch(parent->loop, &parent->ready, proxy->ready_fd, EPOLLIN);
	return err
		       ?: loop_watch(parent->loop, &parent->predecessor, proxy->predecessor_fd,
				     EPOLLIN);
}
