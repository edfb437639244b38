"""Oracle cases: databases as bytes."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from array import array
from typing import Any

from oracle import Case, Subject

CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


def filled(s: Subject, database: Any = ":memory:", page_size: int = 0, **keywords: Any) -> Any:
    con = s.connect(database, **keywords)
    if page_size:
        con.execute(f"pragma page_size = {page_size}")
    con.execute("create table t(a)")
    con.executemany("insert into t values(?)", [(bytes((65 + i,)) * 4000,) for i in range(10)])
    con.commit()
    return con


def digest(data: Any) -> Any:
    """Size and header, and what native SQLite finds inside; unused bytes differ between SQLite's versions."""
    if not isinstance(data, bytes):
        return data
    with contextlib.closing(sqlite3.connect(":memory:")) as con:
        con.deserialize(data[:18] + b"\1\1" + data[20:])
        return len(data), data[:24], "\n".join(con.iterdump())


def serialized(s: Subject, con: Any, **keywords: Any) -> Any:
    return s.attempt(lambda: digest(con.serialize(**keywords)))


def content(s: Subject, con: Any) -> Any:
    sql = (
        *("pragma page_size", "pragma page_count", "pragma integrity_check", "select type, name from sqlite_master"),
        *("select count(*), count(distinct a), sum(length(a)) from t", "pragma user_version", "pragma journal_mode"),
        *("insert into t values(1)", "select count(*) from t"),
    )
    return [s.attempt(lambda q=q: con.execute(q).fetchall()) for q in sql], s.attempt(con.commit)


for number, name in enumerate(["main", "MAIN", "nope", "temp", "", 5, None, b"main", "\0", "\ud800"]):
    CASES[f"name_{number}"] = lambda s, n=name: serialized(s, filled(s), name=n)
    CASES[f"deserialize_type_of_name_{number}"] = (
        (lambda s, n=name: (s.attempt(lambda: s.con.deserialize(filled(s).serialize(), name=n)), content(s, s.con)))
        if not isinstance(name, str) or name.lower() == "main" or name > "z" or "\0" in name
        else (lambda s, n=name: s.attempt(lambda: s.con.deserialize(5, name=n)))
    )

for size in (512, 1024, 4096, 65536):

    @case
    def page_sizes(s: Subject, size: int = size) -> Any:
        con = filled(s, s.folder / "x.db", size)
        unread = s.connect(s.folder / "x.db")
        same = con.serialize() == (s.folder / "x.db").read_bytes()
        return serialized(s, con), same, serialized(s, unread)

    CASES[f"page_size_{size}"] = CASES.pop("page_sizes")


@case
def in_transaction(s: Subject) -> Any:
    con = filled(s)
    con.execute("insert into t values(zeroblob(50000))")
    seen = [serialized(s, con), con.in_transaction, con.rollback(), serialized(s, con)]
    return seen, content(s, con)


@case
def in_transaction_on_a_file(s: Subject) -> Any:
    con = filled(s, s.folder / "x.db")
    con.execute("insert into t values(zeroblob(50000))")
    inside = con.serialize()
    con.commit()
    # But for the change counter, which is written with the commit.
    return len(inside), inside[200:] == con.serialize()[200:], serialized(s, con)


@case
def temporary_tables(s: Subject) -> Any:
    con = filled(s)
    before = serialized(s, con, name="temp")
    con.execute("create temp table q(a)")
    return before, serialized(s, con, name="temp")


@case
def attached(s: Subject) -> Any:
    con = filled(s)
    con.execute("attach ? as other", (str(s.folder / "other.db"),))
    con.execute("create table other.z(a)")
    con.commit()
    data = con.serialize()
    seen = [serialized(s, con, name="other"), s.attempt(lambda: con.deserialize(data, name="other"))]
    return seen, con.execute("select count(*) from other.t").fetchall(), s.attempt(lambda: con.execute("detach other"))


@case
def locked(s: Subject) -> Any:
    con = filled(s, s.folder / "x.db", timeout=0)
    other = s.connect(s.folder / "x.db", isolation_level=None)
    other.execute("begin exclusive")
    return serialized(s, con), other.execute("rollback").rowcount, serialized(s, con)


@case
def wal(s: Subject) -> Any:
    con = filled(s, s.folder / "x.db")
    con.execute("pragma journal_mode = wal")
    con.execute("insert into t values(1)")
    con.commit()
    data = con.serialize()
    other = s.connect(":memory:")
    return digest(data), s.attempt(lambda: other.deserialize(data)), s.attempt(lambda: other.execute("select * from t"))


@case
def read_only(s: Subject) -> Any:
    filled(s, s.folder / "x.db").close()
    con = s.connect(f"file:{s.folder}/x.db?mode=ro", uri=True)
    data = con.serialize()
    return digest(data), s.attempt(lambda: con.deserialize(data)), content(s, con)


@case
def not_a_database(s: Subject) -> Any:
    (s.folder / "bad.db").write_bytes(b"nonsense" * 1000)
    return serialized(s, s.connect(s.folder / "bad.db"))


@case
def cut_off(s: Subject) -> Any:
    filled(s, s.folder / "x.db").close()
    data = (s.folder / "x.db").read_bytes()
    (s.folder / "x.db").write_bytes(data[:20000])
    return serialized(s, s.connect(s.folder / "x.db"))


@case
def closed(s: Subject) -> Any:
    con = filled(s)
    con.close()
    bare = s.m.Connection.__new__(s.m.Connection)
    return [
        s.attempt(action)
        for action in (
            *(con.serialize, lambda: con.deserialize(b"x"), lambda: con.deserialize(5), bare.serialize),
            *(lambda: con.serialize(name=5), lambda: bare.deserialize(b"x"), lambda: con.deserialize(b"x", name=5)),
        )
    ]


@case
def another_thread(s: Subject) -> Any:
    seen: list[Any] = []
    data = filled(s).serialize()
    thread = threading.Thread(
        target=lambda: seen.extend([s.attempt(s.con.serialize), s.attempt(lambda: s.con.deserialize(data))])
    )
    thread.start()
    thread.join()
    return seen


DATA: list[Any] = [
    *(
        lambda d: d,
        bytearray,
        memoryview,
        lambda d: array("B", d),
        lambda d: array("I", d),
        lambda d: memoryview(d)[::2],
    ),
    *(lambda d: memoryview(d).cast("B", (2, len(d) // 2)), lambda d: b"", lambda d: "", lambda d: bytearray()),
    *(lambda d: b"x", lambda d: "text", lambda d: "ä" * 9000, lambda d: "\ud800", lambda d: 5, lambda d: None),
    *(lambda d: [1], lambda d: d[:4096], lambda d: d[:5000], lambda d: d + b"more", lambda d: d + bytes(4096)),
    *(lambda d: b"nonsense" * 1000, lambda d: bytes(8192), lambda d: d[:18] + b"\3\3" + d[20:]),
    *(lambda d: d[:16] + b"\2\0" + d[18:], lambda d: d[:4096] + b"\xff" * 40960),
]
for number, changed in enumerate(DATA):

    @case
    def data(s: Subject, changed: Any = changed) -> Any:
        given = changed(filled(s).serialize())
        con = s.connect(":memory:")
        return s.attempt(lambda: con.deserialize(given)), content(s, con)

    CASES[f"data_{number}"] = CASES.pop("data")


@case
def round_trip(s: Subject) -> Any:
    data = filled(s).serialize()
    s.con.deserialize(data)
    same = s.con.serialize() == data
    s.con.execute("insert into t values(1)")
    in_between = s.con.serialize() == data
    s.con.commit()
    grown = serialized(s, s.con)
    s.con.executemany("insert into t values(?)", [(b"y" * 5000,)] * 500)
    s.con.commit()
    return same, in_between, grown, serialized(s, s.con), content(s, s.con)


@case
def twice(s: Subject) -> Any:
    data = filled(s).serialize()
    s.con.deserialize(data)
    s.con.execute("delete from t")
    s.con.commit()
    return s.con.deserialize(data), content(s, s.con)


@case
def in_place_of_a_file(s: Subject) -> Any:
    data = filled(s).serialize()
    con = s.connect(s.folder / "x.db")
    con.execute("create table other(a)")
    con.commit()
    before = (s.folder / "x.db").read_bytes()
    con.deserialize(data)
    return content(s, con), (s.folder / "x.db").read_bytes() == before


@case
def statements_from_before(s: Subject) -> Any:
    # Of another schema cookie: SQLite 3.40.1 would go on with the statement as it was.
    s.con.executescript("create table t(a, b); create table u(a); insert into t values(1, 2)")
    before = s.cur.execute("select * from t").fetchall()
    s.con.deserialize(filled(s).serialize())
    return before, len(s.cur.execute("select * from t").fetchall()), s.cur.description, s.con.total_changes


@case
def after_begin(s: Subject) -> Any:
    con = filled(s)
    data = con.serialize()
    con.execute("begin")
    return s.attempt(lambda: con.deserialize(data)), con.in_transaction, content(s, con)


@case
def backup_of_a_deserialized_one(s: Subject) -> Any:
    s.con.deserialize(filled(s).serialize())
    copy = s.connect(":memory:")
    s.con.backup(copy)
    back = s.attempt(lambda: copy.backup(s.con))
    return back, content(s, copy), content(s, s.con)


@case
def shared_in_memory(s: Subject) -> Any:
    uri = "file:serialize?mode=memory&cache=shared"
    con, other = filled(s, uri, uri=True), s.connect(uri, uri=True, timeout=0)
    data = con.serialize()
    other.execute("delete from t")
    seen = [digest(data), serialized(s, con), s.attempt(lambda: con.deserialize(data))]
    other.rollback()
    return seen, s.attempt(lambda: con.deserialize(data)), con.execute("delete from t").rowcount, serialized(s, other)


@case
def shared_by_memdb(s: Subject) -> Any:
    con = filled(s, "file:/serialize?vfs=memdb", uri=True)
    other = s.connect("file:/serialize?vfs=memdb", uri=True)
    seen = [serialized(s, con), serialized(s, other)]
    return seen, content(s, other), serialized(s, con)
