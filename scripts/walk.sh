#!/bin/bash
# Walks through the READMEs as a newcomer does: what they say to type is typed, and the examples are run, as they stand there, and must
# print what is printed there. PREFIX is where `make install` has installed the library. The checkout is the one that this lies in; it is
# copied, for a newcomer's is his own. Any user; writes beneath TMPDIR only. Nothing is fetched.
set -uo pipefail
: "${PREFIX:?where the library is installed}"
checkout=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/sandlock-walk-XXXXXX") || exit 2
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
mkdir "$work/home" "$work/libsandlock"
cp -r "$checkout/bindings" "$checkout/README.md" "$work/libsandlock/"
rm -rf "$work/libsandlock/bindings/node/build" # what others have built there
failed=0
offered=${SANDLOCK_TEST_EXPECT:-}

# An environment with nothing in it but what the prefix takes, which for /usr/local is there already, after `ldconfig`.
path=$PREFIX/bin:/usr/local/bin:/usr/bin:/bin:/usr/local/go/bin
newcomer() {
    env -i PATH="$path" HOME="$work/home" TMPDIR="$work" LANG=C.UTF-8 LD_LIBRARY_PATH="$PREFIX/lib" \
        PKG_CONFIG_PATH="$PREFIX/lib/pkgconfig" CMAKE_PREFIX_PATH="$PREFIX" \
        PIP_NO_INDEX=1 PIP_DISABLE_PIP_VERSION_CHECK=1 npm_config_offline=true npm_config_update_notifier=false \
        GOPROXY=off GOTOOLCHAIN=local ${SANDLOCK_GOCACHE:+GOCACHE="$SANDLOCK_GOCACHE"} "$@"
}

# The fenced block NUMBER of those with this LANGUAGE and PATTERN in them; with "after" what is printed below it: the next one without
# a language, or with "text". It is a failure if there is none.
block() { # README LANGUAGE PATTERN NUMBER [after]
    awk -v language="$2" -v pattern="$3" -v number="$4" -v after="${5:-}" '
        !inside && /^```/ { inside = 1; tag = substr($0, 4); text = ""; next }
        inside && /^```$/ {
            inside = 0
            if (found && after && (tag == "" || tag == "text")) { printf "%s", text; given = 1; exit }
            if (!found && tag == language && text ~ pattern && ++count == number) {
                found = 1
                if (!after) { printf "%s", text; given = 1; exit }
            }
            next
        }
        inside { text = text $0 "\n" }
        END {
            if (!given) print "there is no such block of " language, number, after > "/dev/stderr"
            exit !given
        }' "$1"
}

check() { # NAME COMMAND...
    local name=$1
    shift
    if ("$@") >"$work/log" 2>&1; then
        echo "ok walk_$name"
    else
        sed 's/^/# /' "$work/log" | tail -n 40
        echo "not ok walk_$name"
        failed=1
    fi
}

absent() { # NAME WORD: says so, unless the machine was declared to offer it
    [[ " ${offered//,/ } " == *" $2 "* ]] && return 1
    echo "absent walk_$1: this machine was not declared to offer $2"
}

# Types a block of a README, in this directory.
type_in() { # README PATTERN
    block "$1" sh "$2" 1 >typed.sh && newcomer bash -ex typed.sh
}

# Types a block, and compares what comes out at the end with what a README says is printed by an example.
prints() { # README LANGUAGE NUMBER COMMAND...
    local readme=$1 language=$2 number=$3
    shift 3
    block "$readme" "$language" . "$number" after >expected && { newcomer "$@" >said 2>&1 || cat said; } && diff expected said
}

directory() { mkdir -p "$work/$1" && cd "$work/$1"; }

# --- the library itself ---

in_c() { # README
    directory c && block "$1" c . 1 >example.c && type_in "$1" 'cc example.c' && prints "$1" c 1 ./a.out
}
readme=$work/libsandlock/README.md
check example_in_c in_c "$readme"

wrong_ones_fail() {
    sed 's/^exit 1: cat.*/exit 0/' "$readme" >"$work/wrong.md"
    ! (in_c "$work/wrong.md") || return 1
    sed 's/^cc example.c.*/cc example.c/' "$readme" >"$work/wrong.md"
    ! (in_c "$work/wrong.md") || return 1
    sed '/^```text$/,$d' "$readme" >"$work/wrong.md"
    ! (in_c "$work/wrong.md")
}
check readmes_that_are_wrong_are_noticed wrong_ones_fail

profile() {
    directory toml && block "$readme" toml read-execute 1 >policy.toml &&
        newcomer sandlock run --profile ./policy.toml -- sh -c 'echo "$HOME"' >said && echo / | diff - said
}
check profile_in_toml profile

# All but the one that takes the network.
command_line() {
    directory shell && block "$readme" sh 'sandlock run' 1 >typed.sh && echo 'print("from the script")' >script.py &&
        newcomer bash -ec "$(grep script.py typed.sh)" >said && echo 'from the script' | diff - said &&
        newcomer bash -c "$(grep -- --trace typed.sh)" >said 2>&1
    cat said
    grep -qe '-r /etc/hostname' said
}
check command_line command_line

# --- C++ ---

readme=$work/libsandlock/bindings/cpp/README.md
cpp_by_pkg_config() {
    directory pkg-config && block "$readme" cpp . 1 >example.cpp && type_in "$readme" 'g[+][+]' && prints "$readme" cpp 1 ./example
}
cpp_by_cmake() {
    directory cmake && block "$readme" cpp . 1 >example.cpp && block "$readme" cmake . 1 >CMakeLists.txt &&
        type_in "$readme" 'cmake --build' && prints "$readme" cpp 1 build/example
}
# Two compilers at a time.
(cpp_by_cmake) >"$work/by-cmake.log" 2>&1 &
by_cmake=$!
check cpp_by_pkg_config cpp_by_pkg_config
status=0
wait "$by_cmake" || status=$?
check cpp_by_cmake bash -c "cat '$work/by-cmake.log'; exit $status"

# --- Python: in an environment of its own, from the checkout ---

readme=$work/libsandlock/bindings/python/README.md
python_installs() {
    cd "$work/libsandlock" && newcomer /usr/bin/python3 -m venv "$work/venv" && path=$work/venv/bin:$path &&
        type_in "$readme" 'pip install' && cd / && newcomer python3 -c 'import sandlock; print(sandlock.__file__)' | grep "^$work/venv/"
}
python_examples() {
    local number count
    count=$(grep -c '^```python$' "$readme")
    directory python && path=$work/venv/bin:$path && [ "$count" -ge 3 ] || return 1
    for ((number = 1; number <= count; number++)); do
        block "$readme" python . "$number" >example.py && prints "$readme" python "$number" python3 example.py || return 1
    done
}
check python_installs python_installs
check python_examples python_examples

# --- Go and Node.js, where they are declared ---

readme=$work/libsandlock/bindings/go/README.md
go_walk() {
    # Beside libsandlock, as it is said there.
    directory example && block "$readme" go . 1 >main.go && type_in "$readme" 'go mod init' && prints "$readme" go 1 ./example
}
absent go go || check go go_walk

readme=$work/libsandlock/bindings/node/README.md
node_walk() {
    sed "s|/path/to/libsandlock|$work/libsandlock|" "$readme" >"$work/node.md"
    directory node && type_in "$work/node.md" 'npm install' && block "$readme" js . 1 >example.mjs &&
        prints "$readme" js 1 node example.mjs
}
absent node node || check node node_walk
exit "$failed"
