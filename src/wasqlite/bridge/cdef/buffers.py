"""Python's buffers lent to C for one call, with explicit copies: ``inout(buffer)`` and ``out(buffer)``."""

from __future__ import annotations

from wasqlite.bridge.errors import ArgumentTypeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wasqlite.bridge.memory import Memory


def flat(buffer: bytes | bytearray | memoryview) -> memoryview:
    """All the bytes of a buffer."""
    view = memoryview(buffer)
    if not view.c_contiguous:
        raise ArgumentTypeError("a buffer must be contiguous; bytes() makes such a copy of this memoryview")
    return view.cast("B")


class Borrowed:
    """A writable buffer; C works on a copy, which is copied back when the call has returned."""

    __slots__ = ("_copied_in", "view")

    def __init__(self, buffer: bytearray | memoryview, *, copied_in: bool) -> None:
        try:
            view = memoryview(buffer)
        except TypeError:
            raise ArgumentTypeError(f"a writable buffer is needed, not {type(buffer).__name__}") from None
        if view.readonly:
            raise ArgumentTypeError(f"a writable buffer is needed, and this {type(buffer).__name__} is read-only")
        self.view = flat(view)
        self._copied_in = copied_in

    def given(self) -> memoryview | None:
        """What C finds: the content, or None for as many zeros."""
        return self.view if self._copied_in else None

    def take(self, memory: Memory, address: int) -> None:
        """Copy C's result back."""
        self.view[:] = memory.span(address, len(self.view))
