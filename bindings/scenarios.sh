#!/bin/bash
# Runs the scenarios that all languages share by one of them: scenarios.sh LANGUAGE COMMAND..., where COMMAND runs the table in the file that
# SANDLOCK_SCENARIOS names. Any user, any directory; writes beneath TMPDIR only. Lines are "ok scenario NAME", "not ok scenario NAME" and "#
# what was found"; scripts/scenarios.sh compares those of all languages.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
language=$1
shift
scratch=$(mktemp -d "${TMPDIR:-/tmp}/sandlock-scenarios-XXXXXX") || exit 2
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch

status=0
SANDLOCK_SCENARIOS=$here/scenarios.txt timeout -k 5 120 "$@" </dev/null >"$scratch/said" 2>&1 || status=$?
sed -E '/^PASS$|^$/d; /^(ok|not ok) scenario |^# /!s/^/# /' "$scratch/said" # PASS is what a test of Go says besides
if [ "$status" -ne 0 ] && ! grep -q '^not ok ' "$scratch/said"; then
    echo "not ok ${language}_scenarios: they ended with status $status"
fi

# A line that is not understood must not pass unnoticed.
refused=0
SANDLOCK_SCENARIOS=$here/scenarios-refused.txt timeout -k 5 20 "$@" </dev/null >"$scratch/refused" 2>&1 || refused=$?
if [ "$refused" -eq 2 ] && diff <(grep -n nonsense "$here/scenarios-refused.txt" | sed '1d; s/:.*//') \
    <(sed -n 's/^# line \([0-9]*\): .*/\1/p' "$scratch/refused") >"$scratch/differences"; then
    echo "ok ${language}_refuses_scenarios_that_it_does_not_know"
else
    sed 's/^/# /' "$scratch/refused" "$scratch/differences"
    echo "not ok ${language}_refuses_scenarios_that_it_does_not_know: status $refused"
    status=1
fi
exit "$status"
