"""How values of Python become values of C."""

from __future__ import annotations

import math
import numbers
import os
import re
import time
from typing import Any, Iterator, List, Optional, Sequence, Union

Text = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class optional(str):  # noqa: N801 - read as a word: fs_readable=["/usr", optional("/lib64")]
    """A path that may be missing, and then grants nothing. Other paths must exist, or nothing is started."""

    def __repr__(self) -> str:
        return f"optional({super().__repr__()})"


def encode(value: Text) -> bytes:
    """The bytes of a text or path, as the file system has them. A NUL would end it early in C, so there must be none."""
    data = os.fsencode(value)
    if b"\0" in data:
        raise ValueError(f"{value!r} has a NUL in it")
    return data


def content(what: str, value: Any) -> bytes:
    """What is bytes, or like them. A number would come to so many NULs, and a text has none without an encoding."""
    try:
        return value if type(value) is bytes else bytes(memoryview(value))
    except TypeError:
        raise TypeError(f"{what}: {value!r} is no bytes") from None


def sequence(field: str, value: Any) -> List[Any]:
    """The items of a field that is a list. A lone string would be taken for a list of letters."""
    if value is None:
        return []
    if type(value) in (tuple, list):
        return list(value)
    if isinstance(value, (str, bytes, os.PathLike)):
        raise TypeError(f"{field} is a list, not {value!r}")
    if isinstance(value, Iterator):
        raise TypeError(f"{field} is a list, not {value!r}, which can be read only once")
    return list(value)


def size(field: str, value: Union[int, str]) -> int:
    """Bytes: a number, or "256M", with K, M, G or T for powers of 1024."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise TypeError(f"{field}: {value!r} is neither a number nor a text")
    if isinstance(value, int):
        number = value
    else:
        match = re.fullmatch(r"\s*([0-9]+)\s*([KMGT]?)(?:i?B)?\s*", value, flags=re.I)
        if not match:
            raise ValueError(f'{field}: "{value}" is no size; one is 268435456, or "256M"')
        number = int(match[1]) * _UNITS[match[2].upper()]
    return natural(field, number)


def natural(field: str, value: Any) -> int:
    """A whole number from 0 to what 64 bits hold less one, the largest being how the library says "unlimited"."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{field}: {value!r} is no whole number")
    if not 0 <= value < 2**64 - 1:
        raise ValueError(f"{field}: {value} is out of range")
    return value


def milliseconds(field: str, seconds: float) -> int:
    """Seconds as milliseconds, rounded up: a limit of little is not one of nothing."""
    if seconds != seconds or seconds < 0:
        raise ValueError(f"{field}: {seconds} is no time")
    if seconds == math.inf:
        return 2**64 - 1  # "unlimited"
    return natural(field, int(min(-(-seconds * 1000 // 1), 2.0**64)))


LONGEST = 2**31 // 1000 - 1
"""The seconds that C can be told of in milliseconds: 24 days. What is longer is no limit."""


def patience(field: str, seconds: Optional[float]) -> Optional[float]:
    """Seconds that are waited, or None for no limit."""
    if seconds is None:
        return None
    if not isinstance(seconds, numbers.Real):
        raise TypeError(f"{field}: {seconds!r} is no time")
    if seconds != seconds:
        raise ValueError(f"{field}: {seconds} is no time")
    return None if seconds > LONGEST else max(0.0, float(seconds))


def moment(timeout: Optional[float]) -> Optional[float]:
    """When so many seconds from now will be over."""
    waited = patience("timeout", timeout)
    return None if waited is None else time.monotonic() + waited


def left(deadline: Optional[float]) -> Optional[float]:
    """The seconds until then."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def command(cmd: Sequence[Text]) -> List[bytes]:
    """An argument list. Nothing is split or expanded, so a command is never one string."""
    if isinstance(cmd, (str, bytes, os.PathLike)):
        raise TypeError(f"a command is a list of arguments, not {cmd!r}")
    arguments = [encode(argument) for argument in cmd]
    if not arguments:
        raise ValueError("a command has at least one argument: the program")
    return arguments
