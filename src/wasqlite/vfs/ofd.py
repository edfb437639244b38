"""SQLite's locks on Linux: native's bytes, taken as open-file-description (OFD) locks.

Native SQLite uses POSIX locks, which belong to a process: two descriptors of one process never conflict, and
closing any of them drops the locks of all. OFD locks belong to the descriptor, conflict with POSIX locks and
with each other, in this process and in others, and so need no bookkeeping across connections. Tested on ext4;
network file systems are untested.

``fcntl.fcntl`` takes up an interrupted call by itself (PEP 475).
"""

from __future__ import annotations

import fcntl
import os
from functools import lru_cache
from struct import Struct

from wasqlite.capi.constants import (
    SQLITE_IOERR_CHECKRESERVEDLOCK,
    SQLITE_IOERR_LOCK,
    SQLITE_IOERR_RDLOCK,
    SQLITE_IOERR_SHMLOCK,
    SQLITE_IOERR_UNLOCK,
    SQLITE_MISUSE,
    SQLITE_OK,
)
from wasqlite.vfs.locks import (
    EXCLUSIVE,
    NONE,
    PENDING,
    PENDING_BYTE,
    READ,
    RESERVED,
    RESERVED_BYTE,
    SHARED,
    SHARED_FIRST,
    SHARED_SIZE,
    SHM_FIRST,
    UNLOCKED,
    WRITE,
    from_system,
    result_code,
)

_FLOCK = Struct("hhqqi0q")  # struct flock with a 64-bit off_t: type, whence, start, length, pid


@lru_cache(maxsize=256)  # WAL asks for the same dozen locks six times per transaction
def _flock(kind: int, start: int, length: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, start, length, 0)


_READ_PENDING = _flock(fcntl.F_RDLCK, PENDING_BYTE, 1)
_WRITE_PENDING = _flock(fcntl.F_WRLCK, PENDING_BYTE, 1)
_DROP_PENDING = _flock(fcntl.F_UNLCK, PENDING_BYTE, 1)
_WRITE_RESERVED = _flock(fcntl.F_WRLCK, RESERVED_BYTE, 1)
_DROP_PENDING_AND_RESERVED = _flock(fcntl.F_UNLCK, PENDING_BYTE, 2)
_READ_SHARED = _flock(fcntl.F_RDLCK, SHARED_FIRST, SHARED_SIZE)
_WRITE_SHARED = _flock(fcntl.F_WRLCK, SHARED_FIRST, SHARED_SIZE)
# All that SQLite locks, in whatever file: from the locks of a -shm file to those of a database.
_FIRST, _END = SHM_FIRST, SHARED_FIRST + SHARED_SIZE
_WRITE_ALL = _flock(fcntl.F_WRLCK, _FIRST, _END - _FIRST)
_DROP_ALL = _flock(fcntl.F_UNLCK, 0, 0)

_KINDS = {UNLOCKED: fcntl.F_UNLCK, READ: fcntl.F_RDLCK, WRITE: fcntl.F_WRLCK}
_KIND_OF = {native: kind for kind, native in _KINDS.items()}

_SET = fcntl.F_OFD_SETLK
_GET = fcntl.F_OFD_GETLK


class OfdLocks:
    """The levels held on a set of host descriptors. Mirrors unixLock and posixUnlock of SQLite's os_unix.c.

    Every step may be repeated, because asking for an OFD lock that is already held succeeds: an interrupted
    call can simply be made again.
    """

    __slots__ = ("_levels", "_ranged", "errno")

    def __init__(self) -> None:
        self.errno: int | None = None
        self._levels: dict[int, int] = {}
        self._ranged: set[int] = set()  # with locks of lock_range, or with some that were dropped since

    def level(self, host: int) -> int:
        """The level that is held on ``host``."""
        return self._levels.get(host, NONE)

    def lock(self, host: int, level: int) -> int:
        """Raise the lock to SHARED, RESERVED or EXCLUSIVE. BUSY at EXCLUSIVE may leave it at PENDING."""
        held = self._levels.get(host, NONE)
        if held >= level:
            return SQLITE_OK
        try:
            if level == SHARED:
                return self._lock_shared(host)
            if held == NONE or (level == RESERVED and held != SHARED) or level not in (RESERVED, EXCLUSIVE):
                return SQLITE_MISUSE
            if level == RESERVED:
                fcntl.fcntl(host, _SET, _WRITE_RESERVED)
            else:
                if held == RESERVED:
                    # From SHARED straight to EXCLUSIVE (rolling back a hot journal) PENDING is not taken.
                    fcntl.fcntl(host, _SET, _WRITE_PENDING)
                    self._levels[host] = PENDING  # kept when readers are in the way: no new ones get in
                fcntl.fcntl(host, _SET, _WRITE_SHARED)
        except OSError as error:
            self.errno = error.errno
            return result_code(error, SQLITE_IOERR_LOCK)
        self._levels[host] = level
        return SQLITE_OK

    def _lock_shared(self, host: int) -> int:
        control = fcntl.fcntl
        try:
            control(host, _SET, _READ_PENDING)
            control(host, _SET, _READ_SHARED)
            control(host, _SET, _DROP_PENDING)
        except OSError as error:
            from_system(error)
            return self._lock_shared_stepwise(host)
        self._levels[host] = SHARED
        return SQLITE_OK

    def _lock_shared_stepwise(self, host: int) -> int:
        """The same once more, so that each step's failure gets its own result code."""
        fcntl.fcntl(host, _SET, _READ_PENDING)
        code = SQLITE_OK
        try:
            fcntl.fcntl(host, _SET, _READ_SHARED)
        except OSError as error:
            self.errno = error.errno
            code = result_code(error, SQLITE_IOERR_LOCK)
        try:
            fcntl.fcntl(host, _SET, _DROP_PENDING)
        except OSError as error:
            self.errno = error.errno
            from_system(error)
            if code == SQLITE_OK:
                code = SQLITE_IOERR_UNLOCK
        if code == SQLITE_OK:
            self._levels[host] = SHARED
        return code

    def unlock(self, host: int, level: int) -> int:
        """Lower the lock to SHARED or NONE."""
        held = self._levels.get(host, NONE)
        if held <= level:
            return SQLITE_OK
        if level > SHARED:
            return SQLITE_MISUSE
        try:
            if level == SHARED:
                # Before PENDING is dropped, so that there is no moment without any lock.
                fcntl.fcntl(host, _SET, _READ_SHARED)
        except OSError as error:
            self.errno = error.errno
            # Nobody can hold what stands in the way; BUSY would only confuse SQLite.
            from_system(error)
            return SQLITE_IOERR_RDLOCK
        try:
            fcntl.fcntl(host, _SET, _DROP_PENDING_AND_RESERVED if level else _DROP_ALL)
        except OSError as error:
            self.errno = error.errno
            from_system(error)
            if level == NONE:
                self._levels.pop(host, None)
            return SQLITE_IOERR_UNLOCK
        if level:
            self._levels[host] = level
        else:
            self._levels.pop(host, None)
        return SQLITE_OK

    def check_reserved(self, host: int) -> tuple[int, bool]:
        """The result code, and whether any connection anywhere, this one included, holds RESERVED or more."""
        if self._levels.get(host, NONE) > SHARED:
            return SQLITE_OK, True
        try:
            found = _FLOCK.unpack(fcntl.fcntl(host, _GET, _WRITE_RESERVED))
        except OSError as error:
            self.errno = error.errno
            from_system(error)
            return SQLITE_IOERR_CHECKRESERVEDLOCK, False
        return SQLITE_OK, found[0] != fcntl.F_UNLCK

    def lock_range(self, host: int, kind: int, start: int, length: int) -> int:
        """Lock bytes of a -shm file for READ or WRITE, or unlock them: a result code."""
        self._ranged.add(host)
        try:
            fcntl.fcntl(host, _SET, _flock(_KINDS[kind], start, length))
        except OSError as error:
            return result_code(error, SQLITE_IOERR_SHMLOCK)
        return SQLITE_OK

    def probe_range(self, host: int, start: int, length: int) -> tuple[int, int]:
        """The result code, and the kind of lock that stands in the way of a write lock there."""
        try:
            found = _FLOCK.unpack(fcntl.fcntl(host, _GET, _flock(fcntl.F_WRLCK, start, length)))
        except OSError as error:
            from_system(error)
            return SQLITE_IOERR_LOCK, UNLOCKED
        return SQLITE_OK, _KIND_OF[found[0]]

    def release(self, host: int) -> None:
        """Drop what is held and close the descriptor, when that is safe.

        Dropping is explicit: while a child process is being started it holds a copy of the descriptor, and
        the locks would live on with it.
        """
        try:
            held = self._levels.pop(host, NONE) != NONE or host in self._ranged
            self._ranged.discard(host)
            if held:
                fcntl.fcntl(host, _SET, _DROP_ALL)
        finally:
            close_safely(host)

    def forget(self) -> None:
        """Forget all levels without unlocking: in a forked child they are the parent's."""
        self._levels.clear()
        self._ranged.clear()


_deferred: list[int] = []
"""Descriptors that could not be closed yet."""


def close_safely(host: int) -> None:
    """Close a descriptor, but not while native SQLite in this process holds a lock on the same file.

    Closing *any* descriptor of a file drops all POSIX locks that the process holds on it, so that native's
    transaction would go on without its lock. Such a descriptor waits until a later close finds the file free.
    (Native defers its own closes for the same reason.) A lock that native takes between the look and the
    close, on another thread, remains a hazard.
    """
    waiting = [host]
    while _deferred:
        try:
            waiting.append(_deferred.pop())
        except IndexError:  # another thread was faster
            break
    for descriptor in waiting:
        if _natively_locked(descriptor):
            _deferred.append(descriptor)
        else:
            os.close(descriptor)


def _natively_locked(host: int) -> bool:
    """Whether this process holds POSIX locks on the file. 1 us when nobody holds any."""
    try:
        found = _FLOCK.unpack(fcntl.fcntl(host, _GET, _WRITE_ALL))
    except OSError as error:
        from_system(error)
        return False  # no locks on this kind of file
    if found[0] == fcntl.F_UNLCK:
        return False
    pid = os.getpid()
    return found[4] == pid or _listed(pid)


def _listed(pid: int) -> bool:
    """Whether /proc/locks has a POSIX lock of this process on SQLite's bytes of any file.

    The kernel told only of one lock, which was somebody else's; ours may stand behind it. Inode numbers are
    not compared, as some file systems list others than they report; that errs on the safe side.
    """
    try:
        with open("/proc/locks", "rb") as file:  # noqa: PTH123 - pathlib would be a tenth of a warm start
            lines = file.read().splitlines()
    except OSError as error:
        from_system(error)
        return True
    for line in lines:
        fields = line.replace(b"->", b"").split()
        if fields[1] == b"POSIX" and int(fields[4]) == pid:
            first, last = int(fields[6]), fields[7]
            if first < _END and (last == b"EOF" or int(last) >= _FIRST):
                return True
    return False


def _after_fork() -> None:
    """In a forked child nothing is natively locked: POSIX locks are not inherited."""
    while _deferred:
        os.close(_deferred.pop())


os.register_at_fork(after_in_child=_after_fork)
