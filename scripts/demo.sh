#!/bin/bash
# Builds the examples against an installed copy of the library and runs them. Called by `make demo`, after the library was
# built.
#
# They run as an unprivileged user: as whoever calls this, or, for root, as the user "sandlock-test" (made here) or "nobody",
# since that is what users are.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ ! -x /usr/bin/python3 ]; then
    echo "demo: /usr/bin/python3 is missing; install your distribution's python3 (one elsewhere will not do)" >&2
    exit 1
fi

stage=$(mktemp -d /tmp/sandlock-demo-XXXXXX)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"
make --no-print-directory --silent install PREFIX="$stage/prefix"
export PKG_CONFIG_PATH=$stage/prefix/lib/pkgconfig
flags="-std=c11 -O2 -Wall -Wextra -pedantic -Werror"
for example in quickstart untrusted_python; do
    # shellcheck disable=SC2046,SC2086
    gcc $flags -o "$stage/$example" "examples/$example.c" $(pkg-config --cflags --libs sandlock) \
        -Wl,-rpath,"$stage/prefix/lib"
done

run=()
if [ "$(id -u)" -eq 0 ]; then
    user=sandlock-test
    if ! id "$user" >/dev/null 2>&1; then
        useradd --system --no-create-home --shell /usr/sbin/nologin "$user" 2>/dev/null || user=nobody
    fi
    # A user without a home directory is given one, so that there is something in it to be read.
    mkdir "$stage/home"
    echo "# nobody else's business" >"$stage/home/.profile"
    chown -R "$user" "$stage/home"
    chmod -R go= "$stage/home"
    run=(setpriv "--reuid=$(id -u "$user")" "--regid=$(id -g "$user")" --clear-groups --inh-caps=-all
        env "HOME=$stage/home")
fi

status=0
for example in quickstart untrusted_python; do
    echo "== examples/$example.c, as $(id -un ${user:+"$user"})"
    (cd / && "${run[@]}" "$stage/$example" </dev/null) || status=$?
    echo
done
exit "$status"
