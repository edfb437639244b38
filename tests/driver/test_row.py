"""``Row``, and row factories in general, beside the standard library's."""

from __future__ import annotations

import collections.abc
import copy
import pickle
import sqlite3
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from oracle import Case, Subject, both

import wasqlite

CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


def row_of(s: Subject, values: Any = (1, 2)) -> Any:
    return s.m.Row(s.cur.execute("select 1 as a, 2 as B"), values)


def count(s: Subject, to: int) -> Any:
    return s.cur.execute(
        f"with n(x) as (select 1 union all select x + 1 from n where x < {to}) select x, -x as y from n"
    )


KEYS: list[Any] = [
    0,
    1,
    2,
    -1,
    -2,
    -3,
    True,
    2**1000,
    -(2**70),
    1.0,
    None,
    b"a",
    "a",
    "A",
    "b",
    "B",
    "c",
    "",
    "ä",
    (0,),
]
for number, key in enumerate([*KEYS, slice(0, 1), slice(None, None, -1), slice(5, 9), slice("a", "b")]):
    CASES[f"item_{number}"] = lambda s, k=key: row_of(s)[k]

NAMES = [
    "Ä",
    "ä",
    "k",
    "K",
    "\N{KELVIN SIGN}",
    "I",
    "\N{LATIN SMALL LETTER DOTLESS I}",
    "İ",
    "i",
    "x",
    "X",
    "[",
    "{",
    "@",
    "`",
]
for number, name in enumerate(NAMES):

    def names(s: Subject, name: str = name) -> Any:
        s.cur.row_factory = s.m.Row
        row = s.cur.execute(f'select 1 as "{name}"').fetchone()
        return [s.attempt(lambda k=k: row[k]) for k in NAMES]

    CASES[f"names_{number}"] = names


@case
def first_of_equal_names_counts(s: Subject) -> Any:
    s.cur.row_factory = s.m.Row
    row = s.cur.execute("select 1 as a, 2 as A, 3 as b, 4 as B, 5 as B").fetchone()
    return [row[k] for k in ("a", "A", "b", "B", "a", "B")], row.keys(), dict(row)


@case
def names_that_are_no_plain_strings(s: Subject) -> Any:
    kind = type("kind", (str,), {})
    return row_of(s)[kind("A")], s.attempt(lambda: row_of(s)[kind("c")])


ARGUMENTS: list[Callable[[Subject], Any]] = [
    lambda s: s.m.Row(),
    lambda s: s.m.Row(s.cur),
    lambda s: s.m.Row(s.cur, (), 1),
    lambda s: s.m.Row(1, ()),
    lambda s: s.m.Row(None, ()),
    lambda s: s.m.Row(s.con, ()),
    lambda s: s.m.Row(s.cur, []),
    lambda s: s.m.Row(s.cur, None),
    lambda s: s.m.Row(s.cur, data=()),
    lambda s: s.m.Row(s.m.Cursor, ()),
    lambda s: s.m.Row(type("MyCursor", (s.m.Cursor,), {})(s.con), (1,))[0],
    lambda s: s.m.Row(s.cur, type("MyTuple", (tuple,), {})((1, 2)))[1],
]
for number, make in enumerate(ARGUMENTS):
    CASES[f"constructor_{number}"] = make


@case
def subclasses(s: Subject) -> Any:
    class Own(s.m.Row):
        def __init__(self, *args: Any, **keywords: Any) -> None:
            self.keywords = keywords

    class Bare(s.m.Row):
        pass

    class Extended(s.m.Row):
        __slots__ = ()

        def __getitem__(self, key: Any) -> Any:
            return "own", super().__getitem__(key)

    cursor = s.cur.execute("select 1 as a")
    found = [Own(cursor, (1,), x=1).keywords, Bare(cursor, (1,))["A"], s.attempt(lambda: Bare(cursor, (1,), x=1))]
    bare = Bare(cursor, (5,))
    bare.note = "free"
    s.cur.row_factory = Extended
    rows = s.cur.execute("select 3 as a union all select 4 union all select 5").fetchall()
    equal = bare == s.m.Row(cursor, (5,)), hash(bare) == hash(s.m.Row(cursor, (5,)))
    return found, bare.note, [row["a"] for row in rows], [tuple(row) for row in rows], type(rows[0]) is Extended, equal


@case
def a_row_like_a_sequence(s: Subject) -> Any:
    row = row_of(s)
    return [
        *(len(row), list(row), tuple(row), row.keys(), dict(row), {**row}, [*row], list(reversed(row)), bool(row)),
        *(1 in row, 3 in row, "a" in row, isinstance(row, tuple), isinstance(row, collections.abc.Sequence)),
        *(issubclass(s.m.Row, collections.abc.Sequence), type(iter(row)).__name__, bool(row_of(s, ())), callable(row)),
    ]


@case
def comparison(s: Subject) -> Any:
    row, same, other = row_of(s), row_of(s), row_of(s, (1, 3))
    renamed = s.m.Row(s.cur.execute("select 1 as a, 2 as C"), (1, 2))
    found = [row == same, row != same, row == other, row != other, row == renamed, row != renamed, row == (1, 2)]
    found += [row != (1, 2), row == None, hash(row) == hash(same), hash(row) == hash(other)]  # noqa: E711
    found += [hash(row) == hash(renamed), len({row, same, other, renamed}), row.__eq__(5), row.__ne__(5)]
    return found, hash(row) == hash(s.con.execute("select 1 as a, 2 as B").description) ^ hash((1, 2))


REFUSED: list[Callable[[Any], Any]] = [
    *(lambda row: row < row, lambda row: row + row, lambda row: row * 2, lambda row: row.count(1)),
    *(lambda row: copy.copy(row), lambda row: copy.deepcopy(row), lambda row: pickle.dumps(row)),
    *(lambda row: weakref.ref(row), lambda row: row.x),
]
for number, refused in enumerate(REFUSED):
    CASES[f"refused_{number}"] = lambda s, f=refused: f(row_of(s))


@case
def errors_of_access_that_python_words_its_own_way(s: Subject) -> Any:
    row = row_of(s)

    def kind(action: Callable[[], Any]) -> Any:
        try:
            return action()
        except Exception as error:
            return type(error).__name__

    actions: list[Callable[[], Any]] = [
        lambda: setattr(row, "x", 1),
        lambda: delattr(row, "keys"),
        lambda: row.__setitem__(0, 1),
        lambda: row.__delitem__(0),
    ]
    return [kind(action) for action in actions]


@case
def more_and_fewer_values_than_names(s: Subject) -> Any:
    few, many = row_of(s, ()), row_of(s, (1, 2, 3))
    return s.attempt(lambda: few["a"]), few.keys(), many[2], many.keys(), len(many)


@case
def the_row_outlives_the_cursor_and_keeps_its_names(s: Subject) -> Any:
    s.cur.row_factory = s.m.Row
    row = s.cur.execute("select 1 as a").fetchone()
    s.cur.execute("select 2 as b")
    s.cur.close()
    return row["a"], row.keys(), s.attempt(lambda: row["b"])


@case
def rows_of_a_table_that_changes(s: Subject) -> Any:
    s.con.row_factory = s.m.Row
    s.con.execute("create table t(a)")
    s.con.execute("insert into t values(1)")
    before = s.con.execute("select * from t").fetchall()
    s.con.execute("alter table t add column b default 7")
    return [dict(r) for r in before], [dict(r) for r in s.con.execute("select * from t").fetchall()]


def own(cursor: Any, row: Any) -> Any:
    return [len(cursor.description), row]


FACTORIES: dict[str, Callable[[Subject], Any]] = {
    "none": lambda s: None,
    "row": lambda s: s.m.Row,
    "own": lambda s: own,
    "subclass": lambda s: type("Sub", (s.m.Row,), {}),
    "builtin": lambda s: max,
    "not_callable": lambda s: 5,
    "wrong_arguments": lambda s: lambda row: row,
}


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value if not hasattr(value, "keys") else (type(value).__name__, value.keys(), tuple(value))


for name, factory in FACTORIES.items():
    if name == "builtin":
        continue
    for size in (0, 1, 2, 3, 7, 500):

        def fetch(s: Subject, factory: Any = factory, size: int = size) -> Any:
            found = []
            s.con.row_factory = factory(s)
            fetches: list[Callable[[Any], Any]] = [
                *(lambda c: c.fetchall(), lambda c: c.fetchone(), lambda c: c.fetchmany(), lambda c: c.fetchmany(3)),
                *(lambda c: c.fetchmany(1000), lambda c: list(c)),
            ]
            for first in fetches:
                for then in fetches:
                    cursor = s.con.execute(
                        "with n(x) as (select 1 union all select x + 1 from n where x < ?) "
                        "select x, 't' || x as Text from n where x <= ?",
                        (size, size),
                    )
                    found += [s.attempt(lambda f=f, c=cursor: plain(f(c))) for f in (first, then, then, then)]
            return found

        CASES[f"factory_{name}_{size}_rows"] = fetch


def raising_at(position: int) -> Callable[[Any, Any], Any]:
    def factory(cursor: Any, row: Any) -> Any:
        if row[0] == position:
            raise ValueError(position)
        return row

    return factory


for position in (1, 2, 3, 4, 6, 7):
    for take in ("fetchall", "fetchmany"):

        def raising(s: Subject, position: int = position, take: str = take) -> Any:
            s.cur.row_factory = raising_at(position)
            count(s, 7)
            fetch = s.cur.fetchall if take == "fetchall" else lambda: s.cur.fetchmany(3)
            return [s.attempt(f) for f in (fetch, s.cur.fetchone, fetch, fetch)]

        CASES[f"factory_raises_at_{position}_in_{take}"] = raising

MEDDLING: dict[str, Callable[[Subject, Any], Any]] = {
    "fetchone": lambda s, cursor: cursor.fetchone(),
    "fetchmany": lambda s, cursor: cursor.fetchmany(2),
    "fetchall": lambda s, cursor: cursor.fetchall(),
    "iterate": lambda s, cursor: next(cursor, None),
    "execute": lambda s, cursor: cursor.execute("select 7, 8 union all select 9, 10"),
    "executescript": lambda s, cursor: cursor.executescript("select 1"),
    "close_cursor": lambda s, cursor: cursor.close(),
    "close_connection": lambda s, cursor: s.con.close(),
    "no_factory": lambda s, cursor: setattr(cursor, "row_factory", None),
    "row": lambda s, cursor: setattr(cursor, "row_factory", s.m.Row),
    "description": lambda s, cursor: s.cur.description,
    "raise": lambda s, cursor: 1 / 0,
}
for name, meddle in MEDDLING.items():
    for at in (1, 2, 5, 8):
        for take in ("fetchall", "fetchmany"):

            def meddling(s: Subject, name: str = name, meddle: Any = meddle, at: int = at, take: str = take) -> Any:
                seen = []

                def factory(cursor: Any, row: Any) -> Any:
                    seen.append((row, cursor.rowcount))
                    if row[0] == at and len(seen) < 12:
                        return row, s.attempt(lambda: plain(meddle(s, cursor)))
                    return row

                s.cur.row_factory = factory
                count(s, 9)
                fetch = s.cur.fetchall if take == "fetchall" else lambda: s.cur.fetchmany(6)
                found = [s.attempt(lambda f=f: plain(f())) for f in (fetch, fetch, s.cur.fetchone)]
                # Ours notices a closed connection after it has called the factory for the rows that it has.
                return found, seen if "close" not in name else seen[:at]

            CASES[f"factory_meddles_{name}_at_{at}_in_{take}"] = meddling


@case
def factory_that_always_takes_the_next_row_too(s: Subject) -> Any:
    s.cur.row_factory = lambda cursor, row: (row, tuple.__getitem__(cursor.fetchone() or ((0, 0),), 0)[0])
    return count(s, 300).fetchall()


@case
def factory_sees_the_row_count_of_returning(s: Subject) -> Any:
    seen = []
    s.cur.execute("create table t(a)")
    s.cur.row_factory = lambda cursor, row: seen.append(cursor.rowcount) or row
    return s.cur.execute("insert into t values(1), (2), (3), (4) returning a").fetchall(), seen


@case
def factory_given_to_the_connection_later(s: Subject) -> Any:
    s.con.row_factory = s.m.Row
    old = s.cur.execute("select 1 as a").fetchone()
    new = s.con.execute("select 1 as a").fetchone()
    return old, new.keys(), s.con.cursor().row_factory is s.m.Row, s.cur.row_factory


@pytest.mark.parametrize("name", CASES)
def test_same_as_the_stdlib(name: str, tmp_path: Path) -> None:
    expected, seen = both(CASES[name], tmp_path)
    assert seen == expected


def test_stdlib_row_is_refused_with_advice(con: wasqlite.Connection) -> None:
    con.row_factory = sqlite3.Row
    cursor = con.execute("select 1 as a union all select 2 union all select 3")
    for fetch in (cursor.fetchone, cursor.fetchall, lambda: con.execute("select 1, 2").fetchall()):
        with pytest.raises(TypeError, match=r"use wasqlite\.Row"):
            fetch()


def test_stdlib_cursor_is_refused_with_advice() -> None:
    connection = sqlite3.connect(":memory:")
    try:
        connection.row_factory = wasqlite.Row
        with pytest.raises(TypeError, match="rows of wasqlite only"):
            connection.execute("select 1").fetchone()
    finally:
        connection.close()


def test_type_errors_of_a_factory_stay_as_they_are(con: wasqlite.Connection) -> None:
    def factory(cursor: wasqlite.Cursor, row: tuple[Any, ...]) -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise TypeError("second")  # noqa: B904

    con.row_factory = factory
    for fetch in (
        lambda: con.execute("select 1").fetchone(),
        lambda: con.execute("select 1 union select 2").fetchall(),
    ):
        with pytest.raises(TypeError, match="second") as caught:
            fetch()
        assert isinstance(caught.value.__context__, KeyError)
        assert not caught.value.__suppress_context__


def test_keys_without_a_result(con: wasqlite.Connection) -> None:
    # The stdlib's interpreters end with a SystemError here.
    row = wasqlite.Row(con.cursor(), (1, 2))
    assert row.keys() == []
    assert row[1] == 2
    with pytest.raises(IndexError, match="No item with that key"):
        row["a"]


def test_rows_cost_no_guest_calls_of_their_own(crossings: Any, connect: Callable[..., wasqlite.Connection]) -> None:
    con = connect()
    sql = "with n(x) as (select 1 union all select x + 1 from n where x < 5000) select x from n"
    plain_calls = crossings.of(lambda: con.execute(sql).fetchall())
    con.row_factory = wasqlite.Row
    assert crossings.of(lambda: con.execute(sql).fetchall()) <= plain_calls
