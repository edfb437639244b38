"""Read the data of an object file: the values that the compiler computed for a probe."""

from __future__ import annotations

from wasqlite.bridge.builder.wasm_sections import Reader, read_bodies

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
            segments = [_segment(body) for _ in range(body.u32())]
        elif identifier == _CUSTOM and body.name() == "linking":
            body.u32()  # version
            while body.position < len(body.data):
                kind, part = body.byte(), Reader(body.take(body.u32()))
                if kind == _SYMBOL_TABLE:
                    symbols = _symbols(part, segments)
    return symbols


def _segment(body: Reader) -> bytes:
    if body.u32() != 0:
        raise ValueError("a data segment that is not at a place in memory 0")
    body.byte()  # i32.const, always in an object
    body.u32()
    body.byte()  # end
    return body.take(body.u32())


def _symbols(table: Reader, segments: list[bytes]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for _ in range(table.u32()):
        kind, flags = table.byte(), table.u32()
        if kind == _DATA_SYMBOL:
            name = table.name()
            if not flags & _UNDEFINED:
                segment, offset, size = table.u32(), table.u32(), table.u32()
                found[name] = segments[segment][offset : offset + size]
        else:
            table.u32()
            if kind != _SECTION and (flags & _EXPLICIT_NAME or not flags & _UNDEFINED):
                table.name()
    return found
