"""The begin of a read transaction: the SHARED lock, and what SQLite asks right after it, in one call from the guest."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable

from wasqlite.bridge import Memory
from wasqlite.bridge.wasi import WasiFiles
from wasqlite.bridge.wasi.errno import EXPECTED, answer
from wasqlite.capi.constants import SQLITE_OK
from wasqlite.vfs.locks import SHARED

ROOT = 3
BLOCK = struct.Struct("<IIq16s")
"""wsq_begin_block: known, unused, size of the file, its bytes from COUNTER_OFFSET on."""

COUNTER_OFFSET, COUNTER_SIZE = 24, 16


def function(
    memory: Memory, files: WasiFiles, lock: Callable[[int, int], int]
) -> Callable[[int, int, int, int, int, int], int]:
    """The import ``file_begin``; ``lock`` is the import ``file_lock``."""
    # lseek tells the size in 0.4 us, fstat in 1.5 (CPython 3.13). The position that it leaves is nobody's: the VFS
    # reads and writes at offsets only.
    pread, lseek, pack = os.pread, os.lseek, BLOCK.pack_into

    def absent(path: int, size: int) -> bool:
        """Nothing there, for certain, or an empty file, which SQLite takes for nothing."""
        try:
            found = files.status(ROOT, path, size)
        except FileNotFoundError:
            return True
        return found.st_size == 0 and stat.S_ISREG(found.st_mode)

    def file_begin(fd: int, journal: int, journal_size: int, wal: int, wal_size: int, out: int) -> int:
        """Take the SHARED lock: a result code. The answers at ``out`` only if there is no journal and no WAL.

        Whatever goes wrong after the lock is no failure here: without answers the guest asks one by one, and finds it.
        """
        code = lock(fd, SHARED)
        if code != SQLITE_OK:
            return code
        host = files.descriptor(fd)
        try:
            if absent(journal, journal_size) and absent(wal, wal_size):
                counter = pread(host, COUNTER_SIZE, COUNTER_OFFSET)
                if len(counter) == COUNTER_SIZE:
                    pack(memory.view, out, 1, 0, lseek(host, 0, os.SEEK_END), counter)
        except struct.error:
            pass  # beyond the memory: no answers
        except EXPECTED as error:
            answer(error)  # for what a signal handler raised, which goes on
        return SQLITE_OK

    return file_begin
