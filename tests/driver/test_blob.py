"""Blobs: as the standard library has them, and what is our own about them."""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cases_blob import CASES
from oracle import observe

import wasqlite

Connect = Callable[..., wasqlite.Connection]


@pytest.mark.parametrize("name", CASES)
def test_same_as_the_stdlib(name: str, tmp_path: Path) -> None:
    native, ours = (observe(module, CASES[name], tmp_path / module.__name__) for module in (sqlite3, wasqlite))
    assert ours == native


def with_ten(connection: wasqlite.Connection) -> wasqlite.Blob:
    connection.execute("create table t(a)")
    connection.execute("insert into t values(x'30313233343536373839')")
    connection.commit()
    return connection.blobopen("t", "a", 1)


def test_steps_backwards(con: wasqlite.Connection) -> None:
    """Where the stdlib asks for a negative number of bytes, and fails with SystemError."""
    blob = with_ten(con)
    assert blob[::-1] == b"9876543210"
    assert blob[7:1:-3] == b"74"
    assert blob[1:7:-1] == blob[7:1:3] == blob[:0:-10][1:] == b""
    blob[8:2:-2] = b"abc"
    assert blob[:] == b"0123c5b7a9"


def test_reading_after_a_change_from_the_middle(con: wasqlite.Connection) -> None:
    """Also where the stdlib fails with SystemError: the second time, away from the start."""
    blob = with_ten(con)
    blob.seek(5)
    con.execute("update t set a = a || 'x'")
    for _ in range(2):
        with pytest.raises(wasqlite.OperationalError, match="query aborted"):
            blob.read()


def test_a_large_value_goes_through_in_pieces(con: wasqlite.Connection) -> None:
    size = 5 << 20
    con.execute("create table t(a)")
    con.execute("insert into t values(zeroblob(?))", (size,))
    data = bytes(range(256)) * (size // 256)
    with con.blobopen("t", "a", 1) as blob:
        blob.write(data)
        assert blob.tell() == size
        blob[3 : size - 3 : 2] = data[3 : size - 3 : 2]
        blob.seek(1)
        assert blob.read(size - 2) == data[1:-1]
        assert blob[: 1 << 20] == data[: 1 << 20]
        assert blob[(1 << 20) - 1 : (2 << 20) + 1] == data[(1 << 20) - 1 : (2 << 20) + 1]
    assert con.execute("select a = ? from t", (data,)).fetchone() == (1,)


def test_a_dropped_blob_is_closed_by_the_next_operation(connect: Connect, tmp_path: Path) -> None:
    con, other = connect(tmp_path / "x.db"), connect(tmp_path / "x.db", timeout=0)
    blob = with_ten(con)
    blob.write(b"ab")
    with pytest.raises(wasqlite.OperationalError, match="database is locked"):
        other.execute("delete from t")
    del blob
    gc.collect()
    con.execute("select 1")
    assert other.execute("select a from t").fetchall() == [(b"ab23456789",)]
    assert other.execute("delete from t").rowcount == 1


def test_a_blob_does_not_outlive_the_handles_of_its_connection(connect: Connect) -> None:
    """The shared sandbox lives on; what was dropped in a closed connection is nobody's there."""
    one = connect("file:blobs?mode=memory&cache=shared", uri=True)
    two = connect("file:blobs?mode=memory&cache=shared", uri=True)
    blob = with_ten(one)
    one.close()
    assert two.execute("update t set a = 1").rowcount == 1
    with pytest.raises(wasqlite.ProgrammingError, match="Cannot operate on a closed database"):
        blob.read()
    del blob
    gc.collect()
    two.rollback()
    assert two.blobopen("t", "a", 1).read() == b"0123456789"


def test_a_commit_that_fails_at_close_is_reported(connect: Connect, tmp_path: Path) -> None:
    """The stdlib loses what was written there without a word."""
    con, reader = connect(tmp_path / "x.db", timeout=0), connect(tmp_path / "x.db", timeout=0)
    blob = with_ten(con)
    cursor = reader.execute("select a from t union all select 1 union all select 2 union all select 3")
    blob.write(b"ab")
    with pytest.raises(wasqlite.OperationalError, match="database is locked"):
        blob.close()
    with pytest.raises(wasqlite.ProgrammingError, match="Cannot operate on a closed blob"):
        blob.read()
    with pytest.raises(wasqlite.OperationalError, match="database is locked"), con.blobopen("t", "a", 1) as blob:
        blob.write(b"ab")
    with pytest.raises(ZeroDivisionError), con.blobopen("t", "a", 1) as blob:
        blob.write(b"ab")
        raise ZeroDivisionError
    cursor.close()
    assert con.execute("select a from t").fetchall() == [(b"0123456789",)]


def test_close_does_not_repeat_the_error_of_the_last_operation(con: wasqlite.Connection) -> None:
    with_ten(con).close()
    blob = con.blobopen("t", "a", 1, readonly=True)
    with pytest.raises(wasqlite.OperationalError, match="attempt to write a readonly database"):
        blob.write(b"x")
    blob.close()


def test_one_crossing_for_a_read(crossings: object, connect: Connect) -> None:
    con = connect()
    blob = with_ten(con)
    blob.read()
    blob.seek(0)
    assert crossings.of(lambda: blob.read()) == 1  # type: ignore[attr-defined]


def test_threads_take_turns(connect: Connect) -> None:
    con = connect(check_same_thread=False)
    con.execute("create table t(a)")
    con.execute("insert into t values(zeroblob(400000))")
    blob = con.blobopen("t", "a", 1)

    def fill(number: int) -> None:
        for at in range(number, 400000, 40000):
            blob[at : at + 32000 : 4] = bytes((number,)) * 8000

    threads = [threading.Thread(target=fill, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(
        set(blob[number + at : at + 32000 : 4]) == {number} for number in range(4) for at in range(0, 400000, 40000)
    )


def test_a_reopened_connection_leaves_its_blobs_alone(connect: Connect) -> None:
    con = connect()
    blob = with_ten(con)
    con.__init__(":memory:")  # type: ignore[misc]
    assert blob.read() == b"0123456789"
    blob.close()


def test_ctrl_c_while_a_blob_is_opened_leaves_none_open(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = os.preadv
    due: list[int] = []

    def interrupted(*args: Any) -> int:
        if due:
            signal.raise_signal(due.pop())
        return read(*args)

    monkeypatch.setattr("os.preadv", interrupted)
    con, other = connect(tmp_path / "x.db"), connect(tmp_path / "x.db", timeout=0)
    with_ten(con).close()
    other.execute("insert into t values(1)")
    other.commit()
    due.append(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        con.blobopen("t", "a", 1)
    assert other.execute("delete from t").rowcount == 2
