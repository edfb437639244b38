"""Read the data of an object file: the values that the compiler computed for a probe."""

from __future__ import annotations

from wasqlite.bridge.builder.wasm_sections import read_bodies
from wasqlite.bridge.wasm_reader import Reader

_CUSTOM, _DATA = 0, 11
_SYMBOL_TABLE = 8
_FUNCTION, _DATA_SYMBOL, _SECTION = 0, 1, 3
_UNDEFINED, _EXPLICIT_NAME = 0x10, 0x40


def read_data(data: bytes) -> dict[str, bytes]:
    """The content of every global variable that a wasm object defines, by name.

    The format: https://github.com/WebAssembly/tool-conventions/blob/main/Linking.md
    """
    segments: list[bytes] = []
    symbols: dict[str, bytes] = {}
    for identifier, body in read_bodies(data):
        if identifier == _DATA:
            segments = [_segment(body) for _ in range(body.unsigned())]
        elif identifier == _CUSTOM and body.name() == "linking":
            body.unsigned()  # version
            while body.position < len(body.data):
                kind, part = body.byte(), Reader(body.take(body.unsigned()))
                if kind == _SYMBOL_TABLE:
                    symbols = _symbols(part, segments)
    return symbols


def _segment(body: Reader) -> bytes:
    if body.unsigned() != 0:
        raise ValueError("a data segment that is not at a place in memory 0")
    body.byte()  # i32.const, always in an object
    body.unsigned()
    body.byte()  # end
    return body.take(body.unsigned())


def _symbols(table: Reader, segments: list[bytes]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for _ in range(table.unsigned()):
        kind, flags = table.byte(), table.unsigned()
        if kind == _DATA_SYMBOL:
            name = table.name()
            if not flags & _UNDEFINED:
                segment, offset, size = table.unsigned(), table.unsigned(), table.unsigned()
                found[name] = segments[segment][offset : offset + size]
        else:
            table.unsigned()
            if kind != _SECTION and (flags & _EXPLICIT_NAME or not flags & _UNDEFINED):
                table.name()
    return found
