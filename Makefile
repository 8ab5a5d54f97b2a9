# libsandlock. `make help` lists the targets; CI runs `make lint test`.

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DESTDIR ?=
CARGO ?= cargo
CC = gcc
CXX = g++

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
SONAME := libsandlock.so.0
TARGET := target/release
INSTALL := install
PACKAGES := pkgconfig/sandlock.pc cmake/sandlock/sandlockConfig.cmake cmake/sandlock/sandlockConfigVersion.cmake
CFLAGS ?= -O2

# What the test machine is declared to offer. A test that needs one of these and does not find it fails; a test that needs
# something else is listed as absent. The rest: x32, sys-resource (a root with CAP_SYS_RESOURCE), landlock-8, landlock-9, and java, which
# scripts/setup.sh does not install.
SANDLOCK_TEST_EXPECT ?= landlock-7 pidfd-info notify-6.6 ia32 tiocsti userns requests redis nginx musl overlay go node
export SANDLOCK_TEST_EXPECT

.PHONY: help all setup demo test vm-test bench soak header docs lint built install uninstall deb abi-dump fuzz clean

help:
	@echo "make demo      install what is missing, build, run the quickstart and a confined Python script"
	@echo "make test      all tests, the live ones as an unprivileged user and, if started as root, some as root"
	@echo "make vm-test   the tests of control groups, and of what newer kernels bring, on other kernels in an emulated machine"
	@echo "make bench     every figure beside its reference: a table, and target/bench.json; GROUP=bindings: those alone"
	@echo "make soak      leak checks of 10,000 runs in C and each language, and five minutes of mixed load"
	@echo "make lint      rustc, clippy, formatting, generated files: a warning is an error"
	@echo "make install   PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)"
	@echo "make uninstall PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)"
	@echo "make deb       Debian packages, in target/deb"
	@echo "make header    write include/sandlock.h from the source"
	@echo "make docs      the manual as pages, with everything else there is to read: target/docs/index.html"
	@echo "make abi-dump  write down the ABI that later releases must keep: at a release"
	@echo "make fuzz      fuzz the rule compiler and the text inputs, half a minute each"
	@echo "make clean     remove what was built"

all:
	$(CARGO) build --release --locked

setup:
	@scripts/setup.sh

demo: setup all
	@scripts/demo.sh

test: setup all
	@scripts/test.sh

vm-test: setup all
	@scripts/vm.sh
	@scripts/vm.sh --suite trixie-backports --expect "landlock-9 landlock-8 pidfd-info notify-6.6 userns ia32" \
	    test_net_unix test_net test_confine_self

bench: setup all
	@GROUP="$(GROUP)" scripts/bench.sh

soak: setup all
	@scripts/soak.sh

header:
	SANDLOCK_WRITE_HEADER=1 $(CARGO) test --quiet --locked --test header
	@python3 scripts/gen-syscalls.py
	@python3 scripts/gen-debian.py

docs: setup
	@scripts/docs/build.sh

lint: setup
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --all-features -- -D warnings
	$(CARGO) clippy --locked --release --manifest-path fuzz/Cargo.toml -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --quiet
	python3 scripts/gen-syscalls.py --check
	python3 scripts/gen-debian.py --check
	$(CARGO) test --quiet --locked --test header

# Root, who installs, may have no cargo: what its user has built is taken.
built:
	@if command -v $(CARGO) >/dev/null; then $(MAKE) --no-print-directory all; \
	elif [ -e $(TARGET)/libsandlock.so ] && [ -e $(TARGET)/libsandlock.a ]; then echo "no $(CARGO) here: installing what was built before"; \
	else echo "there is no $(CARGO), and nothing was built: run make first, as a user who has it" >&2; exit 1; fi

install: built
	$(INSTALL) -d "$(DESTDIR)$(LIBDIR)/pkgconfig" "$(DESTDIR)$(LIBDIR)/cmake/sandlock" "$(DESTDIR)$(INCLUDEDIR)"
	$(INSTALL) -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/share/sandlock"
	$(INSTALL) -d "$(DESTDIR)$(PREFIX)/share/bash-completion/completions"
	$(INSTALL) -d "$(DESTDIR)$(PREFIX)/share/man/man1" "$(DESTDIR)$(PREFIX)/share/man/man3" "$(DESTDIR)$(PREFIX)/share/man/man5"
	$(INSTALL) -m 755 $(TARGET)/libsandlock.so "$(DESTDIR)$(LIBDIR)/libsandlock.so.$(VERSION)"
	ln -sf libsandlock.so.$(VERSION) "$(DESTDIR)$(LIBDIR)/$(SONAME)"
	ln -sf $(SONAME) "$(DESTDIR)$(LIBDIR)/libsandlock.so"
	$(INSTALL) -m 644 $(TARGET)/libsandlock.a "$(DESTDIR)$(LIBDIR)/libsandlock.a"
	$(INSTALL) -m 644 include/sandlock.h "$(DESTDIR)$(INCLUDEDIR)/sandlock.h"
	$(INSTALL) -m 644 bindings/cpp/sandlock.hpp "$(DESTDIR)$(INCLUDEDIR)/sandlock.hpp"
	$(INSTALL) -m 644 profiles/*.toml "$(DESTDIR)$(PREFIX)/share/sandlock/"
	$(CC) -std=c11 -Wall -Wextra $(CFLAGS) $(LDFLAGS) -DSANDLOCK_PROFILES='"$(PREFIX)/share/sandlock"' -Iinclude -pthread \
	    -o $(TARGET)/sandlock examples/sandlock.c -L$(TARGET) -lsandlock
	$(INSTALL) -m 755 $(TARGET)/sandlock "$(DESTDIR)$(PREFIX)/bin/sandlock"
	$(INSTALL) -m 644 scripts/install/sandlock.bash "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/sandlock"
	$(INSTALL) -m 644 docs/man/sandlock.1 "$(DESTDIR)$(PREFIX)/share/man/man1/sandlock.1"
	$(INSTALL) -m 644 docs/man/libsandlock.3 "$(DESTDIR)$(PREFIX)/share/man/man3/libsandlock.3"
	$(INSTALL) -m 644 docs/man/sandlock-policy.5 "$(DESTDIR)$(PREFIX)/share/man/man5/sandlock-policy.5"
	@# Said relative to each other, so that the tree can be moved.
	headers=$$(realpath -ms --relative-to="$(LIBDIR)" "$(INCLUDEDIR)") && \
	for file in $(PACKAGES); do \
	    sed -e 's|@PREFIX@|$(PREFIX)|g; s|@LIBDIR@|$(LIBDIR)|g; s|@INCLUDEDIR@|$(INCLUDEDIR)|g; s|@VERSION@|$(VERSION)|g' \
	        -e "s|@HEADERS@|$$headers|g" -e 's|^\([a-z]*dir\)=$(PREFIX)/|\1=$${prefix}/|' \
	        "scripts/install/$${file##*/}.in" > "$(TARGET)/$${file##*/}" && \
	    $(INSTALL) -m 644 "$(TARGET)/$${file##*/}" "$(DESTDIR)$(LIBDIR)/$$file" || exit 1; \
	done

uninstall:
	rm -f "$(DESTDIR)$(LIBDIR)/libsandlock.so.$(VERSION)" "$(DESTDIR)$(LIBDIR)/$(SONAME)" "$(DESTDIR)$(LIBDIR)/libsandlock.so"
	rm -f "$(DESTDIR)$(LIBDIR)/libsandlock.a" "$(DESTDIR)$(INCLUDEDIR)/sandlock.h" "$(DESTDIR)$(INCLUDEDIR)/sandlock.hpp"
	for file in $(PACKAGES); do rm -f "$(DESTDIR)$(LIBDIR)/$$file"; done
	for file in profiles/*.toml; do rm -f "$(DESTDIR)$(PREFIX)/share/sandlock/$${file##*/}"; done
	cd "$(DESTDIR)$(PREFIX)" && rm -f bin/sandlock share/bash-completion/completions/sandlock share/man/man1/sandlock.1 \
	    share/man/man3/libsandlock.3 share/man/man5/sandlock-policy.5
	-rmdir --ignore-fail-on-non-empty "$(DESTDIR)$(LIBDIR)/cmake/sandlock" "$(DESTDIR)$(PREFIX)/share/sandlock"

deb: setup all
	@scripts/deb.sh

abi-dump: setup
	@scripts/abi.sh --dump

fuzz: setup
	@scripts/fuzz.sh

clean:
	$(CARGO) clean
	rm -rf fuzz/target fuzz/corpus fuzz/artifacts
