"""Databases in memory that connections share: as the standard library has them, and what is our own about them."""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cases_shared import CASES, MEMDB, SHARED
from oracle import observe

import wasqlite
from wasqlite.bridge import InstancePoisoned, Trap

Connect = Callable[..., wasqlite.Connection]
ENDLESS = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n"
URIS = pytest.mark.parametrize("uri", [SHARED, MEMDB], ids=["shared_cache", "memdb"])
LONG = 60.0


@pytest.mark.parametrize("name", CASES)
def test_same_as_the_stdlib(name: str, tmp_path: Path) -> None:
    gc.collect()  # what an earlier case left open shows there, and does not keep its names alive
    native, ours = (observe(module, CASES[name], tmp_path / module.__name__) for module in (sqlite3, wasqlite))
    if name == "pragmas_memdb":  # SQLite 3.40.1 gives the file's name in database_list, 3.54.1 ''
        native, ours = ({**seen, "outcome": str(seen["outcome"]).replace("/one", "")} for seen in (native, ours))
    assert ours == native


def filled(connect: Connect, uri: str, **keywords: object) -> tuple[wasqlite.Connection, wasqlite.Connection]:
    keywords = {"uri": True, "timeout": 0, "check_same_thread": False, **keywords}
    one = connect(uri, **keywords)
    one.execute("create table t(a)")
    one.execute("insert into t values(1)")
    one.commit()
    return one, connect(uri, **keywords)


@URIS
def test_connections_live_in_one_instance(connect: Connect, uri: str) -> None:
    one, two = filled(connect, uri)
    assert one._database is not None and two._database is not None
    assert one._database.instance is two._database.instance
    private = connect("file::memory:", uri=True)
    assert private._database is not None
    assert private._database.instance is not one._database.instance


@URIS
def test_closing_with_unread_rows_ends_the_transaction(connect: Connect, uri: str) -> None:
    """The stdlib leaves it open, and its locks, until the cursor is dropped."""
    one, two = filled(connect, uri)
    one.execute("insert into t select value from json_each('[1,2,3,4,5]')")
    cursor = one.execute("select a from t")
    one.close()
    assert two.execute("select a from t").fetchall() == [(1,)]
    two.execute("insert into t values(2)")
    with pytest.raises(wasqlite.ProgrammingError, match="closed"):
        cursor.fetchone()


@URIS
def test_statements_of_a_closed_connection_do_not_touch_new_ones(connect: Connect, uri: str) -> None:
    """The guest gives the address of a finalized statement to the next one."""
    one, two = filled(connect, uri)
    cursors = [one.execute(f"select {i}, value from json_each('[1,2,3,4]')") for i in range(20)]
    one.close()
    rows = [two.execute(f"select value + {i} from json_each('[1,2,3,4,5]')") for i in range(20)]
    assert all(cursor.fetchone() == (1 + i,) for i, cursor in enumerate(rows))
    del cursors
    gc.collect()
    assert [cursor.fetchall() for cursor in rows] == [[(n + i,) for n in range(2, 6)] for i in range(20)]


@URIS
def test_dropped_connection_is_closed_by_the_next_operation(connect: Connect, uri: str) -> None:
    one, two = filled(connect, uri)
    three = wasqlite.connect(uri, uri=True)
    three.execute("insert into t values(2)")
    with pytest.raises(wasqlite.OperationalError, match="locked"):
        two.execute("insert into t values(3)")
    two.rollback()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del three
        gc.collect()
    two.execute("insert into t values(3)")
    two.commit()
    assert one.execute("select a from t").fetchall() == [(1,), (3,)]


@URIS
def test_dropped_connections_leave_nothing(uri: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(5):
            one, two = (wasqlite.connect(uri, uri=True) for _ in range(2))
            one.execute("create table t(a)")
            assert two.execute("select * from t").fetchall() == []
            del one, two
            gc.collect()


@URIS
def test_interrupt_hits_only_its_own_connection(connect: Connect, uri: str) -> None:
    one, two = filled(connect, uri)
    two.interrupt()
    assert one.execute(ENDLESS.replace("from n)", "from n limit 400000)")).fetchall() == [(400000,)]
    ended: list[BaseException] = []

    def endless() -> None:
        try:
            one.execute(ENDLESS)
        except wasqlite.OperationalError as error:
            ended.append(error)

    query = threading.Thread(target=endless)
    query.start()
    time.sleep(0.1)
    two.interrupt()
    query.join(0.3)
    assert query.is_alive()
    deadline = time.monotonic() + LONG
    while query.is_alive() and time.monotonic() < deadline:
        one.interrupt()
        query.join(0.05)
    assert [str(error) for error in ended] == ["interrupted"]
    assert two.execute("select a from t").fetchall() == [(1,)]


def test_memdb_writers_in_many_threads_wait_for_each_other(connect: Connect) -> None:
    one, _ = filled(connect, MEMDB, timeout=LONG)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            con = wasqlite.connect(MEMDB, uri=True, timeout=LONG, isolation_level=None)
            for n in range(30):
                con.execute("begin immediate")
                con.execute("update t set a = a + 1 where rowid = 1")
                if n % 3 == number % 3:
                    time.sleep(0.001)
                con.execute("commit")
            con.executemany("insert into t values(?)", [(0,)] * 50)
            con.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * LONG)
    assert failures == []
    assert one.execute("select sum(a), count(*) from t").fetchall() == [(121, 201)]


def test_opening_and_closing_in_many_threads(connect: Connect) -> None:
    """The last connection closes the instance while another thread is about to open in it."""
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for n in range(40):
                con = wasqlite.connect(f"file:{number}?mode=memory&cache=shared", uri=True)
                con.execute("create table t(a)")
                con.execute("insert into t values(?)", (n,))
                assert con.execute("select a from t").fetchall() == [(n,)]
                con.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert failures == []


@URIS
def test_poisoned_sandbox_stops_all_its_connections(connect: Connect, uri: str) -> None:
    one, two = filled(connect, uri)
    private = connect()
    assert one._database is not None
    with pytest.raises(Trap):
        one._database.instance.function("wsq_fetch")(0xFFFF_FFF0, 1, 1)
    for con in (one, two):
        with pytest.raises(wasqlite.InternalError, match="sandbox") as caught:
            con.execute("select a from t")
        assert isinstance(caught.value.__cause__, InstancePoisoned)
    with pytest.raises(wasqlite.InternalError, match="they are lost"):
        wasqlite.connect(uri, uri=True)
    assert private.execute("select 1").fetchall() == [(1,)]
    one.close()
    two.close()
    fresh = connect(uri, uri=True)
    assert fresh.execute("select count(*) from sqlite_master").fetchall() == [(0,)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@URIS
def test_shared_connections_in_a_forked_child(tmp_path: Path, connect: Connect, uri: str) -> None:
    one, two = filled(connect, uri)
    # An attached database has the VFS of the main one unless told.
    one.execute("attach ? as f", (f"file:{tmp_path}/x.db?vfs=wasqlite",))
    one.execute("create table f.u(a)")
    one.execute("insert into f.u values(1)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(30)
        code = 1
        try:
            for con in (one, two):
                with pytest.raises(wasqlite.ProgrammingError, match="fork"):
                    con.execute("select 1")
            one.close()
            fresh = wasqlite.connect(uri, uri=True)
            with pytest.raises(wasqlite.OperationalError, match="no such table"):
                fresh.execute("select * from t")
            two.close()
            fresh.execute("create table t(a)")
            code = 0 if fresh.execute("select * from t").fetchall() == [] else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(wasqlite.OperationalError, match=r"^database is locked$"):
        connect(tmp_path / "x.db", timeout=0).execute("insert into u values(2)")
    one.commit()
    two.execute("insert into t values(2)")
    two.commit()
    assert one.execute("select a from t").fetchall() == [(1,), (2,)]


@pytest.mark.parametrize("quote", ["'", '"', "?", ":name"])
@URIS
def test_attaching_shared_memory_to_a_private_sandbox_is_refused(connect: Connect, uri: str, quote: str) -> None:
    con = connect("file::memory:", uri=True)
    name, parameters = {"?": ("?", (uri,)), ":name": (":name", {"name": uri})}.get(quote, (f"{quote}{uri}{quote}", ()))
    with pytest.raises(wasqlite.NotSupportedError, match="connect to that"):
        con.execute(f"attach {name} as x", parameters)
    if quote == "'":
        with pytest.raises(wasqlite.NotSupportedError, match="connect to that"):
            con.executescript(f"create table t(a); attach {name} as x")
    con.execute("attach 'file:x?mode=memory' as x")
    assert con.execute("select count(*) from x.sqlite_master").fetchall() == [(0,)]


def test_shared_cache_of_a_file_is_as_separate_connections(tmp_path: Path, connect: Connect) -> None:
    uri = f"file:{tmp_path}/x.db?cache=shared"
    one, two = filled(connect, uri)
    one.execute("insert into t values(2)")
    assert two.execute("select a from t").fetchall() == [(1,)]
    one.commit()
    assert two.execute("select a from t").fetchall() == [(1,), (2,)]
