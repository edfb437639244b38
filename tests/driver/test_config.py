"""The switches of a connection: as the standard library has them from 3.12 on, and on 3.11 as well."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from oracle import Case, Subject, observe

import wasqlite
from wasqlite.capi import constants
from wasqlite.capi.config import SWITCHES

CASES: dict[str, Case] = {}
NAMES = sorted(name for name in dir(sqlite3) if name.startswith("SQLITE_DBCONFIG_"))
# These two are on in distributions' builds and off in ours: there are no tokenizers or extensions to load.
OFF_HERE = ("SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER", "SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION")


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


class Unwilling:
    def __bool__(self) -> bool:
        raise ZeroDivisionError("no truth in it")


def tried(s: Subject, op: Any, *values: Any) -> Any:
    seen = [] if op in {getattr(s.m, name, None) for name in OFF_HERE} else [s.attempt(lambda: s.con.getconfig(op))]
    for value in values:
        seen.append(s.attempt(lambda v=value: s.con.setconfig(op, v)))
        seen.append(s.attempt(lambda: s.con.getconfig(op)))
    return seen


for name in NAMES:
    CASES[name] = lambda s, n=name: tried(s, getattr(s.m, n), True, False, "true", 0, [], None, 1.5)
for number, op in enumerate([99, 0, 999, 1000, 1001, 1023, 1024, -1, -1002, 2**31, 2**64, "x", None, 1.0, True, b""]):
    CASES[f"op_{number}"] = lambda s, o=op: (tried(s, o, True), s.attempt(lambda: s.con.setconfig(o)))


@case
def a_value_without_truth(s: Subject) -> Any:
    values = [1002, 99]
    return [s.attempt(lambda v=value: s.con.setconfig(v, Unwilling())) for value in values]


@case
def the_default_is_to_enable(s: Subject) -> Any:
    s.con.setconfig(s.m.SQLITE_DBCONFIG_ENABLE_FKEY)
    return s.con.execute("pragma foreign_keys").fetchall()


@case
def foreign_keys(s: Subject) -> Any:
    s.con.executescript("create table p(a primary key); create table k(a references p)")
    s.con.setconfig(s.m.SQLITE_DBCONFIG_ENABLE_FKEY, True)
    seen = [s.attempt(lambda: s.con.execute("insert into k values(1)"))]
    s.con.rollback()
    s.con.execute("pragma foreign_keys = off")
    return seen, s.con.getconfig(s.m.SQLITE_DBCONFIG_ENABLE_FKEY)


@case
def triggers_and_views(s: Subject) -> Any:
    s.con.executescript(
        "create table t(a); create view v as select * from t;"
        "create trigger r after insert on t begin insert into t values(99); end"
    )
    s.con.setconfig(s.m.SQLITE_DBCONFIG_ENABLE_TRIGGER, False)
    s.con.setconfig(s.m.SQLITE_DBCONFIG_ENABLE_VIEW, False)
    s.con.execute("insert into t values(1)")
    return s.con.execute("select * from t").fetchall(), s.attempt(lambda: s.con.execute("select * from v").fetchall())


@case
def defensive(s: Subject) -> Any:
    s.con.setconfig(s.m.SQLITE_DBCONFIG_DEFENSIVE)
    s.con.executescript("create table t(a); pragma writable_schema = on")
    return s.attempt(lambda: s.con.execute("update sqlite_master set sql = 1"))


@case
def reset_database(s: Subject) -> Any:
    s.con.executescript("create table t(a); insert into t values(1)")
    s.con.setconfig(s.m.SQLITE_DBCONFIG_RESET_DATABASE, True)
    s.con.execute("vacuum")
    s.con.setconfig(s.m.SQLITE_DBCONFIG_RESET_DATABASE, False)
    return s.con.execute("select * from sqlite_master").fetchall()


@case
def in_the_middle(s: Subject) -> Any:
    s.con.execute("create table t(a)")
    s.con.execute("insert into t values(1)")
    inside = tried(s, s.m.SQLITE_DBCONFIG_ENABLE_FKEY, True)
    return inside, s.con.in_transaction, s.con.rollback()


@case
def closed(s: Subject) -> Any:
    con = s.connect(":memory:")
    con.close()
    bare = s.m.Connection.__new__(s.m.Connection)
    return [
        s.attempt(action)
        for action in (
            *(lambda: con.getconfig(1002), lambda: con.setconfig(1002), lambda: con.getconfig(99)),
            *(lambda: con.setconfig("x"), lambda: con.setconfig(1002, Unwilling()), lambda: bare.getconfig(1002)),
        )
    ]


@case
def another_thread(s: Subject) -> Any:
    seen: list[Any] = []
    actions: list[Callable[[], Any]] = [lambda: s.con.getconfig(1002), lambda: s.con.setconfig(99)]
    thread = threading.Thread(target=lambda: seen.extend(s.attempt(action) for action in actions))
    thread.start()
    thread.join()
    return seen


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the stdlib has it from 3.12 on")
@pytest.mark.parametrize("name", CASES)
def test_same_as_the_stdlib(name: str, tmp_path: Path) -> None:
    native, ours = (observe(module, CASES[name], tmp_path / module.__name__) for module in (sqlite3, wasqlite))
    assert ours == native


def test_every_switch_of_our_sqlite_can_be_turned(con: wasqlite.Connection) -> None:
    assert len(SWITCHES) == 21
    for op in sorted(SWITCHES):
        for value in (True, False, True):
            con.setconfig(op, value)
            assert con.getconfig(op) is value


@pytest.mark.parametrize("name", ["MAINDBNAME", "LOOKASIDE", "FP_DIGITS"])
def test_what_is_no_switch_is_refused(con: wasqlite.Connection, name: str) -> None:
    """SQLite would take the number for an address."""
    op = getattr(constants, f"SQLITE_DBCONFIG_{name}")
    with pytest.raises(ValueError, match=f"unknown config 'op': {op}"):
        con.setconfig(op, True)
    with pytest.raises(ValueError, match=f"unknown config 'op': {op}"):
        con.getconfig(op)


def test_a_switch_changes_what_sql_means(con: wasqlite.Connection) -> None:
    assert con.getconfig(wasqlite.SQLITE_DBCONFIG_DQS_DML) is True
    assert con.execute('select "x"').fetchall() == [("x",)]
    con.setconfig(wasqlite.SQLITE_DBCONFIG_DQS_DML, False)
    with pytest.raises(wasqlite.OperationalError, match='no such column: "x"'):
        con.execute('select "x"')


def test_there_is_no_way_to_load_extensions(con: wasqlite.Connection) -> None:
    """As in a stdlib that was built without it, whose tests ask for the attribute."""
    assert not hasattr(con, "enable_load_extension")
    assert not hasattr(con, "load_extension")
