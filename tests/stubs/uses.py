"""A program that uses the whole interface with its types; ``run.py`` checks it with sqlite3 and with wasqlite.

It is never run. ``assert_type`` says what both must know.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, assert_type


class OwnCursor(sqlite3.Cursor):
    pass


class OwnConnection(sqlite3.Connection):
    def cursor_of_its_own(self) -> OwnCursor:
        return self.cursor(OwnCursor)


def connections(path: str | bytes | os.PathLike[str]) -> None:
    assert_type(sqlite3.connect(path), sqlite3.Connection)
    assert_type(sqlite3.connect(Path("x.db"), timeout=1, isolation_level=None, uri=True), sqlite3.Connection)
    assert_type(sqlite3.connect(":memory:", factory=OwnConnection), OwnConnection)
    con = sqlite3.Connection(":memory:", detect_types=sqlite3.PARSE_DECLTYPES | sqlite3.PARSE_COLNAMES)
    assert_type(con.in_transaction, bool)
    assert_type(con.total_changes, int)
    con.row_factory = sqlite3.Row
    con.row_factory = lambda cursor, row: dict(zip([name for name, *_ in cursor.description], row, strict=True))
    con.row_factory = None
    con.text_factory = bytes
    con.isolation_level = "IMMEDIATE"
    con.isolation_level = None
    with con as inner:
        assert_type(inner, sqlite3.Connection)
    with closing(con):
        con.commit()
        con.rollback()
        con.interrupt()


def cursors(con: sqlite3.Connection) -> None:
    cursor = con.cursor()
    assert_type(cursor, sqlite3.Cursor)
    assert_type(con.cursor(OwnCursor), OwnCursor)
    assert_type(cursor.execute("select ?", (1,)), sqlite3.Cursor)
    assert_type(OwnCursor(con).execute("select :a", {"a": 1}), OwnCursor)
    assert_type(OwnCursor(con).executemany("insert into t values(?)", ([n] for n in range(3))), OwnCursor)
    assert_type(con.execute("select 1"), sqlite3.Cursor)
    assert_type(con.executemany("insert into t values(?)", [(1,), (2,)]), sqlite3.Cursor)
    assert_type(con.executescript("select 1; select 2"), sqlite3.Cursor)
    assert_type(cursor.fetchone(), Any)
    assert_type(cursor.fetchmany(5), list[Any])
    assert_type(cursor.fetchall(), list[Any])
    assert_type(cursor.rowcount, int)
    assert_type(cursor.lastrowid, int | None)
    assert_type(cursor.connection, sqlite3.Connection)
    names: list[str] = [column[0] for column in cursor.description]
    cursor.arraysize = len(names)
    for (value,) in cursor:
        print(value)


def rows(cursor: sqlite3.Cursor) -> None:
    row = sqlite3.Row(cursor, (1, 2))
    assert_type(row["a"], Any)
    assert_type(row[0], Any)
    assert_type(row[:1], tuple[Any, ...])
    assert_type(row.keys(), list[str])
    assert_type(len(row), int)
    values: Iterator[Any] = iter(row)
    print(*values, row == row, hash(row))


class Sum:
    def __init__(self) -> None:
        self.total = 0

    def step(self, value: int) -> None:
        self.total += value

    def inverse(self, value: int) -> None:
        self.total -= value

    def value(self) -> int:
        return self.total

    def finalize(self) -> int:
        return self.total


def callbacks(con: sqlite3.Connection) -> None:
    con.create_function("double", 1, lambda x: 2 * x, deterministic=True)
    con.create_function("double", 1, None)
    con.create_aggregate("total_of", 1, Sum)
    con.create_window_function("window_of", 1, Sum)
    con.create_window_function("window_of", 1, None)
    con.create_collation("backwards", lambda a, b: (a < b) - (a > b))
    con.create_collation("backwards", None)
    con.set_authorizer(lambda action, one, two, database, trigger: sqlite3.SQLITE_OK)
    con.set_authorizer(None)
    con.set_progress_handler(lambda: None, 100)
    con.set_progress_handler(None, 0)
    con.set_trace_callback(print)
    con.set_trace_callback(None)
    sqlite3.enable_callback_tracebacks(True)


def objects(con: sqlite3.Connection, other: sqlite3.Connection) -> None:
    blob = con.blobopen("t", "a", 1, readonly=False, name="main")
    assert_type(blob, sqlite3.Blob)
    assert_type(blob.read(5), bytes)
    assert_type(blob.tell(), int)
    assert_type(len(blob), int)
    blob.write(bytearray(b"x"))
    blob.seek(0, os.SEEK_END)
    blob[0] = 5
    with blob as inner:
        assert_type(inner, sqlite3.Blob)

    def progress(status: int, remaining: int, total: int) -> None:
        print(status, remaining, total)

    con.backup(other, pages=5, progress=progress, name="main", sleep=0.1)
    assert_type(con.serialize(), bytes)
    con.deserialize(memoryview(b"x"), name="main")
    assert_type(con.getlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH), int)
    assert_type(con.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, 5), int)
    dump: Iterator[str] = con.iterdump()
    print(*dump)


class Point:
    def __conform__(self, protocol: type[sqlite3.PrepareProtocol]) -> str:
        return "1;2"


def module() -> None:
    sqlite3.register_adapter(Point, lambda point: "1;2")
    sqlite3.register_converter("point", lambda data: data.split(b";"))
    assert_type(sqlite3.complete_statement("select 1;"), bool)
    assert_type(sqlite3.sqlite_version, str)
    assert_type(sqlite3.apilevel, str)
    print(sqlite3.Binary(b"x"), sqlite3.Date(2020, 1, 1), sqlite3.TimestampFromTicks(0), sqlite3.sqlite_version_info)


def errors(con: sqlite3.Connection) -> None:
    try:
        con.execute("selec")
    except sqlite3.IntegrityError as error:
        assert_type(error.sqlite_errorcode, int)
        assert_type(error.sqlite_errorname, str)
    except con.OperationalError:
        raise
    except (sqlite3.DatabaseError, sqlite3.InterfaceError, sqlite3.Warning):
        raise
