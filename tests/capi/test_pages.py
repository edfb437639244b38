"""The two ends of a backup, below the driver: pages out of one guest, into another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wasqlite.bridge import BridgeError
from wasqlite.capi.backup import Backup
from wasqlite.capi.constants import SQLITE_DONE, SQLITE_MISUSE, SQLITE_OK, SQLITE_OPEN_CREATE, SQLITE_OPEN_READWRITE
from wasqlite.capi.database import Database
from wasqlite.capi.pages import Snapshot, open_pages
from wasqlite.capi.status import Status
from wasqlite.vfs.host import HostFiles


@pytest.fixture
def pair() -> Iterator[tuple[Database, Database]]:
    """A source of a few pages, and a target."""
    both = Database(HostFiles()), Database(HostFiles())
    for database in both:
        assert database.open(b":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) is None
    both[0].script(b"create table t(a); insert into t values(zeroblob(20000))")
    yield both
    for database in both:
        database.close()


def test_pages_are_those_of_the_database(pair: tuple[Database, Database]) -> None:
    source, _ = pair
    pages, failure = open_pages(source, b"main")
    assert pages is not None and failure is None
    with source.lock:
        snapshot, rc, _ = pages.begin()
        assert snapshot is not None and rc == SQLITE_OK
        assert (snapshot.page_size, snapshot.page_count, snapshot.temporary) == (4096, 6, True)
        data, rc, _ = pages.read(1, 2, 4096)
        assert bytes(data[:16]) == b"SQLite format 3\0" and len(data) == 8192
        pages.end()
    pages.release()
    assert not source._entry.objects


def test_what_one_guest_says_is_checked_before_another_is_told(pair: tuple[Database, Database]) -> None:
    found = pair[0].status
    for size in (0, 1, 511, 513, 131072, 0xFFFF_FFFF):
        with pytest.raises(BridgeError, match=f"pages of {size} bytes"):
            Snapshot.of(Status(*found._replace(columns=size, rows=5)))


@pytest.mark.parametrize(
    ("size", "total", "first", "count"), [(131072, 5, 1, 1), (0, 5, 1, 1), (4096, 5, 0, 1), (4096, 5, 1, 6)]
)
def test_the_target_checks_too(pair: tuple[Database, Database], size: int, total: int, first: int, count: int) -> None:
    source, target = pair
    backup, _ = Backup.open(target, b"main", source, b"main")
    assert backup is not None
    with target.lock:
        address = target.reserve(4096)
        found, failure = backup._target.run("wsq_backup_feed", size, total, first, count, address)
    assert found.rc == SQLITE_MISUSE and failure is not None
    assert backup.step(-1) == SQLITE_DONE
    backup.finish()
    statement, _, _ = target.prepare(b"select length(a) from t")
    assert [list(column) for column in statement.execute(b"", 0, 2, 1000)[1]] == [[20000]]


def test_what_was_opened_is_closed_with_the_database(pair: tuple[Database, Database]) -> None:
    source, target = pair
    backup, _ = Backup.open(target, b"main", source, b"main")
    assert backup is not None and backup.step(2) == SQLITE_OK
    assert len(source._entry.objects) == len(target._entry.objects) == 1
    target.close()
    with pytest.raises(BridgeError):
        backup.step(2)
    backup.finish()
    assert not source._entry.objects


def test_what_is_dropped_is_given_back_by_the_next_operation(pair: tuple[Database, Database]) -> None:
    source, target = pair
    backup, _ = Backup.open(target, b"main", source, b"main")
    assert backup is not None and backup.step(2) == SQLITE_OK
    del backup
    for database in pair:
        database.script(b"create table u(a)")
        assert not database._entry.objects
