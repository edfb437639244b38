"""Transaction control: the rules as data, and what a connection does by them."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import wasqlite
from wasqlite import transactions

Connect = Callable[..., wasqlite.Connection]


@pytest.mark.parametrize(
    ("autocommit", "level", "is_dml", "in_transaction", "begins"),
    [
        (-1, "", True, False, True),
        (-1, "IMMEDIATE", True, False, True),
        (-1, "", True, True, False),
        (-1, "", False, False, False),
        (-1, None, True, False, False),
        (True, "", True, False, False),
        (False, "", True, False, False),
    ],
)
def test_begins_implicitly(
    autocommit: Any, level: str | None, is_dml: bool, in_transaction: bool, begins: bool
) -> None:
    assert transactions.begins_implicitly(autocommit, level, is_dml, in_transaction) is begins


@pytest.mark.parametrize(
    ("given", "canonical"), [("", ""), ("deferred", "DEFERRED"), ("Exclusive", "EXCLUSIVE"), (None, None)]
)
def test_isolation_level(given: str | None, canonical: str | None) -> None:
    assert transactions.isolation_level(given) == canonical


def test_begin_has_a_trailing_space_without_a_level() -> None:
    assert transactions.begin("") == "BEGIN "
    assert transactions.begin("IMMEDIATE") == "BEGIN IMMEDIATE"


@pytest.mark.parametrize("value", [0, 1, 5, "a", None, 1.0, -2])
def test_autocommit_takes_three_values(connect: Connect, value: Any) -> None:
    with pytest.raises(ValueError, match=r"^autocommit must be True, False, or sqlite3.LEGACY_TRANSACTION_CONTROL$"):
        connect(autocommit=value)


def test_autocommit_off_is_always_in_a_transaction(connect: Connect) -> None:
    con = connect(autocommit=False)
    assert con.in_transaction
    con.execute("create table t(a)")
    con.commit()
    assert con.in_transaction
    con.execute("insert into t values(1)")
    con.rollback()
    assert con.in_transaction
    assert con.execute("select count(*) from t").fetchone() == (0,)


def test_autocommit_on_makes_commit_and_rollback_do_nothing(connect: Connect) -> None:
    con = connect(autocommit=True)
    con.execute("create table t(a)")
    con.execute("insert into t values(1)")
    assert not con.in_transaction
    con.execute("begin")
    con.execute("insert into t values(2)")
    con.rollback()
    con.commit()
    assert con.in_transaction


def test_autocommit_can_be_changed(con: wasqlite.Connection) -> None:
    assert con.autocommit == wasqlite.LEGACY_TRANSACTION_CONTROL
    con.autocommit = False
    assert con.in_transaction
    con.autocommit = True
    assert not con.in_transaction


def test_script_does_not_commit_without_legacy_control(connect: Connect) -> None:
    con = connect(autocommit=False)
    con.execute("create table t(a)")
    con.executescript("insert into t values(1); insert into t values(2)")
    con.rollback()
    assert con.execute("select name from sqlite_master").fetchall() == []


def test_close_rolls_back_without_autocommit(tmp_path: Path, connect: Connect) -> None:
    con = connect(tmp_path / "x.db", autocommit=False)
    con.execute("create table t(a)")
    con.close()
    assert connect(tmp_path / "x.db").execute("select name from sqlite_master").fetchall() == []


def test_immediate_takes_the_lock_at_once(tmp_path: Path, connect: Connect) -> None:
    path = tmp_path / "x.db"
    one = connect(path, isolation_level="IMMEDIATE")
    two = connect(path, timeout=0)
    one.execute("create table t(a)")
    one.execute("delete from t")
    with pytest.raises(wasqlite.OperationalError, match=r"^database is locked$"):
        two.execute("begin immediate")
    one.commit()
    two.execute("begin immediate")


def test_commit_that_is_busy_can_be_repeated(tmp_path: Path, connect: Connect) -> None:
    path = tmp_path / "x.db"
    writer, reader = connect(path, timeout=0), connect(path, timeout=0)
    writer.execute("create table t(a)")
    writer.executemany("insert into t values(?)", [(i,) for i in range(10)])
    writer.commit()
    rows = reader.execute("select a from t")
    writer.execute("delete from t")
    with pytest.raises(wasqlite.OperationalError, match=r"^database is locked$"):
        writer.commit()
    assert writer.in_transaction
    assert len(rows.fetchall()) == 10
    writer.commit()
    assert not writer.in_transaction


def test_reading_to_the_end_gives_the_lock_up(tmp_path: Path, connect: Connect) -> None:
    path = tmp_path / "x.db"
    writer, reader = connect(path, timeout=0), connect(path, timeout=0)
    writer.execute("create table t(a)")
    for count in (1, 2, 3, 7, 8):
        writer.execute("delete from t")
        writer.executemany("insert into t values(?)", [(i,) for i in range(count)])
        writer.commit()
        cursor = reader.execute("select a from t")
        for _ in range(count):
            assert cursor.fetchone() is not None
        writer.execute("insert into t values(0)")
        writer.commit()


def test_exit_that_fails_to_commit_rolls_back(con: wasqlite.Connection) -> None:
    con.executescript(
        "pragma foreign_keys = on; create table p(id integer primary key);"
        "create table c(p references p deferrable initially deferred)"
    )
    with pytest.raises(wasqlite.IntegrityError, match="FOREIGN KEY constraint failed"), con:
        con.execute("insert into c values(1)")
    assert not con.in_transaction


@pytest.mark.parametrize("level", ["", "DEFERRED", "IMMEDIATE", None])
@pytest.mark.parametrize(
    "parameters",
    [(1, "again"), (object(), "x"), (2**70, "x"), (5,), (5, "x", 7), (5, "\ud800"), {"a": 1}, [5, "a list"], (5, None)],
    ids=["constraint", "type", "overflow", "too few", "too many", "surrogate", "names", "list", "fine"],
)
def test_a_statement_that_opens_its_transaction_fails_as_in_the_stdlib(level: str | None, parameters: Any) -> None:
    """Often enough that BEGIN comes in the same guest call."""
    seen = []
    for module in (sqlite3, wasqlite):
        lines: list[str] = []
        with closing(module.connect(":memory:", isolation_level=level)) as con:
            con.execute("create table t(a integer primary key, b)")
            con.set_trace_callback(lines.append)
            cursor = con.cursor()
            for number in range(1, 5):
                cursor.execute("insert into t values (?, ?)", (number, "x"))
                con.commit()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)
                    outcome: Any = cursor.execute("insert into t values (?, ?)", parameters).rowcount
            except Exception as error:
                outcome = type(error).__name__, str(error)
            state = con.in_transaction, cursor.rowcount, cursor.lastrowid, con.total_changes
            con.rollback()
            seen.append((outcome, state, lines, con.execute("select count(*) from t").fetchone()))
    assert seen[1] == seen[0]
