"""Errors of the operating system: the extended code as native has it, and errno, operation and path for the user."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import wasqlite

Connect = Callable[..., wasqlite.Connection]


class Shim:
    """Makes functions of ``os`` fail for files whose name ends as given. Install it before connecting."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failing: dict[str, tuple[int, str]] = {}
        for name in ("preadv", "pwritev", "ftruncate", "fsync", "fdatasync", "fstat", "stat", "open", "unlink"):
            monkeypatch.setattr(os, name, self._around(name, getattr(os, name)))

    def _around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def around(target: Any, *arguments: Any, **keywords: Any) -> Any:
            if name in self.failing:
                number, end = self.failing[name]
                path = (
                    str(Path(f"/proc/self/fd/{target}").readlink()) if isinstance(target, int) else os.fsdecode(target)
                )
                if path.endswith(end):
                    raise OSError(number, "made by the test")
            return call(target, *arguments, **keywords)

        return around


@pytest.fixture
def shim(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shim]:
    made = Shim(monkeypatch)
    yield made
    made.failing.clear()


CASES = [
    # function, errno, file; code, message, operation
    ("preadv", errno.EIO, "x.db", "SQLITE_IOERR_CORRUPTFS", "read"),
    ("preadv", errno.EACCES, "x.db", "SQLITE_IOERR_READ", "read"),
    ("pwritev", errno.EIO, "x.db", "SQLITE_IOERR_WRITE", "write"),
    ("pwritev", errno.ENOSPC, "x.db", "SQLITE_FULL", "write"),
    ("pwritev", errno.ENOSPC, "x.db-journal", "SQLITE_FULL", "write"),
    ("pwritev", errno.EDQUOT, "x.db-journal", "SQLITE_IOERR_WRITE", "write"),
    ("pwritev", errno.EFBIG, "x.db", "SQLITE_IOERR_WRITE", "write"),
    ("fdatasync", errno.EIO, "x.db", "SQLITE_IOERR_FSYNC", "sync"),
    ("fdatasync", errno.EIO, "x.db-journal", "SQLITE_IOERR_FSYNC", "sync"),
    ("unlink", errno.EACCES, "x.db-journal", "SQLITE_IOERR_DELETE", "delete"),
    ("unlink", errno.EROFS, "x.db-journal", "SQLITE_IOERR_DELETE", "delete"),
    ("unlink", errno.ENOENT, "x.db-journal", "SQLITE_IOERR_DELETE_NOENT", "delete"),
    ("open", errno.EACCES, "x.db-journal", "SQLITE_READONLY_DIRECTORY", "open"),
    ("open", errno.EROFS, "x.db-journal", "SQLITE_CANTOPEN", "open"),
    ("open", errno.EMFILE, "x.db-journal", "SQLITE_CANTOPEN", "open"),
    ("fstat", errno.EIO, "x.db", "SQLITE_IOERR_FSTAT", "stat"),
    ("stat", errno.EIO, "x.db-journal", "SQLITE_IOERR_ACCESS", "stat"),
]
MESSAGES = {
    "SQLITE_FULL": "database or disk is full",
    "SQLITE_CANTOPEN": "unable to open database file",
    "SQLITE_READONLY_DIRECTORY": "attempt to write a readonly database",
}


@pytest.mark.parametrize(("function", "number", "file", "code", "operation"), CASES)
def test_code_errno_operation_and_path(
    tmp_path: Path, connect: Connect, shim: Shim, function: str, number: int, file: str, code: str, operation: str
) -> None:
    con = connect(tmp_path / "x.db")
    if function == "fstat":
        # With a journal in sight SQLite asks for the size by itself; without one the begin of the transaction tells it.
        con.execute("pragma journal_mode = persist")
    con.execute("create table t(a)")
    con.execute("insert into t values(1)")
    con.commit()
    shim.failing[function] = (number, file)
    with pytest.raises(wasqlite.OperationalError) as caught:
        other = connect(tmp_path / "x.db") if function == "preadv" else con
        other.execute("insert into t values(2)")
        other.commit()
    shim.failing.clear()
    error = caught.value
    assert error.sqlite_errorname == code
    assert str(error) == MESSAGES.get(code, "disk I/O error")
    assert (error.system_errno, error.system_operation) == (number, operation)
    assert error.system_path == str(tmp_path / file)
    note = f"{operation}: {os.strerror(number)} ({errno.errorcode[number]}): {str(tmp_path / file)!r}"
    assert error.__notes__ == [note]
    assert traceback.format_exception(error)[-1].strip() == note
    con.rollback()
    with closing(sqlite3.connect(tmp_path / "x.db")) as native:
        # Deleting the journal is the commit: where it is said to be gone, it is gone.
        assert native.execute("select a from t").fetchall() == [(1,)]
        assert native.execute("pragma integrity_check").fetchone() == ("ok",)
    con.execute("insert into t values(3)")
    con.commit()


def test_truncating_and_syncing_the_directory(tmp_path: Path, connect: Connect, shim: Shim) -> None:
    con = connect(tmp_path / "x.db", isolation_level=None)
    con.execute("create table t(a)")
    con.execute("pragma journal_mode = truncate")
    shim.failing["ftruncate"] = (errno.EIO, "x.db-journal")
    with pytest.raises(wasqlite.OperationalError) as caught:
        con.execute("insert into t values(1)")
    assert caught.value.sqlite_errorname == "SQLITE_IOERR_TRUNCATE"
    assert (caught.value.system_errno, caught.value.system_operation) == (errno.EIO, "truncate")
    shim.failing.clear()
    con.execute("pragma journal_mode = delete")
    con.execute("pragma synchronous = extra")
    shim.failing["fsync"] = (errno.EIO, tmp_path.name)
    with pytest.raises(wasqlite.OperationalError) as caught:
        con.execute("insert into t values(1)")
    assert caught.value.sqlite_errorname == "SQLITE_IOERR_DIR_FSYNC"
    assert (caught.value.system_operation, caught.value.system_path) == ("sync", str(tmp_path))


def outcome(module: Any, path: Path, **keywords: Any) -> tuple[str, str, Any]:
    with pytest.raises(module.OperationalError) as caught, closing(module.connect(path, **keywords)) as con:
        con.execute("create table t(a)")
    return str(caught.value), caught.value.sqlite_errorname, caught.value


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("none/x.db", errno.ENOENT),
        (".", errno.EISDIR),
        ("file/x.db", errno.ENOTDIR),
        ("a" * 300, errno.ENAMETOOLONG),
        ("loop", errno.ELOOP),
    ],
)
def test_what_cannot_be_opened_says_why(tmp_path: Path, name: str, number: int) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    *native, _ = outcome(sqlite3, tmp_path / name)
    *ours, error = outcome(wasqlite, tmp_path / name)
    assert ours[0] == native[0]
    assert error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CANTOPEN
    assert error.system_errno == number
    assert error.system_path is not None and error.system_path.startswith(str(tmp_path))


def test_errors_that_are_not_the_systems_have_no_details(tmp_path: Path, connect: Connect) -> None:
    con = connect(tmp_path / "x.db")
    con.execute("create table t(a unique)")
    con.execute("insert into t values(1)")
    con.commit()
    con.execute("pragma max_page_count = 3")
    for sql in ("insert into t values(1)", "select", "insert into t values(zeroblob(100000))", "select * from none"):
        with pytest.raises(wasqlite.DatabaseError) as caught:
            con.execute(sql)
        assert caught.value.system_errno is None and caught.value.system_path is None
        assert caught.value.system_operation is None
        assert not hasattr(caught.value, "__notes__")


def test_a_real_file_size_limit(tmp_path: Path) -> None:
    """EFBIG from the kernel, in a process of its own: the transaction is rolled back and the connection goes on."""
    code = """
import resource, signal, sys, wasqlite
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
con = wasqlite.connect(sys.argv[1])
con.execute("create table t(a)")
con.execute("insert into t values(1)")
con.commit()
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    con.execute("insert into t values(zeroblob(1000000))")
    con.commit()
except wasqlite.OperationalError as error:
    print(error.sqlite_errorname, error.system_errno, error.system_operation)
con.rollback()
con.execute("insert into t values(2)")
con.commit()
print(con.execute("select a from t").fetchall(), con.execute("pragma integrity_check").fetchone())
"""
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.db")], capture_output=True, text=True, timeout=60
    )
    assert run.stdout == f"SQLITE_IOERR_WRITE {errno.EFBIG} write\n[(1,), (2,)] ('ok',)\n", run.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_really_full_device(connect: Connect) -> None:
    con = connect("file:/dev/full?nolock=1", uri=True, isolation_level=None)
    con.execute("pragma journal_mode = off")
    with pytest.raises(wasqlite.OperationalError) as caught:
        con.execute("create table t(a)")
    assert str(caught.value) == "database or disk is full"
    assert (caught.value.system_errno, caught.value.system_path) == (errno.ENOSPC, "/dev/full")


def test_short_reads_and_writes_are_taken_up(tmp_path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel may move less than was asked for, at any time."""
    preadv, pwritev = os.preadv, os.pwritev

    def some(call: Callable[..., int]) -> Callable[[int, Any, int], int]:
        def short(fd: int, buffers: Any, offset: int) -> int:
            return call(fd, (buffers[0][: max(1, len(buffers[0]) // 3)],), offset)

        return short

    monkeypatch.setattr(os, "preadv", some(preadv))
    monkeypatch.setattr(os, "pwritev", some(pwritev))
    con = connect(tmp_path / "x.db")
    con.execute("create table t(a)")
    con.executemany("insert into t values(?)", [(bytes([n % 256]) * 500,) for n in range(200)])
    con.commit()
    with closing(sqlite3.connect(tmp_path / "x.db")) as native:
        assert native.execute("pragma integrity_check").fetchone() == ("ok",)
        assert native.execute("select a from t").fetchall() == con.execute("select a from t").fetchall()


def test_interrupted_system_calls_are_taken_up(tmp_path: Path, connect: Connect) -> None:
    """A storm of signals with handlers that return: EINTR inside reads, writes and syncs."""
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        con = connect(tmp_path / "x.db")
        con.execute("create table t(a)")
        for n in range(30):
            con.executemany("insert into t values(?)", [(bytes(500) + bytes([n]),)] * 20)
            con.commit()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with closing(sqlite3.connect(tmp_path / "x.db")) as native:
        assert native.execute("pragma integrity_check").fetchone() == ("ok",)
        assert native.execute("select count(*) from t").fetchone() == (600,)


def test_no_descriptors_left(tmp_path: Path, connect: Connect) -> None:
    con = connect(tmp_path / "x.db")
    con.execute("create table t(a)")
    con.commit()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, hard))
    try:
        try:
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        with pytest.raises(wasqlite.OperationalError, match="unable to open database file") as caught:
            con.execute("insert into t values(1)")
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (caught.value.system_errno, caught.value.system_operation) == (errno.EMFILE, "open")
    con.rollback()
    con.execute("insert into t values(1)")
    con.commit()
