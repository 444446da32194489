/* SPDX-License-Identifier: BSD-2-Clause */
/* Megabytes of base64 in one string are the common case, so 16 or 32 bytes are
 * judged at once.  Compared as signed bytes, "below 0x20" is true for control
 * characters and for everything beyond ASCII: three compares say it all.
 * Loads never leave [p, end).
 */
#include "userspace/model/skip.h"

#include <stdbool.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

static bool is_special(uint8_t c)
{
	return c == '"' || c == '\\' || c < 0x20 || c >= 0x80;
}

const uint8_t *skip_plain_scalar(const uint8_t *p, const uint8_t *end)
{
	while (p < end && !is_special(*p))
		p++;
	return p;
}

#ifdef __x86_64__

const uint8_t *skip_plain_sse2(const uint8_t *p, const uint8_t *end)
{
	const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
	const __m128i space = _mm_set1_epi8(0x20);

	for (; end - p >= 16; p += 16) {
		__m128i bytes = _mm_loadu_si128((const __m128i *)p);
		__m128i special = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote),
							    _mm_cmpeq_epi8(bytes, backslash)),
					       _mm_cmpgt_epi8(space, bytes));
		unsigned mask = (unsigned)_mm_movemask_epi8(special);

		if (mask)
			return p + __builtin_ctz(mask);
	}
	return skip_plain_scalar(p, end);
}

__attribute__((target("avx2"))) const uint8_t *skip_plain_avx2(const uint8_t *p, const uint8_t *end)
{
	const __m256i quote = _mm256_set1_epi8('"'), backslash = _mm256_set1_epi8('\\');
	const __m256i space = _mm256_set1_epi8(0x20);

	for (; end - p >= 32; p += 32) {
		__m256i bytes = _mm256_loadu_si256((const __m256i *)p);
		__m256i special =
			_mm256_or_si256(_mm256_or_si256(_mm256_cmpeq_epi8(bytes, quote),
							_mm256_cmpeq_epi8(bytes, backslash)),
					_mm256_cmpgt_epi8(space, bytes));
		unsigned mask = (unsigned)_mm256_movemask_epi8(special);

		if (mask)
			return p + __builtin_ctz(mask);
	}
	return skip_plain_sse2(p, end);
}

skip_plain skip_plain_best(void)
{
	return __builtin_cpu_supports("avx2") ? skip_plain_avx2 : skip_plain_sse2;
}

#else

skip_plain skip_plain_best(void)
{
	return skip_plain_scalar;
}

#endif
