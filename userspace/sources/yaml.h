/* SPDX-License-Identifier: BSD-2-Clause */
/* YAML (and so JSON) as a tree that remembers its lines: what Kubernetes
 * objects need of it, and nothing that a hostile file could use against us.
 *
 * Bounded in bytes, depth and nodes.  Anchors, aliases, tags, duplicate keys
 * and keys that are not plain words are refused.  Plain scalars are read by the
 * JSON schema (null, true, false, numbers), with YAML's empty and ~ for null;
 * everything else is a string.
 */
#ifndef SLUICE_SOURCES_YAML_H
#define SLUICE_SOURCES_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "userspace/base/arena.h"

#define YAML_BYTES_MAX (4u << 20)
#define YAML_DEPTH_MAX 64
#define YAML_NODES_MAX 1000000

enum node_type { NODE_NULL, NODE_BOOL, NODE_INT, NODE_FLOAT, NODE_STRING, NODE_LIST, NODE_MAP };

struct node {
	enum node_type type;
	uint32_t line; /* from 1 */
	bool boolean; /* BOOL */
	int64_t integer; /* INT */
	const char *text; /* every scalar as written; NUL-terminated, no NUL inside */
	size_t count; /* LIST, MAP */
	struct node **items; /* LIST; MAP: the values */
	const char **keys; /* MAP: in the order of the file, no two alike */
};

struct yaml_file {
	size_t count;
	struct node **documents; /* never NULL inside; an empty document is NODE_NULL */
	struct arena arena; /* owns all of it */
};

struct yaml_error {
	uint32_t line; /* from 1; 0: of the file as a whole */
	char text[200];
};

/* -EBADMSG with *ret_error filled, -ENOMEM.  Free with yaml_file_deinit(). */
int yaml_parse(const char *data, size_t length, struct yaml_file *ret_file,
	       struct yaml_error *ret_error);
void yaml_file_deinit(struct yaml_file *file);

/* The value of `key`, NULL when there is none or `map` is NULL or no MAP. */
const struct node *node_get(const struct node *map, const char *key);
/* "a list", "a number": for messages */
const char *node_type_name(enum node_type type);

#endif
