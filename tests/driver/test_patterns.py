"""LIKE and GLOB search with our own ``strcspn`` (c-src/strings.c): every alignment, length and kind of stop byte."""

from __future__ import annotations

import sqlite3

import wasqlite

# The byte to look for, the fill before it: both cases of a letter, a byte that folds to nothing, bytes of UTF-8.
TEXTS = [
    "." * before + stop + "." * after
    for stop in ("x", "X", "7", "é", "€", "")
    for before in (*range(35), 63, 64, 65, 127)
    for after in (0, 1, 17)
]


def both(sql: str) -> tuple[list[object], list[object]]:
    """The same query over all texts, natively and in the sandbox; the text's place in memory moves with its length."""
    found = []
    for module in (sqlite3, wasqlite):
        connection = module.connect(":memory:")
        rows = [connection.execute(sql, {"t": text}).fetchone() for text in TEXTS]
        connection.close()
        found.append(rows)
    return found[0], found[1]


def test_like_stops_at_either_case() -> None:
    native, ours = both(
        "SELECT :t LIKE '%x%', :t LIKE '%X', :t LIKE '%xx%', :t LIKE '%7%', :t LIKE '%é%', :t LIKE '%é'"
    )
    assert ours == native
    assert {row[0] for row in ours} == {0, 1}  # type: ignore[index]


def test_glob_stops_at_one_byte() -> None:
    native, ours = both("SELECT :t GLOB '*x*', :t GLOB '*X', :t GLOB '*7?*', :t GLOB '*€*', :t GLOB '*[x7]*'")
    assert ours == native


def test_like_inside_a_longer_text_stops_at_its_end() -> None:
    native, ours = both("SELECT substr(:t || 'xyz', 1, length(:t)) LIKE '%z%', substr('xyz' || :t, 2) LIKE '%y%'")
    assert ours == native
