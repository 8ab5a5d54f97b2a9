"""Runs programs in every way that ends, and says now and then what this process holds: see scripts/leaks.awk for the lines, and for what is
made of them. SANDLOCK_LEAK_RUNS says how many runs."""

import asyncio
import ctypes
import gc
import glob
import logging
import os
import queue
import subprocess
import sys
import time

import sandlock
from sandlock import NotifAction, Reason, Sandbox, capi, optional
from sandlock.errors import call
from sandlock.handles import references

PIPE, NULL = subprocess.PIPE, subprocess.DEVNULL
SYSTEM = ["/usr", "/bin", "/lib", optional("/lib64")]
ASKS_FOR_PARENT = ["sh", "-c", "echo $PPID"]
box = Sandbox(fs_readable=SYSTEM, clean_env=True)


def check(holds, what):
    if not holds:
        raise AssertionError(f"not so: {what!r}")


def answer(_):
    return NotifAction.returns(7)


async def answer_later(_):
    await asyncio.sleep(0)
    return NotifAction.returns(8)


def fails(_):
    raise ValueError("on purpose")


def plain():
    check(box.run(["echo", "hello"]).stdout == b"hello\n", "plain")


def new_sandbox():
    check(Sandbox(fs_readable=SYSTEM, clean_env=True).run(["true"]).success, "new sandbox")


def with_handler():
    check(box.run_with_handlers(ASKS_FOR_PARENT, {"getppid": answer}).stdout == b"7\n", "with a handler")


def with_async_handler():
    check(box.run_with_handlers(ASKS_FOR_PARENT, {"getppid": answer_later}).stdout == b"8\n", "with an async handler")


def on_a_loop():
    result = asyncio.run(box.arun(ASKS_FOR_PARENT, handlers={"getppid": answer_later}))
    check(result.stdout == b"8\n", "on a loop")


def with_handler_that_fails():
    check(box.run_with_handlers(ASKS_FOR_PARENT, {"getppid": fails}).stdout == b"-1\n", "a handler that fails")


def put_off():
    calls = queue.Queue()
    with box.popen(ASKS_FOR_PARENT, NULL, sandlock.CAPTURE, NULL, {"getppid": lambda ctx: calls.put(ctx.defer())}) as process:
        calls.get(timeout=20).answer(NotifAction.returns(9))
        check(process.wait(20).stdout == b"9\n", "put off")


def never_answered():
    """Neither the process nor its call is closed: they are forgotten."""
    calls = queue.Queue()
    process = box.popen(ASKS_FOR_PARENT, NULL, sandlock.CAPTURE, NULL, {"getppid": lambda ctx: calls.put(ctx.defer())})
    check(calls.get(timeout=20).name == "getppid", "never answered")
    check(process.pid > 0, "never answered")


def pulled():
    """From the queue, which only the C face has."""
    supervisor, process, pending, result = (ctypes.c_void_p() for _ in range(4))
    options = capi.sandlock_spawn_options()
    capi.sandlock_spawn_options_init(ctypes.byref(options))
    options.stdin_mode = options.stderr_mode = capi.SANDLOCK_STDIO_NULL
    options.stdout_mode = capi.SANDLOCK_STDIO_CAPTURE
    argv = (ctypes.c_char_p * 4)(*(text.encode() for text in ASKS_FOR_PARENT), None)
    call(capi.sandlock_supervisor_new, None, ctypes.byref(supervisor))
    nobody = capi.sandlock_handler_fn(), None, capi.sandlock_destroy_fn()
    call(capi.sandlock_supervisor_add_handler, supervisor, b"getppid", *nobody, 0)
    with box._policy()._use() as rules:
        call(capi.sandlock_spawn, rules, supervisor, argv, ctypes.byref(options), ctypes.byref(process))
    call(capi.sandlock_supervisor_next, supervisor, 20000, ctypes.byref(pending))
    call(capi.sandlock_pending_return, pending, 11)
    call(capi.sandlock_process_wait, process, 20000, ctypes.byref(result))
    check(ctypes.string_at(capi.sandlock_result_stdout(result, None)) == b"11\n", "pulled")
    capi.sandlock_result_free(result)
    capi.sandlock_pending_free(pending)
    capi.sandlock_process_free(process)
    capi.sandlock_supervisor_free(supervisor)


def with_pipes():
    with box.popen(["cat"], PIPE, PIPE, NULL) as process:
        process.stdin.write(b"hello")
        process.stdin.close()
        check(process.stdout.read() == b"hello", "with pipes")
        check(process.wait(20).success, "with pipes")


def in_conversation():
    check(box.run(["cat"], input=b"hello").stdout == b"hello", "in conversation")


def not_started():
    try:
        box.run(["/nope"])
        check(False, "not started")
    except sandlock.ExecError:
        pass


def refused():
    for fields in ({"net_allow": ["tcp://10.1.2.3/8"]}, {"cpu_cores": [1000]}, {"cwd": "/nope"}):
        try:
            Sandbox(fs_readable=SYSTEM, **fields).run(["true"])
            check(False, fields)
        except sandlock.SandlockError:
            pass


def killed():
    with box.popen(["sleep", "60"], NULL, NULL, NULL) as process:
        process.kill()
        check(process.wait(20).reason is Reason.KILLED, "killed")


def timed_out():
    check(box.run(["sleep", "60"], timeout=0.001).reason is Reason.TIMEOUT, "timed out")


def cancelled():
    async def main():
        task = asyncio.ensure_future(box.arun(["sleep", "60"]))
        await asyncio.sleep(0.002)
        task.cancel()
        try:
            await task
            check(False, "cancelled")
        except asyncio.CancelledError:
            pass

    asyncio.run(main())


def forgotten():
    """In a circle, so that it takes the collector."""
    process = box.popen(["cat"], PIPE, PIPE, NULL, {"getppid": answer})
    process.itself = process
    check(process.report()["level"] == "full", "forgotten")


WAYS = (
    *(plain, new_sandbox, with_handler, with_async_handler, on_a_loop, with_handler_that_fails, put_off, never_answered, pulled),
    *(with_pipes, in_conversation, not_started, refused, killed, timed_out, cancelled, forgotten),
)

# --- what is held ---


class Mallinfo2(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]


libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Mallinfo2


def library_runs():
    """Whether threads of the library still run. Those of handlers end a moment after the last sandbox; their names begin alike."""
    for path in glob.glob("/proc/self/task/*/comm"):
        try:
            with open(path) as file:
                if file.read().startswith("sandlock"):
                    return True
        except OSError:
            pass  # it has just ended
    return False


def resident():
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith("VmRSS:"))


def children():
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return 1
    except ChildProcessError:
        return 0


def say_what_is_held(runs):
    gc.collect()
    end = time.monotonic() + 10
    while (library_runs() or references.count()) and time.monotonic() < end:
        time.sleep(0.001)
        gc.collect()
    libc.malloc_trim(0)
    # Small objects of Python are in blocks of its own, which it counts: 64 bytes is more than they have on average.
    info = libc.mallinfo2()
    allocated = info.uordblks + info.hblkhd + 64 * sys.getallocatedblocks()
    counts = [len(os.listdir(f"/proc/self/{what}")) for what in ("fd", "task")]
    print("held", runs, *counts, children(), resident(), allocated, flush=True)


def be_quiet():
    """Handlers that fail on purpose say so in the log."""
    log = logging.getLogger("sandlock")
    log.addHandler(logging.NullHandler())
    log.propagate = False


def main():
    be_quiet()
    runs = int(os.environ.get("SANDLOCK_LEAK_RUNS", 1000))
    for number in range(1, runs + 1):
        WAYS[number % len(WAYS)]()
        if number % (runs // 5) == 0:
            say_what_is_held(number)


if __name__ == "__main__":
    main()
