#!/bin/bash
# Tests of the command line, of what is installed with it, and of the manual pages. Takes PREFIX, where all that is installed.
# Lines of output are "ok NAME", "not ok NAME" and comments, as of the C tests; see scripts/test.sh.
#
# What a command line has no means for is not here: handlers, calls that are answered later, leaks in a host that goes on.
set -uo pipefail
: "${PREFIX:?}"
export LD_LIBRARY_PATH=$PREFIX/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LC_ALL=C PATH=/usr/local/bin:/usr/bin:/bin
sandlock=$PREFIX/bin/sandlock
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

failures=0
problems=
expect() { # WHAT COMMAND...
    local what=$1
    shift
    "$@" || problems+="# $what"$'\n'
}
verdict() { # NAME: of all that was expected since the last one
    if [ -z "$problems" ]; then
        echo "ok $1"
    else
        printf '%s# the last one: status %s, output "%s", errors "%s"\nnot ok %s\n' "$problems" "$status" \
            "$(head -c 300 out | tr '\n' '|')" "$(head -c 600 err | tr '\n' '|')" "$1"
        failures=$((failures + 1))
    fi
    problems=
}

# The system's programs and their libraries, as far as there are any.
system=()
for path in /usr /bin /lib /lib32 /lib64 /etc/ld.so.cache; do
    [ ! -e "$path" ] || system+=(-r "$path")
done
system+=(-w /dev/null)
call() { "$sandlock" "$@" >out 2>err </dev/null; status=$?; }
run() { call run "${system[@]}" "$@"; }
is() { expect "status $status instead of $1" test "$status" -eq "$1"; }
says() { expect "output lacks $1" grep -qF -- "$1" out; }
complains() { expect "errors lack $1" grep -qF -- "$1" err; }
silent() { expect "there are errors" test ! -s err; }

# --- what a program may do ---
echo contents >allowed
echo secret >secret
run -r allowed -- cat allowed
is 0; says contents; silent
run -r allowed -- cat secret
is 1; complains "Permission denied"
verdict program_reads_what_is_granted_and_nothing_else

mkdir work
run -w work -- sh -c 'echo made >work/file && cat work/file && ! echo x >made && ! echo x >secret'
is 0; says made
expect "it has written elsewhere" test "$(cat secret)" = secret -a ! -e made
printf '#!/bin/sh\necho ran\n' >work/script && chmod 755 work/script
run -w work -- work/script
is 126
run -w work -r work -- work/script
is 0; says ran
verdict write_reads_and_writes_and_read_executes

run -- sh -c "kill -0 $$"
is 1
run -- python3 -c 'import socket; socket.create_connection(("127.0.0.1", 9), 5)'
is 1; complains "PermissionError"
run -- python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)'
is 1; complains "PermissionError"
run -- python3 -c 'import os; os.chmod("secret", 0o777)'
is 1; complains "PermissionError"
verdict attacks_are_refused

echo typed | "$sandlock" run "${system[@]}" -- cat >out 2>err
status=$?
is 0; says typed
run -- sh -c 'cat <&5' 5<secret
is 2
verdict standard_streams_are_inherited_and_others_are_not

# --- exit statuses ---
while read -r wanted script; do
    run -- sh -c "$script"
    is "$wanted"
done <<'END'
0 exit 0
7 exit 7
255 exit 255
139 kill -SEGV $$
137 kill -KILL $$
END
verdict status_is_that_of_the_program

run -- no-such-program
is 127; complains "no-such-program"
run -- ./secret
is 126; complains "chmod +x"
run -r work --cwd / -- work/script
is 127; complains "where the program starts: --cwd"
call run -- /bin/true
is 126; complains "-r /usr"
verdict programs_that_do_not_run_give_126_and_127

while IFS='|' read -r words message; do
    # shellcheck disable=SC2086 # words are wanted
    call $words
    is 125; complains "sandlock: "; complains "$message"
done <<'END'
|run or check?
walk|unknown command: walk
check now|takes no arguments
run|which program?
run --nonsense -- true|--nonsense
run -r|requires an argument
run -r /nowhere -- true|/nowhere
run --net-allow tcp://10.1.2.3/8 -- true|column 7
run --net-deny example.com -- true|column
run --net-bind 0 -- true|column
run --syscall-allow nonsense -- true|nonsense
run -m 12X -- true|--memory "12X"
run -m 0 -- true|--memory "0"
run -m M -- true|--memory "M"
run -m 99999999T -- true|--memory
run -m 99999999999999999999 -- true|--memory
run -m -1 -- true|--memory "-1"
run -t 0 -- true|--timeout "0"
run -t 1x -- true|--timeout "1x"
run -t nan -- true|--timeout "nan"
run -t 1.2.3 -- true|--timeout "1.2.3"
run -P 0 -- true|--processes "0"
run -P two -- true|--processes "two"
run --cpu 0 -- true|--cpu "0"
run --env =x -- true|name
run --cwd /nowhere -- true|/nowhere
run --profile /nowhere.toml -- true|/nowhere.toml
run --profile nonsense -- true|nonsense
run --profile compute --profile build -- true|only one
run --report=xml -- true|xml
run --report-fd 77 -- true|--report-fd 77
run --report-fd x -- true|--report-fd "x"
END
verdict what_is_wrong_is_said_with_status_125

# --- limits ---
run -t 0.3 -- sleep 60
is 124; complains "limit of time"
run -t 1h -- true
is 0; silent
verdict timeout_ends_it_with_status_124

run -m 64M -- python3 -c 'import time; held = b"x" * (200 << 20); time.sleep(60)'
is 137; complains "limit of memory"; complains "65536 KiB"
run -m 1GiB -- true
is 0
verdict memory_limit_ends_it

run -P 1 -- sh -c 'true & wait'
expect "it had a second process" test "$status" -ne 0
run -P 2 -- sh -c '(exit 0); echo two'
is 0; says two
verdict processes_are_limited

run --cpu 1000 -- true
is 0; silent
run --cpu 20 -t 20 -- python3 -c '
import time
begin, used = time.monotonic(), time.process_time()
while time.monotonic() - begin < 1.5: pass
print("throttled" if time.process_time() - used < 0.75 else "not throttled")'
is 0; expect "it was not throttled" grep -qx throttled out
verdict share_of_processor_is_limited

# --- environment, directory, profiles ---
export CLI_TEST_SECRET=known CLI_TEST_OTHER=other
run -- env
says CLI_TEST_SECRET=known
run --env CLI_TEST_OTHER --env "CLI_TEST_MADE=a=b c" --clean-env -- env
is 0; says CLI_TEST_OTHER=other; says "CLI_TEST_MADE=a=b c"; says PATH=
expect "a variable was passed on" test "$(grep -c CLI_TEST_SECRET out)" -eq 0
verdict environment_is_chosen

run --cwd "$tmp/work" -- pwd
is 0; expect "another directory" test "$(cat out)" = "$(cd work && pwd -P)"
verdict working_directory_is_chosen

call run --profile compute -- cat "$tmp/secret"
is 1; complains "Permission denied"
call run -r "$tmp/secret" -t 30 --profile compute -- cat "$tmp/secret"
is 0; says secret
{
    printf '[filesystem]\nread-execute = ['
    for ((i = 1; i < ${#system[@]}; i += 2)); do printf '"%s", ' "${system[i]}"; done
    printf '"/etc"]\nwrite = ["/dev/null"]\n[limits]\nwall = 2000\n[process.variables]\nPROFILE = "yes"\n'
} >own.toml
call run --profile own.toml -- sh -c 'echo $PROFILE; sleep 60'
is 124; says yes
printf '[filesystem]\nraed = []\n' >wrong.toml
call run --profile wrong.toml -- true
is 125; complains "line 2, column 1"
verdict profiles_are_read_and_added_to

# A directory that somebody else has filled: its files are no profiles by bearing the names of such.
printf '[filesystem]\nall = ["/"]\n' >compute
call run --profile compute -- cat "$tmp/secret"
is 1; complains "Permission denied"
mkdir build
call run --profile build -- true
is 0
call run --profile ./compute -- cat "$tmp/secret"
is 0; says secret
rm -r compute build
verdict names_of_profiles_are_those_of_installed_ones

# --- network ---
python3 - "$sandlock" "${system[@]}" >out 2>err <<'END'
import socket, subprocess, sys

allowed, other = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
ports = [server.getsockname()[1] for server in (allowed, other)]
client = """
import socket, sys
for port in sys.argv[1:]:
    try:
        socket.create_connection(("127.0.0.1", int(port)), 10).close()
        print("reached")
    except OSError as error:
        print(type(error).__name__)
"""
server = """
import socket, sys
for port in sys.argv[1:]:
    try:
        socket.create_server(("127.0.0.1", int(port))).close()
        print("served")
    except OSError as error:
        print(type(error).__name__)
"""
def run(options, script, ports):
    command = [sys.argv[1], "run", *sys.argv[2:], *options, "--", "python3", "-c", script, *map(str, ports)]
    return subprocess.run(command, stdout=subprocess.PIPE, timeout=60).stdout.decode().split()

refused = "PermissionError"
rule = f"tcp://127.0.0.1:{ports[0]}"
free = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
numbers = [server.getsockname()[1] for server in free]
for server_ in free:
    server_.close()
for what, found, wanted in [
    ("no rule", run([], client, ports), [refused, refused]),
    ("a rule", run(["--net-allow", rule], client, ports), ["reached", refused]),
    ("a rule and an exception", run(["--net-deny", rule, "--net-allow", "127.0.0.1"], client, ports), [refused, "reached"]),
    ("no port", run([], server, numbers), [refused, refused]),
    ("a port", run(["--net-bind", str(numbers[0])], server, numbers), ["served", refused]),
]:
    if found != wanted:
        print(f"{what}: {found} instead of {wanted}")
        sys.exit(1)
END
status=$?
is 0
verdict network_rules_hold

# --- reports ---
run --report -- echo output
is 0; expect "more than its output" test "$(cat out)" = output
expect "no row of files" grep -q '^files  *enforced  *landlock' err
complains "protection: full"
run --report=json -- true
is 0
expect "no JSON on standard error" python3 -c 'import json; assert json.load(open("err"))["level"] == "full"'
"$sandlock" run "${system[@]}" --report-fd 7 --report=json -- sh -c 'echo x >&7' 7>report >out 2>err
status=$?
is 2 # the descriptor is not the program's
expect "no JSON on descriptor 7" python3 -c 'import json; assert json.load(open("report"))["features"]'
"$sandlock" run "${system[@]}" --report-fd 7 -- true 7>/dev/full >out 2>err
status=$?
is 125; complains "descriptor 7"
verdict report_goes_where_it_is_asked_for

# Something that is required and cannot be had: a limit that takes the supervisor, without one.
sed 's/^\[process.variables\]/[process]\nflags = ["no-supervisor"]\n&/; /^wall/d' own.toml >bare.toml
call run --profile bare.toml -P 4 -- true
is 125; complains "processes"
call run --profile bare.toml -P 4 --best-effort --report -- true
is 0; complains "protection: partial"
verdict best_effort_runs_what_cannot_be_enforced_whole

# --- the trace ---
run --trace -- cat "$tmp/secret"
is 1; complains "for read: no path rule"; complains "  -r $tmp/secret"
run --trace -- sh -c "echo x >'$tmp/work/new'"
complains "  -w $tmp/work"
run --trace -- python3 -c 'import socket; socket.create_connection(("127.0.0.1", 9))'
complains "  --net-allow tcp://127.0.0.1:9"
run --trace -- python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)'
complains "--net-allow udp://... would permit it"
run --trace -- python3 -c 'import socket; socket.socket().bind(("127.0.0.1", 8080))'
complains "  --net-bind 8080"
run --trace -- unshare --ipc true
complains "  --syscall-allow unshare"
expect "calls in C are left" test "$(grep -c 'allow_\|sandlock_' err)" -eq 0
run --trace -- python3 -c "import os; os.chmod('$tmp/secret', 0o777)"
complains " $tmp/secret: files-metadata: not beneath"
run --trace -- cat /proc/self/status
complains "for read: no path rule"
expect "a path of this run is suggested" test "$(grep -c '^  -r /proc' err)" -eq 0
run --trace -- ls /
is 2; complains "nothing less than a rule for all files would permit it"
expect "all files are suggested" test "$(grep -c '^  -r /$' err)" -eq 0
run --trace -- python3 -c 'import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)'
complains "--net-bind, would permit it"
expect "all sockets are suggested" test "$(grep -c 'syscall-allow socket' err)" -eq 0
cp work/script elsewhere
run --trace -- "$tmp/elsewhere"
is 126; complains "  -r $tmp/elsewhere"
run --trace -- true
is 0; complains "nothing was refused"
verdict trace_says_which_options_would_permit_what_was_refused

# Options that it prints, given back, until the program does its work: names that a shell would take apart, or a terminal obey.
odd=$tmp/$'odd \'name\'\n\033[2J\\'
mkdir "$odd"
echo found >"$odd/file"
run --trace -- sh -c 'exec 2>/dev/null; chmod 777 "$0/file"' "$odd"
complains "files-metadata"
expect "an escape sequence" test "$(tr -cd '\033' <err | wc -c)" -eq 0
options=()
script='exec 2>/dev/null; read -r line <"$0/file" && echo "$line" >"$0/copy" && cat "$0/copy"'
for ((i = 0; i < 8; i++)); do
    run "${options[@]}" --trace -- sh -c "$script" "$odd"
    expect "an escape sequence" test "$(tr -cd '\033' <err | wc -c)" -eq 0
    [ "$status" -ne 0 ] || break
    eval "options+=($(sed -n '/these options/,$ { s/^  //p }' err | tr '\n' ' '))"
done
is 0; says found
verdict trace_leads_to_a_program_that_works

# --- signals ---
cat >signals.py <<'END'
import os, select, signal, subprocess, sys

def run(number=None, options=[], set_up=None):
    """Status, what it said after the signal, and whether its child has ended."""
    script = "sleep 60 & echo $!; trap '' TERM INT; read x; echo read"
    process = subprocess.Popen([sys.argv[1], "run", *sys.argv[2:], *options, "--", "sh", "-c", script],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=set_up)
    child = os.pidfd_open(int(process.stdout.readline()))
    if number:
        process.send_signal(number)
    if set_up:
        process.stdin.write(b"\n")
        process.stdin.flush()
    output = process.stdout.read()
    status = process.wait(30)
    ended = select.poll()
    ended.register(child, select.POLLIN)
    return status, output, bool(ended.poll(5000))

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
    found = run(number)
    assert found == (128 + number, b"", True), (number, found)
found = run(signal.SIGHUP, set_up=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
assert found == (0, b"read\n", True), found
found = run(options=["-t", "3"])
assert found == (124, b"", True), found
# A parent that ignores SIGCHLD: the status is known all the same.
found = subprocess.run([sys.argv[1], "run", *sys.argv[2:], "--", "sh", "-c", "exit 5"],
                       preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
assert found.returncode == 5, found
END
python3 signals.py "$sandlock" "${system[@]}" >out 2>err
status=$?
is 0
verdict signals_and_timeouts_end_all_of_it

cat >terminal.py <<'END'
import os, pty, sys

command = [sys.argv[1], "run", *sys.argv[2:], "--", "python3", "-c", """
import signal, sys
assert all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
def woken(*_): print("woken", flush=True)
signal.signal(signal.SIGCONT, woken)
print("ready", flush=True)
for line in sys.stdin:
    print("read", line.strip(), flush=True)
"""]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(command[0], command)
seen = b""
def until(word):
    global seen
    while word not in seen:
        seen += os.read(terminal, 4096)
    seen = seen[seen.index(word) + len(word):]
until(b"ready")
os.write(terminal, b"\x1a") # would suspend it
until(b"woken")
os.write(terminal, b"hello\n")
until(b"read hello")
os.write(terminal, b"\x03")
while True:
    try:
        if not os.read(terminal, 4096):
            break
    except OSError:
        break
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) in (1, 130), status # Python makes an exception of SIGINT, and then a signal
END
timeout 30 python3 terminal.py "$sandlock" "${system[@]}" >out 2>err
status=$?
is 0
verdict program_has_the_terminal

# --- many at once ---
pids=()
for ((i = 0; i < 64; i++)); do
    "$sandlock" run "${system[@]}" -- sh -c "exit $i" 2>>err &
    pids+=($!)
done
for ((i = 0; i < 64; i++)); do
    wait "${pids[i]}"
    status=$?
    is "$i"
done
verdict many_run_at_once

# --- help, check, manual, completion ---
call --help
is 0; silent
expect "it does not fit a screen of 24 lines" test "$(wc -l <out)" -le 24
expect "a line is longer than 80 columns" test "$(wc -L <out)" -le 80
options=$(grep -oE -- '--[a-z][a-z-]+' out | sort -u)
cp out help
call run --help
expect "run --help is another" cmp -s out help
call --version
is 0; expect "no version" grep -qE '^sandlock [0-9.]+ \(libsandlock [0-9.]+\)$' out
verdict help_fits_a_screen

call check
is 0; says "Landlock                  ABI "; says "All that sandlock enforces by default"
expect "a line is longer than 80 columns" test "$(wc -L <out)" -le 80
# In a sandbox there is less, which no other kernel would change.
run -r "$PREFIX" -r "$(readlink -f "$PREFIX/lib")" -- "$sandlock" check
says "user namespaces           no"; says "a container or sandbox forbids it"
expect "a later kernel is advised" test "$(grep -c 'take Linux' out)" -eq 0
expect "a line is longer than 80 columns" test "$(wc -L <out)" -le 80
verdict check_says_what_the_kernel_offers

man=$PREFIX/share/man
for option in $options; do
    expect "sandlock(1) lacks $option" grep -qF -- "Fl Fl ${option#--}" "$man/man1/sandlock.1"
    expect "completion lacks $option" grep -qF -- "$option" "$PREFIX/share/bash-completion/completions/sandlock"
done
for function in $(grep -oE '\<sandlock_[a-z_0-9]+\(' "$PREFIX/include/sandlock.h" | tr -d '(' | sort -u); do
    expect "libsandlock(3) lacks $function" grep -qE "^\.(Fn|It Fn) $function\$" "$man/man3/libsandlock.3"
done
for name in $(grep -oE 'define SANDLOCK_LIMIT_[A-Z_]+' "$PREFIX/include/sandlock.h" | sed 's/.*LIMIT_//' | tr 'A-Z_' 'a-z-'); do
    expect "sandlock-policy(5) lacks limit $name" grep -qE "^\.Cm $name( |\$)" "$man/man5/sandlock-policy.5"
done
sed -n '/^\[filesystem\]/,/^\.Ed/p' "$man/man5/sandlock-policy.5" | grep -v '^\.Ed' | sed "s|/tmp/work|$tmp/work|" >manual.toml
call run --profile manual.toml --net-deny 127.0.0.1 --best-effort -- true
expect "the example of sandlock-policy(5) is wrong" test "$(grep -c 'profile ' err)" -eq 0
verdict manual_names_everything_there_is

# Its examples, but for that which fetches something from elsewhere.
mkdir examples && cd examples || exit 1
echo 'print("computed")' >script.py
printf 'all:\n\techo built >built\n' >Makefile
awk '/^\.Sh EXAMPLES/ { inside = 1 }
    /^\.Sh SEE/ { inside = 0 }
    inside && sub(/^\$ /, "") { more = 1 }
    inside && more { more = sub(/\\e$/, ""); printf "%s%s", $0, more ? " " : "\n" }' "$man/man1/sandlock.1" |
    grep -v example.com >../commands
PATH=${sandlock%/*}:$PATH bash ../commands >../out 2>../err </dev/null
status=$?
cd ..
is 0; says computed
expect "not four commands" test "$(wc -l <commands)" -eq 4
expect "it has not built" test -e examples/built
expect "no report" grep -q '"level"' examples/report.json
while read -r line; do
    complains "$line"
done < <(sed -n '/--trace -- cat/,/^\.Ed/ { /^[$.]/!p; }' "$man/man1/sandlock.1")
verdict examples_of_the_manual_work

# That a manual of the kernel's is not installed here says nothing about ours.
lint=$(mandoc -Tlint "$man"/man1/sandlock.1 "$man"/man3/libsandlock.3 "$man"/man5/sandlock-policy.5 2>&1 |
    grep -vE 'referenced manual not found|outdated mandoc.db')
printf '%s' "$lint" >out
status=0
expect "mandoc finds fault" test -z "$lint"
verdict manual_is_clean

complete_words() { # WORDS...: prints what the last one can become
    bash -c '
        . "$1" && shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _sandlock # fails, as compopt does where nobody completes
        printf "%s\n" "${COMPREPLY[@]}"
    ' complete "$PREFIX/share/bash-completion/completions/sandlock" "$@" >out 2>err
    status=$?
}
while IFS='|' read -r words wanted; do
    # shellcheck disable=SC2086 # words are wanted
    complete_words "$sandlock" $words
    silent; expect "$words: no $wanted" grep -qxF -- "$wanted" out
done <<'END'
r|run
run --tim|--timeout
run --profile comp|compute
run --profile own|own.toml
run -r allo|allowed
run --report = js|json
run -r /usr -t 5 -- tru|true
run -r /usr tru|true
run -r /usr cat allo|allowed
END
verdict completion_completes

[ "$failures" -eq 0 ]
