#!/bin/bash
# Fuzzes the rule compiler and the text inputs of a policy, each target for FUZZ_SECONDS (30). Called by `make fuzz`.
#
# libFuzzer comes with the crate libfuzzer-sys; stable Rust can instrument for it, so neither a nightly compiler nor cargo-fuzz
# is needed. What the fuzzer has learned stays in fuzz/corpus and is where the next run starts; an input that crashes a target
# is kept in fuzz/artifacts, and the target run with its path as the argument crashes again.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-30}
targets="rules policy_text policy_toml net_rule"
target_dir=$(realpath -m "${CARGO_TARGET_DIR:-fuzz/target}")
host=$(rustc -vV | sed -n 's/^host: //p')

# What cargo-fuzz passes but for AddressSanitizer, which takes a nightly compiler: counters on every edge, and the operands of
# comparisons. --target keeps build scripts and macros, which do not link libFuzzer, out of it.
flags="--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module"
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    flags="$flags -Cllvm-args=-sanitizer-coverage-$option"
done
unset CARGO_ENCODED_RUSTFLAGS
echo "== building"
RUSTFLAGS=$flags CARGO_TARGET_DIR=$target_dir \
    cargo build --quiet --locked --release --manifest-path fuzz/Cargo.toml --target "$host"

passed=0
failed=0
mkdir -p fuzz/corpus fuzz/artifacts
log=$(mktemp /tmp/sandlock-fuzz-XXXXXX)
trap 'rm -f "$log"' EXIT

echo "== fuzzing, $seconds s each"
for target in $targets; do
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    status=0
    "$target_dir/$host/release/$target" "fuzz/corpus/$target" -artifact_prefix="fuzz/artifacts/$target/" \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        >"$log" 2>&1 </dev/null || status=$?
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    # The last progress line: how many edges and combinations of edges and counts were reached, by how many inputs.
    coverage=$(sed -n 's/^#[0-9]*.* \(cov: [0-9]* ft: [0-9]* corp: [0-9]*\).*/\1/p' "$log" | tail -n 1)
    if [ "$status" -eq 0 ] && [ "${executions:-0}" -gt 0 ] && [ -n "$coverage" ]; then
        passed=$((passed + 1))
        echo "ok $target: $executions executions in $seconds s, $((executions / seconds)) a second, $coverage"
    else
        # Without coverage the target was not instrumented: nothing was fuzzed, which is no success.
        failed=$((failed + 1))
        tail -n 60 "$log"
        echo "not ok $target: status $status, ${executions:-no} executions, ${coverage:-no coverage}"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
