"""Standard input, output and error on Python streams, as descriptors 0, 1 and 2 of the guest."""

from __future__ import annotations

import codecs
import errno
import io
from collections.abc import Callable

from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.memory import Memory
from wasqlite.bridge.wasi.descriptors import Descriptors, Entry
from wasqlite.bridge.wasi.errno import EBADF, EIO, ENOTSUP, ESPIPE, EXPECTED, SUCCESS, WasiError, answer
from wasqlite.bridge.wasi.layout import (
    FILESTAT,
    FILETYPE_CHARACTER,
    MODULE,
    RIGHT_FD_READ,
    RIGHT_FD_SEEK,
    RIGHT_FD_TELL,
    RIGHTS_ALL,
    RIGHTS_WRITING,
)
from wasqlite.bridge.wasi.transfer import vectors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Read = Callable[[int], bytes]
    Write = Callable[[bytes], None]

MOST = 1 << 20
"""Bytes that are moved at once; the guest's C library asks again for the rest."""

# Without the rights to seek and tell a character device is a terminal to wasi-libc, so that it writes line by line.
_RIGHTS = RIGHTS_ALL & ~(RIGHT_FD_SEEK | RIGHT_FD_TELL)


class StreamEntry(Entry):
    """A descriptor that is no file of the host's: one to read from, or one to write to."""

    __slots__ = ("read", "write")

    def __init__(self, read: Read | None, write: Write | None) -> None:
        rights = _RIGHTS & ~(RIGHTS_WRITING if write is None else RIGHT_FD_READ)
        super().__init__(-1, FILETYPE_CHARACTER, confined=True, rights=rights, inheriting=0, writable=False)
        self.read = read
        self.write = write


def reader(stream: Any) -> Read:
    """The way to read from a policy's ``stdin``."""
    if stream == "discard":
        return lambda size: b""
    if isinstance(stream, bytes | bytearray | memoryview):
        stream = io.BytesIO(stream)
    stream = getattr(stream, "buffer", stream)  # the bytes below a text stream, if it has them
    # What is there, rather than waiting for all of it, where the stream knows how.
    read = getattr(stream, "read1", stream.read)
    rest = bytearray()

    def reading(size: int) -> bytes:
        data = bytes(rest) or read(size)
        if data is None:
            raise BlockingIOError(errno.EAGAIN, f"{stream!r} has nothing to read now, and does not wait")
        if isinstance(data, str):
            data = data.encode()
        rest[:] = data[size:]
        return data[:size]

    return reading


def writer(stream: Any) -> Write:
    """The way to write to a policy's ``stdout`` or ``stderr``."""
    if stream == "discard":
        return lambda data: None
    # Not all text streams have that base, such as temporary files.
    if not (isinstance(stream, io.TextIOBase) or hasattr(stream, "encoding")):

        def write(data: bytes) -> None:
            while data:
                written = stream.write(data)  # a raw stream may take a part, or None of it; others do not count
                if written is None and isinstance(stream, io.RawIOBase):
                    raise BlockingIOError(errno.EAGAIN, f"{stream!r} takes nothing now, and does not wait")
                data = data[len(data) if written is None else written :]

        return write
    # A character may come in two pieces; what is no UTF-8 must not be an error of the program.
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def write_text(data: bytes) -> None:
        stream.write(decode(data))

    return write_text


def functions(memory: Memory, table: Descriptors, others: list[HostFunction]) -> list[HostFunction]:
    """The imports that behave differently on a stream; for all other descriptors ``others`` are called."""
    named = {function.name: function for function in others}

    def replaced(name: str, on_stream: Callable[..., int]) -> HostFunction:
        other = named[name]
        call = other.call

        def either(fd: int, *arguments: int) -> int | float | None:
            entry = table.entries.get(fd)
            return on_stream(entry, *arguments) if isinstance(entry, StreamEntry) else call(fd, *arguments)

        # Only what neither moves data nor a position may be done twice.
        return HostFunction(MODULE, name, other.params, "i", either, on_error=EIO, retry=other.retry)

    def fd_read(entry: StreamEntry, iovs: int, count: int, moved: int) -> int:
        try:
            if entry.read is None:
                raise WasiError(EBADF)
            memory.span(moved, 4)
            views = vectors(memory, iovs, count)
        except EXPECTED as error:
            return answer(error)
        # An exception of the stream's is no error of the guest's: it is raised by the call that led to this.
        data = entry.read(min(sum(map(len, views)), MOST)) if any(map(len, views)) else b""
        size = len(data)
        for view in views:
            view[: len(data)] = data[: len(view)]
            data = data[len(view) :]
        memory.write_u32(moved, size)
        return SUCCESS

    def fd_write(entry: StreamEntry, iovs: int, count: int, moved: int) -> int:
        try:
            if entry.write is None:
                raise WasiError(EBADF)
            memory.span(moved, 4)
            views = vectors(memory, iovs, count)
        except EXPECTED as error:
            return answer(error)
        data = bytearray()
        for view in views:
            data += view[: MOST - len(data)]
        entry.write(bytes(data))
        memory.write_u32(moved, len(data))
        return SUCCESS

    def fd_filestat_get(entry: StreamEntry, out: int) -> int:
        try:
            FILESTAT.pack_into(memory.span(out, FILESTAT.size), 0, 0, 0, entry.filetype, 1, 0, 0, 0, 0)
            return SUCCESS
        except EXPECTED as error:
            return answer(error)

    def fd_fdstat_set_flags(entry: StreamEntry, flags: int) -> int:
        return SUCCESS if flags == entry.flags else ENOTSUP

    def unseekable(entry: StreamEntry, *_: int) -> int:
        return ESPIPE

    special: dict[str, Callable[..., int]] = {
        "fd_read": fd_read,
        "fd_write": fd_write,
        "fd_filestat_get": fd_filestat_get,
        "fd_fdstat_set_flags": fd_fdstat_set_flags,
    }
    for name in ("fd_seek", "fd_tell", "fd_pread", "fd_pwrite", "fd_advise", "fd_allocate"):
        special[name] = unseekable
    return [replaced(name, on_stream) for name, on_stream in special.items()]
