"""What became of a run."""

from __future__ import annotations

import ctypes
import enum
import signal
from dataclasses import dataclass, replace
from typing import Optional

from . import capi
from .errors import call


class Reason(enum.IntEnum):
    """Why a sandbox ended."""

    EXITED = 1
    """The program exited."""
    SIGNALED = 2
    """A signal that the library did not send ended it."""
    TIMEOUT = 3
    """The time given to run() passed, and the sandbox was killed."""
    LIMIT = 4
    """A limit of the sandbox was exceeded; or there was more output than is kept, of a program that exited by itself."""
    KILLED = 5
    """It was killed by kill(), or by a handler."""
    LOST = 6
    """It ended, but somebody else in the host took its status."""


@dataclass(frozen=True)
class Usage:
    """What a run used: times in seconds, memory in bytes. `peak_rss` may be an upper bound only (`peak_rss_is_bound`)."""

    wall: float
    user: float
    system: float
    peak_rss: int
    peak_rss_is_bound: bool


@dataclass(frozen=True)
class Result:
    """What became of a run."""

    success: bool
    """The program exited by itself, with 0, and none of its output was dropped."""
    exit_code: int
    """0 to 255, or -1 if the program did not exit by itself."""
    stdout: bytes
    """What it wrote there, as far as it was captured."""
    stderr: bytes
    error: Optional[str]
    """Why it ended, in one line, if it did not exit by itself."""
    reason: Reason
    signal: int
    """The signal that ended it, or 0."""
    limit: Optional[str]
    """The limit of the sandbox that was exceeded: "memory", "cpu_total", "cpu_share", "wall", "disk"."""
    truncated: int
    """How many bytes of output were dropped, of both streams, because they came beyond 16 MiB."""
    usage: Usage


_LIMITS = {
    getattr(capi, f"SANDLOCK_LIMIT_{name}"): (name.lower(), unit)
    for name, unit in (("MEMORY", "bytes"), ("DISK", "bytes"), ("CPU_TOTAL", "ms"), ("WALL", "ms"), ("CPU_SHARE", "%"))
}


def taken(pointer: int, timed_out: Optional[float] = None) -> Result:
    """The library's result as an object. Frees the former. With `timed_out` the kill was for want of time."""
    try:
        reason = Reason(capi.sandlock_result_reason(pointer))
        if timed_out is not None and reason is Reason.KILLED:
            reason = Reason.TIMEOUT
        limit, unit = _LIMITS.get(capi.sandlock_result_limit(pointer), (None, ""))
        code = capi.sandlock_result_exit_code(pointer)
        number = capi.sandlock_result_signal(pointer)
        return Result(
            success=reason is Reason.EXITED and code == 0,
            exit_code=code,
            stdout=_bytes(capi.sandlock_result_stdout, pointer),
            stderr=_bytes(capi.sandlock_result_stderr, pointer),
            error=_error(pointer, reason, limit, unit, number, timed_out),
            reason=reason,
            signal=number,
            limit=limit,
            truncated=sum(capi.sandlock_result_truncated(pointer, which) for which in (1, 2)),
            usage=_usage(pointer),
        )
    finally:
        capi.sandlock_result_free(pointer)


def not_started(timeout: float) -> Result:
    """That of a program whose time was up before it was started."""
    return Result(
        success=False,
        exit_code=-1,
        stdout=b"",
        stderr=b"",
        error=_late(timeout),
        reason=Reason.TIMEOUT,
        signal=int(signal.SIGKILL),
        limit=None,
        truncated=0,
        usage=Usage(timeout, 0.0, 0.0, 0, True),
    )


def with_output(result: Result, stdout: bytes, dropped: int) -> Result:
    """A result with output that the library does not know of, beyond which so many bytes were dropped."""
    if dropped and result.reason is Reason.EXITED:
        result = replace(result, success=False, reason=Reason.LIMIT, error=_TOO_MUCH)
    return replace(result, stdout=stdout, truncated=result.truncated + dropped)


_TOO_MUCH = "limit of captured output exceeded"


def _late(timeout: float) -> str:
    return f"killed after {timeout:g} s"


def _bytes(function: object, pointer: int) -> bytes:
    length = ctypes.c_size_t()
    data = function(pointer, ctypes.byref(length))  # type: ignore[operator]
    return ctypes.string_at(data, length.value)


def _usage(pointer: int) -> Usage:
    out = capi.sandlock_usage()
    capi.sandlock_usage_init(ctypes.byref(out))
    call(capi.sandlock_result_usage, pointer, ctypes.byref(out))
    bound = bool(out.flags & capi.SANDLOCK_USAGE_PEAK_RSS_IS_BOUND)
    return Usage(out.wall_us / 1e6, out.user_us / 1e6, out.system_us / 1e6, out.peak_rss, bound)


def _error(
    pointer: int, reason: Reason, limit: Optional[str], unit: str, number: int, timed_out: Optional[float]
) -> Optional[str]:
    if reason is Reason.EXITED:
        return None
    if reason is Reason.TIMEOUT:
        return _late(timed_out) if timed_out is not None else "killed because its time was up"
    if reason is Reason.LIMIT and limit:
        allowed = capi.sandlock_result_limit_value(pointer)
        reading = capi.sandlock_result_limit_reading(pointer)
        return f"limit {limit} exceeded: {reading} {unit}, allowed {allowed} {unit}"
    if reason is Reason.LIMIT:
        return _TOO_MUCH
    if reason is Reason.SIGNALED:
        return f"ended by signal {_name(number)}"
    if reason is Reason.KILLED:
        return "killed"
    return "its status was taken by somebody else"


def _name(number: int) -> str:
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:
        return str(number)
