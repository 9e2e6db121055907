# Kleroterion. `make demo`, `make run`, `make check`, `make bench` are the main targets; they
# install what they need (packaging/deps.sh) and build first.
#
#	CC=clang B=build/clang     another compiler, another build folder
#	SAN=1 B=build/san          ASan and UBSan, without seccomp

B        ?= build/out
DEPS     := build/deps
CC       ?= cc
PREFIX   ?= /usr
SBINDIR  ?= $(PREFIX)/sbin
LIBEXEC  ?= $(PREFIX)/libexec/kleroterion
SYSCONF  ?= /etc/kleroterion
VERSION  := 0.1.0

# packaging/deps.sh installs the packages and writes deps.mk: where SQLCipher is. Make reads it
# again when it has been made, so that every target can rely on it.
ifneq ($(MAKECMDGOALS),clean)
include $(DEPS)/deps.mk
endif

$(DEPS)/deps.mk: packaging/deps.sh packaging/apt.sh packaging/sqlcipher.sh
	packaging/deps.sh $(DEPS) beside
# SQLCipher is compiled beside what does not need it, where Debian's own is too old
ifneq ($(SQLCIPHER_MADE),)
$(SQLCIPHER_MADE):
	packaging/deps.sh $(DEPS)
endif

# V=1 shows whole command lines
ifneq ($(V),1)
Q := @
say = @echo '  $(1)	$(2)';
else
say =
endif

pc = $(shell pkg-config $(1))

WARN   := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Wimplicit-fallthrough \
          -Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings -Werror
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fPIE \
          -fno-strict-aliasing -ffunction-sections -fdata-sections
IS_CLANG := $(shell $(CC) --version 2>/dev/null | grep -c clang)
ifneq ($(IS_CLANG),0)
HARDEN += -ftrivial-auto-var-init=zero
ifneq ($(shell echo 'int x;' | $(CC) -ftrivial-auto-var-init=zero -xc -c -o /dev/null - 2>&1),)
HARDEN += -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang
endif
else
HARDEN += $(shell echo 'int x;' | $(CC) -ftrivial-auto-var-init=zero -xc -c -o /dev/null - 2>/dev/null && echo -ftrivial-auto-var-init=zero)
endif
LDHARD := -fPIE -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed,--gc-sections

ifeq ($(SAN),1)
OPT    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DKLERO_SANITIZE
LDHARD += -fsanitize=address,undefined
# one build for the sanitizers' tests and for the fuzz targets
ifneq ($(IS_CLANG),0)
OPT    += -fsanitize=fuzzer-no-link
endif
else
OPT    ?= -O2 -g
# written otherwise, a make since 4.3 hands the backslash on
hash   := \#
FORTIFY := $(shell echo '$(hash)include <string.h>' | $(CC) -O2 -Werror -D_FORTIFY_SOURCE=3 -xc -c -o /dev/null - 2>/dev/null && echo 3 || echo 2)
OPT    += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$(FORTIFY)
endif

CFLAGS  += -std=c11 -D_GNU_SOURCE $(OPT) $(WARN) $(HARDEN) -I. -MMD -MP \
           -DKLERO_VERSION='"$(VERSION)"' -DKLERO_LIBEXEC='"$(LIBEXEC)"' -DKLERO_SYSCONF='"$(SYSCONF)"'

C_EVENT  := $(call pc,--cflags libevent_core)
L_EVENT  := $(call pc,--libs libevent_core)
L_SSL    := $(call pc,--libs libssl libcrypto)
L_CRYPTO := $(call pc,--libs libcrypto)
L_SODIUM := $(call pc,--libs libsodium)
L_GMP    := $(call pc,--libs gmp)
L_CURL   := $(call pc,--libs libcurl)
L_SECC   := $(call pc,--libs libseccomp)
C_P11KIT := $(call pc,--cflags p11-kit-1)
L_P11    := $(call pc,--libs libp11)
CFLAGS   += $(C_EVENT) $(C_P11KIT) $(SQLCIPHER_CFLAGS)

# --- the page GET /verify: npm's esbuild makes one file of daemon/page, the same bytes each time ---
# A package is built without a network: packaging/deb.sh has made it before.
PAGE    := build/page
PAGE_OF := $(sort $(wildcard daemon/page/*.* daemon/page/src/*))
$(PAGE)/verify.c: $(PAGE_OF) packaging/npm.sh
	$(call say,PAGE,$@) packaging/npm.sh daemon/page $(PAGE) && node daemon/page/build.mjs $(PAGE)
$(B)/page.o: $(PAGE)/verify.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS) -c -o $@ $<

# --- archives: a program takes from them what it needs and nothing else ---
objs = $(patsubst %.c,$(B)/%.o,$(wildcard $(1)))

LIB_POLICY  := $(B)/libpolicy.a
LIB_MSG     := $(B)/libmsg.a
LIB_LOOP    := $(B)/libloop.a
LIB_API     := $(B)/libapi.a
LIB_SANDBOX := $(B)/libsandbox.a
LIB_CONF    := $(B)/libconf.a
LIB_P11     := $(B)/libp11klero.a
LIB_ONCE    := $(B)/libonce.a
LIB_SETUP   := $(B)/libsetup.a
LIB_CHECK   := $(B)/libcheck.a
LIB_DB      := $(B)/libdb.a
LIB_NET     := $(B)/libnet.a
LIB_ENGINE  := $(B)/libengine.a
LIB_ROLE    := $(B)/libhsmrole.a
LIB_KDF     := $(B)/libkdf.a
LIB_OUT     := $(B)/libout.a
LIB_BEACON  := $(B)/libbeacon.a
LIB_PARENT  := $(B)/libparent.a
LIB_CTL     := $(B)/libctl.a

$(LIB_POLICY):  $(call objs,policy/*.c)
$(LIB_MSG):     $(call objs,daemon/msg/*.c)
$(LIB_LOOP):    $(call objs,daemon/loop/*.c)
$(LIB_API):     $(call objs,daemon/api/*.c)
$(LIB_SANDBOX): $(call objs,sandbox/*.c)
$(LIB_CONF):    $(call objs,daemon/conf/*.c)
$(LIB_P11):     $(call objs,hsm/p11/*.c)
$(LIB_ONCE):    $(call objs,hsm/once/*.c)
$(LIB_SETUP):   $(call objs,hsm/setup/*.c)
$(LIB_CHECK):   $(call objs,hsm/check/*.c)
$(LIB_DB):      $(call objs,db/*.c)
$(LIB_NET):     $(filter-out $(B)/daemon/net/net.o,$(call objs,daemon/net/*.c)) $(B)/page.o
$(LIB_ENGINE):  $(filter-out $(B)/daemon/engine/engine.o,$(call objs,daemon/engine/*.c))
$(LIB_ROLE):    $(filter-out $(B)/hsm/role/main.o,$(call objs,hsm/role/*.c))
$(LIB_KDF):     $(filter-out $(B)/daemon/kdf/kdf.o,$(call objs,daemon/kdf/*.c))
$(LIB_CTL):     $(call objs,daemon/cli/kleroctl_*.c)
$(LIB_OUT):     $(filter-out $(B)/daemon/out/out.o,$(call objs,daemon/out/*.c))
$(LIB_BEACON):  $(filter-out $(B)/daemon/beacon/beacon.o,$(call objs,daemon/beacon/*.c))
$(LIB_PARENT):  $(filter-out $(B)/daemon/parent/main.o,$(call objs,daemon/parent/*.c))

%.a:
	@rm -f $@
	$(Q)ar rcsD $@ $^

# the commit that engine names in its proofs: compiled again when it is another one
.PHONY: anew
$(B)/commit: anew
	@mkdir -p $(@D); packaging/commit.sh >$@.new; cmp -s $@.new $@ || cp $@.new $@; rm $@.new
$(B)/daemon/engine/software.o: CFLAGS += -DKLERO_COMMIT='"$(shell packaging/commit.sh)"'
$(B)/daemon/engine/software.o: $(B)/commit

# who includes sqlite3.h; who links the library waits for $(LIB_DB)
$(patsubst %.c,$(B)/%.o,$(wildcard db/*.c tests/unit/*.c tests/tools/*.c)): | $(SQLCIPHER_MADE)
$(B)/%.o: %.c | $(DEPS)/deps.mk
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS) -c -o $@ $<

# --- programs ---
BIN_DIR := $(B)/bin
BIN := klerod klerod-net klerod-engine klerod-hsm klerod-keyadm klerod-kdf klerod-out klerod-beacon kleroctl klero-verify
PROGRAMS := $(addprefix $(BIN_DIR)/,$(BIN))

LIB_CHILD := $(LIB_MSG) $(LIB_SANDBOX) $(LIB_POLICY)
L_CHILD   := $(L_SODIUM) $(L_SECC)

link = $(call say,LD,$@) mkdir -p $(@D); $(CC) $(OPT) $(LDFLAGS) $(LDHARD) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group

$(BIN_DIR)/klerod: $(B)/daemon/parent/main.o $(LIB_PARENT) $(LIB_CONF) $(LIB_MSG) $(LIB_SANDBOX) $(LIB_POLICY)
	$(link) $(L_CHILD) $(L_CRYPTO)
$(BIN_DIR)/klerod-net: $(B)/daemon/net/net.o $(LIB_NET) $(LIB_API) $(LIB_LOOP) $(LIB_CHILD)
	$(link) $(L_SSL) $(L_EVENT) $(L_CHILD)
$(BIN_DIR)/klerod-engine: $(B)/daemon/engine/engine.o $(LIB_ENGINE) $(LIB_CONF) $(LIB_API) $(LIB_LOOP) $(LIB_DB) $(LIB_CHILD)
	$(link) $(SQLCIPHER_LIBS) $(L_EVENT) $(L_CRYPTO) $(L_CHILD)
$(BIN_DIR)/klerod-hsm: $(B)/hsm/role/main.o $(LIB_ROLE) $(LIB_ONCE) $(LIB_P11) $(LIB_CHILD)
	$(link) -ldl $(L_GMP) $(L_CRYPTO) $(L_CHILD)
$(BIN_DIR)/klerod-keyadm: $(call objs,hsm/keyadm/*.c) $(LIB_ONCE) $(LIB_P11) $(LIB_CHILD)
	$(link) -ldl $(L_CRYPTO) $(L_CHILD)
$(BIN_DIR)/klerod-kdf: $(B)/daemon/kdf/kdf.o $(LIB_KDF) $(LIB_CHILD)
	$(link) $(L_CHILD) $(L_CRYPTO)
$(BIN_DIR)/klerod-out: $(B)/daemon/out/out.o $(LIB_OUT) $(LIB_CHILD)
	$(link) $(L_CURL) -lresolv $(L_CHILD) $(L_CRYPTO)
$(BIN_DIR)/klerod-beacon: $(B)/daemon/beacon/beacon.o $(LIB_BEACON) $(LIB_CHILD)
	$(link) $(L_CHILD) $(L_GMP) $(L_CRYPTO)
$(BIN_DIR)/kleroctl: $(B)/daemon/cli/kleroctl.o $(LIB_CTL) $(LIB_PARENT) $(LIB_SETUP) $(LIB_CHECK) $(LIB_ONCE) $(LIB_P11) $(LIB_CONF) $(LIB_MSG) $(LIB_SANDBOX) $(LIB_POLICY)
	$(link) $(L_P11) -ldl $(L_CRYPTO) $(L_CHILD)
$(BIN_DIR)/klero-verify: $(call objs,daemon/cli/klero_verify*.c) $(LIB_CONF) $(LIB_POLICY)
	$(link) $(L_CURL) $(L_SODIUM) $(L_GMP) $(L_CRYPTO) -lm

# --- the roles with a deliberate hole, for the tests alone: see tests/captured/roles_hole.c ---
ROLES := $(filter klerod-%,$(BIN))
ifeq ($(BIN_DIR),$(B)/captured)
$(addprefix $(BIN_DIR)/,$(ROLES)): $(B)/tests/captured/roles_hole.o
endif
# --- all programs with a seam to the machine that can fail, and nothing else different ---
ifeq ($(BIN_DIR),$(B)/faults)
$(PROGRAMS): $(B)/tests/faults/seam.o
$(PROGRAMS): LDFLAGS += -rdynamic # the seam tells who called by name
endif
# it runs before a sanitizer's runtime does
$(B)/tests/faults/seam.o: OPT := -O1 -g $(filter -DKLERO_SANITIZE,$(OPT))
.PHONY: faults
faults: all
	$(Q)$(MAKE) BIN_DIR=$(B)/faults $(addprefix $(B)/faults/,$(BIN))
.PHONY: captured
captured: all
	$(Q)$(MAKE) BIN_DIR=$(B)/captured LDFLAGS=-Wl,--wrap=recvmsg,--wrap=sendmsg $(addprefix $(B)/captured/,$(ROLES))
	$(Q)cp $(B)/bin/klerod $(B)/bin/kleroctl $(B)/bin/klero-verify $(B)/captured/

# --- tests: every tests/unit/test_*.c is a program of its own (cmocka) ---
UNIT := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/test_*.c))
LIB_ALL := $(LIB_CTL) $(LIB_CHECK) $(LIB_PARENT) $(LIB_KDF) $(LIB_OUT) $(LIB_BEACON) $(LIB_NET) $(LIB_ENGINE) $(LIB_ROLE) $(LIB_ONCE) $(LIB_SETUP) $(LIB_P11) $(LIB_CONF) $(LIB_API) $(LIB_LOOP) $(LIB_DB) $(LIB_MSG) $(LIB_SANDBOX) $(LIB_POLICY)
L_ALL := $(L_P11) $(L_SSL) $(L_CURL) -lresolv $(SQLCIPHER_LIBS) $(L_EVENT) $(L_CHILD) $(L_GMP) -ldl -lm

$(B)/tests/test_%: $(B)/tests/unit/test_%.o $(LIB_ALL)
	$(link) -lcmocka $(L_ALL)

# --- fuzz targets: clang's libFuzzer, everything instrumented, in $(B) = build/san ---
FUZZ := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
$(B)/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(LIB_ALL)
	$(call say,LD,$@) mkdir -p $(@D); $(CC) $(OPT) $(LDHARD) -fsanitize=fuzzer -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(L_ALL)

# --- tools of the tests and of the benchmark: one program per file ---
LOCAL_KEY := $(B)/localkey/klerod-net
TOOLS := $(patsubst tests/tools/%.c,$(B)/tools/%,$(wildcard tests/tools/*.c)) $(patsubst %,$(B)/tools/%.so,nocopy noedcopy hsmfail) $(LOCAL_KEY)
$(B)/tools/%: $(B)/tests/tools/%.o $(LIB_ALL)
	$(link) -lcmocka $(L_ALL)
# klerod-net with the TLS key in its own process, for the benchmark: tests/bench/local_key.c
$(LOCAL_KEY): $(B)/tests/bench/local_key.o $(B)/daemon/net/net.o $(LIB_NET) $(LIB_API) $(LIB_LOOP) $(LIB_CHILD)
	$(link) -Wl,--wrap=tls_new,--wrap=tls_provider_key,--wrap=tls_rehearse $(L_SSL) $(L_EVENT) $(L_CHILD)

# SoftHSM's module with failures in it, without C_CopyObject, and without it for Ed25519
SOFTHSM := $(firstword $(wildcard /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so))
$(B)/tools/nocopy.so: NOCOPY := -DNOCOPY=EVERY
$(B)/tools/noedcopy.so: NOCOPY := -DNOCOPY=CKK_EC_EDWARDS
$(B)/tools/nocopy.so $(B)/tools/noedcopy.so $(B)/tools/hsmfail.so: tests/hsmfail/module.c tests/hsmfail/calls.def
	$(call say,LD,$@) mkdir -p $(@D); $(CC) $(filter-out -fPIE -MMD -MP,$(CFLAGS)) -fPIC -shared $(NOCOPY) -DREAL_MODULE='"$(SOFTHSM)"' -o $@ $< -ldl

.PHONY: all unit fuzz fuzz-build fuzz-long fuzz-merge fuzz-coverage tools demo run check check-release bench bench-table bench-size peers attack attack-table analyse coverage clean install format
.DEFAULT_GOAL := all
.SECONDARY:

# the slowest part first
all: $(SQLCIPHER_MADE) $(PROGRAMS)
unit: $(UNIT)
fuzz-build: $(FUZZ)
FUZZ_B := build/san
fuzz:
	$(MAKE) B=$(FUZZ_B) CC=clang SAN=1 fuzz-build
# an hour of processor time for each target, in a build folder of its own; then what is worth keeping
fuzz-long fuzz-merge:
	$(MAKE) FUZZ_B=build/fuzzlong fuzz
	tests/fuzz/fuzz.py $(@:fuzz-%=%) build/fuzzlong $(TARGETS)
# which lines the corpora and the seeds reach, by clang's counters
fuzz-coverage:
	$(MAKE) B=build/fuzzcov CC=clang OPT='-O1 -g -fprofile-instr-generate -fcoverage-mapping -DKLERO_SANITIZE' fuzz-build
	tests/fuzz/fuzz.py coverage build/fuzzcov $(TARGETS)
tools: $(TOOLS)

demo: all
	tests/system/demo.sh $(B)/bin build/demo
run: all
	tests/system/run.sh $(B)/bin build/run
check:
	tests/check.sh
# the same inside another Debian release (root only): make check-release RELEASE=trixie SUITES='build unit'
RELEASE ?= trixie
check-release:
	tests/release.sh $(RELEASE) $(SUITES)
bench: all tools
	tests/bench/bench.sh $(B) $(PEER)
	/usr/bin/python3 tests/bench/reseal.py $(B)
# the table of the README, from what the last `make bench` has written
bench-table:
	/usr/bin/python3 tests/bench/table.py --write
# what the store's size costs: `make bench-size SIZE='--readme'` writes the table of the README
bench-size: all tools
	tests/bench/size.sh $(B) $(SIZE)
# other people's suites and tools against the daemon
peers: all tools
	tests/peers/run.sh $(B)/bin build/peers
# every PKCS#11 module of Debian under the tests of the HSM; then the table of the README
.PHONY: modules
modules: all tools
	tests/modules/run.sh $(B) build/attack $(MODULES)
	tests/modules/table.py --write build/attack
# the long forms of what attacks the product; then the table of SECURITY.md from their results
attack: all tools
	tests/attack/run.sh $(B) build/attack $(SUITES)
# the same inside another Debian release (root only): make attack-release RELEASE=trixie SUITES=sandbox
.PHONY: attack-release
attack-release:
	tests/release.sh $(RELEASE) attack $(SUITES)
attack-table:
	tests/attack/report.py build/attack SECURITY.md
# what is too slow for every check: see the scripts
analyse: $(SQLCIPHER_MADE)
	tests/lint/analyse.sh
COUNTED := -O1 -g -Wno-unused-command-line-argument -fprofile-instr-generate=$(CURDIR)/build/cov/profile/%m%c.profraw -fcoverage-mapping \
           -mllvm -runtime-counter-relocation
coverage:
	tests/lint/needs.sh llvm
	$(MAKE) B=build/cov CC=clang WARN=-Wall OPT='$(COUNTED)' \
	  all unit tools fuzz-build
	tests/lint/coverage.py build/cov

format:
	git ls-files '*.c' '*.h' | xargs clang-format -i

install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBEXEC) $(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 $(B)/bin/klerod $(B)/bin/kleroctl $(DESTDIR)$(SBINDIR)
	install -m 755 $(B)/bin/klero-verify $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(filter $(B)/bin/klerod-%,$(PROGRAMS)) $(DESTDIR)$(LIBEXEC)
	install -m 644 packaging/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 644 packaging/man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 packaging/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1

# Debian packages of the last commit; then all that is asked of them, in a fresh Debian (root only)
.PHONY: deb check-deb
deb: $(DEPS)/deps.mk $(SQLCIPHER_MADE)
	packaging/deb.sh $(DEPS) build/deb
check-deb: $(DEPS)/deps.mk $(SQLCIPHER_MADE)
	tests/packages/deb.sh $(DEPS)
# the packages built in another Debian release and used in a system of it: make check-deb-release RELEASE=trixie
.PHONY: check-deb-release
check-deb-release:
	tests/release.sh $(RELEASE) deb
	tests/packages/deb.sh - $(RELEASE) build/deb-$(RELEASE)
# the same for Fedora and RHEL 9: a source package, and one that is built here to be looked at
.PHONY: rpm check-rpm
rpm: $(DEPS)/deps.mk $(SQLCIPHER_MADE)
	packaging/rpm.sh $(DEPS) build/rpm
check-rpm: $(DEPS)/deps.mk $(SQLCIPHER_MADE)
	tests/packages/rpm.sh $(DEPS)
# the table of the README, from what check, check-deb and check-rpm have written at their end
# the package of Debian under Debian's own kernel in qemu, for AppArmor (root only; minutes)
.PHONY: check-vm
check-vm: $(DEPS)/deps.mk $(SQLCIPHER_MADE)
	tests/packages/vm.sh $(DEPS)
.PHONY: tested-table
tested-table:
	tests/packages/tested.py write

clean:
	rm -rf build/out build/clang build/san build/fuzzlong build/fuzzcov build/cov build/scan build/memcheck

-include $(shell find $(B) -name '*.d' 2>/dev/null)
