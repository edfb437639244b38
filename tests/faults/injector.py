"""A layer under the host's file functions that counts them, writes them down, and makes chosen ones fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.memory import Memory
from wasqlite.bridge.wasi import errno
from wasqlite.bridge.wasi.layout import IOVEC
from wasqlite.capi.constants import SQLITE_BUSY
from wasqlite.vfs.host import HostFiles

# Functions that have nothing to do with files.
_OTHERS = frozenset(("clock_time_get", "clock_res_get", "random_get", "poll_oneoff", "local_time", "progress"))
_WASI = "wasi_snapshot_preview1"
EVENT_LIMIT = 200_000
"""More host calls than that in one workload are a hang."""


class Hang(BaseException):
    """The guest does not stop asking. (No Exception, so that nothing handles it.)"""


class Fault:
    """Fails the ``at``-th operation, and with ``lasting`` all after it.

    ``kind`` is a WASI errno's name, or one of these. "short": half a write, and a full disk at the next; half a read.
    "done": the operation is carried out, and an I/O error is reported all the same. "BUSY": somebody else holds the
    lock. "lost": success is reported and nothing was done (no program survives that; it shows that the checks work).
    """

    def __init__(self, at: int, kind: str, *, lasting: bool) -> None:
        self.at = at
        self.kind = kind
        self.lasting = lasting
        self.fired = 0
        self.first = ""
        self.names: set[str] = set()

    def __str__(self) -> str:
        return f"{self.kind} at {self.at}{' and from then on' if self.lasting else ''} ({self.first})"


class Injector:
    """Serves any number of connections; operations of all of them are counted together."""

    def __init__(self) -> None:
        self.count = 0
        self.calls = 0
        self.fault: Fault | None = None
        self.names: list[str] = []
        self._full = False  # the write after a short one finds no space

    def start(self, fault: Fault | None) -> None:
        """Begin to count from 0, with this fault."""
        self.count = self.calls = 0
        self.names = []
        self.fault = fault
        self._full = False

    def stop(self) -> None:
        """No more faults."""
        self.fault = None

    def host_files(self) -> HostFiles:
        """What ``wasqlite.connection`` is to use in place of ``HostFiles``."""
        return FaultyFiles(self)

    def around(self, function: HostFunction, memory: Memory) -> Callable[..., Any]:
        """``function.call`` with the faults."""
        call, name = function.call, function.name

        def around(*arguments: int) -> Any:
            self.calls += 1
            if self.calls > EVENT_LIMIT:
                raise Hang(name)
            fault = self.fault
            n = self.count
            self.count += 1
            self.names.append(name)
            if fault is not None and (n == fault.at or (fault.lasting and n > fault.at) or self._full):
                failed = self._fail(fault, function, memory, arguments)
                if failed is not None:
                    fault.first = fault.first or name
                    fault.fired += 1
                    fault.names.add(name)
                    return failed
            return call(*arguments)

        return around

    def _fail(self, fault: Fault, function: HostFunction, memory: Memory, arguments: tuple[int, ...]) -> int | None:
        """The answer of the failing operation; None if the fault does not apply to it."""
        call, name = function.call, function.name
        if fault.kind == "lost":
            if name != "fd_pwrite":
                return None
            _, iovs, _, _, moved = arguments
            memory.write_u32(moved, IOVEC.unpack_from(memory.view, iovs)[1])
            return errno.SUCCESS
        if fault.kind == "BUSY":
            return SQLITE_BUSY if name.endswith("_lock") else None
        if fault.kind == "done":
            call(*arguments)
            return self._answer(function, errno.EIO)
        if fault.kind == "short":
            if name == "fd_pwrite" and self._full:
                self._full = fault.lasting
                return errno.ENOSPC
            if name not in ("fd_pwrite", "fd_pread"):
                return None
            fd, iovs, count, offset, moved = arguments
            address, size = IOVEC.unpack_from(memory.view, iovs)
            if count != 1 or size < 2:
                return None
            self._full = name == "fd_pwrite"
            IOVEC.pack_into(memory.view, iovs, address, size // 2)
            try:
                return int(call(fd, iovs, count, offset, moved) or 0)
            finally:
                IOVEC.pack_into(memory.view, iovs, address, size)
        if name == "fd_close":
            call(*arguments)  # as Linux: the descriptor is gone, whatever the answer
        return self._answer(function, getattr(errno, fault.kind))

    @staticmethod
    def _answer(function: HostFunction, number: int) -> int:
        if function.module == _WASI:
            return number
        if function.name.startswith("path_"):
            return -number
        assert isinstance(function.on_error, int)  # a lock or shared memory: a result code
        return function.on_error


class FaultyFiles(HostFiles):
    """``HostFiles`` with the injector in between."""

    __slots__ = ("_injector",)

    def __init__(self, injector: Injector) -> None:
        super().__init__()
        self._injector = injector

    def functions(self, memory: Memory) -> list[HostFunction]:
        """All imports, those about files wrapped."""
        wrapped = []
        for f in super().functions(memory):
            if f.name in _OTHERS:
                wrapped.append(f)
                continue
            call = self._injector.around(f, memory)
            wrapped.append(
                HostFunction(
                    f.module, f.name, f.params, f.result, call, f.on_error, retry=f.retry, reentrant=f.reentrant
                )
            )
        return wrapped
