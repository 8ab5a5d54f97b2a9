#!/bin/bash
# The tests of the Node.js binding. Called with PREFIX or PKG_CONFIG_PATH naming an installed library; writes beneath $TMPDIR only.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

if ! grep -qw node <<<"${SANDLOCK_TEST_EXPECT:-}"; then
    echo "absent node_binding: needs node, which this machine was not declared to offer"
    echo "absent scenarios: this machine was not declared to offer node"
    exit 0
fi
[ -z "${PREFIX:-}" ] || export PKG_CONFIG_PATH=$PREFIX/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
package=$stage/node_modules/sandlock
mkdir -p "$package" "$stage/scratch"
(cd "$here" && cp -R package.json build.js index.js index.mjs index.d.ts index.d.mts unwrapped.txt README.md lib src "$package/")
cp -R "$here/test" "$stage/test"
export SANDLOCK_TEST_SCRATCH=$stage/scratch SANDLOCK_TEST_PACKAGE=$package
export SANDLOCK_TEST_HEADER SANDLOCK_TEST_CHECKOUT=$here/../..
SANDLOCK_TEST_HEADER=$(pkg-config --variable=includedir sandlock)/sandlock.h

if CFLAGS=-Werror node "$package/build.js" >"$stage/build.log" 2>&1; then
    echo "ok node_builds_without_warnings"
else
    sed 's/^/# /' "$stage/build.log"
    echo "not ok node_builds_without_warnings"
    exit 1
fi

failed=0
for file in "$stage"/test/*.test.js; do
    name=$(basename "$file" .test.js)
    status=0
    timeout 30 node --test-reporter="$stage/test/reporter.mjs" --test-reporter-destination=stdout "$file" \
        2>"$stage/errors" </dev/null || status=$?
    if [ "$status" -ne 0 ]; then
        failed=1
        sed 's/^/# /' "$stage/errors" | tail -n 40
        # What ended in the midst of it has said so of no test.
        [ "$status" -eq 1 ] || echo "not ok node_$name: exit $status"
    fi
done
"$here/../scenarios.sh" node node "$stage/test/scenarios/main.js" || failed=1
exit "$failed"
