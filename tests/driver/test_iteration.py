"""A loop over a cursor is the stdlib's, whatever happens in the middle of it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import pytest
from oracle import Case, Subject

import wasqlite

Same = Callable[[Case], Any]

SQL = "with recursive c(x) as (values (1) union all select x + 1 from c where x < 40) select x, 'r' || x from c"


def execute_again(s: Subject) -> Any:
    return s.cur.execute("select 'again', 1 union all select 'and', 2")


def close_the_connection(s: Subject) -> Any:
    return s.con.close()


def set_a(name: str, value: Any) -> Callable[[Subject], Any]:
    def action(s: Subject) -> None:
        setattr(s.cur if name == "row_factory" else s.con, name, value(s))

    return action


ACTIONS: dict[str, Callable[[Subject], Any]] = {
    "nothing": lambda s: None,
    "fetchone": lambda s: s.cur.fetchone(),
    "next": lambda s: next(s.cur),
    "next of another iterator": lambda s: next(iter(s.cur)),
    "fetchmany": lambda s: s.cur.fetchmany(3),
    "fetchall": lambda s: s.cur.fetchall(),
    "a loop": lambda s: [row for row, _ in zip(s.cur, range(4), strict=False)],
    "execute": execute_again,
    "execute without rows": lambda s: s.cur.execute("create table t(a)"),
    "executemany": lambda s: s.cur.executemany("insert into u values (?)", [(1,), (2,)]),
    "an error": lambda s: s.cur.execute("no statement"),
    "close": lambda s: s.cur.close(),
    "close the connection": close_the_connection,
    "commit": lambda s: s.con.commit(),
    "rollback": lambda s: s.con.rollback(),
    "Row": set_a("row_factory", lambda s: s.m.Row),
    "dicts": set_a("row_factory", lambda s: lambda cursor, row: dict(zip("ab", row, strict=True))),
    "bytes": set_a("text_factory", lambda s: bytes),
    "another cursor": lambda s: s.con.execute("select 7").fetchall(),
}


@pytest.mark.parametrize("factory", ["tuples", "Row", "lists"])
@pytest.mark.parametrize("at", [0, 1, 2, 5, 39])
@pytest.mark.parametrize("action", ACTIONS)
def test_in_the_middle(same: Same, action: str, at: int, factory: str) -> None:
    def case(s: Subject) -> Any:
        s.con.execute("create table u(x)")
        s.cur.row_factory = {"tuples": None, "Row": s.m.Row, "lists": lambda cursor, row: list(row)}[factory]
        seen: list[Any] = []

        def loop() -> None:
            for number, row in enumerate(s.cur.execute(SQL)):
                seen.append(tuple(row) if not isinstance(row, dict) else row)
                if number == at:
                    seen.append(s.attempt(lambda: ACTIONS[action](s)))
                if len(seen) > 60:
                    break

        return s.shape([s.attempt(loop), [s.shape(item) for item in seen]])

    same(case)


def test_a_loop_that_is_left_and_taken_up_again(same: Same) -> None:
    def case(s: Subject) -> Any:
        s.cur.execute(SQL)
        parts = [[row for row, _ in zip(s.cur, range(n), strict=False)] for n in (1, 2, 5, 10, 50, 3)]
        return s.shape([parts, s.cur.fetchone()])

    same(case)


def test_two_iterators_share_the_rows(same: Same) -> None:
    def case(s: Subject) -> Any:
        one, two = iter(s.cur.execute(SQL)), iter(s.cur)
        return s.shape([*zip(one, two, strict=False)])

    same(case)


def test_a_statement_that_fails_on_its_way(con: wasqlite.Connection) -> None:
    # All rows before the error: the stdlib is one step ahead and loses the last of them.
    cursor = con.execute(f"select case when x < 30 then x else abs(-9223372036854775808) end from ({SQL})")
    seen = []
    with pytest.raises(wasqlite.OperationalError, match="integer overflow"):
        for row in cursor:
            seen.append(row)
    assert seen == [(n,) for n in range(1, 30)]
    assert list(cursor) == []


def test_text_that_is_not_utf8(same: Same) -> None:
    def case(s: Subject) -> Any:
        seen = []

        def loop() -> None:
            for row in s.cur.execute(f"select x, cast(case x when 20 then x'ff' else 'a' end as text) from ({SQL})"):
                seen.append(row)

        return s.shape([s.attempt(loop), seen])

    same(case)


def test_rows_of_returning_are_counted_at_the_end(same: Same) -> None:
    def case(s: Subject) -> Any:
        s.con.execute("create table t(a)")
        counts = [(row, s.cur.rowcount) for row in s.cur.execute(f"insert into t select x from ({SQL}) returning a")]
        return s.shape([counts, s.cur.rowcount])

    same(case)


def test_a_subclass_with_its_own_next(same: Same) -> None:
    def case(s: Subject) -> Any:
        class Twice(s.m.Cursor):  # type: ignore[misc,name-defined]
            def __next__(self) -> Any:
                return ("mine", *super().__next__())

        return s.shape(list(s.con.cursor(Twice).execute(SQL)))

    same(case)


@pytest.mark.parametrize("module", [sqlite3, wasqlite])
def test_another_thread_is_refused(module: Any) -> None:
    con = module.connect(":memory:")
    rows = iter(con.execute(SQL))
    errors = []

    def run() -> None:
        try:
            next(rows)
        except module.ProgrammingError as error:
            errors.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert errors and "created in a thread" in errors[0]
    con.close()


def test_an_iterator_that_is_dropped_keeps_nothing(con: wasqlite.Connection) -> None:
    cursor = con.execute(SQL)
    rows = iter(cursor)
    assert [next(rows), next(rows)] == [(1, "r1"), (2, "r2")]
    del rows
    assert cursor.fetchone() == (3, "r3")
    assert isinstance(cursor, wasqlite.Cursor) and iter(cursor) is not cursor
