"""What the last failed file functions were asked for: operation, path and the host's errno, for error messages."""

from __future__ import annotations

from collections import deque

from wasqlite.bridge.errors import MemoryAccessError
from wasqlite.bridge.memory import Memory
from wasqlite.bridge.record import Record
from wasqlite.bridge.wasi.descriptors import Descriptors
from wasqlite.bridge.wasi.errno import WasiError, answer, to_host

KEPT = 16
"""A failed call of the guest's makes a few more while it cleans up; nobody asks for older ones."""


class SystemFailure(Record):
    """One file function that failed."""

    operation: str
    """The host function's name: ``fd_pwrite``, ``path_open``, ``file_lock``..."""
    number: int
    """WASI errno."""
    errno: int
    """The host's."""
    path: bytes | None
    """Where it was, on the host; None if no file is involved."""


class Failures:
    """The most recent failures of one guest. Nothing is done, and nothing paid, as long as all goes well."""

    __slots__ = ("_memory", "_table", "recent")

    def __init__(self, memory: Memory, table: Descriptors) -> None:
        self._memory = memory
        self._table = table
        self.recent: deque[SystemFailure] = deque(maxlen=KEPT)

    def note(self, operation: str, error: Exception, path: bytes | None) -> int:
        """Keep a failure: its WASI number."""
        number = answer(error)
        host = error.errno if isinstance(error, OSError) and error.errno is not None else to_host(number)
        self.recent.append(SystemFailure(operation, number, host, path))
        return number

    def on_descriptor(self, operation: str, error: Exception, fd: int) -> int:
        """The same for a function of an open file."""
        entry = self._table.entries.get(fd)
        return self.note(operation, error, entry.path if entry else None)

    def on_path(self, operation: str, error: Exception, fd: int, address: int, size: int) -> int:
        """The same for a function of a path below the directory ``fd``, which is read from guest memory once more."""
        path = None
        if (directory := self._table.entries.get(fd)) is not None and not isinstance(error, WasiError):
            try:  # noqa: SIM105 - contextlib's import would be a twentieth of a warm start
                path = join(directory.path, bytes(self._memory.span(address, size)))
            except MemoryAccessError:
                pass
        return self.note(operation, error, path)


def join(directory: bytes, name: bytes) -> bytes:
    """The path of ``name`` in ``directory``."""
    return directory.rstrip(b"/") + b"/" + name
