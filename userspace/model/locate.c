// SPDX-License-Identifier: BSD-2-Clause
/* The path is decoded once, with an escaped slash kept apart from a real one by a
 * byte that no path may have.  It is compared with the table twice if it has one:
 * as servers do that split before they decode, and as those that decode first. */
#include "userspace/model/locate.h"

#include <string.h>

#include "userspace/base/ascii.h"
#include "userspace/model/name.h"

#define PATH_BYTES_MAX 2048
#define ESCAPED_SLASH '\x01'

struct path {
	char bytes[PATH_BYTES_MAX]; /* without the query */
	size_t length;
	bool has_escaped_slash;
};

/* One character; *index moves on past what it took. -1: a broken escape. */
static int char_decode(const char *path, size_t length, size_t *index)
{
	const char *p = path + *index;
	bool escape = *p == '%';

	if (escape &&
	    (length - *index < 3 || ascii_hex_value(p[1]) < 0 || ascii_hex_value(p[2]) < 0))
		return -1;
	*index += escape ? 3 : 1;
	return escape ? ascii_hex_value(p[1]) << 4 | ascii_hex_value(p[2]) : (unsigned char)*p;
}

enum decoding { DECODED, DECODED_BAD, DECODED_TOO_LONG };

static enum decoding path_decode(const char *raw, size_t length, struct path *path)
{
	size_t i = 0;

	path->length = 0;
	path->has_escaped_slash = false;
	while (i < length && raw[i] != '?') {
		bool escape = raw[i] == '%';
		int c = char_decode(raw, length, &i);

		if (c < 0x20 || c == 0x7f)
			return DECODED_BAD;
		if (path->length == PATH_BYTES_MAX)
			return DECODED_TOO_LONG;
		if (escape && c == '/') {
			path->has_escaped_slash = true;
			c = ESCAPED_SLASH;
		}
		path->bytes[path->length++] = (char)c;
	}
	return DECODED;
}

static bool is_separator(char c)
{
	return c == '/' || c == ESCAPED_SLASH;
}

static bool has_dot_segment(const struct path *path)
{
	const char *bytes = path->bytes;
	size_t begin = 0, i;

	for (i = 0; i <= path->length; i++) {
		if (i < path->length && !is_separator(bytes[i]))
			continue;
		if ((i - begin == 1 && bytes[begin] == '.') ||
		    (i - begin == 2 && bytes[begin] == '.' && bytes[begin + 1] == '.'))
			return true;
		begin = i + 1;
	}
	return false;
}

/* ---- one pattern ---- */

struct capture {
	const char *begin, *end; /* NULL: none */
};

/* What a pattern found; the captures point into the path. */
struct found {
	const struct path_row *row; /* NULL: nothing */
	const char *path; /* which the captures point into */
	struct capture model, version, label;
};

struct match {
	const char *pattern; /* what is left of it */
	const char *p, *end; /* what is left of the path */
	bool any_case;
};

static bool same_char(const struct match *m, char a, char b)
{
	return a == b || (m->any_case && ascii_lower(a) == ascii_lower(b));
}

/* What comes in the pattern after the marks of a capture's end. */
static char pattern_peek(const char *pattern)
{
	while (*pattern && strchr(">]}", *pattern))
		pattern++;
	return *pattern;
}

static bool segment_take(struct match *m)
{
	size_t left = (size_t)(m->end - m->p);
	const char *end = memchr(m->p, '/', left);

	end = end ? end : m->end;
	m->pattern++;
	if (pattern_peek(m->pattern) == ':')
		end = memrchr(m->p, ':', (size_t)(end - m->p));
	if (!end)
		return false;
	m->p = end; /* an empty one is refused by path_take() or is no model's */
	return true;
}

/* One or more segments, none of them empty. */
static bool rest_take(struct match *m)
{
	const char *p;

	if (m->p == m->end || *m->p == '/' || m->end[-1] == '/')
		return false;
	for (p = m->p + 1; p < m->end; p++)
		if (p[0] == '/' && p[-1] == '/')
			return false;
	m->p = m->end;
	m->pattern += 2;
	return true;
}

static bool digits_take(struct match *m)
{
	const char *begin = m->p;

	while (m->p < m->end && *m->p >= '0' && *m->p <= '9')
		m->p++;
	m->pattern++;
	return m->p > begin;
}

/* "(a|b)": the rest is one of them. */
static bool choice_take(struct match *m)
{
	const char *word = m->pattern + 1;
	size_t left = (size_t)(m->end - m->p);

	while (*word) {
		size_t length = strcspn(word, "|)"), i = 0;

		while (length == left && i < length && same_char(m, word[i], m->p[i]))
			i++;
		if (length == left && i == length) {
			m->p = m->end;
			m->pattern = strchr(word, ')') + 1;
			return true;
		}
		word += length + 1;
	}
	return false;
}

static bool capture_mark(struct match *m, struct found *found)
{
	switch (*m->pattern++) {
	case '<': found->model.begin = m->p; break;
	case '>': found->model.end = m->p; break;
	case '[': found->version.begin = m->p; break;
	case ']': found->version.end = m->p; break;
	case '{': found->label.begin = m->p; break;
	default: found->label.end = m->p; break;
	}
	return true;
}

static bool literal_take(struct match *m)
{
	if (m->p == m->end || !same_char(m, *m->pattern, *m->p))
		return false;
	m->pattern++;
	m->p++;
	return true;
}

static bool pattern_step(struct match *m, struct found *found)
{
	switch (*m->pattern) {
	case '*': return m->pattern[1] == '*' ? rest_take(m) : segment_take(m);
	case '#': return digits_take(m);
	case '(': return choice_take(m);
	case '<':
	case '>':
	case '[':
	case ']':
	case '{':
	case '}': return capture_mark(m, found);
	default: return literal_take(m);
	}
}

static bool pattern_matches(const struct path_row *row, const char *path, size_t length,
			    struct found *found)
{
	struct match m = {row->pattern, path, path + length, row->flags & PATH_ANY_CASE};

	*found = (struct found){.row = row, .path = path};
	while (*m.pattern)
		if (!pattern_step(&m, found))
			return false;
	return m.p == m.end || (row->flags & PATH_BELOW && *m.p == '/');
}

/* "/a/b" before a path of the table: whole segments, none of them empty. */
static bool is_prefix(const char *path, size_t length)
{
	size_t i;

	if (!length)
		return true;
	for (i = 1; i < length; i++)
		if (path[i] == '/' && path[i - 1] == '/')
			return false;
	return path[0] == '/' && path[length - 1] != '/';
}

static bool suffix_matches(const struct path_row *row, const char *path, size_t length,
			   struct found *found)
{
	size_t row_length = strlen(row->pattern);

	*found = (struct found){.row = row};
	return length >= row_length &&
	       !memcmp(path + length - row_length, row->pattern, row_length) &&
	       is_prefix(path, length - row_length);
}

static struct found table_look(const char *method, size_t method_length, const char *path,
			       size_t length)
{
	struct found found;
	size_t i;

	for (i = 0; i < path_table_count; i++) {
		const struct path_row *row = &path_table[i];

		if (row->method && (method_length != strlen(row->method) ||
				    memcmp(method, row->method, method_length)))
			continue;
		if (row->flags & PATH_ANYWHERE ? suffix_matches(row, path, length, &found)
					       : pattern_matches(row, path, length, &found))
			return found;
	}
	return (struct found){0};
}

/* ---- both readings of a path ---- */

static bool same_capture(struct capture a, struct capture b)
{
	size_t length = (size_t)(a.end - a.begin), i;

	if (length != (size_t)(b.end - b.begin))
		return false;
	for (i = 0; i < length; i++)
		if (a.begin[i] != b.begin[i] &&
		    !(is_separator(a.begin[i]) && is_separator(b.begin[i])))
			return false;
	return true;
}

static bool same_meaning(const struct found *a, const struct found *b)
{
	return a->row->place == b->row->place && same_capture(a->model, b->model) &&
	       same_capture(a->version, b->version) && same_capture(a->label, b->label);
}

/* False: servers would read it in different ways. */
static bool path_look(const char *method, size_t method_length, const struct path *path,
		      char whole[PATH_BYTES_MAX], struct found *ret_found)
{
	struct found split = table_look(method, method_length, path->bytes, path->length), joined;
	size_t i;

	*ret_found = split;
	if (!path->has_escaped_slash)
		return true;
	for (i = 0; i < path->length; i++)
		whole[i] = is_separator(path->bytes[i]) ? '/' : path->bytes[i];
	joined = table_look(method, method_length, whole, path->length);
	if (!split.row)
		*ret_found = joined;
	return !split.row || !joined.row || same_meaning(&split, &joined);
}

static void version_keep(struct model_facts *facts, struct capture from)
{
	size_t length = (size_t)(from.end - from.begin);

	memcpy(facts->version, from.begin, length);
	facts->version[length] = '\0';
}

/* Where a character of the decoded path begins in the path as it came. */
static size_t raw_offset(const char *raw, size_t length, size_t index)
{
	size_t at = 0;

	while (index--)
		char_decode(raw, length, &at);
	return at;
}

/* What was found goes into the facts; false: it is no model or version. */
static bool found_keep(const struct found *found, struct model_facts *facts)
{
	struct capture version = found->label.begin ? found->label : found->version;
	struct model_name name;
	const char *p;

	if (found->row->place != MODEL_PLACE_PATH)
		return true;
	model_name_begin(&name, facts);
	for (p = found->model.begin; p < found->model.end; p++)
		model_name_append(&name, *p == ESCAPED_SLASH ? "/" : p, 1);
	if (model_name_judge(&name) != MODEL_OK)
		return false;
	if (!version.begin)
		return true;
	if (version.begin == version.end || version.end - version.begin > MODEL_VERSION_MAX ||
	    memchr(version.begin, ESCAPED_SLASH, (size_t)(version.end - version.begin)))
		return false;
	facts->version_is_label = found->label.begin != NULL;
	version_keep(facts, version);
	return true;
}

enum model_place model_locate(const char *method, size_t method_length, const char *raw,
			      size_t raw_length, struct model_facts *facts,
			      const struct path_row **ret_row)
{
	char whole[PATH_BYTES_MAX];
	struct path path;
	struct found found;

	model_facts_reset(facts);
	*ret_row = NULL;
	switch (path_decode(raw, raw_length, &path)) {
	case DECODED_BAD: return MODEL_PLACE_BAD;
	case DECODED_TOO_LONG: return MODEL_PLACE_NONE; /* than any path of the table */
	case DECODED: break;
	}
	if (has_dot_segment(&path) || !path_look(method, method_length, &path, whole, &found))
		return MODEL_PLACE_BAD;
	if (!found.row)
		return MODEL_PLACE_NONE;
	if (!found_keep(&found, facts)) {
		model_facts_reset(facts);
		return MODEL_PLACE_BAD;
	}
	*ret_row = found.row;
	if (found.row->place == MODEL_PLACE_PATH) {
		facts->name_begin =
			raw_offset(raw, raw_length, (size_t)(found.model.begin - found.path));
		facts->name_end =
			raw_offset(raw, raw_length, (size_t)(found.model.end - found.path));
	}
	return found.row->place;
}
