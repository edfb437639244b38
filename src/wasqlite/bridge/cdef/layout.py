"""The layout table of a library, ``<name>.types.json``: what its header declares, computed by its compiler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wasqlite.bridge.cdef.arrays import ArrayType
from wasqlite.bridge.cdef.declarator import WORDS, Reader
from wasqlite.bridge.cdef.numbers import Boolean, Character, EnumType, Number
from wasqlite.bridge.cdef.records import Field, RecordType
from wasqlite.bridge.cdef.types import CType, FunctionType, Opaque, Void
from wasqlite.bridge.errors import DeclarationError, LoadError, UndeclaredName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORMAT = 1

MOST_NAMES = 10_000
"""How many names of types are kept as they were given."""

# wasm32, which is ILP32 with 8-byte alignment of 8-byte types; 16-byte types have no Python value.
_NUMBERS = {
    "signed char": "b", "unsigned char": "B", "short": "h", "unsigned short": "H", "int": "i", "unsigned int": "I",
    "long": "i", "unsigned long": "I", "long long": "q", "unsigned long long": "Q", "float": "f", "double": "d",
}  # fmt: skip
_OPAQUE = ("long double", "__int128", "unsigned __int128")
# What headers that every library uses declare, whether or not this one's table repeats it.
_TYPEDEFS = {
    "size_t": "unsigned long", "ssize_t": "long", "ptrdiff_t": "long", "intptr_t": "long", "uintptr_t": "unsigned long",
    "int8_t": "signed char", "int16_t": "short", "int32_t": "int", "int64_t": "long long",
    "uint8_t": "unsigned char", "uint16_t": "unsigned short", "uint32_t": "unsigned int",
    "uint64_t": "unsigned long long", "intmax_t": "long long", "uintmax_t": "unsigned long long",
    "wchar_t": "int", "va_list": "void *", "__builtin_va_list": "void *",
}  # fmt: skip


class Layout:
    """The types, functions, variables and constants of one library."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        if table.get("format") != FORMAT:
            raise LoadError(
                f"the layout table has format {table.get('format')!r}, and this wasqlite reads format {FORMAT}: "
                "build the library again"
            )
        self.functions: dict[str, Any] = table.get("functions", {})
        self.variables: dict[str, Any] = table.get("variables", {})
        self._typedefs: dict[str, str] = {**_TYPEDEFS, **table.get("typedefs", {})}
        self._records: dict[str, Any] = table.get("records", {})
        self._enums: dict[str, Any] = table.get("enums", {})
        # What has no name of its own is called as its typedef is.
        self._shown = {target: name for name, target in self._typedefs.items() if "$" in target and "*" not in target}
        self._named: dict[str, tuple[CType, bool]] = {}
        self._parsed: dict[str, CType] = {}
        self.constants: dict[str, int | float | str] = {}
        for enum in self._enums.values():
            self.constants.update(enum["values"])
        self.constants.update(table.get("constants", {}))

    def type(self, name: str) -> CType:
        """The type of that C spelling."""
        found = self._parsed.get(name)
        if found is None:
            if len(self._parsed) > MOST_NAMES:
                self._parsed.clear()
            found = self._parsed.setdefault(name, Reader(name, self._name).whole()[0])
        return found

    def _name(self, name: str) -> tuple[CType, bool]:
        found = self._named.get(name)
        if found is None:
            if name in self._typedefs:
                found = Reader(self._typedefs[name], self._name).whole()
            else:
                found = self._make(name), False
            found = self._named.setdefault(name, found)  # there is one of each, whichever thread made it
        return found

    def _make(self, name: str) -> CType:
        if name in _NUMBERS:
            return Number(name, _NUMBERS[name])
        if name in _OPAQUE:
            return Opaque(name, 16, 16)
        if name in WORDS:
            return {"void": Void, "char": Character, "_Bool": Boolean}[name]()
        if name in self._enums:
            enum = self._enums[name]
            base = self.type(enum["type"])
            assert isinstance(base, Number)
            return EnumType(self._shown.get(name, name), base, enum["values"])
        kind = name.partition(" ")[0]
        if name in self._records:
            record = self._records[name]
            return RecordType(
                name,
                kind,
                record["size"],
                record["align"] or 1,
                lambda: self._fields(record, 0),
                lambda: [self._known(field["type"]) for field in record["fields"] if self._is_member(field)],
                self._shown.get(name, name),
            )
        if kind in ("struct", "union") and " " in name:
            return RecordType(name, kind, None, 1, lambda: iter(()), list)
        raise DeclarationError(f"the library does not declare {name!r}")

    def _is_member(self, field: Mapping[str, Any]) -> bool:
        return field["name"] is not None or field["type"] in self._records

    def _known(self, name: str) -> CType:
        """A field's type; one that Python has no values for does not spoil the others."""
        try:
            return self.type(name)
        except DeclarationError:
            return Opaque(name, None, 1)

    def _fields(self, record: Mapping[str, Any], base: int) -> Iterator[Field]:
        for field in record["fields"]:
            offset = base + field.get("offset", 0)
            if field["name"] is None:
                # The fields of an anonymous struct or union are its owner's.
                inner = self._records.get(field["type"])
                if inner is not None:
                    yield from self._fields(inner, offset)
            elif "bits" in field:
                yield Field(field["name"], self._known(field["type"]), base, field["bits"], field["bit_offset"])
            else:
                yield Field(field["name"], self._known(field["type"]), offset)

    def function(self, name: str) -> FunctionType:
        """The type of a declared function."""
        ctype = self.type(self.functions[name]["type"])
        if not isinstance(ctype, FunctionType):
            raise LoadError(f"the layout table says that the function {name} is a {ctype.spell()}")
        return ctype

    def sizeof(self, name: str) -> int:
        """C's ``sizeof``."""
        return self.type(name).extent()

    def offsetof(self, name: str, *path: str | int) -> int:
        """The offset in bytes of a field, of a field of that field, or of an item of an array."""
        ctype, offset = self.type(name), 0
        for step in path:
            if isinstance(step, int):
                if not isinstance(ctype, ArrayType):
                    raise DeclarationError(f"{ctype.spell()} is not an array")
                ctype = ctype.item
                offset += step * ctype.extent()
                continue
            if not isinstance(ctype, RecordType):
                raise DeclarationError(f"{ctype.spell()} is not a struct or union, and has no field {step!r}")
            field = ctype.field(step)
            if field.bits is not None:
                raise DeclarationError(f"{ctype.name}.{step} is a bit field, which has no offset in bytes")
            ctype, offset = field.ctype, offset + field.offset
        return offset

    def namespaces(self) -> tuple[Constants, Enums]:
        """The constants and the enumerations as attributes."""
        return Constants(self.constants), Enums(self)

    def enum(self, name: str) -> EnumType:
        """An enumeration: its tag, or a typedef."""
        tag = name if name in self._typedefs else f"enum {name}"
        ctype = self.type(tag) if tag in self._typedefs or tag in self._enums else None
        if not isinstance(ctype, EnumType):
            raise UndeclaredName(f"the library declares no enumeration {name}")
        return ctype

    def enums(self) -> list[str]:
        """The names of all enumerations that have one."""
        tags = [name.removeprefix("enum ") for name in self._enums if "$" not in name]
        return tags + [name for name, target in self._typedefs.items() if target in self._enums and name not in tags]


class Constants:
    """Numbers and strings by name."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        raise UndeclaredName(f"the library declares no constant {name}")

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)


class Enums:
    """Enumerations by name: their values are attributes of each."""

    def __init__(self, layout: Layout) -> None:
        self.__dict__["_layout"] = layout

    def __getattr__(self, name: str) -> Constants:
        found = self.__dict__[name] = Constants(self.__dict__["_layout"].enum(name).values)
        return found

    def __dir__(self) -> list[str]:
        names: list[str] = self.__dict__["_layout"].enums()
        return names


def load(library: str, source: Mapping[str, Any] | str | None) -> Layout:
    """The layout table that a library was given, or that lies beside it."""
    if isinstance(source, str):
        import json

        try:
            with open(source, encoding="utf-8") as file:  # noqa: PTH123
                source = json.load(file)
        except FileNotFoundError:
            raise LoadError(f"{library} has no layout table: there is no {source}, which the builder writes") from None
        except (OSError, ValueError) as error:
            raise LoadError(f"the layout table {source} of {library} cannot be read: {error}") from error
    if not isinstance(source, Mapping):
        raise LoadError(f"{library} was loaded without a layout table, so it has no C types")
    return Layout(source)
