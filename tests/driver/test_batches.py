"""Values of all types, in any mixture, come back as the standard library's module gives them back."""

from __future__ import annotations

import math
import sqlite3
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import wasqlite

integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
blobs = st.binary(max_size=20)
anything = st.one_of(st.none(), integers, floats, texts, blobs, st.booleans())
columns = st.sampled_from(
    [integers, floats, texts, blobs, st.none(), anything, st.one_of(st.none(), texts), st.one_of(integers, floats)]
)


@st.composite
def tables(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    kinds = draw(st.lists(columns, min_size=1, max_size=4))
    return draw(st.lists(st.tuples(*kinds), max_size=30))


def seen(value: Any) -> tuple[type, Any]:
    if isinstance(value, float):
        return float, (math.copysign(1, value), value)
    return type(value), value


def stored(column: int) -> str:
    # Floats become text differently in different versions of SQLite.
    return f"typeof(c{column}), case typeof(c{column}) when 'real' then '' else hex(c{column}) end"


def round_trips(module: Any, rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    con = module.connect(":memory:")
    try:
        width = len(rows[0]) if rows else 1
        con.execute(f"create table t(id integer primary key, {', '.join(f'c{i}' for i in range(width))})")
        names = ", ".join(f"c{i}" for i in range(width))
        marks = ", ".join("?" * width)
        con.executemany(f"insert into t({names}) values({marks})", rows)
        found = {
            "all": con.execute(f"select {names} from t order by id").fetchall(),
            "each": list(con.execute(f"select {names} from t order by id")),
            "one": [con.execute(f"select {marks}", row).fetchone() for row in rows],
            "stored": con.execute(f"select {', '.join(map(stored, range(width)))} from t").fetchall(),
        }
        return {name: [tuple(map(seen, row)) for row in rows] for name, rows in found.items()}
    finally:
        con.close()


@settings(max_examples=60, deadline=None)
@given(tables())
def test_round_trips(rows: list[tuple[Any, ...]]) -> None:
    assert round_trips(wasqlite, rows) == round_trips(sqlite3, rows)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=6), min_size=1, max_size=12))
def test_text_of_any_bytes(values: list[bytes]) -> None:
    outcome = {}
    for module in (sqlite3, wasqlite):
        con = module.connect(":memory:")
        con.execute("create table t(a)")
        con.executemany("insert into t values(cast(? as text))", [(v,) for v in values])
        con.text_factory = lambda data: ("bytes", data)
        rows = con.execute("select a from t").fetchall()
        con.text_factory = str
        cursor = con.execute("select a, 1 from t")
        fetched: list[Any] = []
        for _ in values:
            try:
                fetched.append(cursor.fetchone())
            except module.OperationalError as error:
                fetched.append(str(error))
        outcome[module.__name__] = (rows, fetched)
        con.close()
    assert outcome["wasqlite"] == outcome["sqlite3"]


def test_a_row_lies_in_memory_that_was_added_by_its_own_query(con):
    """Text of every size up to where the one-row way ends, in a guest that grows all the time."""
    con.execute("create table t(x)")
    before = con._database.memory.size
    for size in range(1000, 3000):
        assert con.execute("select printf('%.*c', ?, 'x')", (size,)).fetchone() == ("x" * size,)
        con.execute("insert into t values (?)", (b"x" * size,))
    con._database.memory.refresh()
    assert con._database.memory.size > before + (1 << 20)
