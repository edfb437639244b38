"""Oracle cases: databases in memory that the connections of a process share."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from typing import Any

from oracle import Case, Subject

CASES: dict[str, Case] = {}
SHARED = "file:one?mode=memory&cache=shared"
MEMDB = "file:/one?vfs=memdb"


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


def of_each(function: Callable[[Subject, str], Any]) -> Callable[[Subject, str], Any]:
    """The case for a shared cache and for the memdb VFS."""
    CASES[f"{function.__name__}_shared_cache"] = lambda s: function(s, SHARED)
    CASES[f"{function.__name__}_memdb"] = lambda s: function(s, MEMDB)
    return function


def pair(s: Subject, uri: str, **keywords: Any) -> tuple[Any, Any]:
    keywords = {"uri": True, "timeout": 0, **keywords}
    one = s.connect(uri, **keywords)
    one.execute("create table t(a)")
    one.execute("insert into t values(1)")
    one.commit()
    return one, s.connect(uri, **keywords)


def rows(con: Any, table: str = "t") -> Any:
    return con.execute(f"select * from {table}").fetchall()


@of_each
def data_is_visible(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri)
    two.execute("insert into t values(2)")
    two.commit()
    return rows(one), rows(two), one.total_changes, two.total_changes, two.in_transaction


@of_each
def uncommitted_data(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri)
    one.execute("insert into t values(2)")
    seen = [s.attempt(lambda: rows(two)), s.attempt(lambda: two.execute("insert into t values(3)")), two.in_transaction]
    one.rollback()
    return seen, rows(two), s.attempt(lambda: two.execute("insert into t values(3)").rowcount), two.commit(), rows(one)


@of_each
def read_uncommitted(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri)
    two.execute("pragma read_uncommitted = 1")
    one.execute("insert into t values(2)")
    return s.attempt(lambda: rows(two)), one.rollback(), rows(two)


@of_each
def other_tables_are_free(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri)
    one.execute("create table u(a)")
    one.commit()
    one.execute("insert into t values(2)")
    return s.attempt(lambda: rows(two, "u")), s.attempt(lambda: two.execute("insert into u values(1)")), one.commit()


@of_each
def schema_locked(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri)
    one.execute("begin")
    one.execute("create table u(a)")
    seen = [s.attempt(lambda: rows(two)), s.attempt(lambda: two.execute("create table v(a)"))]
    one.commit()
    return seen, rows(two, "u"), two.execute("create table v(a)"), rows(one, "v")


@of_each
def reader_holds_a_table(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri)
    one.executemany("insert into t values(?)", [(i,) for i in range(50)])
    one.commit()
    reader = one.execute("select a from t order by rowid")
    first = reader.fetchone()
    seen = [s.attempt(lambda: two.execute("insert into t values(3)")), s.attempt(two.commit), two.in_transaction]
    two.rollback()
    seen.append(s.attempt(lambda: two.execute("drop table t")))
    two.rollback()
    rest = len(reader.fetchall())
    return first, seen, rest, s.attempt(lambda: two.execute("delete from t").rowcount), two.commit(), rows(one)


@of_each
def dropped_cursor_gives_its_lock_back(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri)
    one.executemany("insert into t values(?)", [(i,) for i in range(50)])
    one.commit()
    one.execute("select a from t").fetchone()
    gc.collect()
    return s.attempt(lambda: two.execute("delete from t").rowcount), two.commit()


@of_each
def begin_immediate_twice(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri, isolation_level=None)
    one.execute("begin immediate")
    seen = [s.attempt(lambda: two.execute("begin immediate")), two.in_transaction]
    one.execute("commit")
    return seen, two.execute("begin immediate"), two.execute("rollback")


@of_each
def exclusive(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri, isolation_level=None)
    one.execute("begin exclusive")
    seen = [s.attempt(lambda: rows(two)), s.attempt(lambda: two.execute("begin"))]
    return seen, s.attempt(lambda: two.execute("commit")), one.execute("commit"), rows(two)


@of_each
def scripts_and_many_rows(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri)
    one.execute("insert into t values(2)")
    seen = [
        s.attempt(
            lambda: two.executescript("create temp table x(a); insert into x values(1); insert into t values(5)")
        ),
        s.attempt(lambda: two.executemany("insert into t values(?)", [(7,), (8,)])),
        s.attempt(lambda: rows(two, "x")),
    ]
    two.rollback()
    one.commit()
    two.executescript("insert into t values(5); select * from t; insert into t values(6);")
    two.executemany("insert into t values(?)", [(i,) for i in range(3000)])
    two.commit()
    return seen, one.execute("select count(*), sum(a) from t").fetchall()


@of_each
def gone_with_the_last_connection(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri)
    one.close()
    seen = rows(two)
    two.close()
    three = s.connect(uri, uri=True)
    return seen, s.attempt(lambda: rows(three)), three.execute("create table t(a)")


@of_each
def close_rolls_back(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri)
    one.execute("insert into t values(2)")
    one.close()
    return rows(two), s.attempt(lambda: two.execute("insert into t values(3)"))


@of_each
def names_are_independent(s: Subject, uri: str) -> Any:
    one, _ = pair(s, uri)
    other = s.connect(uri.replace("one", "two"), uri=True, timeout=0)
    seen = s.attempt(lambda: rows(other))
    other.execute("create table t(a)")
    other.execute("insert into t values(20)")
    return seen, rows(one), one.execute("insert into t values(2)"), one.commit(), rows(other)


@of_each
def counters_are_each_connections(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri)
    cursor = two.cursor().execute("insert into t values(10)")
    two.commit()
    two.execute("insert into t values(11)")
    two.commit()
    return cursor.lastrowid, one.total_changes, two.total_changes, one.execute("select changes()").fetchall()


@of_each
def attached_by_another_name(s: Subject, uri: str) -> Any:
    one, _ = pair(s, uri)
    other = s.connect(uri.replace("one", "two"), uri=True, timeout=0)
    other.execute("attach ? as first", (uri,))
    seen = rows(other, "first.t")
    other.execute("insert into first.t values(9)")
    locked = s.attempt(lambda: rows(one))
    other.commit()
    return seen, locked, rows(one), s.attempt(lambda: one.execute(f"attach '{uri}' as again"))


@of_each
def attached_file(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri)
    path = str(s.folder / "x.db")
    for con in (one, two):
        con.execute("attach ? as f", (path,))
    one.execute("create table f.u(a)")
    one.execute("insert into f.u select a from t")
    seen = s.attempt(lambda: two.execute("insert into f.u values(1)"))
    one.commit()
    two.rollback()
    return seen, rows(two, "f.u"), rows(s.connect(path), "u")


@of_each
def temporary_tables_are_private(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri)
    one.execute("create temp table x(a)")
    return s.attempt(lambda: rows(two, "x"))


@of_each
def pragmas(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri, timeout=3)
    names = ["journal_mode", "busy_timeout", "database_list", "foreign_keys", "cache_size", "locking_mode"]
    one.execute("pragma foreign_keys = 1")
    return [(name, con.execute(f"pragma {name}").fetchall()) for name in names for con in (one, two)]


@of_each
def schema_changes_are_seen(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri)
    query = "select * from t"
    before = two.execute(query).fetchall()
    one.execute("alter table t add column b default 5")
    cursor = two.execute(query)
    return before, cursor.description, cursor.fetchall()


@of_each
def vacuum_and_integrity(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri, isolation_level=None)
    return two.execute("vacuum").fetchall(), one.execute("pragma integrity_check").fetchall(), rows(one)


@of_each
def with_block_and_returning(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri)
    with two:
        two.execute("insert into t values(2)")
    return s.attempt(lambda: one.execute("insert into t values(5) returning a").fetchall()), rows(one)


@of_each
def wrong_thread(s: Subject, uri: str) -> Any:
    one, _ = pair(s, uri)
    seen: list[Any] = []

    def work() -> None:
        seen.append(s.attempt(lambda: one.execute("select 1")))
        con = s.m.connect(uri, uri=True)
        seen.append(s.attempt(lambda: rows(con)))
        con.execute("insert into t values(2)")
        con.commit()
        con.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return seen, rows(one)


@of_each
def waits_for_another_thread(s: Subject, uri: str) -> Any:
    """With a busy timeout: a shared cache says at once that it is locked, memdb waits."""
    one, two = pair(s, uri, timeout=60, check_same_thread=False, isolation_level=None)
    one.execute("begin immediate")
    one.execute("insert into t values(2)")
    seen: list[Any] = []

    def commit() -> None:
        one.execute("commit")

    timer = threading.Timer(0.3, commit)
    timer.start()
    seen.append(s.attempt(lambda: two.execute("insert into t values(3)")))
    timer.join()
    one.execute("begin immediate")
    timer = threading.Timer(0.3, commit)
    timer.start()
    script = "create temp table x(a); insert into x values(1); insert into t values(5); insert into x values(2)"
    seen.append(s.attempt(lambda: two.executescript(script)))
    seen.append(s.attempt(lambda: rows(two, "x")))
    timer.join()
    one.execute("begin immediate")
    timer = threading.Timer(0.3, commit)
    timer.start()
    seen.append(s.attempt(lambda: two.executemany("insert into t values(?)", [(10,), (11,), (12,)])))
    timer.join()
    return seen, rows(one)


@of_each
def waits_in_vain(s: Subject, uri: str) -> Any:
    one, two = pair(s, uri, timeout=0.2)
    one.execute("insert into t values(2)")
    return s.attempt(lambda: two.execute("insert into t values(3)")), one.commit(), two.in_transaction, rows(two)


@case
def in_memory_name(s: Subject) -> Any:
    one, two = pair(s, "file::memory:?cache=shared")
    return rows(two), one.close(), rows(two)


@case
def plain_memory_is_private(s: Subject) -> Any:
    one = s.connect("file::memory:", uri=True)
    one.execute("create table t(a)")
    two, three = s.connect("file::memory:", uri=True), s.connect("file::memory:?cache=shared", uri=True)
    return s.attempt(lambda: rows(two)), s.attempt(lambda: rows(three))


@case
def two_vfs_one_name(s: Subject) -> Any:
    one, two = pair(s, "file:/one?vfs=memdb"), pair(s, "file:/one?mode=memory&cache=shared")
    one[0].execute("insert into t values(2)")
    one[0].commit()
    return rows(one[1]), rows(two[1])


# Which of them name the database that the first one names, and which are errors.
SPELLINGS = [
    *(
        "file:n?mode=memory&cache=shared",
        "file:n?cache=shared&mode=memory",
        "file:n?mode=memory",
        "file:n?cache=private",
    ),
    *("file:%6e?mode=memory&cache=shared", "file:n?mode=%6demory&cache=shared", "file:n?mode=memory&cache=shared#x"),
    *("file:n%00x?mode=memory&cache=shared", "file:n?mode=memory&cache=shared&cache=private", "file:?mode=memory"),
    *("file:n?mode=memory&cache=private&cache=shared", "file:n?x=%26mode=rw&mode=memory&cache=shared"),
    *("file:n?mode=memory&cache=shared%00zz", "file:n?mode=memory&cache=sharedzz", "file:n?mode=memory&cache="),
    *(
        "file:n?MODE=memory&cache=shared&vfs=memdb",
        "file:n?mode=Memory&cache=shared",
        "file:n?mode=memory&cache=Shared",
    ),
    *(
        "file:n?=3&mode=memory&cache=shared",
        "file:n?&&mode=memory&cache=shared",
        "file:n?%00=3&mode=memory&cache=shared",
    ),
    *("file:N?mode=memory&cache=shared", "file:./n?mode=memory&cache=shared", "file:/n?mode=memory&cache=shared"),
    *(
        "file:///n?mode=memory&cache=shared",
        "file://localhost/n?mode=memory&cache=shared",
        "file:?mode=memory&cache=shared",
    ),
    *(
        "file://elsewhere/n?mode=memory&cache=shared",
        "file:n?mode=memory&cache=shared&mode=memory",
        "file:%?mode=memory",
    ),
    *("file:/n?vfs=memdb", "file:%2fn?vfs=memdb", "file:/n?vfs=memdb&mode=memory", "file:/n?vfs=memdb&cache=shared"),
    *(
        "file:///n?vfs=memdb",
        "file:\\n?vfs=memdb",
        "file:n?vfs=memdb",
        "file:/?vfs=memdb",
        "file:n?vfs=memdb&cache=shared",
    ),
    *("file:/n?vfs=nope&vfs=memdb", "file:/n?vfs=memdb&vfs=nope", "file:/n?vfs=MEMDB", "file:/n%00?vfs=memdb"),
    *("file::memory:?cache=shared", "file::memory:?cache=shared&mode=ro", "file::memory:?vfs=memdb&cache=shared"),
    *("file::memory:", ":memory:", "file:%3Amemory:?cache=shared", "file:ä?mode=memory&cache=shared"),
    *(
        "file:%c3%a4?mode=memory&cache=shared",
        "file:a b+c?mode=memory&cache=shared",
        "file:n?mode=ro&cache=shared&mode=memory",
    ),
    *("file:n?mode=memory&mode=ro&cache=shared", "file:#n?mode=memory&cache=shared", "FILE:n?mode=memory&cache=shared"),
]


def reach(s: Subject, first: str) -> Any:
    """Which spellings see a table that was made through the first."""

    os.chdir(s.folder)
    try:
        try:
            one = s.m.connect(first, uri=True)
        except Exception as error:
            return s.shape_of_error(error)
        try:
            one.execute("create table t(a)")
        except Exception as error:
            one.close()  # or the name would live on with it, read-only, until it is collected
            return s.shape_of_error(error)
        seen: dict[str, Any] = {}
        for spelling in SPELLINGS:
            try:
                two = s.m.connect(spelling, uri=True)
            except Exception as error:
                seen[spelling] = s.shape_of_error(error)
                continue
            seen[spelling] = s.attempt(lambda con=two: con.execute("select count(*) from sqlite_master").fetchall())
            two.close()
        one.close()
        return seen
    finally:
        os.chdir("/")


for number, spelling in enumerate(SPELLINGS):
    CASES[f"spelling_{number}_{spelling}"] = lambda s, spelling=spelling: reach(s, spelling)
