"""The same module on wasmtime's own WASI, with the locks off: its file I/O is WASI and nothing else."""

from __future__ import annotations

import sqlite3

import pytest
import wasmtime

import wasqlite
from wasqlite.bridge import HostFunction
from wasqlite.bridge import engine as engine_module
from wasqlite.vfs.host import HostFiles


class NoFiles(HostFiles):
    """Only the imports that WASI lacks: the locks always succeed, and a path is what it is."""

    __slots__ = ("called",)

    def functions(self, memory):
        self.called = []

        def path_full(path, size, out, capacity):
            memory.write(out, memory.read(path, size) + b"\0")
            return size

        def path_temporary(out, capacity):
            memory.write(out, b"/\0")
            return 1

        def unlocked(name, result=0):
            return lambda *arguments: self.called.append(name) or result

        return [
            HostFunction("wasqlite", "file_lock", "ii", "i", unlocked("lock")),
            HostFunction("wasqlite", "file_begin", "iiiiii", "i", unlocked("begin")),
            HostFunction("wasqlite", "file_unlock", "ii", "i", unlocked("unlock")),
            HostFunction("wasqlite", "file_check_reserved", "ii", "i", unlocked("check")),
            HostFunction("wasqlite", "shm_page_size", "", "i", unlocked("shm_page_size")),
            HostFunction("wasqlite", "shm_lock", "iiii", "i", unlocked("shm", 10)),
            HostFunction("wasqlite", "shm_probe", "iiii", "i", unlocked("shm", 10)),
            HostFunction("wasqlite", "shm_map", "iIiii", "i", unlocked("shm", 58)),
            HostFunction("wasqlite", "shm_unmap", "i", "i", unlocked("shm", 58)),
            HostFunction("wasqlite", "path_full", "iiii", "i", path_full),
            HostFunction("wasqlite", "path_temporary", "ii", "i", path_temporary),
            HostFunction("wasqlite", "local_time", "Ii", "i", unlocked("local_time", 52)),
        ]


@pytest.fixture
def connect(tmp_path, monkeypatch):
    """Connections whose guest has tmp_path as its root directory, by wasmtime's WASI."""
    api = engine_module.engine().api

    def configured():
        config = wasmtime.WasiConfig()
        config.preopen_dir(str(tmp_path), "/")
        return wasmtime._ffi.ctypes.cast(config._consume(), wasmtime._ffi.ctypes.c_void_p).value

    monkeypatch.setattr(api, "wasi_config_new", configured)
    monkeypatch.setattr("wasqlite.connection.HostFiles", NoFiles)
    return wasqlite.connect


def test_a_basic_suite_passes(connect, tmp_path):
    con = connect("/plain.db")
    con.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)")
    rows = [(i, "text" * (i % 50), None if i % 3 else i / 7) for i in range(2000)]
    with con:
        con.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    assert con.execute("SELECT * FROM t").fetchall() == rows
    with pytest.raises(wasqlite.IntegrityError), con:
        con.execute("DELETE FROM t WHERE id > 1000")
        con.execute("INSERT INTO t VALUES (1, 2, 3)")
    assert con.execute("SELECT count(*) FROM t").fetchone() == (2000,)
    con.execute("CREATE INDEX i ON t (a, b)")
    con.execute("VACUUM")
    con.execute("PRAGMA temp_store = 1")
    con.execute("CREATE TEMP TABLE scratch AS SELECT * FROM t")
    con.execute("PRAGMA cache_size = 10")
    assert len(con.execute("SELECT * FROM scratch ORDER BY b, a").fetchall()) == 2000
    con.execute("ATTACH '/second.db' AS second")
    con.execute("CREATE TABLE second.t AS SELECT * FROM main.t")
    con.close()
    for name in ("plain.db", "second.db"):
        native = sqlite3.connect(tmp_path / name)
        assert native.execute("SELECT * FROM t").fetchall() == rows
        assert native.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        native.close()


def test_a_hot_journal_is_rolled_back(connect, tmp_path):
    con = connect("/hot.db")
    con.execute("PRAGMA cache_size = 5")
    con.execute("CREATE TABLE t (a)")
    con.executemany("INSERT INTO t VALUES (?)", [("x" * 500,)] * 200)
    con.commit()
    con.executemany("INSERT INTO t VALUES (?)", [("y" * 500,)] * 500)
    # A crash, as far as the file is concerned: copied as it lies there, half written.
    for name in ("hot.db", "hot.db-journal"):
        (tmp_path / name.replace("hot", "copy")).write_bytes((tmp_path / name).read_bytes())
    other = connect("/copy.db")
    assert other.execute("SELECT count(*), min(a) FROM t").fetchone() == (200, "x" * 500)
    assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert not (tmp_path / "copy.db-journal").exists()
    other.close()
    con.close()


def test_without_shared_memory_wal_is_refused_with_an_explanation(connect, tmp_path):
    con = connect("/x.db")
    with pytest.raises(wasqlite.OperationalError, match="journal_mode=WAL needs memory shared"):
        con.execute("PRAGMA journal_mode = wal")
    con.execute("CREATE TABLE t (a)")
    con.close()
    native = sqlite3.connect(tmp_path / "x.db")
    native.execute("PRAGMA journal_mode = wal")
    native.close()
    con = connect("/x.db")
    with pytest.raises(wasqlite.OperationalError, match=r"WAL mode.*journal_mode=DELETE") as caught:
        con.execute("SELECT count(*) FROM t")
    assert caught.value.sqlite_errorname == "SQLITE_CANTOPEN"
    con.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.db"]


def test_outside_of_the_directory_there_is_nothing(connect):
    with pytest.raises(wasqlite.OperationalError, match="unable to open database file"):
        connect("/../../etc/passwd")
