"""What becomes of the host: many programs at a time, forks, leaks, and confining oneself."""

import gc
import os
import subprocess
import sys
import threading
import unittest

import sandlock
from sandlock import NotifAction
from support import descriptors, quiet, sandbox, shell, threads

HERE = os.path.dirname(os.path.abspath(__file__))


def python(code, *arguments):
    """Runs code in an interpreter of its own, which ends with it."""
    code = f"import sys; sys.path.insert(0, {HERE!r})\nfrom support import *\nfrom sandlock import *\n{code}"
    # From 3.12 on Python warns of forks in processes with threads.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)


class Host(unittest.TestCase):
    def test_nothing_is_left_behind(self):
        box = sandbox()
        handlers = {"getppid": lambda ctx: NotifAction.returns(1)}

        async def later(ctx):
            return NotifAction.returns(2)

        def round_():
            box.run(["true"])
            box.run_with_handlers(shell("echo $PPID"), handlers)
            with box.popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
                process.stdin.close()
                process.wait(10)
            try:
                box.run(["/nope"])
            except sandlock.ExecError:
                pass

        def settled():
            """What the library's threads give back a moment after the end."""
            gc.collect()
            sandlock.handles.references.wait_until_none(10)
            return descriptors(), threads()

        with quiet():
            for _ in range(5):
                round_()
            before = settled()
            for _ in range(100):
                round_()
            for _ in range(10):
                box.run_with_handlers(shell("echo $PPID"), {"getppid": later})
            after = settled()
            for _ in range(200):  # threads of the library end a moment after their work
                if after <= before:
                    break
                threading.Event().wait(0.05)
                after = settled()
        self.assertLessEqual(after[0], before[0])
        self.assertLessEqual(after[1], before[1])

    def test_forgotten_process_is_ended(self):
        process = sandbox().popen(["sleep", "60"])
        pid = process.pid
        del process
        gc.collect()
        self.assertFalse(os.path.exists(f"/proc/{pid}"))

    def test_fork_of_the_host(self):
        """Handles from before are of no use there and harm nobody; new ones work."""
        code = (
            "import os\n"
            "box = sandbox()\n"
            "async def answer(ctx): return NotifAction.continue_()\n"
            "p = box.popen(['sleep', '60'], handlers={'uname': answer})\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    try: p.kill()\n"
            "    except StateError: print('state', flush=True)\n"
            "    print(box.run(['echo', 'new']).stdout, flush=True)\n"
            "    p.close()\n"
            "    sys.exit(0)\n"
            "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), p.is_running)\n"
        )
        done = python(code)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"state\nb'new\\n'\n0 True\n", b""))

    def test_confine(self):
        code = (
            "import os\n"
            "confine(Sandbox(fs_readable=['/usr', optional('/lib'), optional('/lib64'), optional('/bin')]))\n"
            "print(len(os.listdir('/usr')) > 0)\n"
            "for path in '/etc/passwd', '/etc':\n"
            "    try: os.open(path, os.O_RDONLY)\n"
            "    except PermissionError as error: print(error.errno)\n"
        )
        done = python(code)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"True\n13\n13\n", b""))
        with self.assertRaises(sandlock.InvalidArgument):
            sandlock.confine(sandlock.Sandbox(fs_readable=["/"], cwd="/"))
        with self.assertRaises(sandlock.InvalidArgument):
            sandlock.confine(sandlock.Sandbox(fs_readable=["/"], name="box"))

    def test_landlock_abi_version(self):
        self.assertEqual(sandlock.landlock_abi_version(), sandlock.capabilities().landlock_abi)
        self.assertGreaterEqual(sandlock.landlock_abi_version(), 1)

    def test_library_that_is_missing_is_named(self):
        code = "import os; os.environ['SANDLOCK_LIBRARY'] = '/nope.so'\n"
        code += "try: landlock_abi_version()\nexcept SandlockError as e: print(e)"
        done = python(code)
        self.assertIn(b"cannot load /nope.so", done.stdout)


if __name__ == "__main__":
    unittest.main()
