// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/handover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/proxy/proxy.h"

#define ASK_TIMEOUT_S 10
#define FDS_MAX (3 + PROXY_WORKERS_MAX * WORKER_LISTENERS)

/* In front of the descriptors.  They come in this order: lock, counters, page (if
 * there is one), then each worker's listeners of the families that are served. */
struct message {
	char magic[8];
	uint32_t worker_count;
	uint32_t families; /* bit F: listeners of family F */
	uint32_t page;
};

static const char magic[8] = "sluice.1";

/* ---- the socket ---- */

static int address_fill(const char *path, struct sockaddr_un *sa)
{
	*sa = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(sa->sun_path))
		return -ENAMETOOLONG;
	strcpy(sa->sun_path, path);
	return 0;
}

static int bound_at(const char *path, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un sa;
	int err = address_fill(path, &sa);
	mode_t mask;

	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	unlink(path);
	mask = umask(0177);
	err = bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ? -errno : 0;
	umask(mask);
	if (!err && listen(fd, 1) < 0)
		err = -errno;
	if (!err)
		*ret_fd = TAKE_FD(fd);
	return err;
}

int handover_listen(const char *path, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	char made[256];
	int err;

	snprintf(made, sizeof(made), "%s.tmp", path);
	err = bound_at(made, &fd);
	if (!err && rename(made, path) < 0)
		err = -errno;
	if (err)
		return log_error(err,
				 "%s: cannot wait there for a successor (%s); it could not take "
				 "this proxy's place",
				 path, strerror(-err));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* ---- the parent's side ---- */

static size_t fds_collect(const struct proxy *proxy, int page_fd, int *fds, struct message *message)
{
	size_t count = 0;

	memcpy(message->magic, magic, sizeof(magic));
	message->worker_count = proxy->worker_count;
	message->page = page_fd >= 0;
	fds[count++] = proxy->lock_fd;
	fds[count++] = proxy->metrics_fd;
	if (page_fd >= 0)
		fds[count++] = page_fd;
	for (uint32_t f = 0; f < WORKER_LISTENERS; f++)
		message->families |= (uint32_t)(proxy->listeners[0][f] >= 0) << f;
	for (unsigned i = 0; i < proxy->worker_count; i++) {
		for (size_t f = 0; f < WORKER_LISTENERS; f++) {
			if (message->families & 1u << f)
				fds[count++] = proxy->listeners[i][f];
		}
	}
	return count;
}

static int everything_send(int fd, const struct proxy *proxy, int page_fd)
{
	struct message message = {0};
	int fds[FDS_MAX];
	size_t bytes = sizeof(int) * fds_collect(proxy, page_fd, fds, &message);
	union {
		char bytes[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr align;
	} control = {0};
	struct iovec vector = {&message, sizeof(message)};
	struct msghdr header = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(bytes),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(c), fds, bytes);
	return sendmsg(fd, &header, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int handover_accept(int listener, const struct proxy *proxy, int page_fd, int *ret_fd)
{
	_cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct ucred who;
	socklen_t length = sizeof(who);
	int err;

	if (fd < 0)
		return errno == ECONNABORTED || errno == EINTR ? -EAGAIN : -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) < 0 || who.uid != geteuid())
		return log_error(-EPERM, "%s: uid %d asks to take this proxy's place; refused",
				 proxy->socket_path, (int)who.uid);
	err = everything_send(fd, proxy, page_fd);
	if (err)
		return log_error(err, "%s: cannot hand the sockets to pid %d (%s)",
				 proxy->socket_path, (int)who.pid, strerror(-err));
	log_info("pid %d makes itself ready to take this proxy's place", (int)who.pid);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* ---- the successor's side ---- */

static void fds_close(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		closep(&fds[i]);
}

/* How many descriptors a message must bring; 0: it is none of ours. */
static size_t fds_wanted(const struct message *message, ssize_t length)
{
	const uint32_t all = (1u << WORKER_LISTENERS) - 1;

	if (length != sizeof(*message) || memcmp(message->magic, magic, sizeof(magic)) != 0 ||
	    !message->worker_count || message->worker_count > PROXY_WORKERS_MAX ||
	    !message->families || message->families & ~all || message->page > 1)
		return 0;
	return 2 + message->page +
	       message->worker_count * (size_t)__builtin_popcount(message->families);
}

static void fds_spread(struct proxy *proxy, const struct message *message, const int *fds)
{
	proxy->lock_fd = *fds++;
	proxy->metrics_fd = *fds++;
	proxy->page_fd = message->page ? *fds++ : -1;
	proxy->listeners_held = message->worker_count;
	for (unsigned i = 0; i < message->worker_count; i++) {
		for (size_t f = 0; f < WORKER_LISTENERS; f++)
			proxy->listeners[i][f] = message->families & 1u << f ? *fds++ : -1;
	}
}

static int everything_receive(int fd, struct proxy *proxy)
{
	struct message message;
	int fds[FDS_MAX];
	union {
		char bytes[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr align;
	} control;
	struct iovec vector = {&message, sizeof(message)};
	struct msghdr header = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&header) : NULL;
	size_t count = 0;

	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), count * sizeof(int));
	}
	if (!count || header.msg_flags & (MSG_CTRUNC | MSG_TRUNC) ||
	    count != fds_wanted(&message, n)) {
		fds_close(fds, count);
		return n ? -EPROTO : -ECONNREFUSED;
	}
	fds_spread(proxy, &message, fds);
	return 0;
}

int handover_ask(const char *path, struct proxy *proxy)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct timeval patience = {.tv_sec = ASK_TIMEOUT_S};
	struct sockaddr_un sa;
	int err = address_fill(path, &sa);

	if (fd < 0)
		return log_error(-errno, "%s: no socket to ask with (%s)", path, strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (!err && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		err = -errno;
	if (err == -ENOENT || err == -ECONNREFUSED)
		return -ENOENT;
	if (!err)
		err = everything_receive(fd, proxy);
	if (err == -EPROTO)
		return log_error(err,
				 "%s: the proxy that runs hands over in a way this one does "
				 "not know; stop it, then start this one",
				 path);
	if (err == -ECONNREFUSED)
		return log_error(err,
				 "%s: the proxy that runs refused; another successor of it "
				 "makes itself ready, or its log says why",
				 path);
	if (err)
		return log_error(err, "%s: the proxy that runs hands nothing over (%s)", path,
				 strerror(-err));
	proxy->predecessor_fd = TAKE_FD(fd);
	return 0;
}

/* ---- words ---- */

int handover_say(int fd, enum handover_word word)
{
	char byte = (char)word;

	return send(fd, &byte, 1, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

int handover_hear(int fd, enum handover_word word)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return n == 1 && byte == (char)word ? 0 : -ECONNRESET;
}
