/* SPDX-License-Identifier: BSD-2-Clause */
/* The inner loop of the scanner: over the plain bytes of a JSON string. */
#ifndef SLUICE_MODEL_SKIP_H
#define SLUICE_MODEL_SKIP_H

#include <stdint.h>

/* First byte in [p, end) that is a quote, a backslash, a control character
 * (< 0x20) or not ASCII (>= 0x80); `end` when there is none. */
typedef const uint8_t *(*skip_plain)(const uint8_t *p, const uint8_t *end);

const uint8_t *skip_plain_scalar(const uint8_t *p, const uint8_t *end);
#ifdef __x86_64__
const uint8_t *skip_plain_sse2(const uint8_t *p, const uint8_t *end);
/* Only where the processor has AVX2. */
const uint8_t *skip_plain_avx2(const uint8_t *p, const uint8_t *end);
#endif

/* The fastest this processor can run. */
skip_plain skip_plain_best(void);

#endif
