"""Room below Python's recursion limit for what a guest may call back, looked for before the guest is entered.

A generator that is resumed at the limit ends without coming to its nets (``trampoline``), ctypes has no answer that it
could give the runtime, and the process crashes. So each call first goes as deep as a callback's way to its first
instruction, and raises RecursionError itself.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _inner() -> None:
    pass


def _outer() -> None:
    _inner()


def _nested(levels: int) -> tuple[Any, ...]:
    found: tuple[Any, ...] = ()
    for _ in range(levels):
        found = (found,)
    return found


# As source text for generated calls, and the names in it. Since Python 3.12 only Python's frames count, and there is
# one to come. Before, C functions do as well, and comparisons, by which this is done in half the time.
LOOK = "_room()"
NAMES: dict[str, Any] = {"_room": _outer}
if sys.version_info < (3, 12):
    LOOK = "_deep == _equally"
    NAMES = {"_deep": _nested(8), "_equally": _nested(8)}
