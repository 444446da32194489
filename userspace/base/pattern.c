// SPDX-License-Identifier: BSD-2-Clause
/* regcomp() unrolls x{n,m} before it builds its automaton, so nested counts
 * would eat memory, and back-references make regexec() exponential: both are
 * looked for here before the library sees the text.  The text is then wrapped
 * as ^(text)$; a closing bracket too many would end that group early and is
 * refused for it. */
#include "userspace/base/pattern.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/cleanup.h"

#define UNROLLED_MAX 65536 /* length of the text times all its counts */
#define DEPTH_MAX 64

struct pattern_scan {
	unsigned long length;
	unsigned long repeats; /* product of all counts */
	unsigned int depth; /* open groups */
	const char *why;
};

/* `p` is at '\'; letters and digits mean different things in different dialects. */
static const char *escape_skip(struct pattern_scan *scan, const char *p)
{
	if (!p[1])
		scan->why = "it ends with a backslash";
	else if (isdigit((unsigned char)p[1]))
		scan->why = "back-references (\\1) are not supported";
	else if (isalpha((unsigned char)p[1]) && !strchr("wWsS", p[1]))
		scan->why =
			"this escape is not POSIX extended syntax: write [0-9] for \\d, and so on";
	return p[1] ? p + 2 : p + 1;
}

/* `p` is at '['; returns behind the closing ']'. */
static const char *bracket_skip(struct pattern_scan *scan, const char *p)
{
	p++;
	if (*p == '^')
		p++;
	if (*p == ']')
		p++;
	while (*p && *p != ']') {
		if (*p == '[' && p[1] && strchr(":.=", p[1])) {
			const char kind = p[1];

			for (p += 2; *p && !(*p == kind && p[1] == ']'); p++)
				;
			if (!*p)
				break;
			p++;
		}
		p++;
	}
	if (*p)
		return p + 1;
	scan->why = "a '[' is not closed";
	return p;
}

/* `p` is at '{'; the larger number counts. */
static const char *count_skip(struct pattern_scan *scan, const char *p)
{
	unsigned long largest = 1;

	for (p++; *p && *p != '}';) {
		char *end;

		if (!isdigit((unsigned char)*p)) {
			p++;
			continue;
		}
		unsigned long n = strtoul(p, &end, 10);

		largest = n > largest ? n : largest;
		p = end;
	}
	if (largest > UNROLLED_MAX || scan->repeats * largest * scan->length > UNROLLED_MAX)
		scan->why = "its length times its repetition counts is more than 65536";
	else
		scan->repeats *= largest;
	return p;
}

static const char *pattern_check(const char *text)
{
	struct pattern_scan scan = {.length = strlen(text), .repeats = 1};

	for (const char *p = text; *p && !scan.why;) {
		if (*p == '\\') {
			p = escape_skip(&scan, p);
			continue;
		}
		if (*p == '[') {
			p = bracket_skip(&scan, p);
			continue;
		}
		if (*p == '{') {
			p = count_skip(&scan, p);
			continue;
		}
		if (*p == '(' && p[1] == '?')
			scan.why = "groups with (? are not POSIX extended syntax";
		else if (*p == '(' && ++scan.depth > DEPTH_MAX)
			scan.why = "its groups are nested more than 64 deep";
		else if (*p == ')' && scan.depth-- == 0)
			scan.why = "a ')' closes nothing";
		p++;
	}
	if (!scan.why && scan.depth)
		scan.why = "a '(' is not closed";
	return scan.why;
}

int pattern_compile(const char *text, regex_t *ret_regex, char ret_why[PATTERN_WHY_MAX])
{
	_cleanup_free_ char *wrapped = NULL;
	const char *why;
	int err;

	why = strlen(text) > PATTERN_LENGTH_MAX ? "it is longer than 1024 bytes"
						: pattern_check(text);
	if (why) {
		snprintf(ret_why, PATTERN_WHY_MAX, "%s", why);
		return -EINVAL;
	}
	if (asprintf(&wrapped, "^(%s)$", text) < 0) {
		wrapped = NULL;
		snprintf(ret_why, PATTERN_WHY_MAX, "out of memory");
		return -ENOMEM;
	}
	err = regcomp(ret_regex, wrapped, REG_EXTENDED | REG_NOSUB);
	if (err) {
		regerror(err, ret_regex, ret_why, PATTERN_WHY_MAX);
		return -EINVAL;
	}
	return 0;
}
