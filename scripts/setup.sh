#!/bin/sh
# Installs what a Debian machine with Rust lacks to build, test, measure and demonstrate libsandlock. Does nothing, quietly,
# if nothing is missing.
set -eu
cd "$(dirname "$0")/.."

missing=
need() { # COMMAND-OR-FILE PACKAGE
    command -v "$1" >/dev/null 2>&1 || [ -e "$1" ] || missing="$missing $2"
}
need gcc gcc
need g++ g++
need make make
need pkg-config pkg-config
need cmake cmake
need /usr/bin/python3 python3
need setpriv util-linux
need nm binutils
need valgrind valgrind
need bwrap bubblewrap
need git git
need curl curl
need ip iproute2
need musl-gcc musl-tools
need redis-benchmark redis-tools # the server too, as redis-check-rdb, and no service
need /usr/lib/python3/dist-packages/requests python3-requests
need mandoc mandoc
need doxygen doxygen
need /usr/share/build-essential/essential-packages-list build-essential
need dh debhelper
need lintian lintian
need abidiff abigail-tools
[ -x /usr/local/go/bin/go ] || need go golang-go
need node "nodejs libnode-dev"
need /usr/include/stdio.h libc6-dev
need /usr/include/linux/landlock.h linux-libc-dev
need /usr/share/common-licenses/BSD base-files

# A program by itself: its package would start a server, and again whenever the machine does.
nginx=target/programs/nginx
fetch=
[ -x /usr/sbin/nginx ] || [ -x "$nginx" ] || fetch=" nginx"

if [ -n "$missing$fetch" ]; then
    echo "setup: installing$missing$fetch"
    if [ "$(id -u)" -eq 0 ]; then
        sudo=
    elif command -v sudo >/dev/null 2>&1; then
        sudo=sudo
    else
        echo "setup: please install, as root:$missing$fetch" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    $sudo apt-get -qq update
    if [ -n "$missing" ]; then
        # shellcheck disable=SC2086 # words are wanted
        $sudo apt-get -qq install -y --no-install-recommends $missing >/dev/null
    fi
    if [ -n "$fetch" ]; then
        mkdir -p "${nginx%/*}"
        (cd "${nginx%/*}" && apt-get -qq -o APT::Sandbox::User=root download nginx &&
            dpkg-deb --fsys-tarfile nginx_*.deb >nginx.tar && tar -xOf nginx.tar ./usr/sbin/nginx >nginx.new &&
            chmod 755 nginx.new && mv nginx.new nginx && rm nginx.tar nginx_*.deb)
    fi
fi

if ! command -v cargo >/dev/null 2>&1; then
    echo "setup: Rust is missing: install it from https://rustup.rs or your distribution (1.87 or newer)" >&2
    exit 1
fi
for component in clippy rustfmt; do
    if ! cargo "${component%fmt}" --version >/dev/null 2>&1 && ! command -v "$component" >/dev/null 2>&1 &&
        ! cargo "$component" --version >/dev/null 2>&1; then
        echo "setup: adding Rust's $component"
        rustup component add "$component"
    fi
done
