"""Running, starting, talking, ending."""

import asyncio
import copy
import dataclasses
import gc
import math
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock

import sandlock
from sandlock import NotifAction, Reason
from support import sandbox, shell


class Run(unittest.TestCase):
    def test_result_has_exit_code_and_output(self):
        result = sandbox().run(shell("echo out; echo err >&2; exit 7"))
        self.assertEqual((result.exit_code, result.stdout, result.stderr), (7, b"out\n", b"err\n"))
        self.assertEqual((result.success, result.error, result.signal, result.limit), (False, None, 0, None))
        self.assertGreater(result.usage.wall, 0)

    def test_output_is_bytes_with_nuls(self):
        self.assertEqual(sandbox().run(["printf", r"a\0b"]).stdout, b"a\0b")

    def test_input(self):
        data = os.urandom(300_000)
        self.assertEqual(sandbox().run(["cat"], input=data).stdout, data)
        self.assertEqual(sandbox().run(["cat"]).stdout, b"")

    def test_signal_is_told(self):
        result = sandbox().run(shell("kill -TERM $$"))
        self.assertEqual((result.exit_code, result.signal, result.reason), (-1, 15, Reason.SIGNALED))
        self.assertEqual(result.error, "ended by signal 15 (SIGTERM)")

    def test_timeout_kills_and_says_so(self):
        began = time.monotonic()
        result = sandbox().run(["sleep", "60"], timeout=0.2)
        self.assertEqual(result.reason, Reason.TIMEOUT)
        self.assertEqual(result.error, "killed after 0.2 s")
        self.assertLess(time.monotonic() - began, 30)
        self.assertEqual(sandbox().run(["cat"], timeout=0.1, input=b"x").stdout, b"x")

    def test_time_is_counted_from_before_the_start(self):
        """A handler of the exec that starts the program can take long."""
        asked, go_on = threading.Event(), threading.Event()

        def slow(ctx):
            asked.set()
            go_on.wait(30)
            return NotifAction.continue_()

        async def never(ctx):
            asked.set()
            await asyncio.sleep(3600)

        async def main(handler):
            return await sandbox().arun(["true"], timeout=0.2, handlers={"execve": handler})

        for handler in (slow, never):
            for run in (
                lambda handler: sandbox().run_with_handlers(["true"], {"execve": handler}, timeout=0.2),
                lambda handler: asyncio.run(main(handler)),
            ):
                asked.clear()
                began = time.monotonic()
                result = run(handler)
                self.assertTrue(asked.is_set())
                self.assertLess(time.monotonic() - began, 20)
                self.assertEqual((result.reason, result.success, result.signal), (Reason.TIMEOUT, False, 9))
                self.assertEqual((result.exit_code, result.stdout, result.error), (-1, b"", "killed after 0.2 s"))
        go_on.set()

    def test_times_that_are_none_start_nothing(self):
        with tempfile.TemporaryDirectory() as directory:
            box = sandbox(fs_writable=[directory])
            file = os.path.join(directory, "file")
            touch = shell(f"echo > {file}")
            handlers = {"uname": lambda ctx: NotifAction.continue_()}
            for wrong, error in ((math.nan, ValueError), ("1", TypeError)):
                for use in (
                    lambda wrong: box.run(touch, timeout=wrong),
                    lambda wrong: box.run_interactive(touch, timeout=wrong),
                    lambda wrong: asyncio.run(box.arun(touch, timeout=wrong)),
                    lambda wrong: box.run_with_handlers(touch, handlers, timeout=wrong),
                    lambda wrong: box.run_with_handlers(touch, handlers, deadline=wrong),
                ):
                    with self.subTest(wrong), self.assertRaises(error):
                        use(wrong)
            with self.assertRaises(ValueError):
                sandbox(max_wall_time=math.nan).run(touch)
            self.assertFalse(os.path.exists(file))

    def test_long_times_are_no_limit(self):
        for long in (math.inf, 1e12, 3e6, 10**400):
            with self.subTest(long):
                self.assertTrue(sandbox().run(["true"], timeout=long).success)
                self.assertTrue(sandbox().run(["cat"], timeout=long, input=b"x").success)
                self.assertTrue(asyncio.run(sandbox().arun(["true"], timeout=long)).success)
                self.assertTrue(sandbox().spawn(["sleep", "0.01"]).wait(long).success)
                handlers = {"uname": lambda ctx: NotifAction.continue_()}
                self.assertTrue(sandbox().run_with_handlers(["uname"], handlers, deadline=long).success)
        self.assertTrue(sandbox(max_wall_time=math.inf, max_cpu_time=math.inf).run(["true"]).success)

    def test_wall_limit_ends_it(self):
        result = sandbox(max_wall_time=0.2).run(["sleep", "60"])
        self.assertEqual((result.reason, result.limit), (Reason.LIMIT, "wall"))
        self.assertIn("allowed 200 ms", result.error)

    def test_unknown_program_raises_with_the_reason(self):
        with self.assertRaises(sandlock.ExecError) as raised:
            sandbox().run(["/usr/bin/no-such-program"])
        self.assertIn("/usr/bin/no-such-program", str(raised.exception))
        self.assertIn("No such file", str(raised.exception))
        self.assertEqual(raised.exception.errno, 2)
        self.assertIsInstance(raised.exception, sandlock.SandlockError)

    def test_command_is_a_list(self):
        for wrong in ("ls /", b"ls", [], ["a\0b"]):
            with self.subTest(repr(wrong)), self.assertRaises((TypeError, ValueError)):
                sandbox().run(wrong)

    def test_interrupt_reaches_a_host_that_waits(self):
        """Ctrl-C in the host: run() ends at once and takes the sandbox along."""
        code = (
            "import os, signal, sys, threading; sys.path.insert(0, sys.argv[1])\n"
            "from support import sandbox\n"
            "box = sandbox()\n"
            "def interrupt():\n"
            "    while not box.is_running: pass\n"
            "    os.kill(os.getpid(), signal.SIGINT)\n"
            "threading.Thread(target=interrupt).start()\n"
            "try: box.run(['sleep', '60'])\n"
            "except KeyboardInterrupt: print('interrupted', box.is_running)\n"
        )
        here = os.path.dirname(os.path.abspath(__file__))
        done = subprocess.run([sys.executable, "-c", code, here], stdout=subprocess.PIPE, timeout=30)
        self.assertEqual(done.stdout, b"interrupted False\n")


class Life(unittest.TestCase):
    def test_create_start_wait(self):
        box = sandbox()
        with self.assertRaises(sandlock.StateError):
            box.start()
        with self.assertRaises(sandlock.StateError):
            box.wait()
        box.create(["echo", "hello"])
        self.assertIsNone(box.pid)
        self.assertFalse(box.is_running)
        box.start()
        self.assertGreater(box.pid, 0)
        self.assertEqual(box.wait(10).stdout, b"hello\n")
        self.assertEqual(box.wait(10).stdout, b"hello\n")
        self.assertFalse(box.is_running)
        with self.assertRaises(sandlock.InvalidArgument):
            sandbox(net_allow=["nonsense://"]).create(["true"])

    def test_spawn_wait_times_out_and_kill_ends_it(self):
        with sandbox().spawn(["sleep", "60"]) as box:
            self.assertTrue(box.is_running)
            with self.assertRaises(TimeoutError) as raised:
                box.wait(0.05)
            self.assertIsInstance(raised.exception, sandlock.SandlockError)
            self.assertNotEqual(str(raised.exception), "")
            with self.assertRaises(sandlock.StateError):
                box.spawn(["true"])
            box.kill()
            self.assertEqual(box.wait().reason, Reason.KILLED)

    def test_kill_from_another_thread_ends_run(self):
        box = sandbox()
        results = []
        thread = threading.Thread(target=lambda: results.append(box.run(["sleep", "60"])))
        thread.start()
        while not box.is_running:
            time.sleep(0.001)
        box.kill()
        thread.join(30)
        self.assertEqual([result.reason for result in results], [Reason.KILLED])

    def test_programs_that_have_ended_are_passed_over(self):
        box = sandbox()
        others = [box.popen(["sleep", "60"]) for _ in range(3)]
        running = box._running

        def ended_meanwhile():
            found = running()
            for process in others[:2]:
                process.kill()
                process.wait()
            return found

        with box, unittest.mock.patch.object(box, "_running", ended_meanwhile):
            box.pause()
            self.assertEqual(self.reaches(f"/proc/{others[2].pid}/stat", "T"), "T")
            box.resume()
            self.assertEqual(self.reaches(f"/proc/{others[2].pid}/stat", "S"), "S")

    def test_copies_have_no_programs(self):
        with sandbox(env={"A": "1"}) as box:
            box.spawn(["sleep", "60"])
            for copied in (copy.copy(box), copy.deepcopy(box), pickle.loads(pickle.dumps(box)), dataclasses.replace(box)):
                self.assertEqual(copied, box)
                self.assertFalse(copied.is_running)
                copied.kill()
                self.assertEqual(copied.spawn(shell("echo $A")).wait(20).stdout, b"1\n")
            self.assertTrue(box.is_running)

    def test_pause_and_resume(self):
        with sandbox().spawn(["sleep", "60"]) as box:
            state = f"/proc/{box.pid}/stat"
            box.pause()
            self.assertEqual(self.reaches(state, "T"), "T")
            box.resume()
            self.assertEqual(self.reaches(state, "S"), "S")

    def reaches(self, path, wanted):
        """A process stops when it next enters or leaves the kernel, which is a moment."""
        deadline = time.monotonic() + 10
        while True:
            with open(path) as file:
                state = file.read().rsplit(")", 1)[1].split()[0]
            if state == wanted or time.monotonic() > deadline:
                return state

    def test_leaving_the_block_ends_everything(self):
        with sandbox() as box:
            process = box.popen(["sleep", "60"])
            pid = process.pid
        self.assertFalse(os.path.exists(f"/proc/{pid}"))
        with self.assertRaises(sandlock.StateError):
            process.kill()
        process.close()

    def test_closing_while_another_thread_waits(self):
        process = sandbox().popen(["sleep", "60"])
        waiting = threading.Event()
        ends = []

        def wait():
            waiting.set()
            try:
                ends.append(process.wait().reason)
            except sandlock.StateError:
                ends.append("closed")

        thread = threading.Thread(target=wait)
        thread.start()
        waiting.wait()
        process.close()
        thread.join(30)
        self.assertEqual(len(ends), 1)
        self.assertIn(ends[0], (Reason.KILLED, "closed"))


class Popen(unittest.TestCase):
    def test_pipes_are_files(self):
        with sandbox().popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdin.write(b"one\ntwo\n")
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), b"one\n")
            process.stdin.close()
            self.assertEqual(process.stdout.read(), b"two\n")
            self.assertIsNone(process.stderr)
            self.assertEqual(process.wait(10).exit_code, 0)

    def test_communicate(self):
        pipe = subprocess.PIPE
        with sandbox().popen(shell("cat; echo err >&2"), stdin=pipe, stdout=pipe, stderr=pipe) as process:
            result = process.communicate(b"x" * 200_000, timeout=20)
        self.assertEqual((len(result.stdout), result.stderr), (200_000, b"err\n"))
        theirs, ours = os.pipe()
        with sandbox().popen(["cat"], stdin=theirs, stdout=pipe) as process:
            os.close(theirs)
            with self.assertRaises(sandlock.Timeout):
                process.communicate(timeout=0.05)
            os.write(ours, b"late")
            os.close(ours)
            self.assertEqual(process.communicate(timeout=20).stdout, b"late")

    def test_communicate_closes_what_was_written_to(self):
        with sandbox().popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdin.write(b"first")
            with self.assertRaises(sandlock.StateError):
                process.communicate(b"second")  # whose place is behind the first, which this package does not have
            self.assertEqual(process.communicate(timeout=20).stdout, b"first")
        with sandbox().popen(["true"], stdin=subprocess.PIPE) as process:
            process.stdin.write(b"nobody reads this")
            process.wait(20)
            self.assertTrue(process.communicate(timeout=20).success)

    def test_communicate_collects_errors_that_join_output(self):
        both = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with sandbox().popen(shell("echo first; cat; echo last >&2"), **both) as process:
            with self.assertRaises(sandlock.Timeout):
                process.wait(0.05)
            result = process.communicate(b"x" * 300_000, timeout=20)
            self.assertEqual(result.stdout, b"first\n" + b"x" * 300_000 + b"last\n")
            self.assertEqual((result.stderr, result.truncated), (b"", 0))
            self.assertEqual(process.communicate(), result)
            self.assertEqual(process.wait(), result)
            self.assertIsNone(process.stdout)
        with sandbox().popen(shell("yes | head -c 16777221"), **both) as process:
            result = process.communicate(timeout=60)
            self.assertEqual((len(result.stdout), result.truncated), (2**24, 5))
        captured = sandbox().run(shell("yes | head -c 16777221"), timeout=60)
        for name in ("success", "reason", "exit_code", "stdout", "error", "truncated"):
            self.assertEqual(getattr(result, name), getattr(captured, name), name)

    def test_input_is_bytes(self):
        for wrong in (5, "text", [1, 2]):
            with self.subTest(repr(wrong)):
                with self.assertRaises(TypeError):
                    sandbox().run(["cat"], input=wrong)
                with sandbox().popen(["cat"], stdin=subprocess.PIPE) as process, self.assertRaises(TypeError):
                    process.communicate(wrong)
        self.assertEqual(sandbox().run(["cat"], input=memoryview(b"abc")).stdout, b"abc")

    def test_file_keeps_its_process(self):
        lines = sandbox().popen(["cat", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        into, lines = lines.stdin, lines.stdout
        gc.collect()
        into.write(b"one\ntwo\n")
        into.close()
        self.assertEqual(list(lines), [b"one\n", b"two\n"])

    def test_communicate_after_the_end(self):
        with sandbox().popen(["echo", "hello"], stdout=subprocess.PIPE) as process:
            self.assertEqual(process.wait(20).stdout, b"")
            self.assertEqual(process.communicate().stdout, b"hello\n")

    def test_error_joins_output(self):
        with sandbox().popen(shell("echo out; echo err >&2"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            self.assertEqual(process.stdout.read(), b"out\nerr\n")

    def test_streams_lead_to_files_and_nowhere(self):
        with tempfile.TemporaryFile() as file:
            with sandbox().popen(shell("echo out; echo err >&2"), stdout=file, stderr=subprocess.DEVNULL) as process:
                self.assertTrue(process.wait(10).success)
            file.seek(0)
            self.assertEqual(file.read(), b"out\n")
        with self.assertRaises(ValueError):
            sandbox().popen(["true"], stdout=sandlock.CAPTURE, stderr=subprocess.STDOUT)

    def test_interactive_has_the_hosts_streams(self):
        here = os.path.dirname(os.path.abspath(__file__))
        code = (
            "import sys; sys.path.insert(0, sys.argv[1])\n"
            "from support import sandbox\n"
            "result = sandbox().run_interactive(['cat'])\n"
            "assert (result.exit_code, result.stdout) == (0, b'')\n"
        )
        done = subprocess.run([sys.executable, "-c", code, here], input=b"typed", stdout=subprocess.PIPE, timeout=30)
        self.assertEqual((done.returncode, done.stdout), (0, b"typed"))

    def test_signals_and_members(self):
        with sandbox().popen(["sleep", "60"]) as process:
            self.assertEqual([member.pid for member in process.members()], [process.pid])
            self.assertEqual(process.members()[0].name, "sleep")
            self.assertTrue(process.is_running)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(10).signal, signal.SIGTERM)
            with self.assertRaises(sandlock.StateError):
                process.send_signal(signal.SIGTERM)


if __name__ == "__main__":
    unittest.main()
