"""The guest's heap as Python uses it: owned allocations, and scratch memory for the arguments of a call."""

from __future__ import annotations

from collections import deque

from wasqlite.bridge.cdef.pointer import Owner
from wasqlite.bridge.errors import BridgeError, LinkError, PointerError, ReentryError, UnusableInstance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wasqlite.bridge.instance import Instance

_LARGE = 4096
"""From here on a copy in Python costs more than to write twice."""
SCRATCH = 8192
"""Bytes of the block that arguments of calls are put into; what is larger is allocated and freed."""


REFUSED = (ReentryError, UnusableInstance)
"""What a call raises that has not entered the guest."""


_ZEROS = bytes(1 << 16)


def clear(span: memoryview) -> None:
    """Zero a part of guest memory, without as many zeros in Python's."""
    size = len(span)
    if size <= len(_ZEROS):
        span[:] = _ZEROS[:size]
        return
    for at in range(0, size, len(_ZEROS)):
        end = min(at + len(_ZEROS), size)
        span[at:end] = _ZEROS[: end - at]


class Allocation(Owner):
    """A block that ``new`` allocated. When nobody holds a Pointer into it any more, it is queued to be freed."""

    __slots__ = ("address", "generation", "heap", "size")
    heap: Heap

    def __init__(self, heap: Heap, address: int, size: int) -> None:
        super().__init__()
        self.heap = heap
        self.address = address
        self.size = size
        self.generation = heap.instance.generation

    def free(self) -> None:
        if not self.alive:
            raise PointerError(f"the allocation at {self.address:#x} was freed before")
        self.alive = False
        try:
            self.heap.release(self.address, self.generation)
        except REFUSED:
            self.alive = True
            raise

    def __del__(self) -> None:
        # Finalisers never enter the guest.
        if self.alive:
            self.heap.dropped.append((self.address, self.generation))


class Heap:
    """``malloc`` and ``free`` of one instance, and what of it is alive."""

    instance: Instance

    def __init__(self, instance: Instance, dropped: deque[tuple[int, int]]) -> None:
        for name, wanted in (("malloc", ("i", "i")), ("free", ("i", ""))):
            if name not in instance.exports:
                raise BridgeError(f"{instance.name} does not export {name}, so nothing can be allocated in it")
            if instance.exports[name] != wanted:
                raise LinkError(f"{instance.name} exports a {name} that is not C's: {instance.exports[name]}")
        self.instance = instance
        self._malloc: Callable[[int], int] = instance.function("malloc", hold_gil=True)
        self._free: Callable[[int], int] = instance.function("free", hold_gil=True)
        self.dropped = dropped
        self._live: dict[int, int] = {}
        self._generation = instance.generation
        self.most = 0
        """The greatest sum of bytes that were alive at once."""
        self.bytes = 0

    def block(self, size: int) -> int:
        """The address of ``size`` bytes, not cleared."""
        if not 0 <= size < 1 << 32:
            raise MemoryError(f"{size} bytes cannot be allocated in a 32-bit guest")
        address = self._malloc(size or 1)
        if address == 0:
            raise MemoryError(f"the guest has no {size} bytes left")
        return address

    def take(self, size: int) -> int:
        """The address of ``size`` zeroed bytes."""
        address = self.block(size)
        clear(self.instance.memory.span(address, size))
        return address

    def allocate(self, size: int) -> Allocation:
        """An owned block of ``size`` zeroed bytes."""
        with self.instance.lock:
            self.drain()
            address = self.take(size)
            self.live[address] = size
            self.bytes += size
            self.most = max(self.most, self.bytes)
            return Allocation(self, address, size)

    @property
    def live(self) -> dict[int, int]:
        """The sizes of the live allocations, by address; those that a restored snapshot replaced are gone."""
        if self._generation != self.instance.generation:
            self._generation = self.instance.generation
            self._live = {}
            self.bytes = 0
        return self._live

    def release(self, address: int, generation: int) -> None:
        """Free a block, unless what it was part of has been replaced."""
        with self.instance.lock:
            if generation == self.instance.generation:
                self._free(address)
                self.bytes -= self.live.pop(address, 0)

    def drain(self) -> None:
        """Free what was dropped without ``free()``."""
        while self.dropped:
            try:
                address, generation = self.dropped.popleft()
            except IndexError:  # another thread was faster
                return
            try:
                self.release(address, generation)
            except REFUSED:
                self.dropped.append((address, generation))
                raise


class Scratch:
    """Memory for what lives as long as one call: a stack, as calls nest.

    A call keeps ``top`` and the number of ``large`` blocks, and puts both back. One that finds all free while no other
    has arguments here frees all large blocks, so also that of an earlier call whose end a signal handler cut off.
    """

    def __init__(self, instance: Instance, heap: Callable[[], Heap]) -> None:
        self._instance = instance
        self._heap = heap
        self._generation = -1
        self._base = self._end = 0
        self.top = 0
        """The first free byte; 0 if all are."""
        self.large: list[int] = []

    @property
    def base(self) -> int:
        """Where the block is; 0 while there is none."""
        return self._base if self._generation == self._instance.generation else 0

    def use(self, base: int) -> None:
        """Go on in this block of the heap as it is now."""
        self.large.clear()
        self._base = base
        self._end = base + SCRATCH
        self.top = 0
        self._generation = self._instance.generation

    def reserve(self, size: int) -> int:
        """The address of ``size`` bytes, not cleared."""
        if self._generation != self._instance.generation:
            self.use(self._heap().take(SCRATCH))
        start = self.top or self._base
        end = start + (size + 15 & ~15)
        if end <= self._end:
            self.top = end
            return start
        self.top = start  # who has only large blocks is under way, too
        address = self._heap().block(size)
        self.large.append(address)
        return address

    def place(self, data: bytes | bytearray | memoryview) -> int:
        """The address of a copy of ``data``."""
        size = len(data)
        address = self.reserve(size)
        self._instance.memory.span(address, size)[:] = data
        return address

    def place_zeros(self, size: int) -> int:
        """The address of so many zeros."""
        address = self.reserve(size)
        clear(self._instance.memory.span(address, size))
        return address

    def place_text(self, data: bytes) -> int:
        """The address of a copy of ``data`` with a NUL behind it."""
        size = len(data)
        if size < _LARGE:
            return self.place(data + b"\0")
        address = self.reserve(size + 1)
        span = self._instance.memory.span(address, size + 1)
        span[:size] = data
        span[size] = 0
        return address

    def release(self, large: int) -> None:
        """Free the large blocks but for the first ones."""
        while len(self.large) > large:
            address = self.large.pop()
            if self._instance.state.dead is None:
                self._heap().release(address, self._generation)
