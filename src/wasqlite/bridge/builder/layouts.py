"""Where the fields of records are, as clang's layout dump says."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wasqlite.bridge.builder.declarations import UNNAMED, Place, Record
from wasqlite.bridge.builder.report import BuildError

_START = "*** Dumping AST Record Layout"
# "    4:3-7 |   unsigned int flags": offset, bits, indentation, type and name.
_LINE = re.compile(r"^\s*(\d+)(?::(?:(\d+)-(\d+)|-))? \|( +)(.*)$")
_SIZE = re.compile(r"^\s*\| \[sizeof=(\d+), align=(\d+)")
_TAG = re.compile(r"^(struct|union) (?:.*::)?(\w+)$")


@dataclass(frozen=True)
class Position:
    """A field's offset in bytes; for a bit-field also its first bit in the record, and how many it has."""

    offset: int
    text: str
    bit_offset: int | None = None
    bits: int | None = None


@dataclass(frozen=True)
class Layout:
    """A record's size and alignment in bytes, and its fields in order, unnamed bit-fields included."""

    size: int
    align: int
    positions: list[Position]


def read_layouts(dump: str) -> dict[str | Place, list[Layout]]:
    """Read what ``clang -Xclang -fdump-record-layouts-complete`` wrote, by tag ("struct point") or place."""
    found: dict[str | Place, list[Layout]] = {}
    for block in dump.split(_START)[1:]:
        lines = [line for line in block.splitlines() if line.strip()]
        matches = [_LINE.match(line) for line in lines]
        size = next((match for match in map(_SIZE.match, lines) if match), None)
        if not matches or matches[0] is None or size is None:
            raise BuildError(f"clang's layout of a record cannot be read: {lines[:1]}")
        fields = [_position(match) for match in matches[1:] if match and len(match[4]) == 3]
        found.setdefault(_key(matches[0][5].strip()), []).append(Layout(int(size[1]), int(size[2]), fields))
    return found


def layout_of(record: Record, layouts: dict[str | Place, list[Layout]]) -> Layout:
    """The layout of a record, checked against its fields."""
    candidates = layouts.get(record.layout, [])
    # One of several with the same name (in prototypes) must differ; the first is the outermost.
    for layout in candidates:
        fields = record.fields or []
        if len(layout.positions) == len(fields) and all(
            position.text.endswith(f" {field.name}" if field.name else "")
            for position, field in zip(layout.positions, fields, strict=True)
        ):
            return layout
    raise BuildError(f"clang's layout of {record.name} does not fit its declaration: please report this header")


def _key(header: str) -> str | Place:
    unnamed = list(UNNAMED.finditer(header))
    if unnamed:
        return unnamed[-1][2], int(unnamed[-1][3]), int(unnamed[-1][4])
    tag = _TAG.match(header)
    if tag is None:
        raise BuildError(f"clang's layout of a record cannot be read: {header}")
    return f"{tag[1]} {tag[2]}"


def _position(match: re.Match[str]) -> Position:
    offset = int(match[1])
    text = " " + match[5].rstrip()
    if match[2] is None:
        return Position(offset, text)
    first, last = int(match[2]), int(match[3])
    return Position(offset, text, offset * 8 + first, last - first + 1)
