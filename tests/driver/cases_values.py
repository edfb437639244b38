"""Oracle cases: values in and out, parameters, fetching."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import enum
import types
from typing import Any

from oracle import Case, Subject

CASES: dict[str, Case] = {}


class Number(enum.IntEnum):
    SEVEN = 7


class Text(str):
    __slots__ = ()


class Real(float):
    __slots__ = ()


class Data(bytes):
    __slots__ = ()


class Missing(dict[str, int]):
    def __missing__(self, key: str) -> int:
        return 99


class NoLength:
    def __getitem__(self, index: int) -> int:
        return [5][index]


class Sequence(NoLength):
    def __len__(self) -> int:
        return 1


VALUES: list[Any] = [
    *(None, 0, 1, -1, 127, 2**31, -(2**31) - 1, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 10**30, True, False),
    *(Number.SEVEN, 0.0, -0.0, 1.5, 1e308, 5e-324, float("inf"), float("-inf"), float("nan"), Real(2.5)),
    *("", "a", "ä", "日本", "\U0001f600", "a\0b", "\0", "x" * 5000, "ä" * 5000, Text("sub"), "\ud800", "a\udcffb"),
    *(b"", b"a", b"\0", b"a\0b", bytes(range(256)), b"z" * 70000, Data(b"sub"), bytearray(b"xyz"), memoryview(b"mv")),
    *(memoryview(b"abcdef")[::2], array.array("i", [1, 2]), object(), [], {}, {1}, (1,), int, decimal.Decimal(1)),
    *(datetime.timedelta(1), 1j, range(3), Exception("x"), collections.deque([1])),
]
for number, value in enumerate(VALUES):
    CASES[f"value_{number}_{type(value).__name__}"] = lambda s, v=value: s.cur.execute(
        "select ?, typeof(?), length(?)", (v, v, v)
    ).fetchall()
    CASES[f"value_many_{number}_{type(value).__name__}"] = lambda s, v=value: (
        s.cur.execute("create table t(a, b)"),
        s.attempt(lambda: s.cur.executemany("insert into t values(?, ?)", [(1, 2), (v, "x"), (None, v)])),
        s.con.execute("select a, b, typeof(a), typeof(b) from t").fetchall(),
    )

PARAMETERS: list[tuple[str, Any]] = [
    *[("select ?", p) for p in [(), (1,), [1], (1, 2), [], {}, {"a": 1}, "a", "ab", b"a", range(1), range(2), 5, None]],
    *[("select ?", p) for p in [{1}, collections.UserDict(a=1), collections.ChainMap({"a": 1}), NoLength()]],
    *[("select ?", p) for p in [Sequence(), collections.deque([1]), types.MappingProxyType({0: 1}), object()]],
    *[("select ?, ?", p) for p in [(1,), (1, 2), (1, 2, 3), "ab", [object(), 2**70], [1, object()]]],
    *[("select :a", p) for p in [{"a": 1}, {"b": 1}, {}, {"a": 1, "b": 2}, Missing(), (), (1, 2), {":a": 1}]],
    *[("select :a, @b, $c", p) for p in [{"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2}]],
    *[("select :a, :a, :b", p) for p in [{"a": 1, "b": 2}]],
    *[("select ?2, ?1", p) for p in [(1, 2), {"1": "x", "2": "y"}, (1,)]],
    *[("select ?5", p) for p in [(1, 2, 3, 4, 5), (1,), {"5": 1}]],
    *[("select ?1", p) for p in [{"a": 1}, {"1": object()}]],
    *[("select :a", p) for p in [{"a": object()}, {"a": 2**64}, {"a": "\ud800"}]],
    *[("select 1", p) for p in [(), (1,), {}, {"a": 1}, []]],
    *[("", p) for p in [(), (1,), {"a": 1}]],
    *[("select ':a'", p) for p in [(), (1,)]],
    *[("select 1 /* :a ? */", p) for p in [()]],
]
for number, (sql, parameters) in enumerate(PARAMETERS):
    CASES[f"parameters_{number}_{sql}"] = lambda s, q=sql, p=parameters: s.cur.execute(q, p).fetchall()


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


@case
def no_parameters_at_all(s: Subject) -> Any:
    return s.cur.execute("select ?")


@case
def generator_as_parameters(s: Subject) -> Any:
    return s.cur.execute("select ?", (x for x in (1,)))


def numbers(s: Subject, count: int) -> Any:
    return s.cur.execute(
        f"with recursive n(x) as (select 1 union all select x + 1 from n where x < {count}) select x, 't' || x from n"
    )


for count in (1, 2, 3, 4, 5, 7, 63, 64, 65, 1000, 9000):
    CASES[f"fetchall_{count}"] = lambda s, n=count: numbers(s, n).fetchall()
    CASES[f"iterate_{count}"] = lambda s, n=count: list(numbers(s, n))
    CASES[f"fetchone_{count}"] = lambda s, n=count: (numbers(s, n), [s.cur.fetchone() for _ in range(n + 2)])
    CASES[f"fetchmany_{count}"] = lambda s, n=count: (numbers(s, n), [s.cur.fetchmany(3) for _ in range(n // 3 + 2)])
    CASES[f"fetch_mixture_{count}"] = lambda s, n=count: (
        numbers(s, n),
        s.cur.fetchone(),
        s.cur.fetchmany(2),
        next(s.cur, "end"),
        s.cur.fetchmany(),
        s.cur.fetchall(),
        s.cur.fetchall(),
        s.cur.fetchone(),
        s.cur.fetchmany(5),
    )


@case
def fetch_before_execute(s: Subject) -> Any:
    return s.cur.fetchone(), s.cur.fetchall(), s.cur.fetchmany(), s.cur.fetchmany(10), list(s.cur)


@case
def fetch_after_ddl(s: Subject) -> Any:
    return s.cur.execute("create table t(a)").fetchall(), s.cur.fetchone()


@case
def fetchmany_with_arraysize(s: Subject) -> Any:
    numbers(s, 10)
    s.cur.arraysize = 4
    return s.cur.fetchmany(), s.cur.fetchmany(size=2), s.cur.fetchmany(100)


for bad in (None, "a", 1.5):
    CASES[f"fetchmany_{bad!r}"] = lambda s, b=bad: numbers(s, 3).fetchmany(b)
    CASES[f"arraysize_{bad!r}"] = lambda s, b=bad: setattr(s.cur, "arraysize", b)


@case
def mixed_columns(s: Subject) -> Any:
    rows = [(1, None, "a"), (2.5, b"x", "ä"), ("t", "u", None), (None, 5, "a\0b"), (b"", "", "\0"), (7, 7.5, "end")]
    s.cur.execute("create table t(a, b, c)")
    s.cur.executemany("insert into t values(?, ?, ?)", rows)
    return s.cur.execute("select * from t").fetchall(), s.cur.execute("select c, b, a from t where a = 7").fetchall()


@case
def text_that_is_not_utf8(s: Subject) -> Any:
    s.cur.execute("select 1 as a, cast(x'61ff62' as text) as x")
    return [s.attempt(s.cur.fetchone), s.attempt(s.cur.fetchone), s.attempt(s.cur.fetchall)]


@case
def text_that_is_not_utf8_later(s: Subject) -> Any:
    s.cur.execute("select 'a' as q union all select 'b' union all select cast(x'ff' as text) union all select 'c'")
    return [s.attempt(s.cur.fetchone) for _ in range(4)]


@case
def text_that_is_not_utf8_with_bytes(s: Subject) -> Any:
    s.con.text_factory = bytes
    return s.cur.execute("select 1 as a, cast(x'61ff62' as text) as x, x'00', 'b'").fetchall()


@case
def text_factory_set_after_execute(s: Subject) -> Any:
    s.cur.execute("select 'ä', 1 union all select 'b', 2")
    s.con.text_factory = bytes
    return s.cur.fetchall()


@case
def text_factory_reset_after_bad_text(s: Subject) -> Any:
    s.cur.execute("select cast(x'ff' as text) as x union all select 'b'")
    first = s.attempt(s.cur.fetchone)
    s.con.text_factory = bytes
    return first, s.cur.fetchall()


for factory in (bytearray, len, lambda b: b.decode("latin-1").upper(), None, str):
    name = getattr(factory, "__name__", repr(factory))

    def with_factory(s: Subject, factory: Any = factory) -> Any:
        s.con.text_factory = factory
        return s.attempt(lambda: s.con.execute("select 'aä', 'b', 1, null, x'01'").fetchone())

    CASES[f"text_factory_{name}"] = with_factory


@case
def row_factories(s: Subject) -> Any:
    s.con.row_factory = lambda cursor, row: [column[0] for column in cursor.description] + list(row)
    second = s.con.cursor()
    before = s.cur.execute("select 1 as a").fetchone()
    found = [before, second.execute("select 2 as b").fetchone(), s.con.execute("select 3 as c").fetchall()]
    second.row_factory = None
    return found, second.execute("select 4 as d union all select 5").fetchall()


@case
def row_factory_that_returns_none(s: Subject) -> Any:
    s.cur.row_factory = lambda cursor, row: None
    return list(s.cur.execute("select 1 union all select 2")), s.cur.execute("select 1").fetchall()


@case
def row_factory_that_raises(s: Subject) -> Any:
    s.cur.row_factory = lambda cursor, row: 1 / 0 if row[0] == 2 else row
    s.cur.execute("select 1 union all select 2 union all select 3")
    return [s.attempt(s.cur.fetchone) for _ in range(4)]


@case
def empty_blob_and_text(s: Subject) -> Any:
    return s.cur.execute("select x'', '', zeroblob(3)").fetchall()


@case
def values_that_are_converted_when_read(s: Subject) -> Any:
    # Blobs of zeros that are not written out, text in the other encoding, integers that a REAL column keeps as such.
    s.con.execute("pragma encoding = 'UTF-16'")
    s.con.execute("create table t(a real, b, c)")
    returned = s.con.execute(
        "insert into t values(5, 'ä', zeroblob(4)), (-7, 'b' || char(0) || '日本', x'00ff') returning *"
    )
    return (
        returned.fetchall(),
        s.con.execute("select *, zeroblob(2), a + 1, b || 'c', length(b), typeof(a) from t").fetchall(),
        s.con.execute("select cast(b as blob), cast(a as text), 1 || '' from t order by b desc").fetchall(),
    )


@case
def many_columns(s: Subject) -> Any:
    return s.cur.execute("select " + ",".join(str(i) for i in range(1500))).fetchone()


@case
def duplicate_names(s: Subject) -> Any:
    return s.cur.execute("select 1 as a, 2 as a, 3 as 'ä[x]', 4").fetchone()
