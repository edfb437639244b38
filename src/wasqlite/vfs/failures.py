"""Which failed host function explains an error of SQLite: what its result code says, and what failed last."""

from __future__ import annotations

from collections.abc import Iterable

from wasqlite.bridge.wasi import SystemFailure
from wasqlite.bridge.wasi.errno import to_host
from wasqlite.capi import constants as c
from wasqlite.capi.status import Cause

_WORDS = {
    "path_open": "open",
    "path_full": "resolve",
    "path_temporary": "find the directory for temporary files",
    "path_filestat_get": "stat",
    "path_unlink_file": "delete",
    "fd_pread": "read",
    "fd_pwrite": "write",
    "fd_filestat_get": "stat",
    "fd_filestat_set_size": "truncate",
    "fd_datasync": "sync",
    "fd_sync": "sync",
    "file_lock": "lock",
    "file_unlock": "unlock",
    "file_check_reserved": "lock",
}

# What can have failed when SQLite reports the code. A missing file is the answer to many questions of SQLite's, and
# memory of it must not end up in an error that has nothing to do with it.
_BY_CODE = {
    c.SQLITE_IOERR_READ: ("fd_pread",),
    c.SQLITE_IOERR_CORRUPTFS: ("fd_pread",),
    c.SQLITE_IOERR_WRITE: ("fd_pwrite", "fd_filestat_set_size"),
    c.SQLITE_IOERR_FSYNC: ("fd_datasync", "fd_sync"),
    c.SQLITE_IOERR_DIR_FSYNC: ("fd_sync",),
    c.SQLITE_IOERR_TRUNCATE: ("fd_filestat_set_size",),
    c.SQLITE_IOERR_FSTAT: ("fd_filestat_get",),
    c.SQLITE_IOERR_DELETE: ("path_unlink_file",),
    c.SQLITE_IOERR_DELETE_NOENT: ("path_unlink_file",),
    c.SQLITE_IOERR_ACCESS: ("path_filestat_get",),
    c.SQLITE_IOERR_GETTEMPPATH: ("path_temporary",),
    c.SQLITE_IOERR_LOCK: ("file_lock",),
    c.SQLITE_IOERR_UNLOCK: ("file_unlock", "file_lock"),
    c.SQLITE_IOERR_RDLOCK: ("file_unlock",),
    c.SQLITE_IOERR_CHECKRESERVEDLOCK: ("file_check_reserved",),
    c.SQLITE_IOERR_SHMOPEN: ("path_open", "fd_filestat_set_size"),
    c.SQLITE_IOERR_SHMSIZE: ("fd_pwrite", "fd_filestat_get"),
    c.SQLITE_READONLY_DIRECTORY: ("path_open",),
}
_BY_PRIMARY_CODE = {
    c.SQLITE_CANTOPEN: ("path_open", "path_full"),
    c.SQLITE_CORRUPT: ("fd_pread",),  # what could not be read while a schema was loaded
    c.SQLITE_FULL: ("fd_pwrite", "fd_filestat_set_size"),
    c.SQLITE_PERM: ("file_lock",),
}
# The guest learns a result code from these, and no errno.
_LOCKS = ("file_lock", "file_unlock", "file_check_reserved")


def cause(code: int, number: int, recent: Iterable[SystemFailure]) -> Cause | None:
    """The cause of the error ``code`` of a call in which ``number`` was the first WASI errno (0: none).

    ``recent`` holds failures of earlier calls too, newest last. The newest that fits the code and has the number is one
    of this call, because the guest has just met it.
    """
    operations = _BY_CODE.get(code) or _BY_PRIMARY_CODE.get(code & 0xFF)
    if operations is None:
        return None
    certain = code in _BY_CODE  # one of these has failed, even if the guest has not noted its number
    for failure in reversed(list(recent)):
        operation = failure.operation
        if operation in operations and (failure.number == number or operation in _LOCKS or (certain and not number)):
            return Cause(failure.errno, _WORDS.get(operation), failure.path)
    return Cause(to_host(number), None, None) if number and operations[0] not in _LOCKS else None
