"""Unprivileged process sandboxing on Linux, by libsandlock.

    >>> from sandlock import Sandbox, optional
    >>> sandbox = Sandbox(fs_readable=["/usr", "/bin", "/lib", optional("/lib64")], clean_env=True)
    >>> sandbox.run(["cat", "/etc/passwd"]).stderr
    b'cat: /etc/passwd: Permission denied\\n'

`sandlock.capi` is the C API itself.
"""

from .errors import (
    ChildSetupError,
    ExecError,
    InternalError,
    InvalidArgument,
    LibraryError,
    LimitExceeded,
    NotFound,
    PermissionRefused,
    SandlockError,
    Stale,
    StateError,
    SystemFailure,
    Timeout,
    Unsupported,
    UnsupportedField,
    WouldDeadlock,
)
from .handler import Context, ExceptionPolicy, Handler, NotifAction, Pending
from .policy import MemoryMount
from .process import CAPTURE, Member, Port, Process
from .result import Reason, Result, Usage
from .sandbox import Sandbox, capabilities, confine, landlock_abi_version
from .values import optional

__version__ = "0.1.0"

__all__ = [
    "CAPTURE",
    "ChildSetupError",
    "Context",
    "ExceptionPolicy",
    "ExecError",
    "Handler",
    "InternalError",
    "InvalidArgument",
    "LibraryError",
    "LimitExceeded",
    "Member",
    "MemoryMount",
    "NotFound",
    "NotifAction",
    "Pending",
    "PermissionRefused",
    "Port",
    "Process",
    "Reason",
    "Result",
    "Sandbox",
    "SandlockError",
    "Stale",
    "StateError",
    "SystemFailure",
    "Timeout",
    "Unsupported",
    "UnsupportedField",
    "Usage",
    "WouldDeadlock",
    "capabilities",
    "confine",
    "landlock_abi_version",
    "optional",
]
