/* SPDX-License-Identifier: BSD-2-Clause */
/* Regular expressions out of configuration: POSIX extended, matched against the
 * whole text, and bounded, so that no expression can take the gateway's memory
 * or time. */
#ifndef SLUICE_BASE_PATTERN_H
#define SLUICE_BASE_PATTERN_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#define PATTERN_LENGTH_MAX 1024
#define PATTERN_WHY_MAX 128

/* -EINVAL with the reason in words.  Refused beside syntax errors: more than
 * PATTERN_LENGTH_MAX bytes, repetition counts that would unroll it to more than
 * 65536, back-references, and escapes of other dialects (\d).  Free with regfree(). */
int pattern_compile(const char *text, regex_t *ret_regex, char ret_why[PATTERN_WHY_MAX]);

/* Does all of `text` match? */
static inline bool pattern_matches(const regex_t *regex, const char *text)
{
	return regexec(regex, text, 0, NULL, 0) == 0;
}

#endif
