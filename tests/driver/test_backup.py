"""Backups: as the standard library makes them, and what is our own about them."""

from __future__ import annotations

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

from cases_backup import CASES
from oracle import observe

import wasqlite

Connect = Callable[..., wasqlite.Connection]
SHARED = "file:{}?mode=memory&cache=shared"
PLACES = pytest.mark.parametrize(
    "place",
    [(":memory:", ":memory:"), (SHARED, SHARED), (SHARED, ":memory:")],
    ids=["apart", "together", "shared_source"],
)


@pytest.mark.parametrize("name", CASES)
def test_same_as_the_stdlib(name: str, tmp_path: Path) -> None:
    native, ours = (observe(module, CASES[name], tmp_path / module.__name__) for module in (sqlite3, wasqlite))
    assert ours == native


def fill(con: Any, rows: int = 10) -> None:
    con.execute("create table t(a)")
    con.executemany("insert into t values(?)", [(b"x" * 4000,)] * rows)
    con.commit()


def pair(
    connect: Connect, place: tuple[str, str], **keywords: object
) -> tuple[wasqlite.Connection, wasqlite.Connection]:
    source = connect(place[0].format("b_source"), uri=True, **keywords)
    fill(source)
    return source, connect(place[1].format("b_target"), uri=True, **keywords)


def sound(con: wasqlite.Connection, rows: int) -> bool:
    return con.execute("pragma integrity_check").fetchall() == [("ok",)] and con.execute(
        "select count(*) from t"
    ).fetchall() == [(rows,)]


@PLACES
@pytest.mark.parametrize("which", [0, 1])
def test_closing_a_connection_meanwhile_ends_the_backup(connect: Connect, place: tuple[str, str], which: int) -> None:
    both = pair(connect, place)
    with pytest.raises(wasqlite.ProgrammingError, match="Cannot operate on a closed database"):
        both[0].backup(both[1], pages=4, progress=lambda *_: both[which].close())
    other = both[1 - which]
    assert other.execute("select count(*) from sqlite_master").fetchall() == [(which,)]
    fill(other) if which == 0 else other.execute("delete from t")
    assert other.in_transaction == (which == 1)


@PLACES
def test_ctrl_c_between_steps_leaves_the_target_as_it_was(connect: Connect, place: tuple[str, str]) -> None:
    source, target = pair(connect, place)
    target.execute("create table kept(a)")
    with pytest.raises(KeyboardInterrupt):
        source.backup(target, pages=4, progress=lambda *_: signal.raise_signal(signal.SIGINT))
    assert target.execute("select name from sqlite_master").fetchall() == [("kept",)]
    source.backup(target)
    assert sound(target, 10)


def test_ctrl_c_within_a_step(connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwritev
    due = [signal.SIGINT]

    def interrupted(*args: Any) -> int:
        if armed and due:
            signal.raise_signal(due.pop())
        return write(*args)

    armed = False
    monkeypatch.setattr("os.pwritev", interrupted)
    source, target = connect(tmp_path / "source.db"), connect(tmp_path / "target.db")
    fill(source, 2000)  # more than the target's page cache holds
    fill(target, 1)
    armed = True
    with pytest.raises(KeyboardInterrupt):
        source.backup(target)
    assert not due
    assert sound(target, 1)
    source.execute("insert into t values(1)")
    source.rollback()
    source.backup(target)
    assert sound(target, 2000)


def test_a_large_database_does_not_go_through_guest_memory_as_a_whole(connect: Connect, tmp_path: Path) -> None:
    source, target = connect(tmp_path / "source.db"), connect(tmp_path / "target.db")
    with source:
        source.execute("create table t(a)")
        for _ in range(30):
            source.execute("insert into t values(zeroblob(1000000))")
    assert (tmp_path / "source.db").stat().st_size > 30_000_000
    source.backup(target)
    assert sound(target, 30)
    for con in (source, target):
        assert con._database is not None
        con._database.memory.refresh()
        assert con._database.memory.size < 24_000_000  # 8 MiB of it are the page cache


def test_backups_in_opposite_directions_do_not_wait_for_each_other(connect: Connect) -> None:
    one, two = connect(check_same_thread=False), connect(check_same_thread=False)
    fill(one)
    one.backup(two)
    errors: list[str] = []

    def back_and_forth(source: wasqlite.Connection, target: wasqlite.Connection) -> None:
        for _ in range(30):
            try:
                source.backup(target, pages=3, sleep=0.001)
            except wasqlite.OperationalError as error:
                errors.append(str(error))

    threads = [threading.Thread(target=back_and_forth, args=pair) for pair in ((one, two), (two, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert set(errors) <= {"destination database is in use"}
    assert sound(one, 10) and sound(two, 10)


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("writer", ["thread", "native"])
def test_the_copy_is_one_state_while_others_write(connect: Connect, tmp_path: Path, mode: str, writer: str) -> None:
    """Two tables that every transaction keeps equal are equal in every copy."""
    path = tmp_path / "x.db"
    source = connect(path, check_same_thread=False, isolation_level=None)
    source.execute(f"pragma journal_mode = {mode}")
    source.executescript(
        "create table a(n, pad); create table filler(pad); create table b(n, pad);"
        "insert into a values(0, zeroblob(5000)); insert into b values(0, zeroblob(5000));"
        "insert into filler values(zeroblob(200000))"
    )
    stop = threading.Event()
    wrote = threading.Event()

    def write() -> None:
        con: Any = source if writer == "thread" else sqlite3.connect(path, isolation_level=None, timeout=60)
        while not stop.wait(0.002):
            # In one call: otherwise the backup would find the transaction open, each time that it looks.
            con.executescript("begin; update a set n = n + 1; update b set n = n + 1; commit")
            wrote.set()
        if writer == "native":
            con.close()

    def progress(*_: int) -> None:
        nonlocal steps
        steps += 1
        if steps <= 5:  # after each of these steps somebody writes
            wrote.clear()
            assert wrote.wait(60)
        elif steps > 100:  # SQLite starts again whenever another connection has written: let it get through now
            stop.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for pages in (7, 20, 1, -1):
            steps = 0
            target = connect()
            source.backup(target, pages=pages, sleep=0.001, progress=progress if pages > 0 else None)
            ((a,), (b,)) = target.execute("select n from a union all select n from b").fetchall()
            assert a == b >= 1
            assert target.execute("pragma integrity_check").fetchall() == [("ok",)]
            if stop.is_set():
                break
    finally:
        stop.set()
        thread.join()


def test_a_rollback_of_the_source_in_wal_mode_is_no_change(connect: Connect, tmp_path: Path) -> None:
    """SQLite's own backup starts again there, to the same end."""
    source, target = connect(tmp_path / "source.db"), connect()
    source.execute("pragma journal_mode = wal")
    fill(source)
    seen: list[int] = []

    def progress(status: int, remaining: int, total: int) -> None:
        seen.append(remaining)
        if len(seen) == 1:
            source.execute("delete from t")
            source.rollback()

    source.backup(target, pages=4, progress=progress)
    assert seen == [8, 4, 0]
    assert sound(target, 10)


def test_the_operating_system_says_why(connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    armed = False
    write = os.pwritev

    def full(*args: Any) -> int:
        if armed:
            raise OSError(28, "No space left on device")
        return write(*args)

    monkeypatch.setattr("os.pwritev", full)
    source, target = connect(), connect(tmp_path / "target.db")
    fill(source)
    armed = True
    with pytest.raises(wasqlite.OperationalError, match="database or disk is full") as caught:
        source.backup(target)
    armed = False
    assert (caught.value.sqlite_errorname, caught.value.system_errno) == ("SQLITE_FULL", 28)
    assert target.execute("select count(*) from sqlite_master").fetchall() == [(0,)]


def test_a_connection_that_was_given_up_meanwhile_holds_nothing(connect: Connect) -> None:
    """In a sandbox that lives on, neither end of the backup keeps the names in use."""
    keeper = connect(SHARED.format("keeper"), uri=True)
    source, target = pair(connect, (SHARED, SHARED))
    with pytest.raises(wasqlite.ProgrammingError):
        source.backup(target, pages=1, progress=lambda *_: (source.close(), target.close()))
    again = connect(SHARED.format("b_source"), uri=True)
    assert again.execute("select count(*) from sqlite_master").fetchall() == [(0,)]
    assert keeper._database is not None and len(keeper._database.sandbox.handles) == 2


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(512, 65536), (65536, 512)])
def test_beyond_the_pending_byte(connect: Connect, tmp_path: Path, sizes: tuple[int, int]) -> None:
    """The pages around 1 GiB, of which SQLite reads some twice when the target's pages are larger."""
    source, target = connect(tmp_path / "source.db"), connect(tmp_path / "target.db")
    for con, size in zip((source, target), sizes, strict=True):
        con.execute(f"pragma page_size = {size}")
        con.execute("pragma journal_mode = off")
        con.execute("create table t(n, a)")
        con.execute("insert into t values(1, 2)")
        con.commit()
    source.execute("pragma cache_size = -64000")
    source.execute("delete from t")
    for number in range(1, 106):
        data = number.to_bytes(2, "big") * 5_150_000
        source.execute("insert into t values(?, ?)", (number, data))
        source.commit()
    assert (tmp_path / "source.db").stat().st_size > (1 << 30) + (1 << 20)
    source.backup(target, pages=100_000)
    assert (tmp_path / "target.db").stat().st_size >= (tmp_path / "source.db").stat().st_size
    source.close()
    for number in range(1, 106):
        ((data,),) = target.execute("select a from t where n = ?", (number,)).fetchall()
        assert data == number.to_bytes(2, "big") * 5_150_000
    target.close()
    native = sqlite3.connect(tmp_path / "target.db")
    assert native.execute("pragma integrity_check").fetchall() == [("ok",)]
    native.close()
