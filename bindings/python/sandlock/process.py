"""A program that runs in a sandbox."""

from __future__ import annotations

import asyncio
import ctypes
import io
import json
import os
import select
import subprocess
import threading
from typing import IO, Any, Callable, List, NamedTuple, Optional, Sequence, Union

from . import capi
from .errors import StateError, Timeout, call
from .handles import Handle
from .policy import Policy
from .result import Result, taken, with_output
from .supervisor import Supervisor
from .values import Text, command, content, encode, left, milliseconds, moment

CAPTURE = object()
"""As a stream: memory, which the Result holds."""

MOST = 2**24
"""How many bytes of a stream a Result holds."""

Stream = Union[None, int, IO[Any], object]


class Port(NamedTuple):
    """A port of a sandbox: "tcp" or "udp", the number the program knows, and the one that everybody else does."""

    protocol: str
    inside: int
    outside: int


class Member(NamedTuple):
    """A process of a sandbox, as the host sees it."""

    pid: int
    name: str
    rss_bytes: int
    cpu_seconds: float


class Process(Handle):
    """A program that was started. It may be used from several threads; closing it, or leaving its `with` block, ends the sandbox.

    Streams that were asked for as PIPE are file objects of bytes. Each is taken from the library when it is first looked at, so
    that communicate() serves those that nobody has. Such a file keeps the process.
    """

    _what = "process"

    def __init__(
        self,
        policy: Policy,
        cmd: Sequence[Text],
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        name: Optional[str] = None,
        supervisor: Optional[Supervisor] = None,
        deadline: Optional[float] = None,
    ) -> None:
        arguments = command(cmd)
        options = capi.sandlock_spawn_options()
        capi.sandlock_spawn_options_init(ctypes.byref(options))
        if name is not None:
            options.name = encode(name)
        remaining = left(deadline)
        if remaining is not None:
            options.start_timeout_ms = max(1, milliseconds("timeout", remaining))  # 0 is no limit
        self._supervisor = supervisor
        self._files: List[Optional[IO[bytes]]] = [None, None, None]
        self._streams_lock = threading.Lock()
        self._pipe: Optional[io.FileIO] = None  # the host's end of one that output and errors share, of which the library does not know
        self._collects = False
        self._collected = bytearray()
        self._dropped = 0
        self._input_given = False
        self._result: Optional[Result] = None
        self._timed_out: Optional[float] = None
        ours: Optional[int] = None
        theirs: Optional[int] = None
        try:
            if stderr == subprocess.STDOUT and stdout == subprocess.PIPE:
                ours, theirs = os.pipe()
                stdout = stderr = theirs
            elif stderr == subprocess.STDOUT:
                if stdout is CAPTURE:
                    raise ValueError("captured output and error are kept apart; stderr=STDOUT goes with a stdout that is a PIPE")
                stderr = 1 if stdout is None else stdout
            for index, stream in enumerate((stdin, stdout, stderr)):
                set_stream(options, index, stream)
            argv = (ctypes.c_char_p * (len(arguments) + 1))(*arguments, None)
            out = ctypes.c_void_p()
            with policy._use() as rules:
                if supervisor:
                    with supervisor._use() as served:
                        call(capi.sandlock_spawn, rules, served, argv, ctypes.byref(options), ctypes.byref(out))
                else:
                    call(capi.sandlock_spawn, rules, None, argv, ctypes.byref(options), ctypes.byref(out))
            super().__init__(out.value or 0, capi.sandlock_process_free)
            if ours is not None:
                self._pipe, ours = io.FileIO(ours, "rb"), None
        finally:
            for descriptor in (ours, theirs):
                if descriptor is not None:
                    os.close(descriptor)

    # --- streams ---

    def _stream(self, which: int) -> Optional[IO[bytes]]:
        with self._streams_lock:
            if self._files[which] is None and self._pointer is not None:
                file: Any = None
                if which == 1 and self._pipe and not self._collects:
                    file, self._pipe = io.BufferedReader(self._pipe), None
                else:
                    with self._use() as pointer:
                        descriptor = capi.sandlock_process_take_stdio(pointer, which)
                    if descriptor >= 0:
                        file = io.open(descriptor, "rb" if which else "wb")
                if file:
                    file._process = self  # which would end with the last who knows of it
                self._files[which] = file
            return self._files[which]

    @property
    def stdin(self) -> Optional[IO[bytes]]:
        """What the program reads, if that is a PIPE. Buffered: flush or close it."""
        return self._stream(0)

    @property
    def stdout(self) -> Optional[IO[bytes]]:
        """What the program prints, if that is a PIPE."""
        return self._stream(1)

    @property
    def stderr(self) -> Optional[IO[bytes]]:
        """Its errors, likewise. None if they go to stdout."""
        return self._stream(2)

    def communicate(self, input: Optional[bytes] = None, timeout: Optional[float] = None) -> Result:
        """Gives the program its input, collects the output of pipes that nobody took, and waits until the sandbox has ended. Without
        input, `stdin` is flushed and closed if it was taken. After a Timeout the program runs on; call it again without input to wait
        on."""
        data = b"" if input is None else content("input", input)
        deadline = moment(timeout)

        def ask(milliseconds: int) -> Result:
            # Input that was given is remembered: asking again must not give it twice.
            given, self._input_given = (b"", True) if self._input_given else (data, True)
            out = ctypes.c_void_p()
            with self._use() as pointer:
                call(
                    capi.sandlock_process_communicate, pointer, given or None, len(given), milliseconds, ctypes.byref(out)
                )
            return taken(out.value or 0, self._timed_out)

        if self._input_given and data:
            raise StateError("input was given already")
        with self._streams_lock:
            if self._files[0] and not data:
                try:
                    self._files[0].close()
                except OSError:
                    pass  # what was not flushed has no reader any more
            if self._pipe:
                os.set_blocking(self._pipe.fileno(), False)
                self._collects = True
        result = self._ended(ask, deadline)
        if self._collects:
            while self._collect():
                pass
            self._result = result = with_output(result, bytes(self._collected), self._dropped)
        return result

    def _collect(self) -> bool:
        """Reads some of what output and errors share. Returns whether there may be more."""
        with self._streams_lock:
            data = (self._pipe.read(65536) if self._pipe else None) or b""
            room = MOST - len(self._collected)
            self._collected += data[:room]
            self._dropped += max(0, len(data) - room)
            return bool(data)

    # --- its end ---

    def wait(self, timeout: Optional[float] = None) -> Result:
        """Waits until the sandbox has ended. Raises Timeout if that takes longer than `timeout` seconds; the program runs on then."""
        if self._result is not None:
            return self._result
        deadline = moment(timeout)
        return self._ended(self._ask, deadline)

    def _ask(self, milliseconds: int) -> Result:
        out = ctypes.c_void_p()
        with self._use() as pointer:
            call(capi.sandlock_process_wait, pointer, milliseconds, ctypes.byref(out))
        return taken(out.value or 0, self._timed_out)

    def _ended(self, ask: Callable[[int], Result], deadline: Optional[float]) -> Result:
        """Waits in Python, so that an interrupt from the keyboard is noticed, and asks the library at both ends of that."""
        try:
            result = ask(0)
        except Timeout:
            with self._use() as pointer:
                poll = select.poll()
                pidfd = capi.sandlock_process_pidfd(pointer)
                poll.register(pidfd, select.POLLIN)
                if self._collects and self._pipe:
                    poll.register(self._pipe, select.POLLIN)
                while True:
                    remaining = left(deadline)
                    ready = [file for file, _ in poll.poll(None if remaining is None else remaining * 1000)]
                    if not ready or pidfd in ready:
                        break
                    if not self._collect():
                        poll.unregister(ready[0])
            remaining = left(deadline)
            result = ask(-1 if remaining is None else int(remaining * 1000))
        self._result = result
        return result

    def _killed_for(self, timeout: float) -> Result:
        """Kills it because its time is up."""
        self._timed_out = timeout
        self.kill()
        return self._ended(self._ask, None)

    async def _readable(self) -> None:
        """Waits on the running event loop until the program has ended."""
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        with self._use() as pointer:
            descriptor = os.dup(capi.sandlock_process_pidfd(pointer))
        loop.add_reader(descriptor, lambda: ended.done() or ended.set_result(None))
        try:
            await ended
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def poll(self) -> Optional[Result]:
        """The result if the sandbox has ended, or None."""
        try:
            return self.wait(0)
        except Timeout:
            return None

    @property
    def is_running(self) -> bool:
        """Whether the sandbox has not ended yet."""
        if self._result is not None:
            return False
        try:
            return self.poll() is None
        except StateError:
            return False  # it is closed

    def _before_free(self, pointer: int) -> None:
        # Whoever waits in another thread is told the end by this; freeing would kill it too, but only when nobody uses it.
        capi.sandlock_process_kill(pointer, None)

    def close(self) -> None:
        """Ends the sandbox if it runs, and gives back what it took: descriptors, threads."""
        super().close()
        with self._streams_lock:
            files, self._files = self._files, [None, None, None]
            if self._pipe:
                self._pipe.close()
                self._pipe = None
        for file in files:
            if file:
                try:
                    file.close()
                except OSError:
                    pass  # what was not flushed has no reader any more
        if self._supervisor:
            self._supervisor.close()

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    # --- while it runs ---

    def _do(self, verb: str, *arguments: Any) -> None:
        with self._use() as pointer:
            call(getattr(capi, f"sandlock_process_{verb}"), pointer, *arguments)

    @property
    def pid(self) -> int:
        """The process id of the program in the host. To signal it use send_signal(): the number may be another's later."""
        with self._use() as pointer:
            return int(capi.sandlock_process_pid(pointer))

    def kill(self) -> None:
        """Kills every process of the sandbox, daemons too, and returns when nothing of it runs any more."""
        self._do("kill")

    def send_signal(self, signal: int) -> None:
        """Sends a signal to the program."""
        self._do("signal", int(signal))

    def pause(self) -> None:
        """Stops every process of the sandbox."""
        self._do("pause")

    def resume(self) -> None:
        """Lets them go on."""
        self._do("resume")

    def update_net(self, allow: Optional[Sequence[str]] = None, deny: Optional[Sequence[str]] = None) -> None:
        """Changes whom the program may connect and send to, up to what its policy allows, if that has net_updates."""
        self._do("update_net", *(None if rules is None else strings(rules) for rules in (allow, deny)))

    def ports(self) -> List[Port]:
        """The ports that its sockets are bound to, under port_remap."""
        names = {capi.SANDLOCK_PROTOCOL_TCP: "tcp", capi.SANDLOCK_PROTOCOL_UDP: "udp"}
        ports = self._list("ports", "ports", "port")
        return [Port(names.get(port.protocol, str(port.protocol)), port.inside, port.outside) for port in ports]

    def members(self) -> List[Member]:
        """The processes of the sandbox."""
        members = self._list("list", "members", "member")
        return [
            Member(member.pid, (member.name or b"").decode("utf-8", "backslashreplace"), member.rss_bytes, member.cpu_us / 1e6)
            for member in members
        ]

    def _list(self, verb: str, noun: str, item: str) -> List[Any]:
        out = ctypes.c_void_p()
        self._do(verb, ctypes.byref(out))
        try:
            items = []
            for index in range(getattr(capi, f"sandlock_{noun}_count")(out)):
                entry = getattr(capi, f"sandlock_{item}")()
                getattr(capi, f"sandlock_{item}_init")(ctypes.byref(entry))
                call(getattr(capi, f"sandlock_{noun}_get"), out, index, ctypes.byref(entry))
                if item == "member":
                    entry.name = bytes(entry.name or b"")  # a copy: the list owns what is there
                items.append(entry)
            return items
        finally:
            getattr(capi, f"sandlock_{noun}_free")(out)

    def report(self) -> Any:
        """What was enforced: {"level": "full", "features": [{"feature": "files", "state": "enforced", ...}, ...]}."""
        with self._use() as pointer:
            report = capi.sandlock_process_report(pointer)
        try:
            return json.loads(capi.sandlock_report_json(report))
        finally:
            capi.sandlock_report_free(report)


def strings(values: Sequence[str]) -> Any:
    """A C array of strings that NULL ends."""
    return (ctypes.c_char_p * (len(values) + 1))(*(encode(value) for value in values), None)


def set_stream(options: Any, index: int, stream: Stream) -> None:
    """Says where a standard stream comes from or goes to, as the subprocess module does."""
    name = ("stdin", "stdout", "stderr")[index]
    descriptor = -1
    if stream is None:
        mode = capi.SANDLOCK_STDIO_INHERIT
    elif stream is CAPTURE:
        mode = capi.SANDLOCK_STDIO_CAPTURE
    elif isinstance(stream, int) and stream == subprocess.PIPE:
        mode = capi.SANDLOCK_STDIO_PIPE
    elif isinstance(stream, int) and stream == subprocess.DEVNULL:
        mode = capi.SANDLOCK_STDIO_NULL
    else:
        mode = capi.SANDLOCK_STDIO_FD
        descriptor = stream if isinstance(stream, int) else stream.fileno()  # type: ignore[union-attr]
        if descriptor < 0:
            raise ValueError(f"{name}: {stream!r} is no stream")
    setattr(options, f"{name}_mode", mode)
    setattr(options, f"{name}_fd", descriptor)


