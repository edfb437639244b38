"""A function of the host that a guest may import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostFunction:
    """One import: its two names, its signature in letters, the Python callable behind it.

    Letters: ``i`` i32 (arrives unsigned), ``I`` i64 (arrives signed), ``f`` f32, ``F`` f64.

    When ``call`` raises, the exception is kept on the instance and raised again by the guest call that is under way;
    meanwhile the guest receives ``on_error``, or, if that is None, unwinds as a trap.

    ``reentrant`` allows ``call`` to call the guest again; the default refuses that, as it must be refused inside file
    operations.

    ``retry`` is for idempotent functions: an exception that a signal handler raised in the middle is kept, and the
    function is run once more, so that Ctrl-C never looks like an I/O error to the guest.
    """

    module: str
    name: str
    params: str
    result: str
    call: Callable[..., int | float | None]
    on_error: int | float | None = None
    retry: bool = False
    reentrant: bool = False
