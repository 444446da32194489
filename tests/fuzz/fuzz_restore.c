/* SPDX-License-Identifier: BSD-2-Clause */
/* The first line is the client's name, the rest an answer, taken for each format: the
 * same bytes come out however it is cut, and no more than was foretold.  Of JSON the
 * result is the same to json-c but for the names of models. */
#include <json-c/json.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "userspace/model/name.h"
#include "userspace/model/restore.h"
#include "userspace/model/scan.h"

#define NESTED_MAX 32 /* brackets, more than that json-c or the walk does not follow */

struct input {
	const char *name;
	size_t name_length;
	const char *data;
	size_t size;
};

/* malloc'd */
static struct text restored(const struct input *in, enum usage_format format, int whole)
{
	struct usage_observer observer;
	struct restore restore = {&observer, in->name, in->name_length};
	size_t most = restore_bytes_max(in->name_length, in->size), i, n;
	struct text out;
	uint64_t seed = in->size;

	must(restore_input_max(in->name_length, most) <= in->size + 11);
	text_init(&out, malloc(most + 1), most + 1);
	usage_observer_init(&observer, format);
	for (i = 0; i < in->size; i += n) {
		n = whole ? in->size : fuzz_piece(&seed, in->size - i);
		restore_feed(&restore, in->data + i, n, &out);
	}
	must(!out.cut);
	return out;
}

static int json_c_can_judge(const struct input *in)
{
	struct model_scan scan;
	struct model_facts facts;
	enum model_verdict verdict;
	size_t nested = 0, i;

	model_scan_init(&scan, &facts);
	model_scan_feed(&scan, in->data, in->size);
	verdict = model_scan_finish(&scan);
	for (i = 0; i < in->size; i++)
		nested += in->data[i] == '{' || in->data[i] == '[';
	return (verdict == MODEL_OK || verdict == MODEL_NONE) && nested <= NESTED_MAX &&
	       !memmem(in->data, in->size, "\\u", 2);
}

static struct json_object *parsed(const char *data, size_t size)
{
	struct json_tokener *tokener = json_tokener_new_ex(NESTED_MAX + 1);
	struct json_object *object = json_tokener_parse_ex(tokener, data, (int)size);

	json_tokener_free(tokener);
	must(json_object_is_type(object, json_type_object));
	return object;
}

static void model_set(struct json_object *object, const struct input *in)
{
	struct json_object *model;

	if (!json_object_is_type(object, json_type_object) ||
	    !json_object_object_get_ex(object, "model", &model) ||
	    !json_object_is_type(model, json_type_string))
		return;
	json_object_object_add(object, "model",
			       json_object_new_string_len(in->name, (int)in->name_length));
}

static void check_json_c_agrees(const struct input *in, const struct text *out)
{
	struct json_object *want = parsed(in->data, in->size);
	struct json_object *have = parsed(out->data, out->length);

	model_set(want, in);
	model_set(json_object_object_get(want, "message"), in);
	model_set(json_object_object_get(want, "response"), in);
	must(json_object_equal(want, have));
	json_object_put(want);
	json_object_put(have);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *data = (const char *)bytes, *line = memchr(data, '\n', size);
	struct input in = {.name = data, .name_length = line ? (size_t)(line - data) : 0};
	enum usage_format format;

	if (!line || model_name_check(in.name, in.name_length) != MODEL_OK)
		return 0;
	in.data = line + 1;
	in.size = size - in.name_length - 1;
	for (format = USAGE_FORMAT_OTHER; format <= USAGE_FORMAT_JSON; format++) {
		struct text whole = restored(&in, format, 1), cut = restored(&in, format, 0);

		must(whole.length == cut.length && !memcmp(whole.data, cut.data, cut.length));
		if (format == USAGE_FORMAT_JSON && json_c_can_judge(&in))
			check_json_c_agrees(&in, &whole);
		free(whole.data);
		free(cut.data);
	}
	return 0;
}
