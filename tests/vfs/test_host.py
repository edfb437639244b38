"""The imports of a SQLite guest together, called as a guest would."""

from __future__ import annotations

import os
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wasqlite.bridge.memory import Memory
from wasqlite.bridge.wasi import errno
from wasqlite.capi.constants import (
    SQLITE_BUSY,
    SQLITE_IOERR_CHECKRESERVEDLOCK,
    SQLITE_IOERR_LOCK,
    SQLITE_IOERR_UNLOCK,
    SQLITE_OK,
)
from wasqlite.vfs import HostFiles
from wasqlite.vfs.locks import EXCLUSIVE, NONE, RESERVED, SHARED

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="locks are Linux's")

OUT, CAPACITY, ALL = 8192, 512, (1 << 30) - 1


class Guest:
    def __init__(self) -> None:
        self.memory = Memory.over(bytearray(16384))
        self.host = HostFiles()
        self.functions = {function.name: function for function in self.host.functions(self.memory)}

    def call(self, name: str, *arguments: int) -> Any:
        assert len(arguments) == len(self.functions[name].params)
        return self.functions[name].call(*arguments)

    def path(self, path: bytes) -> tuple[int, int]:
        self.memory.write(0, path)
        return 0, len(path)

    def open(self, path: Path, oflags: int = 0) -> int:
        assert self.call("path_open", 3, 1, *self.path(bytes(path)[1:]), oflags, ALL, ALL, 0, OUT) == 0
        return self.memory.read_u32(OUT)


@pytest.fixture
def guests() -> Iterator[Callable[[], Guest]]:
    made: list[Guest] = []

    def make() -> Guest:
        made.append(Guest())
        return made[-1]

    yield make
    for guest in made:
        guest.host.close()


def test_two_guests_of_one_process_lock_each_other_out(
    guests: Callable[[], Guest], database: Path, remote: Callable[[], Any]
) -> None:
    first, second, native = guests(), guests(), remote()
    one, other = first.open(database), second.open(database)
    assert first.call("file_lock", one, SHARED) == SQLITE_OK
    assert first.call("file_lock", one, RESERVED) == SQLITE_OK
    assert second.call("file_lock", other, SHARED) == SQLITE_OK
    assert second.call("file_lock", other, RESERVED) == SQLITE_BUSY
    assert second.call("file_check_reserved", other, OUT) == SQLITE_OK
    assert second.memory.read_u32(OUT) == 1
    assert first.call("file_lock", one, EXCLUSIVE) == SQLITE_BUSY
    assert second.call("file_unlock", other, NONE) == SQLITE_OK
    assert first.call("file_lock", one, EXCLUSIVE) == SQLITE_OK
    assert not native.attempt("SHARED")
    assert first.call("file_unlock", one, SHARED) == SQLITE_OK
    assert second.call("file_check_reserved", other, OUT) == SQLITE_OK
    assert second.memory.read_u32(OUT) == 0
    assert native.attempt("RESERVED")


def test_closing_drops_what_is_held(guests: Callable[[], Guest], database: Path, remote: Callable[[], Any]) -> None:
    guest, native = guests(), remote()
    fd = guest.open(database)
    for level in (SHARED, RESERVED, EXCLUSIVE):
        assert guest.call("file_lock", fd, level) == SQLITE_OK
    # A copy, as a child process has between fork and exec, would keep the open file and its locks alive.
    copy = os.dup(guest.host.files.descriptor(fd))
    guest.host.close()
    assert native.attempt("EXCLUSIVE")
    os.close(copy)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_releases_nothing_of_its_parent(
    guests: Callable[[], Guest], database: Path, remote: Callable[[], Any]
) -> None:
    guest, native = guests(), remote()
    fd = guest.open(database)
    for level in (SHARED, RESERVED, EXCLUSIVE):
        guest.call("file_lock", fd, level)
    child = os.fork()
    if child == 0:
        refused = guest.call("file_lock", fd, SHARED) == SQLITE_IOERR_LOCK
        guest.call("file_unlock", fd, NONE)
        guest.host.abandon()
        guest.host.close()
        os._exit(0 if refused else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not native.attempt("SHARED")
    assert guest.call("file_unlock", fd, NONE) == SQLITE_OK
    assert native.attempt("EXCLUSIVE")


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_living_child_does_not_keep_the_locks_of_a_parent_that_died(
    database: Path, remote: Callable[[], Any]
) -> None:
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:
        guest = Guest()
        fd = guest.open(database)
        for level in (SHARED, RESERVED, EXCLUSIVE):
            guest.call("file_lock", fd, level)
        child = os.fork()
        if child == 0:
            os.write(write, b"x")
            time.sleep(3)
            os._exit(0)
        os.waitid(os.P_PID, child, os.WNOHANG | os.WEXITED)
        os.read(read, 1)
        os._exit(0)  # nothing is closed or unlocked by hand
    os.waitpid(parent, 0)
    os.close(read)
    os.close(write)
    assert remote().attempt("EXCLUSIVE")


def test_unknown_descriptors_and_bad_addresses_are_errors(guests: Callable[[], Guest], database: Path) -> None:
    guest = guests()
    assert guest.call("file_lock", 99, SHARED) == SQLITE_IOERR_LOCK
    assert guest.call("file_unlock", 99, NONE) == SQLITE_IOERR_UNLOCK
    assert guest.call("file_check_reserved", 99, OUT) == SQLITE_IOERR_CHECKRESERVEDLOCK
    fd = guest.open(database)
    assert guest.call("file_check_reserved", fd, 16383) == SQLITE_IOERR_CHECKRESERVEDLOCK
    assert guest.call("local_time", 0, 16383) == errno.EFAULT
    assert guest.call("path_full", 16383, 10, OUT, CAPACITY) == -errno.EFAULT
    assert guest.call("path_full", 0, 1 << 31, OUT, CAPACITY) == -errno.ENAMETOOLONG
    assert guest.call("path_temporary", 16380, CAPACITY) == -errno.EFAULT


def test_full_paths_are_terminated_and_must_fit(
    guests: Callable[[], Guest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = guests()
    top = os.path.realpath(bytes(tmp_path))
    monkeypatch.chdir(top)
    expected = top + b"/x.db"
    guest.memory.write(OUT, b"\xff" * CAPACITY)
    assert guest.call("path_full", *guest.path(b"x.db"), OUT, len(expected) + 1) == len(expected)
    assert guest.memory.read(OUT, len(expected) + 2) == expected + b"\0\xff"
    assert guest.call("path_full", *guest.path(b"x.db"), OUT, len(expected)) == -errno.ENAMETOOLONG
    (tmp_path / "loop").symlink_to("loop")
    assert guest.call("path_full", *guest.path(b"loop"), OUT, CAPACITY) == -errno.ELOOP


def test_the_temporary_directory_is_told(
    guests: Callable[[], Guest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = guests()
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    size = guest.call("path_temporary", OUT, CAPACITY)
    assert guest.memory.read(OUT, size + 1) == os.path.realpath(bytes(tmp_path)) + b"\0"
    assert guest.call("path_temporary", OUT, 1) == -errno.ENAMETOOLONG


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "EST5EDT", "Asia/Kolkata"])
@pytest.mark.parametrize("moment", [0, -1, 1_700_000_000, 1_720_000_000, 951_782_400, 2**33])
def test_local_time_is_cs(guests: Callable[[], Guest], monkeypatch: pytest.MonkeyPatch, zone: str, moment: int) -> None:
    import ctypes

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        guest = guests()
        assert guest.call("local_time", moment, OUT) == 0
        libc = ctypes.CDLL(None)
        fields, seconds = (ctypes.c_int * 20)(), ctypes.c_int64(moment)
        libc.localtime_r.restype = ctypes.c_void_p
        assert libc.localtime_r(ctypes.byref(seconds), fields)
        assert struct.unpack("<9i", guest.memory.read(OUT, 36)) == tuple(fields[:9])
    finally:
        monkeypatch.undo()
        time.tzset()


def test_times_beyond_the_calendar_overflow(guests: Callable[[], Guest]) -> None:
    assert guests().call("local_time", 2**62, OUT) == errno.EOVERFLOW


def test_a_journal_is_created_with_the_permissions_of_its_database(guests: Callable[[], Guest], database: Path) -> None:
    database.chmod(0o660)
    journal = database.with_name("x.db-journal")
    guests().open(journal, 1)
    assert journal.stat().st_mode & 0o777 == 0o660
    if os.geteuid() == 0:
        os.chown(database, 1234, 5678)
        journal.unlink()
        guests().open(journal, 1)
        assert (journal.stat().st_uid, journal.stat().st_gid) == (1234, 5678)


def test_one_object_serves_one_guest() -> None:
    host = HostFiles()
    with pytest.raises(RuntimeError):
        host.files  # noqa: B018
    host.close()
    host.functions(Memory.over(bytearray(10)))
    with pytest.raises(RuntimeError):
        host.functions(Memory.over(bytearray(10)))
    host.close()


@pytest.mark.parametrize(
    ("journal", "wal", "known"),
    [(None, None, 1), (b"", b"", 1), (b"x", None, 0), (None, b"x", 0)],
    ids=["absent", "empty", "journal", "wal"],
)
def test_begin_locks_and_answers_only_without_journal_and_wal(
    guests: Callable[[], Guest], database: Path, journal: bytes | None, wal: bytes | None, known: int
) -> None:
    guest = guests()
    fd = guest.open(database)
    paths = [Path(f"{database}-journal"), Path(f"{database}-wal")]
    for path, content in zip(paths, (journal, wal), strict=True):
        if content is not None:
            path.write_bytes(content)
    words: list[int] = []
    for number, path in enumerate(paths):
        name = bytes(path)[1:]
        guest.memory.write(number * 4096, name)
        words += [number * 4096, len(name)]
    guest.memory.write(OUT, bytes(32))
    assert guest.call("file_begin", fd, *words, OUT) == SQLITE_OK
    found = struct.unpack("<IIq16s", guest.memory.read(OUT, 32))
    content = database.read_bytes()
    assert found == ((1, 0, len(content), content[24:40]) if known else (0, 0, 0, bytes(16)))
    other = guests()
    again = other.open(database)
    assert other.call("file_lock", again, SHARED) == SQLITE_OK
    assert other.call("file_lock", again, RESERVED) == SQLITE_OK
    assert other.call("file_lock", again, EXCLUSIVE) == SQLITE_BUSY, "the SHARED lock is held"
    assert guest.call("file_begin", 77, *words, OUT) == SQLITE_IOERR_LOCK


def test_begin_with_addresses_outside_of_memory_only_locks(guests: Callable[[], Guest], database: Path) -> None:
    guest = guests()
    fd = guest.open(database)
    assert guest.call("file_begin", fd, 1 << 31, 10, 0, 10, OUT) == SQLITE_OK
    assert guest.call("file_begin", fd, 0, 1, 0, 1, (1 << 32) - 4) == SQLITE_OK
