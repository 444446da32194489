// SPDX-License-Identifier: BSD-2-Clause
#include "tests/bench/measure.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <string.h>

#include <bpf/bpf.h>

#include "tests/bench/rows.h"

#define FRAME_ROOM 256

void measure_frame(struct measure *measure, const uint8_t *frame, size_t frame_bytes)
{
	struct measure_plan *plan = measure->plan;
	size_t l3_bytes = frame_bytes - 14;

	measure->frame = frame;
	measure->frame_bytes = frame_bytes;
	plan->frame_bytes = (__u32)frame_bytes;
	memcpy(plan->eth, frame, 14);
	memcpy(plan->l3, frame + 14, l3_bytes < sizeof(plan->l3) ? l3_bytes : sizeof(plan->l3));
	plan->is_ipv6 = frame[12] == 0x86;
}

int measure_pin_cpu(void)
{
	cpu_set_t allowed, one;
	int last = -1;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return -errno;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &allowed))
			last = cpu;
	}
	CPU_ZERO(&one);
	CPU_SET(last, &one);
	return sched_setaffinity(0, sizeof(one), &one) < 0 ? -errno : last;
}

static int run_once(const struct measure *measure, uint32_t batches)
{
	struct xdp_md in = {.data_end = (uint32_t)measure->frame_bytes,
			    .ingress_ifindex = measure->ifindex};
	uint8_t out[FRAME_ROOM + 256];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = measure->frame,
		    .data_size_in = (uint32_t)measure->frame_bytes, .data_out = out,
		    .data_size_out = sizeof(out), .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .repeat = 1);

	measure->plan->batches = batches;
	return bpf_prog_test_run_opts(measure->program, &options);
}

static void figure_take(const struct measure *measure, uint32_t batches,
			struct measure_figure *ret_figure)
{
	static double sorted[MEASURE_BATCHES_MAX];

	for (uint32_t i = 0; i < batches; i++)
		sorted[i] = (double)measure->result->batch_ns[i] / MEASURE_BATCH_PACKETS;
	bench_sort(sorted, batches);
	ret_figure->p10 = bench_quantile(sorted, batches, 0.1);
	ret_figure->p50 = bench_quantile(sorted, batches, 0.5);
}

int measure_run(const struct measure *measure, uint32_t batches, struct measure_figure *ret_figure)
{
	uint32_t count = 0;

	for (uint32_t done = 0; done < batches; done += count) {
		int err;

		count = batches - done < MEASURE_BATCHES_MAX ? batches - done : MEASURE_BATCHES_MAX;
		err = run_once(measure, count);
		if (err)
			return err;
	}
	if (ret_figure)
		figure_take(measure, count, ret_figure);
	return 0;
}

int measure_packets(const struct measure *measure, uint64_t packets)
{
	uint64_t batches = (packets + MEASURE_BATCH_PACKETS - 1) / MEASURE_BATCH_PACKETS;

	return measure_run(measure, (uint32_t)batches, NULL);
}
