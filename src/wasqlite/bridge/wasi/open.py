"""path_open: from WASI's flags and rights to the host's ``open``."""

from __future__ import annotations

import os
from collections.abc import Callable

from wasqlite.bridge.memory import Memory
from wasqlite.bridge.wasi.descriptors import Entry
from wasqlite.bridge.wasi.errno import EACCES, EINVAL, EMFILE, ENAMETOOLONG, ENOTCAPABLE, EROFS, WasiError
from wasqlite.bridge.wasi.layout import (
    FDFLAG_APPEND,
    FDFLAG_DSYNC,
    FDFLAG_NONBLOCK,
    FDFLAG_RSYNC,
    FDFLAG_SYNC,
    FILETYPE_DIRECTORY,
    FILETYPE_REGULAR,
    FILETYPE_SYMLINK,
    FILETYPES,
    OFLAG_CREAT,
    OFLAG_DIRECTORY,
    OFLAG_EXCL,
    OFLAG_TRUNC,
    PATH_MAX,
    RIGHT_FD_WRITE,
    RIGHTS_READING,
    RIGHTS_WRITING,
)
from wasqlite.bridge.wasi.resolve import resolved

CreateMode = Callable[[int, bytes, bool], "tuple[int, int, int] | None"]
"""(host directory, name in it, exclusively?) -> (permission bits, uid, gid), or None: 0644 less the umask."""

DEFAULT_MODE = 0o644

_OFLAGS = {
    OFLAG_CREAT: os.O_CREAT,
    OFLAG_DIRECTORY: getattr(os, "O_DIRECTORY", 0),
    OFLAG_EXCL: os.O_EXCL,
    OFLAG_TRUNC: os.O_TRUNC,
}
FDFLAGS = {
    FDFLAG_APPEND: os.O_APPEND,
    FDFLAG_DSYNC: getattr(os, "O_DSYNC", 0),
    FDFLAG_NONBLOCK: getattr(os, "O_NONBLOCK", 0),
    FDFLAG_RSYNC: getattr(os, "O_RSYNC", getattr(os, "O_SYNC", 0)),
    FDFLAG_SYNC: getattr(os, "O_SYNC", 0),
}
_CHANGING = OFLAG_CREAT | OFLAG_TRUNC
_UNBLOCKED = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
"""So that opening a FIFO neither blocks nor a terminal becomes ours; for regular files it means nothing."""
_PLAIN = (FILETYPE_REGULAR, FILETYPE_DIRECTORY)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


def guest_path(memory: Memory, address: int, size: int) -> bytes:
    """The path that the guest names: any bytes but NUL, relative, of bounded length."""
    if size > PATH_MAX:
        raise WasiError(ENAMETOOLONG)
    path = bytes(memory.span(address, size))
    if b"\0" in path:
        raise WasiError(EINVAL)
    if path.startswith(b"/"):
        raise WasiError(ENOTCAPABLE)
    return path


def open_path(
    directory: Entry,
    path: bytes,
    follow: bool,
    oflags: int,
    rights: int,
    inheriting: int,
    fdflags: int,
    create_mode: CreateMode | None,
) -> Entry:
    """Open ``path`` below ``directory``. Errors: OSError, WasiError."""
    if oflags & ~0xF or fdflags & ~0x1F:
        raise WasiError(EINVAL)
    if not rights & RIGHT_FD_WRITE:
        rights &= ~RIGHTS_WRITING  # some programs, such as Go's, ask to truncate what they open for reading
    if not directory.writable and (oflags & _CHANGING or rights & RIGHTS_WRITING):
        raise WasiError(EROFS)
    flags = _access(oflags, rights, directory.inheriting)
    for table, bits in ((_OFLAGS, oflags), (FDFLAGS, fdflags)):
        for bit, flag in table.items():
            if bits & bit:
                flags |= flag
    if directory.confined or not follow:
        flags |= _NOFOLLOW
    if directory.plain:
        flags |= _UNBLOCKED
    # An exclusive creation never follows a link, so resolving must not do it either.
    follow = follow and not oflags & OFLAG_EXCL
    with resolved(directory, path, follow) as (parent, name):
        if directory.plain:
            _check_plain(parent, name, follow=not flags & _NOFOLLOW)
            _check_room(parent)
        chosen = create_mode(parent, name, bool(oflags & OFLAG_EXCL)) if create_mode and oflags & OFLAG_CREAT else None
        host = _open(parent, name, flags, chosen[0] if chosen else DEFAULT_MODE)
    try:
        status = os.fstat(host)
        filetype = FILETYPES[status.st_mode >> 12]
        if directory.plain and filetype not in _PLAIN:
            raise WasiError(EACCES)
        if chosen:
            _adopt(host, status, *chosen)
        return Entry(
            host,
            filetype,
            confined=directory.confined,
            flags=fdflags,
            rights=rights & directory.inheriting,
            inheriting=inheriting & directory.inheriting,
            path=directory.path.rstrip(b"/") + b"/" + path,
            writable=directory.writable,
            links=directory.links,
            plain=directory.plain,
        )
    except BaseException:
        os.close(host)
        raise


def _check_plain(parent: int, name: bytes, *, follow: bool) -> None:
    """EACCES for a device or a FIFO, which would notice that it is opened. (Who opens a link gets an error anyway.)"""
    try:
        mode = os.stat(name, dir_fd=parent, follow_symlinks=follow).st_mode
    except FileNotFoundError:
        return
    if FILETYPES[mode >> 12] not in (*_PLAIN, FILETYPE_SYMLINK):
        raise WasiError(EACCES)


def _access(oflags: int, rights: int, granted: int) -> int:
    """O_RDONLY, O_WRONLY or O_RDWR; ENOTCAPABLE for a right that the directory does not give away."""
    read, write = rights & RIGHTS_READING, rights & RIGHTS_WRITING
    if (read | write) & ~granted or (oflags & OFLAG_TRUNC and not write):
        raise WasiError(ENOTCAPABLE)
    access = (os.O_RDWR if read else os.O_WRONLY) if write else os.O_RDONLY
    return access | _CLOEXEC


def _check_room(directory: int) -> None:
    """EMFILE where a file would get one of the last quarter of the process's descriptors: they are not for guests."""
    import resource

    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(directory)
    os.close(lowest)
    if lowest >= most // 4 * 3 and most != resource.RLIM_INFINITY:
        raise WasiError(EMFILE)


def _open(parent: int, name: bytes, flags: int, mode: int) -> int:
    host = os.open(name, flags, mode, dir_fd=parent)
    return host if host > 2 else _lifted(host)


def _lifted(low: int) -> int:
    """The same open file on a descriptor above 2.

    A program that runs with a standard stream closed would get its number here, and whoever writes to that
    stream would write into the database. /dev/null stays in its place.
    """
    import fcntl

    try:
        return fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        null = os.open(os.devnull, os.O_RDWR)
        if null != low:
            os.dup2(null, low)
            os.close(null)


def _adopt(host: int, status: os.stat_result, mode: int, uid: int, gid: int) -> None:
    """Give a new, empty file exactly these permissions, whatever the umask, and, for root, this owner."""
    if status.st_size == 0 and status.st_mode & 0o777 != mode:
        os.fchmod(host, mode)
    if os.geteuid() == 0 and (status.st_uid, status.st_gid) != (uid, gid) and uid >= 0:
        os.fchown(host, uid, gid)
