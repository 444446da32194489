/* SPDX-License-Identifier: BSD-2-Clause */
/* A request's body, kept until no retry can need it any more.
 *
 * It begins in what the head left of its buffer, goes on in a few buffers of
 * the pool, and from there in an unlinked file, so that a large body costs the
 * pool no more than its share.  Any part can be sent again. */
#ifndef SLUICE_PROXY_BODY_H
#define SLUICE_PROXY_BODY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "userspace/http/span.h"
#include "userspace/model/rewrite.h"
#include "userspace/proxy/limits.h"

struct buffers;

struct body {
	struct buffers *pool;
	const char *spill_dir; /* borrowed */
	char *room; /* the caller's: behind the head */
	size_t room_bytes;
	char *buffers[BODY_BUFFERS_MAX];
	size_t buffer_count;
	uint64_t memory_bytes; /* of the body, in room and buffers */
	int spill_fd; /* -1: none */
	uint64_t length;
};

/* room: where the body may begin; the caller keeps it until body_release(). */
void body_init(struct body *body, struct buffers *pool, const char *spill_dir, char *room,
	       size_t room_bytes);
/* Fine on a zeroed or released one. */
void body_release(struct body *body);

/* `data` may lie in the room, at or behind where it will be kept.
 * -errno of the file when it cannot be spilled; logs. */
int body_append(struct body *body, const char *data, size_t length);

/* The body as it is sent, with the model under another name where `rewrite` is not NULL;
 * offsets count what is sent. */
uint64_t body_sent_bytes(const struct body *body, const struct model_rewrite *rewrite);

/* The part in memory from `offset` on; fills at most `max` vectors, returns how
 * many; 0 when the offset is in the file or at the end. */
size_t body_vectors(const struct body *body, const struct model_rewrite *rewrite, uint64_t offset,
		    struct iovec *vectors, size_t max);

/* Sends from the file to a socket, as much as it takes: bytes, or -errno
 * (-EAGAIN: the socket is full). */
ssize_t body_send_spilled(const struct body *body, const struct model_rewrite *rewrite,
			  uint64_t offset, int socket_fd);

/* Sends head and body to a socket, of which *sent bytes have gone already, as much as it
 * takes.  0: all of it; -EAGAIN: the socket is full; -errno. */
int body_send(const struct body *body, const struct model_rewrite *rewrite, struct http_span head,
	      uint64_t *sent, int socket_fd);

/* A copy that may outlive the original: what is in memory is copied, the file is shared.
 * `room`: BUFFER_BYTES, the caller's, kept until body_release().  -ENOBUFS: the pool has no
 * buffers to spare; -errno of the file.  To be released in any case. */
int body_copy(struct body *to, const struct body *from, char *room);

#endif
