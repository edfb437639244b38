"""The content of a linear memory as it once was, to be put back, or into another instance, any number of times.

On Linux it is a sealed file in memory (memfd), and putting it back maps that file over the guest's memory,
copy-on-write: some microseconds, then 2 or 3 for each page of 4 KiB that is touched. Into a fresh instance, copying
10 MB takes 6 ms and mapping them 4 us. Elsewhere it is copied.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from wasqlite.bridge import mapping
from wasqlite.bridge.memory import Memory

PIECE = 1 << 16
"""What is looked at together: a page of WebAssembly, of which every memory is a multiple."""
_GAP = 16
"""So many pieces that are all zeros are left out; fewer are not worth an area of their own (the kernel has 65530)."""
_ZEROS = bytes(PIECE)


class Image:
    """A copy of ``memory``, in areas of what is not zero.

    Whatever happens to the guest, it stays as it is; also in the child of a fork.
    """

    __slots__ = ("_areas", "_fd", "size")

    def __init__(self, memory: Memory, *, copy: bool = False) -> None:
        """``copy``: not by mapping, even if that is possible."""
        self._fd = -1
        self.size = memory.size
        self._areas: list[tuple[int, int, bytes]] = []
        """Address, size, and the content, empty if it is in the file at this address."""
        fd = -1 if copy or not memory.address() else _file()
        try:
            for start, end in _areas(memory):
                if fd < 0:
                    self._areas.append((start, end - start, memory.read(start, end - start)))
                else:
                    _write(fd, memory.view[start:end], start)
                    self._areas.append((start, end - start, b""))
            if fd >= 0:
                _seal(fd)
                self._fd, fd = fd, -1
        finally:
            if fd >= 0:
                os.close(fd)

    def __del__(self) -> None:
        fd, self._fd = getattr(self, "_fd", -1), -1
        if fd >= 0:
            os.close(fd)

    @property
    def stored(self) -> int:
        """How many bytes it takes."""
        return sum(size for _, size, _ in self._areas)

    def put(self, memory: Memory) -> None:
        """Make this the content of a memory that is at least as large; what is beyond becomes zero."""
        at = 0
        for start, size, content in self._areas:
            _clear(memory, at, start)
            at = start + size
            if content:
                memory.write(start, content)
            elif not _mapped(memory, start, size, self._fd):
                _read(self._fd, memory.view[start:at], start)
        _clear(memory, at, memory.size)


def _areas(memory: Memory) -> Iterator[tuple[int, int]]:
    """Where there is anything but zeros, in pieces, with their short gaps."""
    start = end = -1
    for at in range(0, memory.size, PIECE):
        if bytes(memory.view[at : at + PIECE]) == _ZEROS[: memory.size - at]:
            continue
        if start < 0:
            start = at
        elif at - end >= _GAP * PIECE:
            yield start, end
            start = at
        end = min(at + PIECE, memory.size)
    if start >= 0:
        yield start, end


def _file() -> int:
    """A file in memory, -1 if there can be none."""
    if not mapping.page_size() or not hasattr(os, "memfd_create"):
        return -1
    try:
        return os.memfd_create("wasqlite-snapshot", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        return -1


def _write(fd: int, view: memoryview, at: int) -> None:
    done = 0
    while done < len(view):
        done += os.pwrite(fd, view[done:], at + done)


def _read(fd: int, view: memoryview, at: int) -> None:
    done = 0
    while done < len(view):
        done += os.preadv(fd, [view[done:]], at + done)


def _seal(fd: int) -> None:
    """Nobody can change or shorten it any more: what is mapped must not vanish (SIGBUS)."""
    import fcntl

    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)


def _clear(memory: Memory, start: int, end: int) -> None:
    """Zero memory; by giving it back to the system, where that is possible."""
    if start == end:
        return
    address = memory.address()
    if address and mapping.page_size():
        mapping.zero(address + start, end - start)
        return
    for at in range(start, end, PIECE):
        memory.view[at : min(at + PIECE, end)] = _ZEROS[: end - at]


def _mapped(memory: Memory, start: int, size: int, fd: int) -> bool:
    address = memory.address() + start
    try:
        mapping.private(address, size, fd, start)
        return True
    except OSError:
        mapping.zero(address, size)  # a mapping that failed may have removed what was there
        return False
