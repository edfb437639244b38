"""The interrupt flags that SQLite's progress callback reads while a query runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wasqlite.bridge import HostFunction, Memory


class Interrupt:
    """Set ``requested`` from any thread: a running query ends with SQLITE_INTERRUPT at its next progress callback.

    https://sqlite.org/c3ref/interrupt.html
    """

    __slots__ = ("asked", "requested")

    def __init__(self) -> None:
        self.requested = 0
        self.asked = 0
        """Nanoseconds for which the busy handler wanted to sleep during the call, and did not: see ``turns``."""


class Progress:
    """Whose call is running in an instance. The callback does not say for which handle it is made."""

    __slots__ = ("parked", "running")

    def __init__(self) -> None:
        self.running = Interrupt()
        self.parked: Sequence[BaseException] = ()
        """What callbacks raised: it is raised again when the guest returns, so it had better return soon."""

    def functions(self, memory: Memory) -> Iterable[HostFunction]:
        """The ``progress`` import. An exception in it (Ctrl-C) interrupts the query too.

        https://sqlite.org/c3ref/progress_handler.html
        """

        def progress() -> int:
            return 1 if self.running.requested or self.parked else 0

        return [HostFunction("wasqlite", "progress", "", "i", progress, on_error=1)]
