/* SPDX-License-Identifier: BSD-2-Clause */
/* A method, a blank and a path: a name is found only where a path names a model,
 * a query changes nothing, and neither does escaping every byte but slashes. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "userspace/model/locate.h"

#define PATH_BYTES_MAX 600

static void check_same(const char *method, size_t method_length, const char *path, size_t length,
		       enum model_place place, const struct model_facts *facts)
{
	struct model_facts again;
	const struct path_row *row;

	must(model_locate(method, method_length, path, length, &again, &row) == place);
	must(again.name_length == facts->name_length && !strcmp(again.name, facts->name));
	must(!strcmp(again.version, facts->version) &&
	     again.version_is_label == facts->version_is_label);
}

static void check_escaped(const char *method, size_t method_length, const char *path, size_t length,
			  enum model_place place, const struct model_facts *facts)
{
	char escaped[3 * PATH_BYTES_MAX];
	size_t n = 0, i;

	for (i = 0; i < length; i++) {
		if (path[i] == '/')
			escaped[n++] = '/';
		else
			n += (size_t)snprintf(escaped + n, 4, "%%%02X", (unsigned char)path[i]);
	}
	check_same(method, method_length, escaped, n, place, facts);
}

static void check_query(const char *method, size_t method_length, const char *path, size_t length,
			enum model_place place, const struct model_facts *facts)
{
	static const char query[] = "?model=x/../%zz";
	char longer[PATH_BYTES_MAX + sizeof(query)];

	memcpy(longer, path, length);
	memcpy(longer + length, query, sizeof(query) - 1);
	check_same(method, method_length, longer, length + sizeof(query) - 1, place, facts);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *method = (const char *)bytes, *blank = memchr(method, ' ', size), *path;
	size_t method_length = blank ? (size_t)(blank - method) : 0, length;
	const struct path_row *row;
	struct model_facts facts;
	enum model_place place;

	if (!blank)
		return 0;
	path = blank + 1;
	length = size - method_length - 1;
	place = model_locate(method, method_length, path, length, &facts, &row);
	must((place == MODEL_PLACE_PATH) == (facts.name_length > 0));
	must(place == MODEL_PLACE_PATH || !facts.version[0]);
	must((place != MODEL_PLACE_NONE && place != MODEL_PLACE_BAD) == (row != NULL));
	if (length >= PATH_BYTES_MAX)
		return 0;
	check_query(method, method_length, path, length, place, &facts);
	if (!memchr(path, '%', length) && !memchr(path, '?', length) && place != MODEL_PLACE_BAD)
		check_escaped(method, method_length, path, length, place, &facts);
	return 0;
}
