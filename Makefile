# SPDX-License-Identifier: GPL-2.0-or-later
# GNU make. `make` builds build/, `make check` tests it, `make help` lists the rest.
#
#   O=DIR        where everything built goes (build)
#   CC=clang     another compiler
#   SAN=1        AddressSanitizer and UndefinedBehaviorSanitizer
#   DESTDIR= prefix= sysconfdir=   as usual, for install and uninstall

O ?= build
prefix ?= /usr
sbindir ?= $(prefix)/sbin
sysconfdir ?= /etc
mandir ?= $(prefix)/share/man
unitdir ?= $(prefix)/lib/systemd/system
VERSION := 0.1

MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:

PKG_CONFIG ?= pkg-config
CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 \
	-Wpointer-arith -Wwrite-strings -Wcast-qual -Wundef -Wvla -Wimplicit-fallthrough -Wnull-dereference
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fno-common -ffunction-sections -fdata-sections
CPP_USHER := -std=gnu11 -D_GNU_SOURCE -DUSHER_VERSION='"$(VERSION)"' -DUSHER_SBINDIR='"$(sbindir)"' -I. -MMD -MP
ifdef SAN
HARDEN := -fno-common -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDSAN := -fsanitize=address,undefined
CFLAGS := -O1 -g
endif
ifdef COVERAGE
HARDEN := -fno-common --coverage
LDSAN := --coverage -Wl,--wrap=_exit
CFLAGS := -O0 -g
endif
ALL_CFLAGS = $(CPP_USHER) $(WARN) $(HARDEN) $(CFLAGS)
ALL_LDFLAGS = -Wl,--gc-sections,-z,relro,-z,now $(LDSAN) $(LDFLAGS)

comma := ,
pkg = $(shell $(PKG_CONFIG) --$(1) $(2))

# --- What is built -----------------------------------------------------------------------------
HELPERS := vfio hugepages cpuset display nosleep seat
PROGRAMS := usher-hook usher $(HELPERS:%=usher-%)

# A helper's libraries, by folder
LIBS_vfio := -l:libinih.a
LIBS_hugepages := -linih
LIBS_cpuset := -linih
LIBS_display := -linih
LIBS_nosleep := -linih
LIBS_seat := -linih
# libvirt, its XML and the journal are the admin's command's alone
LIBS_usher := -linih -lpci $(call pkg,libs,libvirt libxml-2.0 libsystemd)
XML_CFLAGS := $(call pkg,cflags,libxml-2.0)
# The hook is static; hooks/icu_stub.c keeps 32 MB of ICU tables out of it
LIBS_hook := -linih $(shell $(PKG_CONFIG) --static --libs libxml-2.0 | tr ' ' '\n' | grep -v -e '^-licu' -e '^-lstdc++')

src = $(wildcard $(1)/*.c)
obj = $(patsubst %.c,$(O)/obj/%.o,$(call src,$(1)))
LIB_OBJS := $(call obj,lib) $(if $(COVERAGE),$(call obj,test/coverage))
HOOK_OBJS := $(call obj,hooks)
HELPER_OBJS := $(call obj,helpers)
FAKE_OBJS := $(call obj,test/fake)
LIBA := $(O)/libusher.a

.PHONY: all
all: $(PROGRAMS:%=$(O)/%)

# What all objects were made with: another prefix, compiler or flag makes them all again. Set here,
# as a target's own flags reach what it depends on, too
quoted = '$(subst ','\'',$(1))'
FLAGS := $(CC) $(ALL_CFLAGS) $(XML_CFLAGS) $(ALL_LDFLAGS)
.PHONY: FORCE
$(O)/flags: FORCE
	@mkdir -p $(@D)
	@{ $(CC) --version && printf '%s\n' $(call quoted,$(FLAGS)); } >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(O)/obj/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(CFLAGS_$(notdir $*)) -c -o $@ $<

$(O)/obj/hooks/%.o: ALL_CFLAGS += $(XML_CFLAGS)
$(O)/obj/helpers/usher/%.o: ALL_CFLAGS += $(XML_CFLAGS)
$(O)/obj/test/unit/usher_%.o: ALL_CFLAGS += $(XML_CFLAGS)
$(O)/obj/test/unit/hooks_%.o: ALL_CFLAGS += $(XML_CFLAGS)
$(O)/obj/test/fuzz/%.o: ALL_CFLAGS += $(XML_CFLAGS)

$(LIBA): $(LIB_OBJS)
	@rm -f $@
	$(AR) rcs $@ $^

# AddressSanitizer cannot be linked statically: that build of the hook is dynamic
STATIC := $(if $(SAN),,-static)
$(O)/usher-hook: $(HOOK_OBJS) $(LIBA)
	@$(if $(ENTRY),! nm -u $(O)/obj/hooks/entry.o | grep -v -w -e _start -e _GLOBAL_OFFSET_TABLE_)
	$(CC) $(ALL_LDFLAGS) $(ENTRY) $(STATIC) -o $@ $(HOOK_OBJS) $(LIBA) $(LIBS_hook)

# hooks/entry.c runs before the C library, where it has a way in; not where each line is counted
ifndef COVERAGE
ENTRY := $(if $(findstring x86_64,$(shell $(CC) -dumpmachine)),-Wl$(comma)-e$(comma)usher_entry)
CFLAGS_entry := -ffreestanding -fno-builtin -fno-stack-protector -fno-sanitize=all -U_FORTIFY_SOURCE \
	$(if $(findstring clang,$(CC)),,-fno-tree-loop-distribute-patterns)
endif

# Finding its libraries takes longer than what it has to do
STATIC_display := $(STATIC)

define helper_rules
$(O)/usher-$(1): $$(call obj,helpers/$(1)) $(HELPER_OBJS) $(LIBA)
	$$(CC) $$(ALL_LDFLAGS) $$(STATIC_$(1)) -o $$@ $$(filter %.o,$$^) $(LIBA) $$(LIBS_$(1))

# The same objects over a fake kernel: test/fake stands in for what is wrapped
$(O)/fake/usher-$(1): $$(call obj,helpers/$(1)) $(HELPER_OBJS) $(FAKE_OBJS) $(LIBA) test/fake/wraps
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_LDFLAGS) $$(FAKE_WRAPS) -o $$@ $$(filter %.o,$$^) $(LIBA) $$(LIBS_$(1))
endef
$(foreach h,$(HELPERS),$(eval $(call helper_rules,$(h))))

$(O)/usher: $(call obj,helpers/usher) $(LIBA)
	$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(LIBA) $(LIBS_usher)

FAKE_WRAPS = $(shell sed -n 's/^\([a-z0-9_]*\).*/-Wl,--wrap=\1/p' test/fake/wraps 2>/dev/null)
$(O)/fake/usher-hook: $(HOOK_OBJS) $(FAKE_OBJS) $(LIBA) test/fake/wraps
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) $(STATIC) $(FAKE_WRAPS) -o $@ $(HOOK_OBJS) $(FAKE_OBJS) $(LIBA) $(LIBS_hook)
$(O)/fake/usher: $(call obj,helpers/usher) $(FAKE_OBJS) $(LIBA) test/fake/wraps
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) $(FAKE_WRAPS) -o $@ $(filter %.o,$^) $(LIBA) $(LIBS_usher)

# What QEMU, libvirt and an admin do on the tree
$(O)/fake/fakehost: $(O)/obj/test/sim/fakehost.o $(FAKE_OBJS) $(LIBA) test/fake/wraps
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) $(FAKE_WRAPS) -o $@ $(filter %.o,$^) $(LIBA) -linih

# --- The simulator: libvirt's hook contract over the fake kernel -----------------------------------
# What it plays, and how a case is written: test/sim/sim.h. All it is played against: `make fake`
SIM_OBJS := $(filter-out %/fakehost.o,$(call obj,test/sim))
$(O)/fake/simulator: $(SIM_OBJS) $(FAKE_OBJS) $(LIBA) test/fake/wraps
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) $(FAKE_WRAPS) -o $@ $(filter %.o,$^) $(LIBA) -linih

.PHONY: fake
fake: $(PROGRAMS:%=$(O)/fake/%) $(O)/fake/fakehost $(O)/fake/simulator

# Every case there is takes hours: EVERY=N plays each N-th, from SEED on. DEPTH and CRASH_DEPTH are
# the moves that the emitted sequences have: of one guest, two less of two, one less of three
EVERY ?= 1
SEED ?= 0
DEPTH ?= 6
CRASH_DEPTH ?= 4
simulate = $(O)/fake/simulator --fake $(O)/fake --trees test/trees --every $(EVERY) --seed $(SEED)
.PHONY: crash-matrix fault-matrix nomem-matrix lives sim
crash-matrix: fake
	$(simulate) --depth $(CRASH_DEPTH) crash
fault-matrix: fake
	$(simulate) fault
nomem-matrix: fake
	$(simulate) nomem
lives: fake
	$(simulate) --depth $(DEPTH) lives
sim: fake
	test/sim/run $(O)

# --- Unit tests: test/unit/FOLDER_NAME_test.c is linked with that folder's objects ------------
# (lib: the library alone; hooks, vfio, ...: all of the folder but the file with main())
UNIT_SRCS := $(wildcard test/unit/*_test.c)
UNIT_TESTS := $(UNIT_SRCS:test/unit/%.c=$(O)/unit/%)
unit_folder = $(firstword $(subst _, ,$(notdir $(1))))
unit_objs_lib :=
unit_objs_hooks = $(filter-out %/qemu.o,$(HOOK_OBJS))
$(foreach h,$(HELPERS) usher,$(eval unit_objs_$(h) = $(filter-out %/main.o,$(call obj,helpers/$(h))) $(HELPER_OBJS)))
$(foreach h,$(HELPERS) usher,$(eval unit_libs_$(h) = $(LIBS_$(h))))
unit_objs_helper = $(HELPER_OBJS)
unit_objs_sim = $(patsubst %,$(O)/obj/test/sim/%.o,emit said)
unit_objs_fake = $(FAKE_OBJS)
# These start programs: what they need stands below
unit_objs_programs :=
unit_libs_programs = -linih
unit_libs_fake = -linih
unit_flags_fake = $(FAKE_WRAPS)
unit_libs_helper = -linih
unit_libs_lib = -linih
unit_libs_lib_sysbus_test = $(call pkg,libs,libsystemd)
unit_libs_hooks = -linih $(call pkg,libs,libxml-2.0)
# Wrapped functions of one test: a line "wraps: attr_write attr_read" in its head
unit_wraps = $(shell sed -n '1,20s/.*wraps: *\([A-Za-z0-9_ ]*\).*/\1/p' $(1) | xargs -rn1 printf -- '-Wl,--wrap=%s ')

.SECONDEXPANSION:
$(O)/unit/%: $(O)/obj/test/unit/%.o $$(unit_objs_$$(call unit_folder,%)) $(LIBA)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) $(call unit_wraps,test/unit/$*.c) \
		$(unit_flags_$(call unit_folder,$*)) -o $@ $(filter %.o,$^) $(LIBA) \
		$(unit_libs_$(call unit_folder,$*)) $(unit_libs_$*) -lcmocka

$(O)/unit/programs_tampered_test: | $(PROGRAMS:%=$(O)/fake/%)
$(O)/unit/helper_privileges_test: | $(HELPERS:%=$(O)/usher-%)

.PHONY: unit check
unit: $(UNIT_TESTS)
check: $(UNIT_TESTS)
	test/tap-unit $(UNIT_TESTS)

# The three builds the tests are run in
.PHONY: check-all
check-all:
	$(MAKE) O=$(O)/gcc check
	$(MAKE) O=$(O)/gcc-san SAN=1 check
	$(MAKE) O=$(O)/clang-san CC=clang SAN=1 check

# Lines and branches that unit tests, the command's, simulator and the lab's runs with LAB_COVERAGE=1
# have run, a line a file; UNCOVERED=1: what they have not. Fails for an error line that none has run
.PHONY: coverage
coverage:
	$(MAKE) O=$(O)/coverage COVERAGE=1 all unit fake
	test/coverage/run $(O)/coverage $(wildcard $(O)/lab/*/lines)

# --- Fuzzing: test/fuzz/NAME_fuzz.c, libFuzzer, SECONDS each --------------------------------------
SECONDS ?= 60
FUZZ_SECONDS ?= $(SECONDS)
FUZZ_SRCS := $(wildcard test/fuzz/*_fuzz.c)
FUZZERS := $(FUZZ_SRCS:test/fuzz/%.c=$(O)/fuzz/%)
FUZZ_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -O1 -g
fuzz_obj = $(patsubst %.c,$(O)/fuzz/obj/%.o,$(1))
FUZZ_LIB_OBJS := $(call fuzz_obj,$(filter-out lib/sysbus.c,$(wildcard lib/*.c)))
# Which folders' objects a fuzzer needs beside lib: a line "objs: hooks" or "objs: display" in its head
fuzz_srcs = $(foreach f,$(shell sed -n '1,20s/.*objs: *\([a-z ]*\).*/\1/p' test/fuzz/$(1).c),$(filter-out hooks/qemu.c %/main.c,$(if $(wildcard helpers/$(f)),$(wildcard helpers/$(f)/*.c) helpers/helper.c,$(wildcard $(f)/*.c))))

$(O)/fuzz/obj/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	clang $(CPP_USHER) $(XML_CFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<

define fuzzer_rules
$(O)/fuzz/$(1): $(call fuzz_obj,test/fuzz/$(1).c $(call fuzz_srcs,$(1))) $(FUZZ_LIB_OBJS)
	clang $$(FUZZ_FLAGS) -fsanitize=fuzzer -o $$@ $$^ -linih $$(call pkg,libs,libxml-2.0)
endef
$(foreach f,$(FUZZ_SRCS:test/fuzz/%.c=%),$(eval $(call fuzzer_rules,$(f))))

.PHONY: fuzz fuzz-planted
fuzz: $(FUZZERS)
	test/fuzz/run $(FUZZ_SECONDS) $(FUZZERS)

# Each fuzzer finds the bug that was planted for it; PLANTED="cpulist ini" only these
PLANTED ?=
fuzz-planted:
	test/fuzz/planted $(O) $(FUZZ_SECONDS) $(PLANTED)

# --- Static analysis -----------------------------------------------------------------------------
.PHONY: lint
lint: $(PROGRAMS:%=$(O)/%)
	test/lint $(O)

# --- The lab: a real kernel and a real libvirtd in a virtual machine ------------------------------
IMAGE ?= 13
TESTS ?= *
.PHONY: lab lab-all
lab:
	test/lab/run IMAGE=$(IMAGE) TESTS='$(TESTS)'
lab-all:
	$(MAKE) lab IMAGE=12
	$(MAKE) lab IMAGE=13
	$(MAKE) lab IMAGE=testing

# --- Benchmarks: ratios measured in one run ----------------------------------------------------------
.PHONY: bench
bench: all
	test/bench/run $(O)
	$(MAKE) bench-managed

# Memory in pieces, in the lab: CASES of cache checkerboard slab
CASES ?= cache checkerboard slab
.PHONY: bench-hugepages
bench-hugepages:
	test/lab/measure IMAGE=$(IMAGE) hugepages $(CASES)

# In the lab's machine: usher-display beside ddcutil; a hundred lives of the inhibitor; usher-vfio
# beside the kernel's own work; a whole start beside a script's
.PHONY: bench-display bench-nosleep bench-vfio bench-managed
bench-display bench-nosleep bench-vfio bench-managed: bench-%:
	test/lab/measure IMAGE=$(IMAGE) $*

# In the lab's machine: a hundred lives of a guest, a thousand of the hook's calls; more than an hour
.PHONY: bench-endurance
bench-endurance:
	LAB_DEADLINE=10800 test/lab/measure IMAGE=$(IMAGE) endurance

# In the lab's machine, booted twice: who runs on a guest's CPUs, for each way of isolating them
.PHONY: bench-isolation
bench-isolation:
	test/lab/measure IMAGE=$(IMAGE) isolation runtime
	LAB_APPEND='isolcpus=domain,managed_irq,2-3 nohz_full=2-3 rcu_nocbs=2-3 irqaffinity=0-1' \
		test/lab/measure IMAGE=$(IMAGE) isolation limit

# --- The sample host ------------------------------------------------------------------------------
.PHONY: demo
demo:
	./install.sh demo

# --- Every kind of test, as the README has it: ./install.sh check ----------------------------------
.PHONY: test
test:
	test/all $(O)

PLACES = $(foreach v,DESTDIR prefix sbindir sysconfdir mandir unitdir,$(v)=$(call quoted,$($(v))))
.PHONY: install uninstall
install: all
	BUILD_DIR=$(call quoted,$(O)) $(PLACES) ./install.sh install
uninstall:
	$(PLACES) ./install.sh uninstall

# The Debian package, in $(O)/deb, from what git has; lintian looks at it
.PHONY: deb
deb:
	rm -rf $(O)/deb
	mkdir -p $(O)/deb/usher
	git ls-files -z | xargs -0 cp --parents -t $(O)/deb/usher
	cd $(O)/deb/usher && DEB_BUILD_OPTIONS="nocheck $(DEB_BUILD_OPTIONS)" dpkg-buildpackage -us -uc -F
	lintian --allow-root --fail-on error $(O)/deb/*.changes

.PHONY: clean
clean:
	rm -rf $(O)

.PHONY: help
help:
	@sed -n 's/^# \(`make.*\)/\1/p; s/^# --- \([^-]*\).*/  \1/p' Makefile
	@echo 'Targets: all check check-all fuzz fuzz-planted lint lab lab-all bench bench-hugepages bench-display' \
		'bench-nosleep bench-isolation bench-endurance coverage crash-matrix fault-matrix nomem-matrix lives sim demo deb test install' \
		'uninstall clean'

-include $(shell find $(O)/obj $(O)/fuzz/obj -name '*.d' 2>/dev/null)
