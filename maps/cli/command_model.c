// SPDX-License-Identifier: BSD-2-Clause
/* What the proxy would say of a request's model, asked without a gateway: the same
 * functions on a method, a path, headers and a body from a file. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "maps/cli/command.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/base/text.h"
#include "userspace/model/request.h"

#define PIECE_BYTES 65536

static void headers_add(const struct request *asked, struct model_head *head)
{
	for (size_t i = 0; i < asked->header_count; i++) {
		const char *name = asked->headers[i], *colon = strchr(name, ':');
		const char *value = colon + 1 + strspn(colon + 1, " \t");
		size_t length = strlen(value);

		while (length && strchr(" \t", value[length - 1]))
			length--;
		model_head_add(head, name, (size_t)(colon - name), value, length);
	}
}

/* To its end, also after all is decided: a pipe's writer must not be cut off. */
static int body_feed(struct model_request *request, int fd, const char *path)
{
	char piece[PIECE_BYTES];

	for (;;) {
		ssize_t n = read(fd, piece, sizeof(piece));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return log_error(-errno, "%s: cannot read the body: %s", path,
					 strerror(errno));
		if (n == 0)
			return 0;
		model_request_feed(request, piece, (size_t)n);
	}
}

static int body_read(struct model_request *request, const char *path)
{
	_cleanup_close_ int fd = -1;

	if (!strcmp(path, "-"))
		return body_feed(request, STDIN_FILENO, "standard input");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return log_error(-errno, "%s: cannot open the body: %s", path, strerror(errno));
	return body_feed(request, fd, path);
}

/* The code point of a whole UTF-8 sequence. */
static unsigned code_point(const unsigned char *p, size_t length)
{
	static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	unsigned c = p[0] & first_bits[length];

	for (size_t i = 1; i < length; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

/* A JSON string in ASCII, so that names that look alike can be told apart. */
static void name_print(FILE *out, const char *name, size_t length)
{
	const unsigned char *p = (const unsigned char *)name;
	size_t n;

	fputc('"', out);
	for (; length; p += n, length -= n) {
		unsigned c;

		n = utf8_length(p, length);
		c = code_point(p, n);
		if (c >= 0x10000)
			fprintf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
				0xdc00 + ((c - 0x10000) & 0x3ff));
		else if (c >= 0x80)
			fprintf(out, "\\u%04x", c);
		else
			fprintf(out, "%s%c", c == '"' || c == '\\' ? "\\" : "", (char)c);
	}
	fputc('"', out);
}

static void verdict_print(FILE *out, enum model_verdict verdict, const struct model_facts *facts)
{
	if (verdict == MODEL_OK) {
		fputs("ok:", out);
		name_print(out, facts->name, facts->name_length);
	} else if (verdict == MODEL_NONE) {
		fputs(model_verdict_name(verdict), out);
	} else {
		fprintf(out, "err:%s", model_verdict_name(verdict));
	}
	fputc('\n', out);
}

static void verdict_print_json(FILE *out, const struct model_request *request,
			       enum model_verdict verdict, const struct model_facts *facts)
{
	char buffer[8192];
	struct text text = TEXT_INIT(buffer);
	bool ok = verdict == MODEL_OK;
	const char *why = ok ? "" : model_request_text(request, verdict);

	text_puts(&text, "{");
	text_json_string(&text, "verdict", model_verdict_name(verdict),
			 strlen(model_verdict_name(verdict)));
	text_json_string(&text, "place", model_place_name(request->place),
			 strlen(model_place_name(request->place)));
	if (ok)
		text_json_string(&text, "model", facts->name, facts->name_length);
	if (ok && facts->version[0])
		text_json_string(&text, facts->version_is_label ? "label" : "version",
				 facts->version, strlen(facts->version));
	if (!ok)
		text_json_string(&text, "message", why, strlen(why));
	text_json_bool(&text, "stream", facts->stream);
	text_json_uint(&text, "max_tokens", facts->max_tokens);
	text_json_uint(&text, "text_bytes", facts->text_bytes);
	text_puts(&text, "}\n");
	fputs(buffer, out);
}

static int model_run(struct request *asked)
{
	struct model_head head = {.method = {asked->method, strlen(asked->method)}};
	struct model_request request;
	struct model_facts facts;
	enum model_verdict verdict;
	int err = 0;

	if (!asked->path || asked->path[0] != '/')
		return log_error(-EINVAL, "model: --path is the request's target and begins "
					  "with '/', like /v1/chat/completions");
	head.path = (struct model_text){asked->path, strlen(asked->path)};
	headers_add(asked, &head);
	model_request_begin(&request, &facts, &head);
	if (asked->word_count)
		err = body_read(&request, asked->words[0]);
	if (err)
		return err;
	verdict = model_request_finish(&request);
	if (asked->json)
		verdict_print_json(asked->out, &request, verdict, &facts);
	else
		verdict_print(asked->out, verdict, &facts);
	return 0;
}

const struct command command_model = {
	.name = "model",
	.arguments = "--path PATH [--method M] [--header 'NAME: VALUE']... [FILE]",
	.summary = "which model the proxy takes a request to ask for",
	.help = "Reads the body from FILE ('-': standard input; none: an empty body) and prints\n"
		"\n"
		"  ok:\"NAME\"    the model, as a JSON string in ASCII\n"
		"  none         the request is valid and names no model\n"
		"  err:REASON   the proxy refuses it, --json says why in a sentence\n"
		"\n"
		"These are the proxy's own functions; no gateway needs to run.  Headers that matter\n"
		"are Content-Type and Content-Encoding.",
	.options = WITH(OPTION_METHOD) | WITH(OPTION_PATH) | WITH(OPTION_HEADER),
	.words_max = 1,
	.run = model_run,
};
