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

run suggest
prints suggest <<END
sandlock_policy_allow_path(policy, "/etc/hostname", SANDLOCK_ACCESS_READ, &error);
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
