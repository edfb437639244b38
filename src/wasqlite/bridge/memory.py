"""A guest's linear memory, seen from the host with every access checked."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from struct import Struct
from threading import RLock

from wasqlite.bridge.errors import MemoryAccessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wasqlite.bridge.instance import Instance
    from wasqlite.bridge.mapping import Mappings

_U32 = Struct("<I")
_U64 = Struct("<Q")


class Memory:
    """Bounds-checked access to linear memory.

    A wasm memory only grows and never moves (the engine reserves its whole address range), so the last known size is
    always safe to use; it is looked up again only when an access lies beyond it.
    Views that are handed out are for immediate use: keep none across a guest call, and none after ``close()``; except
    those from ``pin``.
    """

    __slots__ = ("_base", "_blocks", "_lock", "_mappings", "_measure", "_pinned", "attaching", "size", "view")

    def __init__(self) -> None:
        self._base = 0
        self._measure: Callable[[], int] | None = None
        self._lock: RLock
        self._blocks: list[object] = []
        self._mappings: Mappings | None = None
        self._pinned: list[memoryview] = []
        self.attaching: list[Callable[[Instance], None]] = []
        """Called with the instance when it is there: for hosts, which are given its memory before that."""
        self.size = 0
        self.view = memoryview(b"")

    @classmethod
    def over(cls, buffer: bytearray) -> Memory:
        """A memory without a guest, over a Python buffer: for testing host functions on plain data."""
        memory = cls()
        memory.view = memoryview(buffer)
        memory.size = len(buffer)
        return memory

    def attach(self, base: int, measure: Callable[[], int], lock: RLock) -> None:
        """Begin to serve the memory at a host address. ``measure`` tells its size, and is nothing but a C function: so
        no other thread can ``detach`` between the look whether it is there and its call. ``lock`` is held for that."""
        self._base = base
        self._measure = measure
        self._lock = lock
        self.refresh()

    def refresh(self) -> None:
        """Look the memory's size up again."""
        if self._measure is None or self._measure() == self.size:
            return
        with self._lock:
            size = self._measure() if self._measure is not None else 0
            if size != self.size:
                block = (ctypes.c_ubyte * size).from_address(self._base)
                self._blocks.append(block)
                self.view = memoryview(block).cast("B")
                self.size = size

    def address(self) -> int:
        """Where it begins in this process; 0 for a memory without a guest."""
        return self._base

    def detach(self) -> bool:
        """Give the memory up. True if nobody holds a view any more, so that it may be unmapped."""
        # Also for views that keep the memory alive: they must not lead to a file that others may truncate.
        self.unmap_all()
        self._measure = None
        self._base = self.size = 0
        for view in (*self._pinned, self.view):
            try:  # noqa: SIM105 - contextlib would be a tenth of a warm start
                view.release()
            except BufferError:  # somebody made a buffer of it, such as an array, and has that still
                pass
        self._pinned, self.view = [], memoryview(b"")
        blocks = self._blocks
        # Each block is referenced by the list, by getrefcount's argument, and by whatever views are still alive.
        return all(sys.getrefcount(blocks[i]) <= 2 for i in range(len(blocks)))

    def span(self, address: int, size: int) -> memoryview:
        """The ``size`` bytes at ``address``, writable, as a view for immediate use."""
        end = address + size
        if end > self.size or address < 0 or size < 0:
            self._beyond(address, size)
        return self.view[address:end]

    def pin(self, address: int, size: int, format: str = "B") -> memoryview:
        """The ``size`` bytes at ``address`` as a view that may be kept; ``close()`` releases it. Native byte order."""
        bytes_view = self.span(address, size)
        view = bytes_view.cast(format) if format != "B" else bytes_view  # type: ignore[call-overload]
        self._pinned += [bytes_view, view]
        return view

    def _beyond(self, address: int, size: int) -> None:
        self.refresh()
        if address < 0 or size < 0 or address + size > self.size:
            raise MemoryAccessError(
                f"{size} bytes at guest address {address:#x} are outside the linear memory of {self.size} bytes"
            )

    @staticmethod
    def page_size() -> int:
        """What address, size and offset of a mapped file must be multiples of; 0 where none can be mapped."""
        from wasqlite.bridge import mapping  # as below

        return mapping.page_size()

    def map_file(self, address: int, size: int, fd: int, offset: int, *, readonly: bool = False) -> None:
        """Replace ``size`` bytes at ``address`` by those of an open file, shared with all who map it, until ``unmap``.

        Address, size and offset must be multiples of ``page_size()``, and that part of the file must exist: to
        touch what a file no longer has is a SIGBUS, which ends the process. While it is mapped, nobody may truncate it.
        The memory must be the guest's to give, such as a block of its heap. A write to what was mapped ``readonly`` is
        a trap in the guest, and a crash in the host. MemoryAccessError, OSError: nothing was mapped.
        """
        # Here, because few guests want it.
        from wasqlite.bridge.mapping import Mappings, page_size

        page = page_size()
        if not self._base or not page:
            raise OSError(errno.ENOTSUP, "files cannot be mapped over this memory")
        self._beyond(address, size)
        base = self._base
        if size == 0 or (base + address) % page or size % page or offset % page or offset < 0:
            raise MemoryAccessError(
                f"only whole pages of {page} bytes can be mapped: {size} at {address:#x} from {offset}"
            )
        if os.fstat(fd).st_size < offset + size:
            raise MemoryAccessError(f"the file ends before {offset + size}, where the mapping would end")
        if self._mappings is None:
            self._mappings = Mappings()
        self._mappings.add(base + address, size, fd, offset, readonly)

    def unmap(self, address: int) -> None:
        """Replace the file that is mapped at ``address``, if one is, by zeroed memory."""
        if self._mappings is not None and self._base:
            self._mappings.remove(self._base + address)

    def unmap_all(self) -> None:
        """``unmap`` all files."""
        if self._mappings is not None:
            self._mappings.clear()

    @property
    def mapped(self) -> int:
        """How many files are mapped."""
        return len(self._mappings) if self._mappings is not None else 0

    def read(self, address: int, size: int) -> bytes:
        """A copy of ``size`` bytes at ``address``."""
        return bytes(self.span(address, size))

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Copy ``data`` to ``address``."""
        self.span(address, len(data))[:] = data

    def read_u32(self, address: int) -> int:
        """The little-endian u32 at ``address``."""
        value: int = _U32.unpack(self.span(address, 4))[0]
        return value

    def write_u32(self, address: int, value: int) -> None:
        """Store ``value``, modulo 2**32, at ``address``."""
        _U32.pack_into(self.span(address, 4), 0, value & 0xFFFF_FFFF)

    def write_u64(self, address: int, value: int) -> None:
        """Store ``value``, modulo 2**64, at ``address``."""
        _U64.pack_into(self.span(address, 8), 0, value & 0xFFFF_FFFF_FFFF_FFFF)

    def string(self, address: int, maximum: int = 1 << 20) -> bytes:
        """The bytes at ``address`` up to a NUL, which must come within ``maximum`` bytes."""
        self.span(address, 1)
        self.refresh()
        end = min(address + maximum, self.size)
        # Strings are short as a rule: look at a small piece first, then at all that may be looked at.
        for stop in (min(address + 256, end), end):
            piece = bytes(self.view[address:stop])
            size = piece.find(0)
            if size >= 0:
                return piece[:size]
        raise MemoryAccessError(f"no NUL within {end - address} bytes of guest address {address:#x}")
