#!/bin/bash
# Measures every figure beside its reference, or those of one GROUP. Called by `make bench`, after the library was built. Run it on a
# quiet machine.
set -euo pipefail
cd "$(dirname "$0")/.."

stage=$(mktemp -d /tmp/sandlock-bench-XXXXXX)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"
make --no-print-directory --silent install PREFIX="$stage/prefix"
export PKG_CONFIG_PATH=$stage/prefix/lib/pkgconfig
flags="-std=gnu11 -O2 -Wall -Wextra -Werror"
# shellcheck disable=SC2046,SC2086
gcc $flags -o "$stage/bench" benches/*.c $(pkg-config --cflags --libs sandlock) -Wl,-rpath,"$stage/prefix/lib" -lpthread
# shellcheck disable=SC2086
gcc $flags -o "$stage/probe" c-tests/probe.c -lpthread

# Programs of the bindings, as far as there are toolchains here.
languages=(cpp python)
for language in go node; do
    if PATH=$PATH:/usr/local/go/bin command -v "$language" >/dev/null; then
        languages+=("$language")
    else
        echo "$language is not installed" >"$stage/bench-$language.absent"
    fi
done
PREFIX=$stage/prefix scripts/programs.sh "$stage" bench "${languages[@]}" || { cat "$stage"/bench-*.failed && exit 1; }

run=()
if [ "$(id -u)" -eq 0 ]; then
    user=nobody
    run=(setpriv "--reuid=$(id -u "$user")" "--regid=$(id -g "$user")" --clear-groups --inh-caps=-all)
fi
touch "$stage/bench.json"
chmod 666 "$stage/bench.json"
status=0
(cd / && "${run[@]}" "$stage/bench" "$stage/bench.json" ${GROUP:+"$GROUP"}) || status=$?
mkdir -p target
cp "$stage/bench.json" target/bench.json
echo "written: target/bench.json"
exit "$status"
