"""Threads, processes, interrupts and sandboxes that stop."""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import wasqlite
from wasqlite.bridge import Instance, InstancePoisoned, Trap
from wasqlite.capi.library import library

Connect = Callable[..., wasqlite.Connection]
ENDLESS = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n"


def test_one_connection_shared_by_threads(connect: Connect) -> None:
    con = connect(check_same_thread=False, isolation_level=None)
    con.execute("create table t(thread, n, v)")
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for n in range(100):
                con.execute("insert into t values(?, ?, ?)", (number, n, f"{number}-{n}" * 20))
                found = con.execute("select v from t where thread = ? and n = ?", (number, n)).fetchall()
                assert found == [(f"{number}-{n}" * 20,)]
                rows = con.execute("select n from t where thread = ? order by n", (number,))
                assert [row[0] for row in rows] == list(range(n + 1))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert con.execute("select count(*) from t").fetchone() == (400,)


def test_connections_in_many_threads(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as native:
        native.execute("create table t(a)")
    native.close()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            con = wasqlite.connect(path, timeout=60)
            for n in range(20):
                con.execute("insert into t values(?)", (n,))
                con.commit()
            con.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    con = wasqlite.connect(path)
    assert con.execute("select count(*) from t").fetchone() == (80,)
    con.close()


def test_interrupt_from_another_thread(connect: Connect) -> None:
    con = connect(check_same_thread=False)
    timer = threading.Timer(0.2, con.interrupt)
    timer.start()
    with pytest.raises(wasqlite.OperationalError, match=r"^interrupted$") as caught:
        con.execute(ENDLESS)
    timer.join()
    assert caught.value.sqlite_errorname == "SQLITE_INTERRUPT"
    assert con.execute("select 1").fetchall() == [(1,)]


def test_ctrl_c_during_a_long_query(con: wasqlite.Connection) -> None:
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        con.execute(ENDLESS)
    timer.join()
    assert con.execute("select 1").fetchall() == [(1,)]


def test_ctrl_c_while_fetching_is_not_the_end_of_the_rows(con: wasqlite.Connection) -> None:
    cursor = con.execute(
        "with recursive n(x) as (select 1 union all select x + 1 from n) select x from n where x < 3 or x > 1000000000"
    )
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    assert cursor.fetchone() == (1,)
    with pytest.raises(KeyboardInterrupt):
        cursor.fetchone()
    timer.join()
    assert cursor.fetchone() == (2,)
    with pytest.raises(wasqlite.OperationalError, match=r"^interrupted$"):
        cursor.fetchone()
    assert con.execute("select 1").fetchall() == [(1,)]


def test_ctrl_c_in_a_transaction_is_known(con: wasqlite.Connection) -> None:
    con.execute("create table t(a)")
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        con.execute("insert into t " + ENDLESS)
    timer.join()
    con.rollback()
    assert not con.in_transaction
    con.execute("insert into t values(1)")
    con.commit()


def test_long_query_lets_other_threads_run(connect: Connect) -> None:
    con = connect(check_same_thread=False)
    counted = 0
    done = threading.Event()

    def query() -> None:
        con.execute(
            "with recursive n(x) as (select 1 union all select x + 1 from n limit 2000000) select count(*) from n"
        )
        done.set()

    thread = threading.Thread(target=query)
    thread.start()
    while not done.is_set():
        counted += 1
        time.sleep(0.001)
    thread.join()
    assert counted > 10


def poison(con: wasqlite.Connection) -> None:
    database = con._database
    assert database is not None
    database.instance.function("wsq_reset")
    with pytest.raises(Trap):
        database.instance.function("wsq_fetch")(0xFFFF_FFF0, 1, 1)


def test_poisoned_sandbox_says_so(con: wasqlite.Connection) -> None:
    cursor = con.execute("select value from json_each('[1,2,3,4,5,6]')")
    poison(con)
    actions: list[Callable[[], object]] = [
        lambda: con.execute("select 1"),
        lambda: con.execute("select 2"),
        lambda: con.executemany("create table if not exists t(a)", [()]),
        lambda: con.executescript("select 1"),
        lambda: con.execute("insert into t values(1)"),
        lambda: con.getlimit(1),
        cursor.fetchall,
    ]
    for action in actions:
        with pytest.raises(wasqlite.InternalError, match="sandbox") as caught:
            action()
        assert isinstance(caught.value.__cause__, InstancePoisoned)
    con.close()
    with pytest.raises(wasqlite.ProgrammingError, match=r"^Cannot operate on a closed database\.$"):
        con.execute("select 1")


def test_poisoned_sandbox_gives_its_file_back(tmp_path: Path, connect: Connect) -> None:
    con = connect(tmp_path / "x.db")
    con.execute("create table t(a)")
    con.execute("insert into t values(1)")
    poison(con)
    con.close()
    other = connect(tmp_path / "x.db", timeout=0)
    other.execute("insert into t values(2)")
    other.commit()
    assert other.execute("select a from t").fetchall() == [(2,)]


class Limited:
    """The library, with instances that get little memory."""

    def open(self, *, hosts: Iterable[Any], snapshot: Any) -> Instance:
        return library().open(hosts=hosts, memory_limit=32 << 20, snapshot=snapshot)


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("select zeroblob(30000000), zeroblob(30000000)", ()),
        ("select ?", (b"x" * (40 << 20),)),
        ("select /* " + "x" * (40 << 20) + " */ 1", ()),
        ("insert into t values(zeroblob(40000000))", ()),
    ],
    ids=["result", "parameter", "sql", "row"],
)
def test_guest_without_memory_is_memory_error(
    monkeypatch: pytest.MonkeyPatch, connect: Connect, sql: str, parameters: tuple[Any, ...]
) -> None:
    monkeypatch.setattr("wasqlite.capi.database.library", Limited)
    con = connect()
    con.execute("create table t(a)")
    with pytest.raises(MemoryError):
        con.execute(sql, parameters)
    assert con.execute("select count(*) from t").fetchall() == [(0,)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_connection_in_a_forked_child(tmp_path: Path, connect: Connect) -> None:
    con = connect(tmp_path / "x.db")
    con.execute("create table t(a)")
    con.execute("insert into t values(1)")
    cursor = con.execute("select value from json_each('[1,2,3,4,5,6]')")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            for action in (lambda: con.execute("select 1"), con.commit, lambda: [cursor.fetchone() for _ in range(5)]):
                try:
                    action()
                except wasqlite.ProgrammingError as error:
                    assert "fork" in str(error)
                else:
                    os._exit(2)
            con.close()
            fresh = wasqlite.connect(":memory:")
            code = 0 if fresh.execute("select 7").fetchone() == (7,) else 3
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    other = connect(tmp_path / "x.db", timeout=0)
    with pytest.raises(wasqlite.OperationalError, match=r"^database is locked$"):
        other.execute("insert into t values(2)")
    con.commit()
    assert len(cursor.fetchall()) == 6
    assert con.execute("select a from t").fetchall() == [(1,)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_while_another_thread_is_inside(connect: Connect) -> None:
    con = connect(check_same_thread=False)

    def endless() -> None:
        with pytest.raises(wasqlite.OperationalError, match=r"^interrupted$"):
            con.execute(ENDLESS)

    query = threading.Thread(target=endless)
    query.start()
    time.sleep(0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(20)
        code = 1
        try:
            with pytest.raises(wasqlite.ProgrammingError, match="fork"):
                con.execute("select 1")
            con.close()
            fresh = wasqlite.connect(":memory:")
            code = 0 if fresh.execute("select 7").fetchone() == (7,) else 3
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    while query.is_alive():  # more than once: an interrupt that comes before the query has begun is lost
        con.interrupt()
        query.join(0.05)
    assert status == 0


def test_closing_inside_a_callback_is_refused(con: wasqlite.Connection) -> None:
    def close(number: int, frame: object) -> None:
        con.close()

    former = signal.signal(signal.SIGUSR1, close)
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises(wasqlite.ProgrammingError, match="inside one of its own callbacks"):
            con.execute(ENDLESS)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, former)
    assert con.execute("select 1").fetchall() == [(1,)]


def test_dropped_connection_is_collected(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(10):
            con = wasqlite.connect(tmp_path / "x.db")
            con.execute("select 1").fetchone()
            con.execute("select * from sqlite_master").fetchone()
        del con
        gc.collect()
    if sys.platform == "linux":
        assert len(list(Path("/proc/self/fd").iterdir())) <= before


@pytest.mark.skipif(sys.version_info < (3, 13), reason="as in the stdlib")
def test_unclosed_connection_warns() -> None:
    con = wasqlite.connect(":memory:")
    with pytest.warns(ResourceWarning, match=r"^unclosed database in <wasqlite.Connection object at 0x"):
        del con
