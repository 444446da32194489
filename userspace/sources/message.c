// SPDX-License-Identifier: BSD-2-Clause
/* Finding a text that is there already is a linear search: lists are short, and
 * MESSAGES_MAX keeps a hostile folder from making them long. */
#include "userspace/sources/message.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 1024

static bool messages_have(const struct messages *messages, const char *text)
{
	for (size_t i = 0; i < messages->count; i++) {
		if (strcmp(messages->list[i].text, text) == 0)
			return true;
	}
	return false;
}

static bool messages_grow(struct messages *messages, struct arena *arena)
{
	size_t room = messages->room ? messages->room * 2 : 16;
	struct message *list = arena_alloc(arena, room, sizeof(*list));

	if (!list)
		return false;
	if (messages->count)
		memcpy(list, messages->list, messages->count * sizeof(*list));
	messages->list = list;
	messages->room = room;
	return true;
}

static void message_put(struct messages *messages, struct arena *arena, enum log_level level,
			const char *text)
{
	const char *copy;

	if (messages_have(messages, text))
		return;
	copy = messages->count < MESSAGES_MAX ? arena_string(arena, text) : NULL;
	if (!copy || (messages->count == messages->room && !messages_grow(messages, arena))) {
		messages->dropped++;
		return;
	}
	messages->list[messages->count++] = (struct message){.level = level, .text = copy};
}

void message_add(struct messages *messages, struct arena *arena, enum log_level level,
		 const char *format, ...)
{
	char text[TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	message_put(messages, arena, level, text);
}

void messages_append(struct messages *messages, struct arena *arena, const struct messages *from)
{
	for (size_t i = 0; i < from->count; i++)
		message_put(messages, arena, from->list[i].level, from->list[i].text);
	messages->dropped += from->dropped;
}

void messages_log_new(const struct messages *now, const struct messages *before)
{
	for (size_t i = 0; i < now->count; i++) {
		if (!before || !messages_have(before, now->list[i].text))
			log_message(now->list[i].level, "%s", now->list[i].text);
	}
	if (now->dropped && (!before || before->dropped != now->dropped))
		log_warning(
			"%zu more messages about the sources are not shown; correct those above first",
			now->dropped);
}
