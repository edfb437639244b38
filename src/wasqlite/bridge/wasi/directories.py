"""What only some guests do with directories and files: listing, linking, setting times, renumbering descriptors."""

from __future__ import annotations

import os
from collections.abc import Callable

from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.memory import Memory
from wasqlite.bridge.wasi.descriptors import Descriptors, Entry
from wasqlite.bridge.wasi.errno import EINVAL, EIO, ENOTCAPABLE, EPERM, EROFS, EXPECTED, SUCCESS, WasiError, answer
from wasqlite.bridge.wasi.layout import (
    DIRENT,
    FILETYPE_DIRECTORY,
    FILETYPE_REGULAR,
    FILETYPE_SYMLINK,
    FILETYPE_UNKNOWN,
    FST_ATIM,
    FST_ATIM_NOW,
    FST_MTIM,
    FST_MTIM_NOW,
    LOOKUP_FOLLOW,
    MODULE,
)
from wasqlite.bridge.wasi.open import guest_path
from wasqlite.bridge.wasi.resolve import resolved

MOST_LISTINGS = 4
"""How many directories' entries are kept between two calls: a guest may have a thousand open, all of them large."""


def functions(memory: Memory, table: Descriptors) -> list[HostFunction]:
    """The imports."""
    listings: dict[Entry, list[bytes]] = {}

    def fd_readdir(fd: int, buffer: int, size: int, cookie: int, out: int) -> None:
        directory = table.directory(fd)
        target = memory.span(buffer, size)
        memory.span(out, 4)
        listing = listings.pop(directory, None)
        if cookie == 0 or listing is None:
            listing = _listing(directory)
        listings[directory] = listing
        if len(listings) > MOST_LISTINGS:
            del listings[next(iter(listings))]  # used for longest; made anew if the guest goes on with it
        used = 0
        for entry in listing[cookie & 0xFFFF_FFFF_FFFF_FFFF :]:
            piece = entry[: size - used]  # the last one may be cut off: the guest asks for it again
            target[used : used + len(piece)] = piece
            used += len(piece)
            if used == size:
                break
        memory.write_u32(out, used)

    def fd_renumber(fd: int, to: int) -> None:
        table.renumber(fd, to)

    def fd_filestat_set_times(fd: int, accessed: int, modified: int, flags: int) -> None:
        entry = table.entry(fd)
        if not entry.writable:
            raise WasiError(EROFS)
        host = table.hosts[fd]
        os.utime(host, ns=_times(os.fstat(host), accessed, modified, flags))

    def path_filestat_set_times(
        fd: int, lookup: int, path: int, size: int, accessed: int, modified: int, flags: int
    ) -> None:
        directory = table.changeable(fd)
        name = guest_path(memory, path, size)
        with resolved(directory, name, bool(lookup & LOOKUP_FOLLOW)) as (parent, last):
            follow = not directory.confined and bool(lookup & LOOKUP_FOLLOW)
            before = os.stat(last, dir_fd=parent, follow_symlinks=follow)
            times = _times(before, accessed, modified, flags)
            os.utime(last, ns=times, dir_fd=parent, follow_symlinks=follow)

    def path_link(fd: int, lookup: int, path: int, size: int, new_fd: int, new_path: int, new_size: int) -> None:
        # Both must be writable: a link from where is only read to where may be written would open a way to write.
        directory, new_directory = _linkable(table, fd), _linkable(table, new_fd)
        name, new_name = guest_path(memory, path, size), guest_path(memory, new_path, new_size)
        follow = bool(lookup & LOOKUP_FOLLOW)
        with (
            resolved(directory, name, follow) as (parent, last),
            resolved(new_directory, new_name, follow=False) as (new_parent, new_last),
        ):
            follow = follow and not directory.confined
            os.link(last, new_last, src_dir_fd=parent, dst_dir_fd=new_parent, follow_symlinks=follow)

    def path_symlink(target: int, target_size: int, fd: int, path: int, size: int) -> None:
        directory = _linkable(table, fd)
        to = guest_path(memory, target, target_size)  # a relative one
        name = guest_path(memory, path, size)
        if directory.confined and b".." in to.split(b"/"):
            raise WasiError(ENOTCAPABLE)  # we would not follow it, but other programs might
        with resolved(directory, name, follow=False) as (parent, last):
            os.symlink(to, last, dir_fd=parent)

    def host(call: Callable[..., None], params: str, *, retry: bool = False) -> HostFunction:
        def answering(*arguments: int) -> int:
            try:
                call(*arguments)
                return SUCCESS
            except EXPECTED as error:
                return answer(error)

        return HostFunction(MODULE, call.__name__, params, "i", answering, on_error=EIO, retry=retry)

    return [
        host(fd_readdir, "iiiIi", retry=True),
        host(fd_renumber, "ii"),
        host(fd_filestat_set_times, "iIIi", retry=True),
        host(path_filestat_set_times, "iiiiIIi", retry=True),
        host(path_link, "iiiiiii"),
        host(path_symlink, "iiiii"),
    ]


def _linkable(table: Descriptors, fd: int) -> Entry:
    entry = table.changeable(fd)
    if not entry.links:
        raise WasiError(EPERM)
    return entry


def _listing(directory: Entry) -> list[bytes]:
    """All entries as fd_readdir writes them, in the order of their names."""
    # A descriptor of its own: a preopened directory cannot be read (O_PATH), and scandir keeps a position.
    own = os.open(
        b".", os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0), dir_fd=directory.host
    )
    try:
        inode = os.fstat(own).st_ino
        with os.scandir(own) as found:
            entries = sorted((os.fsencode(entry.name), entry.inode(), _filetype(entry)) for entry in found)
    finally:
        os.close(own)
    # Of what is above the directory nothing is told.
    entries[:0] = [(b".", inode, FILETYPE_DIRECTORY), (b"..", inode, FILETYPE_DIRECTORY)]
    return [
        DIRENT.pack(cookie, inode, len(name), filetype) + name
        for cookie, (name, inode, filetype) in enumerate(entries, 1)
    ]


def _filetype(entry: os.DirEntry[str]) -> int:
    if entry.is_symlink():
        return FILETYPE_SYMLINK
    if entry.is_dir(follow_symlinks=False):
        return FILETYPE_DIRECTORY
    return FILETYPE_REGULAR if entry.is_file(follow_symlinks=False) else FILETYPE_UNKNOWN


def _times(before: os.stat_result, accessed: int, modified: int, flags: int) -> tuple[int, int]:
    """Access and modification time as they shall be, in ns."""
    if flags & ~0xF or flags & 3 == 3 or flags & 12 == 12:
        raise WasiError(EINVAL)
    if flags & (FST_ATIM_NOW | FST_MTIM_NOW):
        import time

        now = time.time_ns()
    atime = now if flags & FST_ATIM_NOW else accessed if flags & FST_ATIM else before.st_atime_ns
    mtime = now if flags & FST_MTIM_NOW else modified if flags & FST_MTIM else before.st_mtime_ns
    return atime, mtime
