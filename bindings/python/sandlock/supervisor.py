"""Who answers the system calls of one program, and the event loop that its async handlers run on."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
import weakref
from functools import partial
from typing import Any, Callable, Mapping, Optional, Union

from . import capi
from .errors import StateError, call
from .handler import Entry, ExceptionPolicy, FunctionHandler, Handler, Tasks, is_async, on_destroy, on_log
from .handles import Handle, ending, references
from .values import encode, patience

Handlers = Mapping[str, Union[Handler, Callable[..., Any]]]


class LoopThread:
    """An event loop in a thread of its own, for async handlers of a host that has none running."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="sandlock-handlers", daemon=True)
        self._thread.start()

    def close(self, tasks: Tasks) -> None:
        def stop() -> None:
            tasks.end()
            self.loop.call_soon(self.loop.stop)  # after the turn in which the tasks learn of it

        self.loop.call_soon_threadsafe(stop)
        if threading.current_thread() is not self._thread:
            ending.join(self._thread)
            if not self._thread.is_alive():
                self.loop.close()


class Supervisor(Handle):
    """Handlers by the names of system calls ("openat") or groups ("@file-system").

    Ordinary handlers look at a call first, in the order of the mapping; then the async ones, of which the first decides.
    """

    _what = "supervisor"

    def __init__(
        self, handlers: Handlers, loop: Optional[asyncio.AbstractEventLoop] = None, deadline: Optional[float] = None
    ) -> None:
        wrapped = {name: wrap(name, handler) for name, handler in handlers.items()}
        slow = {name: handler for name, handler in wrapped.items() if is_async(handler.handle)}
        options = capi.sandlock_supervisor_options()
        capi.sandlock_supervisor_options_init(ctypes.byref(options))
        if deadline is not None:
            seconds = patience("deadline", deadline)
            options.deadline_ms = 2**32 - 1 if seconds is None else max(1, round(seconds * 1000))
        out = ctypes.c_void_p()
        call(capi.sandlock_supervisor_new, ctypes.byref(options), ctypes.byref(out))
        self._host = os.getpid()
        self._tasks = Tasks()
        self._loop = loop
        self._loop_thread: Optional[LoopThread] = None
        super().__init__(out.value or 0, capi.sandlock_supervisor_free)
        try:
            if slow and loop is None:
                loop = self._for_tasks()
            # C keeps this for as long as the supervisor is there, so it must not keep the supervisor.
            find = partial(called, weakref.WeakMethod(self._for_tasks)) if loop is None else lambda: loop
            with self._use() as pointer:
                call(capi.sandlock_supervisor_set_log, pointer, on_log, references.hold(None), on_destroy)
                for name, handler in sorted(wrapped.items(), key=lambda item: item[0] in slow):
                    function = Entry(name, handler, find, self._tasks).function()
                    token = references.hold(function)
                    call(capi.sandlock_supervisor_add_handler, pointer, encode(name), function, token, on_destroy, 0)
        except BaseException:
            self.close()
            raise

    def _for_tasks(self) -> asyncio.AbstractEventLoop:
        """The loop that coroutines run on: the host's, or one that is made for the first of them."""
        if self._loop is not None:
            return self._loop
        with self._changed:
            if self._pointer is None:
                raise StateError("the supervisor is closed")
            if self._loop_thread is None:
                self._loop_thread = LoopThread()
            return self._loop_thread.loop

    def _before_free(self, pointer: int) -> None:
        self.end_tasks()  # A start may be waiting for one.

    def close(self) -> None:
        super().close()
        thread, self._loop_thread = self._loop_thread, None
        if thread and os.getpid() == self._host:  # It did not come along in a fork, and the loop is its own.
            thread.close(self._tasks)

    def end_tasks(self) -> None:
        """Ends the async handlers; what they were asked is denied."""
        loop = self._loop_thread.loop if self._loop_thread else self._loop
        if loop is not None and os.getpid() == self._host:
            try:
                loop.call_soon_threadsafe(self._tasks.end)
            except RuntimeError:
                pass  # The loop is closed, and with it all that ran there.


def called(method: "weakref.WeakMethod[Callable[[], asyncio.AbstractEventLoop]]") -> asyncio.AbstractEventLoop:
    there = method()
    if there is None:
        raise StateError("the supervisor was forgotten")
    return there()


def wrap(name: str, handler: Any) -> Handler:
    if not isinstance(handler, Handler):
        if not callable(handler):
            raise TypeError(f"the handler of {name} is {handler!r}, which is neither a Handler nor a function")
        handler = FunctionHandler(handler)
    if not isinstance(handler.on_exception, ExceptionPolicy):
        raise TypeError(f"the handler of {name} has on_exception={handler.on_exception!r}, which is no ExceptionPolicy")
    return handler
