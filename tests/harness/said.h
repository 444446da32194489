/* SPDX-License-Identifier: BSD-2-Clause */
/* What was said last in the log, for tests that ask for the sentence: log_sink = said_keep. */
#ifndef SLUICE_HARNESS_SAID_H
#define SLUICE_HARNESS_SAID_H

#include "userspace/base/log.h"

extern char said[2048];

void said_keep(enum log_level level, const char *text);

#endif
