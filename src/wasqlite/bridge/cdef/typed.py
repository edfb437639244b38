"""One instance's typed side: what the methods of ``Instance`` that know C types do."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress

from wasqlite.bridge.cdef import calls
from wasqlite.bridge.cdef.arrays import ArrayType
from wasqlite.bridge.cdef.buffers import Borrowed
from wasqlite.bridge.cdef.callback import Callback, register
from wasqlite.bridge.cdef.handle import Handle, Handles
from wasqlite.bridge.cdef.heap import REFUSED, Heap, Scratch
from wasqlite.bridge.cdef.lib import Lib
from wasqlite.bridge.cdef.numbers import Number, Scalar
from wasqlite.bridge.cdef.pointer import TOP, Pointer
from wasqlite.bridge.cdef.pointertype import PointerType, pointer_to
from wasqlite.bridge.cdef.table import FunctionTable
from wasqlite.bridge.cdef.types import FunctionType, expected
from wasqlite.bridge.errors import ArgumentTypeError, DeclarationError, PointerError
from wasqlite.bridge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge._wasmtime import Extern
    from wasqlite.bridge.cdef.layout import Layout
    from wasqlite.bridge.instance import Instance


class Typed:
    """The types, the heap and the function table of one instance."""

    def __init__(self, instance: Instance, layout: Layout) -> None:
        self.instance = instance
        self.layout = layout
        self.dropped: deque[tuple[int, int]] = deque()
        self.used_heap: Heap | None = None
        self.used_table: FunctionTable | None = None
        self.scratch = Scratch(instance, lambda: self.heap)
        self.lib = Lib(self)
        self.handles = Handles(instance)
        void = layout.type("void *")
        assert isinstance(void, PointerType)
        self._void = void
        self._functions: dict[tuple[int, FunctionType], Callable[..., Any]] = {}
        self._indices: dict[Callable[..., Any], int] = {}

    # Made when first used; without cached_property, which in Python 3.11 has one lock for all instances.
    @property
    def heap(self) -> Heap:
        """The guest's heap."""
        if self.used_heap is None:
            with self.instance.lock:
                self.used_heap = self.used_heap or Heap(self.instance, self.dropped)
        return self.used_heap

    def living(self) -> None:
        """Refuse unless the instance is there, to be asked for functions. The lock is held: nobody else is inside."""
        if self.instance.state.dead is not None:
            self.instance.refuse()

    def drain(self) -> None:
        """Free what was dropped."""
        if self.dropped:
            self.heap.drain()

    # -- memory ------------------------------------------------------------------------------------------------

    def allocate(self, ctype: PointerType, size: int, length: int | None = None) -> Pointer:
        """A Pointer to ``size`` zeroed bytes that it owns."""
        owner = self.heap.allocate(size)
        low = owner.address
        return ctype.factory(self.instance, ctype, low, low, low + size, owner, length)

    def temporary(self, ctype: PointerType, size: int) -> Pointer:
        """A Pointer to ``size`` zeroed bytes, for the call that is being made."""
        address = self.scratch.place_zeros(size)
        return ctype.make(self.instance, address, address, address + size)

    def new(self, name: str, value: Any = None) -> Pointer:
        """Allocate and initialise an object: ``"struct point *"``, ``"int *"``, ``"char[100]"``, ``"int[]"``."""
        ctype = self.layout.type(name)
        if isinstance(ctype, ArrayType):
            length = ctype.needs(value)
            pointer = self.allocate(ctype.decayed, length * ctype.item.extent(), length)
            if value is not None and not (ctype.length is None and isinstance(value, int)):
                ctype.store(pointer, pointer._address, value)
        elif isinstance(ctype, PointerType):
            pointer = self.allocate(ctype, ctype.target.extent())
            if value is not None:
                ctype.target.store(pointer, pointer._address, value)
        else:
            raise DeclarationError(f"new() takes a pointer or an array type, not {name!r}")
        return pointer

    def cast(self, name: str, value: Any) -> Any:
        """Convert as C's cast does: a Pointer or address to a pointer type, a number to a number type."""
        ctype = self.layout.type(name)
        if isinstance(ctype, Number):
            return Scalar(ctype, ctype.converted(value))
        if not isinstance(ctype, (PointerType, ArrayType)):
            raise DeclarationError(f"cast() makes numbers and pointers, not {name!r}")
        target = ctype.decayed if isinstance(ctype, ArrayType) else ctype
        low, high, owner, generation = 0, TOP, None, self.instance.generation
        if isinstance(value, Pointer):
            if value._instance is not self.instance:
                raise PointerError(f"{value!r} belongs to another instance")
            low, high, owner, generation = value._low, value._high, value._owner, value._generation
        elif not hasattr(value, "__index__"):
            raise expected(ctype, "a Pointer or an int", value)
        address = int(value) & TOP - 1
        if isinstance(ctype, ArrayType) and ctype.size is not None:
            low, high = max(low, address), min(high, address + ctype.size)
        pointer = target.make(self.instance, address, low, high)
        if owner is not None:
            pointer._owner = owner
        pointer._generation = generation
        pointer._length = ctype.length if isinstance(ctype, ArrayType) else None
        return pointer

    def pointer(self, value: Any, what: str) -> Pointer:
        """``value``, which must be a Pointer of this instance."""
        if not isinstance(value, Pointer):
            raise ArgumentTypeError(f"{what} takes a Pointer, not {type(value).__name__}")
        if value._instance is not self.instance:
            raise PointerError(f"{value!r} belongs to another instance")
        return value

    def buffer(self, value: Any, size: int | None) -> memoryview:
        """A writable view, for immediate use."""
        pointer = self.pointer(value, "buffer()")
        size = pointer._size(size)
        return self.instance.memory.span(pointer._reach(pointer._address, size), size)

    # -- functions ---------------------------------------------------------------------------------------------

    @property
    def table(self) -> FunctionTable:
        """The guest's function table."""
        if self.used_table is None:
            with self.instance.lock:
                self.used_table = self.used_table or FunctionTable(self.instance)
        return self.used_table

    def function_at(self, index: int, ctype: FunctionType) -> Callable[..., Any]:
        """The call of the function in a slot of the table."""
        found = self._functions.get((index, ctype))
        if found is None:
            with self.instance.lock:
                self.living()
                extern = self.table.get(index)
                if extern is None:
                    raise PointerError(f"there is no function at {index:#x} of {self.instance.name}'s function table")
                found = self._functions[index, ctype] = calls.bind(self, f"function {index:#x}", ctype, extern)
        return found

    def function_pointer(self, value: Any, ctype: FunctionType) -> int | None:
        """The index of a function that ``lib`` has made, if ``value`` is one of this instance's."""
        made: tuple[Typed, Extern, FunctionType] | None = getattr(value, "_guest", None)
        if type(made) is not tuple or made[0] is not self:
            return None
        _, extern, found = made
        if not ctype.fits(found):
            raise ArgumentTypeError(f"{ctype.spell('(*)')} does not take {found.spell(value.__name__)}")
        with self.instance.lock:
            index = self._indices.get(value)
            if index is None:
                self.living()
                index = self._indices[value] = self.table.add(value.__name__, extern)
        return index

    def void(self, address: int) -> Pointer:
        """A ``void *``."""
        return self._void.make(self.instance, address)

    def addressof(self, name: str) -> Pointer:
        """A Pointer to a variable or a function."""
        if name not in self.layout.functions:
            return self.lib._variable(name)
        ctype = pointer_to(self.layout.function(name))
        return ctype.make(self.instance, ctype.address(self.instance, getattr(self.lib, name)))

    def borrow(self, buffer: bytearray | memoryview, *, copied_in: bool) -> Borrowed:
        """A buffer as an argument."""
        return Borrowed(buffer, copied_in=copied_in)

    def callback(self, name: str, function: Callable[..., Any], error: Any) -> Callback:
        """A function pointer to a Python function."""
        ctype = self.layout.type(name)
        if isinstance(ctype, PointerType):
            ctype = ctype.target
        if not isinstance(ctype, FunctionType):
            raise DeclarationError(f"callback() takes the type of a function, not {name!r}")
        return register(self, ctype, function, error)

    def handle(self, value: Any) -> Handle:
        """A ``void *`` for a Python object."""
        return self.handles.new(self._void, value)

    def stats(self) -> Stats:
        """What is alive in the guest on behalf of Python."""
        heap, table = self.used_heap, self.used_table
        with suppress(*REFUSED):
            self.drain()
        self.instance.memory.refresh()
        return Stats(
            allocations=len(heap.live) if heap else 0,
            bytes=heap.bytes if heap else 0,
            most_bytes=heap.most if heap else 0,
            callbacks=table.used if table else 0,
            handles=len(self.handles),
            memory=self.instance.memory.size,
        )


class Stats(Record):
    """What an instance holds: live allocations of ``new``, their bytes, callbacks, handles, linear memory."""

    allocations: int
    bytes: int
    most_bytes: int
    """The greatest sum of bytes that were alive at once."""
    callbacks: int
    handles: int
    memory: int
    """Bytes of linear memory; as it never shrinks, also the most there ever were."""
