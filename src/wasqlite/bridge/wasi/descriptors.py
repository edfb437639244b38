"""The guest's descriptor table: integers of the guest's own, each standing for an open file of the host."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable, Mapping

from wasqlite.bridge.record import Record
from wasqlite.bridge.wasi.errno import EBADF, EMFILE, ENOTDIR, EROFS, WasiError
from wasqlite.bridge.wasi.layout import FILETYPE_DIRECTORY, RIGHTS_ALL

FIRST_PREOPEN = 3
MAX_DESCRIPTORS = 1024
"""Per guest, so that a runaway one cannot use up the descriptors of the whole process."""

# O_PATH needs search permission only, which is all that resolving names in a directory takes.
_OPEN_PREOPEN = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)

Release = Callable[[int], None]
"""Closes a host descriptor."""


class Preopen(Record):
    """A directory that the guest finds open: its path on the host and its name inside the guest."""

    host: bytes
    guest: bytes
    writable: bool = True
    """Whether anything below it may be changed."""
    links: bool = True
    """Whether hard and symbolic links may be made below it."""
    plain: bool = False
    """Whether only regular files and directories may be opened below it: devices can block, or act."""


class Entry:
    """What one descriptor of the guest stands for. ``host`` is -1 where there is no descriptor of the host's."""

    __slots__ = (
        "confined",
        "filetype",
        "flags",
        "host",
        "inheriting",
        "links",
        "name",
        "path",
        "plain",
        "rights",
        "writable",
    )

    def __init__(
        self,
        host: int,
        filetype: int,
        *,
        confined: bool,
        flags: int = 0,
        rights: int = RIGHTS_ALL,
        inheriting: int = RIGHTS_ALL,
        name: bytes | None = None,
        path: bytes = b"",
        writable: bool = True,
        links: bool = True,
        plain: bool = False,
    ) -> None:
        self.host = host
        self.filetype = filetype
        self.confined = confined  # paths below this directory must not leave it
        self.flags = flags
        self.rights = rights
        self.inheriting = inheriting
        self.name = name  # of a preopened directory
        self.path = path  # on the host, as it was opened: for error messages
        self.writable = writable  # these three as in Preopen
        self.links = links
        self.plain = plain


class Hosts(dict[int, int]):
    """Guest descriptor to host descriptor; a missing one is EBADF. (A KeyError could be anybody's.)"""

    __slots__ = ()

    def __missing__(self, fd: int) -> int:
        raise WasiError(EBADF)


class Descriptors:
    """The table: guest descriptors, as indexes of the guest's own, onto host descriptors.

    ``hosts`` holds the host descriptors once more, for the functions that need nothing else.
    """

    __slots__ = ("__weakref__", "_given", "_owner", "_release", "entries", "hosts")

    def __init__(self, preopens: Mapping[int, bytes | Preopen], release: Release = os.close) -> None:
        self.entries: dict[int, Entry] = {}
        self.hosts = Hosts()
        self._given: dict[int, Entry] = {}
        self._release = release
        self._owner = os.getpid()
        _alive.add(self)
        try:
            for fd, preopen in preopens.items():
                if fd < FIRST_PREOPEN:
                    raise ValueError(f"preopened directories start at descriptor {FIRST_PREOPEN}: {fd}")
                if not isinstance(preopen, Preopen):
                    preopen = Preopen(preopen, preopen)
                host, name = preopen.host, preopen.guest
                # Only "/" cannot be left by any path, so only there may the kernel resolve paths on its own.
                confined = os.path.realpath(host) != b"/"
                descriptor = os.open(host, _OPEN_PREOPEN)
                entry = Entry(descriptor, FILETYPE_DIRECTORY, confined=confined, name=name, path=host)
                entry.writable, entry.links, entry.plain = preopen.writable, preopen.links, preopen.plain
                self.give(fd, entry)
        except BaseException:
            self.close()
            raise

    def give(self, fd: int, entry: Entry) -> None:
        """Let the guest find ``entry`` open as ``fd``."""
        self._given[fd] = entry
        self.put(fd, entry)

    def reset(self) -> None:
        """Close what the guest has opened, and open what it has closed, or moved: it has what it found at first."""
        for fd in list(self.entries):
            self.remove(fd)
        for fd, entry in self._given.items():
            self.put(fd, entry)

    def put(self, fd: int, entry: Entry) -> None:
        """Let ``fd`` stand for ``entry``."""
        self.entries[fd] = entry
        if entry.host >= 0:
            self.hosts[fd] = entry.host

    def renumber(self, fd: int, to: int) -> None:
        """Let ``to`` stand for what ``fd`` did; both must be open, and what ``to`` stood for is closed."""
        entry = self.entry(fd)
        self.entry(to)
        if fd != to:
            self.remove(to)
            del self.entries[fd]
            self.hosts.pop(fd, None)
            self.put(to, entry)

    def add(self, entry: Entry) -> int:
        """Give ``entry`` the lowest free descriptor."""
        fd = FIRST_PREOPEN
        while fd in self.entries:
            fd += 1
        self.put(fd, entry)
        return fd

    def check_room(self) -> None:
        """EMFILE when the table is full."""
        if len(self.entries) >= MAX_DESCRIPTORS:
            raise WasiError(EMFILE)

    def entry(self, fd: int) -> Entry:
        """What ``fd`` stands for, or EBADF."""
        try:
            return self.entries[fd]
        except KeyError:
            raise WasiError(EBADF) from None

    def directory(self, fd: int) -> Entry:
        """The same for a directory: ENOTDIR when it is none."""
        entry = self.entry(fd)
        if entry.filetype != FILETYPE_DIRECTORY:
            raise WasiError(ENOTDIR)
        return entry

    def changeable(self, fd: int) -> Entry:
        """The same for a directory below which something is to be changed: EROFS if that is not allowed."""
        entry = self.directory(fd)
        if not entry.writable:
            raise WasiError(EROFS)
        return entry

    def remove(self, fd: int) -> None:
        """Close ``fd``, or EBADF."""
        entry = self.entry(fd)
        self.hosts.pop(fd, None)
        del self.entries[fd]
        if entry.name is None:  # a preopened directory stays open on the host, for ``reset``
            self._close(entry)

    def _close(self, entry: Entry) -> None:
        if entry.host < 0:
            return
        if entry.filetype == FILETYPE_DIRECTORY:
            os.close(entry.host)
        else:
            self._release(entry.host)

    def close(self) -> None:
        """Close every host descriptor; from now on the table is empty. Never enters the guest.

        In the child of a fork that Python was not told of (a C library's) it only forgets them: an unlock
        would take the parent's locks, and a close those that native SQLite may meanwhile have taken in this
        process.
        """
        errors = []
        forked = self._owner != os.getpid()
        for entry in self._drain():
            if forked:
                continue
            try:
                self._close(entry)
            except OSError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def abandon(self) -> None:
        """Close our copies in a forked child, without unlocking; done by itself right after ``os.fork()``.

        The parent shares the open files, so that an unlock here would take its locks away; closing our copies
        does not. They have to be closed all the same: kept open, they would hold the parent's locks after its
        death.
        """
        for entry in self._drain():
            if entry.host >= 0:
                os.close(entry.host)

    def _drain(self) -> Iterable[Entry]:
        self.hosts.clear()
        while self.entries:
            entry = self.entries.popitem()[1]
            if entry.name is None:
                yield entry
        while self._given:
            yield self._given.popitem()[1]


_alive: weakref.WeakSet[Descriptors] = weakref.WeakSet()


def _abandon_all() -> None:
    for table in list(_alive):
        table.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
