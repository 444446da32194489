/* SPDX-License-Identifier: BSD-2-Clause */
/* A routes snapshot: what is accepted says the same again after being written. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "userspace/base/log.h"
#include "userspace/publish/snapshot.h"

static void quiet(enum log_level level, const char *text)
{
	(void)level;
	(void)text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snapshot *first, *second;
	char *once, *twice;
	size_t length;

	log_sink = quiet;
	if (snapshot_parse((const char *)data, size, "input", &first))
		return 0;
	must(snapshot_format(first, &once, &length) == 0);
	must(snapshot_parse(once, length, "written", &second) == 0);
	must(snapshot_format(second, &twice, &length) == 0);
	must(strcmp(once, twice) == 0);
	free(once);
	free(twice);
	snapshot_free(first);
	snapshot_free(second);
	return 0;
}
