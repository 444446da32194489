// SPDX-License-Identifier: BSD-2-Clause
/* The snapshot's memory, its JSON form, and what must be true of one.
 *
 * One table of fields per struct describes the JSON; the writer and the reader
 * both walk it, so that they cannot drift apart.  Reading has two passes: the
 * tables give shape, types and ranges of numbers; then snapshot_check() looks
 * at meaning (indexes, names that go into HTTP, regular expressions).  Both
 * refuse the whole file at the first fault and name the member, because half a
 * routing table is worse than the last good one.
 */
#include "userspace/publish/snapshot.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maps/layout/contract.h"
#include "userspace/base/address.h"
#include "userspace/base/arena.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/file.h"
#include "userspace/base/log.h"
#include "userspace/base/pattern.h"
#include "userspace/base/text.h"
#include "userspace/publish/snapshot_check.h"

#define JSON_DEPTH_MAX 16
#define FILE_MODE 0640

struct snapshot_arena {
	struct arena memory;
	struct compiled {
		struct compiled *next;
		regex_t regex;
	} * patterns;
};

/* ---- memory ---- */

int snapshot_new(struct snapshot **ret_snapshot)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (!snapshot)
		return -ENOMEM;
	snapshot->arena = calloc(1, sizeof(*snapshot->arena));
	if (!snapshot->arena)
		return -ENOMEM;
	*ret_snapshot = TAKE_PTR(snapshot);
	return 0;
}

void snapshot_free(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	if (snapshot->arena) {
		for (struct compiled *p = snapshot->arena->patterns; p; p = p->next)
			regfree(&p->regex);
		arena_deinit(&snapshot->arena->memory);
		free(snapshot->arena);
	}
	free(snapshot);
}

void *snapshot_alloc(struct snapshot *snapshot, size_t count, size_t size)
{
	return arena_alloc(&snapshot->arena->memory, count, size);
}

const char *snapshot_string(struct snapshot *snapshot, const char *text)
{
	return arena_string(&snapshot->arena->memory, text);
}

int snapshot_pattern(struct snapshot *snapshot, const char *text, regex_t **ret_regex,
		     char ret_why[PATTERN_WHY_MAX])
{
	struct compiled *pattern = snapshot_alloc(snapshot, 1, sizeof(*pattern));
	int err;

	if (!pattern) {
		snprintf(ret_why, PATTERN_WHY_MAX, "out of memory");
		return -ENOMEM;
	}
	err = pattern_compile(text, &pattern->regex, ret_why);
	if (err)
		return err;
	pattern->next = snapshot->arena->patterns;
	snapshot->arena->patterns = pattern;
	*ret_regex = &pattern->regex;
	return 0;
}

/* ---- the tables ---- */

enum field_type {
	FIELD_STRING,
	FIELD_U16,
	FIELD_U32,
	FIELD_U64,
	FIELD_I32,
	FIELD_INDEX, /* u32; absent: 0xffffffff */
	FIELD_ENUM, /* int by names; absent: 0 */
	FIELD_BOOL, /* absent: false */
	FIELD_ADDRESS, /* struct ip_addr */
	FIELD_STRUCT, /* inline, by sub */
	FIELD_POINTER, /* to one struct, by sub; absent: NULL */
	FIELD_ARRAY, /* of structs, by sub */
	FIELD_STRINGS, /* array of const char * */
	FIELD_INDEXES, /* array of uint32_t */
};

struct field {
	const char *name; /* NULL ends a table */
	enum field_type type;
	bool required;
	size_t offset;
	size_t count_offset; /* arrays: where the size_t count is */
	uint64_t max; /* largest number, or longest array; 0: no limit but the type's */
	const char *const *enum_names; /* NULL-terminated; "" cannot be said */
	const struct table *sub;
};

struct table {
	size_t size;
	const struct field *fields;
};

#define PLAIN(s, member, t) .name = #member, .type = (t), .offset = offsetof(struct s, member)
#define LIST(s, member, counter, t, most)                                                          \
	.name = #member, .type = (t), .offset = offsetof(struct s, member),                        \
	.count_offset = offsetof(struct s, counter), .max = (most)
#define TABLE(s, f)                                                                                \
	{                                                                                          \
		.size = sizeof(struct s), .fields = (f)                                            \
	}

static const char *const path_type_names[] = {"", "Exact", "PathPrefix", "RegularExpression", NULL};
static const char *const pair_type_names[] = {"", "Exact", "", "RegularExpression", NULL};
static const char *const persist_type_names[] = {"", "Cookie", "Header", NULL};
static const char *const persist_lifetime_names[] = {"", "Session", "Permanent", NULL};
static const char *const rewrite_names[] = {"", "ReplaceFullPath", "ReplacePrefixMatch", NULL};

static const struct field pair_match_fields[] = {
	{PLAIN(snapshot_pair_match, type, FIELD_ENUM), .enum_names = pair_type_names,
	 .required = true},
	{PLAIN(snapshot_pair_match, name, FIELD_STRING), .required = true},
	{PLAIN(snapshot_pair_match, value, FIELD_STRING), .required = true},
	{0},
};
static const struct table pair_match_table = TABLE(snapshot_pair_match, pair_match_fields);

static const struct field match_fields[] = {
	{PLAIN(snapshot_match, path_type, FIELD_ENUM), .enum_names = path_type_names,
	 .required = true},
	{PLAIN(snapshot_match, path, FIELD_STRING), .required = true},
	{PLAIN(snapshot_match, method, FIELD_STRING)},
	{LIST(snapshot_match, headers, header_count, FIELD_ARRAY, 64), .sub = &pair_match_table},
	{LIST(snapshot_match, queries, query_count, FIELD_ARRAY, 64), .sub = &pair_match_table},
	{0},
};
static const struct table match_table = TABLE(snapshot_match, match_fields);

static const struct field pair_fields[] = {
	{PLAIN(snapshot_pair, name, FIELD_STRING), .required = true},
	{PLAIN(snapshot_pair, value, FIELD_STRING), .required = true},
	{0},
};
static const struct table pair_table = TABLE(snapshot_pair, pair_fields);

#define HEADER_LIST(member, counter)                                                               \
	{                                                                                          \
		LIST(snapshot_filters, member, counter, FIELD_ARRAY, 64), .sub = &pair_table       \
	}

static const struct field mirror_fields[] = {
	{PLAIN(snapshot_mirror, pool, FIELD_U32), .required = true},
	{PLAIN(snapshot_mirror, name, FIELD_STRING), .required = true},
	{PLAIN(snapshot_mirror, numerator, FIELD_U32), .required = true},
	{PLAIN(snapshot_mirror, denominator, FIELD_U32), .required = true},
	{0},
};
static const struct table mirror_table = TABLE(snapshot_mirror, mirror_fields);

static const struct field filters_fields[] = {
	HEADER_LIST(request_set, request_set_count),
	HEADER_LIST(request_add, request_add_count),
	{LIST(snapshot_filters, request_remove, request_remove_count, FIELD_STRINGS, 64)},
	HEADER_LIST(response_set, response_set_count),
	HEADER_LIST(response_add, response_add_count),
	{LIST(snapshot_filters, response_remove, response_remove_count, FIELD_STRINGS, 64)},
	{PLAIN(snapshot_filters, rewrite_type, FIELD_ENUM), .enum_names = rewrite_names},
	{PLAIN(snapshot_filters, rewrite_path, FIELD_STRING)},
	{PLAIN(snapshot_filters, rewrite_host, FIELD_STRING)},
	{PLAIN(snapshot_filters, redirect_status, FIELD_I32)},
	{PLAIN(snapshot_filters, redirect_scheme, FIELD_STRING)},
	{PLAIN(snapshot_filters, redirect_host, FIELD_STRING)},
	{PLAIN(snapshot_filters, redirect_path, FIELD_STRING)},
	{PLAIN(snapshot_filters, redirect_path_type, FIELD_ENUM), .enum_names = rewrite_names},
	{PLAIN(snapshot_filters, redirect_port, FIELD_U16)},
	{LIST(snapshot_filters, mirrors, mirror_count, FIELD_ARRAY, RULE_MIRRORS_MAX),
	 .sub = &mirror_table},
	{0},
};
static const struct table filters_table = TABLE(snapshot_filters, filters_fields);

static const struct field backend_fields[] = {
	{PLAIN(snapshot_backend, pool, FIELD_INDEX)},
	{PLAIN(snapshot_backend, weight, FIELD_U32), .max = 1000000, .required = true},
	{PLAIN(snapshot_backend, name, FIELD_STRING), .required = true},
	{PLAIN(snapshot_backend, filters, FIELD_POINTER), .sub = &filters_table},
	{0},
};
static const struct table backend_table = TABLE(snapshot_backend, backend_fields);

static const struct field persistence_fields[] = {
	{PLAIN(snapshot_persistence, type, FIELD_ENUM), .enum_names = persist_type_names,
	 .required = true},
	{PLAIN(snapshot_persistence, name, FIELD_STRING), .required = true},
	{PLAIN(snapshot_persistence, absolute_s, FIELD_U32)},
	{PLAIN(snapshot_persistence, idle_s, FIELD_U32)},
	{PLAIN(snapshot_persistence, lifetime, FIELD_ENUM), .enum_names = persist_lifetime_names},
	{0},
};
static const struct table persistence_table = TABLE(snapshot_persistence, persistence_fields);

static const struct field retry_fields[] = {
	{LIST(snapshot_retry, codes, code_count, FIELD_INDEXES, ROUTE_RETRY_CODES_MAX)},
	{PLAIN(snapshot_retry, attempts, FIELD_U32), .max = ROUTE_RETRIES_MAX},
	{PLAIN(snapshot_retry, backoff_ms, FIELD_U32)},
	{0},
};
static const struct table retry_table = TABLE(snapshot_retry, retry_fields);

static const struct field cors_fields[] = {
	{LIST(snapshot_cors, origins, origin_count, FIELD_STRINGS, 64)},
	{LIST(snapshot_cors, methods, method_count, FIELD_STRINGS, 16)},
	{LIST(snapshot_cors, headers, header_count, FIELD_STRINGS, 64)},
	{LIST(snapshot_cors, expose, expose_count, FIELD_STRINGS, 64)},
	{PLAIN(snapshot_cors, credentials, FIELD_BOOL)},
	{PLAIN(snapshot_cors, max_age_s, FIELD_U32)},
	{0},
};
static const struct table cors_table = TABLE(snapshot_cors, cors_fields);

static const struct field rule_fields[] = {
	{PLAIN(snapshot_rule, name, FIELD_STRING)},
	{LIST(snapshot_rule, matches, match_count, FIELD_ARRAY, 128), .sub = &match_table,
	 .required = true},
	{PLAIN(snapshot_rule, filters, FIELD_STRUCT), .sub = &filters_table},
	{LIST(snapshot_rule, backends, backend_count, FIELD_ARRAY, 64), .sub = &backend_table},
	{PLAIN(snapshot_rule, request_timeout_ms, FIELD_U32)},
	{PLAIN(snapshot_rule, backend_timeout_ms, FIELD_U32)},
	{PLAIN(snapshot_rule, retry, FIELD_POINTER), .sub = &retry_table},
	{PLAIN(snapshot_rule, cors, FIELD_POINTER), .sub = &cors_table},
	{PLAIN(snapshot_rule, persistence, FIELD_POINTER), .sub = &persistence_table},
	{0},
};
static const struct table rule_table = TABLE(snapshot_rule, rule_fields);

static const struct field route_fields[] = {
	{PLAIN(snapshot_route, name, FIELD_STRING), .required = true},
	{PLAIN(snapshot_route, created_at, FIELD_U64)},
	{LIST(snapshot_route, hostnames, hostname_count, FIELD_STRINGS, 64)},
	{LIST(snapshot_route, listeners, listener_count, FIELD_INDEXES, ROUTE_LISTENERS_MAX),
	 .required = true},
	{LIST(snapshot_route, rules, rule_count, FIELD_ARRAY, 64), .sub = &rule_table,
	 .required = true},
	{0},
};
static const struct table route_table = TABLE(snapshot_route, route_fields);

static const struct field listener_fields[] = {
	{PLAIN(snapshot_listener, gateway, FIELD_STRING), .required = true},
	{PLAIN(snapshot_listener, name, FIELD_STRING), .required = true},
	{PLAIN(snapshot_listener, addr, FIELD_ADDRESS), .required = true},
	{PLAIN(snapshot_listener, port, FIELD_U16), .required = true},
	{PLAIN(snapshot_listener, hostname, FIELD_STRING)},
	{0},
};
static const struct table listener_table = TABLE(snapshot_listener, listener_fields);

static const struct field endpoint_fields[] = {
	{PLAIN(snapshot_endpoint, id, FIELD_U32), .max = ENDPOINTS_MAX - 1, .required = true},
	{PLAIN(snapshot_endpoint, generation, FIELD_U32), .required = true},
	{PLAIN(snapshot_endpoint, cluster, FIELD_U32), .required = true},
	{0},
};
static const struct table endpoint_table = TABLE(snapshot_endpoint, endpoint_fields);

static const struct field rewrite_target_fields[] = {
	{PLAIN(snapshot_rewrite_target, model, FIELD_STRING), .required = true},
	{PLAIN(snapshot_rewrite_target, weight, FIELD_U32), .max = 1000000, .required = true},
	{0},
};
static const struct table rewrite_target_table =
	TABLE(snapshot_rewrite_target, rewrite_target_fields);

static const struct field rewrite_fields[] = {
	{PLAIN(snapshot_rewrite, name, FIELD_STRING), .required = true},
	{LIST(snapshot_rewrite, models, model_count, FIELD_STRINGS, REWRITE_MODELS_MAX)},
	{LIST(snapshot_rewrite, targets, target_count, FIELD_ARRAY, REWRITE_TARGETS_MAX),
	 .sub = &rewrite_target_table, .required = true},
	{0},
};
static const struct table rewrite_table = TABLE(snapshot_rewrite, rewrite_fields);

static const struct field pool_fields[] = {
	{PLAIN(snapshot_pool, id, FIELD_U32), .max = POOLS_MAX - 1, .required = true},
	{PLAIN(snapshot_pool, name, FIELD_STRING), .required = true},
	{PLAIN(snapshot_pool, kind, FIELD_STRING), .required = true},
	{LIST(snapshot_pool, endpoints, endpoint_count, FIELD_ARRAY, ENDPOINTS_MAX),
	 .sub = &endpoint_table},
	{PLAIN(snapshot_pool, drain_timeout_ms, FIELD_U32)},
	{LIST(snapshot_pool, rewrites, rewrite_count, FIELD_ARRAY, POOL_REWRITES_MAX),
	 .sub = &rewrite_table},
	{0},
};
static const struct table pool_table = TABLE(snapshot_pool, pool_fields);

static const struct field cluster_fields[] = {
	{PLAIN(snapshot_cluster, id, FIELD_U32), .max = CLUSTERS_MAX - 1, .required = true},
	{PLAIN(snapshot_cluster, name, FIELD_STRING), .required = true},
	{PLAIN(snapshot_cluster, region, FIELD_STRING), .required = true},
	{0},
};
static const struct table cluster_table = TABLE(snapshot_cluster, cluster_fields);

static const struct field objective_fields[] = {
	{PLAIN(snapshot_objective, name, FIELD_STRING), .required = true},
	{PLAIN(snapshot_objective, namespace_, FIELD_STRING), .required = true},
	{PLAIN(snapshot_objective, pool, FIELD_STRING), .required = true},
	{PLAIN(snapshot_objective, priority, FIELD_I32)},
	{0},
};
static const struct table objective_table = TABLE(snapshot_objective, objective_fields);

static const struct field base_model_fields[] = {
	{PLAIN(snapshot_base_model, model, FIELD_STRING), .required = true},
	{PLAIN(snapshot_base_model, base, FIELD_STRING), .required = true},
	{0},
};
static const struct table base_model_table = TABLE(snapshot_base_model, base_model_fields);

static const struct field snapshot_fields[] = {
	{PLAIN(snapshot, generation, FIELD_U64), .required = true},
	{PLAIN(snapshot, written_at, FIELD_U64)},
	{LIST(snapshot, clusters, cluster_count, FIELD_ARRAY, CLUSTERS_MAX), .sub = &cluster_table},
	{LIST(snapshot, pools, pool_count, FIELD_ARRAY, POOLS_MAX), .sub = &pool_table},
	{LIST(snapshot, listeners, listener_count, FIELD_ARRAY, ROUTE_LISTENERS_MAX),
	 .sub = &listener_table},
	{LIST(snapshot, routes, route_count, FIELD_ARRAY, ROUTES_MAX), .sub = &route_table},
	{LIST(snapshot, objectives, objective_count, FIELD_ARRAY, 65536), .sub = &objective_table},
	{LIST(snapshot, base_models, base_model_count, FIELD_ARRAY, 65536),
	 .sub = &base_model_table},
	{0},
};
static const struct table snapshot_table = TABLE(snapshot, snapshot_fields);

static size_t *field_count(const struct field *field, void *record)
{
	return (size_t *)((char *)record + field->count_offset);
}

/* ---- writing: NULL means out of memory ---- */

static struct json_object *record_to_json(const struct table *table, const void *record);

static struct json_object *array_to_json(const struct field *field, const void *record)
{
	struct json_object *array = json_object_new_array();
	const size_t count = *field_count(field, (void *)record);
	const char *items = *(char *const *)((const char *)record + field->offset);

	for (size_t i = 0; array && i < count; i++) {
		struct json_object *item;

		if (field->type == FIELD_ARRAY)
			item = record_to_json(field->sub, items + i * field->sub->size);
		else if (field->type == FIELD_STRINGS)
			item = json_object_new_string(((const char *const *)items)[i]);
		else
			item = json_object_new_uint64(((const uint32_t *)items)[i]);
		if (!item || json_object_array_add(array, item) < 0) {
			json_object_put(item);
			json_object_put(array);
			return NULL;
		}
	}
	return array;
}

/* Is there nothing to write?  Absent members read back as zero, NULL, NONE. */
static bool field_is_absent(const struct field *field, const void *record)
{
	const char *at = (const char *)record + field->offset;

	switch (field->type) {
	case FIELD_STRING:
	case FIELD_POINTER: return !*(const char *const *)at;
	case FIELD_INDEX: return *(const uint32_t *)at == UINT32_MAX;
	case FIELD_ENUM: return *(const int *)at == 0;
	case FIELD_BOOL: return !*(const bool *)at;
	case FIELD_ARRAY:
	case FIELD_STRINGS:
	case FIELD_INDEXES: return !field->required && *field_count(field, (void *)record) == 0;
	default: return false;
	}
}

static struct json_object *field_to_json(const struct field *field, const void *record)
{
	const char *at = (const char *)record + field->offset;
	char address[ADDRESS_TEXT_MAX];

	switch (field->type) {
	case FIELD_STRING: return json_object_new_string(*(const char *const *)at);
	case FIELD_U16: return json_object_new_uint64(*(const uint16_t *)at);
	case FIELD_U32:
	case FIELD_INDEX: return json_object_new_uint64(*(const uint32_t *)at);
	case FIELD_U64: return json_object_new_uint64(*(const uint64_t *)at);
	case FIELD_I32: return json_object_new_int(*(const int32_t *)at);
	case FIELD_ENUM: return json_object_new_string(field->enum_names[*(const int *)at]);
	case FIELD_BOOL: return json_object_new_boolean(*(const bool *)at);
	case FIELD_ADDRESS:
		return json_object_new_string(address_format((const struct ip_addr *)at, address));
	case FIELD_STRUCT: return record_to_json(field->sub, at);
	case FIELD_POINTER: return record_to_json(field->sub, *(const void *const *)at);
	case FIELD_ARRAY:
	case FIELD_STRINGS:
	case FIELD_INDEXES: return array_to_json(field, record);
	}
	return NULL;
}

static struct json_object *record_to_json(const struct table *table, const void *record)
{
	struct json_object *object = json_object_new_object();

	for (const struct field *field = table->fields; object && field->name; field++) {
		struct json_object *value;

		if (field_is_absent(field, record))
			continue;
		value = field_to_json(field, record);
		if (!value || json_object_object_add(object, field->name, value) < 0) {
			json_object_put(value);
			json_object_put(object);
			return NULL;
		}
	}
	return object;
}

static void json_putp(struct json_object **object)
{
	json_object_put(*object);
}

int snapshot_format(const struct snapshot *snapshot, char **ret_text, size_t *ret_length)
{
	_cleanup_(json_putp) struct json_object *root = record_to_json(&snapshot_table, snapshot);
	const char *text;

	if (!root ||
	    json_object_object_add(root, "version", json_object_new_int(SNAPSHOT_VERSION)) < 0)
		return -ENOMEM;
	text = json_object_to_json_string_length(
		root, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, ret_length);
	if (!text)
		return -ENOMEM;
	*ret_text = strdup(text);
	return *ret_text ? 0 : -ENOMEM;
}

int snapshot_write(const struct snapshot *snapshot, const char *path)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	int err = snapshot_format(snapshot, &text, &length);

	if (err)
		return log_error(err, "%s: out of memory while writing routes", path);
	if (length > SNAPSHOT_BYTES_MAX)
		return log_error(
			-EFBIG,
			"%s: the routes take %zu bytes and %u are allowed; the last ones stay, "
			"use fewer routes or endpoints",
			path, length, SNAPSHOT_BYTES_MAX);
	err = file_replace(path, text, length, FILE_MODE);
	if (err)
		return log_error(
			err, "%s: cannot write routes: %s; the last ones stay, check the directory",
			path, strerror(-err));
	return 0;
}

/* ---- reading ---- */

struct reader {
	struct snapshot *snapshot;
	const char *file;
	struct text where; /* "routes[3].rules[0]" */
	char where_buffer[256];
};

static int reader_refuse(struct reader *reader, const char *member, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int reader_refuse(struct reader *reader, const char *member, const char *format, ...)
{
	const char *dot = reader->where.length && *member ? "." : "";
	char why[256];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	return log_error(
		-EBADMSG,
		"%s: %s%s%s: %s; the routes in use stay, the controller will write it anew",
		reader->file, reader->where.data, dot, member, why);
}

/* Makes `where` longer; where_cut() takes it back. */
static size_t where_add(struct reader *reader, const char *name, size_t index)
{
	size_t before = reader->where.length;

	text_printf(&reader->where, "%s%s", before ? "." : "", name);
	if (index != SIZE_MAX)
		text_printf(&reader->where, "[%zu]", index);
	return before;
}

static void where_cut(struct reader *reader, size_t length)
{
	reader->where.length = length;
	reader->where.data[length] = '\0';
}

static int record_from_json(struct reader *reader, const struct table *table,
			    struct json_object *object, void *record);

static int number_read(struct reader *reader, const struct field *field, struct json_object *value,
		       uint64_t type_max, uint64_t *ret_number)
{
	const uint64_t max = field->max && field->type != FIELD_INDEXES ? field->max : type_max;
	uint64_t number;

	if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
		return reader_refuse(reader, field->name, "not a whole number of 0 or more");
	number = json_object_get_uint64(value);
	if (number > max)
		return reader_refuse(reader, field->name, "%llu is above %llu",
				     (unsigned long long)number, (unsigned long long)max);
	*ret_number = number;
	return 0;
}

static int signed_read(struct reader *reader, const struct field *field, struct json_object *value,
		       int32_t *ret_number)
{
	int64_t number = json_object_get_int64(value);

	if (!json_object_is_type(value, json_type_int) || number < INT32_MIN || number > INT32_MAX)
		return reader_refuse(reader, field->name, "not a 32-bit whole number");
	*ret_number = (int32_t)number;
	return 0;
}

static int string_read(struct reader *reader, const struct field *field, struct json_object *value,
		       const char **ret_string)
{
	const char *string;

	if (!json_object_is_type(value, json_type_string))
		return reader_refuse(reader, field->name, "not a string");
	string = json_object_get_string(value);
	if (strlen(string) != (size_t)json_object_get_string_len(value))
		return reader_refuse(reader, field->name, "it contains a NUL character");
	*ret_string = snapshot_string(reader->snapshot, string);
	return *ret_string ? 0 : reader_refuse(reader, field->name, "out of memory");
}

static int enum_read(struct reader *reader, const struct field *field, struct json_object *value,
		     int *ret_value)
{
	const char *name;
	int err;

	err = string_read(reader, field, value, &name);
	if (err)
		return err;
	for (int i = 1; field->enum_names[i]; i++) {
		if (*name && strcmp(field->enum_names[i], name) == 0) {
			*ret_value = i;
			return 0;
		}
	}
	return reader_refuse(reader, field->name, "\"%.40s\" is not a value of it", name);
}

static int address_read(struct reader *reader, const struct field *field, struct json_object *value,
			struct ip_addr *ret_addr)
{
	const char *text;
	int err;

	err = string_read(reader, field, value, &text);
	if (err)
		return err;
	if (address_parse(text, ret_addr))
		return reader_refuse(reader, field->name, "\"%.60s\" is not an IP address", text);
	return 0;
}

static int bool_read(struct reader *reader, const struct field *field, struct json_object *value,
		     bool *ret_bool)
{
	if (!json_object_is_type(value, json_type_boolean))
		return reader_refuse(reader, field->name, "neither true nor false");
	*ret_bool = json_object_get_boolean(value);
	return 0;
}

static int item_read(struct reader *reader, const struct field *field, struct json_object *value,
		     char *items, size_t index)
{
	uint64_t number;
	int err;

	if (field->type == FIELD_ARRAY)
		return record_from_json(reader, field->sub, value,
					items + index * field->sub->size);
	if (field->type == FIELD_STRINGS)
		return string_read(reader, field, value, &((const char **)items)[index]);
	err = number_read(reader, field, value, UINT32_MAX, &number);
	if (!err)
		((uint32_t *)items)[index] = (uint32_t)number;
	return err;
}

static int array_read(struct reader *reader, const struct field *field, struct json_object *value,
		      void *record)
{
	size_t count, size = sizeof(uint32_t);
	char *items;

	if (!json_object_is_type(value, json_type_array))
		return reader_refuse(reader, field->name, "not an array");
	count = json_object_array_length(value);
	if (count > field->max)
		return reader_refuse(reader, field->name,
				     "%zu elements and at most %llu are allowed", count,
				     (unsigned long long)field->max);
	if (field->type == FIELD_ARRAY)
		size = field->sub->size;
	else if (field->type == FIELD_STRINGS)
		size = sizeof(char *);
	items = snapshot_alloc(reader->snapshot, count, size);
	if (!items)
		return reader_refuse(reader, field->name, "out of memory");
	for (size_t i = 0; i < count; i++) {
		size_t before = where_add(reader, field->name, i);
		int err = item_read(reader, field, json_object_array_get_idx(value, i), items, i);

		if (err)
			return err;
		where_cut(reader, before);
	}
	*(char **)((char *)record + field->offset) = items;
	*field_count(field, record) = count;
	return 0;
}

static int struct_read(struct reader *reader, const struct field *field, struct json_object *value,
		       void *at)
{
	size_t before = where_add(reader, field->name, SIZE_MAX);
	int err = record_from_json(reader, field->sub, value, at);

	if (!err)
		where_cut(reader, before);
	return err;
}

static int pointer_read(struct reader *reader, const struct field *field, struct json_object *value,
			void **ret_struct)
{
	void *at = snapshot_alloc(reader->snapshot, 1, field->sub->size);

	if (!at)
		return reader_refuse(reader, field->name, "out of memory");
	*ret_struct = at;
	return struct_read(reader, field, value, at);
}

static int field_read(struct reader *reader, const struct field *field, struct json_object *value,
		      void *record)
{
	char *at = (char *)record + field->offset;
	uint64_t number = 0;
	int err;

	switch (field->type) {
	case FIELD_STRING: return string_read(reader, field, value, (const char **)at);
	case FIELD_I32: return signed_read(reader, field, value, (int32_t *)at);
	case FIELD_U64: return number_read(reader, field, value, UINT64_MAX, (uint64_t *)at);
	case FIELD_ENUM: return enum_read(reader, field, value, (int *)at);
	case FIELD_BOOL: return bool_read(reader, field, value, (bool *)at);
	case FIELD_ADDRESS: return address_read(reader, field, value, (struct ip_addr *)at);
	case FIELD_STRUCT: return struct_read(reader, field, value, at);
	case FIELD_POINTER: return pointer_read(reader, field, value, (void **)at);
	case FIELD_ARRAY:
	case FIELD_STRINGS:
	case FIELD_INDEXES: return array_read(reader, field, value, record);
	case FIELD_U16:
		err = number_read(reader, field, value, UINT16_MAX, &number);
		if (!err)
			*(uint16_t *)at = (uint16_t)number;
		return err;
	case FIELD_U32:
	case FIELD_INDEX:
		err = number_read(reader, field, value, UINT32_MAX, &number);
		if (!err)
			*(uint32_t *)at = (uint32_t)number;
		return err;
	}
	return -EINVAL;
}

/* The member, or NULL; also for a JSON null. */
static struct json_object *member_get(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, name, &value);
	return value;
}

static int members_known(struct reader *reader, const struct table *table,
			 struct json_object *object)
{
	json_object_object_foreach(object, name, value)
	{
		const struct field *field = table->fields;

		(void)value;
		while (field->name && strcmp(field->name, name) != 0)
			field++;
		if (!field->name && !(table == &snapshot_table && strcmp(name, "version") == 0))
			return reader_refuse(reader, name, "unknown member");
	}
	return 0;
}

static int record_from_json(struct reader *reader, const struct table *table,
			    struct json_object *object, void *record)
{
	int err;

	if (!json_object_is_type(object, json_type_object))
		return reader_refuse(reader, "", "not an object");
	err = members_known(reader, table, object);
	if (err)
		return err;
	for (const struct field *field = table->fields; field->name; field++) {
		struct json_object *value = member_get(object, field->name);

		if (field->type == FIELD_INDEX)
			*(uint32_t *)((char *)record + field->offset) = UINT32_MAX;
		if (!value && field->required)
			return reader_refuse(reader, field->name, "missing");
		err = value ? field_read(reader, field, value, record) : 0;
		if (err)
			return err;
	}
	return 0;
}

static void tokener_freep(struct json_tokener **tokener)
{
	if (*tokener)
		json_tokener_free(*tokener);
}

static int json_parse(struct reader *reader, const char *data, size_t length,
		      struct json_object **ret_root)
{
	_cleanup_(tokener_freep) struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
	struct json_object *root;

	if (!tokener)
		return reader_refuse(reader, "", "out of memory");
	if (length > SNAPSHOT_BYTES_MAX)
		return reader_refuse(reader, "", "larger than %u bytes", SNAPSHOT_BYTES_MAX);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	root = json_tokener_parse_ex(tokener, data, (int)length);
	if (!root)
		return reader_refuse(reader, "", "not JSON at byte %zu: %s",
				     json_tokener_get_parse_end(tokener),
				     json_tokener_error_desc(json_tokener_get_error(tokener)));
	*ret_root = root;
	return 0;
}

static int version_check(struct reader *reader, struct json_object *root)
{
	struct json_object *version;

	if (!json_object_is_type(root, json_type_object))
		return reader_refuse(reader, "", "not an object");
	version = member_get(root, "version");
	if (!json_object_is_type(version, json_type_int))
		return reader_refuse(reader, "version", "missing or not a number");
	if (json_object_get_int64(version) != SNAPSHOT_VERSION)
		return reader_refuse(reader, "version", "%lld, and this program reads %d",
				     (long long)json_object_get_int64(version), SNAPSHOT_VERSION);
	return 0;
}

int snapshot_parse(const char *data, size_t length, const char *path,
		   struct snapshot **ret_snapshot)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;
	_cleanup_(json_putp) struct json_object *root = NULL;
	struct reader reader = {.file = path};
	struct snapshot_fault fault;
	int err;

	text_init(&reader.where, reader.where_buffer, sizeof(reader.where_buffer));
	err = snapshot_new(&snapshot);
	if (err)
		return log_error(err, "%s: out of memory while reading routes", path);
	reader.snapshot = snapshot;
	err = json_parse(&reader, data, length, &root);
	if (!err)
		err = version_check(&reader, root);
	if (!err)
		err = record_from_json(&reader, &snapshot_table, root, snapshot);
	if (err)
		return err;
	if (!snapshot_check(snapshot, &fault))
		return reader_refuse(&reader, fault.member, "%s", fault.why);
	*ret_snapshot = TAKE_PTR(snapshot);
	return 0;
}

int snapshot_read(const char *path, struct snapshot **ret_snapshot)
{
	_cleanup_free_ char *data = NULL;
	size_t length;
	int err;

	err = file_read(path, SNAPSHOT_BYTES_MAX, &data, &length);
	if (err == -ENOENT)
		return err;
	if (err)
		return log_error(err, "%s: cannot read routes: %s; check the file's owner and mode",
				 path, strerror(-err));
	return snapshot_parse(data, length, path, ret_snapshot);
}
