"""Read what a wasm module imports and exports, without running it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wasqlite.bridge.wasm_reader import Reader

KINDS = ("func", "table", "memory", "global", "tag")


@dataclass(frozen=True)
class Sections:
    """The imports as (module, name, kind), the exports as (name, kind), and the names of custom sections."""

    imports: tuple[tuple[str, str, str], ...]
    exports: tuple[tuple[str, str], ...]
    custom: tuple[str, ...]


def read_bodies(data: bytes) -> Iterator[tuple[int, Reader]]:
    """Yield the number and the content of each section of a wasm binary; raise ValueError if it is none."""
    if data[:8] != b"\0asm\1\0\0\0":
        raise ValueError("not a wasm module")
    sections = Reader(data)
    sections.position = 8
    while sections.position < len(data):
        identifier = sections.byte()
        yield identifier, Reader(sections.take(sections.unsigned()))


def read_sections(data: bytes) -> Sections:
    """Parse the import, export and custom sections of a wasm binary."""
    imports: list[tuple[str, str, str]] = []
    exports: list[tuple[str, str]] = []
    custom: list[str] = []
    for identifier, body in read_bodies(data):
        if identifier == 0:
            custom.append(body.name())
        elif identifier == 2:
            for _ in range(body.unsigned()):
                module, name, kind = body.name(), body.name(), KINDS[body.byte()]
                if kind == "table":
                    body.byte()
                    body.limits()
                elif kind == "memory":
                    body.limits()
                elif kind == "global":
                    body.take(2)
                else:
                    body.unsigned()
                imports.append((module, name, kind))
        elif identifier == 7:
            for _ in range(body.unsigned()):
                exports.append((body.name(), KINDS[body.byte()]))
                body.unsigned()
    return Sections(tuple(imports), tuple(exports), tuple(custom))


def read_exports_list(path: Path) -> list[str]:
    """Return the names in an exports file: one per line, `#` starts a comment."""
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in lines if line]
