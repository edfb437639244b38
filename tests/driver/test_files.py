"""Files shared with native SQLite: what one side writes the other reads, and each respects the other's locks."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

import wasqlite

Connect = Callable[..., wasqlite.Connection]
MODULES = [sqlite3, wasqlite]

HOLDER = """
import importlib, sys
module = importlib.import_module(sys.argv[1])
con = module.connect(sys.argv[2], isolation_level=None)
con.execute(sys.argv[3])
if len(sys.argv) > 4:
    con.execute(sys.argv[4]).fetchone()
print("held", flush=True)
sys.stdin.readline()
con.execute("commit")
con.close()
print("released", flush=True)
"""


class Holder:
    """Another process that holds a lock on a file until it is told to let go."""

    def __init__(self, module: str, path: Path, *statements: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, module, str(path), *statements],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self.expect("held")

    def expect(self, line: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == line

    def release(self) -> None:
        self.process.communicate("\n")


@pytest.fixture
def hold() -> Iterator[Callable[..., Holder]]:
    holders: list[Holder] = []

    def start(*arguments: object) -> Holder:
        holders.append(Holder(*arguments))  # type: ignore[arg-type]
        return holders[-1]

    yield start
    for holder in holders:
        holder.process.kill()
        holder.process.communicate()


def fill(module: ModuleType, path: Path) -> None:
    with closing(module.connect(path)) as con:
        con.executescript("create table t(id integer primary key, v text, r real, b blob); create index i on t(v)")
        con.executemany(
            "insert into t(v, r, b) values(?, ?, ?)", ((f"ä{n}", n / 3, bytes(n % 50)) for n in range(5000))
        )
        con.commit()
        con.execute("delete from t where id % 7 = 0")
        con.execute("update t set v = v || 'x' where id % 5 = 0")
        con.commit()


def contents(module: ModuleType, path: Path) -> tuple[object, object]:
    with closing(module.connect(path)) as con:
        return con.execute("pragma integrity_check").fetchall(), con.execute("select * from t order by id").fetchall()


@pytest.mark.parametrize("writer", MODULES)
@pytest.mark.parametrize("reader", MODULES)
def test_written_here_read_there(tmp_path: Path, writer: ModuleType, reader: ModuleType) -> None:
    path = tmp_path / "x.db"
    fill(writer, path)
    check, rows = contents(reader, path)
    assert check == [("ok",)]
    assert rows == contents(writer, path)[1]


def test_both_sides_write_in_turn(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as native, closing(wasqlite.connect(path)) as ours:
        native.execute("create table t(a)")
        for n in range(50):
            for con in (native, ours):
                con.execute("insert into t values(?)", (n,))
                con.commit()
        assert native.execute("select count(*), sum(a) from t").fetchone() == (100, 2450)
        assert ours.execute("select count(*), sum(a) from t").fetchone() == (100, 2450)
        assert native.execute("pragma integrity_check").fetchone() == ("ok",)
        assert ours.execute("pragma integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize(("holder", "waiter"), [(sqlite3, wasqlite), (wasqlite, sqlite3), (wasqlite, wasqlite)])
def test_busy_after_the_timeout(
    tmp_path: Path, holder: ModuleType, waiter: ModuleType, hold: Callable[..., Holder]
) -> None:
    path = tmp_path / "x.db"
    fill(sqlite3, path)
    other = hold(holder.__name__, path, "begin immediate", "insert into t(v) values('held')")
    with closing(waiter.connect(path, timeout=0.3)) as con:
        begin = time.monotonic()
        with pytest.raises(waiter.OperationalError, match=r"^database is locked$") as caught:
            con.execute("insert into t(v) values('w')")
        assert time.monotonic() - begin >= 0.2
        assert caught.value.sqlite_errorcode == sqlite3.SQLITE_BUSY
        assert caught.value.sqlite_errorname == "SQLITE_BUSY"
        assert con.execute("select count(*) from t where v = 'held'").fetchone() == (0,)
        con.rollback()
        other.release()
        con.execute("insert into t(v) values('w')")
        con.commit()
        assert con.execute("select count(*) from t where v in ('held', 'w')").fetchone() == (2,)
    assert contents(holder, path)[0] == [("ok",)]


@pytest.mark.parametrize(("holder", "waiter"), [(sqlite3, wasqlite), (wasqlite, sqlite3), (wasqlite, wasqlite)])
def test_reader_keeps_the_writer_from_committing(
    tmp_path: Path, holder: ModuleType, waiter: ModuleType, hold: Callable[..., Holder]
) -> None:
    path = tmp_path / "x.db"
    fill(sqlite3, path)
    hold(holder.__name__, path, "begin", "select count(*) from t")
    with closing(waiter.connect(path, timeout=0.1)) as con:
        con.execute("insert into t(v) values('w')")
        with pytest.raises(waiter.OperationalError, match=r"^database is locked$"):
            con.commit()
        assert con.in_transaction


@pytest.mark.parametrize(("holder", "waiter"), [(sqlite3, wasqlite), (wasqlite, sqlite3)])
def test_exclusive_keeps_readers_out(
    tmp_path: Path, holder: ModuleType, waiter: ModuleType, hold: Callable[..., Holder]
) -> None:
    path = tmp_path / "x.db"
    fill(sqlite3, path)
    hold(holder.__name__, path, "begin exclusive")
    con = waiter.connect(path, timeout=0.1)
    with closing(con), pytest.raises(waiter.OperationalError, match=r"^database is locked$"):
        con.execute("select count(*) from t").fetchone()


def test_waiter_goes_on_when_the_lock_is_released(tmp_path: Path, hold: Callable[..., Holder]) -> None:
    path = tmp_path / "x.db"
    fill(sqlite3, path)
    other = hold("sqlite3", path, "begin immediate")
    with closing(wasqlite.connect(path, timeout=30)) as con:
        assert other.process.stdin is not None
        other.process.stdin.write("\n")
        other.process.stdin.flush()
        con.execute("insert into t(v) values('w')")
        con.commit()


def test_two_connections_of_one_process(tmp_path: Path, connect: Connect) -> None:
    path = tmp_path / "x.db"
    fill(sqlite3, path)
    one, two = connect(path, timeout=0), connect(path, timeout=0)
    one.execute("delete from t")
    with pytest.raises(wasqlite.OperationalError, match=r"^database is locked$"):
        two.execute("delete from t")
    # Closing one of two connections leaves the other's locks alone.
    connect(path).close()
    native = sqlite3.connect(path, timeout=0)
    with closing(native), pytest.raises(sqlite3.OperationalError, match=r"^database is locked$"):
        native.execute("delete from t")


def test_transaction_of_a_dropped_connection_is_rolled_back(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    fill(sqlite3, path)
    before = contents(sqlite3, path)[1]
    con = wasqlite.connect(path)
    con.execute("pragma cache_size = 1")
    con.execute("update t set v = 'lost'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del con
    assert contents(sqlite3, path) == ([("ok",)], before)
    assert contents(wasqlite, path) == ([("ok",)], before)


@pytest.fixture
def without_privileges() -> Iterator[Path]:
    """A folder that everybody can read, and no right to write in it."""
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        fill(sqlite3, folder / "x.db")
        (folder / "x.db").chmod(0o444)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        yield folder
        os.seteuid(user)
    finally:
        shutil.rmtree(folder)


def test_file_and_folder_without_write_permission(without_privileges: Path) -> None:
    outcome = []
    for module in MODULES:
        with closing(module.connect(without_privileges / "x.db")) as con:
            seen: list[object] = []
            for sql in ("delete from t", "create table u(a)"):
                with pytest.raises(module.OperationalError) as caught:
                    con.execute(sql)
                seen += [str(caught.value), caught.value.sqlite_errorname, con.in_transaction]
            assert con.execute("select count(*) from t").fetchone()[0] > 0
        with (
            pytest.raises(module.OperationalError) as caught,
            closing(module.connect(without_privileges / "new.db")) as con,
        ):
            con.execute("create table t(a)")
        outcome.append([*seen, str(caught.value), caught.value.sqlite_errorname])
    assert outcome[0] == outcome[1]


def test_many_connections_leave_no_descriptors(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    fill(sqlite3, path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with closing(wasqlite.connect(path)) as con:
            con.execute("select count(*) from t").fetchone()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
