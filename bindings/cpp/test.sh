#!/bin/bash
# Tests of the C++ binding against an installed copy of the library: PREFIX says where it lies, PKG_CONFIG_PATH leads to its sandlock.pc.
# Any user, any directory; writes beneath TMPDIR only. Lines are "ok NAME", "not ok NAME" and "# what was found".
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
: "${PREFIX:?where the library is installed}"
export PKG_CONFIG_PATH=${PKG_CONFIG_PATH:-$PREFIX/lib/pkgconfig}
work=$(mktemp -d "${TMPDIR:-/tmp}/sandlock-cpp-test-XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
failed=0

check() { # NAME COMMAND...
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        echo "ok $name"
    else
        echo "$output" | tail -n 30 | sed 's/^/# /'
        echo "not ok $name"
        failed=1
    fi
}

warnings="-Wall -Wextra -Wpedantic -Werror"
libraries="$(pkg-config --cflags --libs sandlock) -Wl,-rpath,$PREFIX/lib -pthread"
# What is compiled is so beforehand, two at a time; status and messages lie beside it.
compile() { # OUTPUT COMMAND...
    local output=$1 status=0
    shift
    "$@" >"$output.log" 2>&1 || status=$?
    echo "$status" >"$output.status"
}
compiled() { # OUTPUT
    cat "$1.log"
    return "$(cat "$1.status")"
}

check header_is_installed cmp "$here/sandlock.hpp" "$PREFIX/include/sandlock.hpp"
[ "$failed" -eq 0 ] || exit 1

# --- every name of C is used, or it is said why not ---
code=$(sed 's,//.*,,' "$here/sandlock.hpp")
used() { grep -oE '\b(sandlock_[a-z0-9_]+|SANDLOCK_[A-Z0-9_]+)\b' <<<"$code" | sort -u; }
excused() { sed -nE 's/^([A-Za-z0-9_]+) .*/\1/p' "$here/not-wrapped.txt" | sort -u; }
known() {
    { grep -v '^#' "$root/scripts/exports.txt"; sed -nE 's/^#define (SANDLOCK_[A-Z0-9_]+) .*/\1/p' "$PREFIX/include/sandlock.h"; } | sort -u
}
every_name() { diff <(known) <(sort -u <(used | grep -xFf <(known)) <(excused)); }
no_needless_excuse() { ! comm -12 <(used) <(excused) | grep .; }
check every_name_of_c_is_used_or_excused every_name
check nothing_is_used_and_excused no_needless_excuse

# --- compiling ---
tests=$(cd "$here/tests" && ls test_*.cpp | sed 's/\.cpp$//')
by_cmake() {
    cmake -S "$here/tests/cmake" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$PREFIX" -DCMAKE_CXX_FLAGS="$warnings" &&
        cmake --build "$work/cmake"
}
next() { # NAME COMMAND...
    local name=$1
    shift
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
    compile "$work/$name" "$@" &
}
next by_cmake by_cmake
for name in $tests; do
    # shellcheck disable=SC2086
    next "$name" g++ -std=c++17 $warnings "$here/tests/$name.cpp" -o "$work/$name" $libraries
done
# What callbacks own, and for how long, is the matter of these tests.
# shellcheck disable=SC2086
next sanitized g++ -std=c++17 $warnings -fsanitize=address,undefined -fno-sanitize-recover=all "$here/tests/test_handlers.cpp" \
    -o "$work/sanitized" $libraries
# shellcheck disable=SC2086
next scenarios g++ -std=c++17 $warnings "$here/tests/scenarios/scenarios.cpp" -o "$work/scenarios" $libraries
for standard in 17 20 23; do
    # shellcheck disable=SC2086
    next "header_$standard" g++ "-std=c++$standard" $warnings -fsyntax-only "$here/tests/header.cpp" $libraries
done
wait
for standard in 17 20 23; do
    check "header_compiles_as_cpp_$standard" compiled "$work/header_$standard"
done

# --- running ---
for name in $tests; do
    check "${name}_compiles" compiled "$work/$name"
    [ -x "$work/$name" ] || continue
    status=0
    (cd / && timeout 60 "$work/$name") </dev/null || status=$?
    [ "$status" -eq 0 ] || { failed=1; [ "$status" -eq 1 ] || echo "not ok $name: it ended with status $status"; }
done
sanitized() { compiled "$work/sanitized" && ASAN_OPTIONS=detect_leaks=1 timeout 60 "$work/sanitized"; }
check sanitizers_find_nothing_in_test_handlers sanitized
check scenarios_compile compiled "$work/scenarios"
"$here/../scenarios.sh" cpp "$work/scenarios" || failed=1

# --- by CMake, statically ---
static() { compiled "$work/by_cmake" && "$work/cmake/static" && ! ldd "$work/cmake/static" | grep sandlock.so; }
check cmake_links_cpp_statically static

exit "$failed"
