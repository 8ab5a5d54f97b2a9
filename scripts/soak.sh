#!/bin/bash
# Leak checks of C and of each binding, and a mixed load for Python and Node.js. `make soak` runs all of it at full length; tests call it
# with PREFIX, where the library is installed, as an ordinary user, and with little of everything. SANDLOCK_LEAK_RUNS is the number of
# runs, 10,000 by default, SANDLOCK_SOAK_SECONDS the time of the load. Prints lines as tests do.
#
# Languages are those that are declared (SANDLOCK_TEST_EXPECT: go, node), or for `make soak` those that are there.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
stage=$(mktemp -d "${TMPDIR:-/tmp}/sandlock-soak-XXXXXX") || exit 2
trap 'chmod -R u+w "$stage"; rm -rf "$stage"' EXIT
chmod 755 "$stage"

as_user=()
verbose=0
if [ -z "${PREFIX:-}" ]; then
    PREFIX=$stage/prefix
    make --no-print-directory --silent -C "$root" install PREFIX="$PREFIX" || exit 2
    verbose=1
    for language in go node; do
        ! PATH=$PATH:/usr/local/go/bin command -v "$language" >/dev/null || offered+=" $language"
    done
    if [ "$(id -u)" -eq 0 ]; then
        as_user=(setpriv "--reuid=$(id -u nobody)" "--regid=$(id -g nobody)" --clear-groups --inh-caps=-all)
    fi
else
    offered=${SANDLOCK_TEST_EXPECT:-}
fi
export PREFIX SANDLOCK_LEAK_RUNS=${SANDLOCK_LEAK_RUNS:-10000} SANDLOCK_SOAK_SECONDS=${SANDLOCK_SOAK_SECONDS:-300}
export PYTHONDONTWRITEBYTECODE=1

failed=0
not_ok() {
    echo "not ok $1"
    failed=1
}
offered() { [[ " ${offered//,/ } " == *" $1 "* ]]; }

# What each may grow by: see leaks.awk. Collectors and runtimes keep memory for what is to come, some tens of KiB in Go.
may_grow() { # WHAT LANGUAGE
    case $1-$2 in
    leak-c | leak-cpp) echo "-v resident=512 -v allocated=8192" ;;
    leak-go) echo "-v resident=4096 -v allocated=65536 -v threads=8 -v each=8192" ;;
    leak-python) echo "-v resident=1024 -v allocated=16384" ;;
    soak-python) echo "-v resident=4096 -v allocated=65536 -v delay=2000" ;;
    leak-node) echo "-v resident=32768 -v allocated=393216" ;;
    soak-node) echo "-v resident=32768 -v allocated=2097152 -v delay=2000" ;;
    esac
}

# Has malloc(3) count exactly: without what each thread keeps of freed blocks, and with one arena instead of those that threads come by.
export GLIBC_TUNABLES=glibc.malloc.tcache_count=0:glibc.malloc.arena_max=1

# Runs a program and judges what it has held.
measure() { # WHAT LANGUAGE
    local program=$stage/$1-$2 log=$stage/$1-$2.said status=0 began=$SECONDS
    (cd / && "${as_user[@]}" "$program") >"$log" 2>"$log.errors" </dev/null || status=$?
    # shellcheck disable=SC2046
    sed "s/^# /# $1 $2: /" "$log" | awk -v name="$1_$2" -v verbose="$verbose" $(may_grow "$1" "$2") -f "$root/scripts/leaks.awk" || failed=1
    echo "# $1 $2: $((SECONDS - began)) s"
    [ "$status" -eq 0 ] && [ ! -s "$log.errors" ] || { sed 's/^/# /' "$log.errors" && not_ok "$1_$2_ends_well: exit $status"; }
}

# Whether a sandbox that the program has left alive is still there.
outlived() { # LOG
    local pid
    for pid in $(sed -n 's/^alive //p' "$1"); do
        if [ -e "/proc/$pid" ]; then
            echo "# $pid is still there"
            return 0
        fi
    done
    ! grep -q '^alive ' "$1"
}

for language in c cpp python go node; do
    whats=(leak)
    [ "$language" != python ] && [ "$language" != node ] || whats+=(soak)
    for what in "${whats[@]}"; do
        if { [ "$language" = go ] || [ "$language" = node ]; } && ! offered "$language"; then
            echo "absent ${what}_$language: this machine was not declared to offer $language"
        elif ! "$root/scripts/programs.sh" "$stage" "$what" "$language"; then
            sed 's/^/# /' "$stage/$what-$language.failed"
            not_ok "${what}_${language}_is_built"
        else
            measure "$what" "$language"
            [ "$what" = soak ] || continue
            ! outlived "$stage/soak-$language.said" || not_ok "soak_${language}_sandboxes_end_with_the_host"
        fi
    done
done
exit "$failed"
