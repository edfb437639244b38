"""File functions on open descriptors: the paths that run once per page."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence

from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.memory import Memory
from wasqlite.bridge.wasi.descriptors import Descriptors, Hosts
from wasqlite.bridge.wasi.errno import EINVAL, EIO, ENOTSUP, EXPECTED, SUCCESS, WasiError
from wasqlite.bridge.wasi.failures import Failures
from wasqlite.bridge.wasi.layout import FILESTAT, FILETYPES, IOV_MAX, IOVEC, IOVECS, MODULE, U32, U64

_pack_filestat = FILESTAT.pack_into
_WHENCE = (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END)

Positional = Callable[[int, Sequence[memoryview], int], int]
Sequential = Callable[[int, Sequence[memoryview]], int]


def _absent(*_: object) -> int:
    """Stands in for what this platform's ``os`` lacks (Windows: all of the vectored calls)."""
    raise WasiError(ENOTSUP)


def put_filestat(target: memoryview, of: os.stat_result) -> None:
    """Write the attributes of a file as FILESTAT."""
    which = of.st_dev, of.st_ino, FILETYPES[of.st_mode >> 12], of.st_nlink, of.st_size
    try:
        _pack_filestat(target, 0, *which, of.st_atime_ns, of.st_mtime_ns, of.st_ctime_ns)
    except struct.error:  # a time after 2262
        _pack_filestat(target, 0, *which, *map(_timestamp, (of.st_atime_ns, of.st_mtime_ns, of.st_ctime_ns)))


def _timestamp(time: int) -> int:
    """The number with the bits of WASI's unsigned one, which goes on until 2554; at most that, at least 1677."""
    return min(time - (1 << 64), -1) if time >= 1 << 63 else max(time, -(1 << 63))


def vectors(memory: Memory, iovs: int, count: int) -> list[memoryview]:
    """The pieces of guest memory that an array of iovecs names, all checked."""
    if count > IOV_MAX:
        raise WasiError(EINVAL)
    return [memory.span(address, size) for address, size in IOVEC.iter_unpack(memory.span(iovs, 8 * count))]


def _positional(
    memory: Memory, hosts: Hosts, failures: Failures, name: str, move: Positional
) -> Callable[[int, int, int, int, int], int]:
    """fd_pread or fd_pwrite.

    One vector or two inside the memory as last seen take a path without any call of ours: 1.5 us for a read of
    4 KiB, of which ``os.preadv`` alone is 0.85; by way of ``span`` it is 2.25 (best of five, CPython 3.13).
    """
    iovec, two, put = IOVEC.unpack_from, IOVECS.unpack_from, U32.pack_into

    def positional(fd: int, iovs: int, count: int, offset: int, moved: int) -> int:
        if offset < 0:
            return EINVAL  # preadv2 takes -1 for the current position
        try:
            if count == 1:
                view = memory.view
                try:
                    address, size = iovec(view, iovs)
                    end = address + size
                    if end <= memory.size:
                        put(view, moved, move(hosts[fd], (view[address:end],), offset))
                        return SUCCESS
                except struct.error:
                    pass  # the memory has grown, or the guest lies: the checked path below tells
            elif count == 2:
                view = memory.view
                try:
                    address, size, second, more = two(view, iovs)
                    end, last = address + size, second + more
                    if end <= memory.size and last <= memory.size:
                        put(view, moved, move(hosts[fd], (view[address:end], view[second:last]), offset))
                        return SUCCESS
                except struct.error:
                    pass
            memory.span(moved, 4)
            memory.write_u32(moved, move(hosts[fd], vectors(memory, iovs, count), offset))
            return SUCCESS
        except EXPECTED as error:
            return failures.on_descriptor(name, error, fd)

    return positional


def _sequential(
    memory: Memory, hosts: Hosts, failures: Failures, name: str, move: Sequential
) -> Callable[[int, int, int, int], int]:
    """fd_read or fd_write."""

    def sequential(fd: int, iovs: int, count: int, moved: int) -> int:
        try:
            memory.span(moved, 4)  # before anything has happened to the file
            memory.write_u32(moved, move(hosts[fd], vectors(memory, iovs, count)))
            return SUCCESS
        except EXPECTED as error:
            return failures.on_descriptor(name, error, fd)

    return sequential


def _plain(hosts: Hosts, failures: Failures, name: str, call: Callable[..., object]) -> Callable[..., int]:
    """A function of a descriptor and integers that answers nothing but success or an error."""

    def plain(fd: int, *arguments: int) -> int:
        try:
            call(hosts[fd], *arguments)
            return SUCCESS
        except EXPECTED as error:
            return failures.on_descriptor(name, error, fd)

    return plain


def _filestat_get(memory: Memory, hosts: Hosts, failures: Failures) -> Callable[[int, int], int]:
    def fd_filestat_get(fd: int, out: int) -> int:
        try:
            put_filestat(memory.span(out, FILESTAT.size), os.fstat(hosts[fd]))
            return SUCCESS
        except EXPECTED as error:
            return failures.on_descriptor("fd_filestat_get", error, fd)

    return fd_filestat_get


def _seek(memory: Memory, hosts: Hosts, failures: Failures) -> Callable[[int, int, int, int], int]:
    def fd_seek(fd: int, offset: int, whence: int, out: int) -> int:
        try:
            host, target = hosts[fd], memory.span(out, 8)
            if whence >= len(_WHENCE):
                return EINVAL
            U64.pack_into(target, 0, os.lseek(host, offset, _WHENCE[whence]))
            return SUCCESS
        except EXPECTED as error:
            return failures.on_descriptor("fd_seek", error, fd)

    return fd_seek


def functions(memory: Memory, table: Descriptors, failures: Failures) -> list[HostFunction]:
    """The imports. What may be done twice without harm is marked so."""
    hosts = table.hosts
    seek = _seek(memory, hosts, failures)

    def fd_tell(fd: int, out: int) -> int:
        return seek(fd, 0, 1, out)

    def host(name: str, params: str, call: Callable[..., int], *, retry: bool) -> HostFunction:
        return HostFunction(MODULE, name, params, "i", call, on_error=EIO, retry=retry)

    def positional(name: str, move: Positional) -> HostFunction:
        return host(name, "iiiIi", _positional(memory, hosts, failures, name, move), retry=True)

    def sequential(name: str, move: Sequential) -> HostFunction:
        return host(name, "iiii", _sequential(memory, hosts, failures, name, move), retry=False)

    def plain(name: str, params: str, call: Callable[..., object]) -> HostFunction:
        return host(name, params, _plain(hosts, failures, name, call), retry=True)

    return [
        positional("fd_pread", getattr(os, "preadv", _absent)),
        positional("fd_pwrite", getattr(os, "pwritev", _absent)),
        sequential("fd_read", getattr(os, "readv", _absent)),
        sequential("fd_write", getattr(os, "writev", _absent)),
        host("fd_seek", "iIii", seek, retry=False),
        host("fd_tell", "ii", fd_tell, retry=True),
        host("fd_filestat_get", "ii", _filestat_get(memory, hosts, failures), retry=True),
        plain("fd_filestat_set_size", "iI", os.ftruncate),
        plain("fd_sync", "i", os.fsync),
        plain("fd_datasync", "i", getattr(os, "fdatasync", os.fsync)),
    ]
