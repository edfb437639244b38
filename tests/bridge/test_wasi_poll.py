"""Sleeping and clocks, as a guest asks for them."""

from __future__ import annotations

import struct
import time

import pytest

from wasqlite.bridge.memory import Memory
from wasqlite.bridge.wasi import errno, poll

SUBSCRIPTIONS, EVENTS, OUT = 0, 1000, 2000
REALTIME, MONOTONIC = 0, 1


class Clocks:
    def __init__(self) -> None:
        self.memory = Memory.over(bytearray(4096))
        self.call = {function.name: function.call for function in poll.functions(self.memory)}

    def now(self, clock: int) -> int:
        assert self.call["clock_time_get"](clock, 0, OUT) == 0
        return int.from_bytes(self.memory.read(OUT, 8), "little")

    def poll(self, *subscriptions: bytes) -> list[tuple[int, int, int]]:
        self.memory.write(SUBSCRIPTIONS, b"".join(subscriptions))
        assert self.call["poll_oneoff"](SUBSCRIPTIONS, EVENTS, len(subscriptions), OUT) == 0
        count = self.memory.read_u32(OUT)
        raw = self.memory.read(EVENTS, 32 * count)
        return [struct.unpack_from("<QHB", raw, 32 * i) for i in range(count)]


def clock(userdata: int, clock: int, timeout: int, flags: int = 0) -> bytes:
    return struct.pack("<QB7xI4xQQH6x", userdata, 0, clock, timeout, 0, flags)


@pytest.mark.parametrize("which", [REALTIME, MONOTONIC])
@pytest.mark.parametrize("absolute", [0, 1])
def test_a_clock_subscription_sleeps(which: int, absolute: int) -> None:
    clocks = Clocks()
    timeout = 30_000_000 + (clocks.now(which) if absolute else 0)
    started = time.monotonic()
    assert clocks.poll(clock(77, which, timeout, absolute)) == [(77, 0, 0)]
    assert 0.025 < time.monotonic() - started < 5


def test_what_has_passed_does_not_sleep() -> None:
    clocks = Clocks()
    assert clocks.poll(clock(1, MONOTONIC, 0), clock(2, REALTIME, 5, 1)) == [(1, 0, 0), (2, 0, 0)]


def test_the_earliest_deadline_wakes() -> None:
    clocks = Clocks()
    assert clocks.poll(clock(1, MONOTONIC, 10**18), clock(2, MONOTONIC, 1000)) == [(2, 0, 0)]


def test_descriptors_are_ready_at_once_and_unknown_clocks_are_errors() -> None:
    clocks = Clocks()
    readable = struct.pack("<QB7xI28x", 5, 1, 3)
    assert clocks.poll(clock(1, MONOTONIC, 10**18), readable) == [(5, 0, 1)]
    assert clocks.poll(clock(9, 2, 0)) == [(9, errno.ENOTSUP, 0)]
    assert clocks.call["clock_time_get"](2, 0, OUT) == errno.ENOTSUP
    assert clocks.call["clock_res_get"](2, OUT) == errno.ENOTSUP
    assert clocks.call["clock_res_get"](1, OUT) == 0


def test_bad_counts_and_addresses_are_refused() -> None:
    call = Clocks().call["poll_oneoff"]
    assert call(SUBSCRIPTIONS, EVENTS, 0, OUT) == errno.EINVAL
    assert call(SUBSCRIPTIONS, EVENTS, 0xFFFF_FFFF, OUT) == errno.EINVAL
    assert call(4090, EVENTS, 1, OUT) == errno.EFAULT
    assert call(SUBSCRIPTIONS, 4090, 1, OUT) == errno.EFAULT
    assert call(SUBSCRIPTIONS, EVENTS, 1, 4094) == errno.EFAULT


def test_what_is_neither_a_clock_nor_a_descriptor_is_refused() -> None:
    clocks = Clocks()
    clocks.memory.write(SUBSCRIPTIONS, struct.pack("<QB39x", 5, 3))
    assert clocks.call["poll_oneoff"](SUBSCRIPTIONS, EVENTS, 1, OUT) == errno.EINVAL
