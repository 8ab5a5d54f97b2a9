#!/bin/bash
# The tests of the Go package, against an installed copy of the library: PREFIX says where, or pkg-config. Writes only beneath $TMPDIR.
# Takes the words of SANDLOCK_TEST_EXPECT: "go". SANDLOCK_GOCACHE may name a directory for what Go compiles, to have it once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tests() { sed -n 's/^func \(Test[A-Za-z]*\)(.*/\1/p' "$here"/*_test.go; }

expected=${SANDLOCK_TEST_EXPECT:-}
if [[ " ${expected//,/ } " != *" go "* ]]; then
    for name in vet gofmt readme_example $(tests); do
        echo "absent go_$name: this machine was not declared to offer go"
    done
    exit 0
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/sandlock-go-XXXXXX")
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
PATH=$PATH:/usr/local/go/bin
export PKG_CONFIG_PATH=${PREFIX:+$PREFIX/lib/pkgconfig:}${PKG_CONFIG_PATH:-}
LD_LIBRARY_PATH=$(pkg-config --variable=libdir sandlock)
export LD_LIBRARY_PATH TMPDIR=$work HOME=$work GOTMPDIR=$work GOPATH=$work/path GOENV=off GOTOOLCHAIN=local GOPROXY=off
# Go's own packages unoptimised: that spares a third of the time it takes to compile them.
export GOFLAGS="-mod=mod -gcflags=std=-N -ldflags=-w"
export GOCACHE=$work/cache
if [ -n "${SANDLOCK_GOCACHE:-}" ] && mkdir -p "$SANDLOCK_GOCACHE" && [ -w "$SANDLOCK_GOCACHE" ]; then
    GOCACHE=$SANDLOCK_GOCACHE
fi
cd "$here"

failed=0
check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        echo "ok go_$name"
    else
        sed 's/^/# /' "$work/log" | tail -n 40
        echo "not ok go_$name"
        failed=1
    fi
}

# With the race detector, once for all: what takes long is to compile Go's own packages for it.
if ! go test -race -buildvcs=false -vet=off -c -o "$work/sandlock.test" . >"$work/log" 2>&1; then
    sed 's/^/# /' "$work/log"
    echo "not ok go_build"
    exit 1
fi
timeout 60 "$work/sandlock.test" -test.v -test.timeout 50s >"$work/out" 2>&1 </dev/null || failed=1
awk '
    /^--- PASS: / { print "ok go_" $3; next }
    /^--- FAIL: / { print "not ok go_" $3; next }
    /^=== / || /^PASS$/ || /^FAIL$/ { next }
    { print "# " $0 }' "$work/out"
[ "$(grep -cE '^--- (PASS|FAIL): ' "$work/out")" -eq "$(tests | wc -l)" ] || {
    echo "not ok go_every_test_has_run"
    failed=1
}

check vet go vet -race .
check gofmt test -z "$(gofmt -l .)"

# The program in README.md, as it stands there.
mkdir "$work/example"
sed -n '/^```go$/,/^```$/p' README.md | sed '1d;$d' >"$work/example/main.go"
printf 'module example\n\ngo 1.19\n\nrequire sandlock v0.0.0\n\nreplace sandlock => %s\n' "$here" >"$work/example/go.mod"
example() {
    (cd "$work/example" && go build -race -buildvcs=false -o example . && ./example) >"$work/said" || return 1
    diff "$work/said" <(sed -n '/^```text$/,/^```$/p' README.md | sed '1d;$d')
}
check readme_example example
exit "$failed"
