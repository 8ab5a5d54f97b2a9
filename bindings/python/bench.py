"""The worker of the bench in Python: see benches/bindings.c for what it is asked and answers."""

import os
import subprocess
import sys
import time

from sandlock import NotifAction, Sandbox, optional

NULL = subprocess.DEVNULL


def spawn_true(box, count):
    start = time.perf_counter_ns()
    for _ in range(count):
        with box.popen(["/bin/true"], NULL, NULL, NULL) as process:
            if not process.wait().success:
                sys.exit("bench: /bin/true fails")
    return time.perf_counter_ns() - start


def answer(_):
    return NotifAction.returns(7)


def time_handler(box, program, count):
    result = box.run_with_handlers([program, "time-getppid", str(count)], {"getppid": answer})
    if not result.success:
        sys.exit(f"bench: {result}")
    return float(result.stdout)


def main():
    program = sys.argv[1]
    system = [optional(path) for path in ("/usr", "/bin", "/lib", "/lib64", "/etc", "/opt")]
    box = Sandbox(fs_readable=[*system, os.path.dirname(program)], clean_env=True)
    for line in sys.stdin:
        task, count = line.split()
        print(spawn_true(box, int(count)) if task == "spawn" else time_handler(box, program, int(count)), flush=True)


main()
