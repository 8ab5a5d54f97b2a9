#!/bin/bash
# The ABI gate: compares a header with the committed dump of the ABI, or renews that (docs/ABI.md).
#
#     abi.sh [DIRECTORY]   fails if sandlock.h in the directory, include by default, breaks programs built before
#     abi.sh --dump        writes the dump from include/sandlock.h: at a release
set -euo pipefail
cd "$(dirname "$0")/.."
dump=docs/abi/libsandlock.so.0.abi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# What a compiled program knows of the library, by a shared object of the header's functions without anything in them.
describe() { # HEADER [DUMP]
    python3 scripts/abi.py source "$@" >"$scratch/abi.c"
    (cd "$scratch" && gcc -std=gnu11 -g -fPIC -shared -Wl,-soname,libsandlock.so.0 -o abi.so abi.c)
    abidw --no-corpus-path --no-comp-dir-path --no-show-locs --no-architecture --type-id-style hash "$scratch/abi.so"
}

if [ "${1:-}" = --dump ]; then
    describe include/sandlock.h >"$scratch/new.abi"
    cp "$scratch/new.abi" "$dump"
    exit
fi

include=${1:-include}
describe "$include/sandlock.h" "$dump" >"$scratch/new.abi"
abidiff --no-added-syms "$dump" "$scratch/new.abi"
python3 scripts/abi.py growth "$include/sandlock.h" "$dump" >"$scratch/growth.c"
gcc -std=gnu11 -fsyntax-only -I"$include" "$scratch/growth.c"
