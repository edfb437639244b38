"""The shared memory of WAL databases: -shm files mapped into the guest, and the locks on them.

What protocol is spoken on the file is the guest's affair (c-src/vfs_shm.c); this side holds what must be true
whatever the guest does.
"""

from __future__ import annotations

from collections.abc import Callable

from wasqlite.bridge import Memory, MemoryAccessError
from wasqlite.bridge.wasi.errno import EBADF, ENOMEM, EPERM, EXPECTED, SUCCESS, answer
from wasqlite.capi.constants import SQLITE_IOERR_LOCK, SQLITE_IOERR_SHMLOCK, SQLITE_OK
from wasqlite.vfs.locks import READ, SHM_DEADMAN, SHM_FIRST, UNLOCKED, WRITE, Locks, unsupported

MAX_REGIONS = 1 << 15
"""Mappings of one guest, each for 4096 frames of a WAL; the kernel's own limit is of this order."""


def _none(fd: int) -> int:
    return -1


class SharedMemory:
    """The ``shm_`` imports of one guest. ``descriptor`` finds the host descriptor of a guest's, -1 if there is none."""

    __slots__ = ("_attached", "_descriptor", "_locks", "_mapped", "_memory")

    def __init__(self, memory: Memory, locks: Locks, descriptor: Callable[[int], int]) -> None:
        self._memory = memory
        self._locks = locks
        self._descriptor = descriptor
        self._attached: set[int] = set()  # host descriptors with the deadman switch held
        self._mapped: dict[int, set[int]] = {}  # host descriptor to guest addresses

    def page_size(self) -> int:
        """The host's page size, 0 where there is no shared memory, and so no WAL."""
        return self._memory.page_size() if unsupported() is None else 0

    def lock(self, fd: int, kind: int, start: int, length: int) -> int:
        """Take (or drop) a lock on bytes of a -shm file: a result code.

        The deadman switch is never dropped by hand: as long as it is held nobody truncates what is mapped.
        """
        host = self._descriptor(fd)
        end = start + length
        last = SHM_FIRST + 7 if kind == UNLOCKED else SHM_DEADMAN
        if host < 0 or kind not in (UNLOCKED, READ, WRITE) or start < SHM_FIRST or not start < end <= last + 1:
            return SQLITE_IOERR_SHMLOCK
        code = self._locks.lock_range(host, kind, start, length)
        if code == SQLITE_OK and end > SHM_DEADMAN:
            self._attached.add(host)
        return code

    def probe(self, fd: int, start: int, length: int, out: int) -> int:
        """The kind of lock that somebody else holds there, as u32 at ``out``: a result code."""
        host = self._descriptor(fd)
        if host < 0 or start < SHM_FIRST or not start < start + length <= SHM_DEADMAN + 1:
            return SQLITE_IOERR_LOCK
        code, kind = self._locks.probe_range(host, start, length)
        try:
            self._memory.write_u32(out, kind)
        except MemoryAccessError:
            return SQLITE_IOERR_LOCK
        return code

    def map(self, fd: int, offset: int, size: int, address: int, readonly: int) -> int:
        """Map a part of a -shm file over the guest's memory: 0, or a WASI errno."""
        host = self._descriptor(fd)
        if host < 0:
            return EBADF
        if host not in self._attached:
            return EPERM
        addresses = self._mapped.setdefault(host, set())
        if self._memory.mapped >= MAX_REGIONS:
            return ENOMEM
        addresses.add(address)
        try:
            self._memory.map_file(address, size, host, offset, readonly=bool(readonly))
        except EXPECTED as error:
            return answer(error)
        return SUCCESS

    def unmap(self, fd: int) -> int:
        """Unmap all of a -shm file: 0, or a WASI errno. The guest's memory is its own again, and zero."""
        host = self._descriptor(fd)
        if host < 0:
            return EBADF
        try:
            self.release(host)
        except EXPECTED as error:
            return answer(error)
        return SUCCESS

    def release(self, host: int) -> None:
        """Unmap what is mapped of the host descriptor, which is about to be closed or unlocked."""
        for address in tuple(self._mapped.get(host, ())):
            self._memory.unmap(address)
        self._mapped.pop(host, None)

    def closed(self, host: int) -> None:
        """The host descriptor is gone, and its number may come again."""
        self._attached.discard(host)

    def close(self) -> None:
        """Unmap everything; from now on there are no descriptors."""
        for host in tuple(self._mapped):
            self.release(host)
        self._descriptor = _none  # the table leads back here: this breaks the cycle

    def forget(self) -> None:
        """In a forked child: nothing is held, and nothing is mapped any more (the bridge saw to that)."""
        self._attached.clear()
        self._mapped.clear()
        self._descriptor = _none
