"""Connections as values: snapshot, restore, clone."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import wasqlite
from wasqlite.capi import snapshot as capi
from wasqlite.snapshots import Snapshot

Connect = Callable[..., wasqlite.Connection]


@pytest.fixture(params=["in place", "afresh"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to restore: as it is done mostly, and as after the sandbox stopped."""
    if request.param == "afresh":
        monkeypatch.setattr(capi, "put_back", lambda database, saved: None)


@pytest.fixture
def base(con: wasqlite.Connection) -> wasqlite.Connection:
    con.executescript("""
        CREATE TABLE t(a INTEGER PRIMARY KEY, b);
        INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, NULL);
        CREATE INDEX i ON t(b);
    """)
    return con


def rows(con: wasqlite.Connection) -> list[Any]:
    return con.execute("SELECT * FROM t ORDER BY a").fetchall()


BEFORE = [(1, "one"), (2, "two"), (3, None)]


def test_restore_undoes_everything(base: wasqlite.Connection, way: None) -> None:
    taken = base.snapshot()
    for _ in range(3):
        base.execute("DELETE FROM t WHERE a < 3")
        base.execute("CREATE TABLE u(x)")
        base.executemany("INSERT INTO u VALUES (?)", [(n,) for n in range(1000)])
        base.commit()
        base.execute("DROP TABLE t")
        base.execute("PRAGMA foreign_keys = ON")
        base.restore(taken)
        assert rows(base) == BEFORE
        assert base.execute("SELECT count(*) FROM sqlite_schema").fetchall() == [(2,)]
        assert base.execute("PRAGMA foreign_keys").fetchall() == [(0,)]
        assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_clone_and_its_original_go_their_own_ways(base: wasqlite.Connection) -> None:
    with_clone = base.clone()
    with_clone.execute("INSERT INTO t VALUES (4, 'four')")
    base.execute("DELETE FROM t WHERE a = 1")
    second = with_clone.clone()
    second.execute("UPDATE t SET b = 'x'")
    assert rows(base) == BEFORE[1:]
    assert rows(with_clone) == [*BEFORE, (4, "four")]
    assert rows(second) == [(n, "x") for n in (1, 2, 3, 4)]
    with_clone.close()
    second.close()
    assert rows(base) == BEFORE[1:]


def test_a_snapshot_outlives_its_connection(connect: Connect) -> None:
    con = connect()
    con.execute("CREATE TABLE t(a)")
    taken = con.snapshot()
    con.close()
    del con
    gc.collect()
    for _ in range(2):
        other = taken.connect()
        other.execute("INSERT INTO t VALUES (1)")
        assert rows(other) == [(1,)]
        other.close()


def test_an_open_transaction_stays_open(base: wasqlite.Connection, way: None) -> None:
    base.execute("INSERT INTO t VALUES (4, 'four')")
    base.execute("SAVEPOINT s")
    base.execute("INSERT INTO t VALUES (5, 'five')")
    taken = base.snapshot()
    assert base.in_transaction
    base.commit()
    assert not base.in_transaction
    other = taken.connect()
    for con in (other, base):
        con.restore(taken)
        assert con.in_transaction
        assert len(rows(con)) == 5
        con.execute("ROLLBACK TO s")
        assert len(rows(con)) == 4
        con.rollback()
        assert rows(con) == BEFORE
    other.close()


def test_restore_ends_a_transaction_that_was_not_there(base: wasqlite.Connection, way: None) -> None:
    taken = base.snapshot()
    base.execute("INSERT INTO t VALUES (4, 'four')")
    assert base.in_transaction
    base.restore(taken)
    assert not base.in_transaction
    assert base.total_changes == 3
    base.execute("INSERT INTO t VALUES (4, 'other')")
    base.commit()
    assert len(rows(base)) == 4


def test_autocommit_and_the_attributes_come_back(connect: Connect, way: None) -> None:
    con = connect(autocommit=False, isolation_level="IMMEDIATE")
    con.row_factory = wasqlite.Row
    con.execute("CREATE TABLE t(a)")
    con.commit()
    taken = con.snapshot()
    assert con.in_transaction
    con.autocommit = True
    con.isolation_level = None
    con.row_factory = None
    con.text_factory = bytes
    other = taken.connect()
    con.restore(taken)
    for each in (con, other):
        assert (each.autocommit, each.isolation_level, each.in_transaction) == (False, "IMMEDIATE", True)
        assert (each.row_factory, each.text_factory) == (wasqlite.Row, str)
        assert each.execute("SELECT 'x' AS y").fetchone()["y"] == "x"
        each.execute("INSERT INTO t VALUES (1)")
        each.rollback()
        assert each.in_transaction
    other.close()


def test_detect_types_and_the_size_of_the_cache_go_along(connect: Connect) -> None:
    con = connect(detect_types=wasqlite.PARSE_COLNAMES, cached_statements=3)
    wasqlite.register_converter("doubled", lambda data: 2 * int(data))
    try:
        other = con.clone()
        assert other.execute('SELECT 21 AS "n [doubled]"').fetchall() == [(42,)]
        assert other._cache.size == 3
        other.close()
    finally:
        wasqlite.converters.pop("DOUBLED")


def test_functions_collations_and_hooks_work_in_a_clone(base: wasqlite.Connection) -> None:
    class Sum:
        def __init__(self) -> None:
            self.n = 0

        def step(self, value: int) -> None:
            self.n += value

        def inverse(self, value: int) -> None:
            self.n -= value

        def value(self) -> int:
            return self.n

        finalize = value

    traced: list[str] = []
    refused: list[Any] = []
    base.create_function("double", 1, lambda value: 2 * value)
    base.create_function("joined", -1, lambda *values: "-".join(map(str, values)))
    base.create_aggregate("total_of", 1, Sum)
    base.create_window_function("running", 1, Sum)
    base.create_collation("backwards", lambda a, b: (a < b) - (a > b))
    base.set_trace_callback(traced.append)

    def authorize(action: int, *names: Any) -> int:
        if action == wasqlite.SQLITE_DELETE and names[0] == "t":
            refused.append(names[0])
            return wasqlite.SQLITE_DENY
        return wasqlite.SQLITE_OK

    base.set_authorizer(authorize)
    base.execute("CREATE TABLE u(x TEXT COLLATE backwards)")
    base.execute("CREATE INDEX ux ON u(x)")
    base.executemany("INSERT INTO u VALUES (?)", [("a",), ("c",), ("b",)])
    base.execute("SELECT double(1), double(1.5), double(2)").fetchall()  # these have lanes

    clone = base.clone()
    for con in (clone, base):
        traced.clear()
        refused.clear()
        assert con.execute("SELECT double(a), double(1.25), joined(a, b, 'x') FROM t").fetchall() == [
            (2, 2.5, "1-one-x"),
            (4, 2.5, "2-two-x"),
            (6, 2.5, "3-None-x"),
        ]
        assert con.execute("SELECT total_of(a) FROM t").fetchall() == [(6,)]
        assert con.execute("SELECT running(a) OVER (ORDER BY a ROWS 1 PRECEDING) FROM t").fetchall() == [
            (1,),
            (3,),
            (5,),
        ]
        con.execute("INSERT INTO u VALUES ('bb')")
        assert con.execute("SELECT x FROM u ORDER BY x").fetchall() == [("c",), ("bb",), ("b",), ("a",)]
        with pytest.raises(wasqlite.DatabaseError, match="not authorized"):
            con.execute("DELETE FROM t")
        assert refused == ["t"]
        assert "SELECT total_of(a) FROM t" in traced
    base.rollback()
    clone.close()


def test_what_a_function_raises_arrives_in_the_clone(base: wasqlite.Connection) -> None:
    def fail(value: Any) -> Any:
        raise ZeroDivisionError(value)

    base.create_function("fail", 1, fail)
    other = base.clone()
    with pytest.raises(wasqlite.OperationalError) as caught:
        other.execute("SELECT fail(7)").fetchall()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    other.close()


def test_functions_are_as_they_were_after_a_restore(base: wasqlite.Connection, way: None) -> None:
    base.create_function("kept", 1, lambda value: ("kept", value)[1] + 100)
    assert base.execute("SELECT kept(1)").fetchall() == [(101,)]
    taken = base.snapshot()
    base.create_function("kept", 1, lambda value: "replaced")
    base.create_function("later", 1, lambda value: value)
    assert base.execute("SELECT kept(1), later(2)").fetchall() == [("replaced", 2)]
    for _ in range(2):
        base.restore(taken)
        assert base.execute("SELECT kept(1), kept(1.5)").fetchall() == [(101, 101.5)]
        with pytest.raises(wasqlite.OperationalError, match="no such function: later"):
            base.execute("SELECT later(1)")
        base.create_function("another", 1, lambda value: -value)
        assert base.execute("SELECT another(3), kept(3)").fetchall() == [(-3, 103)]
        base.create_window_function("kept", 1, None)
        with pytest.raises(wasqlite.OperationalError, match="no such function: kept"):
            base.execute("SELECT kept(1)")


def test_a_progress_handler_works_in_a_clone(base: wasqlite.Connection) -> None:
    base.set_progress_handler(lambda: 1, 1000)
    other = base.clone()
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c"
    for con in (other, base):
        with pytest.raises(wasqlite.OperationalError, match="interrupted"):
            con.execute(endless)
    other.close()


def test_cursors_go_on_after_a_restore(base: wasqlite.Connection, way: None) -> None:
    cursor = base.cursor()
    unread = base.execute("SELECT a FROM t, (SELECT 1 UNION SELECT 2)")
    first = unread.fetchone()
    taken = base.snapshot()
    assert sorted([first, *unread.fetchall()]) == [(1,), (1,), (2,), (2,), (3,), (3,)]
    cursor.execute("SELECT * FROM t ORDER BY a")
    half_read = base.execute("SELECT a FROM t, (SELECT 1 UNION SELECT 2)")
    half_read.fetchone()
    base.restore(taken)
    for each in (cursor, unread, half_read):
        assert each.execute("SELECT a FROM t WHERE a = ?", (2,)).fetchall() == [(2,)]
        each.executemany("INSERT INTO t VALUES (?, ?)", [(9, "nine")])
        base.rollback()
    del unread, half_read, cursor
    gc.collect()
    assert rows(base) == BEFORE


def test_the_rest_of_a_result_is_gone_after_a_restore(base: wasqlite.Connection, way: None) -> None:
    taken = base.snapshot()
    base.executemany("INSERT INTO t(b) VALUES (?)", [("x" * 1000,)] * 5000)
    cursor = base.execute("SELECT * FROM t")
    cursor.fetchone()
    base.restore(taken)
    with pytest.raises(wasqlite.ProgrammingError):
        cursor.fetchall()
    assert rows(base) == BEFORE


def test_statements_of_before_do_no_harm_afterwards(base: wasqlite.Connection, way: None) -> None:
    taken = base.snapshot()
    held = [base(f"SELECT {n}") for n in range(50)]
    cursors = [base.execute(f"SELECT a, {n} FROM t") for n in range(50)]
    base.restore(taken)
    mine = [base.execute(f"SELECT a + {n} FROM t") for n in range(50)]
    held.clear()
    cursors.clear()
    gc.collect()
    assert [cursor.fetchall() for cursor in mine] == [[(1 + n,), (2 + n,), (3 + n,)] for n in range(50)]


def test_an_aggregate_under_way_is_given_up(base: wasqlite.Connection, way: None) -> None:
    finished: list[int] = []

    class Count:
        def __init__(self) -> None:
            self.n = 0

        def step(self, value: Any) -> None:
            self.n += 1

        inverse = step

        def value(self) -> int:
            return self.n

        def finalize(self) -> int:
            finished.append(self.n)
            return self.n

    base.create_window_function("counted", 1, Count)
    cursor = base.execute("SELECT counted(a) OVER (ORDER BY a) FROM t, (SELECT 1 UNION SELECT 2 UNION SELECT 3)")
    cursor.fetchone()
    taken = base.snapshot()
    cursor.fetchall()
    finished.clear()
    other = taken.connect()
    base.restore(taken)
    assert finished == []
    for con in (other, base):
        assert con.execute("SELECT counted(a) FROM t").fetchall() == [(3,)]
    other.close()


def test_a_blob_that_was_open_is_closed(base: wasqlite.Connection, way: None) -> None:
    base.execute("DROP INDEX i")
    base.execute("UPDATE t SET b = zeroblob(100) WHERE a = 1")
    base.commit()
    blob = base.blobopen("t", "b", 1)
    blob.write(b"before")
    taken = base.snapshot()
    blob.write(b", later")
    other = taken.connect()
    base.restore(taken)
    with pytest.raises(wasqlite.ProgrammingError):
        blob.read(1)
    for con in (other, base):
        with con.blobopen("t", "b", 1) as again:
            assert again.read(13) == b"before" + bytes(7)
        con.execute("DROP TABLE t")  # nothing holds it
    other.close()


def test_full_text_and_temporary_tables(connect: Connect, way: None) -> None:
    con = connect()
    con.executescript("""
        CREATE VIRTUAL TABLE texts USING fts5(body);
        INSERT INTO texts VALUES ('the quick brown fox'), ('jumps over'), ('the lazy dog');
        CREATE TEMP TABLE scratch(a);
        INSERT INTO scratch VALUES (1), (2);
        CREATE TEMP VIEW v AS SELECT body FROM texts WHERE texts MATCH 'the';
        CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1);
        INSERT INTO boxes VALUES (1, 0, 10), (2, 20, 30);
        ATTACH ':memory:' AS other;
        CREATE TABLE other.o AS SELECT 'o' AS o;
    """)
    taken = con.snapshot()
    con.execute("INSERT INTO texts VALUES ('the end')")
    con.execute("DELETE FROM scratch")
    con.commit()
    clone = taken.connect()
    con.restore(taken)
    for each in (con, clone):
        assert len(each.execute("SELECT * FROM v").fetchall()) == 2
        assert each.execute("SELECT a FROM scratch").fetchall() == [(1,), (2,)]
        assert each.execute("SELECT id FROM boxes WHERE x0 > 15").fetchall() == [(2,)]
        assert each.execute("SELECT o FROM other.o").fetchall() == [("o",)]
        each.execute("INSERT INTO texts VALUES ('one more fox')")
        assert each.execute("SELECT count(*) FROM texts('fox')").fetchall() == [(2,)]
    clone.close()


def test_a_hundred_thousand_rows(connect: Connect) -> None:
    con = connect()
    con.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL)")
    con.executemany("INSERT INTO t VALUES (?, ?, ?)", ((n, f"row {n}", n / 2) for n in range(100_000)))
    con.commit()
    taken = con.snapshot()
    digest = con.execute("SELECT count(*), sum(a), sum(length(b)), sum(c) FROM t").fetchall()
    clones = [taken.connect() for _ in range(3)]
    for number, clone in enumerate(clones):
        clone.execute("DELETE FROM t WHERE a % 3 = ?", (number,))
        clone.commit()
        clone.execute("VACUUM")
    con.execute("UPDATE t SET b = b || b")
    con.restore(taken)
    assert con.execute("SELECT count(*), sum(a), sum(length(b)), sum(c) FROM t").fetchall() == digest
    assert [clone.execute("SELECT count(*) FROM t").fetchall() for clone in clones] == [
        [(66666,)],
        [(66667,)],
        [(66667,)],
    ]
    for clone in (con, *clones):
        assert clone.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        clone.close()


def test_restoring_often_does_not_use_memory_up(base: wasqlite.Connection) -> None:
    taken = base.snapshot()
    database = base._database
    assert database is not None
    sizes = []
    for _ in range(5):
        base.execute("INSERT INTO t VALUES (4, zeroblob(?))", (9_000_000,))
        base.restore(taken)
        database.memory.refresh()
        sizes.append(database.memory.size)
    assert sizes[0] > taken._saved.guest.size
    assert sizes == sizes[:1] * 5
    assert rows(base) == BEFORE


def test_random_numbers_differ(base: wasqlite.Connection, way: None) -> None:
    base.execute("SELECT random()").fetchall()  # so that the generator is seeded
    taken = base.snapshot()
    seen = [base.execute("SELECT random()").fetchall()]
    for _ in range(2):
        other = taken.connect()
        base.restore(taken)
        seen += [con.execute("SELECT random()").fetchall() for con in (other, base)]
        other.close()
    assert len({row[0][0] for row in seen}) == len(seen)


def test_a_snapshot_of_another_connection_can_be_restored(connect: Connect) -> None:
    first, second = connect(), connect()
    first.execute("CREATE TABLE t(a)")
    first.create_function("f", 0, lambda: "first")
    second.execute("CREATE TABLE u(a)")
    second.restore(first.snapshot())
    assert second.execute("SELECT name, f() FROM sqlite_schema").fetchall() == [("t", "first")]


def test_after_the_sandbox_stopped(base: wasqlite.Connection) -> None:
    taken = base.snapshot()
    database = base._database
    assert database is not None
    with pytest.raises(Exception, match="out of bounds"):
        database.instance.function("wsq_reset")(0xFFFF_FFF0)
    with pytest.raises(wasqlite.InternalError):
        rows(base)
    with pytest.raises(wasqlite.InternalError):
        base.snapshot()
    base.restore(taken)
    assert rows(base) == BEFORE


class Mine(wasqlite.Connection):
    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.tag = ["tag"]


def test_a_clone_has_the_class_and_attributes_of_a_copy(connect: Connect) -> None:
    con = connect(factory=Mine)
    assert isinstance(con, Mine)
    other = con.clone()
    assert type(other) is Mine
    assert other.tag is con.tag
    other.close()


def test_in_another_thread(base: wasqlite.Connection) -> None:
    taken = base.snapshot()
    seen: list[Any] = []

    def work() -> None:
        mine = taken.connect()
        seen.append(rows(mine))
        mine.close()
        try:
            base.restore(taken)
        except wasqlite.ProgrammingError as error:
            seen.append(str(error)[:30])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [BEFORE, "SQLite objects created in a th"]


def test_other_threads_at_work_see_one_state_or_a_closed_database(connect: Connect, way: None) -> None:
    con = connect(check_same_thread=False)
    con.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    con.executemany("INSERT INTO t VALUES (?, ?)", [(n, str(n)) for n in range(100)])
    con.commit()
    taken = con.snapshot()
    wrong: list[Any] = []
    done = threading.Event()

    def work(number: int) -> None:
        while not done.is_set():
            try:
                found = con.execute("SELECT b FROM t WHERE a = ?", (number,)).fetchall()
                if found != [(str(number),)]:
                    wrong.append(found)
                con.execute("UPDATE t SET b = b WHERE a = ?", (number,))
                con.commit()
            except (wasqlite.ProgrammingError, wasqlite.OperationalError) as error:
                if "closed database" not in str(error) and "transaction" not in str(error):
                    wrong.append(error)
            except BaseException as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        con.restore(taken)
    done.set()
    for thread in threads:
        thread.join()
    assert wrong[:5] == []
    con.restore(taken)
    assert con.execute("SELECT count(*) FROM t").fetchall() == [(100,)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_in_the_child_of_a_fork(base: wasqlite.Connection) -> None:
    taken = base.snapshot()
    child = os.fork()
    if not child:
        code = 1
        try:
            try:
                base.restore(taken)
            except wasqlite.ProgrammingError:
                mine = taken.connect()
                mine.execute("DELETE FROM t")
                code = 0 if rows(mine) == [] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert rows(base) == BEFORE


# -- refused -------------------------------------------------------------------------------------------------------


def test_a_file_has_no_snapshot(connect: Connect, tmp_path: Path) -> None:
    con = connect(tmp_path / "file.db")
    for operation in (con.snapshot, con.clone):
        with pytest.raises(wasqlite.NotSupportedError, match=r"files that are open: b'.*file\.db'"):
            operation()
    con.execute("CREATE TABLE t(a)")


def test_nor_has_what_attached_one(base: wasqlite.Connection, tmp_path: Path) -> None:
    taken = base.snapshot()
    base.execute("ATTACH ? AS f", (str(tmp_path / "file.db"),))
    base.execute("CREATE TABLE f.x AS SELECT 1 AS y")
    base.commit()
    with pytest.raises(wasqlite.NotSupportedError, match=r"file\.db"):
        base.snapshot()
    base.execute("INSERT INTO f.x VALUES (2)")
    base.restore(taken)  # and what was open there is closed properly
    assert rows(base) == BEFORE
    assert base.execute("PRAGMA database_list").fetchall() == [(0, "main", "")]
    assert not (tmp_path / "file.db-journal").exists()
    base.execute("ATTACH ? AS f", (str(tmp_path / "file.db"),))
    assert base.execute("SELECT * FROM f.x").fetchall() == [(1,)]


def test_nor_have_temporary_tables_in_a_file(base: wasqlite.Connection) -> None:
    base.execute("CREATE TEMP TABLE large AS SELECT zeroblob(100000) AS x FROM t, t AS u, t AS v, t AS w")
    base.execute("PRAGMA temp.cache_size = 2")
    base.execute("UPDATE large SET x = randomblob(100001)")
    base.commit()
    with pytest.raises(wasqlite.NotSupportedError, match="temp_store"):
        base.snapshot()
    base.execute("DROP TABLE large")
    memory = base.clone() if not base._database.sandbox.open_files() else None  # type: ignore[union-attr]
    if memory is not None:
        memory.close()


def test_shared_memory_has_no_snapshot(connect: Connect) -> None:
    con = connect("file:shared_snapshot?mode=memory&cache=shared", uri=True)
    taken = connect().snapshot()
    with pytest.raises(wasqlite.NotSupportedError, match="other connections share"):
        con.snapshot()
    con.execute("CREATE TABLE t(a)")
    con.restore(taken)  # it leaves the shared database
    assert con.execute("SELECT name FROM sqlite_schema").fetchall() == []


def test_not_from_inside_a_callback(base: wasqlite.Connection) -> None:
    taken = base.snapshot()
    seen: list[Any] = []

    def call() -> int:
        for operation in (base.snapshot, base.clone, lambda: base.restore(taken)):
            try:
                operation()
            except wasqlite.Error as error:
                seen.append((type(error), str(error)[:40]))
        return 1

    base.create_function("call", 0, call)
    assert base.execute("SELECT call()").fetchall() == [(1,)]
    refused = (wasqlite.NotSupportedError, "There can be no snapshot of this connect")
    assert seen == [refused, refused, (wasqlite.ProgrammingError, "Cannot restore a connection from inside ")]
    assert rows(base) == BEFORE


def test_not_while_a_backup_is_under_way(base: wasqlite.Connection, connect: Connect) -> None:
    target = connect()
    seen: list[str] = []

    def progress(status: int, remaining: int, total: int) -> None:
        for con in (base, target):
            try:
                con.snapshot()
            except wasqlite.NotSupportedError as error:
                seen.append(str(error))

    base.backup(target, pages=1, progress=progress)
    assert seen
    assert all("backup is under way" in message for message in seen)
    assert rows(target) == BEFORE
    target.snapshot()


@pytest.mark.parametrize("operation", [lambda c, s: c.snapshot(), lambda c, s: c.restore(s), lambda c, s: c.clone()])
def test_a_closed_connection(base: wasqlite.Connection, operation: Callable[..., Any]) -> None:
    taken = base.snapshot()
    base.close()
    with pytest.raises(wasqlite.ProgrammingError, match="Cannot operate on a closed database"):
        operation(base, taken)


def test_restore_wants_a_snapshot(base: wasqlite.Connection) -> None:
    with pytest.raises(TypeError, match="must be a snapshot, not str"):
        base.restore("x")  # type: ignore[arg-type]


def test_it_says_what_it_takes(base: wasqlite.Connection) -> None:
    taken: Snapshot[wasqlite.Connection] = base.snapshot()
    assert 0 < taken.size < 4 << 20
    assert str(taken.size) in repr(taken)


def test_audit_hooks_hear_of_it() -> None:
    program = (
        "import sys, wasqlite\n"
        "s = wasqlite.connect(':memory:').snapshot()\n"
        "sys.addaudithook(lambda n, a: n.startswith('sqlite3.') and print(n))\n"
        "s.connect()\n"
    )
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("sqlite3.connect\nsqlite3.connect/handle\n", "")


STORM = """
import random, signal, wasqlite

class Struck(Exception):
    pass

def strike(*_):
    if armed:
        raise Struck

armed = []
signal.signal(signal.SIGALRM, strike)
con = wasqlite.connect(":memory:")
con.create_function("f", 1, lambda value: value + 1)
con.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
con.executemany("INSERT INTO t VALUES (?, ?)", [(n, "x" * 50) for n in range(300)])
con.commit()
taken = con.snapshot()
chance = random.Random(7)
hit = 0
for _ in range(600):
    signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-5, 2.5e-3))
    try:
        armed.append(1)
        con.restore(taken)
        con.execute("INSERT INTO t(b) SELECT f(1)")
        other = taken.connect()
        other.execute("SELECT f(a) FROM t").fetchall()
        other.close()
        con.snapshot()
        armed.clear()
    except (Struck, wasqlite.OperationalError):
        armed.clear()
        hit += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    con.restore(taken)
    assert con.execute("SELECT count(*), sum(f(a)) FROM t").fetchone() == (300, 300 * 299 // 2 + 300)
assert hit > 10, hit
print("ok")
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers that signal here")
def test_whatever_a_signal_handler_interrupts_can_be_restored() -> None:
    command = [sys.executable, "-W", "ignore", "-c", STORM]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.stdout == "ok\n", result.stderr[-3000:]


@pytest.fixture
def nothing_leaks() -> Iterator[None]:
    """As many descriptors afterwards as before."""
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_descriptors_and_instances_go_with_their_last_reference(nothing_leaks: None) -> None:
    con = wasqlite.connect(":memory:")
    con.create_function("f", 1, lambda value: value)
    con.execute("CREATE TABLE t(a)")
    for _ in range(50):
        taken = con.snapshot()
        with taken.connect() as other:
            other.execute("SELECT f(1)").fetchall()
        other.close()
        con.restore(taken)
        con.clone().close()
    con.close()
    del con, other, taken
