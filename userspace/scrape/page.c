// SPDX-License-Identifier: BSD-2-Clause
/* One state machine over bytes.  A line is looked into only while it may still
 * be one of ours; at its end the sample goes into a small table of series, and
 * page_end() adds the table up.  Label values are hashed, not kept: a server
 * that made two series collide would only misreport itself. */
#include "userspace/scrape/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/jitter.h"

/* Where the next byte of the line belongs. */
enum place {
	LINE_START,
	LINE_FOREIGN, /* a comment or another family: skip to the end */
	LINE_BAD, /* does not parse: counted, skip to the end */
	NAME,
	NAME_END, /* blanks before { or the value */
	QUOTED_NAME, /* {"vllm:num_requests_running",...} */
	LABEL_START,
	LABEL_NAME,
	LABEL_EQUALS,
	LABEL_QUOTE,
	LABEL_VALUE,
	LABEL_ESCAPE,
	LABEL_END,
	VALUE_START,
	VALUE,
	TAIL, /* after the value */
	TIMESTAMP,
	EXEMPLAR,
};

/* Labels that mean something to us; any other only tells series apart. */
enum label { LABEL_OTHER, LABEL_RANK, LABEL_PRIORITY, LABEL_BLOCKS, LABEL_BLOCK_TOKENS };

static const struct {
	const char *name; /* with `:` as `_` and without `ray_` */
	enum page_signal signal;
} families[] = {
	{"vllm_num_requests_waiting", PAGE_WAITING}, {"vllm_num_requests_running", PAGE_RUNNING},
	{"vllm_kv_cache_usage_perc", PAGE_KV},	     {"vllm_gpu_cache_usage_perc", PAGE_KV_OLD},
	{"vllm_cache_config_info", PAGE_BLOCKS},
};

static const struct {
	const char *name;
	enum label label;
} labels[] = {
	{"engine", LABEL_RANK},
	{"dp_rank", LABEL_RANK},
	{"WorkerId", LABEL_RANK}, /* Ray: one a replica */
	{"priority", LABEL_PRIORITY},
	{"num_gpu_blocks", LABEL_BLOCKS},
	{"block_size", LABEL_BLOCK_TOKENS},
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
}

static bool is_name(char c)
{
	return is_name_start(c) || is_digit(c);
}

/* ---- one line ---- */

static void line_begin(struct page *page)
{
	page->place = LINE_START;
	page->named = false;
	page->not_total = false;
	page->name_length = 0;
	page->text_length = 0;
	page->series_hash = 0;
	page->group_hash = 0;
	page->blocks = -1;
	page->block_tokens = -1;
}

static void name_push(struct page *page, char c)
{
	if (page->name_length >= PAGE_NAME_MAX) {
		page->place = LINE_FOREIGN;
		return;
	}
	page->name[page->name_length++] = c == ':' ? '_' : c;
}

/* The name is whole: ours or not? */
static void name_finish(struct page *page, enum place next)
{
	const char *name = page->name;
	size_t length = page->name_length;

	if (length > 4 && memcmp(name, "ray_", 4) == 0) {
		name += 4;
		length -= 4;
	}
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		if (strlen(families[i].name) == length &&
		    memcmp(families[i].name, name, length) == 0) {
			page->family = (uint8_t)i;
			page->named = true;
			page->place = (uint8_t)next;
			return;
		}
	}
	page->place = LINE_FOREIGN;
}

/* FNV-1a; mixed when the pair is whole. */
static void pair_push(struct page *page, char c)
{
	page->pair_hash = (page->pair_hash ^ (unsigned char)c) * 0x100000001b3ull;
}

static void text_push(struct page *page, char c)
{
	if (page->text_length < PAGE_VALUE_MAX)
		page->text[page->text_length++] = c;
}

static void label_begin(struct page *page)
{
	page->place = LABEL_NAME;
	page->label_length = 0;
	page->pair_hash = 0xcbf29ce484222325ull;
}

static void label_push(struct page *page, char c)
{
	pair_push(page, c);
	if (page->label_length < PAGE_LABEL_MAX)
		page->label_name[page->label_length++] = c;
}

static void label_name_finish(struct page *page)
{
	page->label = LABEL_OTHER;
	for (size_t i = 0; i < ARRAY_SIZE(labels); i++) {
		if (strlen(labels[i].name) == page->label_length &&
		    memcmp(labels[i].name, page->label_name, page->label_length) == 0)
			page->label = labels[i].label;
	}
	pair_push(page, '=');
	page->text_length = 0;
}

/* A whole number as a label says it, or -1 ("None" is one of the answers). */
static double text_count(const struct page *page)
{
	double number = 0;

	if (page->text_length == 0 || page->text_length > 10)
		return -1;
	for (size_t i = 0; i < page->text_length; i++) {
		if (!is_digit(page->text[i]))
			return -1;
		number = number * 10 + (page->text[i] - '0');
	}
	return number;
}

static void label_value_finish(struct page *page)
{
	uint64_t hash = jitter_mix(page->pair_hash);

	page->series_hash += hash;
	switch (page->label) {
	case LABEL_RANK: page->group_hash += hash; break;
	case LABEL_PRIORITY: page->not_total |= page->text_length > 0; break;
	case LABEL_BLOCKS: page->blocks = text_count(page); break;
	case LABEL_BLOCK_TOKENS: page->block_tokens = text_count(page); break;
	default: break;
	}
	page->place = LABEL_END;
}

/* ---- what a line leaves behind ---- */

/* Decimal digits with one point and an exponent, or NaN and Inf; strtod alone
 * would take hexadecimal and "infinity" too. */
static bool float_is_plain(const char *text)
{
	bool digits = false;

	text += *text == '+' || *text == '-';
	if (strcmp(text, "Inf") == 0 || strcmp(text, "NaN") == 0)
		return true;
	for (; is_digit(*text); text++)
		digits = true;
	text += *text == '.';
	for (; is_digit(*text); text++)
		digits = true;
	if (!digits)
		return false;
	if (*text == 'e' || *text == 'E') {
		text++;
		text += *text == '+' || *text == '-';
		if (!is_digit(*text))
			return false;
		while (is_digit(*text))
			text++;
	}
	return *text == '\0';
}

static bool text_float(const struct page *page, double *ret_value)
{
	char text[PAGE_VALUE_MAX + 1];

	if (page->text_length >= PAGE_VALUE_MAX)
		return false;
	memcpy(text, page->text, page->text_length);
	text[page->text_length] = '\0';
	if (strlen(text) != page->text_length || !float_is_plain(text))
		return false;
	*ret_value = strtod(text, NULL);
	return true;
}

static void series_put(struct page *page, enum page_signal signal, double value, bool unknown)
{
	struct page_series *series = page->series;
	struct page_series *end = page->series + page->series_count;

	while (series < end &&
	       (series->signal != signal || series->series_hash != page->series_hash))
		series++;
	if (series == end) {
		if (page->series_count == PAGE_SERIES_MAX) {
			page->overflow[signal] = true;
			return;
		}
		page->series_count++;
	}
	*series = (struct page_series){
		.series_hash = page->series_hash,
		.group_hash = page->group_hash,
		.value = value,
		.signal = (uint8_t)signal,
		.unknown = unknown,
	};
}

static void sample_take(struct page *page)
{
	enum page_signal signal = families[page->family].signal;
	double value;

	if (!text_float(page, &value)) {
		page->place = LINE_BAD;
		return;
	}
	if (page->not_total)
		return;
	if (signal == PAGE_BLOCKS) {
		/* the labels say it, the value is 1 */
		series_put(page, PAGE_BLOCKS, page->blocks, page->blocks <= 0);
		series_put(page, PAGE_BLOCK_TOKENS, page->block_tokens, page->block_tokens <= 0);
		return;
	}
	if (signal == PAGE_KV || signal == PAGE_KV_OLD)
		series_put(page, signal, value > 1 ? 1 : value, !(value >= 0 && value <= 1.5));
	else
		series_put(page, signal, value, !(value >= 0 && isfinite(value)));
}

static void line_end(struct page *page)
{
	switch (page->place) {
	case LINE_START:
	case LINE_FOREIGN: break;
	case VALUE:
	case TAIL:
	case TIMESTAMP:
	case EXEMPLAR: sample_take(page); break;
	default: page->place = LINE_BAD;
	}
	if (page->place == LINE_BAD && page->bad_lines < UINT32_MAX)
		page->bad_lines++;
	line_begin(page);
}

/* ---- bytes ---- */

/* The byte ends a token: where does the line go on? */
static enum place after_name(char c)
{
	if (c == '{')
		return LABEL_START;
	return is_blank(c) ? NAME_END : LINE_BAD;
}

static void step_start(struct page *page, char c)
{
	if (is_blank(c))
		return;
	if (is_name_start(c)) {
		page->place = NAME;
		name_push(page, c);
	} else if (c == '{') {
		page->place = LABEL_START;
	} else {
		page->place = c == '#' ? LINE_FOREIGN : LINE_BAD;
	}
}

static void step_name(struct page *page, char c)
{
	if (is_name(c))
		name_push(page, c);
	else
		name_finish(page, after_name(c));
}

static void step_name_end(struct page *page, char c)
{
	if (is_blank(c))
		return;
	if (c == '{') {
		page->place = LABEL_START;
		return;
	}
	page->place = VALUE;
	text_push(page, c);
}

static void step_label_start(struct page *page, char c)
{
	if (is_blank(c))
		return;
	if (c == '}') {
		page->place = page->named ? VALUE_START : LINE_BAD;
	} else if (c == '"' && !page->named) {
		page->place = QUOTED_NAME;
	} else if (is_name_start(c) && c != ':') {
		label_begin(page);
		label_push(page, c);
	} else {
		page->place = LINE_BAD;
	}
}

static void step_quoted_name(struct page *page, char c)
{
	if (c == '"')
		name_finish(page, LABEL_END);
	else
		name_push(page, c);
}

static void step_label_name(struct page *page, char c)
{
	if (is_name(c) && c != ':') {
		label_push(page, c);
		return;
	}
	label_name_finish(page);
	page->place = c == '=' ? LABEL_QUOTE : is_blank(c) ? LABEL_EQUALS : LINE_BAD;
}

static void step_label_value(struct page *page, char c)
{
	if (c == '"') {
		label_value_finish(page);
		return;
	}
	pair_push(page, c);
	text_push(page, c);
	if (c == '\\')
		page->place = LABEL_ESCAPE;
}

static void step_label_end(struct page *page, char c)
{
	if (is_blank(c))
		return;
	if (c == ',')
		page->place = LABEL_START;
	else
		page->place = c == '}' && page->named ? VALUE_START : LINE_BAD;
}

static void step_value_start(struct page *page, char c)
{
	if (is_blank(c))
		return;
	page->text_length = 0;
	text_push(page, c);
	page->place = VALUE;
}

static void step_tail(struct page *page, char c)
{
	if (is_blank(c))
		return;
	if (c == '#')
		page->place = EXEMPLAR;
	else
		page->place = is_digit(c) || c == '-' || c == '+' ? TIMESTAMP : LINE_BAD;
}

static void step_timestamp(struct page *page, char c)
{
	if (is_blank(c))
		page->place = TAIL;
	else if (!is_digit(c) && c != '.' && c != 'e' && c != 'E' && c != '+' && c != '-')
		page->place = LINE_BAD;
}

static void page_step(struct page *page, char c)
{
	switch (page->place) {
	case LINE_START: step_start(page, c); break;
	case NAME: step_name(page, c); break;
	case NAME_END: step_name_end(page, c); break;
	case QUOTED_NAME: step_quoted_name(page, c); break;
	case LABEL_START: step_label_start(page, c); break;
	case LABEL_NAME: step_label_name(page, c); break;
	case LABEL_EQUALS:
		if (!is_blank(c))
			page->place = c == '=' ? LABEL_QUOTE : LINE_BAD;
		break;
	case LABEL_QUOTE:
		if (!is_blank(c))
			page->place = c == '"' ? LABEL_VALUE : LINE_BAD;
		break;
	case LABEL_VALUE: step_label_value(page, c); break;
	case LABEL_ESCAPE:
		pair_push(page, c);
		text_push(page, c);
		page->place = LABEL_VALUE;
		break;
	case LABEL_END: step_label_end(page, c); break;
	case VALUE_START: step_value_start(page, c); break;
	case VALUE:
		if (is_blank(c))
			page->place = TAIL;
		else
			text_push(page, c);
		break;
	case TAIL: step_tail(page, c); break;
	case TIMESTAMP: step_timestamp(page, c); break;
	default: break; /* nothing more of this line is looked at */
	}
}

static bool line_is_skipped(const struct page *page)
{
	return page->place == LINE_FOREIGN || page->place == LINE_BAD || page->place == EXEMPLAR;
}

/* The first three bytes: gzip's magic is remembered; true for those of a byte
 * order mark, which are skipped. */
static bool intro_take(struct page *page, char c)
{
	static const char gzip_magic[3] = {'\x1f', '\x8b', '\x08'};
	static const char byte_order_mark[3] = {'\xef', '\xbb', '\xbf'};
	uint8_t at = page->intro++;

	page->gzip = (at == 0 || page->gzip) && c == gzip_magic[at];
	page->bom = (at == 0 || page->bom) && c == byte_order_mark[at];
	return page->bom;
}

void page_init(struct page *page)
{
	memset(page, 0, sizeof(*page));
	line_begin(page);
}

void page_feed(struct page *page, const char *data, size_t length)
{
	const char *end = data + length;

	while (data < end) {
		if (page->intro < 3 && intro_take(page, *data)) {
			data++;
			continue;
		}
		if (page->intro == 3 && line_is_skipped(page)) {
			data = memchr(data, '\n', (size_t)(end - data));
			if (!data)
				return;
		}
		if (*data == '\n')
			line_end(page);
		else
			page_step(page, *data);
		data++;
	}
}

/* ---- adding up ---- */

static bool series_leads_group(const struct page *page, const struct page_series *series)
{
	for (const struct page_series *other = page->series; other < series; other++) {
		if (other->signal == series->signal && other->group_hash == series->group_hash)
			return false;
	}
	return true;
}

static double group_max(const struct page *page, const struct page_series *leader)
{
	double max = leader->value;

	for (const struct page_series *other = leader; other < page->series + page->series_count;
	     other++) {
		if (other->signal == leader->signal && other->group_hash == leader->group_hash &&
		    other->value > max)
			max = other->value;
	}
	return max;
}

static bool signal_is_sum(enum page_signal signal)
{
	return signal == PAGE_WAITING || signal == PAGE_RUNNING || signal == PAGE_BLOCKS;
}

/* True when the page has the signal at all, known or not. */
static bool signal_add_up(const struct page *page, enum page_signal signal,
			  struct page_sample *sample)
{
	const struct page_series *end = page->series + page->series_count;
	bool present = false, known = !page->overflow[signal];
	double total = 0;

	for (const struct page_series *series = page->series; series < end; series++) {
		double value;

		if (series->signal != signal)
			continue;
		present = true;
		known &= !series->unknown;
		if (!known || !series_leads_group(page, series))
			continue;
		value = group_max(page, series);
		total = signal_is_sum(signal) ? total + value : value > total ? value : total;
	}
	sample->known[signal] = present && known;
	sample->values[signal] = present && known ? total : 0;
	return present;
}

static enum page_outcome sample_outcome(const struct page_sample *sample)
{
	int known =
		sample->known[PAGE_WAITING] + sample->known[PAGE_RUNNING] + sample->known[PAGE_KV];

	return known == 3 ? PAGE_OK : known ? PAGE_PARTIAL : PAGE_NONE;
}

void page_end(struct page *page, bool complete, struct page_sample *ret_sample)
{
	struct page_sample sample = {0};

	line_end(page);
	sample.bad_lines = page->bad_lines;
	if (!complete || page->gzip) {
		sample.outcome = PAGE_DISCARD;
		*ret_sample = sample;
		return;
	}
	for (int signal = 0; signal < PAGE_SIGNAL_COUNT; signal++) {
		bool present = signal_add_up(page, signal, &sample);

		if (signal == PAGE_KV_OLD && !signal_add_up(page, PAGE_KV, &sample) && present) {
			sample.known[PAGE_KV] = sample.known[PAGE_KV_OLD];
			sample.values[PAGE_KV] = sample.values[PAGE_KV_OLD];
		}
	}
	sample.outcome = sample_outcome(&sample);
	*ret_sample = sample;
}
