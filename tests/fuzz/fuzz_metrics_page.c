// SPDX-License-Identifier: BSD-2-Clause
/* Any metrics page: the same sample however it is cut, and every signal in its
 * range or unknown. */
#include "tests/fuzz/fuzz.h"
#include "userspace/scrape/page.h"

static struct page_sample scan(const char *data, size_t size, int whole)
{
	static struct page page;
	struct page_sample sample;
	uint64_t seed = size;
	size_t i, n;

	page_init(&page);
	for (i = 0; i < size; i += n) {
		n = whole ? size : fuzz_piece(&seed, size - i);
		page_feed(&page, data + i, n);
	}
	page_end(&page, true, &sample);
	return sample;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct page_sample whole = scan((const char *)data, size, 1);
	struct page_sample cut = scan((const char *)data, size, 0);

	must(whole.outcome == cut.outcome && whole.bad_lines == cut.bad_lines);
	for (int i = 0; i < PAGE_SIGNAL_COUNT; i++) {
		must(whole.known[i] == cut.known[i] && whole.values[i] == cut.values[i]);
		must(whole.values[i] >= 0);
		must(whole.known[i] || whole.values[i] == 0);
	}
	must(whole.values[PAGE_KV] <= 1);
	return 0;
}
