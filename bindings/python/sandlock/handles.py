"""Handles of the library, and when they are freed."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, Optional

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
                self._changed.wait()
        self._free(pointer)

    def __del__(self) -> None:
        pointer, self._pointer = getattr(self, "_pointer", None), None
        if pointer is None:
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


@atexit.register
def _end() -> None:
    """Ends all sandboxes before the interpreter does: from then on a thread of the library cannot call into it any more."""
    for handle in sorted(open_handles, key=lambda handle: handle._what != "process"):
        handle.close()
    references.wait_until_none(2)
    wait_until_none_stays(2)


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
