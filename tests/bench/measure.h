/* SPDX-License-Identifier: BSD-2-Clause */
/* Drives the timing loop of measure.bpf.h: one run is one BPF_PROG_TEST_RUN of so
 * many batches. */
#ifndef SLUICE_BENCH_MEASURE_H
#define SLUICE_BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#include "tests/bench/measure_shared.h"

/* A loaded program with the loop in it, and its globals. */
struct measure {
	int program;
	struct measure_plan *plan;
	struct measure_result *result;
	const uint8_t *frame;
	size_t frame_bytes;
	uint32_t ifindex; /* the device it comes in by; 0: any */
};

/* Over the batches of a run, ns a packet. */
struct measure_figure {
	double p10, p50;
};

/* Puts the frame into the plan.  At least 54 bytes, IPv6: 74. */
void measure_frame(struct measure *measure, const uint8_t *frame, size_t frame_bytes);
/* This thread on one CPU from here on, the last that it may use.  Its number, or
 * -errno. */
int measure_pin_cpu(void);
/* 0 or -errno.  Any number of batches; a run has MEASURE_BATCHES_MAX at most, so
 * the figure is of the last run.  ret_figure may be NULL. */
int measure_run(const struct measure *measure, uint32_t batches, struct measure_figure *ret_figure);
/* So many packets, rounded up to batches, not timed. */
int measure_packets(const struct measure *measure, uint64_t packets);

#endif
