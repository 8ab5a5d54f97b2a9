"""From the fields of a Sandbox to a policy of the library."""

from __future__ import annotations

import ctypes
import functools
import os
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Optional, Tuple, Union

from . import capi
from .errors import UnsupportedField, call
from .handles import Handle
from .values import encode, milliseconds, natural, optional, sequence, size

# Fields that people know from elsewhere and that the library has nothing for. None of them is ever ignored.
UNSUPPORTED: Dict[str, str] = {
    "fs_denied": "rules grant access; nothing can be taken out of what they grant. Grant less",
    "num_cpus": "the number of processors cannot be made up; cpu_cores confines the program to some",
    "random_seed": "random numbers cannot be made repeatable",
    "time_start": "the clock cannot be set for one program",
    "deterministic_dirs": "the order of directories is the file system's",
    "gpu_devices": "there are no rules for graphics processors; grant their device files by fs_writable",
    "workdir": "changes to a directory cannot be kept apart; cwd is where the program starts",
    "fs_storage": "changes to files cannot be kept apart",
    "on_exit": "changes to files cannot be kept apart, so they are neither kept nor dropped at the end",
    "on_error": "changes to files cannot be kept apart, so they are neither kept nor dropped after an error",
    "policy_fn": "a policy is not decided while the program runs; handlers look at calls",
    "init_fn": "no Python code runs in the sandbox's process; confine() confines a thread of one's own process",
    "work_fn": "no Python code runs in the sandbox's process; confine() confines a thread of one's own process",
}


@dataclass(frozen=True)
class MemoryMount:
    """As the source in fs_mount: an empty file system in memory, of at most this size."""

    size: Union[int, str]


Steps = List[Tuple[str, Tuple[Any, ...]]]
"""What is called to make a policy: verbs and arguments, as C gets them. Policies of the same steps are the same."""


class Policy(Handle):
    """A policy of the library. Only read once it is made, so any number of threads may start programs with it."""

    _what = "policy"

    def __init__(self, steps: Steps) -> None:
        super().__init__(capi.sandlock_policy_new(), capi.sandlock_policy_free)
        try:
            with self._use() as pointer:
                for verb, arguments in steps:
                    if verb == "set_cpus":
                        arguments = (ctypes.c_uint32 * len(arguments))(*arguments), len(arguments)
                    call(getattr(capi, f"sandlock_policy_{verb}"), pointer, *arguments)
        except BaseException:
            self.close()
            raise

    def check(self) -> None:
        with self._use() as pointer:
            call(capi.sandlock_policy_check, pointer)


def steps(sandbox: Any, environment: Optional[Dict[bytes, bytes]]) -> Steps:
    """`environment` is the host's as environment() gives it; with None the policy says nothing of it."""
    refuse_unsupported(sandbox)
    builder = _Builder(sandbox, environment)
    builder.build()
    return builder.steps


def refuse_unsupported(sandbox: Any) -> None:
    for field, reason in UNSUPPORTED.items():
        value = getattr(sandbox, field)
        # 0 is a seed, and a moment.
        if value is not None and value is not False and value != () and value != []:
            raise UnsupportedField(field, reason)


def environment() -> Dict[bytes, bytes]:
    """A copy of the host's environment. The library would read it without the interpreter's lock, while another thread may be
    changing it."""
    while True:
        try:
            return dict(os.environb)
        except (RuntimeError, KeyError):
            pass  # it was changed meanwhile


@functools.lru_cache(None)
def features() -> Dict[str, int]:
    """Features by their names: "files-refer"."""
    prefix = "SANDLOCK_FEATURE_"
    names = [name for name in dir(capi) if name.startswith(prefix)]
    return {name[len(prefix) :].lower().replace("_", "-"): getattr(capi, name) for name in names}


class _Builder:
    def __init__(self, sandbox: Any, environment: Optional[Dict[bytes, bytes]]) -> None:
        self.steps: Steps = []
        self.sandbox = sandbox
        self.environment = environment

    def do(self, verb: str, *arguments: Any) -> None:
        self.steps.append((verb, arguments))

    def items(self, field: str) -> List[Any]:
        return sequence(field, getattr(self.sandbox, field))

    def build(self) -> None:
        self.files()
        self.syscalls()
        self.network()
        self.limits()
        self.process()
        self.strictness()

    def files(self) -> None:
        for field, access in (
            ("fs_readable", capi.SANDLOCK_ACCESS_READ_EXECUTE),
            ("fs_writable", capi.SANDLOCK_ACCESS_READ | capi.SANDLOCK_ACCESS_WRITE),
        ):
            for path in self.items(field):
                may_be_missing = capi.SANDLOCK_ACCESS_OPTIONAL if isinstance(path, optional) else 0
                self.do("allow_path", encode(path), access | may_be_missing)
        if self.sandbox.chroot is not None:
            self.do("set_root", encode(self.sandbox.chroot))
        writable = [os.path.normpath(os.fsdecode(path)) for path in self.items("fs_writable")]
        for target, source in (self.sandbox.fs_mount or {}).items():
            if isinstance(source, MemoryMount):
                self.do("add_memory_mount", encode(target), size("fs_mount", source.size))
            else:
                flags = capi.SANDLOCK_MOUNT_WRITE if overlaps(os.fsdecode(target), writable) else 0
                self.do("add_mount", encode(source), encode(target), flags)

    def syscalls(self) -> None:
        for name in self.items("extra_allow_syscalls"):
            self.do("allow_syscall", encode(name))
        for name in self.items("extra_deny_syscalls"):
            self.do("deny_syscall", encode(name), 1)  # EPERM

    def network(self) -> None:
        for field, verb in (
            ("net_allow", "allow_net"),
            ("net_deny", "deny_net"),
            ("net_allow_bind", "allow_bind"),
            ("net_deny_bind", "deny_bind"),
        ):
            for rule in self.items(field):
                ports = field.endswith("bind") and isinstance(rule, int)
                self.do(verb, encode(str(natural(field, rule)) if ports else rule))

    def limits(self) -> None:
        sandbox = self.sandbox
        # The library's own default, which gives way where processes cannot be counted; a limit that is set does not.
        if sandbox.max_processes is None:
            self.limit(capi.SANDLOCK_LIMIT_PROCESSES, capi.SANDLOCK_UNLIMITED)
        elif sandbox.max_processes != 64:
            self.limit(capi.SANDLOCK_LIMIT_PROCESSES, natural("max_processes", sandbox.max_processes))
        for field, limit, convert in (
            ("max_memory", capi.SANDLOCK_LIMIT_MEMORY, size),
            ("max_disk", capi.SANDLOCK_LIMIT_DISK, size),
            ("max_open_files", capi.SANDLOCK_LIMIT_NOFILE, natural),
            ("max_cpu", capi.SANDLOCK_LIMIT_CPU_SHARE, natural),
            ("max_cpu_time", capi.SANDLOCK_LIMIT_CPU_TOTAL, milliseconds),
            ("max_wall_time", capi.SANDLOCK_LIMIT_WALL, milliseconds),
        ):
            value = getattr(sandbox, field)
            if value is not None:
                self.limit(limit, convert(field, value))

    def limit(self, limit: int, value: int) -> None:
        self.do("set_limit", limit, value)

    def process(self) -> None:
        sandbox = self.sandbox
        if sandbox.clean_env or self.environment is not None:
            self.do("clear_env")
        if self.environment is not None and not sandbox.clean_env:
            for variable in (b"PATH", b"HOME", b"LANG"):  # those of the minimal environment
                if variable not in self.environment:
                    self.do("set_env", variable, None)
            for variable, content in self.environment.items():
                if variable:
                    self.do("set_env", variable, content)
        for name, value in (sandbox.env or {}).items():
            self.do("set_env", encode(name), None if value is None else encode(value))
        if sandbox.cwd is not None:
            self.do("set_cwd", encode(sandbox.cwd))
        cores = [natural("cpu_cores", core) for core in self.items("cpu_cores")]
        if any(core > 1023 for core in cores):
            raise ValueError("cpu_cores: processors are numbered from 0 to 1023")
        if cores:
            self.do("set_cpus", *cores)
        if sandbox.uid is not None or sandbox.gid is not None:
            self.do("set_user", self.identity("uid", os.geteuid()), self.identity("gid", os.getegid()))
        for field, flag in (
            ("port_remap", capi.SANDLOCK_FLAG_PORT_REMAP),
            ("net_updates", capi.SANDLOCK_FLAG_NET_UPDATES),
            ("no_randomize_memory", capi.SANDLOCK_FLAG_NO_ASLR),
            ("no_huge_pages", capi.SANDLOCK_FLAG_NO_HUGE_PAGES),
            ("no_coredump", capi.SANDLOCK_FLAG_NO_COREDUMP),
        ):
            if getattr(sandbox, field):
                self.do("set_flag", flag, True)

    def identity(self, field: str, own: int) -> int:
        value = getattr(self.sandbox, field)
        if value is None:
            return own
        if natural(field, value) >= 2**32 - 1:
            raise ValueError(f"{field}: {value} is out of range")
        return int(value)

    def strictness(self) -> None:
        degraded = self.sandbox.allow_degraded
        if degraded is True:
            self.do("set_strictness", capi.SANDLOCK_FEATURE_ALL, capi.SANDLOCK_BEST_EFFORT)
        elif degraded:
            self.each_feature("allow_degraded", capi.SANDLOCK_BEST_EFFORT)
        self.each_feature("disable", capi.SANDLOCK_DISABLE)

    def each_feature(self, field: str, level: int) -> None:
        known = features()
        for name in self.items(field):
            number = known.get(str(name).lower().replace("_", "-"))
            if number is None:
                raise ValueError(f"{field}: no feature is named {name!r}; known are {', '.join(sorted(known))}")
            self.do("set_strictness", number, level)


def overlaps(target: str, writable: Iterable[str]) -> bool:
    """Whether a path that may be written to lies in the target of a mount, or that in it."""
    target = os.path.normpath(target) + "/"
    paths = [path.rstrip("/") + "/" for path in writable]
    return any(path.startswith(target) or target.startswith(path) for path in paths)
