"""The status block's layout is the one that docs/abi.md promises."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from wasqlite.capi.status import LAYOUT, Status, read

ABI = Path(__file__).parents[2] / "docs" / "abi.md"


def test_layout_is_the_documented_one() -> None:
    section = ABI.read_text("utf-8").partition("### Status block")[2].partition("### ")[0]
    fields = re.findall(r"^\| (\d+) \| ([iu]\d+) \| `(\w+)`", section, re.MULTILINE)
    assert [name for _, _, name in fields] == list(Status._fields)
    letters = {"i32": "i", "u32": "I", "i64": "q", "u64": "Q"}
    offset = 0
    for (at, kind, _), letter in zip(fields, _letters(LAYOUT.format), strict=True):
        assert int(at) == offset
        assert letters[kind] == letter
        offset += struct.calcsize(f"<{letter}")
    assert offset == LAYOUT.size
    assert f"Size {LAYOUT.size} bytes" in section


def _letters(layout: str) -> list[str]:
    return [letter for count, letter in re.findall(r"(\d*)([a-zA-Z])", layout) for _ in range(int(count or 1))]


def test_read() -> None:
    values = tuple(range(1, len(Status._fields) + 1))
    status = read(memoryview(bytes(8) + LAYOUT.pack(*values)), 8)
    assert tuple(status) == values
    assert status.rc == 1
    assert status.kinds == len(values)
