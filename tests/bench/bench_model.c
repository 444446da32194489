// SPDX-License-Identifier: BSD-2-Clause
/* What it costs to find the model in a chat body: our scanner over the whole
 * body, in the 16 KiB reads of a proxy, beside json-c, which a C program would
 * take instead.  Both see the same bytes in the same run, one after the other. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/rows.h"
#include "userspace/base/clock.h"
#include "userspace/model/scan.h"

#define REPEATS 301
#define READ_BYTES 16384

static void fail(const char *what)
{
	fprintf(stderr, "bench_model: %s\n", what);
	exit(1);
}

/* A chat body of about `size` bytes; *ret_length is its length. */
static char *body_make(size_t size, bool model_last, size_t *ret_length)
{
	static const char words[] = "The quick brown fox said \\\"hello\\\" to 3 lazy dogs. ";
	static const char model[] = "\"model\":\"gemma-3-27b-it\"";
	char *body = malloc(size + 256);
	size_t length;

	if (!body)
		fail("out of memory");
	length = (size_t)sprintf(body, "{%s%s\"messages\":[{\"role\":\"user\",\"content\":\"",
				 model_last ? "" : model, model_last ? "" : ",");
	while (length + sizeof(words) < size) {
		memcpy(body + length, words, sizeof(words) - 1);
		length += sizeof(words) - 1;
	}
	length += (size_t)sprintf(body + length, "\"}]%s%s}", model_last ? "," : "",
				  model_last ? model : "");
	*ret_length = length;
	return body;
}

static void ours(const char *body, size_t length)
{
	static struct model_scan scan;
	static struct model_facts facts;

	model_scan_init(&scan, &facts);
	for (size_t at = 0; at < length; at += READ_BYTES)
		model_scan_feed(&scan, body + at,
				length - at < READ_BYTES ? length - at : READ_BYTES);
	if (model_scan_finish(&scan) != MODEL_OK || strcmp(facts.name, "gemma-3-27b-it"))
		fail("the scanner did not find the model");
}

static void theirs(const char *body, size_t length)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *root = json_tokener_parse_ex(tokener, body, (int)length);
	struct json_object *model;

	if (!json_object_object_get_ex(root, "model", &model) ||
	    strcmp(json_object_get_string(model), "gemma-3-27b-it"))
		fail("json-c did not find the model");
	json_object_put(root);
	json_tokener_free(tokener);
}

static double time_us(void (*find)(const char *, size_t), const char *body, size_t length)
{
	uint64_t began = clock_monotonic_ns();

	find(body, length);
	return (double)(clock_monotonic_ns() - began) / NS_PER_US;
}

static void row_run(const char *name, size_t size, bool model_last)
{
	double values[REPEATS], peer_values[REPEATS];
	struct bench_row row = {
		.bench = "model",
		.row = name,
		.unit = "us",
		.values = values,
		.count = REPEATS,
		.peer = "json-c",
		.peer_values = peer_values,
	};
	size_t length;
	char *body;

	if (!bench_wants(name))
		return;
	body = body_make(size, model_last, &length);
	for (size_t i = 0; i < REPEATS; i++) {
		values[i] = time_us(ours, body, length);
		peer_values[i] = time_us(theirs, body, length);
	}
	bench_print(&row);
	free(body);
}

int main(void)
{
	row_run("scan_1k", 1 << 10, false);
	row_run("scan_32k", 32 << 10, false);
	row_run("scan_32k_last", 32 << 10, true);
	row_run("scan_1m_last", 1 << 20, true);
	return 0;
}
