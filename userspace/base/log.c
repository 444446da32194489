// SPDX-License-Identifier: BSD-2-Clause
/* One write(2) a message, so that lines of several processes never mix. */
#include "userspace/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "userspace/base/cleanup.h"

#define MESSAGE_MAX 2048

static const char *log_program = "sluice";
static enum log_level log_max = LOG_LEVEL_INFO;
static bool log_cli;

void (*log_sink)(enum log_level level, const char *text);

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

void log_init(const char *program, enum log_level max)
{
	log_program = program;
	log_max = max;
}

void log_init_cli(const char *program)
{
	log_program = program;
	log_cli = true;
}

void log_set_level(enum log_level max)
{
	log_max = max;
}

int log_level_parse(const char *text, enum log_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

static size_t prefix_format(char *buffer, size_t size, enum log_level level)
{
	struct timespec now;
	struct tm utc;
	int n;

	if (log_cli) {
		n = snprintf(buffer, size, "%s: ", log_program);
		return n < 0 ? 0 : (size_t)n;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	n = snprintf(buffer, size,
		     "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s %s: ", utc.tm_year + 1900,
		     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
		     now.tv_nsec / 1000000, log_program, level_names[level]);
	return n < 0 ? 0 : (size_t)n;
}

void log_message(enum log_level level, const char *format, ...)
{
	char line[MESSAGE_MAX];
	size_t start, length;
	va_list args;
	int saved = errno;
	int n;

	if (level > log_max)
		return;
	start = log_sink ? 0 : prefix_format(line, sizeof(line) / 2, level);
	va_start(args, format);
	n = vsnprintf(line + start, sizeof(line) - start - 1, format, args);
	va_end(args);
	length = start + (n < 0 ? 0 : (size_t)n);
	if (length > sizeof(line) - 2)
		length = sizeof(line) - 2;
	/* a message is one line, whatever a hostile file put into it */
	for (size_t i = start; i < length; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = ' ';
	}
	if (log_sink) {
		line[length] = '\0';
		log_sink(level, line);
	} else {
		line[length++] = '\n';
		if (write(STDERR_FILENO, line, length) < 0) {
			/* nowhere left to say it */
		}
	}
	errno = saved;
}
