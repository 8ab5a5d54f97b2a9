#!/bin/bash
# All tests. Called by `make test`, after the library was built.
#
# The live tests are ordinary C programs, built against an installed copy of the library and run as an unprivileged user: as
# whoever calls this, or, for root, as the user "sandlock-test" (made here) or "nobody". Root runs some of them again as
# itself. Each line of their output is "ok NAME", "not ok NAME", or "absent NAME: REASON" for a test that needs what this
# machine was not declared to offer (SANDLOCK_TEST_EXPECT, see Makefile).
set -euo pipefail
cd "$(dirname "$0")/.."

passed=0
failed=0
absent=0
ok() { passed=$((passed + 1)); }
not_ok() { failed=$((failed + 1)); echo "not ok $*"; }
check() { # NAME COMMAND...
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then ok; else echo "$output" | tail -n 40; not_ok "$name"; fi
}
began=$SECONDS
section() { echo "== $* (at $((SECONDS - began)) s)"; }

stage=$(mktemp -d /tmp/sandlock-stage-XXXXXX)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"

run() { # LABEL COMMAND...
    local log=$stage/log-${1// /-} status=0 start=$SECONDS
    (cd / && timeout 300 "${@:2}") >"$log" 2>&1 </dev/null || status=$?
    echo "$status" >"$log.status"
    echo "$((SECONDS - start)) $1" >>"$stage/seconds"
}
account() { # LABEL
    local label=$1 log=$stage/log-${1// /-} status
    status=$(cat "$log.status")
    passed=$((passed + $(grep -c '^ok ' "$log" || true)))
    absent=$((absent + $(grep -c '^absent ' "$log" || true)))
    failed=$((failed + $(grep -c '^not ok ' "$log" || true)))
    grep -E '^(not ok|not run|absent|#)' "$log" | sed "s/^/[$label] /" || true
    if [ "$status" -ne 0 ] && ! grep -q '^not ok ' "$log"; then
        tail -n 40 "$log"
        not_ok "[$label] ended with status $status"
    fi
    grep -qE '^(ok|absent) ' "$log" || not_ok "[$label] ran no test"
}
live() { # LABEL COMMAND...
    run "$@"
    account "$1"
}
# One for each processor at a time and one more, for what has no time of its own: mostly compilers. all_beside() waits, and accounts.
besides=()
beside() { # LABEL COMMAND...
    [ "$(jobs -rp | wc -l)" -le "$(nproc)" ] || wait -n
    besides+=("$1")
    run "$@" &
}
all_beside() {
    local label
    wait
    for label in "${besides[@]}"; do account "$label"; done
    besides=()
}

# --- which C tests run how: as an unprivileged user, under sanitizers, and as root ---
everywhere="test_api test_run test_process test_streams test_report test_members test_limits"
everywhere+=" test_toml"
everywhere+=" test_net test_net_calls test_net_live test_net_ports"
everywhere+=" test_views test_init test_init_host"
everywhere+=" test_namespaces test_interaction test_pty test_metadata test_events test_handlers test_pending test_supervisor_load"
# Programs that others have written, which sanitizers of this one do not touch.
programs="test_net_programs test_net_services test_net_hosts"
# What newer kernels bring.
newer=
[[ " ${SANDLOCK_TEST_EXPECT//,/ } " != *" landlock-9 "* ]] || newer=test_net_unix
# Two thirds of a minute of readings, which neither sanitizer nor root would change.
user_tests="$everywhere $newer test_net_made test_resources test_host test_confine_self test_terminal attack_table"
# These do not ask how long something takes, and run beside the sanitized ones and root's.
long_tests="static_test_run all_static_test_run test_disk $programs test_faults"
sanitized_tests="$everywhere test_faults test_host"
root_tests="$everywhere $programs $newer test_confine_self test_terminal attack_table"

# --- Rust: pure code, layering, header, the child's allocations ---
section "cargo test"
rust_status=0
cargo test --quiet --locked --no-fail-fast --features sim >target/cargo-test.log 2>&1 || rust_status=$?
grep -vE '^$|^running|^\.+$' target/cargo-test.log || true
[ "$rust_status" -eq 0 ] || not_ok "cargo test"
rust=$(sed -n 's/^test result: .* \([0-9]*\) passed.*/\1/p' target/cargo-test.log | awk '{sum += $1} END {print sum + 0}')
passed=$((passed + rust))

# What worker and manager share, in every order of their steps; beside what follows, up to the live tests.
beside models env RUSTFLAGS="${RUSTFLAGS:-} --cfg loom" CARGO_TARGET_DIR="$PWD/target/loom" bash -c \
    'cd "$0" && cargo test --quiet --locked --lib models && echo "ok worker_and_manager_agree_in_every_order"' "$PWD"

# --- an installed copy, where an unprivileged user can reach it ---
section "install"
make --no-print-directory --silent install PREFIX="$stage/prefix"
make --no-print-directory --silent install DESTDIR="$stage/destdir" PREFIX=/usr LIBDIR=/usr/lib/sandlock-test
prefix=$stage/prefix
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
export SANDLOCK_TEST_LIBRARY=$prefix/lib # where the test programs find the library
export SANDLOCK_TEST_PROFILES=$prefix/share/sandlock
bin=$stage/bin
mkdir "$bin"

installed() { (cd "$stage/destdir" && find . -type f -o -type l | LC_ALL=C sort | tr '\n' ' '); }
check "install_honours_destdir_and_libdir" test "$(installed)" = "./usr/bin/sandlock ./usr/include/sandlock.h \
./usr/include/sandlock.hpp \
./usr/lib/sandlock-test/cmake/sandlock/sandlockConfig.cmake \
./usr/lib/sandlock-test/cmake/sandlock/sandlockConfigVersion.cmake \
./usr/lib/sandlock-test/libsandlock.a ./usr/lib/sandlock-test/libsandlock.so \
./usr/lib/sandlock-test/libsandlock.so.0 ./usr/lib/sandlock-test/libsandlock.so.0.1.0 \
./usr/lib/sandlock-test/pkgconfig/sandlock.pc \
./usr/share/bash-completion/completions/sandlock \
./usr/share/man/man1/sandlock.1 ./usr/share/man/man3/libsandlock.3 ./usr/share/man/man5/sandlock-policy.5 \
./usr/share/sandlock/build.toml ./usr/share/sandlock/compute.toml ./usr/share/sandlock/service.toml "
check "pkg_config_knows_the_profiles" test "$(pkg-config --variable=profiledir sandlock)" = "$prefix/share/sandlock"

section "library and header"
exports() { nm -D --defined-only "$prefix/lib/libsandlock.so" | awk '{print $3}' | LC_ALL=C sort; }
check "exported_symbols_are_the_committed_list" diff <(exports) <(grep -v '^#' scripts/exports.txt)
dynamic=$(readelf -d "$prefix/lib/libsandlock.so")
check "soname_is_libsandlock_so_0" grep -q 'SONAME.*\[libsandlock.so.0\]' <<<"$dynamic"
check "library_is_never_unloaded" grep -q 'NODELETE' <<<"$dynamic"
check "relocations_are_read_only" grep -q 'NOW' <<<"$dynamic"
# Without optimising: the libraries are the same. What rustc said of what is up to date cargo says again.
# But for gcc's own: a compiler driver knows whether that is to be shared or, with -static, not.
native() { cargo rustc --quiet --locked --lib --crate-type staticlib -- --print native-static-libs 2>&1 |
    sed -n 's/.*native-static-libs: -lgcc_s //p'; }
check "private_libs_in_pc_are_rustcs" test "$(native)" = "$(sed -n 's/^Libs.private: //p' "$prefix/lib/pkgconfig/sandlock.pc")"
check "syscall_tables_are_generated" python3 scripts/gen-syscalls.py --check

warnings="-Wall -Wextra -pedantic -Werror"
printf '#include <sandlock.h>\n#include <sandlock.h>\nint main(void)\n{\n    return sandlock_version_number() == 0;\n}\n' \
    >"$stage/alone.c"
for standard in c99 c11 c17 c2x gnu11; do
    # shellcheck disable=SC2086
    check "header_compiles_as_$standard" gcc -std=$standard $warnings -Iinclude -c -o /dev/null "$stage/alone.c"
done
for standard in c++11 c++14 c++17 c++20 c++23; do
    # shellcheck disable=SC2086
    check "header_compiles_as_$standard" g++ -std=$standard $warnings -Iinclude -x c++ -c -o /dev/null c-tests/header.cpp
done

# --- C programs, as a consumer builds them ---
section "building the C tests"
flags="-std=gnu11 -g -O1 -Wall -Wextra -Werror"
library=$(pkg-config --cflags --libs sandlock)
run_path="-Wl,-rpath,$prefix/lib"
# One for each processor at a time, models aside; built() waits for all, and fails if one has.
builders=()
build() { # OUTPUT SOURCE LIBRARIES...
    local output=$1 source=$2
    shift 2
    [ "$(jobs -rp | wc -l)" -le "$(nproc)" ] || wait -n
    # shellcheck disable=SC2086
    gcc $flags -o "$output" "$source" "$@" &
    builders+=("$!")
}
built() {
    local job
    for job in "${builders[@]}"; do wait "$job"; done
    builders=()
}
libraries="$library $run_path -lpthread -lutil -lrt"
for source in c-tests/test_*.c c-tests/attack_table.c; do
    name=$(basename "$source" .c)
    # shellcheck disable=SC2086
    build "$bin/$name" "$source" $libraries
done
for source in c-tests/attacks/*.c; do
    build "$bin/attack_$(basename "$source" .c)" "$source" -lrt -lpthread
done
build "$bin/probe" c-tests/probe.c -lpthread
build "$bin/caller" c-tests/caller.c -lpthread
build "$bin/metadata_child" c-tests/metadata_child.c -lpthread
build "$bin/net_child" c-tests/net_child.c -lpthread
build "$bin/ports_child" c-tests/ports_child.c -lpthread

# Programs of other makers, as far as this machine was declared to offer them.
offered() { [[ " ${SANDLOCK_TEST_EXPECT//,/ } " == *" $1 "* ]]; }
if offered musl; then
    # shellcheck disable=SC2086
    check "musl_builds_a_static_program" musl-gcc $flags -static -o "$bin/net_musl" c-tests/net_musl.c
fi
if offered go; then
    check "go_builds_a_program" env GOCACHE="$PWD/target/go" GOPATH="$PWD/target/go" \
        "$(command -v go || echo /usr/local/go/bin/go)" build -buildvcs=false -o "$bin/net_go" c-tests/net_go.go
fi
[ ! -e target/programs/nginx ] || cp target/programs/nginx "$bin/nginx"

for example in examples/*.c; do
    # shellcheck disable=SC2086
    build "$bin/example_$(basename "$example" .c)" "$example" $libraries
done

# Statically linked: the archive and what sandlock.pc lists beside it. And all of it, down to the C library.
# shellcheck disable=SC2046
build "$bin/static_test_run" c-tests/test_run.c -I"$prefix/include" -L"$prefix/lib" -l:libsandlock.a \
    $(sed -n 's/^Libs.private: //p' "$prefix/lib/pkgconfig/sandlock.pc")
# shellcheck disable=SC2046
build "$bin/all_static_test_run" c-tests/test_run.c -static $(pkg-config --static --cflags --libs sandlock)
built
check "static_program_does_not_load_the_library" bash -c "! ldd '$bin/static_test_run' | grep -q sandlock"
check "all_static_program_loads_nothing" bash -c "! readelf -l '$bin/all_static_test_run' | grep -q INTERP"

# By CMake's find_package.
cmake_build() {
    cmake -S c-tests/cmake -B "$stage/cmake" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release &&
        cmake --build "$stage/cmake" && "$stage/cmake/shared" && "$stage/cmake/static"
}
check "cmake_finds_the_package" cmake_build

# What was installed can be moved, and taken away.
moved_tree_is_found() {
    make -s install PREFIX=/usr DESTDIR="$stage/moved" &&
        cmake -S c-tests/cmake -B "$stage/cmake-moved" -DCMAKE_PREFIX_PATH="$stage/moved/usr" &&
        grep -qF -- "-isystem $stage/moved/usr/include" "$stage/cmake-moved/CMakeFiles/shared.dir/flags.make" &&
        test "$(PKG_CONFIG_PATH=$stage/moved/usr/lib/pkgconfig pkg-config --define-prefix --cflags sandlock)" = "-I$stage/moved/usr/include "
}
check "moved_tree_is_found" moved_tree_is_found
nothing_is_left() { make -s uninstall PREFIX=/usr DESTDIR="$stage/moved" && test -z "$(find "$stage/moved" ! -type d)"; }
check "uninstall_leaves_nothing" nothing_is_left

# Under AddressSanitizer and UndefinedBehaviorSanitizer.
mkdir "$bin/asan"
sanitizers="-fsanitize=address,undefined -fno-sanitize-recover=all"
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
for name in $sanitized_tests; do
    # shellcheck disable=SC2086
    build "$bin/asan/$name" "c-tests/$name.c" $sanitizers $libraries
done
for example in examples/*.c; do
    # shellcheck disable=SC2086
    build "$bin/asan/example_$(basename "$example" .c)" "$example" $sanitizers $libraries
done
built
cp "$bin"/attack_* "$bin/probe" "$bin/caller" "$bin/metadata_child" "$bin/net_child" "$bin/ports_child" "$bin/asan/"
check "sanitizer_is_linked" bash -c "ldd '$bin/asan/test_run' | grep -q libasan"

all_beside

# --- who runs them ---
if [ "$(id -u)" -eq 0 ]; then
    user=sandlock-test
    if ! id "$user" >/dev/null 2>&1; then
        useradd --system --no-create-home --shell /usr/sbin/nologin "$user" 2>/dev/null || user=nobody
    fi
    as_user=(setpriv "--reuid=$(id -u "$user")" "--regid=$(id -g "$user")" --clear-groups --inh-caps=-all)
    # Programs that are set-user-ID for somebody else than whoever runs them.
    cp "$bin/attack_processes" "$bin/attack_setuid_root" && chmod 4755 "$bin/attack_setuid_root"
    cp "$bin/attack_processes" "$bin/attack_setuid_nobody" && chown 65534 "$bin/attack_setuid_nobody"
    chmod 4755 "$bin/attack_setuid_nobody"
    # A program that others may execute and not read.
    install -m 711 "$bin/attack_forks" "$bin/attack_unreadable"
    install -m 711 "$bin/attack_forks" "$bin/asan/attack_unreadable"
else
    user=$(id -un)
    as_user=()
fi

# A few seconds on any machine: the figures are for `make bench`.
section "live tests as $user"
for name in $user_tests; do
    live "$name" "${as_user[@]}" "$bin/$name"
done
section "live tests as $user, under sanitizers and as root"
for name in $long_tests; do run "$name" "${as_user[@]}" "$bin/$name"; done &
for name in $sanitized_tests; do
    live "asan $name" "${as_user[@]}" env SANDLOCK_TEST_RUNS=500 SANDLOCK_TEST_SANITIZER=1 "$bin/asan/$name"
done
if [ "$(id -u)" -eq 0 ]; then
    for name in $root_tests; do
        live "root $name" "$bin/$name"
    done
else
    echo "not run: the tests as root, which take root"
fi
wait
for name in $long_tests; do account "$name"; done

# The command line, examples and bindings to other languages, from a copy of the checkout that whoever runs them can read.
section "command line, examples, documentation, bindings"
mkdir "$stage/checkout"
cp -r bindings c-tests docs examples include profiles scripts Cargo.toml README.md "$stage/checkout/"
chmod -R a+rX "$stage/checkout"
# What takes longest, first. `make soak` has these at full length.
beside "leaks and load" "${as_user[@]}" env PREFIX="$prefix" SANDLOCK_LEAK_RUNS="${SANDLOCK_LEAK_RUNS:-1000}" \
    SANDLOCK_SOAK_SECONDS="${SANDLOCK_SOAK_SECONDS:-20}" "$stage/checkout/scripts/soak.sh"
live "command line" "${as_user[@]}" env PREFIX="$prefix" "$stage/checkout/c-tests/cli_test.sh"
live "examples" "${as_user[@]}" env BIN="$bin" PREFIX="$prefix" "$stage/checkout/c-tests/examples_test.sh"
live "asan examples" "${as_user[@]}" env BIN="$bin/asan" PREFIX="$prefix" "$stage/checkout/c-tests/examples_test.sh"
beside go "${as_user[@]}" env PREFIX="$prefix" "$stage/checkout/bindings/go/test.sh"
beside cpp "${as_user[@]}" env PREFIX="$prefix" "$stage/checkout/bindings/cpp/test.sh"
beside documentation "$PWD/scripts/docs/test.sh"
beside walk "${as_user[@]}" env PREFIX="$prefix" "$stage/checkout/scripts/walk.sh"
beside ABI "$PWD/scripts/abi-test.sh"
beside packages "$PWD/scripts/deb-test.sh"
all_beside
live c "${as_user[@]}" "$stage/checkout/bindings/scenarios.sh" c "$bin/test_scenarios"
for binding in bindings/*/test.sh; do
    label=$(basename "$(dirname "$binding")")
    [ -e "$stage/log-$label" ] || live "$label" "${as_user[@]}" env PREFIX="$prefix" "$stage/checkout/$binding"
done
live "scenarios" "$PWD/scripts/scenarios.sh" "$stage"

# The plain-fork path under the tool that it is for.
valgrind_run() {
    "${as_user[@]}" env SANDLOCK_SPAWN=fork valgrind --quiet --error-exitcode=9 --leak-check=full \
        --errors-for-leak-kinds=definite "$bin/test_valgrind"
}
check "valgrind_finds_no_error" valgrind_run

echo "not run: test_cgroup, which takes control groups of version 2 (make vm-test)"
[ -n "$newer" ] || echo "not run: test_net_unix, which takes Landlock ABI 9 (make vm-test)"
# All of it is to end within ten minutes on two processors.
slowest=$(sort -rn "$stage/seconds" | head -n 6 | awk '{n = $1; sub(/^[0-9]+ /, ""); printf "%s%s %d s", sep, $0, n; sep = ", "}')
echo "$((SECONDS - began)) seconds; longest: $slowest"
[ "$absent" -eq 0 ] || echo "$absent tests absent: they need what this machine was not declared to offer"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
