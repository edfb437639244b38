"""The C API's wrappers against the real module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wasqlite.capi import constants, library
from wasqlite.capi.constants import SQLITE_DONE, SQLITE_ERROR, SQLITE_OPEN_CREATE, SQLITE_OPEN_READWRITE, SQLITE_ROW
from wasqlite.capi.database import Database
from wasqlite.capi.parameters import encode, pack
from wasqlite.vfs.host import HostFiles


@pytest.fixture
def database() -> Iterator[Database]:
    opened = Database(HostFiles())
    assert opened.open(b":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) is None
    yield opened
    opened.close()


def test_version_is_the_modules(database: Database) -> None:
    address = database.instance.function("sqlite3_libversion")()
    assert database.memory.string(address).decode() == constants.SQLITE_VERSION


def test_library_is_loaded_once() -> None:
    assert library.library() is library.library()


def test_prepare_and_execute(database: Database) -> None:
    statement, tail, failure = database.prepare(b"select ?, 'x' as b; rest")
    assert failure is None
    assert (statement.names, statement.parameters, statement.readonly, tail) == (["?", "b"], 1, True, 19)
    status, columns, raw, failure = statement.execute(pack([7]), 1, 10, 1000)
    assert (status.rc, status.rows, [list(c) for c in columns], raw, failure) == (
        SQLITE_DONE,
        1,
        [[7], ["x"]],
        (),
        None,
    )
    assert not statement.active


def test_fetch_goes_on(database: Database) -> None:
    statement, _, _ = database.prepare(b"select value from json_each('[1,2,3,4,5]')")
    status, columns, _, _ = statement.execute(b"", 0, 2, 1000)
    assert (status.rc, list(columns[0]), statement.active) == (SQLITE_ROW, [1, 2], True)
    status, columns, _, _ = statement.fetch(10, 1000)
    assert (status.rc, list(columns[0]), statement.active) == (SQLITE_DONE, [3, 4, 5], False)


def test_bytes_bound_a_batch(database: Database) -> None:
    statement, _, _ = database.prepare(b"select zeroblob(1000) from json_each('[1,2,3,4,5]')")
    status, columns, _, _ = statement.execute(b"", 0, 100, 1500)
    assert (status.rc, len(columns[0])) == (SQLITE_ROW, 2)


def test_rows_before_an_error_are_there(database: Database) -> None:
    statement, _, _ = database.prepare(b"select abs(value) from json_each('[1, 2, -9223372036854775808]')")
    status, columns, _, failure = statement.execute(b"", 0, 100, 1000)
    assert (status.rows, list(columns[0])) == (2, [1, 2])
    assert failure is not None
    assert (failure.code, failure.message) == (SQLITE_ERROR, "integer overflow")


def test_execute_many(database: Database) -> None:
    database.script(b"create table t(a unique)")
    statement, _, _ = database.prepare(b"insert into t values(?)")
    status, failure = statement.execute_many(encode([(1,), (2,), (3,)], 1))
    assert (status.rc, status.rows, status.changes_sum, failure) == (SQLITE_DONE, 3, 3, None)
    status, failure = statement.execute_many(encode([(4,), (1,), (5,)], 1))
    assert (status.rows, status.changes_sum, status.total_changes) == (1, 1, 4)
    assert failure is not None
    assert failure.message == "UNIQUE constraint failed: t.a"


def test_parameter_names(database: Database) -> None:
    statement, _, _ = database.prepare(b"select :a, ?, @b, $c, ?7")
    assert statement.parameter_names() == [":a", None, "@b", "$c", None, None, "?7"]


def test_column_names_after_a_change_of_schema(database: Database) -> None:
    database.script(b"create table t(a)")
    statement, _, _ = database.prepare(b"select * from t")
    assert statement.names == ["a"]
    database.script(b"alter table t add column b")
    status, *_ = statement.execute(b"", 0, 2, 1000)
    assert status.reprepared != statement.reprepared
    assert statement.column_names() == ["a", "b"]


def test_empty_statement(database: Database) -> None:
    statement, _, failure = database.prepare(b" -- nowhere")
    assert (statement.handle, statement.names, statement.readonly, failure) == (0, [], True, None)


def test_failed_prepare(database: Database) -> None:
    statement, _, failure = database.prepare(b"select * from nowhere")
    assert statement.handle == 0
    assert failure is not None
    assert failure.message == "no such table: nowhere"
    failure = database.prepare(b"select 1 from 5")[2]
    assert failure is not None
    assert (failure.code, failure.error_offset) == (SQLITE_ERROR, 14)


def test_limits(database: Database) -> None:
    assert database.limit(99) == -1
    former = database.limit(1, 5000)
    assert database.limit(1) == database.sql_length == 5000
    assert former > 5000


def test_dropped_statements_are_queued_and_finalized(database: Database) -> None:
    statement, _, _ = database.prepare(b"select 1")
    handle = statement.handle
    del statement
    assert [address for address, _ in database.dropped] == [handle]
    database.settle()
    assert not database.dropped
    assert handle not in database._statements
