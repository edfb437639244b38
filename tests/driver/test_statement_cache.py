"""The statement cache: what is kept, what is compiled again, and what becomes of dropped statements."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

import wasqlite

if TYPE_CHECKING:
    from conftest import Crossings

Connect = Callable[..., wasqlite.Connection]


def prepares(crossings: Crossings, con: wasqlite.Connection, sql: str) -> bool:
    return crossings.of(lambda: con.execute(sql).fetchall()) > 1


@pytest.mark.usual_batches
def test_least_recently_used_goes_first(crossings: Crossings, connect: Connect) -> None:
    con = connect(cached_statements=2)
    con.execute("select 1")
    con.execute("select 2")
    con.execute("select 1")
    con.execute("select 3")  # drops "select 2"
    assert not prepares(crossings, con, "select 1")
    assert prepares(crossings, con, "select 2")


@pytest.mark.parametrize("size", [0, -1])
def test_no_cache(crossings: Crossings, connect: Connect, size: int) -> None:
    con = connect(cached_statements=size)
    con.execute("select 1")
    assert prepares(crossings, con, "select 1")


def test_statement_in_use_is_compiled_again(con: wasqlite.Connection) -> None:
    sql = "select value from json_each('[1, 2, 3, 4]')"
    first, second = con.execute(sql), con.execute(sql)
    assert first.fetchone() == second.fetchone() == (1,)
    assert first.fetchall() == second.fetchall() == [(2,), (3,), (4,)]


def test_evicted_statement_that_is_in_use_goes_on(connect: Connect) -> None:
    con = connect(cached_statements=1)
    rows = con.execute("select value from json_each('[1, 2, 3, 4]')")
    for i in range(5):
        con.execute(f"select {i}")
    gc.collect()
    assert [row[0] for row in rows] == [1, 2, 3, 4]


def test_dropped_statements_are_finalized(connect: Connect) -> None:
    con = connect(cached_statements=0)
    for i in range(100):
        con.execute(f"select {i}")
    database = con._database
    assert database is not None
    assert len(database._statements) <= 2


def test_dropped_cursor_gives_its_statement_back(crossings: Crossings, con: wasqlite.Connection) -> None:
    sql = "select value from json_each('[1, 2, 3, 4]')"
    con.execute(sql).fetchone()
    assert crossings.of(lambda: con.execute(sql)) == 2  # reset, execute: not compiled again


def test_failed_compilation_is_not_kept(con: wasqlite.Connection) -> None:
    with pytest.raises(wasqlite.OperationalError, match=r"^no such table: t$"):
        con.execute("select * from t")
    con.execute("create table t(a)")
    assert con.execute("select * from t").fetchall() == []


def test_text_subclass_is_the_same_sql(con: wasqlite.Connection) -> None:
    class Sql(str):
        __slots__ = ()

    assert con.execute(Sql("select 1")).fetchall() == con.execute("select 1").fetchall()


def test_executing_again_resets_the_former_statement(con: wasqlite.Connection) -> None:
    con.executescript("create table t(a); insert into t values(1), (2), (3), (4)")
    cursor = con.execute("select a from t")
    cursor.execute("select 1")
    con.execute("drop table t")
    cursor.execute("create table t(a)")


def test_closing_a_cursor_resets_its_statement(con: wasqlite.Connection) -> None:
    con.executescript("create table t(a); insert into t values(1), (2), (3), (4)")
    cursor = con.execute("select a from t")
    cursor.close()
    con.execute("drop table t")


def test_connections_are_freed_without_the_collector(connect: Connect) -> None:
    class Watched(wasqlite.Connection):
        freed = 0

        def __del__(self) -> None:
            Watched.freed += 1

    gc.disable()
    try:
        con = Watched(":memory:")
        con.execute("select 1").fetchall()
        con.close()
        del con
        assert Watched.freed == 1
    finally:
        gc.enable()
