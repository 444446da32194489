/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables that say which fields of an object are read, and how; private to
 * object*.c. */
#ifndef SLUICE_SOURCES_OBJECT_TABLE_H
#define SLUICE_SOURCES_OBJECT_TABLE_H

#include "userspace/base/text.h"
#include "userspace/sources/object.h"

enum field_type {
	FIELD_STRING, /* const char * */
	FIELD_INT, /* int64_t, min to max */
	FIELD_BOOL, /* bool */
	FIELD_PRESENT, /* bool: is there anything? */
	FIELD_DURATION, /* int64_t milliseconds, GEP-2257 */
	FIELD_LABELS, /* struct labels */
	FIELD_STRINGS, /* array of const char *, count at count_offset */
	FIELD_INTS, /* array of int64_t within 32 bits, count at count_offset */
	FIELD_STRUCT, /* inline, by sub */
	FIELD_LIST, /* array of structs, by sub */
};

/* NULL: fine; else what is wrong, in words. */
typedef const char *(*text_check)(const char *text);

struct field {
	const char *path; /* member names joined by dots; NULL ends a table */
	enum field_type type;
	bool required;
	size_t offset, count_offset;
	int64_t min, max; /* numbers; max also: longest list */
	int64_t number; /* default */
	const char *text; /* default */
	const char *const *words; /* the only ones allowed */
	text_check check;
	const struct table *sub;
};

struct table {
	size_t size;
	size_t line_offset; /* of a uint32_t; SIZE_MAX: none */
	const struct field *fields;
};

/* What is wrong with an object as a whole; path "" for the object itself. */
struct object_fault {
	char path[160];
	uint32_t line; /* 0: the object's */
	char why[200];
};

struct kind_row {
	const char *name;
	const char *groups[3];
	const char *versions[4];
	bool namespaced;
	const struct table *table; /* NULL: only metadata is read */
	/* Should it be decoded at all?  NULL: yes. */
	bool (*wanted)(const struct object *object);
	/* Beyond the table; true: fine. */
	bool (*check)(const struct object *object, struct object_fault *ret_fault);
};

extern const struct kind_row kind_rows[KIND_COUNT];
/* v1alpha2 of InferencePool has another shape, the same struct */
extern const struct table inference_pool_old_table;
/* Known kinds that nothing is done with yet; NULL-terminated. */
extern const char *const ignored_kinds[];

/* object_text.c: checks of single strings, and two that become numbers */
const char *text_check_name(const char *text); /* of an object */
const char *text_check_hostname(const char *text); /* "*." may lead */
const char *text_check_header(const char *text); /* RFC 9110 token */
const char *text_check_header_edit(const char *text); /* a header that filters may edit */
const char *text_check_value(const char *text); /* no control characters */
const char *text_check_path(const char *text); /* begins with / */
const char *text_check_host(const char *text); /* no "*." */
const char *text_check_not_empty(const char *text);
const char *text_check_model(const char *text); /* a model's name */
const char *text_check_origin(const char *text); /* of CORS: "*" may be its host, or lead it */
/* "1h30m", "500ms"; -EINVAL */
int duration_parse(const char *text, int64_t *ret_ms);
/* RFC 3339 to seconds since 1970; -EINVAL */
int time_parse(const char *text, uint64_t *ret_seconds);

/* object_check.c */
bool gateway_check(const struct object *object, struct object_fault *ret_fault);
bool http_route_check(const struct object *object, struct object_fault *ret_fault);
bool inference_pool_check(const struct object *object, struct object_fault *ret_fault);
bool pool_rewrite_check(const struct object *object, struct object_fault *ret_fault);
bool health_check_policy_check(const struct object *object, struct object_fault *ret_fault);
bool backend_policy_check(const struct object *object, struct object_fault *ret_fault);

#endif
