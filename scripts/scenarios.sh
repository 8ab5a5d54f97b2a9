#!/bin/bash
# Compares what each language has made of bindings/scenarios.txt: scenarios.sh DIRECTORY, which has what its tests printed in
# log-LANGUAGE. Each must have run every scenario of the table and no other, unless its tests are absent as a whole; and the table itself
# must be one that proves something.
set -uo pipefail
logs=${1:?the directory with the logs}
cd "$(dirname "$0")/.." || exit 2
table=bindings/scenarios.txt
offered=${SANDLOCK_TEST_EXPECT:-}
failed=0
verdict() { # NAME, and as input what is wrong
    local wrong
    wrong=$(cat)
    if [ -z "$wrong" ]; then
        echo "ok $1"
    else
        sed 's/^/# /' <<<"$wrong"
        echo "not ok $1"
        failed=1
    fi
}

names() { sed -n 's/^scenario //p' "$table" | sort; }

check_table() {
    names | uniq -d | sed 's/$/ is there twice/'
    awk '
        function finish() {
            if (name && !kind) print name " has no kind"
            if (name && !expects) print name " expects nothing"
        }
        $1 == "scenario" { finish(); name = $2; kind = kinds_of[""]; expects = 0 }
        $1 == "kind" { kind = kinds_of[name] = $2; seen[$2] = 1 }
        $1 == "like" { kind = kinds_of[name] = kinds_of[$2] }
        $1 == "expect" { expects++ }
        END {
            finish()
            split("policy attack handler limits network deferral concurrent cancel error", wanted)
            for (i in wanted) if (!(wanted[i] in seen)) print "no scenario is of kind " wanted[i]
        }' "$table"
    # An attack that is refused proves something if it succeeds where its protection alone is taken away.
    names | sed -n 's/^\(attack_.*\)_is_refused$/\1_succeeds_unprotected/p' | comm -23 - <(names) | sed 's/$/ is missing/'
}
check_table | verdict table_of_scenarios_proves_something

for language in c $(cd bindings && ls -d -- */ | tr -d /); do
    log=$logs/log-$language
    if grep -q '^absent scenarios: ' "$log" 2>/dev/null && [[ " ${offered//,/ } " != *" $language "* ]]; then
        continue # which it has said itself
    fi
    diff <(names) <(sed -n 's/^ok scenario //p' "$log" | sort -u) 2>&1 | verdict "${language}_ran_every_scenario"
done
exit "$failed"
