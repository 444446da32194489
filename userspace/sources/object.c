// SPDX-License-Identifier: BSD-2-Clause
/* A document of YAML becomes a typed object by the tables of object_table.c.
 *
 * An object is taken whole or refused whole, as an API server would do it: the
 * first fault is reported with file, line, object and field, and whoever holds
 * the last good version goes on with that.
 */
#include "userspace/sources/object.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/sources/object_table.h"
#include "userspace/sources/yaml.h"

struct decoder {
	const struct object_sink *sink;
	struct object *object;
	struct text where; /* "spec.rules[0]" */
	char where_buffer[256];
};

#define REFUSED (-EBADMSG)
#define UNTIL_CORRECTED "it is left out, or stays as it last was, until this is corrected"

/* "HTTPRoute ai/models" */
static const char *object_label(const struct object *object, char *buffer, size_t size)
{
	snprintf(buffer, size, "%s %s%s%s", kind_rows[object->kind].name, object->namespace_,
		 *object->namespace_ ? "/" : "", object->name ? object->name : "(no name)");
	return buffer;
}

static int decoder_refuse(struct decoder *decoder, const char *path, uint32_t line,
			  const char *format, ...) __attribute__((format(printf, 4, 5)));

static int decoder_refuse(struct decoder *decoder, const char *path, uint32_t line,
			  const char *format, ...)
{
	const char *dot = decoder->where.length && *path ? "." : "";
	char why[256], label[600];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	message_add(decoder->sink->messages, decoder->sink->arena, LOG_LEVEL_ERROR,
		    "%s:%u: %s: %s%s%s: %s; " UNTIL_CORRECTED, decoder->sink->file, line,
		    object_label(decoder->object, label, sizeof(label)), decoder->where.data, dot,
		    path, why);
	return REFUSED;
}

/* Makes `where` longer; where_cut() takes it back. */
static size_t where_add(struct decoder *decoder, const char *path, size_t index)
{
	size_t before = decoder->where.length;

	text_printf(&decoder->where, "%s%s", before && *path ? "." : "", path);
	if (index != SIZE_MAX)
		text_printf(&decoder->where, "[%zu]", index);
	return before;
}

static void where_cut(struct decoder *decoder, size_t length)
{
	decoder->where.length = length;
	decoder->where.data[length] = '\0';
}

static int record_decode(struct decoder *decoder, const struct table *table,
			 const struct node *node, void *record);

/* ---- single values ---- */

static int words_check(struct decoder *decoder, const struct field *field, const struct node *node)
{
	char buffer[160] = "";
	struct text list = TEXT_INIT(buffer);

	for (const char *const *word = field->words; *word; word++) {
		if (strcmp(*word, node->text) == 0)
			return 0;
		text_printf(&list, "%s%s", word == field->words ? "" : ", ", *word);
	}
	return decoder_refuse(decoder, field->path, node->line, "\"%.60s\" is not one of %s",
			      node->text, buffer);
}

static int string_decode(struct decoder *decoder, const struct field *field,
			 const struct node *node, const char **ret_string)
{
	const char *why = NULL;

	if (node->type == NODE_BOOL || node->type == NODE_INT || node->type == NODE_FLOAT)
		return decoder_refuse(decoder, field->path, node->line,
				      "%s is %s and not a string; put it in quotes", node->text,
				      node_type_name(node->type));
	if (node->type != NODE_STRING)
		return decoder_refuse(decoder, field->path, node->line, "%s and not a string",
				      node_type_name(node->type));
	if (field->words && words_check(decoder, field, node))
		return REFUSED;
	if (field->check)
		why = field->check(node->text);
	if (why)
		return decoder_refuse(decoder, field->path, node->line, "\"%.80s\": %s", node->text,
				      why);
	*ret_string = arena_string(&decoder->object->arena, node->text);
	return *ret_string ? 0 : -ENOMEM;
}

static int int_decode(struct decoder *decoder, const struct field *field, const struct node *node,
		      int64_t *ret_number)
{
	if (node->type != NODE_INT)
		return decoder_refuse(decoder, field->path, node->line, "%s and not a whole number",
				      node_type_name(node->type));
	if (node->integer < field->min || node->integer > field->max)
		return decoder_refuse(decoder, field->path, node->line,
				      "%lld is not between %lld and %lld", (long long)node->integer,
				      (long long)field->min, (long long)field->max);
	*ret_number = node->integer;
	return 0;
}

static int bool_decode(struct decoder *decoder, const struct field *field, const struct node *node,
		       bool *ret_bool)
{
	if (node->type != NODE_BOOL)
		return decoder_refuse(decoder, field->path, node->line, "%s and not true or false",
				      node_type_name(node->type));
	*ret_bool = node->boolean;
	return 0;
}

static int duration_decode(struct decoder *decoder, const struct field *field,
			   const struct node *node, int64_t *ret_ms)
{
	if (node->type != NODE_STRING || duration_parse(node->text, ret_ms))
		return decoder_refuse(decoder, field->path, node->line,
				      "not a duration like 10s, 1m30s or 500ms");
	return 0;
}

static int labels_decode(struct decoder *decoder, const struct field *field,
			 const struct node *node, struct labels *ret_labels)
{
	struct label *list;

	if (node->type != NODE_MAP)
		return decoder_refuse(decoder, field->path, node->line, "%s and not a map",
				      node_type_name(node->type));
	if (node->count > (size_t)field->max)
		return decoder_refuse(decoder, field->path, node->line,
				      "%zu entries and at most %lld are allowed", node->count,
				      (long long)field->max);
	list = arena_alloc(&decoder->object->arena, node->count, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < node->count; i++) {
		struct field item = {.path = node->keys[i]};
		size_t before = where_add(decoder, field->path, SIZE_MAX);
		int err = string_decode(decoder, &item, node->items[i], &list[i].value);

		if (err)
			return err;
		where_cut(decoder, before);
		list[i].key = arena_string(&decoder->object->arena, node->keys[i]);
		if (!list[i].key)
			return -ENOMEM;
	}
	*ret_labels = (struct labels){.count = node->count, .list = list};
	return 0;
}

/* ---- lists ---- */

static int item_decode(struct decoder *decoder, const struct field *field, const struct node *node,
		       char *items, size_t index)
{
	const struct field plain = {.path = "",
				    .words = field->words,
				    .check = field->check,
				    .min = INT32_MIN,
				    .max = INT32_MAX};

	if (field->type == FIELD_STRINGS)
		return string_decode(decoder, &plain, node, &((const char **)items)[index]);
	if (field->type == FIELD_INTS)
		return int_decode(decoder, &plain, node, &((int64_t *)items)[index]);
	return record_decode(decoder, field->sub, node, items + index * field->sub->size);
}

static size_t item_bytes(const struct field *field)
{
	switch (field->type) {
	case FIELD_STRINGS: return sizeof(char *);
	case FIELD_INTS: return sizeof(int64_t);
	default: return field->sub->size;
	}
}

static int list_decode(struct decoder *decoder, const struct field *field, const struct node *node,
		       void *record)
{
	const size_t size = item_bytes(field);
	char *items;

	if (node->type != NODE_LIST)
		return decoder_refuse(decoder, field->path, node->line, "%s and not a list",
				      node_type_name(node->type));
	if (node->count > (size_t)field->max || (field->required && node->count == 0))
		return decoder_refuse(decoder, field->path, node->line,
				      "%zu elements and %d to %lld are allowed", node->count,
				      field->required, (long long)field->max);
	items = arena_alloc(&decoder->object->arena, node->count, size);
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < node->count; i++) {
		size_t before = where_add(decoder, field->path, i);
		int err = item_decode(decoder, field, node->items[i], items, i);

		if (err)
			return err;
		where_cut(decoder, before);
	}
	*(char **)((char *)record + field->offset) = items;
	*(size_t *)((char *)record + field->count_offset) = node->count;
	return 0;
}

static int struct_decode(struct decoder *decoder, const struct field *field,
			 const struct node *node, void *at)
{
	size_t before = where_add(decoder, field->path, SIZE_MAX);
	int err = record_decode(decoder, field->sub, node, at);

	if (!err)
		where_cut(decoder, before);
	return err;
}

/* ---- records ---- */

static int field_decode(struct decoder *decoder, const struct field *field, const struct node *node,
			void *record)
{
	char *at = (char *)record + field->offset;

	switch (field->type) {
	case FIELD_STRING: return string_decode(decoder, field, node, (const char **)at);
	case FIELD_INT: return int_decode(decoder, field, node, (int64_t *)at);
	case FIELD_BOOL: return bool_decode(decoder, field, node, (bool *)at);
	case FIELD_PRESENT: *(bool *)at = true; return 0;
	case FIELD_DURATION: return duration_decode(decoder, field, node, (int64_t *)at);
	case FIELD_LABELS: return labels_decode(decoder, field, node, (struct labels *)at);
	case FIELD_STRINGS:
	case FIELD_INTS:
	case FIELD_LIST: return list_decode(decoder, field, node, record);
	case FIELD_STRUCT: return struct_decode(decoder, field, node, at);
	}
	return -EINVAL;
}

static void table_defaults(const struct table *table, void *record);

static void field_default(const struct field *field, void *record)
{
	char *at = (char *)record + field->offset;

	switch (field->type) {
	case FIELD_STRING: *(const char **)at = field->text; break;
	case FIELD_INT:
	case FIELD_DURATION: *(int64_t *)at = field->number; break;
	case FIELD_BOOL: *(bool *)at = field->number != 0; break;
	case FIELD_STRUCT: table_defaults(field->sub, at); break;
	default: break;
	}
}

static void table_defaults(const struct table *table, void *record)
{
	for (const struct field *field = table->fields; field->path; field++)
		field_default(field, record);
}

/* Walks "spec.selector.matchLabels"; NULL nodes and YAML's null are absence.  A
 * step that is there but no map is refused. */
static int path_walk(struct decoder *decoder, const char *path, const struct node *node,
		     const struct node **ret_node)
{
	char step[64];

	while (node && *path) {
		size_t length = strcspn(path, ".");

		if (node->type != NODE_MAP)
			return decoder_refuse(decoder, "", node->line,
					      "%s where a map with %s is expected",
					      node_type_name(node->type), path);
		snprintf(step, sizeof(step), "%.*s", (int)length, path);
		node = node_get(node, step);
		if (node && node->type == NODE_NULL)
			node = NULL;
		path += length + (path[length] == '.');
	}
	*ret_node = node;
	return 0;
}

static int record_decode(struct decoder *decoder, const struct table *table,
			 const struct node *node, void *record)
{
	if (node->type != NODE_MAP)
		return decoder_refuse(decoder, "", node->line, "%s and not a map",
				      node_type_name(node->type));
	if (table->line_offset != SIZE_MAX)
		*(uint32_t *)((char *)record + table->line_offset) = node->line;
	for (const struct field *field = table->fields; field->path; field++) {
		const struct node *value = NULL;
		int err = path_walk(decoder, field->path, node, &value);

		if (err)
			return err;
		if (!value && field->required)
			return decoder_refuse(decoder, field->path, node->line, "missing");
		field_default(field, record);
		err = value ? field_decode(decoder, field, value, record) : 0;
		if (err)
			return err;
	}
	return 0;
}

/* ---- whole objects ---- */

/* InferencePool v1alpha2 has one number where v1 has a list of them, and no protocol. */
static int old_pool_finish(struct decoder *decoder, const struct node *spec,
			   struct inference_pool *pool)
{
	static const struct field number = {
		.path = "targetPortNumber", .type = FIELD_INT, .min = 1, .max = 65535};
	const struct node *node = node_get(spec, number.path);

	if (!node)
		return decoder_refuse(decoder, "spec.targetPortNumber", spec->line, "missing");
	pool->ports = arena_alloc(&decoder->object->arena, 1, sizeof(*pool->ports));
	if (!pool->ports)
		return -ENOMEM;
	pool->app_protocol = "http";
	pool->port_count = 1;
	pool->ports[0].line = node->line;
	return int_decode(decoder, &number, node, &pool->ports[0].number);
}

static int metadata_decode(struct decoder *decoder, const struct node *document)
{
	static const struct field labels_field = {.path = "labels", .max = 1024};
	static const struct field annotations_field = {.path = "annotations", .max = 1024};
	const struct node *metadata = node_get(document, "metadata");
	struct object *object = decoder->object;
	const struct node *labels = node_get(metadata, "labels");
	const struct node *annotations = node_get(metadata, "annotations");
	const struct node *created = node_get(metadata, "creationTimestamp");
	const struct node *deleted = node_get(metadata, "deletionTimestamp");
	int err = 0;

	if (created && created->text && created->type != NODE_NULL &&
	    time_parse(created->text, &object->created_at))
		return decoder_refuse(decoder, "metadata.creationTimestamp", created->line,
				      "not a time like 2026-01-31T12:00:00Z");
	object->deleting = deleted && deleted->type != NODE_NULL;
	where_add(decoder, "metadata", SIZE_MAX);
	if (labels && labels->type != NODE_NULL)
		err = labels_decode(decoder, &labels_field, labels, &object->labels);
	if (!err && annotations && annotations->type != NODE_NULL)
		err = labels_decode(decoder, &annotations_field, annotations, &object->annotations);
	if (!err)
		where_cut(decoder, 0);
	return err;
}

/* Name and namespace: what every later message needs. */
static int identity_decode(struct decoder *decoder, const struct node *document)
{
	static const struct field name_field = {.path = "metadata.name", .check = text_check_name};
	static const struct field namespace_field = {.path = "metadata.namespace",
						     .check = text_check_name};
	const struct node *metadata = node_get(document, "metadata");
	const struct node *name = node_get(metadata, "name");
	const struct node *namespace_ = node_get(metadata, "namespace");
	struct object *object = decoder->object;
	int err;

	if (!name || name->type == NODE_NULL)
		return decoder_refuse(decoder, "metadata.name", document->line, "missing");
	err = string_decode(decoder, &name_field, name, &object->name);
	if (err || !kind_rows[object->kind].namespaced)
		return err;
	object->namespace_ = "default";
	if (!namespace_ || namespace_->type == NODE_NULL)
		return 0;
	return string_decode(decoder, &namespace_field, namespace_, &object->namespace_);
}

static int spec_decode(struct decoder *decoder, const struct node *document, bool old_pool)
{
	struct object *object = decoder->object;
	const struct kind_row *row = &kind_rows[object->kind];
	const struct table *table = old_pool ? &inference_pool_old_table : row->table;
	struct object_fault fault = {0};
	int err;

	if (!table)
		return 0;
	object->spec = arena_alloc(&object->arena, 1, table->size);
	if (!object->spec)
		return -ENOMEM;
	err = record_decode(decoder, table, document, object->spec);
	if (!err && old_pool)
		err = old_pool_finish(decoder, node_get(document, "spec"), object->spec);
	if (err || !row->check || row->check(object, &fault))
		return err;
	return decoder_refuse(decoder, fault.path, fault.line ? fault.line : object->line, "%s",
			      fault.why);
}

static int object_read(struct decoder *decoder, const struct node *document, bool old_pool)
{
	const struct kind_row *row = &kind_rows[decoder->object->kind];
	int err = identity_decode(decoder, document);

	if (!err)
		err = metadata_decode(decoder, document);
	if (!err && row->wanted && !row->wanted(decoder->object))
		return -ENOENT;
	return err ? err : spec_decode(decoder, document, old_pool);
}

static int object_take(const struct object_sink *sink, enum object_kind kind, const char *version,
		       const struct node *document)
{
	_cleanup_(object_freep) struct object *object = calloc(1, sizeof(*object));
	struct decoder decoder = {.sink = sink, .object = object};
	int err;

	if (!object)
		return -ENOMEM;
	text_init(&decoder.where, decoder.where_buffer, sizeof(decoder.where_buffer));
	object->kind = kind;
	object->namespace_ = "";
	object->file = sink->file;
	object->line = document->line;
	err = object_read(&decoder, document,
			  kind == KIND_INFERENCE_POOL && strcmp(version, "v1alpha2") == 0);
	if (err == -ENOENT)
		return 0;
	if (err == REFUSED)
		return object->name
			       ? sink->refused(sink->ctx, kind, object->namespace_, object->name)
			       : 0;
	if (err)
		return err;
	return sink->take(sink->ctx, TAKE_PTR(object));
}

/* ---- what kind of document ---- */

static bool is_in(const char *text, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count && list[i]; i++) {
		if (strcmp(list[i], text) == 0)
			return true;
	}
	return false;
}

static bool ignored_count(const struct object_sink *sink, const char *kind)
{
	for (size_t i = 0; ignored_kinds[i]; i++) {
		if (strcmp(ignored_kinds[i], kind) == 0) {
			sink->ignored[i]++;
			return true;
		}
	}
	return false;
}

static int unknown_warn(const struct object_sink *sink, const struct node *document,
			const char *api_version, const char *kind)
{
	const struct node *name = node_get(node_get(document, "metadata"), "name");

	message_add(sink->messages, sink->arena, LOG_LEVEL_WARNING,
		    "%s:%u: %s %s: kind: apiVersion %s with kind %s is not known; it is ignored, "
		    "correct the spelling or move it out of the folder",
		    sink->file, document->line, kind, name && name->text ? name->text : "(no name)",
		    api_version, kind);
	return 0;
}

static int kind_decode(const struct object_sink *sink, const struct node *document,
		       const char *api_version, const char *kind)
{
	const char *slash = strchr(api_version, '/');
	const char *version = slash ? slash + 1 : api_version;
	char group[128];

	snprintf(group, sizeof(group), "%.*s", slash ? (int)(slash - api_version) : 0, api_version);
	for (size_t i = 0; i < KIND_COUNT; i++) {
		const struct kind_row *row = &kind_rows[i];

		if (strcmp(row->name, kind) != 0 || !is_in(group, row->groups, 3))
			continue;
		if (is_in(version, row->versions, 4))
			return object_take(sink, (enum object_kind)i, version, document);
		message_add(sink->messages, sink->arena, LOG_LEVEL_ERROR,
			    "%s:%u: %s: apiVersion: version %s is not supported; write %s%s%s",
			    sink->file, document->line, kind, version, group, *group ? "/" : "",
			    row->versions[0]);
		return 0;
	}
	if (ignored_count(sink, kind))
		return 0;
	return unknown_warn(sink, document, api_version, kind);
}

static int list_expand(const struct object_sink *sink, const struct node *document)
{
	const struct node *items = node_get(document, "items");
	int err = 0;

	if (!items || items->type != NODE_LIST) {
		message_add(
			sink->messages, sink->arena, LOG_LEVEL_ERROR,
			"%s:%u: List: items: missing or not a list; it is ignored until this is corrected",
			sink->file, document->line);
		return 0;
	}
	for (size_t i = 0; i < items->count && !err; i++) {
		const struct node *kind = node_get(items->items[i], "kind");

		/* a List in a List is no Kubernetes object */
		if (kind && kind->text && strcmp(kind->text, "List") == 0)
			message_add(
				sink->messages, sink->arena, LOG_LEVEL_ERROR,
				"%s:%u: List: items[%zu].kind: a List inside a List; take it out",
				sink->file, kind->line, i);
		else
			err = object_decode(sink, items->items[i]);
	}
	return err;
}

int object_decode(const struct object_sink *sink, const struct node *document)
{
	const struct node *api_version = node_get(document, "apiVersion");
	const struct node *kind = node_get(document, "kind");

	if (document->type == NODE_NULL)
		return 0;
	if (!api_version || api_version->type != NODE_STRING || !kind ||
	    kind->type != NODE_STRING) {
		message_add(sink->messages, sink->arena, LOG_LEVEL_WARNING,
			    "%s:%u: no Kubernetes object: apiVersion or kind is missing; it is "
			    "ignored, add them or move it out of the folder",
			    sink->file, document->line);
		return 0;
	}
	if (strcmp(kind->text, "List") == 0 && strcmp(api_version->text, "v1") == 0)
		return list_expand(sink, document);
	return kind_decode(sink, document, api_version->text, kind->text);
}

void object_free(struct object *object)
{
	if (!object)
		return;
	arena_deinit(&object->arena);
	free(object);
}

/* ---- looking things up ---- */

static int identity_compare(const struct object *object, enum object_kind kind,
			    const char *namespace_, const char *name)
{
	int order = (object->kind > kind) - (object->kind < kind);

	if (!order)
		order = strcmp(object->namespace_, namespace_);
	return order ? order : strcmp(object->name, name);
}

int object_compare(const struct object *a, const struct object *b)
{
	int order = identity_compare(a, b->kind, b->namespace_, b->name);

	if (!order)
		order = strcmp(a->file, b->file);
	return order ? order : (a->line > b->line) - (a->line < b->line);
}

const struct object *objects_find(const struct objects *objects, enum object_kind kind,
				  const char *namespace_, const char *name)
{
	size_t low = 0, high = objects->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = identity_compare(objects->list[middle], kind, namespace_, name);

		if (order == 0)
			return objects->list[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* First position whose kind is not below. */
static size_t kind_position(const struct objects *objects, int kind)
{
	size_t low = 0, high = objects->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if ((int)objects->list[middle]->kind < kind)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct object **objects_range(const struct objects *objects, enum object_kind kind,
			      size_t *ret_count)
{
	size_t first = kind_position(objects, (int)kind);

	*ret_count = kind_position(objects, (int)kind + 1) - first;
	return first ? objects->list + first : objects->list;
}

const char *object_kind_name(enum object_kind kind)
{
	return kind_rows[kind].name;
}

size_t object_ignored_count(void)
{
	size_t count = 0;

	while (ignored_kinds[count])
		count++;
	return count;
}

const char *object_ignored_name(size_t index)
{
	return ignored_kinds[index];
}

const char *labels_get(const struct labels *labels, const char *key)
{
	for (size_t i = 0; i < labels->count; i++) {
		if (strcmp(labels->list[i].key, key) == 0)
			return labels->list[i].value;
	}
	return NULL;
}

bool labels_match(const struct labels *labels, const struct labels *wanted)
{
	for (size_t i = 0; i < wanted->count; i++) {
		const char *value = labels_get(labels, wanted->list[i].key);

		if (!value || strcmp(value, wanted->list[i].value) != 0)
			return false;
	}
	return true;
}
