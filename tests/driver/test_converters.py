"""``detect_types``: converters by declared type and by column name, beside the standard library's."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from oracle import Case, Subject, both

import wasqlite

CASES: dict[str, Case] = {}
NONE, DECLTYPES, COLNAMES, BOTH = 0, 1, 2, 3


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """What a test registers is gone after it."""
    kept = [(module.converters, dict(module.converters)) for module in (sqlite3, wasqlite)]
    yield
    for live, before in kept:
        live.clear()
        live.update(before)


def typed(s: Subject, detect: int = BOTH, **keywords: Any) -> Any:
    """A connection with some converters, which is then the subject's."""
    for name in ("foo", "BAR", "number", "größe", ""):
        s.m.register_converter(name, lambda value, name=name: (name, value))
    s.con = s.connect(":memory:", detect_types=detect, **keywords)
    s.cur = s.con.cursor()
    return s.con


VALUES: list[Any] = [
    # Not 1e15 and 1e16, which SQLite 3.54 writes with a point and 3.40 with an exponent.
    *(None, 0, 1, -1, 2**63 - 1, -(2**63), 0.0, -0.0, 1.5, 1e300, 1e-300, 0.1, 100.0, 123456789.123),
    *("", "a", "ä\U0001f600", "a\0b", "\0", b"", b"a", b"\0\xff", "x" * 5000, b"y" * 70000),
]
for detect in (NONE, DECLTYPES, COLNAMES, BOTH):
    for number, value in enumerate(VALUES):

        def one_value(s: Subject, detect: int = detect, value: Any = value) -> Any:
            con = typed(s, detect)
            con.execute("create table t(a foo, b)")
            con.execute("insert into t values(?, ?)", (value, value))
            sql = 'select a, b, a as "x [bar]", b as "y [foo]", a as "z [none]", ? as "p [bar]" from t'
            return con.execute(sql, (value,)).fetchall(), con.execute(sql, (value,)).description

        CASES[f"value_{number}_{detect}"] = one_value

DECLARED = [
    *("foo", "FOO", "Foo", "foo(10)", "foo (10)", "foo not null", " foo", "foo bar", "foo\tbar", "varchar foo"),
    *('"foo bar"', "[foo]", "größe", "GRÖSSE", "integer", "", "number(1,2)", "foo,b bar", '""', "'foo'"),
    "foo default 5",
]
for number, declared in enumerate(DECLARED):
    for detect in (DECLTYPES, BOTH):

        def by_declaration(s: Subject, declared: str = declared, detect: int = detect) -> Any:
            con = typed(s, detect)
            con.execute(f"create table t(a {declared})")
            con.execute("insert into t values(" + ("5, 6)" if "," in declared and "(" not in declared else "5)"))
            sql = "select *, a, a as other, a + 1, (select a from t), cast(a as foo) from t"
            return con.execute(sql).fetchall(), con.execute("with c as (select a from t) select * from c").fetchall()

        CASES[f"declared_{number}_{detect}"] = by_declaration

NAMES = [
    *("x [foo]", "x[foo]", "x  [foo]", "[foo]", " [foo]", "x [FOO] y", "x [foo", "x foo]", "x ]foo[", "x ][foo]", "[]"),
    *("x [a [foo]]", "x [[foo]", "x [foo]]", "x [bar] [foo]", "x [none] [foo]", "x [ foo]", "x [foo ]", "x [foo(1)]"),
    *("größe [größe]", "[GRÖSSE]", "x\t[foo]", "x []", "plain", "", "[date] [foo]"),
]
for number, name in enumerate(NAMES):
    for detect in (DECLTYPES, COLNAMES, BOTH):

        def by_name(s: Subject, name: str = name, detect: int = detect) -> Any:
            con = typed(s, detect)
            con.row_factory = s.m.Row
            con.execute("create table t(a bar)")
            con.execute("insert into t values(5)")
            cursor = con.execute(f"select a as '{name}', 7 as '{name}', null as '{name}' from t")
            found = cursor.fetchall()
            return [tuple(row) for row in found], found[0].keys(), cursor.description

        CASES[f"name_{number}_{detect}"] = by_name

DATES = [
    *("2024-02-29", "2024-2-9", "2024-02-30", "2024-02", "x", " 2024-02-29 ", "2024-02-29-1", "-1-2-3", "20240229"),
]
STAMPS = [
    *("2024-02-29 01:02:03", "2024-02-29 01:02:03.5", "2024-02-29 01:02:03.123456", "2024-02-29 01:02:03.1234567890"),
    *("2024-02-29 01:02:03.123456+02:00", "2024-02-29 01:02:03+02:00", "2024-02-29T01:02:03", "2024-02-29"),
    *("2024-02-29 01:02", "2024-02-29 01:02:03.", "2024-02-29 01:02:03.1.2", "2024-02-29 01:02:03.x", "x y", " "),
    *("2024-02-29  01:02:03", "2024-02-30 01:02:03", "2024-02-29 25:02:03", "2024-2-9 1:2:3.000001"),
    "2024-02-29 1:2:3.-1",
]
for kind, texts in (("date", DATES), ("timestamp", STAMPS)):
    for number, text in enumerate([*texts, 5, 1.5, None, b""]):

        def default(s: Subject, kind: str = kind, text: Any = text) -> Any:
            con = typed(s)
            con.execute(f"create table t(a {kind})")
            con.execute("insert into t values(?)", (text,))
            return s.attempt(lambda: con.execute("select a from t").fetchall())

        CASES[f"default_{kind}_{number}"] = default


def table(s: Subject, rows: int = 9, **keywords: Any) -> Any:
    con = typed(s, **keywords)
    con.execute("create table t(a foo, b text, c integer)")
    con.executemany("insert into t values(?, ?, ?)", [(i, f"t{i}", i) for i in range(1, rows + 1)])
    return con


FETCHES: dict[str, Callable[[Any], Any]] = {
    "fetchall": lambda c: c.fetchall(),
    "fetchone": lambda c: c.fetchone(),
    "fetchmany": lambda c: c.fetchmany(4),
    "list": list,
}
for rows in (0, 1, 2, 3, 100, 5000):
    for name, fetch in FETCHES.items():

        def many(s: Subject, rows: int = rows, fetch: Any = fetch) -> Any:
            cursor = table(s, rows).execute("select * from t")
            return fetch(cursor), fetch(cursor)

        CASES[f"{name}_{rows}_rows"] = many

for at in (1, 2, 3, 5, 9):
    for name, fetch in FETCHES.items():

        def failing(s: Subject, at: int = at, fetch: Any = fetch) -> Any:
            con = table(s)

            def converter(value: bytes) -> Any:
                if value == b"%d" % at:
                    raise ValueError(at)
                return value

            s.m.converters["FOO"] = converter
            cursor = con.execute("select * from t")
            found = [s.attempt(lambda: fetch(cursor)) for _ in range(3)]
            s.m.converters["FOO"] = len  # comes too late
            return found, s.attempt(cursor.fetchone)

        CASES[f"converter_fails_at_{at}_in_{name}"] = failing

RECURSIONS: dict[str, Callable[[Subject], Any]] = {
    "execute": lambda s: s.cur.execute("select 1"),
    "fetchone": lambda s: s.cur.fetchone(),
    "fetchall": lambda s: s.cur.fetchall(),
    "next": lambda s: next(s.cur),
    "close": lambda s: s.cur.close(),
    "init": lambda s: s.cur.__init__(s.con),
    "other_cursor": lambda s: s.con.execute("select 7").fetchall(),
    "description": lambda s: (s.cur.description, s.cur.rowcount),
    "factory": lambda s: setattr(s.cur, "row_factory", None),
}
for name, action in RECURSIONS.items():

    def recursive(s: Subject, action: Any = action) -> Any:
        con = table(s)
        s.m.converters["FOO"] = lambda value: action(s)
        s.cur = con.cursor()
        s.cur.execute("select a from t")
        return [s.attempt(s.cur.fetchone)]

    CASES[f"converter_calls_{name}"] = recursive

STRANGE: dict[str, Any] = {"none": None, "number": 5, "zero": 0, "raises": lambda value: 1 / 0, "two": lambda a, b: a}
for name, converter in STRANGE.items():

    def strange(s: Subject, converter: Any = converter) -> Any:
        s.m.register_converter("foo", converter)
        con = s.connect(":memory:", detect_types=BOTH)
        con.execute("create table t(a foo)")
        con.execute("insert into t values(5)")
        cursor = con.execute("select a, a as 'a [foo]' from t")
        return [s.attempt(cursor.fetchone), s.attempt(cursor.fetchall)]

    CASES[f"strange_converter_{name}"] = strange


@case
def colnames_before_decltypes(s: Subject) -> Any:
    con = table(s, 1)
    return con.execute('select a as "a [bar]", a as "a [unknown]", c as "c [number]" from t').fetchall()


@case
def converters_count_when_the_statement_is_executed(s: Subject) -> Any:
    con = table(s)
    first = con.execute("select a from t")
    s.m.register_converter("foo", lambda value: "new")
    second = con.execute("select a from t")
    found = [first.fetchone(), second.fetchone()]
    del s.m.converters["FOO"]
    return found, first.fetchall(), second.fetchall(), con.execute("select a from t").fetchall()


@case
def one_statement_in_several_cursors(s: Subject) -> Any:
    con = table(s, 3000)
    cursors = [con.execute("select a, c from t") for _ in range(3)]
    s.m.register_converter("foo", lambda value: "new")
    cursors += [con.execute("select a, c from t") for _ in range(2)]
    return [[cursor.fetchone() for cursor in cursors] for _ in range(3)], [len(c.fetchall()) for c in cursors]


@case
def table_that_changes_under_a_cached_statement(s: Subject) -> Any:
    con = typed(s)
    found = []
    for declared in ("a foo", "a bar, b foo", "b integer", "x number, y, z foo", "z text"):
        con.execute("drop table if exists t")
        con.execute(f"create table t({declared})")
        for count in range(4):
            found.append((con.execute("select * from t").fetchall(), con.execute("select * from t").description))
            con.execute("insert into t values(" + ",".join(str(count) for _ in declared.split(",")) + ")")
    return found


@case
def returning(s: Subject) -> Any:
    con = typed(s)
    con.execute("create table t(a foo, b bar)")
    sql = 'insert into t values(?, ?) returning a, b, rowid as "id [number]"'
    found = [con.execute(sql, (1, 2)).fetchall(), con.execute(sql, (3, None)).fetchall()]
    con.execute("alter table t rename column a to c")
    con.execute("drop table t")
    con.execute("create table t(a number, b)")
    return found, con.execute(sql, (5, 6)).fetchall(), con.execute("select * from t").fetchall()


@case
def views_joins_and_aggregates(s: Subject) -> Any:
    con = table(s, 3)
    con.execute("create view v as select a, c as renamed from t")
    return [
        con.execute("select * from v").fetchall(),
        con.execute("select x.a, y.a, x.c from t x join t y on x.c = y.c + 1").fetchall(),
        con.execute("select max(a), count(*), a from t").fetchall(),
        con.execute("select a from t union select c from t order by 1").fetchall(),
    ]


@case
def pragmas_and_statements_without_rows(s: Subject) -> Any:
    con = table(s, 2)
    return (
        con.execute("pragma table_info(t)").fetchall(),
        con.execute("delete from t").rowcount,
        con.execute("").fetchall(),
    )


@case
def many_columns(s: Subject) -> Any:
    con = typed(s)
    names = ", ".join(f"c{i} {'foo' if i % 3 == 0 else 'text'}" for i in range(700))
    con.execute(f"create table t({names})")
    con.executemany(
        "insert into t values(" + ",".join("?" * 700) + ")", [[i * 1000 + j for j in range(700)] for i in range(3)]
    )
    return con.execute("select * from t").fetchall()


for factory in (bytes, bytearray, len, lambda value: value.decode("latin-1").upper()):

    def with_text_factory(s: Subject, factory: Any = factory) -> Any:
        con = table(s, 5)
        con.text_factory = factory
        cursor = con.execute("select a, b, c, 'x' || a, x'00ff', null, cast(x'ff' as text) from t")
        return cursor.fetchone(), cursor.fetchmany(2), cursor.fetchall()

    CASES[f"text_factory_{getattr(factory, '__name__', 'other')}"] = with_text_factory


@case
def text_that_is_not_utf8_beside_a_converter(s: Subject) -> Any:
    con = table(s, 4)
    cursor = con.execute("select a, case c when 3 then cast(x'61ff' as text) else b end as q from t")
    return [s.attempt(cursor.fetchall), s.attempt(cursor.fetchone)]


@case
def row_factories(s: Subject) -> Any:
    con = table(s, 5)
    con.row_factory = s.m.Row
    rows = [(tuple(row), row["a"], row.keys()) for row in con.execute("select * from t").fetchall()]
    con.row_factory = lambda cursor, row: row[0]
    return rows, con.execute("select * from t").fetchall()


@case
def every_value_is_converted_once(s: Subject) -> Any:
    found = []
    for factory in (None, s.m.Row, lambda cursor, row: row):
        for fetch in FETCHES.values():
            con = table(s, 50)
            calls: list[bytes] = []
            s.m.converters["FOO"] = lambda value, calls=calls: calls.append(value) or value
            con.row_factory = factory
            cursor = con.execute("select a from t")
            fetch(cursor)
            fetch(cursor)
            cursor.fetchall()
            found.append(calls)
    return found


@case
def converter_and_row_factory_take_turns(s: Subject) -> Any:
    # Ours converts the rows of a batch first.
    con = table(s, 2)
    s.m.converters["FOO"] = lambda value: value * 2
    con.row_factory = lambda cursor, row: (cursor.description[0][0], *row)
    return con.execute("select * from t").fetchall()


@case
def second_init_changes_what_is_detected(s: Subject) -> Any:
    con = table(s, 2)
    old = con.execute("select 1 as 'x [foo]'")
    con.__init__(":memory:")
    plain = con.execute("select 1 as 'x [foo]'")
    return old.description, plain.fetchall(), plain.description


DETECT: list[Any] = [0, 1, 2, 3, 4, 7, -1, True, 2**31, -(2**31) - 1, "a", None, 1.0]
for number, detect in enumerate(DETECT):

    def argument(s: Subject, detect: Any = detect) -> Any:
        con = s.connect(":memory:", detect_types=detect)
        s.m.register_converter("foo", len)
        con.execute("create table t(a foo)")
        con.execute("insert into t values(500)")
        return con.execute("select a, 7 as 'x [foo]' from t").fetchall()

    CASES[f"detect_types_{number}"] = argument


@case
def register_converter_names(s: Subject) -> Any:
    for name in ("lower", "MiXed", "größe", "with space", ""):
        s.m.register_converter(name, len)
    wrong: list[Any] = [1, None, b"x"]
    return sorted(s.m.converters), [s.attempt(lambda n=n: s.m.register_converter(n, len)) for n in wrong]


@pytest.mark.parametrize("name", CASES)
def test_same_as_the_stdlib(name: str, tmp_path: Path) -> None:
    expected, seen = both(CASES[name], tmp_path)
    assert seen == expected


def test_detecting_types_costs_no_more_guest_calls(crossings: Any, connect: Callable[..., wasqlite.Connection]) -> None:
    wasqlite.register_converter("foo", int)
    plain, detecting = connect(), connect(detect_types=BOTH)
    counts = []
    for con in (plain, detecting):
        con.execute("create table t(a foo, b)")
        con.executemany("insert into t values(?, ?)", [(i, i) for i in range(3000)])
        for sql in ("select * from t", "select * from t where a = 5"):
            con.execute(sql).fetchall()  # the declared types are asked for once
            counts.append(crossings.of(lambda con=con, sql=sql: con.execute(sql).fetchall()))
    assert counts[2:] == counts[:2]
