# SPDX-License-Identifier: BSD-2-Clause
# Sluice: builds everything from the folders; a new .c file needs no line here.
#
# build/bin        programs            build/lib/libsluice.a  all rooms of userspace
# build/bpf        kernel objects and their skeletons         build/tests   test programs
# SANITIZE=1 builds the same into build/sanitize with ASan and UBSan.
# `make fuzz` builds the fuzz targets into build/fuzz with clang's libFuzzer and the same.

CC ?= gcc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)

ifeq ($(FUZZ),1)
B := build/fuzz
CC := $(CLANG)
SANITIZER := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer \
	-fsanitize=fuzzer-no-link
OPT ?= -O1
else ifeq ($(SANITIZE),1)
B := build/sanitize
SANITIZER := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT ?= -O1
else
B := build
OPT ?= -O2
endif

ifneq ($(V),1)
Q := @
SAY = @printf '  %-8s %s\n' $(1) $(2)
endif

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wno-missing-field-initializers
CPPFLAGS += -I. -I$(B) -isystem /usr/share/include/llhttp -D_GNU_SOURCE
CFLAGS := -std=gnu11 -g $(OPT) $(WARN) $(SANITIZER) $(EXTRA_CFLAGS)
LDFLAGS += $(SANITIZER)
LDLIBS := -lbpf -lelf -lz -ljson-c -lyaml -lxxhash -lmnl -lm
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Werror -Wno-unused-parameter -I. \
	-isystem /usr/include/$(shell $(CC) -print-multiarch)

ROOMS := base http model sources health scrape schedule paths publish telemetry controller proxy sim
LIB_SRC := $(filter-out %/main.c,$(foreach r,$(ROOMS),$(wildcard userspace/$(r)/*.c))) $(wildcard maps/access/*.c)
LIB_OBJ := $(LIB_SRC:%.c=$(B)/obj/%.o)
LLHTTP_OBJ := $(patsubst %,$(B)/obj/llhttp/%.o,api http llhttp)
LIB := $(B)/lib/libsluice.a

BPF_SRC := $(wildcard bpf/*.bpf.c)
BPF_OBJ := $(BPF_SRC:%.c=$(B)/%.o)
SKELS := $(BPF_SRC:%.bpf.c=$(B)/%.skel.h)

CONTROLLER_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard userspace/controller/main.c))
PROXY_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard userspace/proxy/main.c))
LOADER_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard loader/*.c))
CLI_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard maps/cli/*.c))
SERVER_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/harness/model_server/*.c))

BINS := $(if $(CONTROLLER_OBJ),$(B)/bin/sluice-controller) $(if $(PROXY_OBJ),$(B)/bin/sluice-proxy) \
	$(if $(LOADER_OBJ),$(B)/bin/sluice-loader) $(if $(CLI_OBJ),$(B)/bin/sluicectl) \
	$(if $(SERVER_OBJ),$(B)/bin/sluice-model-server)

# Loader without main.c and the helpers of tests/harness are linked into tests too.
LOADER_PART := $(filter-out %/main.o,$(LOADER_OBJ))
CLI_PART := $(filter-out %/main.o,$(CLI_OBJ))
SERVER_PART := $(filter-out %/main.o,$(SERVER_OBJ))
HARNESS_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/harness/*.c))
HARNESS_PACKET := $(B)/obj/tests/harness/packet.o
TEST_PART := $(LOADER_PART) $(CLI_PART) $(SERVER_PART) $(HARNESS_OBJ)

UNIT_SRC := $(shell find tests/unit -name 'test_*.c' 2>/dev/null | sort)
PROGRAM_SRC := $(shell find tests/program -name 'test_*.c' 2>/dev/null | sort)
FUZZ_SRC := $(shell find tests/fuzz -name 'fuzz_*.c' 2>/dev/null | sort)
UNIT_BIN := $(UNIT_SRC:%.c=$(B)/%)
PROGRAM_BIN := $(PROGRAM_SRC:%.c=$(B)/%)
FUZZ_BIN := $(FUZZ_SRC:%.c=$(B)/%)
BENCH_SRC := $(wildcard tests/bench/bench_*.c)
BENCH_BIN := $(BENCH_SRC:%.c=$(B)/%)
BENCH_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(filter-out %.bpf.c,$(wildcard tests/bench/*.c)))
BENCH_PART := $(filter-out $(BENCH_SRC:%.c=$(B)/obj/%.o),$(BENCH_OBJ))
BENCH_SKELS := $(patsubst %.bpf.c,$(B)/%.skel.h,$(wildcard tests/bench/*.bpf.c))
TOOL_BPF := $(patsubst %.c,$(B)/%.o,$(wildcard tests/lab/tools/*.bpf.c))
TOOL_SRC := $(filter-out %.bpf.c,$(wildcard tests/lab/tools/*.c))
TOOL_BIN := $(TOOL_SRC:%.c=$(B)/%) $(TOOL_BPF)

# bench_l4_wire.c is bench-l4-wire
BENCHES := $(patsubst tests/bench/bench_%.c,%,$(BENCH_SRC))
BENCH_TARGETS := $(subst _,-,$(BENCHES:%=bench-%))

.PHONY: $(BENCH_TARGETS) all tests unit-tests fuzz fuzz-targets check bench lint run clean help skeletons show-flags
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

all: $(LIB) $(BINS) ## build every program, warnings are errors
tests: all $(UNIT_BIN) $(PROGRAM_BIN) $(FUZZ_BIN) $(TOOL_BIN) $(BENCH_BIN) ## build the tests as well
unit-tests: $(UNIT_BIN) $(FUZZ_BIN)

fuzz: ## build the fuzz targets with libFuzzer (see tests/fuzz/README.md)
	$(Q)$(MAKE) --no-print-directory FUZZ=1 fuzz-targets
fuzz-targets: $(FUZZ_BIN)

check: ## build and run all tests (SANITIZE=1: with ASan and UBSan)
	$(Q)SANITIZE=$(SANITIZE) scripts/test --no-install
bench: $(BENCH_BIN) ## run all benches, one after the other (make -s bench-NAME: one of them)
	$(Q)for bench in $(BENCH_BIN); do $$bench || exit 1; done
define bench_rule
bench-$(subst _,-,$(1)): $(B)/tests/bench/bench_$(1)
	$(Q)$$<
endef
$(foreach bench,$(BENCHES),$(eval $(call bench_rule,$(bench))))
lint: ## formatting, include ladder, licence lines, compiler warnings of clang
	$(Q)scripts/lint
run: ## the gateway on the embedded two-region lab
	$(Q)scripts/run
clean: ## remove build/
	$(Q)rm -rf build
help: ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(B)/obj/%.o: %.c
	$(call SAY,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Debian's copy of llhttp is sources only (node-llhttp); its warnings are not ours.
$(B)/obj/llhttp/%.o: /usr/share/llhttp/%.c
	$(call SAY,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -g -O2 -msse4.2 -w -DLLHTTP_STRICT_MODE=1 -isystem /usr/share/include/llhttp $(SANITIZER) -c -o $@ $<

$(LIB): $(LIB_OBJ) $(LLHTTP_OBJ)
	$(call SAY,AR,$@)
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/%.bpf.o: %.bpf.c
	$(call SAY,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/%.skel.h: $(B)/%.bpf.o
	$(call SAY,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(*F) > $@

# Skeletons must exist before the first compilation that includes one.
$(LOADER_OBJ): | $(SKELS)
$(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/harness/*.c) $(PROGRAM_SRC)): | $(SKELS)
$(BENCH_OBJ): | $(BENCH_SKELS)

# For scripts/lint, which looks at the same files with clang.
skeletons: $(SKELS) $(BENCH_SKELS)
show-flags:
	@echo $(CPPFLAGS) -std=gnu11 $(WARN)

define link
	$(call SAY,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(1) $(LIB) $(LDLIBS) $(2)
endef

$(B)/bin/sluice-controller: $(CONTROLLER_OBJ) $(LIB)
	$(call link,$(CONTROLLER_OBJ))
$(B)/bin/sluice-proxy: $(PROXY_OBJ) $(LIB)
	$(call link,$(PROXY_OBJ))
$(B)/bin/sluice-loader: $(LOADER_OBJ) $(LIB)
	$(call link,$(LOADER_OBJ),-lxdp -lbpf)
$(B)/bin/sluicectl: $(CLI_OBJ) $(LIB)
	$(call link,$(CLI_OBJ))
$(B)/bin/sluice-model-server: $(SERVER_OBJ) $(LIB)
	$(call link,$(SERVER_OBJ))

$(B)/tests/unit/%: $(B)/obj/tests/unit/%.o $(TEST_PART) $(LIB)
	$(call link,$< $(TEST_PART),-lcmocka -lxdp -lbpf)
$(B)/tests/program/%: $(B)/obj/tests/program/%.o $(TEST_PART) $(LIB)
	$(call link,$< $(TEST_PART),-lcmocka -lxdp -lbpf)
# A fuzz target is replayed over its corpus by a main() of ours (tests/fuzz/replay.c);
# `make fuzz` links libFuzzer instead, to look for new inputs.
ifeq ($(FUZZ),1)
$(B)/tests/fuzz/%: $(B)/obj/tests/fuzz/%.o $(LIB)
	$(call link,$< -fsanitize=fuzzer)
else
$(B)/tests/fuzz/%: $(B)/obj/tests/fuzz/%.o $(B)/obj/tests/fuzz/replay.o $(LIB)
	$(call link,$< $(B)/obj/tests/fuzz/replay.o)
endif
$(B)/tests/bench/%: $(B)/obj/tests/bench/%.o $(BENCH_PART) $(LOADER_PART) $(HARNESS_PACKET) $(LIB)
	$(call link,$< $(BENCH_PART) $(LOADER_PART) $(HARNESS_PACKET),-lxdp -lbpf)
$(B)/tests/bench/bench_l4_wire $(B)/tests/bench/bench_l7: | $(BINS)
$(B)/tests/lab/tools/%: $(B)/obj/tests/lab/tools/%.o $(LIB)
	$(call link,$<)

-include $(shell find $(B)/obj $(B)/bpf $(B)/tests/bench -name '*.d' 2>/dev/null)
