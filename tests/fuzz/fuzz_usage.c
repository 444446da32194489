/* SPDX-License-Identifier: BSD-2-Clause */
/* Any answer, taken for each format: the same reading however it is cut. */
#include "tests/fuzz/fuzz.h"
#include "userspace/model/usage.h"

static struct usage observe(enum usage_format format, const char *data, size_t size, int whole)
{
	struct usage_observer observer;
	struct usage usage;
	uint64_t seed = size;
	size_t i, n;

	usage_observer_init(&observer, format);
	for (i = 0; i < size; i += n) {
		n = whole ? size : fuzz_piece(&seed, size - i);
		usage_observer_feed(&observer, data + i, n);
	}
	usage_observer_finish(&observer, &usage);
	return usage;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum usage_format format;

	for (format = USAGE_FORMAT_OTHER; format <= USAGE_FORMAT_JSON; format++) {
		struct usage whole = observe(format, (const char *)data, size, 1);
		struct usage cut = observe(format, (const char *)data, size, 0);

		must(whole.prompt_tokens == cut.prompt_tokens && whole.prompt_tokens >= -1);
		must(whole.completion_tokens == cut.completion_tokens &&
		     whole.completion_tokens >= -1);
		must(whole.cached_tokens == cut.cached_tokens && whole.cached_tokens >= -1);
		must(whole.data_events == cut.data_events && whole.data_events <= size);
		must(whole.done == cut.done && whole.error == cut.error);
	}
	return 0;
}
