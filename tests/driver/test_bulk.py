"""Nobody can tell an ``executemany`` that loops inside of one statement from one that runs a statement for each row."""

from __future__ import annotations

import array
import enum
import math
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Case, Subject

import wasqlite
from wasqlite.capi.statement import Statement

Same = Callable[[Case], Any]

# More than the first chunk, so that later ones are large.
ROWS = [(i, f"name {i}", i / 4) for i in range(400)]

TABLES = {
    "plain": "create table t(a, b, c)",
    "typed": "create table t(a integer, b text, c real)",
    "rowid": "create table t(a integer primary key, b text not null, c real)",
    "unique": "create table t(a, b text unique, c)",
    "two indexes": "create table t(a, b, c); create index i on t(a); create unique index j on t(c, b)",
    "collated": "create table t(a, b collate nocase unique, c)",
    "without rowid": "create table t(a int, b text primary key, c) without rowid",
    "strict": "create table t(a int, b text, c real) strict",
    "checked": "create table t(a check (a <> 777), b, c check (c is null or c >= -1e300))",
    "default": "create table t(a, b, c, d default 'd', e default 5, f)",
    "generated": "create table t(a, b, c, d generated always as (a + 1) stored, e as (b || c))",
    "partial index": "create table t(a, b, c); create unique index i on t(a) where c > 10",
    "autoincrement": "create table t(a integer primary key autoincrement, b, c)",
    "autoincrement, not for us": "create table t(a, b unique, c, d integer primary key autoincrement)",
    "autoincrement, counted": (
        "create table s(a integer primary key autoincrement); insert into s values (7);"
        "create table t(a integer primary key autoincrement, b text not null unique, c);"
        "insert into t values (90000, 'before', 1); delete from t"
    ),
    # Not fit for it, and so the same for another reason.
    "time": "create table t(a, b, c, d default (changes()), e default (last_insert_rowid()))",
    "ignoring": "create table t(a, b text unique on conflict ignore, c)",
    "replacing": "create table t(a, b text unique on conflict replace, c)",
    "failing": "create table t(a, b text unique on conflict fail, c)",
    "rolling back": "create table t(a, b text unique on conflict rollback, c)",
    "trigger": (
        "create table t(a, b, c); create table log(x);"
        "create trigger r after insert on t begin insert into log values (changes() + new.a); end"
    ),
    "parent": (
        "pragma foreign_keys = on; create table p(x primary key); insert into p values (1), (2), (3);"
        "create table t(a references p, b, c)"
    ),
    "deferred": (
        "pragma foreign_keys = on; create table p(x primary key);"
        "create table t(a references p deferrable initially deferred, b, c)"
    ),
    "view": (
        "create table u(a, b, c); create view t as select * from u;"
        "create trigger r instead of insert on t begin insert into u values (new.a, new.b, new.c); end"
    ),
    "full-text": "create virtual table t using fts4(a, b, c)",
    "our name": "create table wasqlite_parameters(c0, c1, c2); create table t(a, b, c)",
}
BAD = {
    "none": None,
    "twice": (5, "name 5", 1.25),
    "null": (1000, None, 0.5),
    "no integer": ("x", "new", 0.5),
    "no text": (1001, 5, b"blob"),
    "checked": (777, "new", 0.5),
    "width": (1, 2),
    "type": (1, object(), 2),
    "large": (1, "new", 2**63),
    "surrogate": (1, "\ud800", 2),
}


KEPT = ("t", "u", "log", "sqlite_sequence")


def outcome(s: Subject, sql: str, rows: Any) -> Any:
    said = s.attempt(lambda: s.cur.executemany(sql, rows))
    state = s.state()
    counts = s.cur.execute("select changes(), total_changes(), last_insert_rowid()").fetchone()
    s.attempt(lambda: s.con.commit())
    tables = [name for (name,) in s.cur.execute("select name from sqlite_schema where type = 'table' order by 1")]
    kept = {name: s.cur.execute(f"select * from {name}").fetchall() for name in tables if name in KEPT}
    return s.shape([said, state, counts, kept])


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("table", TABLES)
def test_tables_and_failures(same: Same, table: str, bad: str) -> None:
    if table == "strict" and bad.startswith("no "):
        pytest.skip("the stdlib's module does not know the name of SQLITE_CONSTRAINT_DATATYPE: see the next test")
    rows = list(ROWS)
    if BAD[bad] is not None:
        rows.insert(250, BAD[bad])

    def case(s: Subject) -> Any:
        s.con.executescript(TABLES[table])
        return outcome(s, "insert into t(a, b, c) values (?, ?, ?)", rows)

    same(case)


def test_strict_tables(con: wasqlite.Connection) -> None:
    con.execute("create table t(a int, b text, c real) strict")
    with pytest.raises(wasqlite.IntegrityError, match=r"cannot store TEXT value in INT column t\.a") as caught:
        con.executemany("insert into t values (?, ?, ?)", [*ROWS, ("x", "new", 0.5), *ROWS])
    assert caught.value.sqlite_errorname == "SQLITE_CONSTRAINT_DATATYPE"
    assert con.execute("select count(*), changes(), total_changes() from t").fetchone() == (400, 0, 400)


TWICE = [
    (5, "again", 1.25),
    (1000, "name 7", None),
    (8, "name 9", 2.5),
    (8, "again", 2.5),
    (9, "NAME 11", 9.75),
    ROWS[3],
]


@pytest.mark.parametrize("last", [(2000, "last", 0.5), ROWS[399]])
@pytest.mark.parametrize("bad", ["none", "null", "no integer"])
@pytest.mark.parametrize("conflict", ["insert or ignore", "replace"])
@pytest.mark.parametrize("table", [table for table in TABLES if table != "strict"])
def test_conflicts(same: Same, table: str, conflict: str, bad: str, last: Any) -> None:
    rows = [*ROWS, *TWICE, *((a + 3000, f"more {b}", c) for a, b, c in ROWS), *TWICE, last]
    if BAD[bad] is not None:
        rows.insert(450, BAD[bad])

    def case(s: Subject) -> Any:
        s.con.executescript(TABLES[table])
        return outcome(s, f"{conflict} into t(a, b, c) values (?, ?, ?)", rows)

    same(case)


STATEMENTS = [
    "insert into t values (?, ?, ?)",
    "insert into main.t values(?,?,?);",
    "INSERT\nINTO t AS x (c, b, a) -- comment\nVALUES (?,/* here */?, ?) ; ",
    'insert into "t" ("a", [b], `c`) values (?, ?, ?)',
    "insert into t values (?, ?, +?)",
    "insert into t values (?, ?, 1 + ?)",
    "insert into t values (?3, ?1, ?2)",
    "insert into t values (?2, ?, ?1)",
    "insert into t values (?, ?, ?), (1, 2, 3)",
    "insert or ignore into t values (?, ?, ?)",
    "insert or replace into t values (?, ?, ?)",
    "insert or fail into t values (?, ?, ?)",
    "insert or rollback into t values (?, ?, ?)",
    "replace into t values (?, ?, ?)",
    "insert into t values (?, ?, ?) on conflict do nothing",
    "insert into t values (?, ?, ?) on conflict(b) do update set a = a + 1000",
    "insert into t select ?, ?, ?",
    "with x as (select 1) insert into t values (?, ?, ?)",
    "update t set a = ? where b = ? or c = ?",
    "delete from t where a = ? or b = ? or c = ?",
]


@pytest.mark.parametrize("sql", STATEMENTS)
def test_statements(same: Same, sql: str) -> None:
    def case(s: Subject) -> Any:
        s.con.executescript("create table t(a, b unique, c); insert into t values (1, 'name 300', 2), (2, 'other', 9)")
        return outcome(s, sql, ROWS)

    same(case)


NAMED = [
    "insert into t values (:a, :b, :c)",
    "insert into t values (@c, $b, :a)",
    "insert into t(a, c) values (:c, :b)",
    "insert into t(c) values (:b)",
    "insert into t values (:b, :a, :b)",
    "insert into t values (:a, ?, :c)",
    "insert into t values (?, :b, :c)",
    "insert into t values (:a, :missing, :c)",
    "update t set a = :a, c = :c where b = :b",
]


@pytest.mark.parametrize("sql", NAMED)
@pytest.mark.parametrize("odd", [None, "missing", "more", "sequence", "subclass", "object", "default"])
def test_names(same: Same, sql: str, odd: str | None) -> None:
    class Defaults(dict[str, Any]):
        def __missing__(self, key: str) -> str:
            return f"no {key}"

    odds: dict[str | None, Any] = {
        "missing": {"a": 1, "b": "x"},
        "more": {"a": 1000, "b": "x", "c": 1.5, "d": 2},
        "sequence": (1000, "x", 1.5),
        "subclass": Defaults(a=1000, b="x", c=1.5),
        "object": {"a": 1000, "b": object(), "c": 1.5},
        "default": Defaults(a=1000, b="x"),
    }
    rows: list[Any] = [{"a": a, "b": b, "c": c} for a, b, c in ROWS]
    if odd:
        rows.insert(250, odds[odd])

    def case(s: Subject) -> Any:
        s.con.executescript("create table t(a, b unique, c); insert into t values (1, 'name 300', 2), (2, 'other', 9)")
        return outcome(s, sql, rows)

    same(case)


@pytest.mark.parametrize("isolation", [None, "", "IMMEDIATE", "EXCLUSIVE"])
def test_transactions(same: Same, isolation: str | None) -> None:
    def case(s: Subject) -> Any:
        s.con.isolation_level = isolation
        s.con.execute("create table t(a, b unique, c)")
        return outcome(s, "insert into t values (?, ?, ?)", [*ROWS, ROWS[0]])

    same(case)


@pytest.mark.parametrize("first", [(None, b"bytes"), (None, object()), (1, None), ("x", "y"), (-5, "x")])
def test_a_first_row_that_is_odd_and_autoincrement(same: Same, first: Any) -> None:
    def case(s: Subject) -> Any:
        s.con.execute("create table t(a integer primary key autoincrement, b not null)")
        return [outcome(s, "insert into t values (?, ?)", [first, *((None, i) for i in range(40))]) for _ in range(2)]

    same(case)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16le"])
@pytest.mark.parametrize("schema", ["main", "temp", '"other ""one"""'])
def test_autoincrement_anywhere(same: Same, schema: str, encoding: str) -> None:
    def case(s: Subject) -> Any:
        s.con.isolation_level = None
        s.con.execute(f"pragma encoding = '{encoding}'")
        s.con.execute("attach ':memory:' as 'other \"one\"'")
        s.con.execute(f'create table {schema}."it\'s ""t"""(a integer primary key autoincrement, b not null)')
        s.con.execute("begin")
        sql = f'insert into {schema}."it\'s ""t""" values (?, ?)'
        said = [s.attempt(lambda: s.cur.executemany(sql, [*([(None, 1)] * 40), (None, None)])) for _ in range(2)]
        kept = s.con.execute(f"select * from {schema}.sqlite_sequence").fetchall()
        return s.shape([said, kept, s.con.execute("select last_insert_rowid(), total_changes()").fetchone()])

    same(case)


class Number(int):
    pass


class Level(enum.IntEnum):
    LOW = 1


class Real(float):
    pass


class Text(str):
    pass


class Buffer(float):
    """What marshal would write as bytes, as it does with the floats of numpy: a number with a buffer."""

    def __buffer__(self, flags: int) -> memoryview:
        return memoryview(b"buffer")


ODD = [
    True,
    False,
    Number(7),
    Level.LOW,
    Real(1.5),
    Text("x"),
    bytearray(b"ab"),
    memoryview(b"cd"),
    array.array("i", [1]),
]


@pytest.mark.parametrize(
    "odd", [*ODD, Buffer(2.5), b"", b"bytes", "", None, -(2**63), 2**63 - 1, 2**31, -(2**31) - 1, 2**62]
)
def test_values(same: Same, odd: Any) -> None:
    def case(s: Subject) -> Any:
        s.con.execute("create table t(a, b, c)")
        return outcome(s, "insert into t values (?, ?, ?)", [*ROWS, (odd, odd, 1), (1, odd, odd), *ROWS])

    same(case)


def test_numpy_scalars(same: Same) -> None:
    numpy = pytest.importorskip("numpy")

    def case(s: Subject) -> Any:
        s.con.execute("create table t(a, b, c)")
        return outcome(s, "insert into t values (?, ?, ?)", [*ROWS, (1, 2, numpy.float64(2.5)), (1, 2, numpy.int64(3))])

    same(case)


@pytest.mark.parametrize("kind", [int, float, str, bytes, bool, type(None), bytearray])
def test_adapters_of_the_plain_types(kind: type) -> None:
    code = """
import sys, {module} as m
m.register_adapter({kind}, lambda value: "adapted")
con = m.connect(":memory:")
con.execute("create table t(a, b)")
values = (1, 2.5, "x", b"y", True, None, bytearray(b"z"))
con.executemany("insert into t values (?, ?)", [(i, v) for i in range(9) for v in values])
print(con.execute("select distinct b from t order by a").fetchall())
"""
    name = "type(None)" if kind is type(None) else kind.__name__
    said = [
        subprocess.run(
            [sys.executable, "-c", code.format(module=module, kind=name)], capture_output=True, text=True, check=True
        ).stdout
        for module in ("sqlite3", "wasqlite")
    ]
    assert said[0] == said[1]


def test_an_iterator_that_fails(same: Same) -> None:
    def rows() -> Any:
        yield from ROWS
        raise ZeroDivisionError

    def case(s: Subject) -> Any:
        s.con.execute("create table t(a, b, c)")
        return outcome(s, "insert into t values (?, ?, ?)", rows())

    same(case)


def test_a_trigger_that_comes_between(same: Same) -> None:
    def case(s: Subject) -> Any:
        s.con.executescript("create table t(a, b, c); create table log(x)")
        s.cur.executemany("insert into t values (?, ?, ?)", ROWS)
        s.con.execute("create trigger r after insert on t begin insert into log values (changes()); end")
        return outcome(s, "insert into t values (?, ?, ?)", ROWS)

    same(case)


def test_a_schema_that_another_connection_changed(same: Same) -> None:
    def case(s: Subject) -> Any:
        one, two = (s.connect(str(s.folder / "file.db")) for _ in range(2))
        one.executescript("create table t(a, b, c); create table log(x)")
        one.executemany("insert into t values (?, ?, ?)", ROWS)
        one.commit()
        two.executescript("create trigger r after insert on t begin insert into log values (new.a); end")
        one.executemany("insert into t values (?, ?, ?)", ROWS)
        one.commit()
        return s.shape([one.execute("select count(*) from log").fetchone(), one.total_changes])

    same(case)


def test_who_watches_statements_sees_each(same: Same) -> None:
    def case(s: Subject) -> Any:
        s.con.execute("create table t(a, b, c)")
        s.con.execute("begin")
        seen: list[Any] = []
        s.con.set_trace_callback(seen.append)
        s.cur.executemany("insert into t values (?, ?, ?)", ROWS[:50])
        s.con.set_trace_callback(None)
        s.con.set_authorizer(lambda *words: seen.append(words[:2]) or 0)
        s.cur.executemany("insert into t values (?, ?, ?)", ROWS[:50])
        return s.shape(seen)

    same(case)


@pytest.mark.usual_batches
def test_the_loop_is_taken(connect: Callable[..., wasqlite.Connection], monkeypatch: pytest.MonkeyPatch) -> None:
    con = connect()
    con.executescript("create table t(a integer primary key, b text unique, c)")
    plans: list[str] = []
    con.executemany("insert into t values (?, ?, ?)", ROWS)
    # The table from which the loop takes its rows exists once a statement has been found to be fit.
    assert con.execute("select count(*) from wasqlite_parameters").fetchone() == (0,)
    plans = [
        row[3] for row in con.execute("explain query plan insert into t select c0, c1, c2 from wasqlite_parameters")
    ]
    assert plans == ["SCAN wasqlite_parameters VIRTUAL TABLE INDEX 0:"]
    calls: list[int] = []
    taken = Statement.execute_rows

    def counted(self: Statement, rows: bytes, readable: int) -> Any:
        calls.append(len(rows))
        return taken(self, rows, readable)

    monkeypatch.setattr(Statement, "execute_rows", counted)
    con.executemany("insert into t values (?, ?, ?)", [(a + 1000, b + "x", c) for a, b, c in ROWS])
    assert 1 < len(calls) < 6


def test_errors_of_the_loop_leave_it_usable(con: wasqlite.Connection) -> None:
    con.execute("create table t(a integer primary key, b, c)")
    sql = "insert into t values (?, ?, ?)"
    con.executemany(sql, ROWS)
    for _ in range(3):
        with pytest.raises(wasqlite.IntegrityError, match=r"UNIQUE constraint failed: t\.a"):
            con.executemany(sql, ROWS)
        con.execute("delete from t where a > 100")
        with pytest.raises(wasqlite.IntegrityError, match="datatype mismatch"):
            con.executemany(sql, [*ROWS[200:], ("x", 1, 2)])
        con.execute("delete from t")
        con.executemany(sql, ROWS)
    con.execute("drop table t")
    with pytest.raises(wasqlite.OperationalError, match="no such table: t"):
        con.executemany(sql, ROWS)


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=True),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.text(st.characters(categories=["Cs", "Lu", "Lo", "Cc"]), max_size=20),
    st.binary(max_size=20),
    st.binary(max_size=5).map(bytearray),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(values, values), max_size=60), st.booleans())
def test_any_values(rows: list[tuple[Any, ...]], unique: bool) -> None:
    found = []
    for module in (sqlite3, wasqlite):
        con = module.connect(":memory:")
        con.execute(f"create table t(a {'unique' if unique else ''}, b)")
        error: Any = None
        try:
            con.executemany("insert into t values (?, ?)", [[1e308, "first"], *rows])
        except Exception as raised:
            error = (type(raised).__name__, str(raised))
        kept = con.execute("select typeof(a), a, typeof(b), b from t").fetchall()
        exact = [tuple((type(v), math.copysign(1, v), v) if isinstance(v, float) else v for v in row) for row in kept]
        found.append((error, repr(exact), con.total_changes))
        con.close()
    assert found[0] == found[1]
