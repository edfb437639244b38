"""The mutable state that a wasm module declares, read from its binary: what wasmtime's C API does not tell."""

from __future__ import annotations

from wasqlite.bridge.errors import SnapshotError
from wasqlite.bridge.record import Record
from wasqlite.bridge.wasm_reader import Reader

IMPORTS, MEMORIES, GLOBALS, EXPORTS = 2, 5, 6, 7

_FUNC, _TABLE, _MEMORY, _GLOBAL, _TAG = range(5)
_NUMBERS = {0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64", 0x7B: "v128"}
_I32_CONST, _I64_CONST, _F32_CONST, _F64_CONST, _GLOBAL_GET, _REF_NULL, _REF_FUNC = (
    *(0x41, 0x42, 0x43, 0x44),
    *(0x23, 0xD0, 0xD2),
)
_ARITHMETIC = frozenset((0x6A, 0x6B, 0x6C, 0x7C, 0x7D, 0x7E))
_V128_CONST = 0xFD
_END = 0x0B


class Mutable(Record):
    """A mutable global of the module's own."""

    number: int
    type: str
    """``i32``, ``i64``, ``f32``, ``f64``, ``v128``, or ``reference``."""
    exported: str | None
    """The name that it is exported by."""


class State(Record):
    """What of a module can change besides the content of its first memory; but for tables, which C does not change."""

    memories: int
    imported: tuple[str, ...]
    """Names of imported memories, tables and mutable globals."""
    globals: tuple[Mutable, ...]


class _Reader(Reader):
    def type(self) -> str:
        code = self.byte()
        if code in (0x63, 0x64):  # (ref null? heap-type)
            self.unsigned()
        return _NUMBERS.get(code, "reference")

    def initial_value(self) -> None:
        """Step over a constant expression."""
        while (code := self.byte()) != _END:
            if code in (_I32_CONST, _I64_CONST, _GLOBAL_GET, _REF_NULL, _REF_FUNC):
                self.unsigned()
            elif code == _F32_CONST:
                self.skip(4)
            elif code == _F64_CONST:
                self.skip(8)
            elif code == _V128_CONST:
                self.unsigned()
                self.skip(16)
            elif code not in _ARITHMETIC:
                raise SnapshotError(
                    f"a global of the module begins with an expression (opcode {code:#x}) that is not known, so no "
                    "snapshot can be taken"
                )


def state(sections: dict[int, bytes]) -> State:
    """What the sections of a module (``Library.sections``) declare."""
    imported, globals_before = _imports(_Reader(sections.get(IMPORTS, b"\0")))
    exported = _exports(_Reader(sections.get(EXPORTS, b"\0")))
    mutable = []
    reader = _Reader(sections.get(GLOBALS, b"\0"))
    for index in range(globals_before, globals_before + reader.unsigned()):
        kind, changes = reader.type(), reader.byte()
        reader.initial_value()
        if changes:
            mutable.append(Mutable(index, kind, exported.get(index)))
    memories = _Reader(sections.get(MEMORIES, b"\0")).unsigned()
    return State(memories, tuple(imported), tuple(mutable))


def _imports(reader: _Reader) -> tuple[list[str], int]:
    """What is imported that can change, and how many globals are imported."""
    found = []
    globals_before = 0
    for _ in range(reader.unsigned()):
        name, kind = f"{reader.name()}.{reader.name()}", reader.byte()
        if kind == _GLOBAL:
            reader.type()
            globals_before += 1
            if reader.byte():
                found.append(name)
        elif kind == _TABLE:
            reader.type()
            reader.limits()
            found.append(name)
        elif kind == _MEMORY:
            reader.limits()
            found.append(name)
        elif kind == _TAG:
            reader.byte()
            reader.unsigned()
        else:
            reader.unsigned()
    return found, globals_before


def _exports(reader: _Reader) -> dict[int, str]:
    """The names of exported globals by their index."""
    found = {}
    for _ in range(reader.unsigned()):
        name, kind, index = reader.name(), reader.byte(), reader.unsigned()
        if kind == _GLOBAL:
            found[index] = name
    return found
