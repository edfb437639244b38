"""Rows that ``executemany`` appends without SQLite's program: the same file, byte for byte, as statements make."""

from __future__ import annotations

import math
import sqlite3
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wasqlite

MORE = 40
"""Plain rows before and after those that matter: some in a first small chunk, and the others behind them in one."""

EDGES = [
    0,
    1,
    2,
    -1,
    *(edge + near for bits in (7, 15, 23, 31, 47) for edge in (2**bits, -(2**bits)) for near in (-1, 0, 1)),
]
EDGES += [2**63 - 1, 2**63 - 2, -(2**63), -(2**63) + 1]
REALS = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.0**47,
    2.0**53,
    2.0**53 + 2,
    2.0**62,
    2.0**63,
    -(2.0**63),
    1e300,
    math.inf,
    -math.inf,
    math.nan,
    5e-324,
]
TEXTS = [
    "",
    "x",
    "12",
    " 12 ",
    "0x10",
    "1.50",
    "-0.0",
    "1e3",
    "1e400",
    "9223372036854775808",
    "2013-01-01",
    "é",
    "\0",
    "a\0b",
    "🐍",
    "x" * 57,
    "x" * 58,
]
BLOBS = [b"", b"12", b"\0", b"y" * 58, b"y" * 59]
VALUES: list[Any] = [None, True, False, *EDGES, *(float(edge) for edge in EDGES), *REALS, *TEXTS, *BLOBS]
TYPES = [
    "",
    "blob",
    "text",
    "varchar(3)",
    "int",
    "integer",
    "bigint",
    "numeric",
    "decimal(9, 2)",
    "date",
    "boolean",
    "real",
    "double",
    "any",
]


def image(how: str, schema: str, sql: str, rows: list[Any], *prepare: str) -> Any:
    """What is in the file, and what was said."""
    con = wasqlite.connect(":memory:", isolation_level=None)
    for line in (*prepare, schema, "begin"):
        con.execute(line)
    said: Any = None
    try:
        if how == "many":
            con.executemany(sql, rows)
        else:
            for row in rows:
                con.execute(sql, row)
    except wasqlite.Error as error:
        said = (type(error), str(error), error.sqlite_errorname)
    counts = con.execute("select total_changes(), last_insert_rowid()").fetchall()
    con.execute("commit")
    assert con.execute("pragma integrity_check").fetchall() == [("ok",)]
    data = con.serialize()
    con.close()
    return said, counts, data


def compare(schema: str, sql: str, rows: list[Any], *prepare: str) -> Any:
    one, many = (image(how, schema, sql, rows, *prepare) for how in ("one", "many"))
    assert many[:2] == one[:2]
    assert many[2] == one[2]
    return many[0]


@pytest.mark.parametrize("declared", TYPES)
def test_types(declared: str) -> None:
    plain = [(1, "x")] * MORE
    rows = [*plain, *((value, "x") for value in VALUES), *plain, *((value, None) for value in VALUES)]
    assert compare(f"create table t(a {declared}, b)", "insert into t values (?, ?)", rows) is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16le", "utf-16be"])
@pytest.mark.parametrize("page_size", [512, 4096, 65536])
def test_encodings_and_pages(encoding: str, page_size: int) -> None:
    rows = [(i, text * (i % 7), text.encode() * (i % 50)) for i in range(200) for text in ("ab", "é", "🐍", "z" * 60)]
    prepare = (f"pragma page_size = {page_size}", f"pragma encoding = '{encoding}'")
    assert compare("create table t(a int, b text, c)", "insert into t values (?, ?, ?)", rows, *prepare) is None


def test_file_format_without_constants_for_zero_and_one() -> None:
    rows = [(i % 3, str(i)) for i in range(200)]
    assert compare("create table t(a, b)", "insert into t values (?, ?)", rows, "pragma legacy_file_format = 1") is None


@pytest.mark.parametrize("width", [1, 2, 30, 60, 63, 64, 65])
def test_widths(width: int) -> None:
    rows = [tuple(f"{i}" * ((i + j) % 70) for j in range(width)) for i in range(120)]
    columns = ", ".join(f"c{i} text" for i in range(width))
    assert compare(f"create table t({columns})", f"insert into t values ({', '.join('?' * width)})", rows) is None


@pytest.mark.parametrize("size", [4000, 4060, 4080, 4096, 4100, 5000, 100_000])
def test_large_values(size: int) -> None:
    rows = [(i, "x" * (size + i), 1.5, b"y" * (i % 3)) for i in range(50)]
    assert compare("create table t(a, b, c, d)", "insert into t values (?, ?, ?, ?)", rows) is None


KEYS: dict[str, list[Any]] = {
    "ascending": list(range(300)),
    "none": [None] * 300,
    "none after others": [5, None, 900, None, None, -3, None] + [None] * 200,
    "descending": list(range(300, 0, -1)),
    "negative": list(range(-300, 0)),
    "smallest first": [-(2**63), *range(-5, 300)],
    "gaps": [i * i for i in range(300)],
    "in the middle": [*range(0, 400, 2), *range(1, 400, 2), *range(1000, 1100)],
    "now and then not the largest": [i if i % 9 else -i - 1 for i in range(400)],
    "of other types": [1, 2.0, "3", True and 4, *range(5, 100), 1000.0, "2000", *range(3000, 3100)],
    "the largest": [*range(100), 2**63 - 1],
    "twice": [*range(200), 150, *range(200, 300)],
    "no integer": [*range(200), "x", *range(200, 300)],
    "no whole number": [*range(200), 300.5, *range(400, 500)],
    "true": [False, True, *range(2, 100)],
}


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize(
    "columns",
    ["k integer primary key, b text, c real", "b text, k integer primary key, c real", "b, c, k integer primary key"],
)
def test_keys(keys: str, columns: str) -> None:
    names = [column.split()[0] for column in columns.split(", ")]
    rows = []
    for i, key in enumerate(KEYS[keys]):
        cells = {"k": key, "b": f"name {i}", "c": i / 4}
        rows.append(tuple(cells[name] for name in names))
    said = compare(f"create table t({columns})", "insert into t values (?, ?, ?)", rows)
    assert (said is None) == (keys not in ("twice", "no integer", "no whole number"))
    for conflict in ("ignore", "replace"):
        said = compare(f"create table t({columns})", f"insert or {conflict} into t values (?, ?, ?)", rows)
        assert (said is None) == (keys not in ("no integer", "no whole number"))


@pytest.mark.parametrize("keys", KEYS)
def test_keys_by_the_name_of_rowid(keys: str) -> None:
    rows = [(f"name {i}", key) for i, key in enumerate(KEYS[keys])]
    compare("create table t(a, b, c default 5)", "insert into t(b, rowid) values (?, ?)", rows)


def test_rowids_after_the_largest_are_random(con: wasqlite.Connection) -> None:
    con.execute("create table t(a)")
    con.execute("insert into t(rowid, a) values (?, 0)", (2**63 - 1,))
    con.executemany("insert into t values (?)", [(i,) for i in range(100)])
    assert con.execute("select count(*), count(distinct rowid), min(rowid) > 0 from t").fetchone() == (101, 101, 1)


@pytest.mark.parametrize(
    "schema",
    [
        "create table t(a not null, b, c not null)",
        "create table t(a integer primary key, b not null, c text not null)",
        "create table t(a integer primary key not null, b, c)",
        "create table t(a, b, c, d)",
        "create table t(d, c text, e default 7, b int, a real, f)",
        "create table t(id integer primary key, d default 'x', a, b not null, c)",
        "create table t(c not null, b text default 'y', a integer primary key, d real default 5, e text default 5)",
        "create table t(a, b, c, d not null default 1)",
        "create table t(a, b, c, d not null)",
        "create table t(a, b, c, d default 7)",
        "create table t(a, b, c, d as (a + 1))",
        "create table t(a int, b text, c real) strict",
        "create table t(c, b, a)",
        "create table t(a, b, c, primary key (a, b))",
        "create table t(a primary key, b, c) without rowid",
        "create table t(a check (a is not 5), b, c)",
    ],
)
@pytest.mark.parametrize("bad", [None, (None, "x", 1.0), (1000, None, 1.0), (1000, "x", None), (5, "x", 1.0)])
def test_constraints_and_columns(schema: str, bad: Any) -> None:
    rows: list[Any] = [(i, f"n{i}", i / 2) for i in range(200)]
    if bad:
        rows.insert(150, bad)
    for conflict in ("", "or ignore", "or replace"):
        compare(schema, f"insert {conflict} into t(a, b, c) values (?, ?, ?)", [*rows, *rows] if conflict else rows)


@pytest.mark.parametrize("limit", [30, 100, 1000])
def test_the_limit_of_sizes(limit: int) -> None:
    for column in (0, 1):
        for size in range(limit - 15, limit + 3):
            for first in (0, limit - 20, limit // 2):
                found = []
                for many in (False, True):
                    con = wasqlite.connect(":memory:")
                    con.execute("create table t(a not null, b)")
                    sql = "insert into t values (?, ?)"
                    con.setlimit(wasqlite.SQLITE_LIMIT_LENGTH, limit)
                    rows: list[Any] = [("x" * first, 1)] * 30
                    rows.append(("y" * size, None) if column == 0 else (None, b"z" * size))
                    try:
                        con.executemany(sql, rows) if many else [con.execute(sql, row) for row in rows]
                        said = None
                    except wasqlite.Error as error:
                        said = str(error)
                    found.append((said, con.execute("select count(*), sum(length(a)) from t").fetchone()))
                    con.close()
                assert found[0] == found[1], (column, size, first)


def test_a_table_that_is_read_meanwhile(con: wasqlite.Connection) -> None:
    con.execute("create table t(a integer primary key, b)")
    con.executemany("insert into t values (?, ?)", [(i, "x" * 50) for i in range(500)])
    cursor = con.execute("select a from t")
    seen = [row[0] for row in (next(cursor) for _ in range(5))]
    con.executemany("insert into t values (?, ?)", [(i, "y" * 50) for i in range(500, 1500)])
    seen += [row[0] for row in cursor]
    assert seen[:500] == list(range(500))
    assert seen == list(range(len(seen)))
    assert con.execute("pragma integrity_check").fetchone() == ("ok",)


def test_a_blob_that_is_open_meanwhile(con: wasqlite.Connection) -> None:
    con.execute("create table t(a integer primary key, b)")
    con.execute("insert into t values (1, x'010203')")
    with con.blobopen("t", "b", 1) as blob:
        con.executemany("insert into t values (?, ?)", [(i, b"y" * 50) for i in range(2, 1500)])
        assert blob.read() == b"\1\2\3"


def test_progress_handlers_interrupt(con: wasqlite.Connection) -> None:
    con.execute("create table t(a, b)")
    calls = 0

    def progress() -> int:
        nonlocal calls
        calls += 1
        return calls > 20

    con.set_progress_handler(progress, 100)
    with pytest.raises(wasqlite.OperationalError, match="interrupted"):
        con.executemany("insert into t values (?, ?)", ((i, i) for i in range(100_000)))
    assert calls == 21
    con.set_progress_handler(None, 0)


@pytest.mark.usual_batches
@pytest.mark.parametrize("conflict", ["", "or ignore", "or replace"])
@pytest.mark.parametrize(
    ("columns", "appended"),
    [("a, b", True), ("a integer primary key, b", True), ("a, b not null", True), ("a, b unique", False)],
)
def test_where_the_program_is_left_out(con: wasqlite.Connection, columns: str, appended: bool, conflict: str) -> None:
    con.execute(f"create table t({columns})")
    calls = 0

    def progress() -> int:
        nonlocal calls
        calls += 1
        return 0

    con.set_progress_handler(progress, 1)
    con.executemany(f"insert {conflict} into t values (?, ?)", ((i, i) for i in range(1000)))
    con.set_progress_handler(None, 0)
    # The program has several jumps for each row, after which it looks; who appends looks once.
    assert (1000 <= calls < 1500) if appended else calls >= 2000


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(TYPES), min_size=1, max_size=5),
    st.lists(st.lists(st.sampled_from(VALUES), min_size=5, max_size=5), max_size=80),
    st.integers(0, 9),
)
def test_any_rows(types: list[str], rows: list[list[Any]], key: int) -> None:
    columns = [f"c{i} {'integer primary key' if i == key else declared}" for i, declared in enumerate(types)]
    table = f"create table t({', '.join(columns)})"
    compare(table, f"insert into t values ({', '.join('?' * len(types))})", [row[: len(types)] for row in rows])


def test_the_stdlib_reads_the_same(connect: Callable[..., wasqlite.Connection]) -> None:
    con = connect()
    con.execute("create table t(a integer, b real, c)")
    rows = [(value, value, value) for value in VALUES if not isinstance(value, bytes)]
    con.executemany("insert into t values (?, ?, ?)", rows * 3)
    native = sqlite3.connect(":memory:")
    native.execute("create table t(a integer, b real, c)")
    native.executemany("insert into t values (?, ?, ?)", rows * 3)
    read = "select typeof(a), a, typeof(b), b, typeof(c), c from t"

    def exact(found: list[Any]) -> list[Any]:
        return [[struct.pack("d", v) if isinstance(v, float) else v for v in row] for row in found]

    con.commit()
    assert exact(con.execute(read).fetchall()) == exact(native.execute(read).fetchall())
    native.deserialize(con.serialize())
    assert native.execute("pragma integrity_check").fetchone() == ("ok",)
    native.close()
