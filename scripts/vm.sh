#!/bin/bash
# Runs C tests on another kernel, in a virtual machine. Called by `make vm-test`.
#
#   scripts/vm.sh [--kernel FILE | --suite SUITE] [--append TEXT] [--expect WORDS] [--plain] [TEST...]
#
# The kernel is Debian's (6.12, Landlock ABI 6, cgroup v2), fetched once into target/vm, or the newest for clouds of another SUITE of
# Debian's (trixie-backports: 7.3, Landlock ABI 11), or FILE, a vmlinuz for this machine's architecture. TEXT is added to its command line (lsm=, say). WORDS is what it is declared to offer (SANDLOCK_TEST_EXPECT).
# The tests run as user 65534 and again as root, each from a leaf of a control group of its own that has the controllers memory and
# cpu; with --plain from a group that nobody was given. The machine is emulated, which takes neither privileges nor
# virtualisation, but ten times as long: tests of figures do not belong there.
#
# It takes qemu-system-x86, busybox-static and cpio. There is no disk: everything lies in the initial file system.
set -euo pipefail
cd "$(dirname "$0")/.."

kernel=
suite=
append=
expect="landlock-6 cgroup userns"
group=delegated
while [ $# -gt 0 ]; do
    case $1 in
    --kernel) kernel=$2 && shift 2 ;;
    --suite) suite=$2 && shift 2 ;;
    --append) append=$2 && shift 2 ;;
    --expect) expect=$2 && shift 2 ;;
    --plain) group=plain && shift ;;
    -*) echo "vm: unknown option $1" >&2 && exit 2 ;;
    *) break ;;
    esac
done
[ $# -gt 0 ] || set -- test_cgroup

for command in qemu-system-x86_64 busybox cpio setpriv /usr/bin/python3; do
    command -v "$command" >/dev/null || {
        echo "vm: $command is missing; as root: apt-get install qemu-system-x86 busybox-static cpio" >&2
        exit 1
    }
done

# --- the kernel ---
work=$PWD/target/vm
mkdir -p "$work"
if [ -n "$suite" ]; then
    # With lists of packages of its own: the machine's stay as they are.
    lists=$work/$suite
    mkdir -p "$lists"/{lists/partial,archives/partial,tree}
    key=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb [signed-by=$key] http://deb.debian.org/debian $suite main" >"$lists/sources"
    options=(-qq -o "Dir::Etc::SourceList=$lists/sources" -o Dir::Etc::SourceParts=/dev/null -o APT::Sandbox::User=root
        -o "Dir::State::Lists=$lists/lists" -o "Dir::Cache=$lists" -o Dir::State::status=/dev/null)
    found() { find "$lists/tree" -name 'vmlinuz*' | head -n 1; }
    if [ -z "$(found)" ]; then
        apt-get "${options[@]}" update
        # Older packages have the kernel itself in linux-image, newer ones in linux-binary.
        for kind in binary image; do
            package=$(apt-cache "${options[@]}" pkgnames "linux-$kind-" | grep -E -- '-[0-9][^-]*-cloud-amd64$' | grep -v unsigned | sort -V | tail -n 1 || true)
            [ -z "$package" ] || break
        done
        echo "vm: fetching ${package:?the suite has no kernel for clouds}"
        (cd "$lists" && apt-get "${options[@]}" download "$package" && dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x -C tree &&
            rm "$package"_*.deb)
    fi
    kernel=$(found)
fi
if [ -z "$kernel" ]; then
    kernel=$(ls "$work"/boot/vmlinuz-6.12* 2>/dev/null | head -n 1 || true)
    if [ -z "$kernel" ]; then
        package=$(apt-cache depends linux-image-6.12-cloud-amd64 | sed -n 's/^ *Depends: //p' | head -n 1)
        echo "vm: fetching ${package:?this distribution has no linux-image-6.12-cloud-amd64; use --kernel}"
        (cd "$work" && apt-get -qq download "$package" && dpkg-deb --fsys-tarfile "$package"_*.deb |
            tar -x ./boot && rm "$package"_*.deb)
        kernel=$(ls "$work"/boot/vmlinuz-6.12* | head -n 1)
    fi
fi

# --- its file system: programs of this machine with the libraries that they need, the library, the tests ---
run=$(mktemp -d "$work/run-XXXXXX")
trap 'rm -rf "$run"' EXIT
root=$run/root
mkdir -p "$root"/{usr/bin,usr/lib,usr/lib64,usr/share/common-licenses,etc,home,proc,sys,dev,tmp,run,root,opt/sandlock/bin}
ln -s usr/bin "$root/bin"
ln -s usr/bin "$root/sbin"
ln -s bin "$root/usr/sbin"
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"
add_libraries() { # PROGRAM...
    # What is no dynamic program has none, and ldd says so.
    { ldd "$@" 2>/dev/null || true; } | sed -nE 's/^\s+(.* => )?(\/[^ ]+) \(.*/\2/p' | sort -u | while read -r file; do
        case $file in
        "$root"*) ;;
        *) [ -e "$root$file" ] || cp -L --parents "$file" "$root" ;;
        esac
    done
}
programs=$(dpkg -L coreutils | grep -E '^(/usr)?/bin/')
for name in bash dash setpriv setsid grep sed find make hostname /usr/bin/python3; do
    programs+=" $(command -v "$name")"
done
# shellcheck disable=SC2086
cp -L $programs "$root/usr/bin"
cp -L "$(command -v busybox)" "$root/usr/bin/busybox"
ln -s dash "$root/usr/bin/sh"
# shellcheck disable=SC2086
add_libraries $programs
python=$(/usr/bin/python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
[ -d "$root$python" ] || cp -a --parents "$python" "$root"
rm -rf "$root$python"/{test,idlelib,tkinter,lib2to3,config-*}
find "$root$python" -name __pycache__ -prune -exec rm -rf {} +
add_libraries "$root$python"/lib-dynload/*.so
for file in /etc/passwd /etc/group /etc/ld.so.cache /usr/share/common-licenses/BSD; do
    cp -L "$file" "$root$file"
done
echo sandlock-vm >"$root/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
echo 'hosts: files' >"$root/etc/nsswitch.conf"

home=/opt/sandlock
make --no-print-directory --silent install DESTDIR="$root" PREFIX="$home" LIBDIR="$home/lib"
flags="-std=gnu11 -g -O1 -Wall -Wextra -Werror -Iinclude"
libraries="-L$root$home/lib -lsandlock -Wl,-rpath,$home/lib -lpthread -lutil -lrt"
for name in "$@" probe caller metadata_child net_child ports_child; do
    # shellcheck disable=SC2086
    gcc $flags -o "$root$home/bin/$name" "c-tests/$name.c" $libraries
done
for source in c-tests/attacks/*.c; do
    # shellcheck disable=SC2086
    gcc $flags -o "$root$home/bin/attack_$(basename "$source" .c)" "$source" -lrt -lpthread
done
add_libraries "$root$home"/bin/* "$root$home"/lib/libsandlock.so
cp "$root$home/bin/attack_processes" "$root$home/bin/attack_setuid_root"
cp "$root$home/bin/attack_processes" "$root$home/bin/attack_setuid_nobody"

# --- what the machine does ---
cat >"$root/init" <<EOF
#!/usr/bin/bash
# Messages of the kernel go to the first serial line, what the tests say to the second.
export PATH=/usr/bin HOME=/root
busybox mount -t devtmpfs dev /dev
exec >/dev/ttyS1 2>&1 </dev/null
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mkdir -p /dev/pts /dev/shm
busybox mount -t devpts -o ptmxmode=666 devpts /dev/pts
busybox mount -t tmpfs -o mode=1777 tmpfs /dev/shm
busybox mount -t tmpfs -o mode=1777 tmpfs /tmp
busybox mount -t cgroup2 cgroup /sys/fs/cgroup
busybox ip link set lo up 2>/dev/null
# Attacks must be able to succeed.
echo 1 >/proc/sys/kernel/perf_event_paranoid
echo 3 >/proc/sys/net/ipv4/tcp_fastopen
cd /sys/fs/cgroup
mkdir plain user root
echo "+memory +cpu" >cgroup.subtree_control
for owner in user root; do
    echo "+memory +cpu" >\$owner/cgroup.subtree_control
    mkdir \$owner/host
done
chown -R 65534:65534 user
from() { # OWNER COMMAND...: runs it from the owner's leaf
    if [ "$group" = plain ]; then
        echo \$BASHPID >/sys/fs/cgroup/plain/cgroup.procs
    else
        echo \$BASHPID >"/sys/fs/cgroup/\$1/host/cgroup.procs"
    fi
    shift
    exec timeout 900 "\$@"
}
cd $home/bin
chown 65534 attack_setuid_nobody
chmod 4755 attack_setuid_root attack_setuid_nobody
cd /
export SANDLOCK_TEST_EXPECT="$expect" SANDLOCK_TEST_LIBRARY=$home/lib SANDLOCK_TEST_PROFILES=$home/share/sandlock
export SANDLOCK_TEST_VM=1
uname -sr
user="setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all"
for name in $*; do
    echo "== \$name as user 65534"
    (from user \$user $home/bin/\$name) || echo "status \$?"
    echo "== \$name as root"
    (from root $home/bin/\$name) || echo "status \$?"
done
echo "== end"
busybox poweroff -f
EOF
chmod 755 "$root/init"
(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0) >"$run/initrd.cpio"

log=$run/log
timeout 3600 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 2048 -nodefaults -no-user-config -display none \
    -no-reboot -serial "file:$run/console" -serial stdio -kernel "$kernel" -initrd "$run/initrd.cpio" \
    -append "console=ttyS0 panic=-1 quiet $append" </dev/null | sed -u 's,\r$,,' | tee "$log" | grep --line-buffered -vE '^ok ' || true

if ! grep -q '^== end' "$log"; then
    echo "vm: the machine did not come to its end; its console says:"
    tail -n 40 "$run/console"
    exit 1
fi
passed=$(grep -c '^ok ' "$log" || true)
failed=$(grep -cE '^not ok |^status ' "$log" || true)
echo "$passed passed, $(grep -c '^absent ' "$log" || true) absent, $failed failed"
[ "$passed" -gt 0 ] && [ "$failed" -eq 0 ]
