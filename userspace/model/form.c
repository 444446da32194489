// SPDX-License-Identifier: BSD-2-Clause
/* A form as a state machine over bytes: delimiters are found by comparing with
 * "CR LF - - boundary"; as CR is only its first byte, a comparison that fails can
 * begin anew only at a CR.  Bytes of the model that looked like a delimiter are
 * taken from the delimiter itself, so nothing is kept of the input.  Headers are
 * read parameter by parameter, of each no more than the word we look for. */
#include "userspace/model/form.h"

#include <string.h>

#include "userspace/base/ascii.h"

enum state {
	CONTENT, /* of a part, or the preamble */
	DELIMITER, /* seen whole: CRLF, "--", or it was none */
	DELIMITER_CR,
	DELIMITER_DASH,
	LINE_BEGIN, /* of a header */
	HEADER_NAME,
	HEADER_SKIP, /* a value that means nothing */
	CODING, /* a content transfer encoding */
	TYPE, /* of the disposition */
	PARAM_BEGIN,
	PARAM_NAME,
	VALUE_BEGIN,
	VALUE_TOKEN,
	VALUE_QUOTED,
	VALUE_ESCAPE,
	PARAM_END,
	LINE_LF,
	HEADERS_LF,
	EPILOGUE,
	FAILED,
	STATE_COUNT,
};

enum where { PREAMBLE, PART, MODEL_PART };
enum header { HEADER_OTHER, HEADER_DISPOSITION, HEADER_CODING };
enum param { PARAM_OTHER, PARAM_NAME_OF_PART, PARAM_FILE };

typedef const char *(*step_function)(struct model_form *form, const char *p, const char *end);

static const char *fail(struct model_form *form, enum model_verdict verdict, const char *p)
{
	form->verdict = verdict;
	form->state = FAILED;
	return p;
}

/* ---- words ---- */

static void word_add(struct form_word *word, char c)
{
	if (word->length < FORM_WORD_KEPT)
		word->bytes[word->length] = c;
	if (word->length <= FORM_WORD_KEPT)
		word->length++;
}

static bool word_is(const struct form_word *word, const char *text)
{
	return word->length == strlen(text) && !memcmp(word->bytes, text, word->length);
}

/* tchar of RFC 9110 */
static bool is_token_char(char c)
{
	char letter = (char)(c | 0x20);

	return (c >= '0' && c <= '9') || (letter >= 'a' && letter <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_control(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

/* ---- content and delimiters ---- */

static void content_take(struct model_form *form, const char *data, size_t length)
{
	if (form->where == MODEL_PART)
		model_name_append(&form->name, data, length);
}

/* What looked like the begin of a delimiter was content. */
static void match_give_up(struct model_form *form)
{
	content_take(form, form->delimiter + form->match_from,
		     (size_t)(form->match - form->match_from));
	form->match = form->match_from = 0;
}

/* As if a CRLF had just been seen. */
static void match_from_line_begin(struct model_form *form)
{
	form->match = form->match_from = 2;
}

/* In the preamble some read line by line and take a bare LF for a line's end. */
static void preamble_look(struct model_form *form, char c)
{
	if (c == '\n' && form->match < 2) {
		match_from_line_begin(form);
		form->after_lf_only = true;
	}
}

static const char *step_content(struct model_form *form, const char *p, const char *end)
{
	const char *plain = p;

	if (!form->match && form->where != PREAMBLE) {
		p = memchr(p, '\r', (size_t)(end - p));
		p = p ? p : end;
		content_take(form, plain, (size_t)(p - plain));
		if (p == end)
			return p;
	}
	if (*p == form->delimiter[form->match]) {
		if (!form->match)
			form->after_lf_only = false;
		if (++form->match == form->delimiter_length)
			form->state = DELIMITER;
		return p + 1;
	}
	match_give_up(form);
	if (*p == '\r')
		return p;
	content_take(form, p, 1);
	if (form->where == PREAMBLE)
		preamble_look(form, *p);
	return p + 1;
}

/* A line that begins like a delimiter but goes on in another way is content.
 * Some servers take blanks, a bare LF or a single dash there. */
static const char *delimiter_is_content(struct model_form *form, const char *more, bool doubtful,
					const char *p)
{
	form->doubtful |= doubtful;
	match_give_up(form);
	content_take(form, more, strlen(more));
	form->state = CONTENT;
	return p;
}

/* The delimiter is one: what was before it has ended. */
static bool content_end(struct model_form *form)
{
	enum model_verdict verdict = MODEL_OK;

	if (form->match_from && form->where != PREAMBLE)
		verdict = MODEL_BAD_FORM; /* right behind the headers: content, for some */
	else if (form->where == MODEL_PART)
		verdict = model_name_judge(&form->name);
	if (form->where == MODEL_PART)
		form->name.facts->name_end = form->name.facts->name_begin + form->name.length;
	if (verdict != MODEL_OK)
		fail(form, verdict, NULL);
	form->match = form->match_from = 0;
	form->where = PART;
	return verdict == MODEL_OK;
}

static const char *step_delimiter(struct model_form *form, const char *p, const char *end)
{
	(void)end;
	if (form->where == PREAMBLE && form->after_lf_only)
		return delimiter_is_content(form, "", true, p);
	if (*p == '\r')
		form->state = DELIMITER_CR;
	else if (*p == '-')
		form->state = DELIMITER_DASH;
	else
		return delimiter_is_content(form, "", ascii_is_blank(*p) || *p == '\n', p);
	return p + 1;
}

static const char *step_delimiter_cr(struct model_form *form, const char *p, const char *end)
{
	(void)end;
	if (*p != '\n') {
		/* the CR itself may begin the next delimiter */
		delimiter_is_content(form, "", true, p);
		form->after_lf_only = false;
		form->match = 1;
		return p;
	}
	if (!content_end(form))
		return p;
	form->has_disposition = form->is_form_data = form->is_coded = false;
	form->has_name = form->has_file = form->has_file_star = false;
	form->name_is_model = form->name_escaped = false;
	form->state = LINE_BEGIN;
	return p + 1;
}

static const char *step_delimiter_dash(struct model_form *form, const char *p, const char *end)
{
	(void)end;
	if (*p != '-')
		return delimiter_is_content(form, "-", true, p);
	if (content_end(form))
		form->state = EPILOGUE;
	return p + 1;
}

static const char *step_epilogue(struct model_form *form, const char *p, const char *end)
{
	(void)form;
	(void)p;
	return end;
}

/* ---- headers of a part ---- */

static const char *step_line_begin(struct model_form *form, const char *p, const char *end)
{
	(void)end;
	form->word.length = 0;
	form->state = *p == '\r' ? HEADERS_LF : HEADER_NAME;
	return *p == '\r' ? p + 1 : p;
}

static const char *header_begin(struct model_form *form, const char *p)
{
	form->header = HEADER_OTHER;
	form->state = HEADER_SKIP;
	if (word_is(&form->word, "content-disposition")) {
		if (form->has_disposition)
			return fail(form, MODEL_BAD_FORM, p);
		form->has_disposition = true;
		form->header = HEADER_DISPOSITION;
		form->state = TYPE;
	} else if (word_is(&form->word, "content-transfer-encoding")) {
		form->header = HEADER_CODING;
		form->state = CODING;
	}
	form->word.length = 0;
	return p + 1;
}

/* Also refuses a line that begins with a blank: it goes on with the one before,
 * for some. */
static const char *step_header_name(struct model_form *form, const char *p, const char *end)
{
	(void)end;
	if (*p == ':' && form->word.length)
		return header_begin(form, p);
	if (!is_token_char(*p))
		return fail(form, MODEL_BAD_FORM, p);
	word_add(&form->word, ascii_lower(*p));
	return p + 1;
}

static const char *step_header_skip(struct model_form *form, const char *p, const char *end)
{
	(void)end;
	if (*p == '\r')
		form->state = LINE_LF;
	else if (is_control(*p))
		return fail(form, MODEL_BAD_FORM, p);
	return p + 1;
}

/* Anything but these some servers decode, and others do not. */
static const char *step_coding(struct model_form *form, const char *p, const char *end)
{
	if (*p == '\r')
		form->is_coded |= !word_is(&form->word, "7bit") && !word_is(&form->word, "8bit") &&
				  !word_is(&form->word, "binary");
	else if (!ascii_is_blank(*p))
		word_add(&form->word, ascii_lower(*p));
	return step_header_skip(form, p, end);
}

static const char *step_line_lf(struct model_form *form, const char *p, const char *end)
{
	(void)end;
	if (*p != '\n')
		return fail(form, MODEL_BAD_FORM, p);
	form->state = LINE_BEGIN;
	return p + 1;
}

/* ---- Content-Disposition: form-data; name="model"; filename="x" ---- */

static const char *step_type(struct model_form *form, const char *p, const char *end)
{
	(void)end;
	if (ascii_is_blank(*p) && !form->word.length)
		return p + 1;
	if (is_token_char(*p)) {
		word_add(&form->word, ascii_lower(*p));
		return p + 1;
	}
	form->is_form_data = word_is(&form->word, "form-data");
	form->state = PARAM_END;
	return p;
}

static const char *step_param_end(struct model_form *form, const char *p, const char *end)
{
	(void)end;
	if (*p == ';')
		form->state = PARAM_BEGIN;
	else if (*p == '\r')
		form->state = LINE_LF;
	else if (!ascii_is_blank(*p))
		return fail(form, MODEL_BAD_FORM, p);
	return p + 1;
}

static const char *step_param_begin(struct model_form *form, const char *p, const char *end)
{
	(void)end;
	if (ascii_is_blank(*p))
		return p + 1;
	form->word.length = 0;
	form->state = *p == '\r' ? PARAM_END : PARAM_NAME;
	return p;
}

/* Which parameter, and is it the first of its kind?  Names by RFC 2231 (name*,
 * name*0) some servers know and others do not. */
static bool param_begin(struct model_form *form)
{
	const struct form_word *word = &form->word;
	size_t kept = word->length < FORM_WORD_KEPT ? word->length : FORM_WORD_KEPT;

	form->param = PARAM_OTHER;
	if (word_is(word, "name")) {
		if (form->has_name)
			return false;
		form->has_name = true;
		form->param = PARAM_NAME_OF_PART;
	} else if (word_is(word, "filename")) {
		if (form->has_file)
			return false;
		form->has_file = true;
		form->param = PARAM_FILE;
	} else if (kept >= 5 && !memcmp(word->bytes, "name*", 5)) {
		return false;
	} else if (kept >= 9 && !memcmp(word->bytes, "filename*", 9)) {
		form->has_file_star = true;
	}
	return true;
}

static const char *step_param_name(struct model_form *form, const char *p, const char *end)
{
	(void)end;
	if (*p == '=' && form->word.length) {
		if (!param_begin(form))
			return fail(form, MODEL_BAD_FORM, p);
		form->word.length = 0;
		form->state = VALUE_BEGIN;
		return p + 1;
	}
	if (!is_token_char(*p))
		return fail(form, MODEL_BAD_FORM, p);
	word_add(&form->word, ascii_lower(*p));
	return p + 1;
}

static const char *step_value_begin(struct model_form *form, const char *p, const char *end)
{
	(void)end;
	form->state = *p == '"' ? VALUE_QUOTED : VALUE_TOKEN;
	return *p == '"' ? p + 1 : p;
}

static void value_end(struct model_form *form)
{
	if (form->param == PARAM_NAME_OF_PART)
		form->name_is_model = word_is(&form->word, "model");
	form->state = PARAM_END;
}

static const char *step_value_token(struct model_form *form, const char *p, const char *end)
{
	(void)end;
	if (is_token_char(*p)) {
		word_add(&form->word, *p);
		return p + 1;
	}
	value_end(form);
	return p;
}

static const char *step_value_quoted(struct model_form *form, const char *p, const char *end)
{
	(void)end;
	if (*p == '"') {
		value_end(form);
	} else if (*p == '\\') {
		form->name_escaped |= form->param == PARAM_NAME_OF_PART;
		form->state = VALUE_ESCAPE;
	} else if (is_control(*p)) {
		return fail(form, MODEL_BAD_FORM, p);
	} else {
		word_add(&form->word, *p);
	}
	return p + 1;
}

static const char *step_value_escape(struct model_form *form, const char *p, const char *end)
{
	(void)end;
	if (is_control(*p))
		return fail(form, MODEL_BAD_FORM, p);
	word_add(&form->word, *p);
	form->state = VALUE_QUOTED;
	return p + 1;
}

/* ---- a part begins ---- */

/* A part that is the model for some servers and not for others. */
static bool model_part_is_doubtful(const struct model_form *form)
{
	return !form->is_form_data || form->name_escaped ||
	       (form->has_file_star && !form->has_file);
}

static const char *step_headers_lf(struct model_form *form, const char *p, const char *end)
{
	(void)end;
	if (*p != '\n')
		return fail(form, MODEL_BAD_FORM, p);
	if (form->name_is_model) {
		if (form->has_model)
			return fail(form, MODEL_DUPLICATE, p);
		if (model_part_is_doubtful(form))
			return fail(form, MODEL_BAD_FORM, p);
		if (form->is_coded)
			return fail(form, MODEL_ENCODED, p);
		form->has_model = true;
		form->where = form->has_file ? PART : MODEL_PART;
		form->name.facts->name_begin = form->fed + (uint64_t)(p + 1 - form->piece);
	}
	form->state = CONTENT;
	match_from_line_begin(form);
	return p + 1;
}

static const step_function steps[STATE_COUNT] = {
	[CONTENT] = step_content,
	[DELIMITER] = step_delimiter,
	[DELIMITER_CR] = step_delimiter_cr,
	[DELIMITER_DASH] = step_delimiter_dash,
	[LINE_BEGIN] = step_line_begin,
	[HEADER_NAME] = step_header_name,
	[HEADER_SKIP] = step_header_skip,
	[CODING] = step_coding,
	[TYPE] = step_type,
	[PARAM_BEGIN] = step_param_begin,
	[PARAM_NAME] = step_param_name,
	[VALUE_BEGIN] = step_value_begin,
	[VALUE_TOKEN] = step_value_token,
	[VALUE_QUOTED] = step_value_quoted,
	[VALUE_ESCAPE] = step_value_escape,
	[PARAM_END] = step_param_end,
	[LINE_LF] = step_line_lf,
	[HEADERS_LF] = step_headers_lf,
	[EPILOGUE] = step_epilogue,
};

void model_form_init(struct model_form *form, struct model_facts *facts, const char *content_type,
		     size_t length)
{
	const char *boundary = "";
	size_t boundary_length = 0;
	enum model_verdict verdict =
		form_boundary_find(content_type, length, &boundary, &boundary_length);

	*form = (struct model_form){.verdict = verdict,
				    .state = verdict == MODEL_OK ? CONTENT : FAILED,
				    .delimiter_length = (uint8_t)(4 + boundary_length)};
	memcpy(form->delimiter, "\r\n--", 4);
	memcpy(form->delimiter + 4, boundary, boundary_length);
	match_from_line_begin(form);
	model_facts_reset(facts);
	model_name_begin(&form->name, facts);
}

bool model_form_feed(struct model_form *form, const char *data, size_t length)
{
	const char *p = data, *end = data + length;

	form->any |= length > 0;
	form->piece = data;
	while (p < end && form->state != FAILED)
		p = steps[form->state](form, p, end);
	form->fed += length;
	return form->state != FAILED && form->state != EPILOGUE;
}

enum model_verdict model_form_finish(struct model_form *form)
{
	enum model_verdict verdict = form->verdict;

	if (form->state == EPILOGUE && form->doubtful)
		verdict = MODEL_BAD_FORM;
	else if (form->state == EPILOGUE)
		verdict = form->name.facts->name_length ? MODEL_OK : MODEL_NONE;
	else if (form->state != FAILED)
		verdict = form->any ? MODEL_TRUNCATED : MODEL_EMPTY_BODY;
	if (verdict != MODEL_OK)
		model_name_forget(form->name.facts);
	return verdict;
}
