/* SPDX-License-Identifier: BSD-2-Clause */
/* Kernel programs of a few instructions, written by hand, for tests of who talks to
 * the real ones: they do one thing and no more. */
#ifndef SLUICE_HARNESS_STUB_PROGRAM_H
#define SLUICE_HARNESS_STUB_PROGRAM_H

#include <stdint.h>

#include "maps/layout/verdict.h"

/* An XDP program that puts the first `size` bytes of its packet into the ring buffer;
 * size is a multiple of 8 and at most 256.  A descriptor, or -errno. */
int stub_reporter_load(int events_fd, uint32_t size);
/* Runs it; 0 or -errno. */
int stub_reporter_run(int program_fd, const void *record, uint32_t size);

/* An XDP program that writes `answer` over the metadata it was asked with, and
 * returns `action`; NULL: that takes no notice of metadata. */
int stub_explainer_load(const struct explain *answer, uint32_t action);

#endif
