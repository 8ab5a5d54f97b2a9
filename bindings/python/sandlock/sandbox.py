"""The face of the package: a Sandbox, and what it runs."""

from __future__ import annotations

import asyncio
import ctypes
import os
import subprocess
import threading
import weakref
from dataclasses import dataclass, field, fields
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

from . import capi
from .errors import InvalidArgument, StateError, Timeout, UnsupportedField, call
from .policy import MemoryMount, Policy, environment, refuse_unsupported, steps
from .process import CAPTURE, Port, Process, Stream
from .result import Result, not_started
from .supervisor import Handlers, Supervisor
from .values import Text, command, content, left, moment


@dataclass
class Sandbox:
    """What a program may do, and the programs that were started so. Without any field it may do nothing: it cannot even be executed.

    A field that is left alone asks for nothing, but for max_processes; one that is not supported, and is given a value, raises
    UnsupportedField, which is a NotImplementedError. What cannot be enforced on this kernel fails the start with the reason,
    unless allow_degraded says otherwise. Fields may be changed; programs that run already are not affected.
    """

    # Files. Whatever no path grants is refused.
    fs_readable: Sequence[Text] = ()
    """Files and directories that may be read and executed, with everything beneath. They must exist, unless they are `optional()`."""
    fs_writable: Sequence[Text] = ()
    """Those that may be read and changed. For executing what lies there, fs_readable has to name them too."""
    fs_denied: Sequence[Text] = ()
    """Not supported."""

    # System calls, on top of the default denylist.
    extra_deny_syscalls: Sequence[str] = ()
    """System calls, or groups ("@network-io"), that fail with EPERM."""
    extra_allow_syscalls: Sequence[str] = ()
    """Those that the default denylist refuses and this program is to have."""

    # The network. Without rules there is none. The grammar is in sandlock.h, at sandlock_policy_allow_net() and _allow_bind().
    net_allow: Sequence[str] = ()
    """Whom it may connect and send to: "tcp://example.com:443", "udp://192.0.2.53:53", "unix:/run/service/*"."""
    net_deny: Sequence[str] = ()
    """Exceptions from these."""
    net_allow_bind: Sequence[Union[str, int]] = ()
    """Ports that it may serve on: 8080, "8000-8999", "udp://*"."""
    net_deny_bind: Sequence[Union[str, int]] = ()
    """Exceptions from these."""
    net_updates: bool = False
    """Process.update_net() may tighten the rules while it runs."""
    port_remap: bool = False
    """Ports are numbers of the sandbox's own; ports() tells which of the host they stand for."""

    # Limits of the sandbox as a whole, but for max_open_files.
    max_memory: Union[int, str, None] = None
    """Bytes, or "256M"."""
    max_processes: Optional[int] = 64
    """At a time. None: as many as there can be."""
    max_open_files: Optional[int] = None
    """Of each process."""
    max_cpu: Optional[int] = None
    """Per cent of one processor: 50 is half of one, 150 one and a half."""
    max_cpu_time: Optional[float] = None
    """Seconds of processor time."""
    max_wall_time: Optional[float] = None
    """Seconds from the start of the program."""
    max_disk: Union[int, str, None] = None
    """Bytes that are written beneath fs_writable, or "1G"."""
    cpu_cores: Sequence[int] = ()
    """Numbers of the processors that it may run on."""
    num_cpus: Optional[int] = None
    """Not supported."""

    # Repeatability.
    random_seed: Optional[int] = None
    """Not supported."""
    time_start: Any = None
    """Not supported."""
    no_randomize_memory: bool = False
    """A fixed address space layout. Weakens the program against its own bugs."""
    no_huge_pages: bool = False
    """No transparent huge pages."""
    no_coredump: bool = False
    """No core dumps."""
    deterministic_dirs: bool = False
    """Not supported."""

    gpu_devices: Any = None
    """Not supported."""

    # The files that it sees. Takes user, PID and mount namespaces; paths above are the program's then.
    chroot: Optional[Text] = None
    """A directory that it has for "/", or "" for an empty file system in memory."""
    fs_mount: Mapping[Text, Union[Text, MemoryMount]] = field(default_factory=dict)
    """What it sees where: {"/work": "/home/u/work", "/tmp": MemoryMount("64M")}. Read-only, unless fs_writable names it, something in
    it or something it lies in."""

    # The process.
    clean_env: bool = False
    """A minimal environment instead of the host's. Recommended for programs that are not trusted."""
    env: Mapping[str, Optional[str]] = field(default_factory=dict)
    """Variables on top of that; None removes one."""
    uid: Optional[int] = None
    """The user that it goes by, in a user namespace. With only one of uid and gid, the other is the host's."""
    gid: Optional[int] = None
    """The group, likewise."""
    cwd: Optional[Text] = None
    """Where it starts."""
    name: Optional[str] = None
    """Name of the sandbox's thread in the host, as ps shows it."""

    # Changes to files that are kept or dropped.
    workdir: Optional[Text] = None
    """Not supported."""
    fs_storage: Optional[Text] = None
    """Not supported."""
    on_exit: Any = None
    """Not supported."""
    on_error: Any = None
    """Not supported."""

    # How strictly features are asked for, by their names in sandlock.h in lower case: "network", "files-refer".
    allow_degraded: Union[bool, Iterable[str]] = False
    """Features that the program may run without where they cannot be enforced; True: all. Process.report() says what came of it."""
    disable: Iterable[str] = ()
    """Features that are not asked for."""

    # Code of the host's.
    policy_fn: Optional[Callable[..., Any]] = None
    """Not supported."""
    init_fn: Optional[Callable[..., Any]] = None
    """Not supported."""
    work_fn: Optional[Callable[..., Any]] = None
    """Not supported."""

    def __post_init__(self) -> None:
        refuse_unsupported(self)
        self._lock = threading.Lock()
        self._made: Optional[Tuple[Any, Policy]] = None
        self._command: Optional[Sequence[Text]] = None
        self._current: Optional[Process] = None
        self._started: "weakref.WeakSet[Process]" = weakref.WeakSet()

    # A copy has the fields, and no programs.

    def __getstate__(self) -> Dict[str, Any]:
        return {name: getattr(self, name) for name in _NAMES}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()

    # --- running to the end ---

    def run(self, cmd: Sequence[Text], timeout: Optional[float] = None, *, input: Optional[bytes] = None) -> Result:
        """Runs a program to its end, with `input`, or nothing, to read; the result holds what it printed, up to 16 MiB of each
        stream. After `timeout` seconds, in which it is also started, the sandbox is killed, and the reason is TIMEOUT. Raises if the
        program cannot be started."""
        return self._run(cmd, timeout, input, None, moment(timeout))

    def run_with_handlers(
        self,
        cmd: Sequence[Text],
        handlers: Handlers,
        timeout: Optional[float] = None,
        *,
        input: Optional[bytes] = None,
        deadline: Optional[float] = None,
    ) -> Result:
        """The same, while `handlers` answer its system calls: {"openat": Handler, ...}. A handler that is no `async` one has
        `deadline` seconds for a call, 30 by default; then that is denied."""
        end = moment(timeout)
        return self._run(cmd, timeout, input, Supervisor(handlers, deadline=deadline), end)

    def _run(
        self,
        cmd: Sequence[Text],
        timeout: Optional[float],
        data: Optional[bytes],
        supervisor: Optional[Supervisor],
        end: Optional[float],
    ) -> Result:
        stdin = subprocess.DEVNULL if data is None else subprocess.PIPE
        data = None if data is None else content("input", data)
        try:
            process = self._start(cmd, stdin, CAPTURE, CAPTURE, supervisor, end)
        except Timeout:
            return not_started(timeout or 0.0)
        with process:
            try:
                return process.wait(left(end)) if data is None else process.communicate(data, left(end))
            except Timeout:
                return process._killed_for(timeout or 0.0)

    async def arun(
        self, cmd: Sequence[Text], timeout: Optional[float] = None, handlers: Optional[Handlers] = None
    ) -> Result:
        """run() for event loops. `async` handlers run on the loop that this is awaited on. Cancelling it ends the sandbox."""
        loop = asyncio.get_running_loop()
        end = moment(timeout)
        supervisor = Supervisor(handlers, loop) if handlers else None
        # Starting takes a thread: a handler of the exec that starts the program may have to run on this loop meanwhile.
        start = in_thread(lambda: self._start(cmd, subprocess.DEVNULL, CAPTURE, CAPTURE, supervisor, end))
        try:
            process = await asyncio.shield(start)
        except asyncio.CancelledError:
            if supervisor:
                supervisor.end_tasks()  # The start may be waiting for one.
            if supervisor and not start.done():
                # It may be as late as other handlers let it.
                start.add_done_callback(lambda done: in_thread(lambda: close_started(done)))
            else:
                await asyncio.wait([start])
                await in_thread(lambda: close_started(start))
            raise
        except Timeout:
            return not_started(timeout or 0.0)
        timed_out = None
        try:
            try:
                await asyncio.wait_for(process._readable(), left(end))
            except asyncio.TimeoutError:
                timed_out = timeout or 0.0
            if timed_out is None:
                result = await in_thread(process.wait)
            else:
                result = await in_thread(lambda: process._killed_for(timed_out or 0.0))
        except GeneratorExit:  # The loop was closed, and nothing can be awaited any more.
            process.close()
            raise
        except BaseException:
            await in_thread(process.close)  # It may have to wait for others who use it, which the loop must not.
            raise
        await in_thread(process.close)
        return result

    def run_interactive(self, cmd: Sequence[Text], timeout: Optional[float] = None) -> Result:
        """Runs a program that has the host's standard streams, terminal included, to its end."""
        end = moment(timeout)
        try:
            process = self._start(cmd, None, None, None, None, end)
        except Timeout:
            return not_started(timeout or 0.0)
        with process:
            try:
                return process.wait(left(end))
            except Timeout:
                return process._killed_for(timeout or 0.0)

    def dry_run(self, cmd: Sequence[Text], timeout: Optional[float] = None) -> Result:
        """Not supported: running a program and dropping what it changed takes changes to files to be kept apart."""
        raise UnsupportedField("dry_run", "changes to files cannot be kept apart, so they cannot be dropped after a run")

    # --- starting ---

    def popen(
        self,
        cmd: Sequence[Text],
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        handlers: Optional[Handlers] = None,
    ) -> Process:
        """Starts a program and does not wait for it. Streams are as in the subprocess module: None, PIPE, DEVNULL, STDOUT, a
        descriptor or a file; also CAPTURE."""
        return self._start(cmd, stdin, stdout, stderr, Supervisor(handlers) if handlers else None)

    def create(self, cmd: Sequence[Text]) -> "Sandbox":
        """Makes ready to start a program: checks command and policy. There is no process before start()."""
        command(cmd)
        self._policy().check()
        with self._lock:
            if self._current is not None and self._current.is_running:
                raise StateError("a program runs already")
            self._command, self._current = list(cmd), None
        return self

    def start(self) -> "Sandbox":
        """Starts the program that create() was given: nothing to read, its output goes into the result."""
        with self._lock:
            if self._command is None:
                raise StateError("there is nothing to start; create() or spawn() a program")
            cmd, self._command = self._command, None
        self._current = self._start(cmd, subprocess.DEVNULL, CAPTURE, CAPTURE, None)
        return self

    def spawn(self, cmd: Sequence[Text]) -> "Sandbox":
        """create() and start()."""
        return self.create(cmd).start()

    def wait(self, timeout: Optional[float] = None) -> Result:
        """Waits for the program that was spawned. Raises Timeout after `timeout` seconds; the program runs on then."""
        return self._spawned().wait(timeout)

    def _spawned(self) -> Process:
        if self._current is None:
            raise StateError("no program was spawned")
        return self._current

    def _start(
        self,
        cmd: Sequence[Text],
        stdin: Stream,
        stdout: Stream,
        stderr: Stream,
        supervisor: Optional[Supervisor],
        deadline: Optional[float] = None,
    ) -> Process:
        try:
            process = Process(
                self._policy(),
                cmd,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                name=self.name,
                supervisor=supervisor,
                deadline=deadline,
            )
        except BaseException:
            if supervisor:
                supervisor.close()
            raise
        with self._lock:
            self._started.add(process)
        return process

    def _policy(self) -> Policy:
        """The policy, kept while no field changes: the library then need not prepare it anew for every program."""
        host = None if self.clean_env else environment()
        # One that was made before a fork is of no use after it.
        key = os.getpid(), steps(self, host)
        with self._lock:
            if self._made is None or self._made[0] != key:
                self._made = key, Policy(key[1])
            return self._made[1]

    # --- what runs ---

    def _running(self) -> List[Process]:
        with self._lock:
            started = list(self._started)
        return [process for process in started if process.is_running]

    def _each(self, do: Callable[[Process], None]) -> None:
        for process in self._running():
            try:
                do(process)
            except StateError:
                pass  # it has ended or was closed meanwhile

    def kill(self) -> None:
        """Kills every program of this sandbox that runs."""
        self._each(Process.kill)

    def pause(self) -> None:
        """Stops them."""
        self._each(Process.pause)

    def resume(self) -> None:
        """Lets them go on."""
        self._each(Process.resume)

    @property
    def pid(self) -> Optional[int]:
        """The process id of the program that was spawned, in the host; None if none was."""
        return self._current.pid if self._current else None

    @property
    def is_running(self) -> bool:
        """Whether a program of this sandbox runs."""
        return bool(self._running())

    def ports(self) -> List[Port]:
        """The ports of the program that was spawned, under port_remap."""
        return self._spawned().ports()

    def close(self) -> None:
        """Ends every program of this sandbox."""
        with self._lock:
            started = list(self._started)
            self._current = self._command = None
        for process in started:
            process.close()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


_NAMES = tuple(each.name for each in fields(Sandbox))


def confine(sandbox: Sandbox) -> None:
    """Confines the calling thread itself, for good, and what it starts from now on; not other threads that run already. Fields that are
    for starting a program (env, cwd, cpu_cores, uid, name, ...) are refused. The default of max_processes falls away, for it takes a
    new process to count what comes of it; any other number is refused."""
    if sandbox.name is not None:
        raise InvalidArgument("confine: name is that of a program's thread, and none is started")
    policy = Policy(steps(sandbox, None))
    try:
        with policy._use() as pointer:
            call(capi.sandlock_confine_self, pointer)
    finally:
        policy.close()


def capabilities() -> Any:
    """What the kernel offers: a capi.sandlock_capabilities."""
    out = capi.sandlock_capabilities()
    capi.sandlock_capabilities_init(ctypes.byref(out))
    call(capi.sandlock_probe, ctypes.byref(out))
    return out


def landlock_abi_version() -> int:
    """The kernel's Landlock ABI, or 0 if it has none to offer."""
    return int(capabilities().landlock_abi)


def close_started(start: "asyncio.Future[Process]") -> None:
    if not start.cancelled() and not start.exception():
        start.result().close()


def in_thread(function: Callable[[], Any]) -> "asyncio.Future[Any]":
    """Runs a function in a thread of its own. The loop's pool may be full of what waits for this."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def settle(error: Optional[BaseException], value: Any) -> None:
        if future.cancelled():
            return
        if error:
            future.set_exception(error)
            future.exception()  # Who was cancelled meanwhile does not ask, and asyncio would say so when the loop is closed by then.
        else:
            future.set_result(value)

    def body() -> None:
        value, error = None, None
        try:
            value = function()
        except BaseException as raised:  # noqa: B902 - handed on to who awaits it
            error = raised
        try:
            loop.call_soon_threadsafe(settle, error, value)
        except RuntimeError:
            if isinstance(value, Process):  # the loop is closed, and nobody else knows of it
                value.close()

    threading.Thread(target=body, name="sandlock-start", daemon=True).start()
    return future
