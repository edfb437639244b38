"""Structs and unions: fields where the compiler put them, as attributes of the Pointers to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wasqlite.bridge.cdef.numbers import Boolean, Character, Number
from wasqlite.bridge.cdef.pointer import Pointer
from wasqlite.bridge.cdef.types import CType, expected, join
from wasqlite.bridge.errors import ArgumentRangeError, BridgeError, DeclarationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class Field:
    """A named part of a record: ``offset`` bytes from its beginning, or a bit field."""

    __slots__ = ("bit_offset", "bits", "ctype", "name", "offset", "size")

    def __init__(self, name: str, ctype: CType, offset: int, bits: int | None = None, bit_offset: int = 0) -> None:
        self.name = name
        self.ctype = ctype
        self.bits = bits
        self.bit_offset = bit_offset
        if bits is not None:
            # The fewest bytes that hold all its bits: a neighbour may be written at the same time.
            offset, self.bit_offset = offset + bit_offset // 8, bit_offset % 8
            self.size = (self.bit_offset + bits + 7) // 8
            if isinstance(ctype, Character):  # some bits of a char are a number
                self.ctype = Number(ctype.name, ctype.kind)
        else:
            self.size = ctype.size or 0
        self.offset = offset

    def load(self, record: Pointer) -> Any:
        """The field's value."""
        address = record._reach(record._address + self.offset, self.size)
        if self.bits is None or not isinstance(self.ctype, Number):
            return self.ctype.load(record, address)
        raw = int.from_bytes(record._instance.memory.read(address, self.size), "little") >> self.bit_offset
        raw &= (1 << self.bits) - 1
        if isinstance(self.ctype, Boolean):
            return bool(raw)
        return raw - (1 << self.bits) if self.ctype.kind.islower() and raw >> self.bits - 1 else raw

    def store(self, record: Pointer, value: Any) -> None:
        """Change the field."""
        address = record._reach(record._address + self.offset, self.size)
        try:
            if self.bits is None or not isinstance(self.ctype, Number):
                self.ctype.store(record, address, value)
            else:
                self._store_bits(record, address, self.ctype, self.bits, value)
        except BridgeError as error:
            raise type(error)(f"{record._type.target.spell()}.{self.name}: {error}") from None

    def _store_bits(self, record: Pointer, address: int, ctype: Number, bits: int, value: Any) -> None:
        number = int(ctype.number(value))
        least = -(1 << bits - 1) if ctype.kind.islower() else 0
        if not least <= number < least + (1 << bits):
            raise ArgumentRangeError(f"{number} does not fit into {bits} bits")
        memory = record._instance.memory
        mask = (1 << bits) - 1 << self.bit_offset
        before = int.from_bytes(memory.read(address, self.size), "little")
        after = before & ~mask | number << self.bit_offset & mask
        memory.write(address, after.to_bytes(self.size, "little"))


class RecordType(CType):
    """A struct or union. Its fields are looked up when first needed, since records may point at each other."""

    __slots__ = ("_fields", "_resolve", "kind", "members", "name", "shown")

    def __init__(
        self,
        name: str,
        kind: str,
        size: int | None,
        align: int,
        resolve: Callable[[], Iterator[Field]],
        members: Callable[[], list[CType]],
        shown: str | None = None,
    ) -> None:
        super().__init__(size, align)
        self.name = name
        self.shown = shown or name
        """Its typedef's name, if it has none of its own."""
        self.kind = kind
        self._resolve = resolve
        self.members = members
        """The types of its direct members, those without a name included; unnamed bit fields are none."""
        self._fields: dict[str, Field] | None = None

    def spell(self, inner: str = "") -> str:
        return join(self.shown, inner)

    @property
    def fields(self) -> dict[str, Field]:
        """All fields by name, those of anonymous members included."""
        if self._fields is None:
            self._fields = {field.name: field for field in self._resolve()}
        return self._fields

    def field(self, name: str) -> Field:
        """The field of that name."""
        found = self.fields.get(name)
        if found is None:
            known = f"it has {', '.join(self.fields)}" if self.fields else "its fields are not declared"
            raise DeclarationError(f"{self.shown} has no field {name!r}; {known}")
        return found

    def load(self, at: Pointer, address: int) -> Pointer:
        return at._at(self, address)

    def store(self, at: Pointer, address: int, value: Any) -> None:
        """Write what ``value`` names of the fields; a sequence gives them in order, a union has only one."""
        if isinstance(value, Mapping):
            record = at._at(self, address)
            for name, one in value.items():
                self.field(name).store(record, one)
        elif isinstance(value, (list, tuple)):
            record = at._at(self, address)
            fields = self.fields
            if len(value) > (1 if self.kind == "union" else len(fields)):
                raise ArgumentRangeError(f"{len(value)} values are too many for {self.shown}")
            for field, one in zip(fields.values(), value, strict=False):
                field.store(record, one)
        elif isinstance(value, Pointer) and value._type.target is self:
            at._instance.memory.write(address, value.bytes(self.extent()))
        else:
            raise expected(self, f"a dict, a sequence, or a Pointer to {self.shown}", value)


def make_class(record: RecordType) -> type[Pointer]:
    """The class of the Pointers to a record: a Pointer with a property for each field, save where it has a method."""
    body: dict[str, Any] = {"__slots__": (), "__doc__": f"A pointer to ``{record.shown}``.", "__module__": __name__}
    for name, field in record.fields.items():
        if not hasattr(Pointer, name):
            body[name] = _property(field)
    return type(record.shown.rpartition(" ")[2], (Pointer,), body)


def _property(field: Field) -> property:
    get: Callable[[Pointer], Any] = field.load
    if type(field.ctype).load is Number.load and field.bits is None:
        get = _number(field)
    return property(get, field.store, None, f"``{field.ctype.spell(field.name)}``")


def _number(field: Field) -> Callable[[Pointer], Any]:
    # What field.load does, without two of its calls.
    assert isinstance(field.ctype, Number)
    offset, size, unpack = field.offset, field.size, field.ctype.layout.unpack_from

    def get(record: Pointer) -> Any:
        address = record._reach(record._address + offset, size)
        return unpack(record._instance.memory.view, address)[0]

    return get
