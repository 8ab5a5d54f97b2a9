"""The scenarios that every language shares (bindings/scenarios.txt), by this binding."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

from sandlock import CAPTURE, Process, Sandbox, SandlockError, capi
from sandlock.supervisor import Supervisor

from table import Table
from trial import Trial

STAGES = (
    "none arguments policy landlock seccomp descriptors spawn process cwd limits privileges exec wait supervisor namespaces network".split()
)


class Outcome:
    def __init__(self, result=None, error=None, out=None, err=None):
        self.result = result
        self.error = error
        self.out = (result.stdout if result else b"") if out is None else out
        self.err = (result.stderr if result else b"") if err is None else err


def run_once(trial, policy, run):
    what = trial.what
    argv = [trial.expand(word, run) for word, in what.all("arg")]
    handlers, given = trial.handlers(), what.get("stdin")
    data = None if given is None else trial.expand(given, run).encode()
    timeout = int(what.get("timeout", "30000")) / 1000
    deadline = what.get("deadline")
    deadline = int(deadline) / 1000 if deadline else None
    try:
        if what.all("step"):
            return take_steps(trial, start(policy, argv, handlers, deadline, subprocess.PIPE, subprocess.PIPE))
        if not isinstance(policy, Sandbox):
            return Outcome(run_own(policy, argv, handlers, deadline, data, timeout))
        if not handlers:
            return Outcome(policy.run(argv, timeout, input=data))
        if any(asyncio.iscoroutinefunction(handler) for handler in handlers.values()):
            return Outcome(asyncio.run(policy.arun(argv, timeout, handlers)))
        return Outcome(policy.run_with_handlers(argv, handlers, timeout, input=data, deadline=deadline))
    except SandlockError as error:
        return Outcome(error=error)


def start(policy, argv, handlers, deadline, stdin, stdout):
    if isinstance(policy, Sandbox):
        return policy.popen(argv, stdin, stdout, stdout, handlers)
    supervisor = Supervisor(handlers, deadline=deadline) if handlers else None
    return Process(policy, argv, stdin=stdin, stdout=stdout, stderr=stdout, supervisor=supervisor)


def run_own(policy, argv, handlers, deadline, data, timeout):
    """Sandbox.run(), under a policy that no Sandbox has made."""
    stdin, stdout = (subprocess.DEVNULL, CAPTURE) if data is None else (subprocess.PIPE, subprocess.PIPE)
    with start(policy, argv, handlers, deadline, stdin, stdout) as process:
        return process.wait(timeout) if data is None else process.communicate(data, timeout)


def take_steps(trial, process):
    """Talks with the program. Who cancels is another thread than who waits."""
    cancelling = threading.Thread(target=process.kill)
    with process:
        for verb, *words in trial.what.all("step"):
            text = trial.expand(words[0]) if words else ""
            if verb == "say":
                process.stdin.write(text.encode())
                process.stdin.flush()
            elif verb == "hear":
                line = process.stdout.readline()
                assert line == text.encode() + b"\n", f"heard {line}, not {text}"
            elif verb == "asked":
                assert trial.asked.wait(30)
            elif verb == "cancel":
                cancelling.start()
            elif verb == "signal":
                process.send_signal(int(text))
            elif verb == "net":
                process.update_net(allow=[text])
            elif verb == "net-none":
                process.update_net(allow=[])
            elif verb == "net-reset":
                process.update_net()
            else:
                raise AssertionError(f"no step is {verb}")
        process.stdin.close()
        out, err = process.stdout.read(), process.stderr.read()
        result = process.wait(30)
        if cancelling.ident:
            cancelling.join()
        return Outcome(result, out=out, err=err)


def content(trial, name):
    try:
        with open(os.path.join(trial.tree, name), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b"(no file)"


def look(trial, outcome, word, words, run):
    """Gives what was found, and whether it is as expected."""
    text = trial.expand(words[0], run) if words else ""
    if word in ("stdout", "no-stdout"):
        return outcome.out, outcome.out == text.encode()
    if word in ("stderr", "no-stderr"):
        return outcome.err, outcome.err == text.encode()
    if word in ("stdout-has", "stdout-lacks"):
        return outcome.out, (text.encode() in outcome.out) == (word == "stdout-has")
    if word == "stderr-has":
        return outcome.err, text.encode() in outcome.err
    if word in ("file", "gone"):
        found = content(trial, words[0])
        return found, found == (words[1].encode() if word == "file" else b"(no file)")
    found = {
        "reason": lambda: outcome.result.reason.name.lower(),
        "limit": lambda: (outcome.result.limit or "none").replace("_", "-"),
        "code": lambda: outcome.result.exit_code,
        "signal": lambda: outcome.result.signal,
        "error": lambda: capi.sandlock_status_name(outcome.error.status).decode(),
        "stage": lambda: STAGES[outcome.error.stage],
        "errno": lambda: outcome.error.errno,
        "message": lambda: str(outcome.error),
        "calls": lambda: trial.calls,
    }[word]()
    return found, str(found) == text


def failures_of(table, what, ports):
    with tempfile.TemporaryDirectory() as tree:
        trial = Trial(table, what, tree, ports)
        count = int(what.get("concurrent", "1"))
        try:
            policy = trial.policy()
            with ThreadPoolExecutor(count) as pool:
                outcomes = list(pool.map(lambda run: run_once(trial, policy, run), range(count)))
        except SandlockError as error:
            outcomes = [Outcome(error=error)]
        finally:
            trial.end()
        expected = what.all("expect")
        fails = any(word == "error" for word, *_ in expected)
        failures = []
        for run, outcome in enumerate(outcomes):
            if fails != bool(outcome.error):
                failures.append(f"run {run} gives the error {outcome.error!r}")
                continue
            for word, *words in expected:
                found, holds = look(trial, outcome, word, words, run)
                if not holds:
                    failures.append(f"run {run}: {word} {words} was expected, and is {found!r}")
        return failures


def server():
    """One of the host's on 127.0.0.1, at which nobody need accept: the kernel makes the connections."""
    serving = socket.socket()
    serving.bind(("127.0.0.1", 0))
    serving.listen(128)
    return serving


def main():
    with open(os.environ["SANDLOCK_SCENARIOS"], encoding="utf-8", newline="\n") as file:
        table = Table(file.read())
    for problem in table.problems:
        print("#", problem)
    if table.problems or not table.scenarios:
        return 2
    os.umask(0o22)
    logging.getLogger("sandlock").addHandler(logging.NullHandler())  # handlers are meant to fail
    servers = [server(), server()]
    status = 0
    for what in table.scenarios:
        try:
            failures = failures_of(table, what, [serving.getsockname()[1] for serving in servers])
        except Exception as error:  # the next ones are still to be tried
            failures = [repr(error)]
        for failure in failures:
            print(f"# {what.name}: {failure}".replace("\n", "|"))
        print("not ok" if failures else "ok", "scenario", what.name, flush=True)
        status = status or bool(failures)
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
