/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages for people, one line each on stderr:
 *   2026-01-02T03:04:05.678Z sluice-controller warning: text
 *
 * A message says what failed, on which object, why, and what to do next,
 * without a trailing period.  Errors are logged where they are understood,
 * once: log_error() returns the error it was given, so that
 * `return log_error(err, ...)` ends a function.
 */
#ifndef SLUICE_BASE_LOG_H
#define SLUICE_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Set once at start. `program` is borrowed for ever. */
void log_init(const char *program, enum log_level max);
/* Short stamp-less form for command line tools: `program: text`. */
void log_init_cli(const char *program);
void log_set_level(enum log_level max);
/* Parses error|warning|info|debug; -EINVAL otherwise. */
int log_level_parse(const char *text, enum log_level *ret_level);

void log_message(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Tests read messages here: called instead of stderr when set. */
extern void (*log_sink)(enum log_level level, const char *text);

#define log_warning(...) log_message(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_message(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_message(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_error(err, ...)                                                                        \
	({                                                                                         \
		int _e = (err);                                                                    \
		log_message(LOG_LEVEL_ERROR, __VA_ARGS__);                                         \
		_e;                                                                                \
	})

#endif
