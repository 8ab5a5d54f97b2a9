#!/bin/bash
# Runs the examples and looks at what they print. Takes BIN, where they are as example_NAME, and PREFIX, where the library is installed.
# Lines of output are "ok NAME", "not ok NAME" and comments, as of the C tests; see scripts/test.sh.
set -uo pipefail
: "${BIN:?}" "${PREFIX:?}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

failures=0
run() { # NAME ARGUMENT...
    local name=$1
    shift
    "$BIN/example_$name" "$@" >"$name.out" 2>"$name.err" </dev/null
    echo $? >"$name.status"
}
# NAME: it has succeeded and printed, to standard output and nothing else, what is said here. In any order, if SORTED is set.
prints() {
    local name=$1 order=${SORTED:+sort}
    ${order:-cat} >expected
    ${order:-cat} "$name.out" >found
    if [ "$(cat "$name.status")" -eq 0 ] && [ ! -s "$name.err" ] && diff expected found >difference; then
        echo "ok example_${name}_behaves"
    else
        sed 's/^/# /' difference "$name.err"
        echo "# status $(cat "$name.status")"
        echo "not ok example_${name}_behaves"
        failures=$((failures + 1))
    fi
}

# Most of its time it waits for a plugin that does not answer.
run plugin_host &

run quickstart
prints quickstart <<END
allowed: exit 0, $(stat -c %s /usr/share/common-licenses/BSD) bytes
refused: exit 1, cat: /etc/passwd: Permission denied
END

run virtual_file
prints virtual_file <<END
exit 0, opened 1: only for this program
END

# Files that the C library looks for, too, which are others on other systems.
run suggest
grep '/etc/hostname' suggest.out >hostname && mv hostname suggest.out
prints suggest <<END
sandlock_policy_allow_path(policy, "/etc/hostname", SANDLOCK_ACCESS_READ, &error);
END

# It judges itself: the computation, and every refusal.
run untrusted_python
tail -n 1 untrusted_python.out >verdict && mv verdict untrusted_python.out
prints untrusted_python <<END
the script computed, and every attack was refused
END

# When a process has ended is told a moment later than when the next one begins; how, older kernels forget.
run audit
[[ " ${SANDLOCK_TEST_EXPECT-pidfd-info} " == *" pidfd-info "* ]] ||
    sed -i 's/^7 has ended$/7 was ended by signal 9/; s/^1 has ended$/1 has exited with 3/' audit.out
SORTED=1 prints audit <<'END'
1 executes /bin/sh -c /bin/cat /usr/share/common-licenses/BSD >/dev/null\n/bin/cat ...
1 starts a process
2 executes /bin/cat /usr/share/common-licenses/BSD
2 has exited with 0
1 starts a process
3 executes /bin/cat /etc/hostname
3 lacks a rule: openat /etc/hostname for read: no path rule; allow_path("/etc/hostname", READ) would permit it
3 has exited with 1
1 lacks a rule: openat /var/tmp for write: no path rule; allow_path("/var/tmp", WRITE) would permit it
1 starts a process
4 executes /bin/chmod 600 /etc/hostname
4 is refused fchmodat /etc/hostname: files-metadata: not beneath a path rule that grants WRITE
4 has exited with 1
1 starts a process
5 executes /usr/bin/unshare --user /bin/true
5 lacks a rule: unshare: refused by the filter; allow_syscall("unshare") would permit it
5 has exited with 1
1 starts a process
6 executes /usr/bin/perl -MSocket -e socket S, PF_INET, SOCK_STREAM, 0; connect S, sockaddr_in 9,...
6 lacks a rule: connect tcp://127.0.0.1:9: no rule; allow_net("tcp://127.0.0.1:9") would permit it
6 has exited with 0
1 starts a process
7 executes /bin/sh -c kill -9 $$
7 was ended by signal 9
1 has exited with 3
the program has exited with 3 and was refused 5 things
END

# It judges itself, too; what enforces is the kernel's to say.
run build_sandbox "$PREFIX/share/sandlock/build.toml"
grep -v '^enforced: ' build_sandbox.out >plain && mv plain build_sandbox.out
prints build_sandbox <<END
gcc -O2 -Wall -c -o ../out/main.o main.c
gcc -O2 -Wall -c -o ../out/greeting.o greeting.c
gcc -o ../out/hello ../out/main.o ../out/greeting.o
key: refused
server: refused
outside: refused
sources: refused
built in a sandbox
protection: full
the project was built, and nothing else was done
END

run epoll_loop
prints epoll_loop <<END
the timer: job 1 goes out
the program: wash the dishes
the timer: job 2 goes out
the program: dry them
the timer: job 3 goes out
the program: put them away
the end: exit 0
END

wait
prints plugin_host <<END
50 are ready
round 1: 50 have answered
round 2: 47 have answered
worker 7 has given no answer in time: replaced
worker 21 has exceeded its limit of memory: replaced
worker 33 has exited with 9: replaced
round 3: 48 have answered
worker 33 has exited with 9: replaced
worker 42 has given a wrong answer: replaced
round 4: 49 have answered
worker 33 has exited with 9: replaced
round 5: 49 have answered
worker 33 has exited with 9: given up
round 6: 49 have answered
the end: 49 have ended in order; the factor was asked for 56 times
descriptors left open: 0
END

[ "$failures" -eq 0 ]
