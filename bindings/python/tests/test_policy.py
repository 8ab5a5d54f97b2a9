"""Fields of a Sandbox: what they grant, refuse, and say when they are wrong."""

import collections.abc
import os
import tempfile
import threading
import unittest

import sandlock
from sandlock import MemoryMount, Reason, Sandbox, optional
from sandlock.policy import UNSUPPORTED
from support import DIRECTORIES, sandbox, shell


class Policy(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = directory.name
        self.file = os.path.join(self.path, "file")
        with open(self.file, "w") as file:
            file.write("content\n")

    def test_writable_is_read_and_written_but_not_executed(self):
        script = f"cat {self.file} && echo new >{self.file} && cat {self.file} && cp /bin/true {self.path}/t && {self.path}/t"
        result = sandbox(fs_writable=[self.path]).run(shell(script))
        self.assertEqual(result.stdout, b"content\nnew\n")
        self.assertEqual(result.exit_code, 126, result.stderr)
        result = sandbox(fs_readable=[*DIRECTORIES, self.path], fs_writable=[self.path]).run(shell(script))
        self.assertEqual(result.exit_code, 0, result.stderr)

    def test_readable_is_not_written(self):
        result = sandbox(fs_readable=[*DIRECTORIES, self.path]).run(shell(f"echo new >{self.file}"))
        self.assertNotEqual(result.exit_code, 0)
        with open(self.file) as file:
            self.assertEqual(file.read(), "content\n")

    def test_missing_path_is_an_error_unless_it_is_optional(self):
        missing = os.path.join(self.path, "missing")
        with self.assertRaises(sandlock.NotFound) as raised:
            sandbox(fs_readable=[*DIRECTORIES, missing]).run(["true"])
        self.assertIn(missing, str(raised.exception))
        self.assertTrue(sandbox(fs_readable=[*DIRECTORIES, optional(missing)]).run(["true"]).success)

    def test_fields_that_the_library_lacks_raise_and_name_the_field(self):
        for field in UNSUPPORTED:
            with self.subTest(field):
                value = ["/etc"] if field == "fs_denied" else 1
                with self.assertRaises(NotImplementedError) as raised:
                    Sandbox(**{field: value})
                self.assertIsInstance(raised.exception, sandlock.SandlockError)
                self.assertTrue(str(raised.exception).startswith(field + ": "))
                later = sandbox()
                setattr(later, field, value)
                with self.assertRaises(NotImplementedError):
                    later.run(["true"])
        with self.assertRaises(NotImplementedError):
            Sandbox(random_seed=0)
        with self.assertRaises(NotImplementedError):
            sandbox().dry_run(["true"])

    def test_every_field_does_something_or_is_refused(self):
        """A field that nothing reads would be ignored silently."""
        import dataclasses
        import inspect

        from sandlock import policy as module

        source = inspect.getsource(module) + inspect.getsource(sandlock.Sandbox._start)
        for field in dataclasses.fields(Sandbox):
            read = f'"{field.name}"' in source or f"sandbox.{field.name}" in source or f"self.{field.name}" in source
            self.assertTrue(read, field.name)

    def test_wrong_values_are_refused(self):
        for fields in (
            {"fs_readable": "/usr"},
            {"fs_readable": iter(["/usr"])},
            {"max_memory": "lots"},
            {"max_memory": True},
            {"max_memory": 0},
            {"max_memory": -1},
            {"max_processes": 0},
            {"max_open_files": "many"},
            {"cpu_cores": [5000]},
            {"uid": -1},
            {"disable": ["nothing"]},
            {"fs_readable": ["/usr\0/lib"]},
            {"env": {"A=B": "c"}},
            {"chroot": "relative"},
            {"max_wall_time": -1},
        ):
            with self.subTest(str(fields)):
                with self.assertRaises((TypeError, ValueError)):
                    sandbox(**fields).run(["true"])

    def test_fields_can_be_changed_between_runs(self):
        box = sandbox()
        self.assertFalse(box.run(["cat", self.file]).success)
        box.fs_readable = [*DIRECTORIES, self.file]
        self.assertTrue(box.run(["cat", self.file]).success)
        box.fs_readable.pop()
        self.assertFalse(box.run(["cat", self.file]).success)

    def test_changes_that_repr_does_not_show_count(self):
        class Path:
            def __fspath__(self):
                return self.path

            def __repr__(self):
                return "Path"

        class Environment(collections.abc.Mapping):
            variables = {"A": "1"}

            def __getitem__(self, name):
                return self.variables[name]

            def __iter__(self):
                return iter(self.variables)

            def __len__(self):
                return len(self.variables)

        path, environment = Path(), Environment()
        path.path = self.path
        box = sandbox(fs_readable=[*DIRECTORIES, path], env=environment)
        script = shell(f"cat {self.file}; echo $A")
        self.assertEqual(box.run(script).stdout, b"content\n1\n")
        policy = box._policy()
        self.assertIs(box._policy(), policy)
        path.path = "/usr"
        environment.variables = {"A": "2"}
        self.assertEqual(box.run(script).stdout, b"2\n")

    def test_environment(self):
        os.environ["SANDLOCK_SECRET"] = "secret"
        self.addCleanup(os.environ.pop, "SANDLOCK_SECRET")
        self.assertIn(b"SANDLOCK_SECRET=secret", sandbox(clean_env=False).run(["env"]).stdout)
        self.assertNotIn(b"SANDLOCK_SECRET", sandbox(clean_env=False, env={"SANDLOCK_SECRET": None}).run(["env"]).stdout)
        clean = sandbox(env={"A": "b", "LANG": None}).run(["env"]).stdout
        self.assertIn(b"A=b\n", clean)
        self.assertNotIn(b"LANG", clean)
        self.assertNotIn(b"SANDLOCK_SECRET", clean)

    def test_inherited_environment_is_the_hosts(self):
        path = os.environ.pop("PATH")
        try:
            output = sandbox(clean_env=False).run(["/usr/bin/env", "-0"]).stdout
            host = {name + b"=" + value for name, value in os.environb.items()}
        finally:
            os.environ["PATH"] = path
        self.assertEqual(set(output.split(b"\0")[:-1]), host)

    def test_environment_may_change_while_programs_are_started(self):
        stop = threading.Event()

        def change():
            number = 0
            while not stop.is_set():
                number += 1
                os.environ[f"SANDLOCK_TEST_{number % 50}"] = "x" * (number % 1000)
                os.environ.pop(f"SANDLOCK_TEST_{(number + 25) % 50}", None)

        thread = threading.Thread(target=change)
        thread.start()
        try:
            box = sandbox(clean_env=False)
            for _ in range(30):
                self.assertTrue(box.run(["true"]).success)
        finally:
            stop.set()
            thread.join()
            for number in range(50):
                os.environ.pop(f"SANDLOCK_TEST_{number}", None)

    def test_what_asks_for_little_can_be_asked_for_together(self):
        box = sandbox(
            **{name: True for name in ("no_randomize_memory", "no_huge_pages", "no_coredump", "net_updates", "port_remap")},
            fs_writable=[self.path],
            max_memory="1G",
            max_disk=2**20,
            max_processes=None,
            max_cpu=100,
            max_cpu_time=10,
            max_wall_time=10.5,
            net_allow=["tcp://127.0.0.1:80"],
            net_allow_bind=[8080],
            net_deny_bind=["9000-9010"],
            name="test",
        )
        try:
            result = box.run(shell(f"ulimit -c; cat {self.file}; echo new >{self.file}"), timeout=20)
        except sandlock.Unsupported as error:
            self.skipTest(str(error))
        self.assertEqual(result.reason, Reason.EXITED, result.error)
        self.assertEqual(result.stdout, b"0\ncontent\n", result.stderr)

    def test_disk_limit_ends_it(self):
        box = sandbox(fs_writable=[self.path], max_disk="1M")
        script = f"while :; do i=x$i; head -c 100000 /usr/bin/python3 >{self.path}/$i; sleep 0.01; done"
        result = box.run(shell(script), timeout=30)
        self.assertEqual((result.reason, result.limit), (Reason.LIMIT, "disk"), result.error)

    def test_working_directory_and_processors_and_open_files(self):
        processor = min(os.sched_getaffinity(0))
        box = sandbox(cwd="/usr", cpu_cores=[processor], max_open_files=37)
        result = box.run(shell("pwd; ulimit -n; nproc"))
        self.assertEqual(result.stdout, b"/usr\n37\n1\n")

    def test_extra_system_calls(self):
        denied = sandbox(extra_deny_syscalls=["uname"]).run(["uname"])
        self.assertNotEqual(denied.exit_code, 0)
        self.assertFalse(sandbox().run(["unshare", "-r", "true"]).success)
        with self.assertRaises(sandlock.InvalidArgument):
            sandbox(extra_allow_syscalls=["no_such_call"]).run(["true"])
        # ptrace is on the denylist: strace-like programs need it. Allowing it changes what the filter answers.
        probe = ["python3", "-c", "import ctypes; l = ctypes.CDLL(None, use_errno=True); l.ptrace(0, 0, 0, 0) or print('yes')"]
        self.assertEqual(sandbox().run(probe).stdout, b"")
        self.assertEqual(sandbox(extra_allow_syscalls=["ptrace"]).run(probe).stdout, b"yes\n")

    def test_features_are_degraded_and_disabled_by_name(self):
        with sandbox(allow_degraded=True, disable=["signal_scope"]).popen(["true"]) as process:
            states = {row["feature"]: row["state"] for row in process.report()["features"]}
        self.assertEqual(states["signal-scope"], "waived")
        self.assertEqual(states["files"], "enforced")

    def test_views(self):
        """Root, mounts, user and group: as the program sees them, where the host permits user namespaces."""
        if not sandlock.capabilities().user_namespaces:
            self.skipTest("this host permits no user namespaces")
        system = {path: path for path in DIRECTORIES if os.path.isdir(path)}
        box = sandbox(
            fs_readable=["/"],
            fs_writable=["/tmp"],
            chroot="",
            fs_mount={**system, "/data": self.path, "/tmp": MemoryMount("1M")},
            uid=0,
            gid=0,
        )
        script = "id -u; id -g; cat /data/file; echo own >/tmp/a && cat /tmp/a; echo no >/data/b || ls /data"
        result = box.run(shell(script))
        self.assertEqual(result.stdout, b"0\n0\ncontent\nown\nfile\n", result.stderr)


if __name__ == "__main__":
    unittest.main()
