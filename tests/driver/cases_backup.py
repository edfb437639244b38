"""Oracle cases: backups from one connection into another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from oracle import Case, Subject

CASES: dict[str, Case] = {}
ROWS = "select count(*) from t"


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


def filled(s: Subject, database: Any = ":memory:", rows: int = 10, page_size: int = 0, **keywords: Any) -> Any:
    """A connection to a database of 12 pages, if it has 10 rows."""
    con = s.connect(database, **keywords)
    if page_size:
        con.execute(f"pragma page_size = {page_size}")
    con.execute("create table t(a)")
    con.executemany("insert into t values(?)", [(bytes((65 + i % 26,)) * 4000,) for i in range(rows)])
    con.commit()
    return con


def back_up(
    s: Subject,
    source: Any,
    target: Any,
    meanwhile: dict[int, Callable[[], Any]] | None = None,
    **keywords: Any,
) -> Any:
    """The outcome, what the progress callback saw with the outcome of what it did, and the copy."""
    seen: list[Any] = []

    def progress(*arguments: Any) -> None:
        seen.append(arguments)
        action = (meanwhile or {}).get(sum(isinstance(item, tuple) and len(item) == 3 for item in seen))
        if action is not None:
            seen.append([s.attempt(action)])

    outcome = s.attempt(lambda: source.backup(target, progress=progress, **keywords))
    return outcome, seen, s.attempt(lambda: target.in_transaction), content(s, target)


def content(s: Subject, con: Any) -> Any:
    sql = (
        *("pragma page_size", "pragma page_count", "pragma integrity_check", "select type, name from sqlite_master"),
        *("select count(*), count(distinct a), sum(length(a)) from t", "pragma user_version", "pragma encoding"),
    )
    return [s.attempt(lambda q=q: con.execute(q).fetchall()) for q in sql]


ARGUMENTS: list[dict[str, Any]] = [
    *(
        {"pages": pages}
        for pages in (-1, 0, 1, 3, 12, 13, -(2**31), 2**31 - 1, 2**31, -(2**31) - 1, "x", 1.0, None, True)
    ),
    *({"name": name} for name in ("main", "MAIN", "temp", "nope", "", 5, None, "\0", "\ud800")),
    *({"sleep": sleep} for sleep in (0, -1, 1.5, 10**400, float("nan"), float("inf"), 1e300, "x", None)),
]
for number, keywords in enumerate(ARGUMENTS):
    CASES[f"argument_{number}"] = lambda s, k=keywords: back_up(s, filled(s), s.con, **k)

PROGRESS: list[Any] = [None, 5, "x", print, lambda: None, lambda *a: 1 / 0, lambda *a: "ignored", lambda a, b, c: None]
for number, progress in enumerate(PROGRESS):

    @case
    def progress_argument(s: Subject, progress: Any = progress) -> Any:
        source = filled(s)
        return s.attempt(lambda: source.backup(s.con, pages=5, progress=progress)), content(s, s.con)

    CASES[f"progress_{number}"] = CASES.pop("progress_argument")


@case
def targets(s: Subject) -> Any:
    closed = s.connect(":memory:")
    closed.close()
    bare = s.m.Connection.__new__(s.m.Connection)
    wrong = [None, 1, "x", s.cur, s.con, closed, bare]
    return [s.attempt(lambda t=t: s.con.backup(t)) for t in wrong], s.attempt(lambda: s.con.backup(target=filled(s)))


@case
def sources(s: Subject) -> Any:
    closed = s.connect(":memory:")
    closed.close()
    bare = s.m.Connection.__new__(s.m.Connection)
    return [s.attempt(lambda c=c: c.backup(s.con)) for c in (closed, bare)]


@case
def wrong_progress_on_a_wrong_target(s: Subject) -> Any:
    return s.attempt(lambda: s.con.backup(s.con, progress=5)), s.attempt(lambda: s.con.backup(None, progress=5))


@case
def empty_source(s: Subject) -> Any:
    return back_up(s, s.connect(":memory:"), s.con), back_up(s, s.connect(":memory:"), filled(s))


@case
def empty_source_with_a_page_size(s: Subject) -> Any:
    source = s.connect(":memory:")
    source.execute("pragma page_size = 8192")
    return back_up(s, source, s.con)


@case
def over_a_larger_one(s: Subject) -> Any:
    target = filled(s, rows=50)
    target.execute("create table other(a)")
    target.execute("pragma user_version = 5")
    target.commit()
    used = target.execute("select a from t")
    used.fetchall()
    return back_up(s, filled(s), target, pages=5), target.total_changes


@case
def prepared_statements_of_the_target(s: Subject) -> Any:
    s.con.execute("create table t(a, b)")
    s.con.execute("insert into t values(1, 2)")
    s.con.commit()
    before = s.cur.execute("select * from t").fetchall()
    filled(s, rows=1).backup(s.con)
    return before, s.cur.execute("select * from t").fetchall(), s.cur.description


@case
def encoding(s: Subject) -> Any:
    source = s.connect(":memory:")
    source.execute("pragma encoding = 'UTF-16le'")
    source.execute("create table t(a)")
    source.execute("insert into t values('äö')")
    source.commit()
    return back_up(s, source, s.con), s.con.execute("select a from t").fetchall()


@case
def target_in_transaction(s: Subject) -> Any:
    s.con.execute("create table t(a)")
    s.con.execute("insert into t values(1)")
    first = back_up(s, filled(s), s.con)
    s.con.rollback()
    return first, back_up(s, filled(s), s.con)


@case
def target_being_read(s: Subject) -> Any:
    s.con.executescript("create table t(a); insert into t values(1), (2), (3)")
    cursor = s.con.execute("select a from t")
    first = back_up(s, filled(s), s.con)
    cursor.close()
    return first, back_up(s, filled(s), s.con)


@case
def source_being_read(s: Subject) -> Any:
    source = filled(s)
    cursor = source.execute("select length(a) from t")
    return back_up(s, source, s.con, pages=5), cursor.fetchall()


def of_each_kind(function: Callable[[Subject, Any], Any]) -> Callable[[Subject, Any], Any]:
    """A case for a source in memory, in a file, in a file in WAL mode, in a temporary one."""

    def make(s: Subject, kind: str) -> Any:
        path: Any = {"memory": ":memory:", "temporary": ""}.get(kind, s.folder / "source.db")
        source = filled(s, path, timeout=0, check_same_thread=False)
        if kind == "wal":
            source.execute("pragma journal_mode = wal")
            source.execute("update t set a = upper(a)")
            source.commit()
        return source

    for kind in ("memory", "file", "wal", "temporary"):
        CASES[f"{function.__name__}_{kind}"] = lambda s, k=kind: function(s, make(s, k))
    return function


@of_each_kind
def plain(s: Subject, source: Any) -> Any:
    return back_up(s, source, s.con, pages=5), back_up(s, source, s.connect(s.folder / "x.db"), pages=5)


@of_each_kind
def in_transaction(s: Subject, source: Any) -> Any:
    source.execute("insert into t values(1)")
    return back_up(s, source, s.con, {2: source.commit}, sleep=0.001)


@of_each_kind
def reading_transaction(s: Subject, source: Any) -> Any:
    source.execute("begin")
    source.execute(ROWS).fetchall()
    return back_up(s, source, s.con, pages=5), source.in_transaction, source.rollback()


def change(con: Any, sql: str = "insert into t values(zeroblob(9000))") -> Callable[[], Any]:
    def changing() -> None:
        con.execute(sql)
        con.commit()

    return changing


@of_each_kind
def source_changes_itself(s: Subject, source: Any) -> Any:
    return back_up(s, source, s.con, {1: change(source), 3: change(source)}, pages=4)


@of_each_kind
def source_changes_a_copied_page(s: Subject, source: Any) -> Any:
    update = change(source, "update t set a = zeroblob(3000) where rowid = 1")
    return back_up(s, source, s.con, {2: update}, pages=4), s.con.execute("select a from t where rowid = 1").fetchone()


@of_each_kind
def source_shrinks_itself(s: Subject, source: Any) -> Any:
    def shrink() -> None:
        change(source, "delete from t")()
        source.execute("vacuum")

    return back_up(s, source, s.con, {1: shrink}, pages=4)


@of_each_kind
def source_begins_a_transaction(s: Subject, source: Any) -> Any:
    begin = lambda: source.execute("update t set a = 1 where rowid = 1").rowcount  # noqa: E731
    return back_up(s, source, s.con, {1: begin, 3: source.commit}, pages=5, sleep=0.001)


# SQLite starts again after a rollback in WAL mode; ours notices that nothing has changed.
@of_each_kind
def source_rolls_back(s: Subject, source: Any) -> Any:
    def roll_back() -> None:
        source.execute("delete from t")
        source.rollback()

    return back_up(s, source, s.con, {1: roll_back}, pages=4)


del CASES["source_rolls_back_wal"]


@of_each_kind
def source_changes_its_page_size(s: Subject, source: Any) -> Any:
    def vacuum() -> Any:
        source.execute("pragma page_size = 1024")
        source.execute("vacuum")
        return source.execute("pragma page_size").fetchall()

    return back_up(s, source, s.con, {1: vacuum}, pages=5)


@of_each_kind
def used_meanwhile(s: Subject, source: Any) -> Any:
    kept: list[Any] = []
    actions = {
        1: lambda: source.execute(ROWS).fetchall(),
        2: lambda: kept.append(source.execute("select length(a) from t")),
        3: lambda: (source.in_transaction, s.con.in_transaction, source.total_changes),
        4: lambda: kept.pop().fetchall(),
    }
    return back_up(s, source, s.con, actions, pages=2)


@of_each_kind
def nested(s: Subject, source: Any) -> Any:
    third = s.connect(":memory:")
    actions = {1: lambda: source.backup(s.con), 2: lambda: source.backup(third)}
    return back_up(s, source, s.con, actions, pages=4), content(s, third)


@of_each_kind
def progress_raises(s: Subject, source: Any) -> Any:
    def failing(status: int, remaining: int, total: int) -> None:
        if remaining < 5:
            raise ZeroDivisionError("in progress")

    s.con.executescript("create table t(a); insert into t values('before')")
    failed = s.attempt(lambda: source.backup(s.con, pages=2, progress=failing))
    return failed, content(s, s.con), back_up(s, source, s.con)


def by_another(mode: str, action: str) -> Case:
    def run(s: Subject) -> Any:
        source = filled(s, s.folder / "source.db", timeout=0)
        if mode == "wal":
            source.execute("pragma journal_mode = wal")
        other = s.connect(s.folder / "source.db", timeout=0)

        def shrink() -> None:
            change(other, "delete from t")()
            other.execute("vacuum")

        def resize() -> None:
            other.execute("pragma page_size = 1024")
            other.execute("vacuum")

        update = change(other, "update t set a = zeroblob(3000) where rowid = 1")
        actions = {"grow": change(other), "update": update, "shrink": shrink, "resize": resize}
        return back_up(s, source, s.con, {1: actions[action], 3: actions["grow"]}, pages=4)

    return run


for mode in ("delete", "wal"):
    for action in ("grow", "update", "shrink", "resize"):
        CASES[f"another_connection_{action}_{mode}"] = by_another(mode, action)


SIZES = [(512, 512), (1024, 4096), (4096, 1024), (512, 65536), (65536, 512), (8192, 4096), (65536, 65536)]
for source_size, target_size in SIZES:
    for kind in ("memory", "file", "wal"):

        @case
        def page_sizes(s: Subject, sizes: tuple[int, int] = (source_size, target_size), kind: str = kind) -> Any:
            path = ":memory:" if kind == "memory" else s.folder / "target.db"
            target = s.connect(path)
            target.execute(f"pragma page_size = {sizes[1]}")
            if kind == "wal":
                target.execute("pragma journal_mode = wal")
            target.execute("create table old(a)")
            target.executemany("insert into old values(?)", [(b"y" * 5000,)] * 20)
            target.commit()
            seen = back_up(s, filled(s, page_size=sizes[0]), target, pages=7)
            target.close()
            size = path.stat().st_size if kind != "memory" else 0
            return seen, size, content(s, s.connect(path))

        CASES[f"page_sizes_{source_size}_{target_size}_{kind}"] = CASES.pop("page_sizes")


SHARED = "file:{}?mode=memory&cache=shared"
MEMDB = "file:/{}?vfs=memdb"
PLACES = {
    "both_shared": (SHARED, SHARED),
    "source_shared": (SHARED, ":memory:"),
    "target_shared": (":memory:", SHARED),
    "both_memdb": (MEMDB, MEMDB),
    "source_memdb": (MEMDB, ":memory:"),
    "target_memdb": (":memory:", MEMDB),
    "shared_to_memdb": (SHARED, MEMDB),
}


def of_each_place(function: Callable[..., Any]) -> Callable[..., Any]:
    """A case for databases in memory that connections share: source, target, and the URIs of both."""
    for place, uris in PLACES.items():
        shared = uris["target" in function.__name__] != ":memory:"
        if "sibling" in function.__name__ and not shared:
            continue  # nobody else can have it

        def run(s: Subject, uris: tuple[str, str] = uris) -> Any:
            names = [uri.format(f"backup_{number}") for number, uri in enumerate(uris)]
            source = filled(s, names[0], uri=True, timeout=0)
            target = s.connect(names[1], uri=True, timeout=0)
            return function(s, source, target, *names)

        CASES[f"{function.__name__}_{place}"] = run
    return function


@of_each_place
def sharing(s: Subject, source: Any, target: Any, source_name: str, target_name: str) -> Any:
    seen = back_up(s, source, target, {1: change(source), 3: change(source)}, pages=4)
    return seen, content(s, s.connect(target_name, uri=True))


@of_each_place
def sibling_writes_the_source(s: Subject, source: Any, target: Any, source_name: str, target_name: str) -> Any:
    sibling = s.connect(source_name, uri=True, timeout=0)
    return back_up(s, source, target, {1: change(sibling), 3: change(sibling)}, pages=4)


@of_each_place
def sibling_holds_the_source(s: Subject, source: Any, target: Any, source_name: str, target_name: str) -> Any:
    sibling = s.connect(source_name, uri=True, isolation_level=None)
    sibling.execute("begin exclusive")
    sibling.execute("insert into t values(1)")
    return back_up(s, source, target, {3: lambda: sibling.execute("commit").rowcount}, pages=4, sleep=0.001)


@of_each_place
def sibling_holds_the_target(s: Subject, source: Any, target: Any, source_name: str, target_name: str) -> Any:
    sibling = s.connect(target_name, uri=True, isolation_level=None)
    sibling.execute("begin immediate")
    return back_up(s, source, target, {3: lambda: sibling.execute("rollback").rowcount}, pages=4, sleep=0.001)


@of_each_place
def sibling_reads_the_target(s: Subject, source: Any, target: Any, source_name: str, target_name: str) -> Any:
    sibling = s.connect(target_name, uri=True, isolation_level=None, timeout=0)
    reads = [lambda: sibling.execute("select count(*) from sqlite_master").fetchall()] * 2
    return back_up(s, source, target, dict(enumerate(reads, 1)), pages=4, sleep=0.001)


@case
def wal_mode_goes_with_the_pages(s: Subject) -> Any:
    source = filled(s, s.folder / "source.db")
    source.execute("pragma journal_mode = wal")
    target = s.connect(s.folder / "target.db")
    seen = back_up(s, source, target, pages=5)
    mode = target.execute("pragma journal_mode").fetchall()
    target.close()
    return seen, mode, (s.folder / "target.db").read_bytes()[18:20], content(s, s.connect(s.folder / "target.db"))


@case
def attached(s: Subject) -> Any:
    source = filled(s)
    source.execute("attach ? as other", (str(s.folder / "other.db"),))
    source.execute("create table other.t(a)")
    source.executemany("insert into other.t values(?)", [("x" * 5000,)] * 4)
    source.commit()
    detach = lambda: source.execute("detach other")  # noqa: E731
    return back_up(s, source, s.con, {1: detach}, pages=2, name="other"), s.attempt(detach)


@case
def temporary_tables(s: Subject) -> Any:
    source = filled(s)
    source.execute("create temp table t(a)")
    source.execute("insert into temp.t values(5)")
    source.commit()
    return back_up(s, source, s.con, name="temp"), s.con.execute("select a from t").fetchall()


@case
def source_locked(s: Subject) -> Any:
    source = filled(s, s.folder / "source.db", timeout=0)
    other = s.connect(s.folder / "source.db", isolation_level=None)
    other.execute("begin exclusive")
    return back_up(s, source, s.con, {3: lambda: other.execute("rollback").rowcount}, pages=5, sleep=0.001)


@case
def target_locked(s: Subject) -> Any:
    target = filled(s, s.folder / "target.db", timeout=0)
    other = s.connect(s.folder / "target.db", isolation_level=None)
    other.execute("begin immediate")
    return back_up(s, filled(s), target, {3: lambda: other.execute("rollback").rowcount}, pages=5, sleep=0.001)


@of_each_kind
def source_changes_while_the_target_is_locked(s: Subject, source: Any) -> Any:
    target = filled(s, s.folder / "target.db", timeout=0)
    other = s.connect(s.folder / "target.db", isolation_level=None)
    other.execute("begin")
    other.execute(ROWS).fetchall()
    update = change(source, "update t set a = zeroblob(20000)")
    return back_up(s, source, target, {1: update, 2: lambda: other.execute("commit").rowcount}, sleep=0.001)


@case
def target_being_read_by_another(s: Subject) -> Any:
    target = filled(s, s.folder / "target.db", timeout=0)
    other = s.connect(s.folder / "target.db", isolation_level=None)
    other.execute("begin")
    other.execute(ROWS).fetchall()
    actions: dict[int, Callable[[], Any]] = {2: lambda: other.execute("commit").rowcount}
    return back_up(s, filled(s), target, actions, pages=5, sleep=0.001)


@case
def read_only_target(s: Subject) -> Any:
    filled(s, s.folder / "target.db", rows=2).close()
    target = s.connect(f"file:{s.folder}/target.db?mode=ro", uri=True)
    return back_up(s, filled(s), target)


@case
def read_only_source(s: Subject) -> Any:
    filled(s, s.folder / "source.db").close()
    return back_up(s, s.connect(f"file:{s.folder}/source.db?mode=ro", uri=True), s.con)


@case
def not_a_database(s: Subject) -> Any:
    (s.folder / "bad.db").write_bytes(b"not a database" * 500)
    bad = s.connect(s.folder / "bad.db")
    return back_up(s, bad, s.con), back_up(s, filled(s), bad)


@case
def cut_off_source(s: Subject) -> Any:
    filled(s, s.folder / "cut.db").close()
    data = (s.folder / "cut.db").read_bytes()
    (s.folder / "cut.db").write_bytes(data[:20000])
    return back_up(s, s.connect(s.folder / "cut.db"), s.con)


@case
def corrupt_schema(s: Subject) -> Any:
    source = filled(s, s.folder / "source.db")
    source.execute("pragma writable_schema = on")
    source.execute("update sqlite_master set sql = 'create nonsense'")
    source.commit()
    source.close()
    return back_up(s, s.connect(s.folder / "source.db"), s.con)[:3]


@case
def another_thread(s: Subject) -> Any:
    shared = filled(s, check_same_thread=False)
    seen: list[Any] = []

    def act() -> None:
        seen.append(s.attempt(lambda: s.con.backup(shared)))
        # The target's thread is not looked at.
        seen.append(s.attempt(lambda: shared.backup(s.con)))

    thread = threading.Thread(target=act)
    thread.start()
    thread.join()
    return seen, content(s, s.con)


@case
def subclass_as_target(s: Subject) -> Any:
    class Sub(s.m.Connection):  # type: ignore[name-defined,misc]
        pass

    return back_up(s, filled(s), s.connect(":memory:", factory=Sub))


@case
def autocommit_off(s: Subject) -> Any:
    s.con.isolation_level = None
    s.con.execute("begin")
    return back_up(s, filled(s), s.con)


@case
def into_the_same_file(s: Subject) -> Any:
    source = filled(s, s.folder / "x.db")
    target = s.connect(s.folder / "x.db", timeout=0)
    return s.attempt(lambda: source.backup(target, pages=5, progress=lambda status, *_: 1 // (status != 5), sleep=0))
