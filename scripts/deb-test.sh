#!/bin/bash
# Tests of the Debian packages: they are built, and, for root, installed, used by an ordinary user, and purged. That is done
# in a mount namespace of its own, on an overlay in memory over this machine's files, so that the machine stays as it is. Takes
# the words of SANDLOCK_TEST_EXPECT: "overlay".
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
check() { # NAME COMMAND...
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        echo "ok $name"
    else
        tail -n 40 <<<"$output" | sed 's/^/# /'
        echo "not ok $name"
        failed=1
    fi
}

# --- second part: root, in the mount namespace, with the overlay at $root ---
inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }
as_user() { inside setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all env -C /tmp/user "$@"; }
# What differs from the machine's files: what is new or changed, and what is gone, which overlayfs keeps as a device.
changed() {
    (cd "$memory/upper" && {
        find . ! -type d
        find . -type d | while read -r directory; do [ -d "/$directory" ] || echo "$directory"; done
    } | LC_ALL=C sort)
}
# But what dpkg, ldconfig and man-db write for whatever is installed.
own_records='\./(var/lib/dpkg/(status|status-old|available|available-old|lock|lock-frontend|triggers/.*)|var/log/.*)'
own_records+='|\./(var/cache/(ldconfig|man)/.*|etc/ld\.so\.cache)'
nothing_left_behind() { # BEFORE AFTER
    local differences
    differences=$(diff "$1" "$2" | grep '^[<>]' | grep -vxE "> ($own_records)" || true)
    echo "$differences"
    [ -z "$differences" ]
}
installed_are_three() {
    test "$(inside dpkg-query -W -f '${Package} ${db:Status-Status};' libsandlock0 libsandlock-dev sandlock)" = \
        "libsandlock-dev installed;libsandlock0 installed;sandlock installed;"
}
not_known_any_more() { ! inside grep sandlock /var/lib/dpkg/status; }

use_them() {
    local multiarch
    multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
    check packages_install inside sh -c 'dpkg --install /tmp/packages/*.deb'
    check packages_are_installed installed_are_three
    check loader_finds_the_library inside sh -c "ldconfig -p | grep -q '/lib/$multiarch/libsandlock.so.0\$'"
    check manual_pages_are_installed inside sh -c 'cd /usr/share/man && ls man1/sandlock.1.gz man3/libsandlock.3.gz man5/sandlock-policy.5.gz'

    check command_says_what_the_kernel_offers as_user sandlock check
    check command_finds_its_profiles as_user sh -c \
        'sandlock run --profile compute -- cat /usr/share/common-licenses/BSD >copy && cmp copy /usr/share/common-licenses/BSD'
    check command_confines as_user sh -c \
        'sandlock run --profile compute -- cat /etc/passwd 2>refused; test $? = 1 && grep -q "Permission denied" refused'

    check pkg_config_is_of_the_package as_user test \
        "$(as_user pkg-config --variable=libdir sandlock)" = "/usr/lib/$multiarch"
    check pkg_config_knows_the_profiles as_user sh -c 'test -f "$(pkg-config --variable=profiledir sandlock)/compute.toml"'
    # shellcheck disable=SC2016 # for the shell inside
    check c_program_builds_by_pkg_config as_user sh -c \
        'gcc -Wall -Werror -o program /tmp/consumer/main.c $(pkg-config --cflags --libs sandlock) && ./program'
    check c_program_uses_the_package_s_library as_user sh -c "ldd program | grep -q '/lib/$multiarch/libsandlock.so.0'"
    check c_programs_build_by_cmake as_user sh -c \
        'cmake -S /tmp/consumer -B cmake && cmake --build cmake && cmake/shared && cmake/static'
    check cpp_header_compiles as_user sh -c 'echo "#include <sandlock.hpp>" >header.cpp && g++ -std=c++17 -fsyntax-only header.cpp'

    check packages_purge inside dpkg --purge sandlock libsandlock-dev libsandlock0
    check purged_packages_are_forgotten not_known_any_more
}

if [ "${1:-}" = --inside ]; then
    memory=$2
    root=$memory/root
    mount -t tmpfs -o mode=755 sandlock-test "$memory"
    mkdir "$memory/upper" "$memory/work" "$root"
    if ! mount -t overlay -o "lowerdir=/,upperdir=$memory/upper,workdir=$memory/work" sandlock-test "$root"; then
        echo "not ok packages_install: no overlay over /"
        exit 1
    fi
    for kernel in proc sys dev; do mount --rbind "/$kernel" "$root/$kernel"; done
    mount -t tmpfs -o mode=1777 sandlock-test "$root/tmp"
    mkdir "$root/tmp/packages" "$root/tmp/user"
    chown 65534:65534 "$root/tmp/user"
    cp target/deb-quick/*.deb "$root/tmp/packages/"
    cp -r c-tests/cmake "$root/tmp/consumer"
    # Not the machine's own, if it has them installed; nor an index of all its manual pages.
    inside dpkg --purge sandlock libsandlock-dev libsandlock0 >/dev/null 2>&1
    inside rm -f /var/lib/man-db/auto-update
    changed >"$memory/before"
    use_them
    changed >"$memory/after"
    check purged_packages_leave_nothing_behind nothing_left_behind "$memory/before" "$memory/after"
    exit "$failed"
fi

# --- first part: whoever calls this ---
check packages_are_built scripts/deb.sh --quick
[ "$failed" -eq 0 ] || exit 1
if [ "$(id -u)" -ne 0 ]; then
    echo "not run: installing the packages, which takes root"
    exit
fi
if ! grep -qw overlay <<<"${SANDLOCK_TEST_EXPECT:-}"; then
    echo "absent packages_install: mounts in a namespace of its own, an overlay among them (overlay)"
    exit
fi
memory=$(mktemp -d)
trap 'rmdir "$memory"' EXIT
unshare --mount "$PWD/scripts/deb-test.sh" --inside "$memory" || failed=1
exit "$failed"
