"""What can go wrong."""

from __future__ import annotations

import ctypes
from typing import Any, Dict, Optional, Type


class SandlockError(Exception):
    """Everything that this package raises by itself.

    `status` is the library's (SANDLOCK_ERROR_*), `stage` the step that failed (SANDLOCK_STAGE_*), `errno` what the kernel said; each
    is 0 where there is none. The text is the library's message.
    """

    def __init__(self, message: str, status: int = 0, stage: int = 0, errno: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.stage = stage
        self.errno = errno


class LibraryError(SandlockError):
    """libsandlock cannot be loaded, or is too old."""


class UnsupportedField(SandlockError, NotImplementedError):
    """A field or method whose feature the library does not have. `field` names it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


class InvalidArgument(SandlockError, ValueError):
    """A rule or value that is malformed, out of range, or contradicts another."""


class StateError(SandlockError):
    """The call does not fit the state of its object: a program that has ended, a call that was answered."""


class Unsupported(SandlockError):
    """The kernel lacks what the policy requires."""


class PermissionRefused(SandlockError):
    """The kernel refuses the host."""


class NotFound(SandlockError):
    """A file that the policy names does not exist."""


class SystemFailure(SandlockError):
    """A system call failed in the host."""


class ChildSetupError(SandlockError):
    """The process could not be set up or confined. The program has not run."""


class ExecError(SandlockError):
    """The program could not be executed."""


class Timeout(SandlockError, TimeoutError):
    """Time is up, and the program runs on."""

    # OSError, of which TimeoutError is one, has ways of its own to be made and printed.
    def __new__(cls, message: str, status: int = 0, stage: int = 0, errno: int = 0) -> "Timeout":
        return super().__new__(cls, message)

    def __str__(self) -> str:
        return self.message


class Stale(SandlockError):
    """The system call's caller is gone, or its deadline has passed."""


class WouldDeadlock(SandlockError):
    """Waiting here would wait forever: for a program, in the handler that it waits for."""


class LimitExceeded(SandlockError):
    """The policy comes to more than the kernel takes."""


class InternalError(SandlockError):
    """A bug in the library."""


_CLASSES: Dict[int, Type[SandlockError]] = {
    -1: InvalidArgument,
    -2: StateError,
    -3: Unsupported,
    -4: PermissionRefused,
    -5: NotFound,
    -6: SystemFailure,
    -7: ChildSetupError,
    -8: ExecError,
    -9: Timeout,
    -10: Stale,
    -12: WouldDeadlock,
    -14: LimitExceeded,
    -15: InternalError,
}


def call(function: Any, *arguments: Any) -> None:
    """Calls a function of the C API that takes an error last, and raises that."""
    error = ctypes.c_void_p()
    status = function(*arguments, ctypes.byref(error))
    if status:
        raise taken(status, error.value)


def taken(status: int, error: Optional[int]) -> SandlockError:
    """The exception for a failure. Frees the library's error."""
    from . import capi

    kind = _CLASSES.get(status, SandlockError)
    if error is None:
        return kind(capi.sandlock_status_name(status).decode(), status)
    try:
        message = capi.sandlock_error_message(error).decode("utf-8", "backslashreplace")
        return kind(message, status, capi.sandlock_error_stage(error), capi.sandlock_error_errno(error))
    finally:
        capi.sandlock_error_free(error)


