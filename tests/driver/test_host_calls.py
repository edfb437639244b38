"""How often a transaction on a file leaves the sandbox; the answers that come with the lock are never stale."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing

import pytest

import wasqlite
from wasqlite.vfs.host import HostFiles


@pytest.fixture
def calls(monkeypatch):
    """Counts host functions by name, in connections opened after it."""
    counter = Counter()
    functions = HostFiles.functions

    def counting(self, memory):
        found = functions(self, memory)
        for function in found:

            def counted(*arguments, call=function.call, name=function.name):
                counter[name] += 1
                return call(*arguments)

            function.call = counted
        return found

    monkeypatch.setattr(HostFiles, "functions", counting)
    return counter


@pytest.fixture
def con(calls, connect, tmp_path):
    connection = connect(tmp_path / "x.db", isolation_level=None)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    connection.execute("INSERT INTO t VALUES (1, 0)")
    return connection


def read(con):
    return con.execute("SELECT v FROM t WHERE id = 1").fetchone()[0]


def test_a_cached_read_is_lock_and_unlock(calls, con):
    read(con)
    calls.clear()
    assert read(con) == 0
    assert calls == {"file_begin": 1, "file_unlock": 1}


def test_another_connections_change_is_seen(calls, con, tmp_path):
    native = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    for i in range(1, 5):
        native.execute("UPDATE t SET v = ?", (i,))
        assert read(con) == i
    native.execute("INSERT INTO t(v) SELECT zeroblob(1000) FROM json_each('[1,2,3,4,5,6,7,8,9,10]')")
    assert con.execute("SELECT count(*) FROM t").fetchone() == (11,)  # the file has grown
    native.execute("DELETE FROM t WHERE id > 1")
    native.execute("VACUUM")
    assert con.execute("SELECT count(*) FROM t").fetchone() == (1,)  # the file has shrunk
    native.close()


@pytest.mark.parametrize("mode", ["DELETE", "TRUNCATE", "PERSIST"])
def test_a_hot_journal_is_found_by_a_connection_that_has_read_before(con, tmp_path, mode):
    """The journal appears between two reads of the same connection, as another process leaves it when it is killed."""
    assert read(con) == 0
    native = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    native.execute(f"PRAGMA journal_mode = {mode}")
    native.execute("PRAGMA cache_size = 2")
    native.execute("BEGIN")
    native.execute("UPDATE t SET v = 7")
    native.execute("INSERT INTO t(v) SELECT zeroblob(3000) FROM json_each('[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]')")
    # What the file and its journal look like at this moment, half written, is put back after the transaction is gone.
    files = {name: (tmp_path / name).read_bytes() for name in ("x.db", "x.db-journal")}
    native.execute("ROLLBACK")
    native.close()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert con.execute("SELECT count(*), sum(v) FROM t").fetchone() == (1, 0)
    assert con.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_two_attached_files_do_not_mix_their_answers(calls, con, tmp_path):
    con.execute("ATTACH ? AS other", (str(tmp_path / "y.db"),))
    con.execute("CREATE TABLE other.big AS SELECT zeroblob(100000) AS v")
    query = "SELECT (SELECT v FROM t), (SELECT length(v) FROM other.big)"
    con.execute(query).fetchall()
    calls.clear()
    assert con.execute(query).fetchall() == [(0, 100000)]
    assert calls["file_begin"] == calls["file_unlock"] == 2
    native = sqlite3.connect(tmp_path / "y.db")
    native.execute("DELETE FROM big")
    native.commit()
    native.execute("VACUUM")
    native.close()
    assert con.execute("SELECT count(*) FROM other.big").fetchone() == (0,)
    assert read(con) == 0


def test_a_file_that_is_not_there_any_more_is_no_stale_answer(con, tmp_path):
    """Truncated behind our back: the size that came with the lock is the one of now."""
    read(con)
    (tmp_path / "x.db").write_bytes(b"")
    with pytest.raises(wasqlite.DatabaseError):
        read(con)


# -- WAL: two host calls in one ----------------------------------------------------------------------------------------

linux = pytest.mark.skipif(sys.platform != "linux", reason="shared memory is Linux's, so far")


@linux
def test_a_wal_transaction_drops_two_locks_at_once_and_writes_each_frame_in_one_call(calls, con):
    con.execute("PRAGMA journal_mode = WAL").fetchone()
    con.execute("PRAGMA synchronous = NORMAL")
    con.execute("UPDATE t SET v = 1")
    calls.clear()
    con.execute("UPDATE t SET v = 2")
    # The mark for writing and then for reading, WRITE, both unlocked together; natively these are six.
    assert calls == {"shm_lock": 4, "fd_pwrite": 1}


def writers(path):
    """Whether another process gets the write lock."""
    program = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
    return subprocess.run([sys.executable, "-c", program, path], capture_output=True, check=False).returncode == 0


@linux
@pytest.mark.parametrize("reading", [False, True], ids=["alone", "while another statement reads"])
def test_a_lock_that_was_given_up_late_is_gone_when_anything_else_happens(con, tmp_path, reading):
    con.execute("PRAGMA journal_mode = WAL").fetchone()
    con.execute("INSERT INTO t(v) SELECT value FROM json_each('[1,2,3,4,5,6,7,8,9]')")
    seen = []
    con.create_function("probe", 0, lambda: seen.append(writers(tmp_path / "x.db")))
    unfinished = con.execute("SELECT id FROM t") if reading else None
    con.executescript("BEGIN; UPDATE t SET v = 1; SELECT probe(); COMMIT; SELECT probe(); SELECT probe()")
    assert seen == [False, True, True]
    con.execute("UPDATE t SET v = 2")
    assert writers(tmp_path / "x.db")
    assert unfinished is None or len(unfinished.fetchall()) == 10


@linux
def test_frames_whose_headers_are_written_again_are_whole(calls, con, tmp_path):
    """A small cache spills pages in a transaction; those that change again are overwritten in the WAL, and the
    checksums of all frames after them are corrected, header by header."""
    con.execute("PRAGMA journal_mode = WAL").fetchone()
    con.execute("PRAGMA wal_autocheckpoint = 0")
    con.execute("PRAGMA cache_size = 2")
    con.execute("BEGIN")
    con.executemany("INSERT INTO t(v) VALUES (?)", [("x" * 1000,)] * 200)
    for number in range(5):
        con.execute("UPDATE t SET v = v || ? WHERE id % 7 = ?", (number, number))
    calls.clear()
    con.execute("COMMIT")
    # Each of those headers is read with its page, and then written alone.
    assert calls["fd_pread"] > 50 and calls["fd_pwrite"] >= calls["fd_pread"]
    for name in ("x.db", "x.db-wal"):
        shutil.copy(tmp_path / name, tmp_path / f"copy-{name}")
    (tmp_path / "copy-x.db-wal").rename(tmp_path / "copy.db-wal")
    (tmp_path / "copy-x.db").rename(tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as native:  # recovers the WAL, and believes its checksums only
        assert native.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert native.execute("SELECT * FROM t").fetchall() == con.execute("SELECT * FROM t").fetchall()
