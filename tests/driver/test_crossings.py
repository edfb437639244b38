"""How often the guest is entered: once per operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import wasqlite

if TYPE_CHECKING:
    from conftest import Crossings


pytestmark = pytest.mark.usual_batches


@pytest.fixture
def con(crossings: Crossings, con: wasqlite.Connection) -> wasqlite.Connection:
    con.executescript(
        "create table t(id integer primary key, v);"
        "insert into t select value, 'v' || value from json_each('[1,2,3,4,5,6,7,8,9,10]')"
    )
    return con


def test_cached_lookup_is_one_call(crossings: Crossings, con: wasqlite.Connection) -> None:
    con.execute("select v from t where id = ?", (1,)).fetchone()
    assert crossings.of(lambda: con.execute("select v from t where id = ?", (2,)).fetchone()) == 1
    assert crossings.of(lambda: con.execute("select v from t where id = ?", (3,)).fetchall()) == 1
    assert crossings.of(lambda: con.execute("select v from t where id = ?", (99,)).fetchall()) == 1


def test_named_lookup_is_one_call(crossings: Crossings, con: wasqlite.Connection) -> None:
    con.execute("select v from t where id = :id", {"id": 1}).fetchone()
    assert crossings.of(lambda: con.execute("select v from t where id = :id", {"id": 2}).fetchone()) == 1


def test_first_execution_is_two_calls(crossings: Crossings, con: wasqlite.Connection) -> None:
    assert crossings.of(lambda: con.execute("select v, id from t where id = ?", (1,)).fetchone()) == 2


def test_insert_in_a_transaction_is_one_call(crossings: Crossings, con: wasqlite.Connection) -> None:
    con.execute("insert into t(v) values(?)", ("a",))
    assert crossings.of(lambda: con.execute("insert into t(v) values(?)", ("b",))) == 1


def test_implicit_begin_comes_with_its_statement_and_commit_is_one_call(
    crossings: Crossings, con: wasqlite.Connection
) -> None:
    con.execute("insert into t(v) values(?)", ("a",))
    con.execute("insert into t(v) values(?)", ("a",))
    con.commit()
    assert crossings.of(lambda: con.execute("insert into t(v) values(?)", ("b",))) == 1
    assert con.in_transaction
    assert crossings.of(con.commit) == 1
    assert crossings.of(con.commit) == 0


def test_insert_returning_is_one_call(crossings: Crossings, con: wasqlite.Connection) -> None:
    sql = "insert into t(v) values(?) returning id"
    con.execute(sql, ("a",)).fetchone()
    assert crossings.of(lambda: con.execute(sql, ("b",)).fetchone()) == 1


def test_attributes_are_no_calls(crossings: Crossings, con: wasqlite.Connection) -> None:
    cursor = con.execute("select v from t where id = 1")
    assert (
        crossings.of(
            lambda: (con.in_transaction, con.total_changes, cursor.lastrowid, cursor.rowcount, cursor.description)
        )
        == 0
    )


def test_iteration_fetches_growing_batches(crossings: Crossings, con: wasqlite.Connection) -> None:
    sql = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 1000) select x from n"
    con.execute(sql).fetchall()
    # 2 + 4 + 8 + ... + 512 rows, and the last call finds the end.
    assert crossings.of(lambda: list(con.execute(sql))) == 9


def test_fetchall_of_many_rows_is_two_calls(crossings: Crossings, con: wasqlite.Connection) -> None:
    sql = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 10000) select x from n"
    con.execute(sql).fetchall()
    assert crossings.of(lambda: con.execute(sql).fetchall()) == 2


def test_fetchmany_is_one_call_each(crossings: Crossings, con: wasqlite.Connection) -> None:
    sql = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 10000) select x from n"
    cursor = con.execute(sql)
    cursor.fetchmany(1000)
    assert crossings.of(lambda: cursor.fetchmany(1000)) <= 2


def test_executemany_is_few_calls(crossings: Crossings, con: wasqlite.Connection) -> None:
    con.execute("create table m(a, b)")
    rows = [(i, str(i)) for i in range(100_000)]
    assert crossings.of(lambda: con.executemany("insert into m values(?, ?)", rows)) <= 20


def test_dropped_unfinished_cursor_is_reset_by_the_next_call(crossings: Crossings, con: wasqlite.Connection) -> None:
    con.execute("select id from t").fetchone()
    assert crossings.of(lambda: con.execute("select v from t where id = 1")) == 3  # reset, prepare, execute
    con.execute("drop table t")
