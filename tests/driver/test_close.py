"""Closing a connection while somebody is using it: a clear error or a wait, never a crash."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import wasqlite

Connect = Callable[..., wasqlite.Connection]
ENDLESS = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n"
SHARED = {"database": "file:close?mode=memory&cache=shared", "uri": True}
NAMES = pytest.mark.parametrize("name", [{}, SHARED], ids=["private", "shared"])
LONG = 60.0


def ended(threads: list[threading.Thread]) -> bool:
    deadline = time.monotonic() + LONG
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)


@NAMES
def test_close_waits_for_a_statement_in_another_thread(connect: Connect, name: dict[str, object]) -> None:
    con = connect(**name, check_same_thread=False)
    other = connect(**name, check_same_thread=False)
    results: list[object] = []

    def query() -> None:
        try:
            results.append(con.execute(ENDLESS.replace("from n)", "from n limit 1500000)")).fetchall())
        except wasqlite.ProgrammingError as error:
            results.append(str(error))

    thread = threading.Thread(target=query)
    thread.start()
    time.sleep(0.1)
    con.close()
    assert ended([thread])
    # The row was there with execute(); to fetch it may come before close() or after.
    assert results in ([[(1500000,)]], ["Cannot operate on a closed database."])
    assert other.execute("select 1").fetchall() == [(1,)]


@NAMES
def test_interrupt_lets_close_through(connect: Connect, name: dict[str, object]) -> None:
    con = connect(**name, check_same_thread=False)
    other = connect(**name, check_same_thread=False)
    messages: list[str] = []

    def query() -> None:
        try:
            con.execute(ENDLESS)
        except wasqlite.OperationalError as error:
            messages.append(str(error))

    thread = threading.Thread(target=query)
    thread.start()
    deadline = time.monotonic() + LONG
    while thread.is_alive() and time.monotonic() < deadline:
        con.interrupt()
        thread.join(0.05)
    con.close()
    assert ended([thread])
    assert messages == ["interrupted"]
    assert other.execute("select 1").fetchall() == [(1,)]


@NAMES
def test_closed_under_threads_that_use_it(connect: Connect, name: dict[str, object]) -> None:
    """Every one of them ends with the error of a closed database, wherever the close struck."""
    others = connect(**name, check_same_thread=False)
    others.execute("create table keep(a)")
    others.execute("insert into keep values(1)")
    others.commit()
    for _ in range(10):
        con = connect(**name, check_same_thread=False, isolation_level=None)
        con.execute("create temp table t(a)")
        unexpected: list[BaseException] = []
        closed: list[str] = []

        def work(
            number: int,
            con: wasqlite.Connection = con,
            unexpected: list[BaseException] = unexpected,
            closed: list[str] = closed,
        ) -> None:
            try:
                while True:
                    con.execute("insert into t values(?)", (number,))
                    cursor = con.execute("select a from t limit 20")
                    cursor.fetchone()
                    con.executemany("insert into t values(?)", [(1,), (2,)])
                    con.executescript("select 1; select 2")
                    cursor.fetchall()
                    con.execute(f"select {number}, {time.monotonic()}").fetchall()
            except wasqlite.ProgrammingError as error:
                closed.append(str(error))
            except BaseException as error:
                unexpected.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.02)
        con.close()
        assert ended(threads)
        assert unexpected == []
        assert closed == ["Cannot operate on a closed database."] * 3
        assert others.execute("select a from keep").fetchall() == [(1,)]


def test_close_while_another_thread_waits_for_a_lock(connect: Connect) -> None:
    """On a shared sandbox the waiting thread is outside of it: it must not go back with a statement that is gone."""
    uri = "file:/close?vfs=memdb"
    one = connect(uri, uri=True, isolation_level=None)
    one.execute("create table t(a)")
    one.execute("begin immediate")
    con = connect(uri, uri=True, check_same_thread=False, timeout=LONG)
    messages: list[str] = []

    def write() -> None:
        try:
            con.execute("insert into t values(1)")
        except wasqlite.ProgrammingError as error:
            messages.append(str(error))

    thread = threading.Thread(target=write)
    thread.start()
    time.sleep(0.2)
    con.close()
    assert ended([thread])
    assert messages == ["Cannot operate on a closed database."]
    one.execute("insert into t values(2)")
    one.execute("commit")
    assert one.execute("select a from t").fetchall() == [(2,)]


@NAMES
def test_close_from_a_parameter_iterator(connect: Connect, name: dict[str, object]) -> None:
    con, other = connect(**name), connect(**name)
    con.execute("create temp table t(a)")

    def parameters() -> Iterator[tuple[int]]:
        yield (1,)
        con.close()
        yield (2,)

    with pytest.raises(wasqlite.ProgrammingError, match=r"^Cannot operate on a closed database\.$"):
        con.executemany("insert into t values(?)", parameters())
    assert other.execute("select 1").fetchall() == [(1,)]


@NAMES
def test_close_while_converting_a_row(connect: Connect, name: dict[str, object]) -> None:
    con, other = connect(**name), connect(**name)

    def close(value: bytes) -> bytes:
        con.close()
        return value

    con.text_factory = close
    cursor = con.execute('select value from json_each(\'["a","b","c","d"]\')')
    with pytest.raises(wasqlite.ProgrammingError, match=r"^Cannot operate on a closed database\.$"):
        cursor.fetchall()
    assert other.execute("select 1").fetchall() == [(1,)]


@NAMES
def test_close_and_use_from_a_signal_handler(connect: Connect, name: dict[str, object]) -> None:
    """While the guest is inside a call, nobody may enter; the message says so and nothing is lost."""
    con, other = connect(**name), connect(**name)
    con.execute("create temp table t(a)")
    con.execute("insert into t values(1)")
    messages: list[str] = []

    def handler(number: int, frame: object) -> None:
        for action in (lambda: con.execute("select 1"), con.close):
            try:
                action()
            except wasqlite.ProgrammingError as error:
                messages.append(str(error))
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            con.execute(ENDLESS)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    assert [("middle of another call" in m, "own callbacks" in m) for m in messages] == [(True, False), (False, True)]
    assert con.execute("select a from t").fetchall() == [(1,)]
    assert other.execute("select 1").fetchall() == [(1,)]


def test_two_threads_each_with_a_query_both_end(tmp_path: Path) -> None:
    """Parallel connections: neither needs the other to end. How much faster it is, bench/threads.py prints."""
    first_is_inside, second_is_done = threading.Event(), threading.Event()
    seen: list[str] = []

    def long() -> None:
        con = wasqlite.connect(tmp_path / "a.db", check_same_thread=False)
        connections.append(con)
        first_is_inside.set()
        try:
            con.execute(ENDLESS)
        except wasqlite.OperationalError as error:
            seen.append(str(error))
        con.close()

    def short() -> None:
        con = wasqlite.connect(tmp_path / "b.db")
        first_is_inside.wait(LONG)
        for _ in range(100):
            assert con.execute(ENDLESS.replace("from n)", "from n limit 1000)")).fetchone() == (1000,)
        con.close()
        second_is_done.set()

    connections: list[wasqlite.Connection] = []
    threads = [threading.Thread(target=work) for work in (long, short)]
    for thread in threads:
        thread.start()
    assert second_is_done.wait(LONG), "the short queries wait for the endless one"
    deadline = time.monotonic() + LONG
    while threads[0].is_alive() and time.monotonic() < deadline:
        connections[0].interrupt() if connections[0]._database is not None else None
        threads[0].join(0.05)
    assert ended(threads)
    assert seen == ["interrupted"]
