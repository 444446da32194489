/* SPDX-License-Identifier: BSD-2-Clause */
/* The first line is a Content-Type's value, the rest a form: one verdict and the
 * same name however it is cut; a name that is found stands in the form as the
 * whole content of a part. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "userspace/model/form.h"

struct input {
	const char *type;
	size_t type_length;
	const char *body;
	size_t length;
};

static enum model_verdict scan(const struct input *in, int whole, struct model_facts *facts)
{
	struct model_form form;
	uint64_t seed = in->length;
	size_t i, n;

	model_form_init(&form, facts, in->type, in->type_length);
	for (i = 0; i < in->length; i += n) {
		n = whole ? in->length : fuzz_piece(&seed, in->length - i);
		model_form_feed(&form, in->body + i, n);
	}
	return model_form_finish(&form);
}

/* Blank line, name, CRLF, delimiter. */
static void check_name_is_there(const struct input *in, const struct model_facts *facts)
{
	char part[4 + MODEL_NAME_MAX + 4 + FORM_BOUNDARY_MAX];
	const char *boundary;
	size_t length, at = 0;

	must(form_boundary_find(in->type, in->type_length, &boundary, &length) == MODEL_OK);
	must(length && length <= FORM_BOUNDARY_MAX);
	memcpy(part, "\r\n\r\n", 4);
	memcpy(part + 4, facts->name, facts->name_length);
	at = 4 + facts->name_length;
	memcpy(part + at, "\r\n--", 4);
	memcpy(part + at + 4, boundary, length);
	must(memmem(in->body, in->length, part, at + 4 + length));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *data = (const char *)bytes, *line = memchr(data, '\n', size);
	struct input in = {.type = data, .type_length = line ? (size_t)(line - data) : size};
	struct model_facts facts, cut_facts;
	enum model_verdict verdict;

	in.body = data + in.type_length + (line != NULL);
	in.length = size - (size_t)(in.body - data);
	verdict = scan(&in, 1, &facts);
	must(scan(&in, 0, &cut_facts) == verdict);
	must(!strcmp(facts.name, cut_facts.name) && facts.name_length == cut_facts.name_length);
	must((verdict == MODEL_OK) == (facts.name_length > 0));
	if (verdict == MODEL_OK)
		check_name_is_there(&in, &facts);
	return 0;
}
