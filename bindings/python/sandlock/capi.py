"""The C API, one to one, by ctypes.

Functions, constants, structures and callback types have the names that include/sandlock.h gives them, and that is their manual.
Handles are integers (or None), strings are bytes, outputs are given by ctypes.byref(). Nothing is checked, converted or freed here,
and no exception is raised for a failure: that is what the rest of the package is for.

    >>> from sandlock import capi
    >>> policy = capi.sandlock_policy_new()
    >>> capi.sandlock_policy_allow_path(policy, b"/usr", capi.SANDLOCK_ACCESS_READ, None) == capi.SANDLOCK_OK
    True
    >>> capi.sandlock_policy_free(policy)

The library is loaded when its first function is used: the file that the environment variable SANDLOCK_LIBRARY names, or else
libsandlock.so.0 as the dynamic linker finds it. Calls release the interpreter's lock while they run.
"""

from __future__ import annotations

import ctypes
import os
import threading
from typing import Any, List, Optional

from . import capi_table
from .capi_table import *  # noqa: F401,F403 - constants, structures and callback types
from .errors import LibraryError

_lock = threading.Lock()
_library: Optional[ctypes.CDLL] = None


def load() -> ctypes.CDLL:
    """The library, loaded if it was not yet."""
    global _library
    with _lock:
        if _library is None:
            name = os.environ.get("SANDLOCK_LIBRARY") or "libsandlock.so.0"
            try:
                _library = ctypes.CDLL(name)
            except OSError as error:
                raise LibraryError(
                    f"cannot load {name}: {error}; install libsandlock, or name its file in SANDLOCK_LIBRARY"
                ) from None
        return _library


def _function(library: ctypes.CDLL, name: str) -> Any:
    try:
        function = library[name]
    except AttributeError:
        raise LibraryError(f"the installed libsandlock is older than this package: it has no {name}") from None
    function.restype, function.argtypes = capi_table.FUNCTIONS[name]
    return function


def with_the_lock(name: str) -> Any:
    """A function as it is called with the interpreter's lock held: only for what returns at once and waits for nobody. It is given a
    handle and then what ctypes has made (ctypes.c_int64(1), say) or None, for a null pointer: to be told of types and convert to them
    takes half of the time of a call."""
    library = load()
    function = _function(ctypes.PyDLL(library._name, handle=library._handle), name)
    function.argtypes = function.argtypes[:1]
    return function


def __getattr__(name: str) -> Any:
    if name not in capi_table.FUNCTIONS:
        raise AttributeError(f"the C API has no {name}")
    globals()[name] = function = _function(load(), name)
    return function


def __dir__() -> List[str]:
    return sorted({*globals(), *capi_table.FUNCTIONS})
