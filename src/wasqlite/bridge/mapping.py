"""Files mapped over a guest's linear memory, through the C library's mmap. Linux; elsewhere there are none."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import weakref
from functools import cache

from wasqlite.bridge.errors import MemoryAccessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Linux's value on every processor that wasmtime runs on; Python's mmap module does not name it.
_MAP_FIXED = 0x10
_FAILED = ctypes.c_void_p(-1).value


def page_size() -> int:
    """What addresses and offsets must be multiples of; 0 where files cannot be mapped over linear memory."""
    return mmap.PAGESIZE if sys.platform == "linux" and ctypes.sizeof(ctypes.c_void_p) == 8 else 0


@cache
def _mmap() -> Any:
    function = ctypes.CDLL(None, use_errno=True).mmap
    function.restype = ctypes.c_void_p
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_int64)
    return function


def _map(address: int, size: int, protection: int, flags: int, fd: int, offset: int) -> None:
    if _mmap()(address, size, protection, flags | _MAP_FIXED, fd, offset) == _FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def private(address: int, size: int, fd: int, offset: int) -> None:
    """Map a part of a file copy-on-write: nobody else sees what is written there. OSError: perhaps nothing is there."""
    _map(address, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE, fd, offset)


def zero(address: int, size: int) -> None:
    """Put zeroed memory of the process's own there."""
    _map(address, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)


class Mappings:
    """The files that are mapped over one linear memory. Addresses here are the host's, already checked."""

    __slots__ = ("__weakref__", "_areas")

    def __init__(self) -> None:
        self._areas: dict[int, int] = {}
        _alive.add(self)

    def __len__(self) -> int:
        return len(self._areas)

    def add(self, address: int, size: int, fd: int, offset: int, readonly: bool) -> None:
        """Map ``size`` bytes of ``fd`` from ``offset`` on over the memory at ``address``. OSError: none is."""
        for other, length in self._areas.items():
            if address < other + length and other < address + size and (other, length) != (address, size):
                raise MemoryAccessError("a file is already mapped over a part of this memory")
        # Written down first: a signal handler's exception between the two must not leave an unknown mapping behind.
        self._areas[address] = size
        try:
            protection = mmap.PROT_READ if readonly else mmap.PROT_READ | mmap.PROT_WRITE
            _map(address, size, protection, mmap.MAP_SHARED, fd, offset)
        except OSError:
            # A failed MAP_FIXED may have removed what was there.
            self.remove(address)
            raise

    def remove(self, address: int) -> None:
        """Put zeroed memory of the process's own back; nothing if no file is mapped at ``address``."""
        size = self._areas.get(address)
        if size is not None:
            zero(address, size)
            self._areas.pop(address, None)

    def clear(self) -> None:
        """Remove all."""
        for address in list(self._areas):
            self.remove(address)


_alive: weakref.WeakSet[Mappings] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    # A mapping keeps its open file alive, with the parent's locks on it: they would outlive the parent.
    for mappings in list(_alive):
        mappings.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
