/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages as values: decoding and resolving are pure, so they return what they
 * have to say, and whoever called decides what is new and logs it. */
#ifndef SLUICE_SOURCES_MESSAGE_H
#define SLUICE_SOURCES_MESSAGE_H

#include <stddef.h>

#include "userspace/base/arena.h"
#include "userspace/base/log.h"

#define MESSAGES_MAX 1000

struct message {
	enum log_level level;
	const char *text;
};

/* In the order they were added; the texts live in the arena given at adding. */
struct messages {
	size_t count;
	size_t dropped; /* more than MESSAGES_MAX */
	size_t room;
	struct message *list;
};

/* A text that is already there is not added again.  Out of memory drops it. */
void message_add(struct messages *messages, struct arena *arena, enum log_level level,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Copies all of `from`. */
void messages_append(struct messages *messages, struct arena *arena, const struct messages *from);
/* Logs what is in `now` and was not in `before` (NULL: nothing was). */
void messages_log_new(const struct messages *now, const struct messages *before);

#endif
