"""Host-side WASI for files: what a guest may open, and everything that takes a path."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.memory import Memory
from wasqlite.bridge.wasi import attributes, transfer
from wasqlite.bridge.wasi.denied import denied
from wasqlite.bridge.wasi.descriptors import Descriptors, Preopen, Release
from wasqlite.bridge.wasi.errno import EIO, ENAMETOOLONG, ENOENT, ENOTDIR, EXPECTED, SUCCESS, WasiError
from wasqlite.bridge.wasi.failures import Failures
from wasqlite.bridge.wasi.layout import FILESTAT, FILETYPE_DIRECTORY, FILETYPES, LOOKUP_FOLLOW, MODULE, PATH_MAX
from wasqlite.bridge.wasi.open import CreateMode, guest_path, open_path
from wasqlite.bridge.wasi.resolve import resolved

_MOST_CHECKED = 64


class WasiFiles:
    """The file functions of wasi_snapshot_preview1 for one guest.

    ``preopens`` maps descriptors (from 3 on) to directories: the whole of what the guest can reach. Without
    any, every file function answers with an error. ``create_mode`` chooses the permissions of new files;
    ``release`` closes the host descriptor of a file.

    What the guest asks for is answered with a WASI error number, never with an exception, except for what a
    signal handler raises.
    """

    __slots__ = ("_checked", "_create_mode", "_deleted", "_memory", "_table", "failures")

    def __init__(
        self,
        memory: Memory,
        preopens: Mapping[int, bytes | Preopen] | None = None,
        *,
        create_mode: CreateMode | None = None,
        release: Release = os.close,
    ) -> None:
        self._memory = memory
        self._table = Descriptors(preopens or {}, release)
        self.failures = Failures(memory, self._table)
        self._create_mode = create_mode
        self._deleted: tuple[int, bytes] | None = None
        self._checked: set[bytes] = set()  # names that guest_path has let through

    def descriptor(self, fd: int) -> int:
        """The host descriptor behind the guest's ``fd``, -1 if there is none."""
        return self._table.hosts.get(fd, -1)

    @property
    def table(self) -> Descriptors:
        """The guest's descriptors."""
        return self._table

    def opened(self) -> dict[int, bytes]:
        """What the guest has opened itself: descriptors, and paths on the host."""
        entries = list(self._table.entries.items())
        return {fd: entry.path for fd, entry in entries if entry.name is None and entry.host >= 0}

    def close(self) -> None:
        """Close all host descriptors. From now on every function answers EBADF."""
        self._table.close()

    def abandon(self) -> None:
        """The same in a forked child: nothing that the parent holds is unlocked."""
        self._table.abandon()

    def functions(self) -> list[HostFunction]:
        """All file functions of the interface; those that are not served answer ENOTSUP."""

        def host(name: str, params: str, call: Callable[..., int], retry: bool = False) -> HostFunction:
            return HostFunction(MODULE, name, params, "i", call, on_error=EIO, retry=retry)

        return [
            host("path_open", "iiiiiIIii", self.path_open),
            host("fd_close", "i", self.fd_close),
            host("path_filestat_get", "iiiii", self.path_filestat_get, retry=True),
            host("path_unlink_file", "iii", self.path_unlink_file, retry=True),
            host("path_create_directory", "iii", self.path_create_directory),
            host("path_remove_directory", "iii", self.path_remove_directory),
            host("path_rename", "iiiiii", self.path_rename),
            host("path_readlink", "iiiiii", self.path_readlink, retry=True),
            *transfer.functions(self._memory, self._table, self.failures),
            *attributes.functions(self._memory, self._table),
            *denied(),
        ]

    def path_open(
        self,
        fd: int,
        lookup: int,
        path: int,
        size: int,
        oflags: int,
        rights: int,
        inheriting: int,
        fdflags: int,
        out: int,
    ) -> int:
        """Open a file or directory below the directory ``fd``; its descriptor goes to ``out``."""
        table = self._table
        try:
            self._memory.span(out, 4)
            directory = table.directory(fd)
            name = guest_path(self._memory, path, size)
            table.check_room()
            follow = bool(lookup & LOOKUP_FOLLOW)
            entry = open_path(directory, name, follow, oflags, rights, inheriting, fdflags, self._create_mode)
            self._memory.write_u32(out, table.add(entry))
            return SUCCESS
        except EXPECTED as error:
            return self.failures.on_path("path_open", error, fd, path, size)

    def fd_close(self, fd: int) -> int:
        """Close a descriptor; preopened directories too, as wasi-libc may."""
        try:
            self._table.remove(fd)
            return SUCCESS
        except EXPECTED as error:
            return self.failures.on_descriptor("fd_close", error, fd)

    def path_filestat_get(self, fd: int, lookup: int, path: int, size: int, out: int) -> int:
        """The attributes of what a path names."""
        try:
            found = self.status(fd, path, size, bool(lookup & LOOKUP_FOLLOW))
            transfer.put_filestat(self._memory.span(out, FILESTAT.size), found)
            return SUCCESS
        except FileNotFoundError:
            return ENOENT  # an answer, and no failure: a missing journal is the rule
        except EXPECTED as error:
            return self.failures.on_path("path_filestat_get", error, fd, path, size)

    def status(self, fd: int, path: int, size: int, follow: bool = True) -> os.stat_result:
        """The same for another host function. Raises what ``errno.EXPECTED`` lists.

        Asked twice per read transaction, for a hot journal and for a WAL: a name that was checked before is not
        checked again, which saves a third of 2.7 us.
        """
        directory = self._table.entries.get(fd)
        if directory is None or directory.filetype != FILETYPE_DIRECTORY:
            directory = self._table.directory(fd)
        if size > PATH_MAX:
            raise WasiError(ENAMETOOLONG)  # before all of the guest's memory is copied
        name = self._memory.view[path : path + size].tobytes()
        if name not in self._checked or len(name) != size:
            name = guest_path(self._memory, path, size)
            if len(self._checked) >= _MOST_CHECKED:
                self._checked.clear()
            self._checked.add(name)
        if directory.confined:
            with resolved(directory, name, follow) as (parent, last):
                return os.stat(last, dir_fd=parent, follow_symlinks=False)
        # The kernel may resolve it.
        return os.stat(name, dir_fd=directory.host, follow_symlinks=follow)

    def path_unlink_file(self, fd: int, path: int, size: int) -> int:
        """Delete a file.

        Deleting its journal is what commits a transaction, so it must not fail just because a signal handler
        raised right after it was done: that is remembered, and the second try finds success.
        """
        try:
            directory = self._table.changeable(fd)
            name = guest_path(self._memory, path, size)
            attempt = (fd, name)
            again = self._deleted == attempt
            with resolved(directory, name, follow=False) as (parent, last):
                self._deleted = attempt
                try:
                    os.unlink(last, dir_fd=parent)
                except FileNotFoundError:
                    if not again:
                        raise
            self._deleted = None
            return SUCCESS
        except EXPECTED as error:
            number = self.failures.on_path("path_unlink_file", error, fd, path, size)
            self._deleted = None
            return number

    def path_create_directory(self, fd: int, path: int, size: int) -> int:
        """Make a directory."""
        try:
            directory = self._table.changeable(fd)
            name = guest_path(self._memory, path, size).rstrip(b"/")
            with resolved(directory, name, follow=False) as (parent, last):
                os.mkdir(last, dir_fd=parent)
            return SUCCESS
        except EXPECTED as error:
            return self.failures.on_path("path_create_directory", error, fd, path, size)

    def path_remove_directory(self, fd: int, path: int, size: int) -> int:
        """Remove an empty directory."""
        try:
            directory = self._table.changeable(fd)
            name = guest_path(self._memory, path, size).rstrip(b"/")
            with resolved(directory, name, follow=False) as (parent, last):
                os.rmdir(last, dir_fd=parent)
            return SUCCESS
        except EXPECTED as error:
            return self.failures.on_path("path_remove_directory", error, fd, path, size)

    def path_rename(self, fd: int, path: int, size: int, new_fd: int, new_path: int, new_size: int) -> int:
        """Rename a file or directory."""
        try:
            directory, new_directory = self._table.changeable(fd), self._table.changeable(new_fd)
            name = guest_path(self._memory, path, size)
            new_name = guest_path(self._memory, new_path, new_size)
            slash = name.endswith(b"/") or new_name.endswith(b"/")  # only a directory may be called so
            with (
                resolved(directory, name.rstrip(b"/"), follow=False) as (parent, last),
                resolved(new_directory, new_name.rstrip(b"/"), follow=False) as (new_parent, new_last),
            ):
                if slash:
                    mode = os.stat(last, dir_fd=parent, follow_symlinks=False).st_mode
                    if FILETYPES[mode >> 12] != FILETYPE_DIRECTORY:
                        raise WasiError(ENOTDIR)
                os.rename(last, new_last, src_dir_fd=parent, dst_dir_fd=new_parent)
            return SUCCESS
        except EXPECTED as error:
            return self.failures.on_path("path_rename", error, fd, path, size)

    def path_readlink(self, fd: int, path: int, size: int, buffer: int, capacity: int, out: int) -> int:
        """Where a link points to, cut off at ``capacity``."""
        memory = self._memory
        try:
            directory = self._table.directory(fd)
            name = guest_path(memory, path, size)
            with resolved(directory, name, follow=False) as (parent, last):
                target = os.readlink(last, dir_fd=parent)[:capacity]
            memory.write(buffer, target)
            memory.write_u32(out, len(target))
            return SUCCESS
        except EXPECTED as error:
            return self.failures.on_path("path_readlink", error, fd, path, size)
