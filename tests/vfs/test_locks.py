"""Our locks against native SQLite's, in this process and in others, on real files."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wasqlite.capi.constants import (
    SQLITE_BUSY,
    SQLITE_IOERR_CHECKRESERVEDLOCK,
    SQLITE_IOERR_LOCK,
    SQLITE_IOERR_UNLOCK,
    SQLITE_MISUSE,
    SQLITE_OK,
    SQLITE_PERM,
)
from wasqlite.vfs import locks
from wasqlite.vfs.locks import EXCLUSIVE, NONE, PENDING, RESERVED, SHARED, LocksUnsupported, RefusedLocks, result_code

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="OFD locks are Linux's")

HELD = ("NONE", "SHARED", "RESERVED", "PENDING", "EXCLUSIVE")
WANTED = ("SHARED", "RESERVED", "EXCLUSIVE")


class OurPeer:
    """The same verbs as NativePeer, on our locks."""

    def __init__(self, path: Path) -> None:
        from wasqlite.vfs.ofd import OfdLocks

        self.path = path
        self.locks = OfdLocks()
        self.host = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def hold(self, level: str) -> None:
        if level == "PENDING":
            reader = OurPeer(self.path)
            reader.hold("SHARED")
            self.hold("RESERVED")
            assert self.locks.lock(self.host, EXCLUSIVE) == SQLITE_BUSY
            reader.close()
            assert self.locks.level(self.host) == PENDING
        else:
            assert self.climb(level) == SQLITE_OK

    def climb(self, level: str) -> int:
        """Go up step by step, as SQLite does."""
        for step in (SHARED, RESERVED, EXCLUSIVE):
            if step <= getattr(locks, level):
                code = self.locks.lock(self.host, step)
                if code:
                    return code
        return SQLITE_OK

    def attempt(self, level: str) -> bool:
        code = self.climb(level)
        self.drop()
        assert code in (SQLITE_OK, SQLITE_BUSY)
        return code == SQLITE_OK

    def drop(self) -> None:
        assert self.locks.unlock(self.host, NONE) == SQLITE_OK

    def reserved(self) -> bool:
        code, reserved = self.locks.check_reserved(self.host)
        assert code == SQLITE_OK
        return reserved

    def close(self) -> None:
        self.locks.release(self.host)


@pytest.fixture
def ours(database: Path) -> Iterator[Callable[[], OurPeer]]:
    made: list[OurPeer] = []

    def make() -> OurPeer:
        made.append(OurPeer(database))
        return made[-1]

    yield make
    for peer in made:
        peer.close()


@pytest.fixture
def peers(ours: Any, local: Any, remote: Any) -> dict[str, Callable[[], Any]]:
    return {"ours": ours, "local": local, "remote": remote}


@pytest.mark.parametrize("wanted", WANTED)
@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize(
    ("holder", "seeker"),
    [("ours", "ours"), ("ours", "local"), ("ours", "remote"), ("local", "ours"), ("remote", "ours")],
)
def test_levels_conflict_as_native_against_native(
    peers: dict[str, Callable[[], Any]], holder: str, seeker: str, held: str, wanted: str
) -> None:
    native_holder, native_seeker = peers["remote"](), peers["remote"]()
    native_holder.hold(held)
    expected = native_seeker.attempt(wanted)
    native_holder.drop()
    first, second = peers[holder](), peers[seeker]()
    first.hold(held)
    assert second.attempt(wanted) is expected
    first.drop()
    assert second.attempt("EXCLUSIVE")


@pytest.mark.parametrize("level", HELD)
@pytest.mark.parametrize("holder", ["ours", "local", "remote"])
def test_reserved_is_seen_whoever_holds_it(peers: dict[str, Callable[[], Any]], holder: str, level: str) -> None:
    first, observer = peers[holder](), peers["ours"]()
    first.hold(level)
    assert observer.reserved() is (level in ("RESERVED", "PENDING", "EXCLUSIVE"))


def test_own_reserved_is_seen(ours: Callable[[], OurPeer]) -> None:
    peer = ours()
    peer.hold("RESERVED")
    assert peer.reserved()


@pytest.mark.parametrize("top", ["RESERVED", "PENDING", "EXCLUSIVE"])
def test_lowering_to_shared_lets_others_read_and_reserve(
    ours: Callable[[], OurPeer], remote: Callable[[], Any], top: str
) -> None:
    peer, native = ours(), remote()
    peer.hold(top)
    assert peer.locks.unlock(peer.host, SHARED) == SQLITE_OK
    assert peer.locks.level(peer.host) == SHARED
    assert native.attempt("RESERVED")
    assert not native.attempt("EXCLUSIVE")


def test_exclusive_from_shared_needs_no_pending(ours: Callable[[], OurPeer], remote: Callable[[], Any]) -> None:
    # What rolls back a hot journal: when it fails, new readers are still let in, and the level stays SHARED.
    peer, reader, native = ours(), ours(), remote()
    peer.hold("SHARED")
    reader.hold("SHARED")
    assert peer.locks.lock(peer.host, EXCLUSIVE) == SQLITE_BUSY
    assert peer.locks.level(peer.host) == SHARED
    assert native.attempt("SHARED")
    reader.drop()
    assert peer.locks.lock(peer.host, EXCLUSIVE) == SQLITE_OK
    assert not native.attempt("SHARED")


def test_pending_becomes_exclusive_when_the_reader_has_left(
    ours: Callable[[], OurPeer], remote: Callable[[], Any]
) -> None:
    peer, native = ours(), remote()
    native.hold("SHARED")
    peer.hold("RESERVED")
    assert peer.locks.lock(peer.host, EXCLUSIVE) == SQLITE_BUSY
    assert peer.locks.level(peer.host) == PENDING
    native.drop()
    assert not native.attempt("SHARED")
    assert peer.locks.lock(peer.host, EXCLUSIVE) == SQLITE_OK
    assert peer.locks.level(peer.host) == EXCLUSIVE


def test_raising_to_what_is_held_is_ok_and_lowering_to_what_is_not_too(ours: Callable[[], OurPeer]) -> None:
    peer = ours()
    peer.hold("RESERVED")
    assert peer.locks.lock(peer.host, SHARED) == SQLITE_OK
    assert peer.locks.level(peer.host) == RESERVED
    peer.drop()
    assert peer.locks.unlock(peer.host, SHARED) == SQLITE_OK
    assert peer.locks.level(peer.host) == NONE


def test_a_sequence_that_sqlite_never_asks_for_is_misuse(ours: Callable[[], OurPeer]) -> None:
    peer = ours()
    assert peer.locks.lock(peer.host, RESERVED) == SQLITE_MISUSE
    assert peer.locks.lock(peer.host, EXCLUSIVE) == SQLITE_MISUSE
    peer.hold("SHARED")
    assert peer.locks.lock(peer.host, PENDING) == SQLITE_MISUSE
    assert peer.locks.lock(peer.host, 99) == SQLITE_MISUSE
    peer.hold("EXCLUSIVE")
    assert peer.locks.unlock(peer.host, RESERVED) == SQLITE_MISUSE


def test_a_read_only_descriptor_takes_shared_and_nothing_more(database: Path) -> None:
    from wasqlite.vfs.ofd import OfdLocks

    held = OfdLocks()
    host = os.open(database, os.O_RDONLY)
    assert held.lock(host, SHARED) == SQLITE_OK
    assert held.lock(host, RESERVED) == SQLITE_IOERR_LOCK  # EBADF, as native maps it
    assert held.level(host) == SHARED
    held.release(host)


def test_failing_calls_give_the_codes_of_their_kind(database: Path) -> None:
    from wasqlite.vfs.ofd import OfdLocks

    held = OfdLocks()
    host = os.open(database, os.O_RDWR)
    assert held.lock(host, SHARED) == SQLITE_OK
    os.close(host)
    assert held.lock(host, RESERVED) == SQLITE_IOERR_LOCK
    assert held.check_reserved(host) == (SQLITE_IOERR_CHECKRESERVEDLOCK, False)
    assert held.unlock(host, NONE) == SQLITE_IOERR_UNLOCK
    assert held.level(host) == NONE


@pytest.mark.parametrize("number", ["EACCES", "EAGAIN", "ETIMEDOUT", "EBUSY", "EINTR", "ENOLCK"])
def test_errors_that_pass_are_busy(number: str) -> None:
    assert result_code(OSError(getattr(errno, number), ""), SQLITE_IOERR_LOCK) == SQLITE_BUSY


def test_other_errors_are_io_errors_and_eperm_is_perm() -> None:
    assert result_code(OSError(errno.EIO, ""), SQLITE_IOERR_LOCK) == SQLITE_IOERR_LOCK
    assert result_code(OSError(errno.EPERM, ""), SQLITE_IOERR_LOCK) == SQLITE_PERM


def test_a_timeout_error_of_a_signal_handler_is_no_lock_error() -> None:
    with pytest.raises(TimeoutError):
        result_code(TimeoutError("deadline"), SQLITE_IOERR_LOCK)


def test_closing_our_descriptor_keeps_the_locks_of_native_in_this_process(
    ours: Callable[[], OurPeer], local: Callable[[], Any], remote: Callable[[], Any]
) -> None:
    native, outsider, closing = local(), remote(), OurPeer(ours().path)
    native.hold("RESERVED")
    closing.close()
    assert not outsider.attempt("RESERVED")


def test_they_are_kept_even_when_another_process_reads(
    ours: Callable[[], OurPeer], local: Callable[[], Any], remote: Callable[[], Any]
) -> None:
    # The kernel then names the other process's lock first.
    reader, native, outsider, closing = remote(), local(), remote(), OurPeer(ours().path)
    reader.hold("SHARED")
    native.hold("SHARED")
    native.connection.execute("INSERT INTO t VALUES (2)")
    closing.close()
    assert not outsider.attempt("RESERVED")


def test_deferred_descriptors_are_closed_once_the_file_is_free(
    ours: Callable[[], OurPeer], local: Callable[[], Any]
) -> None:
    native, closing = local(), OurPeer(ours().path)
    native.hold("RESERVED")
    closing.close()
    os.fstat(closing.host)
    native.drop()
    late = OurPeer(closing.path)
    late.close()
    with pytest.raises(OSError):
        os.fstat(closing.host)


def test_foreign_readers_defer_nothing(ours: Callable[[], OurPeer], remote: Callable[[], Any]) -> None:
    reader, closing = remote(), OurPeer(ours().path)
    reader.hold("SHARED")
    closing.close()
    with pytest.raises(OSError):
        os.fstat(closing.host)


def test_a_killed_process_leaves_no_lock(database: Path, remote: Callable[[], Any]) -> None:
    script = """
import os, sys
from wasqlite.vfs.ofd import OfdLocks
locks, host = OfdLocks(), os.open(sys.argv[1], os.O_RDWR)
print([locks.lock(host, level) for level in (1, 2, 4)], flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", script, str(database)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout and process.stdout.readline() == "[0, 0, 0]\n"
        native = remote()
        assert not native.attempt("SHARED")
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert native.attempt("EXCLUSIVE")


def test_refused_locks_say_so_at_the_first_lock() -> None:
    refused = RefusedLocks()
    with pytest.raises(LocksUnsupported):
        refused.lock(0, SHARED)
    with pytest.raises(LocksUnsupported):
        refused.check_reserved(0)
    assert refused.unlock(0, NONE) == SQLITE_OK


def test_unsupported_platforms_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert locks.unsupported() is None
    monkeypatch.setattr(sys, "platform", "darwin")
    reason = locks.unsupported()
    assert reason and "darwin" in reason and "nolock=1" in reason
    assert isinstance(locks.host_locks(), RefusedLocks)
