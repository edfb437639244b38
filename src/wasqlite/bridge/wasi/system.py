"""All of wasi_snapshot_preview1 for one guest, as its policy says."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from functools import partial

from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.interruption import too_late
from wasqlite.bridge.memory import Memory
from wasqlite.bridge.policy import Policy, SteppingClock
from wasqlite.bridge.state import State
from wasqlite.bridge.wasi import directories, poll, process, streams
from wasqlite.bridge.wasi.descriptors import FIRST_PREOPEN, Descriptors, Preopen
from wasqlite.bridge.wasi.errno import ENOTSUP, EPERM
from wasqlite.bridge.wasi.files import WasiFiles

_SLICE = 0.05
"""Seconds that a sleeping guest sleeps between two looks at whether it shall be stopped."""


class System:
    """What a guest takes for its operating system. ``state`` is the instance's, ``name`` its module's."""

    __slots__ = ("_files", "_memory", "_name", "_policy", "_random", "_state")

    def __init__(self, name: str, memory: Memory, policy: Policy, state: State) -> None:
        self._name = name
        self._memory = memory
        self._policy = policy
        self._state = state
        preopens = {
            fd: Preopen(os.fsencode(directory.path), os.fsencode(name), directory.writable, directory.links, plain=True)
            for fd, (name, directory) in enumerate(policy.directories, FIRST_PREOPEN)
        }
        standard = {}
        for fd, stream in enumerate((policy.stdin, policy.stdout, policy.stderr)):
            if stream is not None:
                read, write = (streams.reader(stream), None) if fd == 0 else (None, streams.writer(stream))
                standard[fd] = streams.StreamEntry(read, write)
        self._random = process.randomness(policy.random)
        self._files = WasiFiles(memory, preopens)  # last: nobody would close it if something failed after it
        for fd, entry in standard.items():
            self._files.table.give(fd, entry)

    def functions(self) -> Iterable[HostFunction]:
        """The imports; of two with one name the later one counts."""
        memory, policy = self._memory, self._policy
        files = self._files.functions()
        yield from files
        yield from directories.functions(memory, self._files.table)
        yield from streams.functions(memory, self._files.table, files)
        yield from poll.functions(memory, self._clocks(), stops=True)
        yield from process.functions(
            memory,
            [os.fsencode(argument) for argument in policy.arguments],
            [os.fsencode(f"{name}={value}") for name, value in policy.variables],
            self._random,
        )

    def reason(self) -> str | None:
        """Why there can be no snapshot of the guest now: it would not hold the files that it has open."""
        paths = sorted(map(os.fsdecode, self._files.opened().values()))
        return f"the guest has files open: {', '.join(paths)}" if paths else None

    def release(self) -> None:
        """Close the files that the guest has opened itself, and let it have again what it was opened with."""
        self._files.table.reset()

    def close(self) -> None:
        """Close all that the guest has open."""
        self._files.close()

    def _clocks(self) -> poll.Clocks:
        clock, table = self._policy.clock, self._files.table
        if clock is None:
            return _NoClocks(table)
        if isinstance(clock, SteppingClock):
            return _SteppingClocks(table, clock)
        return _RealClocks(table, self._state, partial(too_late, self._name, self._policy.deadline))


class _NoClocks(poll.Clocks):
    """No clock, and so no sleep."""

    __slots__ = ("_table",)
    now: tuple[Callable[[], int], ...] = ()
    resolutions: tuple[float, ...] = ()
    unknown = EPERM

    def __init__(self, table: Descriptors) -> None:
        self._table = table

    def is_open(self, fd: int) -> bool:
        return fd in self._table.entries


class _RealClocks(_NoClocks):
    """The host's clocks, for a guest that may be stopped while it sleeps."""

    __slots__ = ("_late", "_state")
    now = poll.Clocks.now
    resolutions = poll.Clocks.resolutions
    unknown = ENOTSUP

    def __init__(self, table: Descriptors, state: State, late: Callable[[], BaseException]) -> None:
        super().__init__(table)
        self._state = state
        self._late = late

    def wait(self, until: int) -> int:
        state = self._state
        while (now := time.monotonic_ns()) < until:
            left = 1.0 if state.until is None else state.until - time.monotonic()
            if state.stop:
                raise state.stop[0]
            if left <= 0:
                raise self._late()
            time.sleep(min((until - now) / 1e9, left, _SLICE))
        return now


class _SteppingClocks(_NoClocks):
    """One clock for all, that moves by being looked at, and by sleeping, which takes no time."""

    __slots__ = ("_next", "_step", "now")
    now: tuple[Callable[[], int], ...]
    resolutions = (1e-9, 1e-9)
    unknown = ENOTSUP

    def __init__(self, table: Descriptors, clock: SteppingClock) -> None:
        super().__init__(table)
        self._next = clock.start
        self._step = clock.step
        self.now = (self._read, self._read)

    def _read(self) -> int:
        read = self._next
        self._next += self._step
        return read & 0xFFFF_FFFF_FFFF_FFFF

    def wait(self, until: int) -> int:
        self._next = max(self._next, until)
        return self._next
