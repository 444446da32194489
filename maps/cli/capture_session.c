// SPDX-License-Identifier: BSD-2-Clause
/* One thread, one loop: renew, wait, read.  Reading a batch may last as long as
 * packets come, so the clock is looked at between records too.
 *
 * The lock is a flock on PIN_DIR/programs: it leaves no file, it is another one than
 * the lock of commands that write VIPs, and it goes with the maps it speaks of. */
#include "maps/cli/capture_session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>

#include <bpf/libbpf.h>

#include "maps/cli/event_words.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"

#define AHEAD_NS (3 * NS_PER_S) /* how far the end of a capture is ahead, at most */
#define RENEW_NS NS_PER_S
#define LOOK_NS (50 * NS_PER_MS) /* at signals, within a batch */

struct capture_session {
	const struct instance *instance;
	const struct maps *maps;
	struct ring_buffer *ring;
	int lock_fd, signal_fd;
	sigset_t signals_before;
	bool signals_are_blocked, is_running;
	/* of a run */
	struct capture asked;
	const struct capture_limits *limits;
	const struct capture_output *output;
	struct capture_sums sums;
	uint64_t ends_at, renew_at, look_at; /* CLOCK_MONOTONIC */
	bool is_over;
	int err;
};

static int lock_take(struct capture_session *session)
{
	char path[INSTANCE_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/programs", session->instance->pin_dir);
	session->lock_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (session->lock_fd < 0)
		return log_error(-errno,
				 "%s: cannot open it (%s); run 'sluice-loader --instance %s load' "
				 "first",
				 path, strerror(errno), session->instance->name);
	if (flock(session->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return log_error(-EBUSY,
				 "instance %s: another sluicectl captures, and records go to one "
				 "reader; end that one first",
				 session->instance->name);
	return log_error(-errno, "%s: cannot lock it (%s)", path, strerror(errno));
}

/* `unload` removes the directory; nobody would ever tell this session. */
static bool is_unloaded(const struct capture_session *session)
{
	struct stat st;

	return fstat(session->lock_fd, &st) == 0 && st.st_nlink == 0;
}

static int signals_take(struct capture_session *session)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGPIPE); /* a reader that has gone is an error of write() */
	if (sigprocmask(SIG_BLOCK, &set, &session->signals_before) < 0)
		return log_error(-errno, "signals: cannot block them (%s)", strerror(errno));
	session->signals_are_blocked = true;
	sigdelset(&set, SIGPIPE);
	session->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (session->signal_fd < 0)
		return log_error(-errno, "signals: cannot wait for them (%s)", strerror(errno));
	return 0;
}

/* A SIGPIPE of ours is pending where the reader has gone: said, and no more to kill us. */
static void signals_give_back(struct capture_session *session)
{
	const struct timespec no_time = {0};
	sigset_t set;

	if (!session->signals_are_blocked)
		return;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	if (!sigismember(&session->signals_before, SIGPIPE))
		sigtimedwait(&set, NULL, &no_time);
	sigprocmask(SIG_SETMASK, &session->signals_before, NULL);
}

static bool signal_came(const struct capture_session *session)
{
	struct signalfd_siginfo info;

	return read(session->signal_fd, &info, sizeof(info)) == sizeof(info);
}

/* Counts what the programs could not report, and asks for what is in `asked`. */
static int capture_write(struct capture_session *session, const struct capture *asked)
{
	struct capture before;
	int err = capture_get(session->maps, &before);

	if (!err) {
		session->sums.lost += before.lost;
		err = capture_put(session->maps, asked);
	}
	return err ? log_error(err, "%s/capture: cannot write it (%s)", session->instance->pin_dir,
			       strerror(-err))
		   : 0;
}

static int capture_renew(struct capture_session *session, uint64_t now)
{
	int err;

	if (is_unloaded(session))
		return log_error(-ENOENT, "instance %s: was unloaded; the capture ends",
				 session->instance->name);
	/* the programs' clock: bpf_ktime_get_coarse_ns */
	session->asked.until = clock_read_ns(CLOCK_MONOTONIC_COARSE) + AHEAD_NS;
	err = capture_write(session, &session->asked);
	if (!err)
		err = session->output->renew(session->output->ctx);
	session->renew_at = now + RENEW_NS;
	return err;
}

/* Once a batch and every LOOK_NS within one. */
static int look(struct capture_session *session, uint64_t now)
{
	session->look_at = now + LOOK_NS;
	if (signal_came(session) || (session->ends_at && now >= session->ends_at))
		session->is_over = true;
	else if (now >= session->renew_at)
		return capture_renew(session, now);
	return 0;
}

static int record_take(struct capture_session *session, const void *bytes, size_t size)
{
	const struct event *event;
	int err = event_check(bytes, size, &event);

	if (err || !event_matches(event, &session->asked))
		return err;
	err = session->output->event(session->output->ctx, event);
	if (err)
		return err;
	session->sums.records++;
	session->sums.packets += event->interval;
	if (session->limits->records && session->sums.records >= session->limits->records)
		session->is_over = true;
	return 0;
}

/* For libbpf, which stops at what is negative. */
static int record_each(void *ctx, void *bytes, size_t size)
{
	struct capture_session *session = ctx;
	uint64_t now;

	if (!session->is_running)
		return 0;
	session->err = record_take(session, bytes, size);
	now = clock_monotonic_ns();
	if (!session->err && now >= session->look_at)
		session->err = look(session, now);
	return session->err || session->is_over ? -ECANCELED : 0;
}

static int records_read(struct capture_session *session)
{
	int read = ring_buffer__consume(session->ring), err;

	if (session->err)
		return session->err;
	if (read < 0 && read != -ECANCELED)
		return log_error(read, "%s/events: cannot read it (%s)", session->instance->pin_dir,
				 strerror(-read));
	err = session->output->flush(session->output->ctx);
	return err;
}

static int records_wait(const struct capture_session *session, uint64_t now)
{
	uint64_t until = session->renew_at;
	struct pollfd polled[] = {
		{.fd = ring_buffer__epoll_fd(session->ring), .events = POLLIN},
		{.fd = session->signal_fd, .events = POLLIN},
	};

	if (session->ends_at && session->ends_at < until)
		until = session->ends_at;
	until = until > now ? until - now : 0;
	if (poll(polled, ARRAY_SIZE(polled), (int)(until / NS_PER_MS) + 1) < 0 && errno != EINTR)
		return log_error(-errno, "events: cannot wait for records (%s)", strerror(errno));
	return 0;
}

int capture_session_open(const struct instance *instance, const struct maps *maps,
			 struct capture_session **ret_session)
{
	_cleanup_(capture_session_closep) struct capture_session *session =
		calloc(1, sizeof(*session));
	const struct capture none = {0};
	int err;

	if (!session)
		return log_error(-ENOMEM, "capture: out of memory");
	session->instance = instance;
	session->maps = maps;
	session->lock_fd = session->signal_fd = -1;
	err = lock_take(session);
	if (!err)
		err = signals_take(session);
	if (err)
		return err;
	session->ring = ring_buffer__new(maps->fds[MAP_EVENTS], record_each, session, NULL);
	if (!session->ring)
		return log_error(-errno, "%s/events: cannot map it (%s)", instance->pin_dir,
				 strerror(errno));
	err = capture_write(session, &none);
	if (err)
		return err;
	ring_buffer__consume(session->ring);
	*ret_session = TAKE_PTR(session);
	return 0;
}

void capture_session_close(struct capture_session *session)
{
	const struct capture none = {0};

	if (!session)
		return;
	if (session->ring)
		capture_write(session, &none);
	ring_buffer__free(session->ring);
	closep(&session->signal_fd);
	signals_give_back(session);
	closep(&session->lock_fd);
	free(session);
}

/* Nothing more is reported; what has been is still to be read. */
static int run_end(struct capture_session *session)
{
	const struct capture none = {0};
	int err = capture_write(session, &none);

	if (err || (session->limits->records && session->sums.records >= session->limits->records))
		return err;
	session->is_over = false;
	session->look_at = UINT64_MAX;
	return records_read(session);
}

int capture_session_run(struct capture_session *session, const struct capture *asked,
			const struct capture_limits *limits, const struct capture_output *output,
			struct capture_sums *ret_sums)
{
	uint64_t now = clock_monotonic_ns();
	int err;

	session->asked = *asked;
	session->limits = limits;
	session->output = output;
	session->sums = (struct capture_sums){0};
	session->ends_at = limits->duration_ns ? now + limits->duration_ns : 0;
	session->is_over = false;
	session->is_running = true;
	session->err = 0;
	err = capture_renew(session, now);
	while (!err && !session->is_over) {
		err = records_wait(session, now);
		if (!err)
			err = records_read(session);
		now = clock_monotonic_ns();
		if (!err && !session->is_over)
			err = look(session, now);
	}
	if (!err)
		err = run_end(session);
	session->is_running = false;
	*ret_sums = session->sums;
	return err;
}
