/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SLUICE_BENCH_L4_WIRE_SHARED_H
#define SLUICE_BENCH_L4_WIRE_SHARED_H

#include <linux/types.h>

#define WIRE_FLOWS 256
#define WIRE_FRAME_BYTES 64
#define WIRE_FRAME_WORDS (WIRE_FRAME_BYTES / 2)

struct wire_plan {
	__u16 words[WIRE_FRAME_WORDS]; /* the frame as it lies in memory */
};

#endif
