"""Pointers: an address in one instance's memory, with a C type, checked every time that it is used."""

from __future__ import annotations

from struct import unpack

from wasqlite.bridge.cdef.buffers import flat
from wasqlite.bridge.cdef.numbers import Character, Number
from wasqlite.bridge.cdef.types import CType, FunctionType, Void
from wasqlite.bridge.errors import ArgumentTypeError, DeclarationError, MemoryAccessError, PointerError, UndeclaredName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NoReturn, Self

    from wasqlite.bridge.cdef.pointertype import PointerType
    from wasqlite.bridge.instance import Instance

Bytes = bytes  # the class below has a method of the name bytes
TOP = 1 << 32


class Owner:
    """What an object in memory belongs to; its pointers are good as long as it is ``alive``."""

    __slots__ = ("alive",)
    gone = "its memory was freed"

    def __init__(self) -> None:
        self.alive = True

    def free(self) -> None:
        """Give the memory back."""
        raise PointerError("this memory was not allocated by new(), so it is not Python's to free")


FOREIGN = Owner()
"""The owner of what C code has told the address of: it may lie anywhere in memory, and nobody knows its end."""


class Pointer:
    """A C pointer. Its records' fields are attributes; ``p["name"]`` is the field whose name is also a method's.

    Every access checks that the pointer is not NULL, that its memory was neither freed nor overwritten by a restored
    snapshot, and that the access lies within the allocation or the array (for addresses that came from C: within
    memory). Everything else is a ``PointerError``.
    """

    __slots__ = (
        "__weakref__", "_address", "_generation", "_high", "_instance", "_length", "_low", "_owner", "_type"
    )  # fmt: skip

    def __init__(
        self,
        instance: Instance,
        ctype: PointerType,
        address: int,
        low: int = 0,
        high: int = TOP,
        owner: Owner = FOREIGN,
        length: int | None = None,
    ) -> None:
        self._instance = instance
        self._type = ctype
        self._address = address
        self._low = low
        self._high = high
        self._owner = owner
        self._length = length
        self._generation = instance.generation

    # -- the checks --------------------------------------------------------------------------------------------

    def _reach(self, address: int, size: int) -> int:
        """``address``, if ``size`` bytes may be touched there now."""
        instance = self._instance
        if (
            not self._address
            or address < self._low
            or address + size > self._high
            or self._generation != instance.generation
            or not self._owner.alive
            or instance.state.dead is not None
        ):
            self._refuse(address, size)
        if address + size > instance.memory.size:
            try:
                instance.memory.span(address, size)
            except MemoryAccessError as error:
                raise PointerError(f"{self!r}: {error}") from None
        return address

    def _refuse(self, address: int, size: int) -> NoReturn:
        instance = self._instance
        if instance.state.dead is not None:
            instance.refuse()
        if not self._address:
            raise PointerError(f"{self!r}: a NULL pointer cannot be followed")
        if self._generation != instance.generation:
            raise PointerError(f"{self!r} is from before a snapshot was restored, which replaced what it pointed at")
        if not self._owner.alive:
            raise PointerError(f"{self!r}: {self._owner.gone}")
        raise PointerError(
            f"{self!r}: {size} bytes at {address:#x} are outside of what it points into, "
            f"{self._low:#x} to {self._high:#x}"
        )

    def _pass(self, instance: Instance) -> int:
        """The address for a call into ``instance``, or for storing it there."""
        if not self._address:
            return 0
        if self._instance is not instance:
            raise PointerError(f"{self!r} belongs to another instance, {self._instance.name}")
        if (
            self._generation != instance.generation
            or not self._owner.alive
            or not self._low <= self._address <= self._high
        ):
            self._refuse(self._address, 0)
        return self._address

    def _step(self) -> int:
        """The size of what it points at."""
        size = self._type.target.size
        if size is None:
            if isinstance(self._type.target, Void):
                return 1
            raise PointerError(f"{self!r}: the size of {self._type.target.spell()} is not known")
        return size

    def _item(self, index: int) -> tuple[CType, int]:
        target = self._type.target
        if isinstance(target, Void):
            raise PointerError(f"{self!r} has no items; cast() it first")
        size = self._step()
        return target, self._reach(self._address + index * size, size)

    def _at(self, ctype: CType, address: int) -> Pointer:
        """A pointer to the object of ``ctype`` that begins at ``address``, inside of what this one points at."""
        size = ctype.extent()
        pointer = self._type.to(ctype)
        return pointer.factory(self._instance, pointer, address, address, address + size, self._owner)

    # -- items and fields --------------------------------------------------------------------------------------

    def __getitem__(self, key: int | str | slice) -> Any:
        """``p[0]``, ``p[1:3]`` (a list, or bytes for characters), ``p["field"]``."""
        if isinstance(key, str):
            return self._type.field(key).load(self)
        if isinstance(key, slice):
            start, stop = self._bounds(key)
            return self._several(start, stop)
        target, address = self._item(key)
        return target.load(self, address)

    def __setitem__(self, key: int | str | slice, value: Any) -> None:
        if isinstance(key, str):
            self._type.field(key).store(self, value)
        elif isinstance(key, slice):
            start, stop = self._bounds(key)
            values = list(value)
            if isinstance(self._type.target, Character) and isinstance(value, (Bytes, bytearray, memoryview)):
                values = [Bytes((byte,)) for byte in value]
            if len(values) != stop - start:
                raise ArgumentTypeError(f"{len(values)} values for {stop - start} items")
            for index, one in enumerate(values, start):
                self[index] = one
        else:
            target, address = self._item(key)
            target.store(self, address, value)

    def _bounds(self, key: slice) -> tuple[int, int]:
        start, stop = key.start or 0, key.stop
        if stop is None:
            stop = self._length
        if stop is None or key.step not in (None, 1) or start > stop:
            raise PointerError(f"{self!r}: a slice needs an end, which must not be before its begin, and no step")
        return start, stop

    def __len__(self) -> int:
        if self._length is None:
            raise TypeError(f"{self!r} is not an array, so it has no length")
        return self._length

    def __iter__(self) -> Iterator[Any]:
        if isinstance(self._type.target, Character) or not isinstance(self._type.target, Number):
            return map(self.__getitem__, range(len(self)))
        return iter(self._several(0, len(self)))

    def _several(self, start: int, stop: int) -> Any:
        """Items as a list; numbers all at once, and characters as bytes."""
        target = self._type.target
        if not isinstance(target, Number):
            return [self[index] for index in range(start, stop)]
        size = target.extent()
        address = self._reach(self._address + start * size, (stop - start) * size)
        data = self._instance.memory.read(address, (stop - start) * size)
        return data if isinstance(target, Character) else list(unpack(f"<{stop - start}{target.unpacked}", data))

    def __getattr__(self, name: str) -> Any:
        raise UndeclaredName(f"{self._type.target.spell()} has no field {name!r}")

    def __call__(self, *arguments: Any) -> Any:
        """Call the function that it points at."""
        if not isinstance(self._type.target, FunctionType):
            raise DeclarationError(f"{self!r} is not a pointer to a function")
        if not self._address:
            raise PointerError(f"{self!r}: a NULL pointer cannot be called")
        self._pass(self._instance)
        return self._instance.typed.function_at(self._address, self._type.target)(*arguments)

    # -- bytes -------------------------------------------------------------------------------------------------

    def _size(self, size: int | None) -> int:
        if size is not None:
            return size
        if self._owner is FOREIGN and self._high == TOP:
            raise PointerError(f"{self!r} came from C, which does not tell how much it points at; give a size")
        return max(self._high - self._address, 0)

    def bytes(self, size: int | None = None) -> Bytes:
        """A copy of ``size`` bytes, by default to the end of the allocation or the array."""
        size = self._size(size)
        address = self._reach(self._address, size)
        if size < 0:
            raise PointerError(f"{self!r}: {size} bytes")
        return Bytes(self._instance.memory.view[address : address + size])

    def string(self, max: int | None = None) -> Bytes:
        """The bytes before the first NUL, which must come within the allocation and ``max`` bytes (1 MiB)."""
        address = self._reach(self._address, 1)
        limit = min(1 << 20 if max is None else max, self._high - address)
        # Most are short. A slice ends with the memory, so this asks for nothing that is not there.
        piece = Bytes(self._instance.memory.view[address : address + min(limit, 200)])
        size = piece.find(0)
        if size >= 0:
            return piece[:size]
        try:
            return self._instance.memory.string(address, limit)
        except MemoryAccessError:
            raise PointerError(f"{self!r}: there is no NUL within {limit} bytes") from None

    def write(self, data: Bytes | bytearray | memoryview) -> None:
        """Copy ``data`` to where it points."""
        data = flat(data)
        self._instance.memory.write(self._reach(self._address, len(data)), data)

    # -- arithmetic --------------------------------------------------------------------------------------------

    def __add__(self, count: int) -> Self:
        if not hasattr(count, "__index__"):
            return NotImplemented
        address = self._address + count * self._step()
        if not self._address:
            raise PointerError(f"{self!r}: there is no arithmetic with NULL pointers")
        if not 0 < address < TOP:
            raise PointerError(f"{self!r} + {count} is outside of a 32-bit address space")
        # Not of this class where that is more than a pointer's to the type: a Handle, a Callback.
        moved: Self = self._type.factory(  # type: ignore[assignment]
            self._instance, self._type, address, self._low, self._high, self._owner
        )
        moved._generation = self._generation
        return moved

    def __sub__(self, other: int | Pointer) -> Any:
        if not isinstance(other, Pointer):
            return self + -other if hasattr(other, "__index__") else NotImplemented
        if other._instance is not self._instance or other._type.target is not self._type.target:
            raise PointerError(f"{self!r} and {other!r} do not point into the same array")
        size = self._step()
        if not size or (self._address - other._address) % size:
            raise PointerError(f"{self!r} and {other!r} are not a multiple of {size} bytes apart")
        return (self._address - other._address) // size

    def __int__(self) -> int:
        return self._address

    def __bool__(self) -> bool:
        return self._address != 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pointer):
            return other is None and not self._address
        same = self._address == other._address
        return same and (not self._address or self._instance is other._instance)

    def __hash__(self) -> int:
        return hash(self._address)

    def _comparable(self, other: object) -> bool:
        if isinstance(other, Pointer) and other._instance is not self._instance:
            raise PointerError(f"{self!r} and {other!r} point into different instances")
        return isinstance(other, Pointer)

    def __lt__(self, other: Pointer) -> bool:
        return self._address < other._address if self._comparable(other) else NotImplemented

    def __le__(self, other: Pointer) -> bool:
        return self._address <= other._address if self._comparable(other) else NotImplemented

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} belongs to its instance: it cannot be copied or pickled")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._type.spell()} {self._address:#x}>"

    # -- ownership ---------------------------------------------------------------------------------------------

    def free(self) -> None:
        """Free what ``new`` allocated; all pointers into it are dead from now on."""
        self._reach(self._address, 0)
        self._owner.free()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._instance.state.dead is None and self._owner.alive and self._generation == self._instance.generation:
            self._owner.free()


class Lasting(Pointer):
    """A pointer to what is not guest memory, and so survives ``restore``."""

    __slots__ = ()

    @property
    def _generation(self) -> int:
        return self._instance.generation

    @_generation.setter
    def _generation(self, generation: int) -> None:
        pass
