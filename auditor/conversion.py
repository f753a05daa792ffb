"""Values as types, from any thread.

msgspec 0.22 works out a Struct when it is first used, and shows other threads what is not finished: where two threads
use one for the first time at the same moment, the process ends (SIGSEGV). Tasks of one kind begin together, so it did
happen. Here a type is worked out under a lock, once; everything that runs in a task converts here.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any, TypeVar, overload

import msgspec

T = TypeVar("T")
_READY: set[Any] = set()
_LOCK = threading.Lock()


@overload
def convert(value: Any, kind: type[T]) -> T: ...
@overload
def convert(value: Any, kind: Any) -> Any: ...
def convert(value: Any, kind: Any) -> Any:
    """Return a value of JSON as a strict msgspec type; raises `msgspec.ValidationError`."""
    if not _is_ready(kind):
        with _LOCK:
            msgspec.json.Decoder(kind)
            with suppress(TypeError):
                _READY.add(kind)
    return msgspec.convert(value, kind, strict=True)


def _is_ready(kind: Any) -> bool:
    try:
        return kind in _READY
    except TypeError:  # not hashable: worked out under the lock each time
        return False
