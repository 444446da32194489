// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/body.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/proxy/buffers.h"

#define SENDFILE_BYTES_MAX (1u << 20)
#define VECTORS_MAX (BODY_BUFFERS_MAX + 5) /* head, room, a buffer in two, another name */

void body_init(struct body *body, struct buffers *pool, const char *spill_dir, char *room,
	       size_t room_bytes)
{
	*body = (struct body){
		.pool = pool,
		.spill_dir = spill_dir,
		.room = room,
		.room_bytes = room_bytes,
		.spill_fd = -1,
	};
}

void body_release(struct body *body)
{
	for (size_t i = 0; i < body->buffer_count; i++)
		buffers_give(body->pool, &body->buffers[i]);
	if (body->pool && body->spill_fd >= 0)
		close(body->spill_fd);
	*body = (struct body){.spill_fd = -1};
}

/* Where the next byte goes in memory and how much fits there; 0: nothing. */
static size_t memory_next(struct body *body, char **ret_at)
{
	uint64_t in_buffers;

	if (body->spill_fd >= 0)
		return 0;
	if (body->memory_bytes < body->room_bytes) {
		*ret_at = body->room + body->memory_bytes;
		return body->room_bytes - (size_t)body->memory_bytes;
	}
	in_buffers = body->memory_bytes - body->room_bytes;
	if (in_buffers == (uint64_t)body->buffer_count * BUFFER_BYTES) {
		char *buffer;

		if (body->buffer_count == BODY_BUFFERS_MAX || buffers_low(body->pool))
			return 0;
		buffer = buffers_take(body->pool);
		if (!buffer)
			return 0;
		body->buffers[body->buffer_count++] = buffer;
	}
	*ret_at = body->buffers[body->buffer_count - 1] + in_buffers % BUFFER_BYTES;
	return BUFFER_BYTES - (size_t)(in_buffers % BUFFER_BYTES);
}

/* A full disk fails every large body: told at the first, second, fourth, eighth... */
static int spill_fail(const struct body *body, int err, const char *what)
{
	static uint64_t failures;

	failures++;
	if ((failures & (failures - 1)) == 0)
		log_error(err,
			  "%s: %s (%s), %llu so far; such requests are refused, give --spill-dir "
			  "a directory with room",
			  body->spill_dir, what, strerror(-err), (unsigned long long)failures);
	return err;
}

static int spill_open(struct body *body)
{
	if (body->spill_fd >= 0)
		return 0;
	body->spill_fd = open(body->spill_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (body->spill_fd < 0)
		return spill_fail(body, -errno, "cannot keep a large request body there");
	return 0;
}

static int spill_append(struct body *body, const char *data, size_t length)
{
	int err = spill_open(body);

	while (!err && length) {
		ssize_t n = pwrite(body->spill_fd, data, length,
				   (off_t)(body->length - body->memory_bytes));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return spill_fail(body, n < 0 ? -errno : -ENOSPC,
					  "cannot write a large request body");
		data += n;
		length -= (size_t)n;
		body->length += (uint64_t)n;
	}
	return err;
}

int body_append(struct body *body, const char *data, size_t length)
{
	while (length) {
		char *at = NULL;
		size_t fits = memory_next(body, &at);

		if (!fits)
			return spill_append(body, data, length);
		if (fits > length)
			fits = length;
		memmove(at, data, fits);
		data += fits;
		length -= fits;
		body->memory_bytes += fits;
		body->length += fits;
	}
	return 0;
}

uint64_t body_sent_bytes(const struct body *body, const struct model_rewrite *rewrite)
{
	return rewrite ? model_rewrite_body_length(rewrite, body->length) : body->length;
}

/* Of what is kept in memory, `*offset` to `end`; moves the offset on. */
static size_t part_vectors(const struct body *body, uint64_t *offset, uint64_t end,
			   struct iovec *vectors, size_t max)
{
	size_t used = 0;

	if (end > body->memory_bytes)
		end = body->memory_bytes;
	while (used < max && *offset < end) {
		uint64_t left = end - *offset;
		char *at = body->room + *offset;
		uint64_t fits = body->room_bytes - *offset;

		if (*offset >= body->room_bytes) {
			uint64_t in_buffers = *offset - body->room_bytes;

			at = body->buffers[in_buffers / BUFFER_BYTES] + in_buffers % BUFFER_BYTES;
			fits = BUFFER_BYTES - in_buffers % BUFFER_BYTES;
		}
		if (fits > left)
			fits = left;
		vectors[used++] = (struct iovec){at, (size_t)fits};
		*offset += fits;
	}
	return used;
}

/* Where a byte behind the other name is kept. */
static uint64_t offset_behind(const struct model_rewrite *rewrite, uint64_t offset)
{
	return offset - rewrite->begin - rewrite->length + rewrite->end;
}

size_t body_vectors(const struct body *body, const struct model_rewrite *rewrite, uint64_t offset,
		    struct iovec *vectors, size_t max)
{
	size_t used = 0, in_name;

	if (!rewrite)
		return part_vectors(body, &offset, body->length, vectors, max);
	if (offset < rewrite->begin)
		used = part_vectors(body, &offset, rewrite->begin, vectors, max);
	if (offset < rewrite->begin || used == max)
		return used; /* what comes next is in the file, or does not fit */
	in_name = (size_t)(offset - rewrite->begin);
	if (in_name < rewrite->length) {
		vectors[used++] =
			(struct iovec){(char *)rewrite->bytes + in_name, rewrite->length - in_name};
		offset = rewrite->begin + rewrite->length;
	}
	offset = offset_behind(rewrite, offset);
	return used + part_vectors(body, &offset, body->length, vectors + used, max - used);
}

ssize_t body_send_spilled(const struct body *body, const struct model_rewrite *rewrite,
			  uint64_t offset, int socket_fd)
{
	uint64_t end = body->length, left;
	ssize_t n;
	off_t at;

	if (rewrite && offset < rewrite->begin)
		end = rewrite->begin;
	else if (rewrite)
		offset = offset_behind(rewrite, offset);
	left = end - offset;
	at = (off_t)(offset - body->memory_bytes);
	do
		n = sendfile(socket_fd, body->spill_fd, &at,
			     left < SENDFILE_BYTES_MAX ? (size_t)left : SENDFILE_BYTES_MAX);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return -EIO; /* the file is shorter than what was written to it */
	return n < 0 ? -errno : n;
}

int body_send(const struct body *body, const struct model_rewrite *rewrite, struct http_span head,
	      uint64_t *sent, int socket_fd)
{
	const uint64_t total = head.length + body_sent_bytes(body, rewrite);
	struct iovec vectors[VECTORS_MAX];
	struct msghdr message = {.msg_iov = vectors};
	ssize_t n;

	while (*sent < total) {
		uint64_t offset = *sent > head.length ? *sent - head.length : 0;

		message.msg_iovlen = 0;
		if (*sent < head.length)
			vectors[message.msg_iovlen++] = (struct iovec){(char *)head.data + *sent,
								       head.length - (size_t)*sent};
		message.msg_iovlen += body_vectors(body, rewrite, offset,
						   vectors + message.msg_iovlen,
						   VECTORS_MAX - message.msg_iovlen);
		if (message.msg_iovlen)
			n = sendmsg(socket_fd, &message, MSG_NOSIGNAL);
		else
			n = body_send_spilled(body, rewrite, offset, socket_fd);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return message.msg_iovlen ? -errno : (int)n;
		*sent += (uint64_t)n;
	}
	return 0;
}

static int memory_copy(struct body *to, const char *data, size_t length)
{
	while (length) {
		char *at = NULL;
		size_t fits = memory_next(to, &at);

		if (!fits)
			return -ENOBUFS;
		if (fits > length)
			fits = length;
		memcpy(at, data, fits);
		to->memory_bytes += fits;
		data += fits;
		length -= fits;
	}
	return 0;
}

int body_copy(struct body *to, const struct body *from, char *room)
{
	struct iovec vectors[VECTORS_MAX];
	uint64_t offset = 0;
	size_t count = part_vectors(from, &offset, from->length, vectors, VECTORS_MAX);
	int err = 0;

	body_init(to, from->pool, from->spill_dir, room, room ? BUFFER_BYTES : 0);
	for (size_t i = 0; i < count && !err; i++)
		err = memory_copy(to, vectors[i].iov_base, vectors[i].iov_len);
	if (!err && from->spill_fd >= 0) {
		to->spill_fd = fcntl(from->spill_fd, F_DUPFD_CLOEXEC, 0);
		err = to->spill_fd < 0 ? -errno : 0;
	}
	to->length = from->length;
	return err;
}
