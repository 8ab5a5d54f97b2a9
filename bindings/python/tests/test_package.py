"""The package itself: that it is all of the C API, that it installs, that its README is true."""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

from sandlock import capi, capi_table

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CHECKOUT = os.path.dirname(os.path.dirname(ROOT))


class Package(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = directory.name

    def python(self, *arguments, **environment):
        env = {**os.environ, **environment}
        done = subprocess.run(
            [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, cwd=self.path, timeout=60
        )
        self.assertEqual(done.returncode, 0, done.stdout.decode())
        return done.stdout.decode()

    def test_table_is_what_the_header_says(self):
        self.python(os.path.join(ROOT, "gen_capi.py"), "--check")

    def test_every_exported_function_is_wrapped(self):
        with open(os.path.join(CHECKOUT, "scripts", "exports.txt")) as file:
            exported = {line.strip() for line in file if not line.startswith("#")}
        self.assertEqual(exported, set(capi_table.FUNCTIONS))
        for name in exported:
            self.assertTrue(callable(getattr(capi, name)))
        with self.assertRaises(AttributeError):
            capi.sandlock_no_such_function

    def test_structures_are_laid_out_as_in_c(self):
        compiler = shutil.which("gcc") or shutil.which("cc") or shutil.which("g++")
        if not compiler:
            self.skipTest("no C compiler here")
        lines, expected = [], []
        for name, structure in vars(capi_table).items():
            if isinstance(structure, type) and issubclass(structure, ctypes.Structure) and structure is not ctypes.Structure:
                lines.append(f'printf("%zu\\n", sizeof({name}));')
                expected.append(ctypes.sizeof(structure))
                for member, _ in structure._fields_:
                    lines.append(f'printf("%zu\\n", offsetof({name}, {member}));')
                    expected.append(getattr(structure, member).offset)
        self.assertGreater(len(expected), 50)
        source = os.path.join(self.path, "layout.c")
        with open(source, "w") as file:
            file.write("#include <sandlock.h>\n#include <stdio.h>\nint main(void)\n{\n" + "\n".join(lines) + "\nreturn 0;\n}\n")
        include = os.path.join(CHECKOUT, "include")
        subprocess.run([compiler, "-I", include, "-o", os.path.join(self.path, "layout"), source], check=True)
        output = subprocess.run([os.path.join(self.path, "layout")], stdout=subprocess.PIPE, check=True).stdout
        self.assertEqual([int(line) for line in output.split()], expected)

    def test_sizes_are_those_of_the_library(self):
        for noun in ("spawn_options", "stats", "usage", "member", "port", "report_entry", "capabilities", "supervisor_options"):
            structure = getattr(capi, f"sandlock_{noun}")()
            getattr(capi, f"sandlock_{noun}_init")(ctypes.byref(structure))
            self.assertEqual(structure.size, ctypes.sizeof(structure), noun)

    def test_c_face_runs_a_program(self):
        policy = capi.sandlock_policy_new()
        for path in (b"/usr", b"/bin", b"/lib", b"/lib64"):
            access = capi.SANDLOCK_ACCESS_READ_EXECUTE | capi.SANDLOCK_ACCESS_OPTIONAL
            self.assertEqual(capi.sandlock_policy_allow_path(policy, path, access, None), capi.SANDLOCK_OK)
        result, error = ctypes.c_void_p(), ctypes.c_void_p()
        argv = (ctypes.c_char_p * 3)(b"cat", b"/etc/passwd", None)
        self.assertEqual(capi.sandlock_run(policy, None, argv, 5000, ctypes.byref(result), ctypes.byref(error)), 0)
        self.assertEqual(capi.sandlock_result_exit_code(result), 1)
        text = ctypes.string_at(capi.sandlock_result_stderr(result, None))
        self.assertEqual(text, b"cat: /etc/passwd: Permission denied\n")
        capi.sandlock_result_free(result)
        self.assertEqual(capi.sandlock_policy_allow_path(policy, b"", 1, ctypes.byref(error)), -1)
        self.assertNotEqual(capi.sandlock_error_message(error), b"")
        capi.sandlock_error_free(error)
        capi.sandlock_policy_free(policy)

    def test_wheel_has_everything_and_runs(self):
        code = "import sys; sys.path.insert(0, sys.argv[1])\n"
        code += "import backend; print(backend.build_wheel('.'), backend.build_sdist('.'))"
        wheel, source = self.python("-c", code, os.path.join(ROOT, "build_backend")).split()
        with zipfile.ZipFile(os.path.join(self.path, wheel)) as archive:
            self.assertIsNone(archive.testzip())
            names = set(archive.namelist())
        self.assertEqual(
            {name for name in names if name.startswith("sandlock/")},
            {f"sandlock/{name}" for name in os.listdir(os.path.join(ROOT, "sandlock")) if name != "__pycache__"},
        )
        self.assertIn("sandlock/py.typed", names)
        self.assertTrue(os.path.getsize(os.path.join(self.path, source)) > 1000)
        code = "import sandlock; print(sandlock.__file__, sandlock.landlock_abi_version())"
        self.assertIn(wheel, self.python("-c", code, PYTHONPATH=os.path.join(self.path, wheel)))

    def test_readme_lists_every_field(self):
        import dataclasses

        from sandlock import Sandbox

        with open(os.path.join(ROOT, "README.md")) as file:
            text = file.read()
        for field in dataclasses.fields(Sandbox):
            self.assertIn(f"`{field.name}`", text)


if __name__ == "__main__":
    unittest.main()
