"""Random values and random interleavings give the same with the stdlib's module and with ours.

Not named test_*: ``test_oracle_properties.py`` runs it in a process whose stdlib is on the same SQLite.
"""

from __future__ import annotations

import math
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from oracle import Subject, both

import wasqlite

COLUMNS = ["i integer", "r real", "n numeric", "c text", "b blob", "x", "d decimal(10,5)", "f boolean"]


class Int(int):
    """A subclass: bound as its base class is."""


class Float(float):
    """A subclass: bound as its base class is."""


class Str(str):
    """A subclass: bound as its base class is."""


class Bytes(bytes):
    """A subclass: bound as its base class is."""


EDGES = [0, 1, -1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 2**64, 10**30]
integers = st.sampled_from(EDGES) | st.integers(-(2**63), 2**63 - 1) | st.booleans()
floats = st.floats() | st.sampled_from([math.inf, -math.inf, math.nan, -0.0, 5e-324, 1.7976931348623157e308, 2.0**63])
numerals = st.sampled_from(["", "0", "-0", " 12 ", "1e3", "0x10", "9223372036854775808", "1.0", "nan", "\0", "a\0b"])
texts = st.text(max_size=20) | numerals | st.text(st.characters(min_codepoint=0x10000), max_size=5)
surrogates = st.text(st.characters(categories=["Cs", "Ll"]), min_size=1, max_size=3)
blobs = st.binary(max_size=20)
plain = st.none() | integers | floats | texts | blobs
odd = (
    surrogates
    | blobs.map(bytearray)
    | blobs.map(memoryview)
    | st.builds(lambda data: memoryview(data)[::2], blobs)
    | st.integers(-(2**63), 2**63 - 1).map(Int)
    | st.floats().map(Float)
    | texts.map(Str)
    | blobs.map(Bytes)
    | st.sampled_from([1j, object, (), [1]])
)
values = plain | plain | odd
rows = st.lists(st.tuples(*[values] * 3), max_size=6)
steady = settings(
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    max_examples=60,
    suppress_health_check=list(HealthCheck),
)


def agree(case: Any) -> None:
    """The case gives the same with both modules."""
    with tempfile.TemporaryDirectory() as folder:
        expected, seen = both(case, Path(folder))
    assert seen == expected


def test_the_same_sqlite_is_below_both() -> None:
    assert sqlite3.sqlite_version == wasqlite.sqlite_version


@steady
@given(st.lists(values, max_size=5))
def test_values_come_back(given_values: list[Any]) -> None:
    def case(s: Subject) -> Any:
        sql = "select " + ", ".join(["?, typeof(?1)"] + ["?"] * (len(given_values) - 1))
        first = s.attempt(lambda: s.cur.execute(sql, given_values).fetchall())
        return first, s.state(), s.attempt(lambda: s.cur.execute(sql, tuple(given_values)).fetchone())

    agree(case)


@steady
@given(rows, st.sampled_from(COLUMNS), st.sampled_from(COLUMNS), st.integers(1, 4))
def test_rows_through_columns_of_every_affinity(given_rows: list[Any], first: str, second: str, size: int) -> None:
    def case(s: Subject) -> Any:
        s.cur.execute(f"create table t(a{first}, b{second}, x)")
        seen = [s.attempt(lambda: s.cur.executemany("insert into t values (?, ?, ?)", given_rows)), s.state()]
        for row in given_rows:
            seen += [s.attempt(lambda row=row: s.cur.execute("insert into t values (?, ?, ?)", row)), s.state()]
        query = "select *, typeof(x) from t"
        seen.append(s.attempt(lambda: s.cur.execute(query).fetchmany(size)))
        seen.append(s.attempt(lambda: s.cur.fetchone()))
        seen += [s.attempt(lambda: list(s.cur)), s.attempt(lambda: s.cur.execute(query).fetchall()), s.state()]
        return seen

    agree(case)


WRITES = [
    "insert into t(x) values (1)",
    "insert into t(id, x) values (2, 'two')",
    "update t set x = 'y' where id < 3",
    "delete from t where id = 2",
    "replace into t(id, x) values (1, null)",
    "insert into nowhere values (1)",
    "begin",
    "begin immediate",
    "commit",
    "rollback",
    "savepoint s",
    "rollback to s",
    "release s",
    "pragma user_version = 7",
    "create table u(x)",
    "drop table u",
]
who = st.tuples(st.integers(0, 1), st.integers(0, 1))
write = st.tuples(st.just("execute"), who, st.sampled_from(WRITES))
many = st.tuples(st.just("executemany"), who, st.just("insert into t(x) values (?)"))
script = st.tuples(st.just("executescript"), who, st.sampled_from(["", "insert into t(x) values (5)", "select 1; x"]))
query = st.tuples(
    st.just("fetch"),
    who,
    st.sampled_from(["select * from t", "pragma user_version", "insert into t(x) values(3) returning id"]),
)
bare = st.sampled_from(["commit", "rollback", "fetchone", "fetchmany", "close cursor", "close"])
other = st.tuples(bare, who, st.just(""))
actions = st.lists(write | write | many | script | query | query | other, min_size=1, max_size=14)
LEVELS = st.sampled_from(["", None, "IMMEDIATE"])


def play(s: Subject, given_actions: list[Any], connections: list[Any]) -> list[Any]:
    """Do the actions; after each the outcome and the state of everything."""
    cursors = {(i, j): connections[i].cursor() for i in (0, 1) for j in (0, 1)}
    seen = []
    for what, (i, j), sql in given_actions:
        con, cur = connections[i], cursors[i, j]
        do = {
            "execute": lambda cur=cur, sql=sql: cur.execute(sql),
            "executemany": lambda cur=cur, sql=sql: cur.executemany(sql, [(1,), ("a",), (None,)]),
            "executescript": lambda cur=cur, sql=sql: cur.executescript(sql),
            "fetch": lambda cur=cur, sql=sql: cur.execute(sql).fetchall(),
            "fetchone": cur.fetchone,
            "fetchmany": lambda cur=cur: cur.fetchmany(2),
            "commit": con.commit,
            "rollback": con.rollback,
            "close cursor": cur.close,
            "close": con.close,
        }[what]
        seen.append((what, sql, s.attempt(do)))
        for found in cursors.values():
            seen.append(
                [s.attempt(lambda f=found, n=n: getattr(f, n)) for n in ("description", "rowcount", "lastrowid")]
            )
        for found in connections:
            seen.append([s.attempt(lambda f=found, n=n: getattr(f, n)) for n in ("total_changes", "in_transaction")])
    return seen


@steady
@given(actions, LEVELS)
def test_interleaved_cursors(given_actions: list[Any], level: str | None) -> None:
    def case(s: Subject) -> Any:
        con = s.connect(":memory:", isolation_level=level)
        con.executescript("create table t(id integer primary key, x)")
        return play(s, given_actions, [con, con])

    agree(case)


@steady
@given(actions, LEVELS, LEVELS, st.sampled_from(["delete", "wal"]))
def test_interleaved_connections(given_actions: list[Any], one: str | None, two: str | None, mode: str) -> None:
    def case(s: Subject) -> Any:
        file = s.folder / "x.db"
        connections = [s.connect(file, timeout=0, isolation_level=level) for level in (one, two)]
        connections[0].executescript(f"pragma journal_mode={mode}; create table t(id integer primary key, x)")
        return play(s, given_actions, connections)

    agree(case)
