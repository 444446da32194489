/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects from YAML text, and the messages that came with them. */
#ifndef SLUICE_TESTS_DECODED_H
#define SLUICE_TESTS_DECODED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/sources/object.h"
#include "userspace/sources/yaml.h"

struct decoded {
	struct objects objects;
	struct messages messages;
	struct arena arena;
	size_t refused;
	size_t ignored[128];
};

static inline int decoded_take(void *ctx, struct object *object)
{
	struct decoded *decoded = ctx;

	decoded->objects.list =
		realloc(decoded->objects.list, (decoded->objects.count + 1) * sizeof(object));
	decoded->objects.list[decoded->objects.count++] = object;
	return 0;
}

static inline int decoded_refused(void *ctx, enum object_kind kind, const char *namespace_,
				  const char *name)
{
	struct decoded *decoded = ctx;

	(void)kind;
	(void)namespace_;
	(void)name;
	decoded->refused++;
	return 0;
}

static inline int decoded_compare(const void *a, const void *b)
{
	return object_compare(*(struct object *const *)a, *(struct object *const *)b);
}

/* Adds what `text` holds, as file `name` (a literal). */
static inline void decoded_add(struct decoded *decoded, const char *name, const char *text)
{
	const struct object_sink sink = {
		.file = name,
		.messages = &decoded->messages,
		.arena = &decoded->arena,
		.ignored = decoded->ignored,
		.ctx = decoded,
		.take = decoded_take,
		.refused = decoded_refused,
	};
	struct yaml_error error;
	struct yaml_file file;

	if (object_ignored_count() > 128 || yaml_parse(text, strlen(text), &file, &error))
		abort();
	for (size_t i = 0; i < file.count; i++) {
		if (object_decode(&sink, file.documents[i]))
			abort();
	}
	yaml_file_deinit(&file);
	if (decoded->objects.count)
		qsort(decoded->objects.list, decoded->objects.count, sizeof(struct object *),
		      decoded_compare);
}

static inline void decoded_deinit(struct decoded *decoded)
{
	for (size_t i = 0; i < decoded->objects.count; i++)
		object_free(decoded->objects.list[i]);
	free(decoded->objects.list);
	arena_deinit(&decoded->arena);
	memset(decoded, 0, sizeof(*decoded));
}

/* Is there a message with all of these parts? */
static inline bool messages_say(const struct messages *messages, const char *a, const char *b,
				const char *c)
{
	for (size_t i = 0; i < messages->count; i++) {
		const char *text = messages->list[i].text;

		if (strstr(text, a) && strstr(text, b) && strstr(text, c))
			return true;
	}
	return false;
}

static inline void messages_print(const struct messages *messages)
{
	for (size_t i = 0; i < messages->count; i++)
		print_message("  %s\n", messages->list[i].text);
}

#endif
