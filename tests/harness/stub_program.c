// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/stub_program.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <string.h>

#include <bpf/bpf.h>

#define INSTRUCTIONS_MAX 96

struct code {
	struct bpf_insn all[INSTRUCTIONS_MAX];
	size_t count;
};

static void emit(struct code *code, uint8_t op, int dst, int src, int offset, int32_t value)
{
	code->all[code->count++] = (struct bpf_insn){
		.code = op,
		.dst_reg = (uint8_t)dst & 15,
		.src_reg = (uint8_t)src & 15,
		.off = (int16_t)offset,
		.imm = value,
	};
}

static void emit_move(struct code *code, int dst, int src)
{
	emit(code, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static void emit_set(struct code *code, int dst, int32_t value)
{
	emit(code, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, value);
}

static void emit_add(struct code *code, int dst, int32_t value)
{
	emit(code, BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, value);
}

/* r0 = action and out, `size` bytes from r2 on end behind r3. */
static void emit_bound(struct code *code, int32_t size, int32_t action)
{
	emit_set(code, BPF_REG_0, action);
	emit_move(code, BPF_REG_4, BPF_REG_2);
	emit_add(code, BPF_REG_4, size);
	emit(code, BPF_JMP | BPF_JLE | BPF_X, BPF_REG_4, BPF_REG_3, 1, 0);
	emit(code, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static int code_load(const struct code *code)
{
	return bpf_prog_load(BPF_PROG_TYPE_XDP, "stub", "Dual BSD/GPL", code->all, code->count,
			     NULL);
}

int stub_reporter_load(int events_fd, uint32_t size)
{
	const int32_t words = (int32_t)size / 8;
	struct code code = {0};

	if (size % 8 || size > 256)
		return -EINVAL;
	emit(&code, BPF_LDX | BPF_W | BPF_MEM, BPF_REG_2, BPF_REG_1, offsetof(struct xdp_md, data),
	     0);
	emit(&code, BPF_LDX | BPF_W | BPF_MEM, BPF_REG_3, BPF_REG_1,
	     offsetof(struct xdp_md, data_end), 0);
	emit_bound(&code, (int32_t)size, XDP_ABORTED);
	for (int32_t i = 0; i < words; i++) {
		emit(&code, BPF_LDX | BPF_DW | BPF_MEM, BPF_REG_5, BPF_REG_2, 8 * i, 0);
		emit(&code, BPF_STX | BPF_DW | BPF_MEM, BPF_REG_10, BPF_REG_5, 8 * (i - words), 0);
	}
	/* bpf_ringbuf_output(events, stack, size, 0) */
	emit(&code, BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, events_fd);
	emit(&code, 0, 0, 0, 0, 0);
	emit_move(&code, BPF_REG_2, BPF_REG_10);
	emit_add(&code, BPF_REG_2, -8 * words);
	emit_set(&code, BPF_REG_3, (int32_t)size);
	emit_set(&code, BPF_REG_4, 0);
	emit(&code, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ringbuf_output);
	emit_set(&code, BPF_REG_0, XDP_PASS);
	emit(&code, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return code_load(&code);
}

int stub_reporter_run(int program_fd, const void *record, uint32_t size)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = record, .data_size_in = size,
		    .repeat = 1);
	int err = bpf_prog_test_run_opts(program_fd, &options);

	return err ? err : options.retval == XDP_PASS ? 0 : -EIO;
}

int stub_explainer_load(const struct explain *answer, uint32_t action)
{
	struct code code = {0};
	int32_t words[sizeof(*answer) / 4];

	if (!answer) {
		emit_set(&code, BPF_REG_0, (int32_t)action);
		emit(&code, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
		return code_load(&code);
	}
	memcpy(words, answer, sizeof(words));
	emit(&code, BPF_LDX | BPF_W | BPF_MEM, BPF_REG_2, BPF_REG_1,
	     offsetof(struct xdp_md, data_meta), 0);
	emit(&code, BPF_LDX | BPF_W | BPF_MEM, BPF_REG_3, BPF_REG_1, offsetof(struct xdp_md, data),
	     0);
	emit_bound(&code, sizeof(*answer), (int32_t)action);
	for (int i = 0; i < (int)(sizeof(words) / sizeof(words[0])); i++)
		emit(&code, BPF_ST | BPF_W | BPF_MEM, BPF_REG_2, 0, 4 * i, words[i]);
	emit(&code, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return code_load(&code);
}
