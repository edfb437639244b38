"""SQLite's lock levels on a database file: what every implementation shares, and the choice of one.

https://sqlite.org/lockingv3.html
"""

from __future__ import annotations

import errno
import os
import sys

from wasqlite.capi.constants import SQLITE_BUSY, SQLITE_OK, SQLITE_PERM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object

NONE, SHARED, RESERVED, PENDING, EXCLUSIVE = 0, 1, 2, 3, 4

PENDING_BYTE = 0x4000_0000
RESERVED_BYTE = PENDING_BYTE + 1
SHARED_FIRST = PENDING_BYTE + 2
SHARED_SIZE = 510

SHM_FIRST = (22 + 8) * 4
"""Of a -shm file: a byte for each of WAL's eight locks, then the deadman switch."""
SHM_DEADMAN = SHM_FIRST + 8

UNLOCKED, READ, WRITE = 0, 1, 2
"""Kinds of lock on a range of bytes."""

_AGAIN = frozenset((errno.EACCES, errno.EAGAIN, errno.ETIMEDOUT, errno.EBUSY, errno.EINTR, errno.ENOLCK))


class LocksUnsupported(NotImplementedError):
    """This platform has no locks that fit SQLite's: a database file can only be opened with ``nolock=1``."""


class Locks(Protocol):
    """Locks on host descriptors. Results are SQLite's result codes; levels are kept per descriptor."""

    errno: int | None
    """Why the last failed call failed. (Not the exception: its traceback would keep the connection alive.)"""

    def lock(self, host: int, level: int) -> int:
        """Raise the lock to SHARED, RESERVED or EXCLUSIVE."""

    def unlock(self, host: int, level: int) -> int:
        """Lower the lock to SHARED or NONE."""

    def check_reserved(self, host: int) -> tuple[int, bool]:
        """The result code, and whether anybody holds RESERVED or more."""

    def level(self, host: int) -> int:
        """The level that is held."""

    def lock_range(self, host: int, kind: int, start: int, length: int) -> int:
        """Lock bytes of a -shm file for READ or WRITE, or unlock them: a result code."""

    def probe_range(self, host: int, start: int, length: int) -> tuple[int, int]:
        """The result code, and the kind of lock that anybody else holds there."""

    def release(self, host: int) -> None:
        """Drop what is held and close the descriptor, when that is safe."""

    def forget(self) -> None:
        """Forget all levels without unlocking: in a forked child they are the parent's."""


def from_system(error: OSError) -> OSError:
    """``error`` if the operating system made it. Without a number a signal handler raised it: it goes on."""
    if error.errno is None:
        raise error
    return error


def result_code(error: OSError, otherwise: int) -> int:
    """The result code of a failed lock call, as SQLite's sqliteErrorFromPosixError: BUSY for "try again"."""
    from_system(error)
    if error.errno in _AGAIN:
        return SQLITE_BUSY
    if error.errno == errno.EPERM:
        return SQLITE_PERM
    return otherwise


def unsupported() -> str | None:
    """Why databases cannot be locked here; None if they can."""
    if sys.platform == "linux":
        return None
    return (
        f"file locks that native SQLite respects are not implemented on {sys.platform} yet (untested):"
        " open the database with nolock=1 if no other connection uses it"
    )


def host_locks() -> Locks:
    """The locks of this platform, or ones that refuse at their first use, so that ``:memory:`` works."""
    if sys.platform == "linux":
        from wasqlite.vfs.ofd import OfdLocks

        return OfdLocks()
    return RefusedLocks()


class RefusedLocks:
    """No locks: the first attempt says so."""

    __slots__ = ("errno",)

    def __init__(self) -> None:
        self.errno: int | None = None

    def _refuse(self) -> LocksUnsupported:
        return LocksUnsupported(unsupported())

    def lock(self, host: int, level: int) -> int:
        """Raises LocksUnsupported."""
        raise self._refuse()

    def unlock(self, host: int, level: int) -> int:
        """Nothing is ever held."""
        return SQLITE_OK

    def check_reserved(self, host: int) -> tuple[int, bool]:
        """Raises LocksUnsupported."""
        raise self._refuse()

    def level(self, host: int) -> int:
        """Nothing is ever held."""
        return NONE

    def lock_range(self, host: int, kind: int, start: int, length: int) -> int:
        """Raises LocksUnsupported."""
        raise self._refuse()

    def probe_range(self, host: int, start: int, length: int) -> tuple[int, int]:
        """Raises LocksUnsupported."""
        raise self._refuse()

    def release(self, host: int) -> None:
        """Close the descriptor."""

        os.close(host)

    def forget(self) -> None:
        """Nothing to forget."""
