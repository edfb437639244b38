"""Databases as bytes: as the standard library has them, and what is our own about them."""

from __future__ import annotations

import mmap
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cases_serialize import CASES
from oracle import observe

import wasqlite

Connect = Callable[..., wasqlite.Connection]


@pytest.mark.parametrize("name", CASES)
def test_same_as_the_stdlib(name: str, tmp_path: Path) -> None:
    native, ours = (observe(module, CASES[name], tmp_path / module.__name__) for module in (sqlite3, wasqlite))
    assert ours == native


def filled(con: wasqlite.Connection, rows: int = 10) -> wasqlite.Connection:
    con.execute("create table t(a)")
    con.executemany("insert into t values(?)", [(b"x" * 4000,)] * rows)
    con.commit()
    return con


def rows(con: wasqlite.Connection) -> int:
    found: int = con.execute("select count(*) from t").fetchone()[0]
    return found


def test_an_empty_database_has_one_page(connect: Connect, tmp_path: Path) -> None:
    """SQLite 3.40.1 cannot serialize it."""
    memory, file = connect(), connect(tmp_path / "x.db")
    for con in (memory, file):
        data = con.serialize()
        assert len(data) == 4096 and data.startswith(b"SQLite format 3\0")
        con.deserialize(data)
        filled(con)
        assert rows(con) == 10
    assert (tmp_path / "x.db").stat().st_size == 4096


def test_deserializing_in_a_transaction_or_during_a_query_is_refused(con: wasqlite.Connection) -> None:
    """SQLite 3.40.1 does it, and crashes if there is a statement under way."""
    data = filled(con).serialize()
    con.execute("insert into t values(1)")
    with pytest.raises(wasqlite.OperationalError) as caught:
        con.deserialize(data)
    assert caught.value.sqlite_errorname == "SQLITE_BUSY"
    con.commit()
    cursor = con.execute("select a from t")
    with pytest.raises(wasqlite.OperationalError):
        con.deserialize(data)
    assert len(cursor.fetchall()) == rows(con) == 11
    con.deserialize(data)
    assert rows(con) == 10


@pytest.mark.parametrize("name", ["nope", "temp", ""])
def test_an_unknown_name_is_an_error(con: wasqlite.Connection, name: str) -> None:
    """The stdlib forgets to set one here, and fails with SystemError."""
    data = filled(con).serialize()
    with pytest.raises(wasqlite.OperationalError, match="SQL logic error") as caught:
        con.deserialize(data, name=name)
    assert caught.value.sqlite_errorname == "SQLITE_ERROR"
    assert rows(con) == 10


def test_a_file_that_cannot_be_read_is_an_error(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would put zeroes in the place of the pages that it cannot read."""
    read = os.preadv
    armed = False

    def failing(descriptor: int, buffers: Any, offset: int, *flags: int) -> int:
        if armed and offset >= 20480:
            raise OSError(5, "Input/output error")
        return read(descriptor, buffers, offset, *flags)

    monkeypatch.setattr("os.preadv", failing)
    filled(connect(tmp_path / "x.db"))
    con = connect(tmp_path / "x.db")
    armed = True
    with pytest.raises(wasqlite.OperationalError, match="disk I/O error") as caught:
        con.serialize()
    assert (caught.value.sqlite_errorname, caught.value.system_errno) == ("SQLITE_IOERR_CORRUPTFS", 5)
    armed = False
    assert con.serialize() == (tmp_path / "x.db").read_bytes()


def test_a_large_database_does_not_go_through_guest_memory_as_a_whole(connect: Connect, tmp_path: Path) -> None:
    con = connect(tmp_path / "x.db")
    with con:
        con.execute("create table t(a)")
        for _ in range(30):
            con.execute("insert into t values(zeroblob(1000000))")
    assert con.serialize() == (tmp_path / "x.db").read_bytes()
    assert con._database is not None
    con._database.memory.refresh()
    assert con._database.memory.size < 24_000_000  # 8 MiB of it are the page cache


def test_more_than_the_guest_can_hold_is_a_memory_error(con: wasqlite.Connection) -> None:
    """One allocation of SQLite's is less than 2 GiB."""
    with mmap.mmap(-1, 1 << 31) as large, pytest.raises(MemoryError):
        con.deserialize(large)
    assert filled(con).serialize()


def test_native_sqlite_reads_what_ours_wrote_and_the_other_way_round(con: wasqlite.Connection) -> None:
    native = sqlite3.connect(":memory:")
    native.deserialize(filled(con).serialize())
    assert native.execute("pragma integrity_check").fetchall() == [("ok",)]
    native.execute("insert into t values(1)")
    native.commit()
    con.deserialize(native.serialize())
    native.close()
    assert rows(con) == 11
    assert con.execute("pragma integrity_check").fetchall() == [("ok",)]
