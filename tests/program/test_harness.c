// SPDX-License-Identifier: BSD-2-Clause
/* The bench itself: a header byte that a program forgets is seen. */
#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "tests/harness/way.h"

/* A program that makes room for 48 bytes, writes none of them, and sends. */
static int careless_load(void)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = -48},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_xdp_adjust_head},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_TX},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "careless", "Dual BSD/GPL", code,
			       sizeof(code) / sizeof(code[0]), NULL);

	assert_true(fd >= 0);
	return fd;
}

static void a_header_byte_that_was_never_written_is_not_zero(void **state)
{
	struct bench *bench = bench_of(state);
	_cleanup_close_ int careless = careless_load();
	struct frame_spec spec = way_request(&ways[0], 4000, 0);
	int program = bench->programs[PROGRAM_XDP];
	struct frame frame;
	struct run run;

	frame_build(&frame, &spec);
	bench->programs[PROGRAM_XDP] = careless;
	bench->is_poisoned = true;
	run = bench_run(bench, PROGRAM_XDP, bench->client_ifindex, &frame);
	bench->programs[PROGRAM_XDP] = program;
	assert_true(run.is_sent);
	assert_int_equal(run.out.size, frame.size + 48);
	for (size_t i = bench->poison_bytes < 48 ? 48 - bench->poison_bytes : 0; i < 48; i++)
		assert_int_equal(run.out.bytes[i], 0xff);
	assert_memory_equal(run.out.bytes + 48, frame.bytes, frame.size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_byte_that_was_never_written_is_not_zero),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
