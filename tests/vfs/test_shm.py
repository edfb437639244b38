"""Shared memory: files mapped into guests are one memory, on every side, and are gone when they should be."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from wasqlite.bridge import Instance, Library, MemoryAccessError, Trap
from wasqlite.bridge.mapping import page_size
from wasqlite.bridge.memory import Memory
from wasqlite.bridge.wasi.errno import EBADF, EFAULT, EPERM
from wasqlite.capi.constants import SQLITE_BUSY, SQLITE_IOERR_LOCK, SQLITE_IOERR_SHMLOCK, SQLITE_OK
from wasqlite.vfs import HostFiles
from wasqlite.vfs.locks import READ, SHM_DEADMAN, SHM_FIRST, UNLOCKED, WRITE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mappings and locks are Linux's")

BLOCK, REGION, OUT, ALL = 1 << 16, 1 << 15, 512, (1 << 30) - 1

WAT = """
(module
  (memory (export "memory") 4)
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "grow") (result i32) (memory.grow (i32.const 64)))
)
"""


@cache
def library() -> Library:
    return Library.from_wat(WAT)


class Guest:
    """A guest without code of its own; its imports are called as it would."""

    def __init__(self) -> None:
        self.instance: Instance = library().open()
        self.memory = self.instance.memory
        self.host = HostFiles()
        self.functions = {function.name: function for function in self.host.functions(self.memory)}
        self.load, self.store = self.instance.function("load"), self.instance.function("store")

    def call(self, name: str, *arguments: int) -> Any:
        assert len(arguments) == len(self.functions[name].params)
        return self.functions[name].call(*arguments)

    def open(self, path: Path, *, attach: bool = True) -> int:
        name = bytes(path)[1:]
        self.memory.write(0, name)
        assert self.call("path_open", 3, 1, 0, len(name), 1, ALL, ALL, 0, OUT) == 0
        fd = self.memory.read_u32(OUT)
        if attach:
            assert self.call("shm_lock", fd, READ, SHM_DEADMAN, 1) == SQLITE_OK
        return fd

    def close(self) -> None:
        self.instance.close()
        self.host.close()


@pytest.fixture
def guests() -> Iterator[Callable[[], Guest]]:
    made: list[Guest] = []

    def make() -> Guest:
        made.append(Guest())
        return made[-1]

    yield make
    for guest in made:
        guest.close()


@pytest.fixture
def shm(tmp_path: Path) -> Path:
    path = tmp_path / "x.db-shm"
    path.write_bytes(bytes(4 * REGION))
    return path


def mapped(path: Path) -> int:
    """How often this process has the file mapped."""
    return Path("/proc/self/maps").read_text().count(str(path))


def test_two_guests_see_one_memory(guests: Callable[[], Guest], shm: Path) -> None:
    one, two = guests(), guests()
    for guest in (one, two):
        assert guest.call("shm_map", guest.open(shm), REGION, REGION, BLOCK, 0) == 0
    for writer, reader in ((one, two), (two, one)):
        for value in range(1, 1000):
            writer.store(BLOCK + 4, value)
            assert reader.load(BLOCK + 4) == value
    two.store(BLOCK, 0x01020304)
    assert shm.read_bytes()[REGION : REGION + 4] == b"\4\3\2\1"
    assert one.memory.read(BLOCK, 4) == b"\4\3\2\1"


def test_another_process_sees_it_too(guests: Callable[[], Guest], shm: Path) -> None:
    guest = guests()
    assert guest.call("shm_map", guest.open(shm), 0, REGION, BLOCK, 0) == 0
    script = """
import mmap, sys
with open(sys.argv[1], "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
    for line in sys.stdin:
        found = memory[0]
        memory[1] = found + 1
        print(found, flush=True)
"""
    command = [sys.executable, "-c", script, str(shm)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin and other.stdout
        for value in (7, 8, 200):
            guest.memory.write(BLOCK, bytes([value]))
            other.stdin.write("\n")
            other.stdin.flush()
            assert other.stdout.readline() == f"{value}\n"
            assert guest.load(BLOCK) & 0xFF00 == value + 1 << 8
        other.stdin.close()


def test_a_mapping_survives_growing_memory(guests: Callable[[], Guest], shm: Path) -> None:
    guest = guests()
    assert guest.call("shm_map", guest.open(shm), 0, REGION, BLOCK, 0) == 0
    guest.store(BLOCK, 5)
    assert guest.instance.function("grow")() == 4
    guest.store(BLOCK + 4, 6)
    guest.store(4 * BLOCK, 9)
    assert guest.memory.read(4 * BLOCK, 1) == b"\x09"
    assert shm.read_bytes()[:5] == b"\5\0\0\0\6"


def test_unmapped_memory_is_zero_and_the_guests_own(guests: Callable[[], Guest], shm: Path) -> None:
    guest = guests()
    fd = guest.open(shm)
    guest.store(BLOCK - 4, 1)
    guest.store(BLOCK + REGION, 2)
    assert guest.call("shm_map", fd, 0, REGION, BLOCK, 0) == 0
    assert guest.call("shm_map", fd, 0, REGION, BLOCK, 0) == 0  # again, as after a signal
    guest.store(BLOCK, 3)
    assert mapped(shm) == guest.memory.mapped == 1
    assert guest.call("shm_unmap", fd) == 0
    assert mapped(shm) == guest.memory.mapped == 0
    assert [guest.load(at) for at in (BLOCK - 4, BLOCK, BLOCK + REGION)] == [1, 0, 2]
    guest.store(BLOCK, 4)
    assert shm.read_bytes()[:4] == b"\3\0\0\0"
    assert guest.call("shm_unmap", fd) == 0


def test_closing_the_descriptor_unmaps_first(guests: Callable[[], Guest], shm: Path) -> None:
    guest, other = guests(), guests()
    fd = guest.open(shm)
    assert guest.call("shm_map", fd, 0, REGION, BLOCK, 0) == 0
    assert guest.call("fd_close", fd) == 0
    assert mapped(shm) == 0
    assert other.call("shm_probe", other.open(shm, attach=False), SHM_DEADMAN, 1, OUT) == SQLITE_OK
    assert other.memory.read_u32(OUT) == UNLOCKED


def test_closing_the_host_unmaps_and_unlocks(guests: Callable[[], Guest], shm: Path) -> None:
    guest, other = guests(), guests()
    for path in (shm, shm.with_name("y.db-shm")):
        path.write_bytes(bytes(REGION))
        fd = guest.open(path)
        assert guest.call("shm_map", fd, 0, REGION, BLOCK * (1 + (path != shm)), 0) == 0
        assert guest.call("shm_lock", fd, WRITE, SHM_FIRST, 8) == SQLITE_OK
    guest.host.close()
    assert mapped(shm.parent) == 0
    fd = other.open(shm, attach=False)
    assert other.call("shm_lock", fd, WRITE, SHM_FIRST, 9) == SQLITE_OK
    guest.store(BLOCK, 1)  # its memory still works


def test_closing_the_instance_first_is_as_good(guests: Callable[[], Guest], shm: Path) -> None:
    guest = guests()
    assert guest.call("shm_map", guest.open(shm), 0, REGION, BLOCK, 0) == 0
    guest.instance.close()
    assert mapped(shm) == 0
    guest.host.close()


def test_a_view_that_outlives_the_instance_sees_no_file(guests: Callable[[], Guest], shm: Path) -> None:
    guest = guests()
    assert guest.call("shm_map", guest.open(shm), 0, REGION, BLOCK, 0) == 0
    guest.store(BLOCK, 1)
    view = guest.memory.span(BLOCK, 4)
    guest.close()
    assert mapped(shm) == 0
    os.truncate(shm, 0)
    assert bytes(view) == bytes(4)


def test_a_read_only_mapping_shows_what_others_write(guests: Callable[[], Guest], shm: Path) -> None:
    writer, reader = guests(), guests()
    assert writer.call("shm_map", writer.open(shm), 0, REGION, BLOCK, 0) == 0
    assert reader.call("shm_map", reader.open(shm), 0, REGION, BLOCK, 1) == 0
    writer.store(BLOCK, 42)
    assert reader.load(BLOCK) == 42
    with pytest.raises(Trap):
        reader.store(BLOCK, 43)
    assert writer.load(BLOCK) == 42
    reader.close()
    assert mapped(shm) == 1


@pytest.mark.parametrize(
    ("offset", "size", "address"),
    [
        (0, REGION, BLOCK + 1),
        (1, REGION, BLOCK),
        (-REGION, REGION, BLOCK),
        (0, REGION - 1, BLOCK),
        (0, 0, BLOCK),
        (0, REGION, 4 * BLOCK),
        (0, REGION, 4 * BLOCK - 4096),
        (0, REGION, (1 << 32) - 4096),
        (4 * REGION, REGION, BLOCK),
        (3 * REGION, BLOCK, BLOCK),
    ],
)
def test_what_cannot_be_mapped_changes_nothing(
    guests: Callable[[], Guest], shm: Path, offset: int, size: int, address: int
) -> None:
    guest = guests()
    assert guest.call("shm_map", guest.open(shm), offset, size, address, 0) == EFAULT
    assert mapped(shm) == guest.memory.mapped == 0


def test_overlapping_mappings_are_refused(guests: Callable[[], Guest], shm: Path) -> None:
    guest = guests()
    fd = guest.open(shm)
    assert guest.call("shm_map", fd, 0, REGION, BLOCK, 0) == 0
    assert guest.call("shm_map", fd, 0, REGION, BLOCK + page_size(), 0) == EFAULT
    assert guest.call("shm_map", fd, 0, 2 * REGION, BLOCK, 0) == EFAULT
    assert mapped(shm) == 1


def test_nothing_is_mapped_without_the_deadman_switch(guests: Callable[[], Guest], shm: Path) -> None:
    guest = guests()
    fd = guest.open(shm, attach=False)
    assert guest.call("shm_map", fd, 0, REGION, BLOCK, 0) == EPERM
    assert guest.call("shm_map", 99, 0, REGION, BLOCK, 0) == EBADF
    assert guest.call("shm_unmap", 99) == EBADF
    assert guest.call("shm_lock", fd, READ, SHM_DEADMAN, 1) == SQLITE_OK
    assert guest.call("shm_lock", fd, UNLOCKED, SHM_DEADMAN, 1) == SQLITE_IOERR_SHMLOCK
    assert guest.call("fd_close", fd) == 0
    assert guest.open(shm, attach=False) == fd  # a number that comes again knows nothing of its past
    assert guest.call("shm_map", fd, 0, REGION, BLOCK, 0) == EPERM


def test_locks_outside_of_the_slots_are_refused(guests: Callable[[], Guest], shm: Path) -> None:
    guest = guests()
    fd = guest.open(shm)
    for kind, start, length in [
        (WRITE, 0, 1),
        (WRITE, SHM_FIRST - 1, 2),
        (READ, SHM_DEADMAN + 1, 1),
        (READ, SHM_DEADMAN, 2),
        (READ, SHM_FIRST, 0),
        (READ, SHM_FIRST, (1 << 32) - 1),
        (3, SHM_FIRST, 1),
    ]:
        assert guest.call("shm_lock", fd, kind, start, length) == SQLITE_IOERR_SHMLOCK
    assert guest.call("shm_lock", 99, READ, SHM_FIRST, 1) == SQLITE_IOERR_SHMLOCK
    assert guest.call("shm_probe", 99, SHM_FIRST, 1, OUT) == SQLITE_IOERR_LOCK
    assert guest.call("shm_probe", fd, SHM_FIRST - 1, 1, OUT) == SQLITE_IOERR_LOCK
    assert guest.call("shm_probe", fd, SHM_FIRST, 1, 4 * BLOCK) == SQLITE_IOERR_LOCK


def test_slots_of_two_guests_conflict(guests: Callable[[], Guest], shm: Path) -> None:
    one, two = guests(), guests()
    a, b = one.open(shm), two.open(shm)
    assert one.call("shm_lock", a, READ, SHM_FIRST + 3, 1) == SQLITE_OK
    assert two.call("shm_lock", b, READ, SHM_FIRST + 3, 1) == SQLITE_OK
    assert two.call("shm_lock", b, WRITE, SHM_FIRST + 3, 1) == SQLITE_BUSY
    assert two.call("shm_lock", b, WRITE, SHM_FIRST + 2, 6) == SQLITE_BUSY
    assert two.call("shm_lock", b, WRITE, SHM_FIRST + 4, 4) == SQLITE_OK
    assert one.call("shm_probe", a, SHM_FIRST + 3, 1, OUT) == SQLITE_OK
    assert one.memory.read_u32(OUT) == READ
    assert one.call("shm_probe", a, SHM_FIRST + 5, 1, OUT) == SQLITE_OK
    assert one.memory.read_u32(OUT) == WRITE
    assert one.call("shm_probe", a, SHM_FIRST, 1, OUT) == SQLITE_OK
    assert one.memory.read_u32(OUT) == UNLOCKED
    assert two.call("shm_lock", b, UNLOCKED, SHM_FIRST + 3, 5) == SQLITE_OK
    assert one.call("shm_lock", a, WRITE, SHM_FIRST + 3, 5) == SQLITE_OK


NATIVE = """
import sqlite3, sys
con = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
con.execute("SELECT count(*) FROM t").fetchone()
print("ready", flush=True)
for line in sys.stdin:
    try:
        print(con.execute(line).fetchall(), flush=True)
    except sqlite3.OperationalError as error:
        print(error, flush=True)
"""


class Native:
    """Native SQLite in a process of its own, one statement at a time."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-c", NATIVE, str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout and self.process.stdout.readline() == "ready\n"

    def run(self, sql: str) -> str:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(sql + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def native(database: Path) -> Iterator[Native]:
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode = wal")
    connection.close()
    peer = Native(database)
    yield peer
    peer.close()


def test_slots_conflict_with_native(guests: Callable[[], Guest], database: Path, native: Native) -> None:
    guest = guests()
    fd = guest.open(database.with_name("x.db-shm"))

    def probe(slot: int) -> int:
        assert guest.call("shm_probe", fd, SHM_FIRST + slot, 1, OUT) == SQLITE_OK
        return guest.memory.read_u32(OUT)

    assert (probe(8), probe(0)) == (READ, UNLOCKED)
    assert native.run("BEGIN IMMEDIATE") == "[]"
    assert probe(0) == WRITE
    assert guest.call("shm_lock", fd, WRITE, SHM_FIRST, 1) == SQLITE_BUSY
    assert native.run("COMMIT") == "[]"
    assert guest.call("shm_lock", fd, WRITE, SHM_FIRST, 1) == SQLITE_OK
    assert native.run("BEGIN IMMEDIATE") == "database is locked"
    assert native.run("SELECT count(*) FROM t") == "[(1,)]"
    assert guest.call("shm_lock", fd, UNLOCKED, SHM_FIRST, 1) == SQLITE_OK
    assert native.run("BEGIN IMMEDIATE") == "[]"


def test_natives_index_is_seen_as_it_changes(guests: Callable[[], Guest], database: Path, native: Native) -> None:
    guest = guests()
    fd = guest.open(database.with_name("x.db-shm"))
    assert native.run("INSERT INTO t VALUES (2)") == "[]"
    assert guest.call("shm_map", fd, 0, REGION, BLOCK, 0) == 0
    # mxFrame, the number of frames that are valid, at offset 16 of the header: https://sqlite.org/walformat.html
    before = guest.load(BLOCK + 16)
    assert before > 0
    assert native.run("INSERT INTO t VALUES (3)") == "[]"
    assert guest.load(BLOCK + 16) > before


def test_closing_leaves_natives_locks_of_this_process_alone(
    guests: Callable[[], Guest], database: Path, native: Native
) -> None:
    here = sqlite3.connect(database, timeout=0, isolation_level=None)
    here.execute("BEGIN IMMEDIATE")
    guest = guests()
    fd = guest.open(database.with_name("x.db-shm"))
    assert guest.call("fd_close", fd) == 0
    assert native.run("BEGIN IMMEDIATE") == "database is locked"
    here.execute("COMMIT")
    here.close()
    assert native.run("BEGIN IMMEDIATE") == "[]"


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_has_nothing_mapped_and_holds_no_locks(guests: Callable[[], Guest], shm: Path) -> None:
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:
        guest = Guest()
        fd = guest.open(shm)
        guest.call("shm_map", fd, 0, REGION, BLOCK, 0)
        guest.call("shm_lock", fd, WRITE, SHM_FIRST, 1)
        child = os.fork()
        if child == 0:
            # Were the file still mapped, its locks would live as long as this process.
            state = bytes([mapped(shm) == 0 and guest.memory.read(BLOCK, 4) == bytes(4)])
            os.write(write, state + os.getpid().to_bytes(4, "little"))
            time.sleep(30)
            os._exit(0)
        time.sleep(0.2)
        os._exit(0)  # nothing is closed or unlocked by hand
    os.waitpid(parent, 0)
    answer = os.read(read, 5)
    try:
        assert answer[0] == 1
        other = guests()
        assert other.call("shm_lock", other.open(shm), WRITE, SHM_FIRST, 8) == SQLITE_OK
    finally:
        os.kill(int.from_bytes(answer[1:], "little"), signal.SIGKILL)
        os.close(read)
        os.close(write)


def test_a_memory_without_a_guest_maps_nothing(shm: Path) -> None:
    memory = Memory.over(bytearray(BLOCK))
    with shm.open("r+b") as file, pytest.raises(OSError, match="cannot be mapped"):
        memory.map_file(0, REGION, file.fileno(), 0)
    memory.unmap(0)
    assert memory.mapped == 0


def test_addresses_are_checked_before_anything_is_mapped(guests: Callable[[], Guest], shm: Path) -> None:
    memory = guests().memory
    with shm.open("r+b") as file, pytest.raises(MemoryAccessError, match="outside the linear memory"):
        memory.map_file(3 * BLOCK + REGION, BLOCK, file.fileno(), 0)
