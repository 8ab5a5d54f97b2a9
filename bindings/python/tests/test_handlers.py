"""Handlers: what they answer, what becomes of those that fail, and that C never meets an exception."""

import asyncio
import gc
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock

import sandlock
from sandlock import ExceptionPolicy, Handler, NotifAction, Reason
from sandlock.handles import references
from support import quiet, sandbox, shell

GETPPID = shell("echo $PPID")


def run(cmd, handlers, **fields):
    return sandbox(**fields).run_with_handlers(cmd, handlers, timeout=30)


class Answers(unittest.TestCase):
    def test_value(self):
        class Parent(Handler):
            def handle(self, ctx):
                self.seen = (ctx.name, ctx.pid > 0, len(ctx.args), ctx.number >= 0)
                return NotifAction.returns(4242)

        handler = Parent()
        self.assertEqual(run(GETPPID, {"getppid": handler}).stdout, b"4242\n")
        self.assertEqual(handler.seen, ("getppid", True, 6, True))

    def test_descriptors_and_bytes(self):
        with tempfile.TemporaryFile() as file:
            file.write(b"from a file\n")
            file.flush()

            def opened(ctx):
                path = ctx.read_string(ctx.args[1])
                if path == b"/virtual/bytes":
                    return NotifAction.inject_bytes("from memory\n")
                if path == b"/virtual/file":
                    file.seek(0)
                    return NotifAction.inject_fd_send(file)
                if path == b"/virtual/nothing":
                    return NotifAction.inject_fd_send(9999)
                return NotifAction.continue_()

            with quiet() as lines:
                result = run(["cat", "/virtual/bytes", "/virtual/file", "/virtual/nothing"], {"openat": opened})
        self.assertEqual(result.stdout, b"from memory\nfrom a file\n")
        self.assertIn(b"/virtual/nothing: Operation not permitted", result.stderr)
        self.assertEqual(len(lines), 1)

    def test_only_bytes_are_bytes(self):
        raised = []

        def handle(ctx):
            for use in (
                lambda: ctx.write(ctx.args[0], "text"),
                lambda: ctx.write(ctx.args[0], 5),
                lambda: NotifAction.inject_bytes(5),
            ):
                try:
                    use()
                except TypeError as error:
                    raised.append(error)
            ctx.write(ctx.args[0], bytearray(b"Bytes\0"))
            return NotifAction.returns(0)

        self.assertEqual(run(["uname"], {"uname": handle}).stdout, b"Bytes\n")
        self.assertEqual(len(raised), 3)

    def test_no_more_is_read_than_fits(self):
        raised = []

        def handle(ctx):
            for read in (ctx.read, ctx.read_string):
                for length in (-1, 2**24 + 1, 2**64):
                    try:
                        read(ctx.args[0], length)
                    except ValueError as error:
                        raised.append(str(error))
            return NotifAction.continue_()

        self.assertTrue(run(["uname"], {"uname": handle}).success)
        self.assertEqual(len(raised), 6)
        self.assertEqual(raised[0], "-1 is not within 0 and 16777216")

    def test_continue_goes_on_to_the_next_handler(self):
        seen = []
        handlers = {
            "@default": lambda ctx: seen.append(ctx.name) or NotifAction.continue_(),
            "getppid": lambda ctx: NotifAction.returns(1717),
        }
        self.assertEqual(run(GETPPID, handlers).stdout, b"1717\n")
        self.assertIn("getppid", seen)

    def test_handler_of_the_exec_that_starts_the_program(self):
        paths = []

        def started(ctx):
            paths.append(ctx.read_string(ctx.args[0]))
            return NotifAction.continue_()

        self.assertTrue(run(["/usr/bin/true"], {"execve": started}).success)
        self.assertIn(b"/usr/bin/true", paths)

    def test_unknown_call_and_wrong_handler_are_refused(self):
        before = references.count()
        with self.assertRaises(sandlock.InvalidArgument):
            run(["true"], {"no_such_call": lambda ctx: NotifAction.continue_()})
        with self.assertRaises(TypeError):
            run(["true"], {"uname": 7})
        self.assertTrue(references.wait_until_none(10) if not before else True)


class Failures(unittest.TestCase):
    def uname(self, handler, **kwargs):
        with quiet() as lines:
            result = run(["uname"], {"uname": handler}, **kwargs)
        return result, lines

    def test_exception_denies_and_does_not_cross(self):
        def fails(ctx):
            raise RuntimeError("broken")

        result, lines = self.uname(fails)
        self.assertEqual((result.exit_code, result.reason), (1, Reason.EXITED))
        self.assertIn(b"Operation not permitted", result.stderr)
        self.assertIn("broken", lines[0])

    def test_exit_and_interrupt_in_a_handler_do_not_cross(self):
        for kind in (SystemExit, KeyboardInterrupt, GeneratorExit):

            def fails(ctx, kind=kind):
                raise kind()

            with self.subTest(kind.__name__):
                result, _ = self.uname(fails)
                self.assertIn(b"Operation not permitted", result.stderr)

    def test_wrong_answers_deny(self):
        for wrong in (None, 0, True, "continue", NotifAction.errno(0), NotifAction.errno(99999), NotifAction("fd", file="x")):
            with self.subTest(repr(wrong)):
                result, lines = self.uname(lambda ctx: wrong)
                self.assertIn(b"Operation not permitted", result.stderr)
                self.assertNotEqual(lines, [])

    def test_policy_of_exceptions(self):
        class Fails(Handler):
            def handle(self, ctx):
                raise RuntimeError("broken")

        class Kills(Fails):
            on_exception = ExceptionPolicy.KILL

        class Watches(Fails):
            on_exception = ExceptionPolicy.CONTINUE

        self.assertEqual(self.uname(Kills())[0].reason, Reason.KILLED)
        self.assertEqual(self.uname(Watches())[0].stdout, b"Linux\n")

    def test_policy_of_exceptions_that_is_none_is_refused(self):
        class Wrong(Handler):
            on_exception = "kill"

        with self.assertRaises(TypeError) as raised:
            self.uname(Wrong())
        self.assertIn("on_exception='kill'", str(raised.exception))

    def test_logger_that_fails_changes_nothing(self):
        import logging

        class Bad(logging.Handler):
            def handle(self, record):
                raise RuntimeError("bad logger")

        log, bad = logging.getLogger("sandlock"), Bad()
        log.addHandler(bad)
        try:
            result = run(["uname"], {"uname": lambda ctx: 1 / 0})
        finally:
            log.removeHandler(bad)
        self.assertIn(b"Operation not permitted", result.stderr)

    def test_context_is_of_no_use_later_nor_elsewhere(self):
        kept = []
        elsewhere = []

        def handle(ctx):
            kept.append(ctx)

            def other():
                try:
                    ctx.read(ctx.args[0], 8)
                except sandlock.StateError as error:
                    elsewhere.append(error)

            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            return NotifAction.continue_()

        self.assertTrue(run(["uname"], {"uname": handle}).success)
        self.assertEqual(len(elsewhere), 1)
        for use in (lambda: kept[0].read(0, 8), lambda: kept[0].write(0, b"x"), lambda: kept[0].defer()):
            with self.assertRaises(sandlock.StateError):
                use()

    def test_handler_ends_the_program_that_waits_for_it(self):
        for use, reason in (("kill", Reason.KILLED), ("close", None), ("wait", Reason.EXITED)):
            with self.subTest(use):
                processes, raised = queue.Queue(), queue.Queue()

                def handle(ctx, use=use, processes=processes, raised=raised):
                    try:
                        getattr(processes.get(timeout=20), use)()
                        raised.put(None)
                    except sandlock.SandlockError as error:
                        raised.put(error)
                    return NotifAction.continue_()

                with sandbox().popen(["uname"], stdout=subprocess.DEVNULL, handlers={"uname": handle}) as process:
                    processes.put(process)
                    error = raised.get(timeout=20)
                    if use == "wait":
                        self.assertIsInstance(error, sandlock.WouldDeadlock)
                    else:
                        self.assertIsNone(error)
                    if reason:
                        self.assertEqual(process.wait(20).reason, reason)

    def test_what_c_holds_is_let_go(self):
        import weakref

        class Parent(Handler):
            def handle(self, ctx):
                return NotifAction.returns(1)

        handler = Parent()
        gone = weakref.ref(handler)
        run(GETPPID, {"getppid": handler})
        del handler
        self.assertTrue(references.wait_until_none(10))
        gc.collect()
        self.assertIsNone(gone())


class Deferral(unittest.TestCase):
    def test_answered_later_by_another_thread(self):
        calls = queue.Queue()

        def put_off(ctx):
            calls.put(ctx.defer())

        with quiet() as lines, sandbox().popen(
            GETPPID, stdout=subprocess.PIPE, handlers={"getppid": put_off}
        ) as process:
            pending = calls.get(timeout=20)
            self.assertEqual(pending.name, "getppid")
            self.assertTrue(process.is_running)
            answering = threading.Thread(target=pending.answer, args=(NotifAction.returns(99),))
            answering.start()
            self.assertEqual(process.stdout.read(), b"99\n")
            answering.join()
            with self.assertRaises(sandlock.StateError):
                pending.answer(NotifAction.returns(100))
        self.assertEqual(lines, [])

    def test_forgotten_one_is_denied(self):
        def forget(ctx):
            ctx.defer()
            return NotifAction.continue_()

        self.assertIn(b"Operation not permitted", run(["uname"], {"uname": forget}).stderr)

    def test_outlives_its_sandbox(self):
        calls = queue.Queue()
        process = sandbox().popen(["uname"], handlers={"uname": lambda ctx: calls.put(ctx.defer())})
        pending = calls.get(timeout=20)
        process.close()
        pending.answer(NotifAction.returns(0))  # nobody is there to be answered; that is no error


class Coroutines(unittest.TestCase):
    def test_run_on_a_loop_of_their_own(self):
        seen = []

        class Later(Handler):
            async def handle(self, ctx):
                await asyncio.sleep(0)
                seen.append(threading.current_thread().name)
                ctx.read_string(ctx.args[1])
                return NotifAction.continue_()

        class Parent(Handler):
            async def handle(self, ctx):
                return NotifAction.returns(31)

        self.assertEqual(run(GETPPID, {"openat": Later(), "getppid": Parent()}).stdout, b"31\n")
        self.assertEqual(set(seen), {"sandlock-handlers"})

    def test_run_on_the_loop_of_arun(self):
        threads = set()

        async def parent(ctx):
            threads.add(threading.get_ident())
            await asyncio.sleep(0.01)
            return NotifAction.returns(77)

        async def started(ctx):
            return NotifAction.continue_()

        async def main():
            return await sandbox().arun(GETPPID, timeout=20, handlers={"getppid": parent, "execve": started})

        self.assertEqual(asyncio.run(main()).stdout, b"77\n")
        self.assertEqual(threads, {threading.get_ident()})

    def test_ordinary_handler_that_returns_one(self):
        seen = []

        async def parent(ctx, value):
            await asyncio.sleep(0)
            seen.append((ctx.name, len(ctx.args), threading.current_thread().name))
            return NotifAction.returns(value)

        async def name(ctx):
            ctx.write(ctx.args[0], b"Written\0")
            return NotifAction.returns(0)

        async def fails(ctx):
            raise RuntimeError("broken")

        async def main():
            return await sandbox().arun(GETPPID, timeout=20, handlers={"getppid": lambda ctx: parent(ctx, 62)})

        self.assertEqual(run(GETPPID, {"getppid": lambda ctx: parent(ctx, 61)}).stdout, b"61\n")
        self.assertEqual(asyncio.run(main()).stdout, b"62\n")
        self.assertEqual(seen, [("getppid", 6, "sandlock-handlers"), ("getppid", 6, threading.current_thread().name)])
        self.assertEqual(run(["uname"], {"uname": lambda ctx: name(ctx)}).stdout, b"Written\n")
        with quiet() as lines:
            self.assertIn(b"Operation not permitted", run(["uname"], {"uname": lambda ctx: fails(ctx)}).stderr)
        self.assertIn("broken", lines[0])
        self.assertTrue(references.wait_until_none(10))

    def test_objects_that_are_called_like_one(self):
        class Parent:
            async def __call__(self, ctx):
                return NotifAction.returns(51)

        self.assertEqual(run(GETPPID, {"getppid": Parent()}).stdout, b"51\n")

    def test_exception_denies(self):
        async def fails(ctx):
            raise RuntimeError("broken")

        with quiet() as lines:
            result = run(["uname"], {"uname": fails})
        self.assertIn(b"Operation not permitted", result.stderr)
        self.assertIn("broken", lines[0])

    def test_ordinary_handlers_come_first(self):
        async def allows(ctx):
            return NotifAction.continue_()

        handlers = {"uname": allows, "@default": lambda ctx: NotifAction.continue_()}
        self.assertTrue(run(["uname"], handlers).success)
        handlers = {"@default": allows, "uname": lambda ctx: NotifAction.errno(1)}
        self.assertFalse(run(["uname"], handlers).success)

    async def cancel_while_it_runs(self, box):
        task = asyncio.ensure_future(box.arun(["sleep", "60"]))
        while not box.is_running:
            await asyncio.sleep(0.001)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertFalse(box.is_running)

    def test_arun_times_out_and_is_cancelled(self):
        async def never(ctx):
            await asyncio.sleep(3600)

        async def main():
            box = sandbox()
            result = await box.arun(["sleep", "60"], timeout=0.1)
            self.assertEqual(result.reason, Reason.TIMEOUT)
            result = await box.arun(["uname"], timeout=0.1, handlers={"uname": never})
            self.assertEqual(result.reason, Reason.TIMEOUT)
            await self.cancel_while_it_runs(box)
            with self.assertRaises(sandlock.ExecError):
                await box.arun(["/nope"], handlers={"uname": never})

        asyncio.run(main())

    def test_arun_closes_beside_the_loop(self):
        threads = []
        close = sandlock.Process.close

        def closes(process):
            threads.append(threading.get_ident())
            close(process)

        async def main():
            self.assertTrue((await sandbox().arun(["true"])).success)
            box = sandbox()
            await self.cancel_while_it_runs(box)

        with unittest.mock.patch.object(sandlock.Process, "close", closes):
            asyncio.run(main())
        self.assertEqual(len(threads), 2)
        self.assertNotIn(threading.get_ident(), threads)

    def test_cancelled_while_the_start_waits_for_a_handler(self):
        async def main():
            asked = asyncio.Event()

            async def never(ctx):
                asked.set()
                await asyncio.sleep(3600)

            box = sandbox()
            task = asyncio.ensure_future(box.arun(["true"], handlers={"execve": never}))
            await asked.wait()
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        self.assertTrue(references.wait_until_none(10))

    def test_many_at_once_on_one_loop(self):
        async def main():
            box = sandbox()
            return await asyncio.gather(*(box.arun(["echo", str(n)]) for n in range(64)))

        outputs = [int(result.stdout) for result in asyncio.run(main())]
        self.assertEqual(outputs, list(range(64)))


class Exit(unittest.TestCase):
    """A thread of the library must find no interpreter that is half gone: it would take the host along."""

    def ends(self, code):
        """Runs code in an interpreter of its own, which has to end well and within less than is waited for those who do not leave."""
        code = (
            "import asyncio, os, sys, threading, time; sys.path.insert(0, sys.argv[1])\n"
            "from sandlock import NotifAction, SandlockError\n"
            "from support import sandbox, shell\n"
            "called = threading.Event()\n"
            f"{code}\n"
            "print('ending', time.monotonic(), flush=True)\n"
        )
        here = os.path.dirname(os.path.abspath(__file__))
        done = subprocess.run([sys.executable, "-c", code, here], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
        took = time.monotonic() - float(done.stdout.split()[1])
        self.assertEqual((done.returncode, done.stdout[:6], done.stderr), (0, b"ending", b""))
        self.assertLess(took, 3.5)

    def test_interpreter_ends_while_handlers_are_called(self):
        self.ends(
            "calls = []\n"
            "busy = ['sh', '-c', 'while :; do uname; done']\n"
            "p = sandbox().popen(busy, stdout=-3, handlers={'uname': lambda c: calls.append(1) or NotifAction.continue_()})\n"
            "while len(calls) < 20: pass\n"
        )

    def test_interpreter_ends_while_a_handler_is_at_work(self):
        for work in ("pass", "time.sleep(0.001)"):
            for kind in ("def", "async def"):
                with self.subTest(f"{kind}: {work}"):
                    self.ends(
                        f"{kind} handle(ctx):\n"
                        "    called.set()\n"
                        f"    while True: {work}\n"
                        "p = sandbox().popen(shell('echo $PPID'), stdout=-3, handlers={'getppid': handle})\n"
                        "called.wait()\n"
                    )

    def test_interpreter_ends_while_a_start_waits_for_a_handler(self):
        for kind, work in (("def", "while True: pass"), ("async def", "await asyncio.sleep(3600)")):
            with self.subTest(kind):
                self.ends(
                    f"{kind} handle(ctx):\n"
                    "    called.set()\n"
                    f"    {work}\n"
                    "def start():\n"
                    "    try: sandbox().run_with_handlers(['true'], {'execve': handle})\n"
                    "    except SandlockError: pass\n"
                    "threading.Thread(target=start, daemon=True).start()\n"
                    "called.wait()\n"
                )

    def test_interpreter_ends_while_threads_start_programs(self):
        for kind in ("def", "async def"):
            for _ in range(3):
                with self.subTest(kind):
                    self.ends(
                        f"{kind} handle(ctx):\n"
                        "    called.set()\n"
                        "    return NotifAction.continue_()\n"
                        "def start():\n"
                        "    while True:\n"
                        "        try: sandbox().run_with_handlers(['uname'], {'openat': handle})\n"
                        "        except SandlockError: pass\n"
                        "for _ in range(4): threading.Thread(target=start, daemon=True).start()\n"
                        "called.wait()\n"
                    )

    def test_nothing_is_started_while_the_interpreter_ends(self):
        self.ends(
            "import atexit\n"
            "def late():\n"
            "    try: sandbox().run(['true'])\n"
            "    except SandlockError as error: assert 'the interpreter ends' in str(error), error\n"
            "import sandlock.handles\n"
            "atexit.unregister(sandlock.handles._end)\n"
            "atexit.register(late)\n"
            "atexit.register(sandlock.handles._end)\n"
        )


if __name__ == "__main__":
    unittest.main()
