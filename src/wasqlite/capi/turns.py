"""Waiting for a lock when the one who holds it lives in the same instance, and needs the instance to give it back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from wasqlite.bridge import HostFunction, Memory, MemoryAccessError
from wasqlite.bridge.wasi import SUBSCRIPTION
from wasqlite.capi.progress import Progress

_TIMEOUT = 3
"""Position of the timeout in a subscription."""


def without_sleep(
    functions: Callable[[Memory], Iterable[HostFunction]], handles: Collection[object], progress: Progress
) -> Callable[[Memory], Iterable[HostFunction]]:
    """The host functions, but while there are several handles ``poll_oneoff`` does not sleep.

    SQLite's busy handler sleeps inside of a call, with the instance's lock held: another handle could not end its
    transaction meanwhile. So its sleeps are added up in ``asked``, SQLITE_BUSY comes back at once, and the host waits
    that long outside of the guest, trying again. (``PRAGMA busy_timeout`` holds as well this way.)
    """

    def replaced(memory: Memory) -> Iterable[HostFunction]:
        for function in functions(memory):
            if function.name == "poll_oneoff":
                function.call = _poll(function.call, memory, handles, progress)
            yield function

    return replaced


def _poll(
    call: Callable[..., int | float | None], memory: Memory, handles: Collection[object], progress: Progress
) -> Callable[..., int | float | None]:
    def poll_oneoff(subscriptions: int, events: int, count: int, out: int) -> int | float | None:
        if len(handles) > 1 and count == 1:
            try:
                record = memory.span(subscriptions, SUBSCRIPTION.size)
            except MemoryAccessError:
                pass  # the real one has the errno for it
            else:
                fields = list(SUBSCRIPTION.unpack(record))
                progress.running.asked += fields[_TIMEOUT]
                fields[_TIMEOUT] = 0
                SUBSCRIPTION.pack_into(record, 0, *fields)
        return call(subscriptions, events, count, out)

    return poll_oneoff
