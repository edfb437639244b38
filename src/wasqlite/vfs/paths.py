"""Where SQLite's files live on the host: full names, the temporary directory, permissions of new files."""

# Names here are bytes relative to a descriptor, which pathlib does not do.
# ruff: noqa: PTH109, PTH112, PTH115

from __future__ import annotations

import errno
import os
import stat

MAX_SYMLINKS = 200
"""SQLITE_MAX_SYMLINK"""

TEMPORARY_PREFIX = b"etilqs_"
"""SQLITE_TEMP_FILE_PREFIX"""

# "x.db-journal", "x.db-wal", and the numbered ones of SQLite's test_multiplex.c: the database is what stands
# before the last "-".
_BESIDE_DATABASE = (b"journal", b"wal", b"shm")


def path_full(path: bytes) -> bytes:
    """The absolute name of ``path``, as unixFullPathname: symbolic links resolved, the last component's too.

    Relative to the current directory of this moment. What does not exist is taken as it is. OSError: too many
    links, a directory that may not be searched, a file where a directory should be, or a name that is just
    "/".
    """
    if b"\0" in path:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    links = 0
    done: list[bytes] = []
    pending = path.split(b"/")[::-1]
    if not path.startswith(b"/"):
        pending += os.getcwdb().split(b"/")[::-1]
    while pending:
        name = pending.pop()
        if name in (b"", b"."):
            continue
        if name == b"..":
            if done:
                done.pop()
            continue
        target = _link(b"/" + b"/".join((*done, name)))
        if target is None:
            done.append(name)
            continue
        links += 1
        if links > MAX_SYMLINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if target.startswith(b"/"):
            done.clear()
        pending += target.split(b"/")[::-1]
    if not done:
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    return b"/" + b"/".join(done)


def _link(path: bytes) -> bytes | None:
    try:
        return os.readlink(path)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):  # no link, or nothing at all
            return None
        raise


def path_temporary() -> bytes:
    """The directory for temporary files, as an absolute name: the first usable one of unixTempFileDir's list.

    ``PRAGMA temp_store_directory`` is the guest's own affair. FileNotFoundError if there is none.
    """
    environment = os.environb
    for directory in (
        environment.get(b"SQLITE_TMPDIR"),
        environment.get(b"TMPDIR"),
        b"/var/tmp",
        b"/usr/tmp",
        b"/tmp",
        b".",
    ):
        if directory and os.path.isdir(directory) and os.access(directory, os.W_OK | os.X_OK):
            # The guest's names start at "/", so "." has to be spelled out; "/." keeps the slash off the end.
            return os.path.realpath(directory).rstrip(b"/") or b"/."
    raise FileNotFoundError(errno.ENOENT, "no directory for temporary files is writable")


def create_mode(directory: int, name: bytes, exclusive: bool) -> tuple[int, int, int] | None:
    """Permission bits, uid and gid for a file about to be created, as findCreateFileMode; None: the default.

    Journals, WAL and shared memory files get those of their database, so that whoever may write it can also roll it
    back; temporary files are the owner's alone (uid -1: whoever creates it).
    """
    last = name.rpartition(b"/")[2]
    if last.startswith(TEMPORARY_PREFIX):
        return 0o600, -1, -1
    beside, _, kind = name.rpartition(b"-")
    if not beside or kind.rstrip(b"0123456789") not in _BESIDE_DATABASE or exclusive:
        return None
    try:
        database = os.stat(beside, dir_fd=directory)
    except FileNotFoundError:
        return None  # just a name that looks like a journal's
    return stat.S_IMODE(database.st_mode) & 0o777, database.st_uid, database.st_gid
