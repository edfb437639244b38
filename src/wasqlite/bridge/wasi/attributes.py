"""The rarely called functions on descriptors: prestat, fdstat, advice, allocation."""

from __future__ import annotations

import os
from collections.abc import Callable

from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.memory import Memory
from wasqlite.bridge.wasi.descriptors import Descriptors
from wasqlite.bridge.wasi.errno import (
    EBADF,
    EINVAL,
    EIO,
    ENAMETOOLONG,
    ENOTSUP,
    EXPECTED,
    SUCCESS,
    WasiError,
    answer,
)
from wasqlite.bridge.wasi.layout import (
    FDFLAG_APPEND,
    FDFLAG_NONBLOCK,
    FDSTAT,
    MODULE,
    PRESTAT,
)
from wasqlite.bridge.wasi.open import FDFLAGS

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# In the order of WASI's advice values.
_ADVICE = tuple(
    getattr(os, f"POSIX_FADV_{name}", None)
    for name in ("NORMAL", "SEQUENTIAL", "RANDOM", "WILLNEED", "DONTNEED", "NOREUSE")
)
_CHANGEABLE = FDFLAG_APPEND | FDFLAG_NONBLOCK


def functions(memory: Memory, table: Descriptors) -> list[HostFunction]:
    """The imports."""

    def preopen_name(fd: int) -> bytes:
        name = table.entry(fd).name
        if name is None:
            raise WasiError(EBADF)  # how wasi-libc's start-up finds the end of the list
        return name

    def fd_prestat_get(fd: int, out: int) -> None:
        name = preopen_name(fd)
        PRESTAT.pack_into(memory.span(out, PRESTAT.size), 0, 0, len(name))

    def fd_prestat_dir_name(fd: int, path: int, size: int) -> None:
        name = preopen_name(fd)
        if size < len(name):
            raise WasiError(ENAMETOOLONG)
        memory.write(path, name)

    def fd_fdstat_get(fd: int, out: int) -> None:
        entry = table.entry(fd)
        target = memory.span(out, FDSTAT.size)
        FDSTAT.pack_into(target, 0, entry.filetype, entry.flags, entry.rights, entry.inheriting)

    def fd_fdstat_set_flags(fd: int, flags: int) -> None:
        entry = table.entry(fd)
        if (flags ^ entry.flags) & ~_CHANGEABLE:
            raise WasiError(ENOTSUP)  # no system can switch synchronous writing on or off
        status = fcntl.fcntl(entry.host, fcntl.F_GETFL)
        for bit in (FDFLAG_APPEND, FDFLAG_NONBLOCK):
            status = status | FDFLAGS[bit] if flags & bit else status & ~FDFLAGS[bit]
        fcntl.fcntl(entry.host, fcntl.F_SETFL, status)
        entry.flags = flags

    def fd_advise(fd: int, offset: int, size: int, advice: int) -> None:
        host = table.entry(fd).host
        if advice >= len(_ADVICE):
            raise WasiError(EINVAL)
        hint = _ADVICE[advice]
        if hint is not None:
            os.posix_fadvise(host, offset, size, hint)

    def fd_allocate(fd: int, offset: int, size: int) -> None:
        host = table.entry(fd).host
        if not hasattr(os, "posix_fallocate"):
            raise WasiError(ENOTSUP)
        os.posix_fallocate(host, offset, size)

    def host(call: Callable[..., None], params: str) -> HostFunction:
        return HostFunction(MODULE, call.__name__, params, "i", _answering(call), on_error=EIO, retry=True)

    return [
        host(fd_prestat_get, "ii"),
        host(fd_prestat_dir_name, "iii"),
        host(fd_fdstat_get, "ii"),
        host(fd_fdstat_set_flags, "ii"),
        host(fd_advise, "iIIi"),
        host(fd_allocate, "iII"),
    ]


def _answering(call: Callable[..., None]) -> Callable[..., int]:
    def answering(*arguments: int) -> int:
        try:
            call(*arguments)
            return SUCCESS
        except EXPECTED as error:
            return answer(error)

    return answering
