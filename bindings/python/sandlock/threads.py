"""Threads of the library that call into Python: which one this is, and how long the interpreter knows it.

When a thread that it has not made calls in, the interpreter makes a state for it, and throws that away when the thread leaves. That takes
longer than all that a handler does, for a state has memory of its own that is mapped and unmapped. A thread that has called once will
call again; so it keeps its state until it ends.
"""

from __future__ import annotations

import ctypes
import queue
import threading
import time
from typing import Any, Optional, Set

# Without locks: states end in forks, too, where nobody would give a lock back.
_staying: Set[int] = set()
_news: "queue.SimpleQueue[None]" = queue.SimpleQueue()
_awaited = False


def forget(ident: int) -> None:
    """Whoever asks for the current thread, as every line of a log does, is given an object for one that Python has not made; before
    3.12 that is kept for good, under a number that the next thread may have."""
    if isinstance(_known.get(ident), _Dummy):
        _known.pop(ident, None)


_known = getattr(threading, "_active", {})
_Dummy = getattr(threading, "_DummyThread", ())


class _Stay:
    """Belongs to a thread's state, and ends with that."""

    def __init__(self, ident: int) -> None:
        self.ident = ident
        _staying.add(id(self))

    def __del__(self) -> None:
        forget(self.ident)
        _staying.discard(id(self))
        if _awaited:
            _news.put(None)


class Here:
    """Of one thread: its number, how deep it is in callbacks from C, and what it keeps its state by."""

    __slots__ = ("ident", "depth", "asked", "stay")

    def __init__(self) -> None:
        self.ident = threading.get_ident()
        self.depth = 0
        self.asked = False
        self.stay: Optional[_Stay] = None


class _Local(threading.local):
    def __init__(self) -> None:
        self.here = Here()


local = _Local()


def _on_exit() -> Any:
    """What libc calls functions by when a thread ends, before it forgets which state was the thread's; None if it has no such thing."""
    try:
        at_exit = ctypes.CDLL(None)["__cxa_thread_atexit_impl"]
    except AttributeError:
        return None
    at_exit.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    return at_exit


_at_exit = _on_exit()
_ensure = ctypes.pythonapi.PyGILState_Ensure
_release = ctypes.pythonapi.PyGILState_Release
_LOCKED, _UNLOCKED = 0, 1


def stay(here: Here) -> None:
    """Has this thread keep its state until it ends. Called once for each, in the outermost callback from C.

    The state is counted as one that is in use once more, and what takes that back when the thread ends runs without any code of
    Python's: the lock is taken, and the two uses are over. The last function that was named is called first.
    """
    here.asked = True
    here.depth += 1  # and never less: it is always in a callback
    forget(here.ident)
    if _at_exit is None or any(thread.ident == here.ident for thread in threading.enumerate()):
        return  # Python has made this one itself.
    here.stay = _Stay(here.ident)
    _ensure()
    for function, argument in ((_release, _UNLOCKED), (_release, _LOCKED), (_ensure, None)):
        address = ctypes.cast(function, ctypes.c_void_p)
        _at_exit(address, argument, address)  # by an address in it libc knows what must stay loaded


def wait_until_none_stays(seconds: float) -> bool:
    """Before the interpreter ends: one that ended later would look for its state in vain."""
    global _awaited
    _awaited = True
    end = time.monotonic() + seconds
    try:
        while _staying:
            _news.get(timeout=max(0.0, end - time.monotonic()))
        return True
    except queue.Empty:
        return False
    finally:
        _awaited = False
