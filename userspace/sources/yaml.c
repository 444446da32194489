// SPDX-License-Identifier: BSD-2-Clause
/* libyaml's events become nodes without recursion: open collections are frames,
 * finished nodes wait on one stack until their collection ends and takes them.
 * Everything temporary belongs to struct builder, everything kept to the file's
 * arena.
 */
#include "userspace/sources/yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "userspace/base/cleanup.h"

struct frame {
	struct node *node;
	size_t base; /* where its children begin on the stack */
};

struct builder {
	yaml_parser_t parser;
	struct yaml_file *file;
	struct yaml_error *error;
	struct frame frames[YAML_DEPTH_MAX];
	size_t depth;
	struct node **stack; /* keys and values of a map alternate */
	size_t stack_count, stack_room;
	size_t nodes;
};

static int builder_refuse(struct builder *builder, size_t line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int builder_refuse(struct builder *builder, size_t line, const char *format, ...)
{
	va_list args;

	builder->error->line = (uint32_t)line;
	va_start(args, format);
	vsnprintf(builder->error->text, sizeof(builder->error->text), format, args);
	va_end(args);
	return -EBADMSG;
}

static int stack_push(struct builder *builder, struct node *node)
{
	if (builder->stack_count == builder->stack_room) {
		size_t room = builder->stack_room ? builder->stack_room * 2 : 64;
		struct node **moved = realloc(builder->stack, room * sizeof(*moved));

		if (!moved)
			return -ENOMEM;
		builder->stack = moved;
		builder->stack_room = room;
	}
	builder->stack[builder->stack_count++] = node;
	return 0;
}

/* ---- scalars ---- */

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++) {
		if (strcmp(text, *words) == 0)
			return true;
	}
	return false;
}

/* -?(0|[1-9][0-9]*); what follows is left to the caller. */
static const char *digits_skip(const char *p)
{
	if (*p == '-')
		p++;
	if (*p == '0')
		return p + 1;
	if (*p < '1' || *p > '9')
		return NULL;
	while (*p >= '0' && *p <= '9')
		p++;
	return p;
}

/* JSON's numbers: INT when it fits 64 bits, FLOAT otherwise, STRING when it is none. */
static enum node_type number_type(const char *text, int64_t *ret_integer)
{
	const char *end = digits_skip(text);
	char *rest;

	if (!end)
		return NODE_STRING;
	if (*end == '\0') {
		errno = 0;
		*ret_integer = strtoll(text, NULL, 10);
		return errno ? NODE_FLOAT : NODE_INT;
	}
	if (*end != '.' && *end != 'e' && *end != 'E')
		return NODE_STRING;
	for (const char *p = end; *p; p++) {
		if (!strchr("0123456789.eE+-", *p))
			return NODE_STRING;
	}
	strtod(text, &rest);
	return *rest ? NODE_STRING : NODE_FLOAT;
}

static void plain_type(struct node *node)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const trues[] = {"true", "True", "TRUE", NULL};
	static const char *const falses[] = {"false", "False", "FALSE", NULL};

	if (is_one_of(node->text, nulls)) {
		node->type = NODE_NULL;
	} else if (is_one_of(node->text, trues) || is_one_of(node->text, falses)) {
		node->type = NODE_BOOL;
		node->boolean = is_one_of(node->text, trues);
	} else {
		node->type = number_type(node->text, &node->integer);
	}
}

/* ---- events ---- */

static int node_add(struct builder *builder, const yaml_event_t *event, enum node_type type,
		    struct node **ret_node)
{
	struct node *node;

	if (++builder->nodes > YAML_NODES_MAX)
		return builder_refuse(builder, event->start_mark.line + 1,
				      "more than %d nodes; split the file", YAML_NODES_MAX);
	node = arena_alloc(&builder->file->arena, 1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->type = type;
	node->line = (uint32_t)event->start_mark.line + 1;
	*ret_node = node;
	return stack_push(builder, node);
}

static int anchors_refuse(struct builder *builder, const yaml_event_t *event, const void *anchor,
			  const void *tag)
{
	if (anchor)
		return builder_refuse(builder, event->start_mark.line + 1,
				      "anchors and aliases are not supported; write it out");
	if (tag)
		return builder_refuse(builder, event->start_mark.line + 1,
				      "tags (!...) are not supported; leave it out");
	return 0;
}

static int scalar_take(struct builder *builder, const yaml_event_t *event)
{
	const char *value = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;
	struct node *node;
	int err;

	err = anchors_refuse(builder, event, event->data.scalar.anchor, event->data.scalar.tag);
	if (!err)
		err = node_add(builder, event, NODE_STRING, &node);
	if (err)
		return err;
	if (memchr(value, '\0', length))
		return builder_refuse(builder, node->line, "a string contains a NUL character");
	node->text = arena_copy(&builder->file->arena, value, length);
	if (!node->text)
		return -ENOMEM;
	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		plain_type(node);
	return 0;
}

static int collection_open(struct builder *builder, const yaml_event_t *event, enum node_type type,
			   const void *anchor, const void *tag)
{
	struct node *node;
	int err;

	err = anchors_refuse(builder, event, anchor, tag);
	if (!err)
		err = node_add(builder, event, type, &node);
	if (err)
		return err;
	if (builder->depth == YAML_DEPTH_MAX)
		return builder_refuse(builder, node->line, "nested more than %d deep",
				      YAML_DEPTH_MAX);
	builder->frames[builder->depth++] =
		(struct frame){.node = node, .base = builder->stack_count};
	return 0;
}

static int key_compare(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
	int order = strcmp(x->text, y->text);

	return order ? order : (x->line > y->line) - (x->line < y->line);
}

/* `keys` gets sorted. */
static int duplicates_refuse(struct builder *builder, struct node **keys, size_t count)
{
	qsort(keys, count, sizeof(*keys), key_compare);
	for (size_t i = 1; i < count; i++) {
		if (strcmp(keys[i - 1]->text, keys[i]->text) == 0)
			return builder_refuse(builder, keys[i]->line,
					      "the key \"%.80s\" is there twice, first in line %u",
					      keys[i]->text, keys[i - 1]->line);
	}
	return 0;
}

static int map_fill(struct builder *builder, struct node *map, struct node **pairs)
{
	_cleanup_free_ struct node **keys = calloc(map->count + 1, sizeof(*keys));

	map->items = arena_alloc(&builder->file->arena, map->count, sizeof(*map->items));
	map->keys = arena_alloc(&builder->file->arena, map->count, sizeof(*map->keys));
	if (!keys || !map->items || !map->keys)
		return -ENOMEM;
	for (size_t i = 0; i < map->count; i++) {
		if (!pairs[2 * i]->text || pairs[2 * i]->type == NODE_NULL)
			return builder_refuse(builder, pairs[2 * i]->line, "a key is not a word");
		keys[i] = pairs[2 * i];
		map->keys[i] = pairs[2 * i]->text;
		map->items[i] = pairs[2 * i + 1];
	}
	return duplicates_refuse(builder, keys, map->count);
}

static int collection_close(struct builder *builder)
{
	struct frame *frame = &builder->frames[--builder->depth];
	struct node **children = builder->stack + frame->base;
	struct node *node = frame->node;
	size_t count = builder->stack_count - frame->base;

	builder->stack_count = frame->base;
	if (node->type == NODE_MAP) {
		node->count = count / 2;
		return map_fill(builder, node, children);
	}
	node->count = count;
	node->items = arena_alloc(&builder->file->arena, count, sizeof(*node->items));
	if (!node->items)
		return -ENOMEM;
	if (count)
		memcpy(node->items, children, count * sizeof(*children));
	return 0;
}

/* Roots stay at the bottom of the stack. */
static int file_finish(struct builder *builder)
{
	struct yaml_file *file = builder->file;

	file->documents = arena_alloc(&file->arena, builder->stack_count, sizeof(*file->documents));
	if (!file->documents)
		return -ENOMEM;
	if (builder->stack_count)
		memcpy(file->documents, builder->stack,
		       builder->stack_count * sizeof(*file->documents));
	file->count = builder->stack_count;
	return 0;
}

static int event_take(struct builder *builder, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_ALIAS_EVENT: return anchors_refuse(builder, event, event, NULL);
	case YAML_SCALAR_EVENT: return scalar_take(builder, event);
	case YAML_SEQUENCE_START_EVENT:
		return collection_open(builder, event, NODE_LIST, event->data.sequence_start.anchor,
				       event->data.sequence_start.tag);
	case YAML_MAPPING_START_EVENT:
		return collection_open(builder, event, NODE_MAP, event->data.mapping_start.anchor,
				       event->data.mapping_start.tag);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT: return collection_close(builder);
	case YAML_STREAM_END_EVENT: return file_finish(builder);
	default: return 0;
	}
}

static int syntax_refuse(struct builder *builder)
{
	const yaml_parser_t *parser = &builder->parser;

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (parser->error == YAML_READER_ERROR)
		return builder_refuse(builder, parser->mark.line + 1, "%s at byte %zu",
				      parser->problem, parser->problem_offset);
	return builder_refuse(builder, parser->problem_mark.line + 1, "%s%s%s (column %zu)",
			      parser->context ? parser->context : "", parser->context ? ": " : "",
			      parser->problem ? parser->problem : "not YAML",
			      parser->problem_mark.column + 1);
}

static int events_take(struct builder *builder)
{
	bool done = false;
	int err = 0;

	while (!done && !err) {
		yaml_event_t event;

		if (!yaml_parser_parse(&builder->parser, &event))
			return syntax_refuse(builder);
		done = event.type == YAML_STREAM_END_EVENT;
		err = event_take(builder, &event);
		yaml_event_delete(&event);
	}
	return err;
}

int yaml_parse(const char *data, size_t length, struct yaml_file *ret_file,
	       struct yaml_error *ret_error)
{
	struct yaml_file file = {0};
	struct builder builder = {.file = &file, .error = ret_error};
	int err;

	*ret_error = (struct yaml_error){0};
	if (length > YAML_BYTES_MAX)
		return builder_refuse(&builder, 0, "larger than %u bytes; split the file",
				      YAML_BYTES_MAX);
	if (!yaml_parser_initialize(&builder.parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&builder.parser, (const unsigned char *)data, length);
	err = events_take(&builder);
	yaml_parser_delete(&builder.parser);
	free(builder.stack);
	if (err)
		arena_deinit(&file.arena);
	else
		*ret_file = file;
	return err;
}

void yaml_file_deinit(struct yaml_file *file)
{
	arena_deinit(&file->arena);
	*file = (struct yaml_file){0};
}

const struct node *node_get(const struct node *map, const char *key)
{
	if (!map || map->type != NODE_MAP)
		return NULL;
	for (size_t i = 0; i < map->count; i++) {
		if (strcmp(map->keys[i], key) == 0)
			return map->items[i];
	}
	return NULL;
}

const char *node_type_name(enum node_type type)
{
	static const char *const names[] = {
		[NODE_NULL] = "nothing",       [NODE_BOOL] = "true or false",
		[NODE_INT] = "a whole number", [NODE_FLOAT] = "a number",
		[NODE_STRING] = "a string",    [NODE_LIST] = "a list",
		[NODE_MAP] = "a map",
	};

	return names[type];
}
