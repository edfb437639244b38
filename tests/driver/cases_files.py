"""Oracle cases: files, good and bad, and that the connection stays usable."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from oracle import Case, Subject

CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


def made(s: Subject, name: str = "x.db", rows: int = 2000) -> Path:
    """A database written by the stdlib's module."""
    path = s.folder / name
    con = sqlite3.connect(path)
    con.execute("create table t(a, b)")
    con.executemany("insert into t values(?, ?)", ((i, f"row {i}") for i in range(rows)))
    con.commit()
    con.close()
    return path


@case
def a_directory(s: Subject) -> Any:
    return s.connect(str(s.folder))


@case
def a_missing_folder(s: Subject) -> Any:
    return s.connect(s.folder / "no" / "x.db")


@case
def a_file_as_folder(s: Subject) -> Any:
    return s.connect(made(s) / "x.db")


@case
def an_empty_file(s: Subject) -> Any:
    path = s.folder / "empty.db"
    path.touch()
    con = s.connect(path)
    return con.execute("select count(*) from sqlite_master").fetchall(), con.execute("create table t(a)")


@case
def a_read_only_file(s: Subject) -> Any:
    path = made(s)
    path.chmod(0o444)
    con = s.connect(f"file:{path}?mode=ro", uri=True)
    seen = [
        s.attempt(lambda: con.execute("insert into t values(1, 2)")),
        s.attempt(lambda: con.execute("create table u(a)")),
    ]
    return seen, con.execute("select count(*) from t").fetchall(), con.in_transaction


@case
def not_a_database(s: Subject) -> Any:
    path = s.folder / "x.txt"
    path.write_text("this is not a database at all, but it is long enough\n" * 100)
    con = s.connect(path)
    actions = ["select * from sqlite_master", "create table t(a)", "pragma integrity_check"]
    return [s.attempt(lambda q=q: con.execute(q).fetchall()) for q in actions]


@case
def select_without_table_on_a_bad_file(s: Subject) -> Any:
    path = s.folder / "x.txt"
    path.write_bytes(b"this is not a database" * 100)
    return s.connect(path).execute("select 1").fetchall()


@case
def too_short_for_a_database(s: Subject) -> Any:
    path = s.folder / "x.txt"
    path.write_bytes(b"hello")
    con = s.connect(path)
    return [
        s.attempt(lambda q=q: con.execute(q).fetchall()) for q in ("select * from sqlite_master", "create table t(a)")
    ]


@case
def a_truncated_database(s: Subject) -> Any:
    path = made(s)
    os.truncate(path, path.stat().st_size // 8192 * 4096)
    con = s.connect(path)
    actions = ["select count(*), sum(a) from t", "insert into t values(1, 2)", "select * from t where a = 5"]
    return [s.attempt(lambda q=q: con.execute(q).fetchall()) for q in actions]


@case
def a_damaged_page(s: Subject) -> Any:
    path = made(s)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    con = s.connect(path)
    return [
        s.attempt(lambda q=q: con.execute(q).fetchall())
        for q in ("select count(*) from t", "select b from t", "select 1")
    ]


@case
def reading_what_native_wrote(s: Subject) -> Any:
    con = s.connect(made(s))
    return con.execute("select count(*), sum(a), max(b) from t").fetchall(), con.execute(
        "pragma integrity_check"
    ).fetchall()


for kind in (str, Path, os.fsencode, lambda p: os.path.relpath(p)):

    def path_type(s: Subject, kind: Any = kind) -> Any:
        return s.connect(kind(str(made(s)))).execute("select count(*) from t").fetchall()

    CASES[f"path_as_{getattr(kind, '__name__', kind)}"] = path_type

for name in (
    "a b.db",
    "ä日本.db",
    "q?x=1#y.db",
    "100%.db",
    "'quoted'.db",
    "back\\slash.db",
    "line\nbreak.db",
    os.fsdecode(b"\xff.db"),
):
    CASES[f"file_named_{name!r}"] = lambda s, n=name: (
        s.connect(str(made(s, n))).execute("select count(*) from t").fetchall()
    )

URIS = [
    *("file:{}", "file:{}?mode=ro", "file:{}?mode=rw", "file:{}?mode=rwc", "file:{}?mode=memory", "file:{}?mode=zz"),
    *("file:{}?vfs=nope", "file:{}?immutable=1", "file:{}?nolock=1", "file:{}?cache=private", "file:{}?cache=zz"),
    *(
        "file:{}?unknown=1",
        "file://{}",
        "file://localhost{}",
        "file://elsewhere{}",
        "file:{}.no?mode=rw",
        "file:{}.no?mode=ro",
    ),
    *(
        "file::memory:",
        "file:?mode=memory",
        "{}",
        ":memory:",
        "file:{}#fragment",
        "file:{}?mode=ro&mode=rw",
        "file:%00",
    ),
]
for number, uri in enumerate(URIS):

    def with_uri(s: Subject, uri: str = uri) -> Any:
        con = s.connect(uri.format(made(s)), uri=True)
        return [s.attempt(lambda q=q: con.execute(q).fetchall()) for q in ("select count(*) from t", "delete from t")]

    CASES[f"uri_{number}_{uri}"] = with_uri


@case
def uri_when_not_asked_for(s: Subject) -> Any:
    os.chdir(s.folder)
    try:
        s.connect("file:x?mode=memory").execute("create table t(a)")
        return sorted(p.name for p in s.folder.iterdir())
    finally:
        os.chdir("/")


@case
def private_temporary_database(s: Subject) -> Any:
    con = s.connect("")
    con.execute("create table t(a)")
    con.executemany("insert into t values(?)", [(b"x" * 1000,)] * 5000)
    con.commit()
    return con.execute("select count(*) from t").fetchall(), sorted(p.name for p in s.folder.iterdir())


@case
def journal_is_gone_after_commit(s: Subject) -> Any:
    path = made(s)
    con = s.connect(path)
    con.execute("delete from t")
    during = sorted(p.name for p in s.folder.iterdir())
    con.commit()
    return during, sorted(p.name for p in s.folder.iterdir())


@case
def close_rolls_back(s: Subject) -> Any:
    path = made(s)
    con = s.connect(path)
    con.execute("delete from t")
    rows = con.execute("select 1 union all select 2 union all select 3 union all select 4")
    rows.fetchone()
    con.close()
    return sorted(p.name for p in s.folder.iterdir()), s.connect(path).execute("select count(*) from t").fetchall()


@case
def busy_and_no_timeout(s: Subject) -> Any:
    path = made(s)
    one, two = s.connect(path, timeout=0), s.connect(path, timeout=0)
    one.execute("insert into t values(1, 2)")
    seen = [s.attempt(lambda: two.execute("insert into t values(3, 4)")), two.in_transaction]
    seen.append(two.execute("select count(*) from t").fetchall())
    two.rollback()
    one.commit()
    return seen, two.execute("insert into t values(3, 4)").rowcount, two.commit()


@case
def attach_and_join(s: Subject) -> Any:
    made(s, "other.db", 5)
    s.con.execute("attach ? as o", (str(s.folder / "other.db"),))
    return s.con.execute("select * from o.t").fetchall(), s.attempt(lambda: s.con.execute("attach '/no/x' as p"))


@case
def vacuum_in_a_transaction(s: Subject) -> Any:
    con = s.connect(made(s))
    con.execute("delete from t")
    failure = s.attempt(lambda: con.execute("vacuum"))
    con.commit()
    return failure, con.execute("vacuum").fetchall(), con.execute("pragma integrity_check").fetchall()
