#!/bin/bash
# Makes programs of the bindings ready to be started: programs.sh STAGE WHAT LANGUAGE... has STAGE/WHAT-LANGUAGE, an executable that runs
# bindings/LANGUAGE/WHAT.*, for each language of c, cpp, go, node and python. Where one cannot be built STAGE/WHAT-LANGUAGE.failed says why.
# PREFIX is where the library is installed. Whoever runs this; nothing is written but beneath STAGE.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
stage=$1
what=$2
shift 2
: "${PREFIX:?where the library is installed}"
export PKG_CONFIG_PATH=$PREFIX/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
library="$(pkg-config --cflags --libs sandlock) -Wl,-rpath,$PREFIX/lib -pthread"
warnings="-Wall -Wextra -Werror"

# A program that an interpreter runs, as an executable.
wrap() { # OUTPUT COMMAND...
    local output=$1
    shift
    { echo '#!/bin/sh' && echo "exec $* \"\$@\""; } >"$output" && chmod 755 "$output"
}

build_c() {
    # shellcheck disable=SC2086
    gcc -std=gnu11 -O2 $warnings -o "$2" "$root/c-tests/$1.c" $library
}

build_cpp() {
    # shellcheck disable=SC2086
    g++ -std=c++17 -O2 $warnings -o "$2" "$root/bindings/cpp/$1.cpp" $library
}

build_go() {
    local home=$stage/go-home cache
    cache=${SANDLOCK_GOCACHE:-$home/cache}
    mkdir -p "$home" && cd "$root/bindings/go" &&
        env PATH="$PATH:/usr/local/go/bin" HOME="$home" GOPATH="$home/path" GOCACHE="$cache" GOTMPDIR="$home" GOENV=off GOTOOLCHAIN=local \
            GOPROXY=off CGO_LDFLAGS="-Wl,-rpath,$PREFIX/lib" go build -buildvcs=false -o "$2" "./$1"
}

build_node() {
    local package=$stage/node_modules/sandlock
    if [ ! -e "$package/build/sandlock.node" ]; then
        mkdir -p "$package" && cp -R "$root"/bindings/node/{package.json,build.js,index.js,index.mjs,lib,src} "$package/" &&
            CFLAGS=-Werror node "$package/build.js" || return 1
    fi
    # What the leak check cannot be told by Node itself.
    if [ ! -e "$stage/leak.node" ]; then
        # shellcheck disable=SC2086
        cc -std=c11 -O2 -fPIC -shared $warnings -DNAPI_VERSION=8 "-I$(node "$package/build.js" --headers)" "$root/bindings/node/leak.c" \
            -o "$stage/leak.node" || return 1
    fi
    local flags=()
    # What is compiled when it is hot is memory that comes and goes.
    [ "$1" != leak ] || flags=(--jitless --no-expose-wasm)
    cp "$root"/bindings/node/{bench,leak,soak}.mjs "$stage/" && wrap "$2" "$(command -v node)" "${flags[@]}" "$stage/$1.mjs"
}

build_python() {
    mkdir -p "$stage/python" && cp -R "$root/bindings/python/sandlock" "$root"/bindings/python/{bench,leak,soak}.py "$stage/python/" &&
        /usr/bin/python3 -m compileall -q "$stage/python" &&
        wrap "$2" env "SANDLOCK_LIBRARY=$PREFIX/lib/libsandlock.so.0" /usr/bin/python3 "$stage/python/$1.py"
}

status=0
for language in "$@"; do
    output=$stage/$what-$language
    if ! ("build_$language" "$what" "$output") >"$output.log" 2>&1; then
        mv "$output.log" "$output.failed"
        status=1
    fi
done
exit "$status"
