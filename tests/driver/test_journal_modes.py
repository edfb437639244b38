"""Every way of keeping a file, shared with native SQLite: journal modes, page sizes, URI options, big files."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import wasqlite

Connect = Callable[..., wasqlite.Connection]
MODULES = [sqlite3, wasqlite]
MODES = ["DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF"]
PAGE_SIZES = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]
GIB = 1 << 30


def other(module: ModuleType) -> ModuleType:
    return wasqlite if module is sqlite3 else sqlite3


def ok(con: Any, schema: str = "main") -> None:
    assert con.execute(f"pragma {schema}.integrity_check").fetchall() == [("ok",)]


def work(con: Any) -> list[Any]:
    """Transactions that commit and roll back, with a cache that is too small for them: what the table holds then."""
    con.execute("pragma cache_size = 4")
    con.execute("create table if not exists t(id integer primary key, v)")
    con.executemany("insert into t(v) values(?)", [(f"{n}" * 100,) for n in range(300)])
    con.commit()
    con.execute("update t set v = v || 'x' where id % 3 = 0")
    con.commit()
    con.execute("delete from t where id % 7 = 0")
    con.commit()
    return con.execute("select * from t order by id").fetchall()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("synchronous", [0, 1, 2, 3])
def test_modes_and_levels_give_what_native_gives(tmp_path: Path, mode: str, synchronous: int) -> None:
    results = []
    for module in MODULES:
        path = tmp_path / f"{module.__name__}.db"
        with closing(module.connect(path)) as con:
            seen: list[Any] = [con.execute(f"pragma journal_mode = {mode}").fetchone()]
            con.execute(f"pragma synchronous = {synchronous}")
            seen.append(con.execute("pragma synchronous").fetchone())
            seen.append(work(con))
            journal = Path(f"{path}-journal")
            seen.append(journal.stat().st_size if journal.exists() else None)
            if mode != "OFF":
                con.execute("update t set v = 'lost'")
                con.rollback()
                assert con.execute("select count(*) from t where v = 'lost'").fetchone() == (0,)
        seen.append(sorted(file.name.removeprefix(module.__name__) for file in tmp_path.glob(f"{module.__name__}*")))
        seen.append(path.read_bytes()[:92])  # the header up to the version of SQLite
        with closing(other(module).connect(path)) as con:
            ok(con)
            assert con.execute("select * from t order by id").fetchall() == seen[2]
            seen.append(work(con))
        results.append(seen)
    assert results[0] == results[1]


@pytest.mark.parametrize("size", PAGE_SIZES)
@pytest.mark.parametrize("module", MODULES)
def test_page_sizes_are_shared(tmp_path: Path, size: int, module: ModuleType) -> None:
    path = tmp_path / "x.db"
    with closing(module.connect(path)) as con:
        con.execute(f"pragma page_size = {size}")
        rows = work(con)
        assert con.execute("pragma page_size").fetchone() == (size,)
    with closing(other(module).connect(path)) as con:
        assert con.execute("pragma page_size").fetchone() == (size,)
        assert con.execute("select * from t order by id").fetchall() == rows
        more = work(con)
    with closing(module.connect(path)) as con:
        ok(con)
        assert con.execute("select * from t order by id").fetchall() == more
        # VACUUM to the next size.
        con.execute(f"pragma page_size = {512 if size == 65536 else size * 2}")
        con.commit()
        con.execute("vacuum")
        ok(con)
    with closing(other(module).connect(path)) as con:
        ok(con)
        assert con.execute("pragma page_size").fetchone() == (512 if size == 65536 else size * 2,)
        assert con.execute("select * from t order by id").fetchall() == more


@pytest.mark.parametrize("module", MODULES)
def test_exclusive_locking_mode_keeps_the_lock_until_it_ends(tmp_path: Path, module: ModuleType) -> None:
    path = tmp_path / "x.db"
    with (
        closing(module.connect(path, isolation_level=None)) as con,
        closing(other(module).connect(path, timeout=0, isolation_level=None)) as rival,
    ):
        con.execute("create table t(a)")
        assert con.execute("pragma locking_mode = exclusive").fetchone() == ("exclusive",)
        con.execute("insert into t values(1)")
        with pytest.raises(other(module).OperationalError, match="database is locked"):
            rival.execute("select * from t")
        con.execute("insert into t values(2)")
        assert con.execute("pragma locking_mode = normal").fetchone() == ("normal",)
        con.execute("select * from t").fetchall()
        assert rival.execute("select count(*) from t").fetchone() == (2,)
        rival.execute("insert into t values(3)")
        assert con.execute("select count(*) from t").fetchone() == (3,)


def test_exclusive_locking_mode_leaves_the_journal_as_native_does(tmp_path: Path) -> None:
    found = []
    for module in MODULES:
        path = tmp_path / f"{module.__name__}.db"
        seen: list[Any] = []
        with closing(module.connect(path, isolation_level=None)) as con:
            con.execute("pragma locking_mode = exclusive")
            for sql in ("create table t(a)", "insert into t values(1)"):
                con.execute(sql)
                journal = Path(f"{path}-journal")
                seen.append((journal.exists(), journal.exists() and journal.read_bytes()[:8]))
        seen.append(Path(f"{path}-journal").exists())
        found.append(seen)
    assert found[0] == found[1]


def uri(path: Path, options: str) -> str:
    return f"file:{path}?{options}"


def message(module: ModuleType, con: Any, sql: str) -> tuple[str, str]:
    with pytest.raises(module.OperationalError) as caught:
        con.execute(sql)
    return str(caught.value), caught.value.sqlite_errorname


@pytest.mark.parametrize("options", ["mode=ro", "immutable=1", "mode=ro&immutable=1"])
def test_read_only_names(tmp_path: Path, options: str) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as con:
        rows = work(con)
    before = path.read_bytes()
    found = []
    for module in MODULES:
        with closing(module.connect(uri(path, options), uri=True)) as con:
            assert con.execute("select * from t order by id").fetchall() == rows
            found.append(message(module, con, "delete from t"))
    assert found[0] == found[1]
    assert path.read_bytes() == before


def test_read_only_with_a_hot_journal(tmp_path: Path) -> None:
    """mode=ro can still roll back, where the file may be written; an immutable file is taken as it is."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as con:
        rows = work(con)
        con.execute("update t set v = 'y'")
        database, journal = path.read_bytes(), Path(f"{path}-journal").read_bytes()
        con.rollback()
    found = []
    for module in MODULES:
        path.write_bytes(database)
        Path(f"{path}-journal").write_bytes(journal)
        with closing(module.connect(uri(path, "immutable=1"), uri=True)) as con:
            taken = con.execute("select count(*) from t where v = 'y'").fetchone()
        with closing(module.connect(uri(path, "mode=ro"), uri=True)) as con:
            found.append((taken, *message(module, con, "select * from t")))
        with closing(module.connect(path)) as con:
            assert con.execute("select * from t order by id").fetchall() == rows
            ok(con)
    assert found[0] == found[1]


def test_nolock_takes_no_locks(tmp_path: Path, connect: Connect) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as native:
        native.execute("create table t(a)")
        native.execute("begin exclusive")
        con = connect(uri(path, "nolock=1"), uri=True, timeout=0)
        assert con.execute("select count(*) from t").fetchone() == (0,)
        native.execute("rollback")
        con.execute("insert into t values(1)")
        con.commit()
        assert native.execute("select a from t").fetchall() == [(1,)]
        con.execute("insert into t values(2)")
        native.execute("begin exclusive")
        native.execute("rollback")
        con.rollback()


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("mode", MODES)
def test_attached_files_and_their_super_journal(tmp_path: Path, module: ModuleType, mode: str) -> None:
    paths = [tmp_path / name for name in ("x.db", "y.db", "z.db")]
    with closing(module.connect(paths[0], isolation_level=None)) as con:
        for name, path in zip("yz", paths[1:], strict=True):
            con.execute(f"attach ? as {name}", (str(path),))
        for schema in ("main", "y", "z"):
            con.execute(f"pragma {schema}.journal_mode = {mode}")
            con.execute(f"pragma {schema}.cache_size = 3")
            con.execute(f"create table {schema}.t(a, b)")
        for end in ("commit", "rollback") if mode != "OFF" else ("commit",):
            con.execute("begin")
            for schema in ("main", "y", "z"):
                for n in range(50):
                    con.execute(f"insert into {schema}.t values(?, ?)", (n, end * 60))
            con.execute(end)
        assert not [file.name for file in tmp_path.iterdir() if "-mj" in file.name]
    for path in paths:
        with closing(other(module).connect(path)) as con:
            ok(con)
            assert con.execute("select count(*), count(distinct b) from t").fetchone() == (50, 1)


@pytest.mark.parametrize("store", ["file", "memory"])
def test_temporary_databases(tmp_path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    found = []
    for module in MODULES:
        with closing(module.connect(tmp_path / f"{module.__name__}.db", isolation_level=None)) as con:
            con.execute(f"pragma temp_store = {store}")
            con.execute("pragma temp.cache_size = 3")
            con.execute("create temp table t(a unique, b)")
            con.execute("begin")
            for n in range(500):
                con.execute("insert into t values(?, ?)", (n * 7919 % 500, "b" * 300))
            con.execute("savepoint s")
            con.execute("delete from t where a % 2")
            con.execute("rollback to s")
            con.execute("commit")
            ok(con, "temp")
            rows = con.execute("select a from t order by b, a desc").fetchall()
            assert not list((tmp_path / "tmp").iterdir())  # without a name
            found.append(rows)
        # A private database on disk: the empty name.
        with closing(module.connect("")) as con:
            found.append(work(con))
        assert not list((tmp_path / "tmp").iterdir())
    assert found[:2] == found[2:]


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("mode", MODES)
def test_vacuum_and_vacuum_into(tmp_path: Path, module: ModuleType, mode: str) -> None:
    path, copy = tmp_path / "x.db", tmp_path / "copy.db"
    with closing(module.connect(path)) as con:
        con.execute(f"pragma journal_mode = {mode}")
        rows = work(con)
        con.execute("create table big as select zeroblob(1000) from t")
        con.execute("drop table big")
        con.commit()
        before = path.stat().st_size
        con.execute("vacuum")
        assert path.stat().st_size < before
        con.execute("vacuum into ?", (str(copy),))
        with pytest.raises(module.OperationalError, match="output file already exists"):
            con.execute("vacuum into ?", (str(copy),))
    for file in (path, copy):
        with closing(other(module).connect(file)) as con:
            ok(con)
            assert con.execute("select * from t order by id").fetchall() == rows


# -- big files -----------------------------------------------------------------------------------------------------


def grown(path: Path, gib: float) -> None:
    """Make a database as big as that, at once and without using space: its new pages are free ones.

    A list of free pages starts at a trunk page, which is all zeros where it names no leaves and no further trunk; so
    the header is told of the new size and of as many trunks as are used, and the last ones lead far out.
    """
    page = 65536
    count = int(gib * GIB) // page
    trunk = count - 4  # one trunk page with three leaves, at the end of the file
    with closing(sqlite3.connect(path)) as con:
        con.execute(f"pragma page_size = {page}")
        con.execute("create table t(id integer primary key, v blob)")
        con.commit()
        assert con.execute("pragma page_count").fetchone() == (2,)
    # The pages in between are the leaves of trunks, 16,382 each at most; three quarters of a million bytes in all.
    leaves = [n for n in range(3, count + 1) if n != trunk and n != (1 << 30) // page + 1]
    per_trunk = page // 4 - 8
    trunks = [trunk]
    while len(leaves) - (len(trunks) - 1) > per_trunk * len(trunks):
        trunks.append(leaves.pop())
    with path.open("r+b") as file:
        file.truncate(count * page)
        for n, at in enumerate(trunks):
            mine = leaves[-per_trunk:]
            del leaves[-per_trunk:]
            following = trunks[n + 1] if n + 1 < len(trunks) else 0
            words = [following, len(mine), *mine]
            file.seek((at - 1) * page)
            file.write(b"".join(word.to_bytes(4, "big") for word in words))
        assert not leaves
        file.seek(28)
        file.write(count.to_bytes(4, "big"))
        file.seek(32)
        free = count - 2 - 1  # all but the two in use and the one with the lock bytes
        file.write(trunks[0].to_bytes(4, "big") + free.to_bytes(4, "big"))


@pytest.mark.slow
def test_memory_of_the_guest_is_bounded_by_the_cache(tmp_path: Path, connect: Connect) -> None:
    """200 MB pass through a cache of 8 MB: written, read, changed, rolled back and deleted, twice."""
    path = tmp_path / "x.db"
    con = connect(path)
    assert con._database is not None
    memory = con._database.instance.memory
    con.execute("pragma synchronous = off")
    con.execute("pragma cache_size = -8000")
    con.execute("create table t(id integer primary key, v)")
    sizes = []
    for _ in range(2):
        con.execute(
            "insert into t(v) select randomblob(100000)"
            " from (with recursive n(x) as (select 1 union all select x + 1 from n where x < 2000) select x from n)"
        )
        con.commit()
        assert path.stat().st_size > 190_000_000
        assert con.execute("select sum(length(v)) from t").fetchone() == (200_000_000,)
        con.execute("update t set v = zeroblob(100000)")
        con.rollback()
        con.execute("delete from t")
        con.commit()
        sizes.append(memory.size)
    assert sizes[0] < 24_000_000
    assert sizes[1] == sizes[0]
    ok(con)


@pytest.fixture
def sparse(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "big.db"
    with path.open("wb") as file:
        file.truncate(6 * GIB)
    if path.stat().st_blocks * 512 > GIB:
        path.unlink()
        pytest.skip("no sparse files here")
    path.unlink()
    yield path
    path.unlink()


def test_offsets_beyond_four_gib(sparse: Path, connect: Connect) -> None:
    grown(sparse, 5)
    assert sparse.stat().st_size == 5 * GIB
    with closing(sqlite3.connect(sparse)) as native:
        ok(native)
    rows = [(n, bytes([n]) * 300_000) for n in range(20)]
    con = connect(sparse)
    ok(con)
    con.execute("pragma cache_size = 10")
    con.executemany("insert into t values(?, ?)", rows)
    con.commit()
    # The free pages at the end are taken first: the table lives beyond 4 GiB.
    used = con.execute("select max(pageno), min(pageno) from dbstat where name = 't' and pageno > 2").fetchone()
    assert (used[1] - 1) * 65536 > 4 * GIB
    con.execute("update t set v = zeroblob(400000) where id = 3")
    con.rollback()  # of pages that have been written already: the journal is played back beyond 4 GiB
    with closing(sqlite3.connect(sparse)) as native:
        assert native.execute("select * from t").fetchall() == rows
        native.execute("update t set v = zeroblob(300001) where id = 7")
        native.commit()
    assert con.execute("select length(v) from t where id = 7").fetchone() == (300_001,)
    con.execute("insert into t values(100, zeroblob(1000000))")
    con.commit()
    ok(con)
    con.close()
    assert sparse.stat().st_blocks * 512 < GIB // 4
