"""Handles of the library, and when they are freed."""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
import time
import weakref
from contextlib import contextmanager
from types import CodeType
from typing import Any, Callable, Dict, Iterator, List, Optional

from .errors import StateError
from .threads import forget, local, wait_until_none_stays


class Handle:
    """A pointer that belongs to the library, freed once, when nobody uses it.

    The library forbids to free a handle while another thread is in a call with it, so uses are counted: close() waits for them.
    """

    _what = "handle"

    def __init__(self, pointer: int, free: Callable[[int], None]) -> None:
        self._pointer: Optional[int] = pointer
        self._free = free
        self._users = 0
        self._changed = threading.Condition(threading.RLock())
        open_handles.add(self)
        if ending.begun:  # looked at after it was added, so that what _end() misses is seen here
            self.close()
            ending.refuse()

    @contextmanager
    def _use(self) -> Iterator[int]:
        with self._changed:
            if self._pointer is None:
                raise StateError(f"the {self._what} is closed")
            self._users += 1
            pointer = self._pointer
        try:
            yield pointer
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()

    def _before_free(self, pointer: int) -> None:
        """Makes those who use the handle come to an end."""

    def close(self) -> None:
        """Frees it. Closing again does nothing."""
        with self._changed:
            pointer, self._pointer = self._pointer, None
        if pointer is None:
            return
        self._before_free(pointer)
        with self._changed:
            while self._users:
                if not ending.wait(self._changed):
                    return  # The interpreter ends, and somebody uses it still.
        self._free(pointer)

    def __del__(self) -> None:
        pointer, self._pointer = getattr(self, "_pointer", None), None
        if pointer is None or ending.over:
            return
        if local.here.depth:
            # Freeing a process waits for its end, which must not happen on a thread that the process may wait for.
            threading.Thread(target=self._free, args=(pointer,), daemon=True).start()
        else:
            self._free(pointer)


class References:
    """What C holds a reference to: tokens that are handed to it as user data, until it calls destroy with them."""

    def __init__(self) -> None:
        self._next = 1
        self._held: Dict[int, Any] = {}
        self.get: Callable[[int], Any] = self._held.__getitem__
        self._changed = threading.Condition(threading.RLock())

    def hold(self, thing: Any) -> int:
        with self._changed:
            if ending.begun:
                ending.refuse()
            token = self._next
            self._next += 1
            self._held[token] = thing
            return token

    def drop(self, token: int) -> None:
        with self._changed:
            thing = self._held.pop(token, None)
            self._changed.notify_all()
        del thing  # whatever it frees is freed without the lock

    def count(self) -> int:
        return len(self._held)

    def wait_until_none(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._held, seconds)


class Ended(BaseException):
    """What is raised in a handler that is still at work when the interpreter ends."""


class Ending:
    """The end of the interpreter. A thread of the library that is in Python then, or calls into it, is ended by the interpreter as soon
    as it wants its lock, which a thread with frames of the library's cannot be: it takes the process along. So nothing that has
    callbacks is made any more, and the interpreter waits until nobody is in one."""

    def __init__(self) -> None:
        self.begun = False
        self.over = False
        self._until = 0.0
        self._raise_at = 0.0
        self._handlers: Dict[CodeType, bool] = {}

    def enters(self, function: Callable[..., Any], handler: bool = False) -> Callable[..., Any]:
        """Says that C calls this function, and whether that is for a handler."""
        self._handlers[function.__code__] = handler
        return function

    def refuse(self) -> None:
        raise StateError("the interpreter ends")

    def begin(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self.begun = True

    def left(self) -> Optional[float]:
        """How many seconds may still be waited. None: as many as it takes, for the interpreter goes on."""
        return max(0.0, self._until - time.monotonic()) if self.begun else None

    def wait(self, changed: threading.Condition) -> bool:
        """Waits for a change, or only for a moment when the interpreter ends. Returns whether it is worth while to wait on."""
        if not self.begun:
            changed.wait()
            return True
        self.somebody_inside()
        changed.wait(0.01)
        return self.left() != 0

    def join(self, thread: threading.Thread) -> None:
        while thread.is_alive() and self.left() != 0:
            if self.begun:
                self.somebody_inside()
            thread.join(0.01 if self.begun else None)

    def somebody_inside(self) -> bool:
        """Whether a thread is in what C has called. Handlers among that are ended, by an exception."""
        again = time.monotonic() >= self._raise_at
        inside = False
        for ident, frame in sys._current_frames().items():
            called = None
            while frame is not None:
                handler = self._handlers.get(frame.f_code)
                inside = inside or handler is not None
                # What this package does around a handler is not to be interrupted.
                if handler and again and called and called.f_globals.get("__package__") != __package__:
                    self._raise_at = time.monotonic() + 0.5  # It may have something to do on its way out.
                    _raise_in(ctypes.c_ulong(ident), ctypes.py_object(Ended))
                frame, called = frame.f_back, frame
        return inside

    def wait_until_nobody_inside(self) -> None:
        while self.somebody_inside() and self.left():
            time.sleep(0.01)


_raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
ending = Ending()
references = References()
open_handles: "weakref.WeakSet[Handle]" = weakref.WeakSet()


@contextmanager
def callback() -> Iterator[None]:
    """Surrounds what C calls."""
    here = local.here
    here.depth += 1
    try:
        yield
    finally:
        here.depth -= 1
        if not here.depth and not here.stay:
            forget(here.ident)


def _opened() -> List[Handle]:
    while True:
        try:
            return list(open_handles)
        except RuntimeError:
            pass  # another thread has made one meanwhile


@atexit.register
def _end() -> None:
    """Ends all sandboxes before the interpreter does: from then on a thread of the library cannot call into it any more."""
    ending.begin(2)
    # A program that is being started uses a policy and a supervisor, of which this one can make it fail.
    for handle in sorted(_opened(), key=lambda handle: ("process", "supervisor", "policy").index(handle._what)):
        handle.close()
    ending.begin(4)
    with references._changed:
        while references._held and ending.wait(references._changed):
            pass
    ending.wait_until_nobody_inside()
    wait_until_none_stays(ending.left() or 0.0)
    ending.wait_until_nobody_inside()  # Whoever has said that he leaves is on his way only.
    ending.over = True


def _forget() -> None:
    """In a fork of the host all handles are of no use, and nobody will call destroy."""
    global references
    references._held.clear()
    references._changed = threading.Condition(threading.RLock())
    for handle in list(open_handles):
        handle._changed = threading.Condition(threading.RLock())
        handle._users = 0
    open_handles.clear()


os.register_at_fork(after_in_child=_forget)
