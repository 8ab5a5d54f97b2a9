"""Handlers: Python code that answers system calls of a program."""

from __future__ import annotations

import asyncio
import ctypes
import enum
import inspect
import logging
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Callable, ContextManager, Coroutine, Dict, Mapping, Optional, Tuple, Union

from . import capi
from .errors import Stale, StateError, call, taken
from .handles import Ended, callback, ending, references
from .threads import local, stay
from .values import content

log = logging.getLogger("sandlock")
EPERM = 1
STALE = -10
MOST = 2**24
"""How many bytes are read of a program at a time."""


class ExceptionPolicy(enum.Enum):
    """What becomes of a call whose handler raised, or returned something that is no NotifAction."""

    DENY_EPERM = "deny"
    """It fails with EPERM. The default."""
    KILL = "kill"
    """The sandbox is ended."""
    CONTINUE = "continue"
    """It runs. Only for handlers that watch and do not decide."""


@dataclass(frozen=True)
class NotifAction:
    """The answer to a call. Made by the functions below."""

    kind: str
    value: int = 0
    data: bytes = b""
    file: Any = None
    number: Optional[int] = None
    keep_on_exec: bool = False

    @staticmethod
    def continue_() -> "NotifAction":
        """The call goes on to the next handler for it, and runs if all say so. An `async` handler has no next one."""
        return _CONTINUE

    @staticmethod
    def errno(number: int) -> "NotifAction":
        """It fails with this errno, 1 to 4095."""
        return _errnos[number] if type(number) is int and number in _errnos else _known(_errnos, "errno", number)

    @staticmethod
    def returns(value: int) -> "NotifAction":
        """It returns this value without running."""
        return _values[value] if type(value) is int and value in _values else _known(_values, "return", value)

    @staticmethod
    def inject_fd_send(fd: Any, number: Optional[int] = None, keep_on_exec: bool = False) -> "NotifAction":
        """It returns a duplicate of a descriptor, or file object, of the host, which stays the host's: at the lowest free number of
        the program, or at `number`."""
        return NotifAction("fd", file=fd, number=number, keep_on_exec=keep_on_exec)

    @staticmethod
    def inject_bytes(data: Union[bytes, str], keep_on_exec: bool = False) -> "NotifAction":
        """It returns a descriptor of a file in memory with this content, which nobody can change."""
        data = data.encode() if isinstance(data, str) else content("inject_bytes", data)
        return NotifAction("bytes", data=data, keep_on_exec=keep_on_exec)

    @staticmethod
    def kill() -> "NotifAction":
        """The sandbox is ended."""
        return NotifAction("kill")

    def _answer(self, noun: str, pointer: int) -> int:
        """Answers a call in C, of the noun "notification" or "pending"; says what a handler in C returns then."""
        # These three are what a program waits for most often; that they fail for another reason than want of a caller is a bug, so
        # they are not asked for a text.
        if self.kind == "return":
            status = _RETURN[noun](pointer, ctypes.c_int64(within(self.value, -(2**63), 2**63 - 1)), None)
        elif self.kind == "errno":
            status = _DENY[noun](pointer, ctypes.c_int32(within(self.value, 1, 4095)), None)
        elif self.kind == "continue":
            if noun == "notification":
                return PASS
            status = capi.sandlock_pending_continue(pointer, None)
        else:
            self._answer_otherwise(noun, pointer)
            return DONE
        return settled(status)

    def _answer_otherwise(self, noun: str, pointer: int) -> None:
        if self.kind == "bytes":
            arguments: Tuple[Any, ...] = ("return_bytes", self.data, len(self.data), self._flags())
        elif self.kind == "kill":
            arguments = ("kill",)
        else:
            fd = self.file if isinstance(self.file, int) else self.file.fileno()
            if self.number is None:
                arguments = ("return_fd", fd, self._flags())
            else:
                arguments = ("return_fd_at", fd, within(self.number, 0, 2**31 - 1), self._flags())
        try:
            call(getattr(capi, f"sandlock_{noun}_{arguments[0]}"), pointer, *arguments[1:])
        except Stale:
            pass  # Nobody waits for the answer any more.

    def _flags(self) -> int:
        return capi.SANDLOCK_FD_KEEP_ON_EXEC if self.keep_on_exec else 0


PASS, DONE = capi.SANDLOCK_HANDLER_PASS, capi.SANDLOCK_HANDLER_DONE
_CONTINUE = NotifAction("continue")


_new = object.__new__

# An answer takes as long to make as everything else that is done for a call. It never changes, so for small numbers there is one of each.
_values: Dict[int, NotifAction] = {}
_numbers: Dict[int, Any] = {}
"""These values, as C is given them."""
_errnos: Dict[int, NotifAction] = {}


def _known(known: Dict[int, NotifAction], kind: str, value: int) -> NotifAction:
    action = NotifAction(kind, value)
    if type(value) is int and 0 <= value < 4096:
        known[value] = action
        if kind == "return":
            _numbers[value] = ctypes.c_int64.from_param(value)
    return action


def settled(status: int) -> int:
    """What a handler in C returns when it has given an answer, and that came to a status."""
    if status and status != STALE:  # for which nobody waits any more
        raise taken(status, None)
    return DONE


class _Answers(Dict[str, Any]):
    """By nouns, the function that gives this answer.

    That of a notification is called with the interpreter's lock held, as to give it away and take it again takes as long as the rest of
    the call. It may be, for it waits for nobody: it decides who is first by an atomic number, and tells the kernel.
    """

    def __init__(self, verb: str) -> None:
        self.verb = verb

    def __missing__(self, noun: str) -> Any:
        name = f"sandlock_{noun}_{self.verb}"
        self[noun] = function = capi.with_the_lock(name) if noun == "notification" else getattr(capi, name)
        return function


_RETURN, _DENY = _Answers("return"), _Answers("deny")


def within(value: int, least: int, most: int) -> int:
    """A number that C can hold: ctypes would cut off what is more."""
    if not least <= value <= most:
        raise ValueError(f"{value} is not within {least} and {most}")
    return value


class _Look:
    """Something of a call that is looked up when it is first asked for, and kept beside its name then."""

    def __init__(self, look: Callable[[int], Any]) -> None:
        self.look = look

    def __set_name__(self, _: Any, name: str) -> None:
        self.name = name

    def __get__(self, context: Any, _: Any = None) -> Any:
        if context is None:
            return self
        context.__dict__[self.name] = value = self.look(context._valid())
        return value


class Context:
    """A system call, as a handler sees it. Of no more use when the handler has returned."""

    _noun = "notification"
    _lock: ContextManager[Any] = nullcontext()  # it is one thread's

    def __init__(self, pointer: int, thread: int) -> None:
        self._pointer: Optional[int] = pointer
        self._thread = thread

    number: int = _Look(lambda pointer: capi.sandlock_notification_syscall(pointer))  # type: ignore[assignment]
    """The number of the call."""
    name: str = _Look(lambda pointer: capi.sandlock_notification_syscall_name(pointer).decode())  # type: ignore[assignment]
    """Its name: "openat"."""
    args: Tuple[int, ...] = _Look(  # type: ignore[assignment]
        lambda pointer: tuple(capi.sandlock_notification_arg(pointer, index) for index in range(6))
    )
    """Its six arguments as they were in the registers: an int has rubbish in its upper half."""
    pid: int = _Look(lambda pointer: capi.sandlock_notification_pid(pointer))  # type: ignore[assignment]
    """The thread that calls, as the host numbers it."""

    def _function(self, verb: str) -> Any:
        return getattr(capi, f"sandlock_{self._noun}_{verb}")

    def _valid(self) -> int:
        if self._pointer is None:
            raise StateError("the call was answered, or its handler has returned")
        if self._thread != threading.get_ident():
            raise StateError("the call belongs to the thread that runs its handler; defer() makes one for any thread")
        return self._pointer

    def read(self, address: int, length: int) -> bytes:
        """Up to `length` bytes of the caller's memory, which are 16 MiB at most: a length that the program says can be any. The
        program can change them at any time: decide by the copy."""
        buffer = ctypes.create_string_buffer(max(within(length, 0, MOST), 1))
        done = ctypes.c_size_t()
        with self._lock:
            call(self._function("read"), self._valid(), address, buffer, length, ctypes.byref(done))
        return ctypes.string_at(buffer, done.value)

    def read_string(self, address: int, capacity: int = 4096) -> bytes:
        """The string at `address`, of less than `capacity` bytes. A path, mostly: os.fsdecode() makes text of it."""
        buffer = ctypes.create_string_buffer(max(within(capacity, 0, MOST), 1))
        done = ctypes.c_size_t()
        with self._lock:
            call(self._function("read_string"), self._valid(), address, buffer, capacity, ctypes.byref(done))
        return ctypes.string_at(buffer, done.value)

    def write(self, address: int, data: bytes) -> None:
        """Writes to the caller's memory."""
        data = content("write", data)
        with self._lock:
            call(self._function("write"), self._valid(), address, data, len(data))

    def defer(self) -> "Pending":
        """Puts the answer off: whoever has it gives it later, from any thread, by what this returns. What the handler returns does
        not count then. A call whose Pending is closed or forgotten is denied with EPERM."""
        out = ctypes.c_void_p()
        seen = {name: getattr(self, name) for name in ("number", "name", "args", "pid")}
        call(capi.sandlock_notification_defer, self._valid(), ctypes.byref(out))
        self._pointer = None
        return Pending(out.value or 0, seen)

    def _close(self) -> None:
        self._pointer = None


class Pending(Context):
    """A system call that was put off. Any thread; of several answers the first counts."""

    _noun = "pending"

    def __init__(self, pointer: int, seen: Mapping[str, Any]) -> None:
        super().__init__(pointer, 0)
        self._lock = threading.RLock()
        self.__dict__.update(seen)

    def _valid(self) -> int:
        if self._pointer is None:
            raise StateError("the call was answered")
        return self._pointer

    def answer(self, action: NotifAction) -> None:
        """Answers the call. If it cannot be answered like that, it is still to be answered."""
        with self._lock:
            action._answer("pending", self._valid())
            self.close()

    def defer(self) -> "Pending":
        raise StateError("the call was put off already")

    def close(self) -> None:
        """Denies the call with EPERM if it was not answered."""
        with self._lock:
            pointer, self._pointer = self._pointer, None
            if pointer is not None:
                capi.sandlock_pending_free(pointer)

    _close = close

    def __del__(self) -> None:
        if "_lock" in self.__dict__:
            self.close()


class Handler:
    """Answers calls: override handle(), as an ordinary method or as `async def`.

    An ordinary one runs on a thread of the library, several at a time, and has the supervisor's deadline. An `async` one runs on the
    event loop of Sandbox.arun(), or on one in a thread of its own, and has no deadline.
    """

    on_exception: ExceptionPolicy = ExceptionPolicy.DENY_EPERM

    def handle(self, ctx: Context) -> Any:
        """Looks at a call and says what becomes of it: a NotifAction."""
        raise NotImplementedError


class FunctionHandler(Handler):
    """A function, or coroutine function, as a handler."""

    def __init__(self, function: Callable[[Context], Any]) -> None:
        self.handle = function  # type: ignore[method-assign]


def is_async(handle: Callable[..., Any]) -> bool:
    """Whether it is a coroutine function, or an object that is called like one."""
    return inspect.iscoroutinefunction(handle) or inspect.iscoroutinefunction(getattr(handle, "__call__", None))


class Tasks(Dict["asyncio.Task[None]", Pending]):
    """The coroutines that are at work, and the calls they are for. Once they have ended, no call gets another: it is denied."""

    ended = False

    def end(self) -> None:
        """On the loop that they run on."""
        self.ended = True
        for task, pending in list(self.items()):
            task.cancel()
            pending.close()  # One that has not begun will not do it.


class Entry:
    """A handler as C knows it: the token of one is the user data."""

    def __init__(
        self, name: str, handler: Handler, loop: Callable[[], asyncio.AbstractEventLoop], tasks: Tasks
    ) -> None:
        self.name = name
        self.handler = handler
        self.loop = loop
        self.tasks = tasks

    def function(self) -> Any:
        """What C calls. It is to be kept until C says that it needs it no more."""
        return capi.sandlock_handler_fn(_putting_off(self) if is_async(self.handler.handle) else _answering(self))

    def _await(self, context: Context, coroutine: "Coroutine[Any, Any, Any]") -> Pending:
        """Puts off a call for which an ordinary handler has returned a coroutine, as a lambda does that calls a coroutine function. That
        has the context, which so becomes what the call was put off as. Returns what is left."""
        try:
            loop = self.loop()
            pending = context.defer()
        except BaseException:
            coroutine.close()
            raise
        context.__class__ = Pending
        context.__dict__, pending.__dict__ = pending.__dict__, {}
        self._hand_over(loop, context, coroutine)  # type: ignore[arg-type]
        return pending

    def _hand_over(
        self,
        loop: asyncio.AbstractEventLoop,
        pending: Pending,
        coroutine: "Optional[Coroutine[Any, Any, Any]]" = None,
    ) -> None:
        try:
            loop.call_soon_threadsafe(self._start, pending, coroutine)
        except RuntimeError:  # the loop was closed
            self._drop(pending, coroutine)

    def _drop(self, pending: Pending, coroutine: "Optional[Coroutine[Any, Any, Any]]") -> None:
        pending.close()
        if coroutine:
            coroutine.close()

    def _start(self, pending: Pending, coroutine: "Optional[Coroutine[Any, Any, Any]]") -> None:
        if self.tasks.ended:
            self._drop(pending, coroutine)
            return
        task = asyncio.ensure_future(self._serve_later(pending, coroutine))
        self.tasks[task] = pending
        task.add_done_callback(lambda task: self.tasks.pop(task, None))

    async def _serve_later(self, pending: Pending, coroutine: "Optional[Coroutine[Any, Any, Any]]") -> None:
        try:
            try:
                action = checked(await (coroutine or self.handler.handle(pending)))
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: B902
                action = self._after(error)
            with pending._lock:
                if pending._pointer is not None:  # it was not answered by the handler itself
                    try:
                        action._answer("pending", pending._pointer)
                    except BaseException as error:  # noqa: B902 - an errno out of range, a descriptor that is not open
                        self._after(error)._answer("pending", pending._pointer)
        finally:
            pending.close()

    ending.enters(_serve_later, handler=True)

    def _after(self, error: BaseException) -> NotifAction:
        """What becomes of a call whose handler failed."""
        policy = self.handler.on_exception
        try:
            if not isinstance(error, Ended):
                log.error("the handler of %s failed: %r", self.name, error, exc_info=error)
        except Exception:
            pass  # A logger that fails changes no decision.
        if policy is ExceptionPolicy.KILL:
            return NotifAction.kill()
        if policy is ExceptionPolicy.CONTINUE:
            return NotifAction.continue_()
        return NotifAction.errno(EPERM)


def checked(action: Any) -> NotifAction:
    if not isinstance(action, NotifAction):
        raise TypeError(f"a handler returned {action!r}, which is no NotifAction")
    return action


# What C calls for a handler. A call into Python and another out of it again cost so much more than the work in between that both are
# all there is on the way of a call: there is one function for each handler, so that nothing is looked up, and one frame, with the answer
# that is given most often in it. No exception leaves these: C would take one for DONE, without an answer.


def _answering(entry: Entry) -> Callable[[int, int], int]:
    handle = entry.handler.handle
    give = _RETURN["notification"]

    def called(pointer: int, _: int) -> int:
        try:
            here = local.here
            if not here.asked:
                stay(here)
            # As Context(pointer, here.ident), without the detour by its class.
            context = _new(Context)
            context._pointer = pointer
            context._thread = here.ident
            try:
                action = handle(context)
                if context._pointer is None:  # it was put off
                    return DONE
                if type(action) is not NotifAction:
                    if inspect.iscoroutine(action):
                        context = entry._await(context, action)
                        return DONE
                    raise TypeError(f"a handler returned {action!r}, which is no NotifAction")
                if action.kind == "return" and action.value in _numbers:
                    status = give(pointer, _numbers[action.value], None)
                    return settled(status) if status else DONE
                return action._answer("notification", pointer)
            except BaseException as error:  # noqa: B902 - whatever it is, it must not reach C
                # Of the handler, or an errno out of range, or a descriptor that is not open.
                return DONE if context._pointer is None else entry._after(error)._answer("notification", pointer)
            finally:
                context._pointer = None
        except BaseException as error:  # noqa: B902
            return _failed(error)

    return ending.enters(called, handler=True)


def _putting_off(entry: Entry) -> Callable[[int, int], int]:
    def called(pointer: int, _: int) -> int:
        try:
            here = local.here
            if not here.asked:
                stay(here)
            entry._hand_over(entry.loop(), Context(pointer, here.ident).defer())
            return DONE
        except BaseException as error:  # noqa: B902
            return _failed(error)

    return ending.enters(called)


def _failed(error: BaseException) -> int:
    try:
        if not isinstance(error, Ended):
            log.error("a call could not be handled: %r", error)
    except Exception:
        pass
    return -1  # which C takes for a handler that failed: the call is denied


def _destroyed(token: int) -> None:
    with callback():
        references.drop(token)


def _said(level: int, message: bytes, _token: int) -> None:
    with callback():
        text = message.decode("utf-8", "backslashreplace")
        log.log(logging.ERROR if level == capi.SANDLOCK_LOG_ERROR else logging.WARNING, "%s", text)


# Made once and kept for good: C may call them as long as anything lives.
on_destroy = capi.sandlock_destroy_fn(ending.enters(_destroyed))
on_log = capi.sandlock_log_fn(ending.enters(_said))
