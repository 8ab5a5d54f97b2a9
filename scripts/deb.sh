#!/bin/bash
# Debian packages of what `make all` has built: libsandlock0, libsandlock-dev, sandlock.
#
#     deb.sh           into target/deb; fails if lintian has an error or a warning that debian/*.lintian-overrides does not list
#     deb.sh --quick   into target/deb-quick, for tests: neither compressed nor looked at by lintian
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022
# Those of `make deb` are not for the package's own make.
unset MAKEFLAGS MFLAGS MAKELEVEL

out=target/deb
if [ "${1:-}" = --quick ]; then
    out=target/deb-quick
    export DPKG_DEB_COMPRESSOR_TYPE=none
fi
library=target/release/libsandlock
[ -e "$library.so" ] && [ -e "$library.a" ] || { echo "deb: $library.so or .a is missing: make all" >&2; exit 1; }

# debhelper works within the source, and leaves packages beside it: so in a copy. The library is that of the checkout, and
# cargo has nothing to do. Files are as old as the changelog says, so that the same library gives the same packages.
source=$out/source
rm -rf "$out"
mkdir -p "$source/target/release"
tar -c --mtime="@$(dpkg-parsechangelog --show-field Timestamp)" \
    --exclude-vcs --exclude=./target --exclude=./fuzz --exclude=node_modules . | tar -x -C "$source"
cp "$library.so" "$library.a" "$source/target/release/"
if ! (cd "$source" && CARGO=true dpkg-buildpackage -b -us -uc) >"$out/build.log" 2>&1; then
    tail -n 40 "$out/build.log"
    exit 1
fi
rm -rf "$source"

[ "$out" = target/deb ] || exit 0
lintian --allow-root --fail-on error,warning "$out"/*.changes
echo "packages:" "$out"/*.deb
