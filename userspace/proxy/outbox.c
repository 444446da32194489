// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/outbox.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "userspace/proxy/buffers.h"

void outbox_release(struct outbox *o, struct buffers *pool)
{
	for (size_t i = 0; i < o->count; i++)
		buffers_give(pool, &o->buffers[i]);
	*o = (struct outbox){0};
}

bool outbox_put(struct outbox *o, struct buffers *pool, const char *data, size_t length)
{
	while (length) {
		size_t fits;

		if (!o->count || o->end == BUFFER_BYTES) {
			char *buffer = o->count < OUTBOX_BUFFERS_MAX ? buffers_take(pool) : NULL;

			if (!buffer)
				return false;
			o->buffers[o->count++] = buffer;
			o->end = 0;
		}
		fits = BUFFER_BYTES - o->end < length ? BUFFER_BYTES - o->end : length;
		memcpy(o->buffers[o->count - 1] + o->end, data, fits);
		o->end += fits;
		data += fits;
		length -= fits;
	}
	return true;
}

static void drop_first(struct outbox *o, struct buffers *pool)
{
	buffers_give(pool, &o->buffers[0]);
	o->count--;
	memmove(o->buffers, o->buffers + 1, o->count * sizeof(o->buffers[0]));
	o->begin = 0;
	if (!o->count)
		o->end = 0;
}

int outbox_flush(struct outbox *o, struct buffers *pool, int fd, size_t *ret_sent)
{
	size_t sent = 0;
	int err = 0;

	while (o->count) {
		size_t end = o->count == 1 ? o->end : BUFFER_BYTES;
		ssize_t n = send(fd, o->buffers[0] + o->begin, end - o->begin, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err = -errno;
			break;
		}
		sent += (size_t)n;
		o->begin += (size_t)n;
		if (o->begin == end)
			drop_first(o, pool);
	}
	*ret_sent = sent;
	return err;
}
