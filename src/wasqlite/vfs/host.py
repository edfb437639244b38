"""Everything that a SQLite guest needs of the host's files, as one object per connection."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from wasqlite.bridge import HostFunction, Memory, MemoryAccessError
from wasqlite.bridge.wasi import PATH_MAX, Preopen, WasiFiles, poll_functions
from wasqlite.bridge.wasi.errno import EFAULT, EIO, ENAMETOOLONG, EOVERFLOW, EXPECTED, WasiError, answer
from wasqlite.capi.constants import (
    SQLITE_BUSY,
    SQLITE_IOERR_CHECKRESERVEDLOCK,
    SQLITE_IOERR_LOCK,
    SQLITE_IOERR_SHMLOCK,
    SQLITE_IOERR_UNLOCK,
)
from wasqlite.capi.status import Cause
from wasqlite.vfs import begin, failures, locks, paths
from wasqlite.vfs.clock import TM, local_time
from wasqlite.vfs.shm import SharedMemory

MODULE = "wasqlite"

# Elsewhere nothing is tested, so a guest reaches no files there and ``:memory:`` still works.
WHOLE_SYSTEM: Mapping[int, bytes | Preopen] = {3: b"/"} if sys.platform != "win32" else {}


class HostFiles:
    """WASI files, clocks, locks, shared memory and paths for one guest; ``functions`` is what ``Library.open`` takes.

    ``preopens`` is what the guest may reach: the whole file system unless said otherwise.
    """

    __slots__ = ("_files", "_locks", "_memory", "_preopens", "_shm")

    def __init__(self, preopens: Mapping[int, bytes | Preopen] = WHOLE_SYSTEM) -> None:
        self._preopens = preopens
        self._locks = locks.host_locks()
        self._files: WasiFiles | None = None
        self._memory = Memory()
        self._shm: SharedMemory | None = None

    @property
    def files(self) -> WasiFiles:
        """The WASI side; there once ``functions`` was called."""
        if self._files is None:
            raise RuntimeError("functions() was not called yet")
        return self._files

    def functions(self, memory: Memory) -> list[HostFunction]:
        """All imports for the guest with this memory. Call it once."""
        if self._files is not None:
            raise RuntimeError("one HostFiles serves one guest")
        self._memory = memory
        file_locks = self._locks

        def release(host: int) -> None:
            # In this order: what is mapped is protected by a lock on the descriptor.
            shm.release(host)
            shm.closed(host)
            file_locks.release(host)

        self._files = WasiFiles(memory, self._preopens, create_mode=paths.create_mode, release=release)
        self._shm = shm = SharedMemory(memory, self._locks, self._files.descriptor)

        def host(name: str, params: str, call: Callable[..., int], on_error: int) -> HostFunction:
            return HostFunction(MODULE, name, params, "i", call, on_error=on_error, retry=True)

        return [
            *self._files.functions(),
            *poll_functions(memory),
            host("file_lock", "ii", self.file_lock, SQLITE_IOERR_LOCK),
            host("file_begin", "iiiiii", begin.function(memory, self._files, self.file_lock), SQLITE_IOERR_LOCK),
            host("file_unlock", "ii", self.file_unlock, SQLITE_IOERR_UNLOCK),
            host("file_check_reserved", "ii", self.file_check_reserved, SQLITE_IOERR_CHECKRESERVEDLOCK),
            host("shm_page_size", "", shm.page_size, 0),
            host("shm_lock", "iiii", shm.lock, SQLITE_IOERR_SHMLOCK),
            host("shm_probe", "iiii", shm.probe, SQLITE_IOERR_LOCK),
            host("shm_map", "iIiii", shm.map, EIO),
            host("shm_unmap", "i", shm.unmap, EIO),
            host("path_full", "iiii", self.path_full, -EIO),
            host("path_temporary", "ii", self.path_temporary, -EIO),
            host("local_time", "Ii", self.local_time, EIO),
        ]

    def open_files(self) -> list[bytes]:
        """The paths of the files that the guest has open."""
        return list(self._files.opened().values()) if self._files is not None else []

    def close(self) -> None:
        """Unmap all files, drop all locks and close all host descriptors. Never enters the guest."""
        if self._shm is not None:
            self._shm.close()
        if self._files is not None:
            self._files.close()

    def abandon(self) -> None:
        """In a forked child: close our copies of the descriptors, and leave the parent's locks alone."""
        self._locks.forget()
        if self._shm is not None:
            self._shm.forget()
        if self._files is not None:
            self._files.abandon()

    def cause(self, code: int, number: int) -> Cause | None:
        """What failed on this side when a call ended with the result code ``code`` and the WASI errno ``number``."""
        return failures.cause(code, number, self._files.failures.recent) if self._files is not None else None

    def _lock_failed(self, operation: str, fd: int) -> None:
        number, self._locks.errno = self._locks.errno, None
        if number is not None:
            self.files.failures.on_descriptor(operation, OSError(number, operation), fd)

    def file_lock(self, fd: int, level: int) -> int:
        """Raise the lock of a database file: a result code."""
        host = self.files.descriptor(fd)
        if host < 0:
            return SQLITE_IOERR_LOCK
        code = self._locks.lock(host, level)
        if code and code != SQLITE_BUSY:
            self._lock_failed("file_lock", fd)
        return code

    def file_unlock(self, fd: int, level: int) -> int:
        """Lower it: a result code."""
        host = self.files.descriptor(fd)
        if host < 0:
            return SQLITE_IOERR_UNLOCK
        code = self._locks.unlock(host, level)
        if code:
            self._lock_failed("file_unlock", fd)
        return code

    def file_check_reserved(self, fd: int, out: int) -> int:
        """Whether anybody holds RESERVED or more, as u32 at ``out``: a result code."""
        host = self.files.descriptor(fd)
        if host < 0:
            return SQLITE_IOERR_CHECKRESERVEDLOCK
        code, reserved = self._locks.check_reserved(host)
        if code:
            self._lock_failed("file_check_reserved", fd)
        try:
            self._memory.write_u32(out, reserved)
        except MemoryAccessError:
            return SQLITE_IOERR_CHECKRESERVEDLOCK
        return code

    def path_full(self, path: int, size: int, out: int, capacity: int) -> int:
        """The absolute path at ``out``: its length, or minus a WASI errno."""
        name = None
        try:
            if size > PATH_MAX:
                return -ENAMETOOLONG
            name = self._memory.read(path, size)
            return self._put_path(paths.path_full(name), out, capacity)
        except EXPECTED as error:
            return -self.files.failures.note("path_full", error, name)

    def path_temporary(self, out: int, capacity: int) -> int:
        """The directory for temporary files at ``out``: its length, or minus a WASI errno."""
        try:
            return self._put_path(paths.path_temporary(), out, capacity)
        except EXPECTED as error:
            return -self.files.failures.note("path_temporary", error, None)

    def _put_path(self, path: bytes, out: int, capacity: int) -> int:
        if len(path) >= capacity:
            raise WasiError(ENAMETOOLONG)
        self._memory.write(out, path + b"\0")
        return len(path)

    def local_time(self, seconds: int, out: int) -> int:
        """Local time at ``out``: 0, or a WASI errno."""
        try:
            target = self._memory.span(out, TM.size)
        except MemoryAccessError:
            return EFAULT
        try:
            target[:] = local_time(seconds)
        except (OverflowError, ValueError):
            return EOVERFLOW
        except OSError as error:
            return answer(error)
        return 0
