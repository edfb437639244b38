"""Adapters, ``adapt`` and what is bound, beside the standard library's."""

from __future__ import annotations

import array
import datetime
import enum
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from oracle import Case, Subject, both

import wasqlite
from wasqlite.adapting import registered

CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """What a test registers is gone after it."""
    import sqlite3

    kept = [(module.adapters, dict(module.adapters)) for module in (sqlite3, wasqlite)]
    yield
    for live, before in kept:
        live.clear()
        live.update(before)
    registered.base = registered.every = False


class Point:
    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y

    def __repr__(self) -> str:
        return f"Point({self.x}, {self.y})"


class Conforming(Point):
    def __conform__(self, protocol: Any) -> Any:
        return f"{self.x};{self.y}" if protocol.__name__ == "PrepareProtocol" else None


class ConformsToNone(Point):
    def __conform__(self, protocol: Any) -> Any:
        return None


class RaisesTypeError(Point):
    def __conform__(self, protocol: Any) -> Any:
        raise TypeError("not me")


class RaisesValueError(Point):
    def __conform__(self, protocol: Any) -> Any:
        raise ValueError(self.x)


class Interrupts(Point):
    def __conform__(self, protocol: Any) -> Any:
        raise KeyboardInterrupt


class AnswersAll:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


class ConformingInt(int):
    def __conform__(self, protocol: Any) -> Any:
        return "conformed"


class ConformingBytes(bytes):
    def __conform__(self, protocol: Any) -> Any:
        return len(self)


class Color(enum.IntEnum):
    RED = 7


class Protocol:
    @staticmethod
    def __adapt__(value: Any) -> Any:
        return ("adapted", value)


class ProtocolWithoutAnswer:
    @staticmethod
    def __adapt__(value: Any) -> Any:
        return None


class ProtocolThatRefuses:
    @staticmethod
    def __adapt__(value: Any) -> Any:
        raise TypeError(value)


class ProtocolThatFails:
    @staticmethod
    def __adapt__(value: Any) -> Any:
        raise LookupError(value)


OBJECTS: list[Any] = [
    *(1, 1.5, "a", b"b", None, True, Point(1, 2), Conforming(1, 2), ConformsToNone(1, 2), RaisesTypeError(1, 2)),
    *(RaisesValueError(1, 2), Interrupts(1, 2), AnswersAll(), Conforming, ConformingInt(5), ConformingBytes(b"abc")),
    *(Color.RED, bytearray(b"x"), memoryview(b"y"), array.array("b", b"z"), [], datetime.date(2024, 2, 29)),
    *(datetime.datetime(2024, 2, 29, 1, 2, 3, 4), datetime.time(1, 2), datetime.timedelta(1)),
    *(datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=datetime.UTC),),
]


def interrupted(s: Subject, action: Callable[[], Any]) -> Any:
    try:
        return s.attempt(action)
    except KeyboardInterrupt:
        return "interrupted"


for number, value in enumerate(OBJECTS):

    def bound(s: Subject, value: Any = value) -> Any:
        sets: list[Any] = [(value,), [value], (1, value), {"a": value}]
        texts = ["select ?", "select ?", "select ?, ?", "select :a"]
        return [
            interrupted(s, lambda t=t, p=p: s.cur.execute(t, p).fetchall()) for t, p in zip(texts, sets, strict=True)
        ]

    def bound_in_bulk(s: Subject, value: Any = value) -> Any:
        s.cur.execute("create table t(a, b)")
        rows: list[Any] = [(1, 2), ("x", value), (value, 5), (3, 4)]
        found = interrupted(s, lambda: s.cur.executemany("insert into t values(?, ?)", rows))
        many = [(number, value) for number in range(100)]
        more = interrupted(s, lambda: s.cur.executemany("insert into t values(?, ?)", iter(many)))
        return found, more, s.con.execute("select a, b, typeof(a), typeof(b) from t").fetchall()

    def adapted(s: Subject, value: Any = value) -> Any:
        protocols = [s.m.PrepareProtocol, Protocol, ProtocolWithoutAnswer, ProtocolThatRefuses, ProtocolThatFails, 5]
        found = [interrupted(s, lambda: s.m.adapt(value))]
        found += [interrupted(s, lambda p=p: s.m.adapt(value, p)) for p in protocols]
        return found + [interrupted(s, lambda p=p: s.m.adapt(value, p, None)) for p in protocols]

    name = f"{number}_{type(value).__name__}"
    CASES[f"bound_{name}"] = bound
    CASES[f"bound_in_bulk_{name}"] = bound_in_bulk
    CASES[f"adapted_{name}"] = adapted

WRONG: list[Callable[[Subject], Any]] = [
    lambda s: s.m.adapt(),
    lambda s: s.m.register_adapter([], len),
    lambda s: s.m.register_adapter("no type", len),
    lambda s: s.m.adapt(1, []),
]
for number, wrong in enumerate(WRONG):

    def mistaken(s: Subject, wrong: Any = wrong) -> Any:
        try:
            return wrong(s)
        except TypeError:
            return "TypeError"

    CASES[f"wrong_{number}"] = mistaken

# For each type: what the adapter makes of the value.
REGISTERED: dict[str, tuple[Any, Any, Callable[[Any], Any]]] = {
    "int": (int, 5, lambda value: f"int {value}"),
    "float": (float, 2.5, lambda value: f"float {value}"),
    "str": (str, "text", lambda value: len(value)),
    "bytes": (bytes, b"data", lambda value: value.decode()),
    "none": (type(None), None, lambda value: "nothing"),
    "bytearray": (bytearray, bytearray(b"data"), lambda value: 1),
    "memoryview": (memoryview, memoryview(b"data"), lambda value: 1),
    "bool": (bool, True, lambda value: "yes"),
    "date": (datetime.date, datetime.date(2024, 2, 29), lambda value: value.toordinal()),
    "datetime": (datetime.datetime, datetime.datetime(2024, 2, 29), lambda value: 5),
    "point": (Point, Point(1, 2), lambda value: f"{value.x};{value.y}"),
    "conforming": (Conforming, Conforming(1, 2), lambda value: "the adapter has precedence"),
    "to_none": (Point, Point(1, 2), lambda value: None),
    "to_the_unsupported": (Point, Point(1, 2), lambda value: [value]),
    "to_another_subclass": (Point, Point(1, 2), lambda value: Color.RED),
    "to_what_has_an_adapter": (Point, Point(1, 2), lambda value: datetime.date(2024, 2, 29)),
    "raising": (Point, Point(1, 2), lambda value: 1 / 0),
    "type_error": (Point, Point(1, 2), lambda value: len(value)),
    "not_callable": (Point, Point(1, 2), "text"),  # type: ignore[dict-item]
    "none_for_adapter": (Point, Point(1, 2), None),  # type: ignore[dict-item]
    "too_large": (Point, Point(1, 2), lambda value: 2**64),
}
for name, (type_, value, adapter) in REGISTERED.items():

    def with_adapter(s: Subject, type_: Any = type_, value: Any = value, adapter: Any = adapter) -> Any:
        s.m.register_adapter(type_, adapter)
        other = [None, 1, 2.0, "s", b"b", bytearray(b"ba"), True, value]
        s.cur.execute("create table t(a, b)")
        found = [s.attempt(lambda v=v: s.cur.execute("select ?, ?", (v, value)).fetchall()) for v in other]
        found.append(s.attempt(lambda: s.cur.execute("select :v", {"v": value}).fetchall()))
        found.append(s.attempt(lambda: s.cur.execute("select ?", [value]).fetchall()))
        rows = [(v, value) for v in other] + [(value, 1), (2**70, value), (3, 3)]
        found.append(s.attempt(lambda: s.cur.executemany("insert into t values(?, ?)", rows)))
        return found, s.con.execute("select a, b, typeof(a), typeof(b) from t").fetchall()

    CASES[f"registered_{name}"] = with_adapter


@case
def subclasses_do_not_inherit_adapters(s: Subject) -> Any:
    s.m.register_adapter(Point, lambda value: "point")
    return s.attempt(lambda: s.cur.execute("select ?", (ConformsToNone(1, 2),)).fetchall())


@case
def adapters_is_a_live_dict(s: Subject) -> Any:
    key = (Point, s.m.PrepareProtocol)
    s.m.adapters[key] = lambda value: value.x
    found = [s.cur.execute("select ?", (Point(3, 4),)).fetchall(), s.m.adapt(Point(3, 4))]
    del s.m.adapters[key]
    found.append(s.attempt(lambda: s.cur.execute("select ?", (Point(3, 4),)).fetchall()))
    s.m.adapters[Point, Protocol] = lambda value: value.y
    return found, s.m.adapt(Point(3, 4), Protocol), type(s.m.adapters).__name__


@case
def default_adapters_can_be_taken_away(s: Subject) -> Any:
    s.m.adapters.clear()
    s.cur.execute("create table t(a)")
    day = datetime.date(2024, 2, 29)
    return [
        s.attempt(lambda: s.cur.execute("select ?", (day,)).fetchall()),
        s.attempt(lambda: s.cur.executemany("insert into t values(?)", [(1,), (day,)])),
        s.con.execute("select * from t").fetchall(),
    ]


@case
def adapters_are_called_once_and_in_order(s: Subject) -> Any:
    seen: list[Any] = []

    def adapter(value: Point) -> Any:
        seen.append((value.x, value.y))
        if value.x == 7:
            raise RuntimeError("seven")
        return value.x

    s.m.register_adapter(Point, adapter)
    s.cur.execute("create table t(a, b)")
    s.cur.execute("select ?, ?, ?", (Point(1, 1), 5, Point(2, 2)))
    rows = [(Point(n, 1), Point(n, 2)) for n in range(10)]
    failed = s.attempt(lambda: s.cur.executemany("insert into t values(?, ?)", rows))
    return failed, seen, s.con.execute("select * from t").fetchall()


@case
def errors_come_in_the_order_of_the_parameters(s: Subject) -> Any:
    s.m.register_adapter(Point, lambda value: 1 / 0)
    sets: list[Any] = [
        *((2**70, Point(1, 2)), (Point(1, 2), 2**70), (object(), Point(1, 2)), (Point(1, 2), object())),
        *((object(), 2**70), ("\ud800", object()), (object(), "\ud800"), (1, [])),
    ]
    found = [s.attempt(lambda p=p: s.cur.execute("select ?, ?", p)) for p in sets]
    by_name: list[Any] = [{"a": object()}, {"a": 2**70}, {"b": 1}, {"a": Point(1, 2)}, {"a": 1, "b": object()}]
    found += [s.attempt(lambda p=p: s.cur.execute("select :a, :b", p)) for p in by_name]
    s.cur.execute("create table t(a, b)")
    found += [s.attempt(lambda p=p: s.cur.executemany("insert into t values(:a, :b)", [p])) for p in by_name]
    return found


@case
def adapter_that_empties_the_parameters(s: Subject) -> Any:
    parameters: list[Any] = [Point(1, 2), 2, 3]

    def adapter(value: Point) -> Any:
        parameters.clear()
        return "gone"

    s.m.register_adapter(Point, adapter)
    return s.attempt(lambda: s.cur.execute("select ?, ?, ?", parameters))


@case
def adapter_that_uses_the_connection(s: Subject) -> Any:
    s.m.register_adapter(Point, lambda value: s.con.execute("select 5").fetchone()[0])
    return s.cur.execute("select ?", (Point(1, 2),)).fetchall()


@pytest.mark.parametrize("name", CASES)
def test_same_as_the_stdlib(name: str, tmp_path: Path) -> None:
    expected, seen = both(CASES[name], tmp_path)
    assert seen == expected


def test_an_adapter_cannot_use_the_cursor(con: wasqlite.Connection) -> None:
    # In the stdlib of Python 3.12 it can, and that ends the process.
    cursor = con.cursor()
    wasqlite.register_adapter(Point, lambda value: cursor.execute("select 1"))
    with pytest.raises(wasqlite.ProgrammingError, match="Recursive use of cursors"):
        cursor.execute("select ?", (Point(1, 2),))
    assert cursor.execute("select ?", (5,)).fetchall() == [(5,)]


def test_prepare_protocol_is_as_closed_as_the_stdlibs() -> None:
    with pytest.raises(TypeError, match="immutable type"):
        wasqlite.PrepareProtocol.__adapt__ = len  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        wasqlite.PrepareProtocol().x = 1  # type: ignore[attr-defined]


def test_dates_in_bulk_cost_one_guest_call_a_chunk(crossings: Any, connect: Callable[..., Any]) -> None:
    con = connect()
    con.execute("create table t(a, b)")
    wasqlite.register_adapter(datetime.date, datetime.date.isoformat)
    day = datetime.date(2024, 2, 29)
    numbers = crossings.of(lambda: con.executemany("insert into t values(?, ?)", [(1, 2)] * 2000))
    con.rollback()
    assert crossings.of(lambda: con.executemany("insert into t values(?, ?)", [(1, day)] * 2000)) <= numbers + 2
