#!/bin/bash
# Tests of the ABI gate: it passes the header as it is and what is added to it, and refuses what would break a program that
# was built before. Each header is the committed one with one change, made by sed; a change that sed does not find fails.
set -euo pipefail
cd "$(dirname "$0")/.."
header=include/sandlock.h

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# NAME REASON: a line with the verdict on the header in $scratch/NAME; what is to be refused has a reason that the gate must give.
verdict() {
    local name=$1 reason=$2 status=0
    scripts/abi.sh "$scratch/$name" >"$scratch/$name/output" 2>&1 || status=$?
    if [ -z "$reason" ] && [ "$status" -eq 0 ]; then
        echo "ok abi_gate_accepts_$name"
    elif [ -n "$reason" ] && [ "$status" -ne 0 ] && grep -q -e "$reason" "$scratch/$name/output"; then
        echo "ok abi_gate_refuses_$name"
    else
        sed 's/^/# /' "$scratch/$name/output"
        echo "not ok abi_gate_judges_$name: status $status"
    fi
}
names=
try() { # NAME REASON SED-SCRIPT
    mkdir "$scratch/$1"
    sed -E "$3" "$header" >"$scratch/$1/sandlock.h"
    names+=" $1"
    if [ -n "$3" ] && cmp -s "$header" "$scratch/$1/sandlock.h"; then
        echo "not ok abi_gate_judges_$1: the header has no such line" >"$scratch/$1/verdict"
        return
    fi
    # One for each processor at a time.
    [ "$(jobs -rp | wc -l)" -lt "$(nproc)" ] || wait -n
    verdict "$1" "$2" >"$scratch/$1/verdict" &
}
accepts() { try "$1" "" "$2"; } # NAME SED-SCRIPT
refuses() { try "$@"; }         # NAME REASON SED-SCRIPT

accepts header_as_it_is ""
# A function, constants and a group of them, a type, a member, a mask and a version that grow.
accepts header_with_additions '
    s/^void sandlock_text_free\(.*/&\nvoid sandlock_text_more(sandlock_text *text);/
    s/^#define SANDLOCK_ACCESS_OPTIONAL.*/&\n#define SANDLOCK_ACCESS_MORE 512\n#define SANDLOCK_MORE_ACCESS 512/
    s/^typedef struct sandlock_text sandlock_text;/&\ntypedef struct { size_t size; } sandlock_more;/
    s/^    uint64_t peak_rss;/&\n    uint64_t more;/
    s/^(#define SANDLOCK_EVENT_ALL) .*/\1 255/
    s/^(#define SANDLOCK_VERSION_NUMBER) .*/\1 2000/'

refuses function_removed "Removed function" '/^void sandlock_text_free\(/d'
nice='^sandlock_status sandlock_policy_set_nice'
refuses parameter_of_another_type sandlock_policy_set_nice "/$nice/s/int32_t value/int64_t value/"
refuses parameter_added sandlock_policy_set_nice "/$nice/s/int32_t value/int32_t value, int32_t more/"
refuses result_of_another_type sandlock_version_number 's/^uint32_t (sandlock_version_number)/uint64_t \1/'
refuses callback_with_another_parameter sandlock_log_fn 's/(\*sandlock_log_fn\)\()uint32_t level/\1uint64_t level/'

refuses member_in_the_middle sandlock_member 's/^    uint64_t rss_bytes;/    uint64_t more;\n&/'
refuses member_removed sandlock_member '/^    uint64_t rss_bytes;/d'
refuses member_of_another_type sandlock_usage 's/^    uint64_t peak_rss;/    int64_t peak_rss;/'
refuses member_of_another_type_before_a_new_one sandlock_usage 's/^    uint64_t peak_rss;/    int64_t peak_rss;\n    uint64_t more;/'
refuses member_in_what_was_padding "sandlock_supervisor_options.more lies where it had padding" \
    's/^    uint32_t deadline_ms;/&\n    uint32_t more;/'
refuses structure_without_its_size "sandlock_more does not start with its size" \
    's/^typedef struct sandlock_text sandlock_text;/&\ntypedef struct { uint32_t more; } sandlock_more;/'

refuses constant_of_another_value value_of_SANDLOCK_ACCESS_WRITE 's/^(#define SANDLOCK_ACCESS_WRITE) 4/\1 8/'
refuses negative_constant_of_another_value value_of_SANDLOCK_ERROR_STATE 's/^(#define SANDLOCK_ERROR_STATE) -2/\1 -22/'
refuses constant_removed value_of_SANDLOCK_ACCESS_OPTIONAL '/^#define SANDLOCK_ACCESS_OPTIONAL/d'

wait
for name in $names; do cat "$scratch/$name/verdict"; done >"$scratch/verdicts"
cat "$scratch/verdicts"
! grep -q '^not ok' "$scratch/verdicts"
