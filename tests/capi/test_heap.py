"""The guest's heap: blocks are apart, aligned, keep what is in them, and memory that was freed is used again."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import guests

from wasqlite.bridge import Instance, Library

C_SRC = Path(__file__).parents[2] / "c-src"
# The functions under names that keep the linker from taking libc's, and the compiler from knowing what they do.
SOURCE = """
EXPORT void *take(unsigned n) { return malloc(n); }
EXPORT void *take_zeroed(unsigned count, unsigned n) { return calloc(count, n); }
EXPORT void *resize(void *p, unsigned n) { return realloc(p, n); }
EXPORT void *take_aligned(unsigned alignment, unsigned n) { return aligned_alloc(alignment, n); }
EXPORT void give(void *p) { free(p); }
EXPORT void regain(void) { wsq_heap_regain(); }
EXPORT unsigned usable(void *p) { return malloc_usable_size(p); }
"""
MIB = 1 << 20


@pytest.fixture
def guest() -> Iterator[Instance]:
    library = Library.load(guests.compiled((C_SRC / "heap.c").read_text() + SOURCE))
    instance = library.open(memory_limit=256 * MIB)
    yield instance
    instance.close()


@pytest.mark.parametrize("seed", range(6))
def test_a_long_life(guest: Instance, seed: int) -> None:
    chance = random.Random(seed)
    take, zeroed, resize, aligned, give, usable = map(
        guest.function, ("take", "take_zeroed", "resize", "take_aligned", "give", "usable")
    )
    memory = guest.memory
    live: dict[int, bytes] = {}

    def size() -> int:
        return chance.choice((0, 1, 7, 8, 12, 13, 100, 255, 256, 257, 1000, 4368, 65536, chance.randrange(1 << 18)))

    def keep(address: int, n: int) -> None:
        assert address
        assert address % 8 == 0
        assert usable(address) >= n
        assert all(address + usable(address) <= other or other + len(b) <= address for other, b in live.items())
        live[address] = chance.randbytes(n)
        memory.write(address, live[address])

    for _ in range(1500):
        action = chance.randrange(8)
        if action < 2 and len(live) < 300:
            n = size()
            keep(take(n), n)
        elif action == 2 and len(live) < 300:
            n = size() // 4
            address = zeroed(4, n)
            assert memory.read(address, 4 * n) == bytes(4 * n)
            keep(address, 4 * n)
        elif action == 3 and len(live) < 300:
            n, alignment = size(), 1 << chance.randrange(17)
            address = aligned(alignment, n)
            assert address % alignment == 0
            keep(address, n)
        elif action < 6 and live:
            address = chance.choice(list(live))
            assert memory.read(address, len(live[address])) == live[address]
            del live[address]
            give(address)
        elif live:
            address, n = chance.choice(list(live)), size()
            before = live.pop(address)
            moved = resize(address, n)
            common = min(n, len(before))
            assert memory.read(moved, common) == before[:common]
            keep(moved, n)
    for address, data in live.items():
        assert memory.read(address, len(data)) == data
        give(address)
    memory.refresh()
    held = memory.size
    # All of it is one block again, whatever it was cut into.
    address = take(held - 3 * MIB // 4)
    assert address
    memory.refresh()
    assert memory.size <= held + MIB


def test_a_block_takes_little_more_than_what_was_asked_for(guest: Instance) -> None:
    take = guest.function("take")
    memory = guest.memory
    for _ in range(1000):
        assert take(4368)
    memory.refresh()
    assert memory.size < 1000 * 4368 * 1.1 + MIB


def test_what_does_not_fit(guest: Instance) -> None:
    take, resize, zeroed = map(guest.function, ("take", "resize", "take_zeroed"))
    memory = guest.memory
    address = take(1000)
    memory.write(address, b"x" * 1000)
    for n in (0xFFFFFFFF, 0xFFFFFFF0, 0x80000000, 300 * MIB):
        assert take(n) == 0
        assert resize(address, n) == 0
    assert zeroed(0x10000, 0x10000) == 0
    assert zeroed(0x10001, 0x10001) == 0
    assert memory.read(address, 1000) == b"x" * 1000
    assert take(200 * MIB)


def test_growing_in_place(guest: Instance) -> None:
    take, resize = map(guest.function, ("take", "resize"))
    address = take(100)
    for n in range(200, 100_000, 300):
        assert resize(address, n) == address


def test_what_has_grown_since_a_snapshot_is_used_again(guest: Instance) -> None:
    take, give, regain = map(guest.function, ("take", "give", "regain"))
    regain()  # before there is a heap: nothing
    kept = take(1000)
    free = take(100)
    give(free)
    guest.memory.write(kept, b"k" * 1000)
    taken = guest.snapshot()
    for turn in range(100):
        blocks = [take(5 * MIB) for _ in range(8)]
        assert all(blocks)
        guest.restore(taken)
        regain()
        if not turn:
            size = guest.memory.size
    assert guest.memory.size == size > taken.size
    assert guest.memory.read(kept, 1000) == b"k" * 1000
    regain()  # nothing more to be had
    whole = take((size - taken.size) // 10 * 9)
    assert whole
    guest.memory.refresh()
    assert guest.memory.size == size
    give(whole)
