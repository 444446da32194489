// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/proxy/handover.h"
#include "userspace/proxy/listeners.h"
#include "userspace/proxy/proxy.h"

#define WAIT_MS 10000

static char dir[64], path[96];
static int waiting = -1; /* the parent's socket */

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	snprintf(dir, sizeof(dir), "/tmp/sluice-handover-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/proxy.sock", dir);
	return handover_listen(path, &waiting);
}

static int teardown(void **state)
{
	(void)state;
	closep(&waiting);
	unlink(path);
	return rmdir(dir);
}

static struct proxy nothing(void)
{
	return (struct proxy){.lock_fd = -1,
			      .metrics_fd = -1,
			      .page_fd = -1,
			      .predecessor_fd = -1,
			      .ready_fd = -1};
}

/* A proxy that runs with so many workers. */
static struct proxy running(unsigned workers)
{
	struct proxy proxy = nothing();

	proxy.worker_count = workers;
	proxy.lock_fd = memfd_create("lock", MFD_CLOEXEC);
	proxy.metrics_fd = memfd_create("metrics", MFD_CLOEXEC);
	assert_int_equal(listeners_open(proxy.listeners, 0, workers), 0);
	return proxy;
}

static void release(struct proxy *proxy, unsigned workers)
{
	listeners_close(proxy->listeners, workers);
	closep(&proxy->lock_fd);
	closep(&proxy->metrics_fd);
	closep(&proxy->page_fd);
	closep(&proxy->predecessor_fd);
}

static bool same_file(int a, int b)
{
	struct stat one, other;

	return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

static void readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
}

/* The parent's side in a process of its own: hands over, then says a word. */
static pid_t hand_over(const struct proxy *proxy, int page_fd)
{
	pid_t pid = fork();
	int fd = -1;

	assert_true(pid >= 0);
	if (pid)
		return pid;
	readable(waiting);
	if (handover_accept(waiting, proxy, page_fd, &fd))
		_exit(1);
	readable(fd);
	_exit(handover_hear(fd, HANDOVER_READY) || handover_say(fd, HANDOVER_YOURS));
}

static void assert_went_well(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_successor_gets_the_very_sockets_and_memory(void **state)
{
	const unsigned counts[] = {1, 3, PROXY_WORKERS_MAX};

	(void)state;
	for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
		struct proxy old = running(counts[c]), new = nothing();
		_cleanup_close_ int page = c == 1 ? memfd_create("page", MFD_CLOEXEC) : -1;
		pid_t pid = hand_over(&old, page);

		assert_int_equal(handover_ask(path, &new), 0);
		assert_int_equal(new.listeners_held, counts[c]);
		assert_true(same_file(new.lock_fd, old.lock_fd));
		assert_true(same_file(new.metrics_fd, old.metrics_fd));
		assert_int_equal(new.page_fd >= 0, page >= 0);
		assert_true(page < 0 || same_file(new.page_fd, page));
		for (unsigned i = 0; i < counts[c]; i++) {
			for (size_t f = 0; f < WORKER_LISTENERS; f++)
				assert_true(old.listeners[i][f] < 0 ||
					    same_file(new.listeners[i][f], old.listeners[i][f]));
		}
		assert_int_equal(handover_hear(new.predecessor_fd, HANDOVER_YOURS), -EAGAIN);
		assert_int_equal(handover_say(new.predecessor_fd, HANDOVER_READY), 0);
		readable(new.predecessor_fd);
		assert_int_equal(handover_hear(new.predecessor_fd, HANDOVER_YOURS), 0);
		readable(new.predecessor_fd); /* its end */
		assert_int_equal(handover_hear(new.predecessor_fd, HANDOVER_YOURS), -ECONNRESET);
		assert_went_well(pid);
		release(&new, counts[c]);
		release(&old, counts[c]);
	}
}

/* A connection that waited in the queue is there for the successor, and its own
 * listeners join the group of those it got. */
static void a_queue_goes_over_with_its_connections(void **state)
{
	struct proxy old = running(1), new = nothing();
	_cleanup_close_ int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_close_ int accepted = -1;
	struct sockaddr_in sa, joined;
	socklen_t length = sizeof(sa);
	pid_t pid;

	(void)state;
	assert_int_equal(
		getsockname(old.listeners[0][LISTENER_IPV4], (struct sockaddr *)&sa, &length), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&sa, length), 0);
	pid = hand_over(&old, -1);
	assert_int_equal(handover_ask(path, &new), 0);
	release(&old, 1);
	accepted = accept4(new.listeners[0][LISTENER_IPV4], NULL, NULL, SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	assert_int_equal(listeners_open(new.listeners, 1, 2), 0);
	assert_int_equal(getsockname(new.listeners[1][LISTENER_IPV4], (struct sockaddr *)&joined,
				     &length),
			 0);
	assert_int_equal(joined.sin_port, sa.sin_port);
	assert_int_equal(handover_say(new.predecessor_fd, HANDOVER_READY), 0);
	assert_went_well(pid);
	release(&new, 2);
}

static void nobody_to_ask_is_told_apart(void **state)
{
	struct proxy new = nothing();

	(void)state;
	closep(&waiting); /* a proxy that was killed leaves its socket behind */
	assert_int_equal(handover_ask(path, &new), -ENOENT);
	unlink(path);
	assert_int_equal(handover_ask(path, &new), -ENOENT);
	assert_int_equal(handover_listen(path, &waiting), 0);
}

static void only_who_runs_as_we_do_can_ask(void **state)
{
	struct stat socket_file;

	(void)state;
	assert_int_equal(stat(path, &socket_file), 0);
	assert_int_equal(socket_file.st_mode & 0777, 0600);
}

/* What a proxy of another time, or something else, might send. */
struct fake {
	char magic[8];
	uint32_t worker_count, families, page;
};

static pid_t fake_hand_over(const void *bytes, size_t length, size_t fds_count)
{
	int fds[8] = {0};
	union {
		char bytes[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr align;
	} control = {0};
	struct iovec vector = {(void *)bytes, length};
	struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
	pid_t pid = fork();
	int fd;

	assert_true(pid >= 0);
	if (pid)
		return pid;
	readable(waiting);
	fd = accept(waiting, NULL, NULL);
	if (fds_count) {
		struct cmsghdr *c;

		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE(fds_count * sizeof(int));
		c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fds_count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, fds_count * sizeof(int));
	}
	if (length)
		sendmsg(fd, &header, 0);
	_exit(0);
}

static int descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++) {
		struct stat file;

		count += fstat(fd, &file) == 0;
	}
	return count;
}

static void what_is_not_understood_is_refused_and_closed(void **state)
{
	static const struct {
		const char *name;
		struct fake fake;
		size_t length, fds;
		int err;
	} rows[] = {
		{"nothing", {"", 0, 0, 0}, 0, 0, -ECONNREFUSED},
		{"another magic", {"sluice.9", 1, 1, 0}, sizeof(struct fake), 3, -EPROTO},
		{"a short message", {"sluice.1", 1, 1, 0}, 12, 3, -EPROTO},
		{"no descriptors", {"sluice.1", 1, 1, 0}, sizeof(struct fake), 0, -EPROTO},
		{"one too few", {"sluice.1", 2, 1, 0}, sizeof(struct fake), 3, -EPROTO},
		{"one too many", {"sluice.1", 1, 1, 0}, sizeof(struct fake), 4, -EPROTO},
		{"no worker", {"sluice.1", 0, 1, 0}, sizeof(struct fake), 2, -EPROTO},
		{"too many workers", {"sluice.1", 1u << 31, 3, 0}, sizeof(struct fake), 2, -EPROTO},
		{"an unknown family", {"sluice.1", 1, 5, 0}, sizeof(struct fake), 4, -EPROTO},
		{"two pages", {"sluice.1", 1, 1, 2}, sizeof(struct fake), 5, -EPROTO},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct proxy new = nothing();
		int before = descriptors(), got;
		pid_t pid = fake_hand_over(&rows[i].fake, rows[i].length, rows[i].fds);

		got = handover_ask(path, &new);
		if (got != rows[i].err)
			fail_msg("%s: %d", rows[i].name, got);
		assert_went_well(pid);
		assert_int_equal(new.lock_fd, -1);
		if (descriptors() != before)
			fail_msg("%s: descriptors are left open", rows[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_successor_gets_the_very_sockets_and_memory),
		cmocka_unit_test(a_queue_goes_over_with_its_connections),
		cmocka_unit_test(nobody_to_ask_is_told_apart),
		cmocka_unit_test(only_who_runs_as_we_do_can_ask),
		cmocka_unit_test(what_is_not_understood_is_refused_and_closed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
