"""Columns of any values: arrays say what ``fetchall`` says, or there is an error where no array type can say it."""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import wasqlite
from wasqlite.columnar import source

pytest.importorskip("nanoarrow")
pa = pytest.importorskip("pyarrow")

integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
blobs = st.binary(max_size=12)
columns = st.sampled_from(
    [
        *(kind for one in (integers, floats, texts, blobs) for kind in (one, st.one_of(st.none(), one))),
        st.none(),
        st.one_of(floats, st.integers(-(2**54), 2**54)),
        st.one_of(st.none(), integers, floats, texts, blobs),
    ]
)


@st.composite
def tables(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    kinds = draw(st.lists(columns, min_size=1, max_size=4))
    return draw(st.lists(st.tuples(*kinds), max_size=25))


@contextlib.contextmanager
def filled(module: Any, rows: list[tuple[Any, ...]]) -> Iterator[Any]:
    """A connection with the rows in a table ``t`` of columns ``c0``, ``c1``..."""
    con = module.connect(":memory:")
    try:
        width = len(rows[0]) if rows else 1
        con.execute(f"create table t({', '.join(f'c{i}' for i in range(width))})")
        con.executemany(f"insert into t values ({', '.join('?' * width)})", rows)
        yield con
    finally:
        con.close()


def exactly(value: Any) -> Any:
    """What tells -0.0 from 0.0, and 1 from 1.0."""
    return (float, math.copysign(1, value), value) if isinstance(value, float) else (type(value), value)


def expected(values: list[Any]) -> list[Any] | None:
    """What an array of one type makes of a column; None if there is no such type."""
    kinds = {type(value) for value in values} - {type(None)}
    if kinds == {int, float}:
        if any(isinstance(value, int) and int(float(value)) != value for value in values):
            return None
        return [None if value is None else exactly(float(value)) for value in values]
    return None if len(kinds) > 1 else [None if value is None else exactly(value) for value in values]


def outcome(action: Any) -> Any:
    try:
        return action()
    except wasqlite.DataError:
        return None


def lists(arrays: Any) -> list[list[Any]]:
    return [[None if value is None else exactly(value) for value in array] for array in arrays]


@settings(max_examples=150, deadline=None)
@given(tables(), st.sampled_from([1, 2, 7, source.BATCH_ROWS]), st.integers(0, 5))
def test_results(rows: list[tuple[Any, ...]], batch_rows: int, before: int) -> None:
    with filled(sqlite3, rows) as native:
        cursor = native.execute("select * from t")
        for _ in range(before):
            cursor.fetchone()
        rest = cursor.fetchall()
    width = len(rows[0]) if rows else 1
    values = [list(column) for column in zip(*rest, strict=True)] or [[] for _ in range(width)]
    wanted = [expected(column) for column in values]
    with filled(wasqlite, rows) as con, mock.patch.object(source, "BATCH_ROWS", batch_rows):

        def cursor_at(columns: str) -> Any:
            cursor = con.execute(f"select {columns} from t")
            for _ in range(before):
                cursor.fetchone()
            return cursor

        for number, column in enumerate(wanted):
            name = f"c{number}"
            numpy = outcome(lambda name=name: lists([cursor_at(name).fetch_numpy()[name].tolist()])[0])
            assert numpy == column
            arrow = outcome(lambda name=name: pa.table(cursor_at(name).fetch_arrow()))
            if column is None:
                assert arrow is None
            else:
                arrow.validate(full=True)
                assert lists([arrow[name].to_pylist()])[0] == column
            objects = cursor_at(name).fetch_numpy(types={name: object})[name]
            assert lists([objects.tolist()]) == lists([values[number]])
        if None not in wanted:
            numpy = cursor_at("*").fetch_numpy()
            assert lists(array.tolist() for array in numpy.values()) == wanted
            arrow = pa.table(cursor_at("*").fetch_arrow())
            arrow.validate(full=True)
            assert lists(array.to_pylist() for array in arrow.columns) == wanted


@settings(max_examples=100, deadline=None)
@given(tables(), st.integers(1, 10))
def test_parts_are_the_whole(rows: list[tuple[Any, ...]], size: int) -> None:
    with filled(wasqlite, rows) as con:
        whole = outcome(lambda: con.execute("select * from t").fetch_numpy())
        parts = outcome(lambda: list(con.execute("select * from t").fetch_numpy_batches(size)))
        batches = outcome(lambda: [*map(pa.record_batch, con.execute("select * from t").fetch_arrow_batches(size))])
        # The types were decided by the first rows, so that there may be an error where the whole has none.
        if parts is not None and whole is not None:
            assert [len(part["c0"]) for part in parts] == [
                min(size, len(rows) - at) for at in range(0, len(rows), size)
            ]
            for name in whole:
                assert [value for part in parts for value in part[name].tolist()] == whole[name].tolist()
        if batches is not None and whole is not None:
            for number, name in enumerate(whole):
                found = [value for batch in batches for value in batch.column(number).to_pylist()]
                assert found == whole[name].tolist()


def kept(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row as a table with declared types keeps it: in a column of type REAL, SQLite makes 0.0 of -0.0."""
    return tuple(exactly(value + 0.0 if type(value) is float else value) for value in row)


@settings(max_examples=100, deadline=None)
@example(rows=[(0.0,), (-0.0,)])
@given(tables())
def test_ingest_of_lists_and_arrays(rows: list[tuple[Any, ...]]) -> None:
    names = [f"c{i}" for i in range(len(rows[0]) if rows else 1)]
    values = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    with filled(wasqlite, rows) as con:
        want = list(map(kept, con.execute("select * from t")))
        con.ingest("a", values)
        con.ingest("b", {name: np.array(column, object) for name, column in values.items()})
        numpy = outcome(lambda: con.execute("select * from t").fetch_numpy())
        tables = ["a", "b"]
        if numpy is not None and all(
            set(map(type, c)) != {int, float} and {int, float} - set(map(type, c)) for c in values.values()
        ):
            con.ingest("c", numpy)
            con.ingest("d", con.execute("select * from t").fetch_arrow())
            con.ingest("e", pa.table(con.execute("select * from t").fetch_arrow()).slice(1))
            assert list(map(kept, con.execute("select * from e"))) == want[1:]
            tables += ["c", "d"]
        for table in tables:
            # The types that ingest declares must not convert anything else.
            assert list(map(kept, con.execute(f"select * from {table}"))) == want
