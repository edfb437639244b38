"""The status block: what every guest call leaves behind, read in one unpack."""

from __future__ import annotations

from struct import Struct

from wasqlite.bridge.record import Record

# docs/abi.md, "Status block"; c-src/status.h asserts every offset.
LAYOUT = Struct("<2i4qi5I2i3I2i3IQ")
assert LAYOUT.size == 112

WAL_DATABASE = 1
"""Bit of ``flags``: a database in WAL mode was met during the call, and the host has no shared memory."""

UNSUITABLE_ROW = 2
"""Bit of ``flags``: a row of the input is to be sent in another way; those before it are done."""


LANES, NO_LANES = 4, 8
"""Bits of ``flags``: stepping spent much of its time in lanes, or hardly any of a long time."""


class Status(Record):
    """One reading of the status block, field by field in the block's order."""

    rc: int
    extended: int
    changes: int
    total_changes: int
    last_rowid: int
    changes_sum: int
    autocommit: int
    rows: int
    columns: int
    batch: int
    message: int
    message_size: int
    error_offset: int
    system_errno: int
    handle: int
    stmt: int
    tail: int
    parameters: int
    readonly: int
    reprepared: int
    flags: int
    unused: int
    kinds: int


def read(view: memoryview, address: int) -> Status:
    """The status block at ``address``."""
    # tuple.__new__ skips the Python-level __new__ of the named tuple: 0.3 us less on every execute.
    return tuple.__new__(Status, LAYOUT.unpack_from(view, address))


class Cause(Record):
    """Why an operation on a file failed, in the words of the operating system."""

    errno: int
    operation: str | None
    """``open``, ``write``...; None if no function of the host failed."""
    path: bytes | None


class Failure(Record):
    """What a failed call said, detached from guest memory."""

    code: int
    """The extended result code."""
    message: str
    error_offset: int = -1
    system_errno: int = 0
    wal: bool = False
    """A database in WAL mode was met during the call, and the host has no shared memory."""
    cause: Cause | None = None
    """What the operating system said."""
    raised: BaseException | None = None
    """What a callback raised, so that the call failed."""
