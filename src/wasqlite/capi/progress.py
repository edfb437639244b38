"""The interrupt flags that SQLite's progress callback reads while a query runs."""

from __future__ import annotations

from collections.abc import Iterable

from wasqlite.bridge import HostFunction, Memory


class Interrupt:
    """Set ``requested`` from any thread: a running query ends with SQLITE_INTERRUPT at its next progress callback.

    https://sqlite.org/c3ref/interrupt.html
    """

    __slots__ = ("asked", "raised", "requested")

    def __init__(self) -> None:
        self.requested = 0
        self.asked = 0
        """Nanoseconds for which the busy handler wanted to sleep during the call, and did not: see ``turns``."""
        self.raised: list[tuple[int, BaseException]] = []
        """What callbacks raised that SQLite was told of, each with the number of calls that were under way."""

    def take(self, depth: int) -> BaseException | None:
        """What callbacks raised during the call that was made with ``depth`` others under way, and forget it."""
        raised = [error for level, error in self.raised if level > depth]
        if not raised:
            return None
        self.raised = [item for item in self.raised if item[0] <= depth]
        first, *others = raised
        for other in others:
            if other is not first:
                first.add_note(f"then, before SQLite returned: {type(other).__name__}: {other}")
        return first


class Progress:
    """Whose call is running in an instance. The callback does not say for which handle it is made."""

    __slots__ = ("idle", "parked", "running", "waived")

    def __init__(self) -> None:
        self.running = self.idle = Interrupt()
        """``idle`` while it is no statement's call: one that resets or closes."""
        self.parked: list[BaseException] = []
        """What callbacks raised: it is raised again when the guest returns, so it had better return soon."""
        self.waived: BaseException | None = None
        """The exception for which it need not: a collation's, since the statement would not be rolled back natively."""

    def functions(self, memory: Memory) -> Iterable[HostFunction]:
        """The ``progress`` import. An exception in it (Ctrl-C) interrupts the query too.

        https://sqlite.org/c3ref/progress_handler.html
        """

        def progress() -> int:
            parked = self.parked
            return 1 if self.running.requested or (parked and parked != [self.waived]) else 0

        return [HostFunction("wasqlite", "progress", "", "i", progress, on_error=1)]
