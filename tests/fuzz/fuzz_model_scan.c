/* SPDX-License-Identifier: BSD-2-Clause */
/* Any body: one verdict and the same facts however it is cut; what we accept,
 * json-c accepts, and it sees the same model. */
#include <json-c/json.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "userspace/model/scan.h"

static enum model_verdict scan(const char *data, size_t size, int whole, struct model_facts *facts)
{
	struct model_scan scan;
	uint64_t seed = size;
	size_t i, n;

	model_scan_init(&scan, facts);
	for (i = 0; i < size; i += n) {
		n = whole ? size : fuzz_piece(&seed, size - i);
		model_scan_feed(&scan, data + i, n);
	}
	return model_scan_finish(&scan);
}

/* json-c keeps keys as C strings, so a key with U+0000 in it is another key
 * there; it is not asked then. */
static int json_c_can_judge(const char *data, size_t size)
{
	return !memmem(data, size, "\\u0000", 6);
}

static void check_json_c_agrees(const char *data, size_t size, enum model_verdict verdict,
				const struct model_facts *facts)
{
	struct json_tokener *tokener = json_tokener_new_ex(MODEL_DEPTH_MAX + 1);
	struct json_object *object, *model = NULL;

	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, data, (int)size);
	must(json_tokener_get_error(tokener) == json_tokener_success);
	must(json_object_is_type(object, json_type_object));
	must(json_object_object_get_ex(object, "model", &model) == (verdict == MODEL_OK));
	if (verdict == MODEL_OK) {
		must(json_object_is_type(model, json_type_string));
		must((size_t)json_object_get_string_len(model) == facts->name_length);
		must(!memcmp(json_object_get_string(model), facts->name, facts->name_length));
	}
	json_object_put(object);
	json_tokener_free(tokener);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *data = (const char *)bytes;
	struct model_facts facts, cut_facts;
	enum model_verdict verdict = scan(data, size, 1, &facts);

	must(scan(data, size, 0, &cut_facts) == verdict);
	must(facts.name_length == cut_facts.name_length && facts.stream == cut_facts.stream &&
	     facts.max_tokens == cut_facts.max_tokens && facts.text_bytes == cut_facts.text_bytes);
	must(!strcmp(facts.name, cut_facts.name));
	must(facts.name_length <= MODEL_NAME_MAX && facts.text_bytes <= 5 * size);
	must((verdict == MODEL_OK) == (facts.name_length > 0));
	if ((verdict == MODEL_OK || verdict == MODEL_NONE) && json_c_can_judge(data, size))
		check_json_c_agrees(data, size, verdict, &facts);
	return 0;
}
