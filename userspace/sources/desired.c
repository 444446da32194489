// SPDX-License-Identifier: BSD-2-Clause
/* The order of resolving, and what its parts share. */
#include "userspace/sources/desired.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/sources/resolve.h"

void *vector_add(struct vector *vector)
{
	if (vector->count == vector->room) {
		size_t room = vector->room ? vector->room * 2 : 16;
		void *items = arena_alloc(vector->arena, room, vector->item_bytes);

		if (!items)
			return NULL;
		if (vector->count)
			memcpy(items, vector->items, vector->count * vector->item_bytes);
		vector->items = items;
		vector->room = room;
	}
	return (char *)vector->items + vector->count++ * vector->item_bytes;
}

void resolve_say(struct resolve *resolve, enum log_level level, const struct object *object,
		 uint32_t line, const char *path, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	message_add(&resolve->desired->messages, resolve->arena, level, "%s:%u: %s %s%s%s: %s: %s",
		    object->file, line ? line : object->line, object_kind_name(object->kind),
		    object->namespace_, *object->namespace_ ? "/" : "", object->name, path, text);
}

const char *field_format(char buffer[FIELD_PATH_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(buffer, FIELD_PATH_MAX, format, args);
	va_end(args);
	return buffer;
}

int object_age_compare(const void *a, const void *b)
{
	const struct object *x = *(struct object *const *)a, *y = *(struct object *const *)b;

	if (x->created_at != y->created_at) {
		if (!x->created_at || !y->created_at)
			return x->created_at ? -1 : 1;
		return x->created_at < y->created_at ? -1 : 1;
	}
	return object_compare(x, y);
}

int resolve_by_age(struct resolve *resolve, enum object_kind kind, struct object ***ret_list,
		   size_t *ret_count)
{
	size_t count;
	struct object **range = objects_range(resolve->input->config.objects, kind, &count);
	struct object **list = arena_alloc(&resolve->scratch, count, sizeof(*list));

	if (!list)
		return -ENOMEM;
	if (count) {
		memcpy(list, range, count * sizeof(*list));
		qsort(list, count, sizeof(*list), object_age_compare);
	}
	*ret_list = list;
	*ret_count = count;
	return 0;
}

static int resolve_all(struct resolve *resolve)
{
	int err = resolve_clusters(resolve);

	if (!err)
		err = resolve_pools(resolve);
	if (!err)
		err = resolve_gateways(resolve);
	if (!err)
		err = resolve_endpoints(resolve);
	if (!err)
		err = resolve_policies(resolve);
	if (!err)
		err = resolve_routes(resolve);
	if (!err)
		err = resolve_objectives(resolve);
	if (!err)
		err = resolve_rewrites(resolve);
	return err;
}

int desired_resolve(const struct desired_input *input, struct desired **ret_desired)
{
	_cleanup_(desired_freep) struct desired *desired = calloc(1, sizeof(*desired));
	struct resolve resolve = {.input = input, .desired = desired};
	int err;

	if (!desired)
		return -ENOMEM;
	resolve.arena = &desired->arena;
	err = resolve_all(&resolve);
	arena_deinit(&resolve.scratch);
	if (err)
		return err;
	*ret_desired = TAKE_PTR(desired);
	return 0;
}

void desired_free(struct desired *desired)
{
	if (!desired)
		return;
	arena_deinit(&desired->arena);
	free(desired);
}
