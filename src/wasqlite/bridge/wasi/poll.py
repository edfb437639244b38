"""poll_oneoff, which is how a guest sleeps, and the clocks that its deadlines are measured with."""

from __future__ import annotations

import time
from collections.abc import Callable

from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.memory import Memory
from wasqlite.bridge.wasi.errno import EBADF, EINVAL, EIO, ENOTSUP, EXPECTED, SUCCESS, WasiError, answer
from wasqlite.bridge.wasi.layout import EVENT, MODULE, SUBSCRIPTION, U64

MAX_SUBSCRIPTIONS = 1024
LONGEST_SLEEP = 10**8
"""Seconds; what is longer wakes up early, which a guest must expect anyway."""

_CLOCK = 0
_LAST_KIND = 2
_ABSOLUTE = 1


class Clocks:
    """The host's clocks: of WASI's, the realtime and the monotonic one."""

    __slots__ = ()

    now: tuple[Callable[[], int], ...] = (time.time_ns, time.monotonic_ns)
    """What each clock tells, in ns."""
    resolutions: tuple[float, ...] = tuple(time.get_clock_info(name).resolution for name in ("time", "monotonic"))
    """In seconds."""
    unknown = ENOTSUP
    """The answer for all other clocks."""

    def wait(self, until: int) -> int:
        """Sleep until the monotonic clock says ``until``, or not quite as long: what it says now."""
        pause = (until - time.monotonic_ns()) / 1e9
        if pause > 0:
            time.sleep(min(pause, LONGEST_SLEEP))
        return max(until, time.monotonic_ns())

    def is_open(self, fd: int) -> bool:
        """Whether a descriptor can be waited for."""
        return True


def functions(memory: Memory, clocks: Clocks | None = None, *, stops: bool = False) -> list[HostFunction]:
    """``poll_oneoff``, ``clock_time_get`` and ``clock_res_get``.

    The clock comes along because an absolute deadline means nothing on another one's scale: wasmtime's own
    monotonic clock starts at zero with the instance. ``stops``: what ends a sleep with an exception stops the guest;
    else it goes on with an error.
    """
    time_of = clocks or Clocks()

    def poll_oneoff(subscriptions: int, events: int, count: int, out: int) -> int:
        try:
            if not 0 < count <= MAX_SUBSCRIPTIONS:
                return EINVAL
            asked = list(SUBSCRIPTION.iter_unpack(memory.span(subscriptions, SUBSCRIPTION.size * count)))
            memory.span(events, EVENT.size * count)
            memory.span(out, 4)
            ready = _wait(asked, time_of)
            memory.write(events, b"".join(EVENT.pack(data, error, kind, 0, 0) for data, error, kind in ready))
            memory.write_u32(out, len(ready))
            return SUCCESS
        except EXPECTED as error:
            return answer(error)

    def clock_time_get(clock: int, precision: int, out: int) -> int:
        try:
            target = memory.span(out, 8)
            if clock >= len(time_of.now):
                return time_of.unknown
            U64.pack_into(target, 0, time_of.now[clock]())
            return SUCCESS
        except EXPECTED as error:
            return answer(error)

    def clock_res_get(clock: int, out: int) -> int:
        try:
            target = memory.span(out, 8)
            if clock >= len(time_of.now):
                return time_of.unknown
            U64.pack_into(target, 0, max(1, round(time_of.resolutions[clock] * 1e9)))
            return SUCCESS
        except EXPECTED as error:
            return answer(error)

    return [
        # Not retried: what a signal handler raises cuts the sleep short.
        HostFunction(MODULE, "poll_oneoff", "iiii", "i", poll_oneoff, on_error=None if stops else EIO),
        HostFunction(MODULE, "clock_time_get", "iIi", "i", clock_time_get, on_error=EIO, retry=True),
        HostFunction(MODULE, "clock_res_get", "ii", "i", clock_res_get, on_error=EIO, retry=True),
    ]


def _wait(asked: list[tuple[int, ...]], clocks: Clocks) -> list[tuple[int, int, int]]:
    """(userdata, error, type) of what is ready, after sleeping until there is something."""
    ready = []
    deadlines = []
    now = started = clocks.now[-1]() if clocks.now else 0
    for userdata, kind, clock, timeout, _, flags in asked:
        if kind > _LAST_KIND:
            raise WasiError(EINVAL)
        if kind != _CLOCK:  # files never block; a descriptor stands where a clock would
            ready.append((userdata, SUCCESS if clocks.is_open(clock) else EBADF, kind))
        elif clock >= len(clocks.now):
            ready.append((userdata, clocks.unknown, kind))
        elif flags & _ABSOLUTE:
            deadlines.append((started + timeout - clocks.now[clock](), userdata))
        else:
            deadlines.append((started + timeout, userdata))
    if not ready:
        now = clocks.wait(min(deadlines)[0])
    ready.extend((userdata, SUCCESS, _CLOCK) for deadline, userdata in deadlines if deadline <= now)
    return ready
