"""Names, directories and permissions, where possible against what native SQLite does."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from wasqlite.vfs.paths import MAX_SYMLINKS, create_mode, path_full, path_temporary


def native_name(path: Path | str) -> str:
    """What native SQLite makes of a name."""
    connection = sqlite3.connect(path)
    name: str = connection.execute("PRAGMA database_list").fetchone()[2]
    connection.close()
    return name


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    top = Path(os.path.realpath(tmp_path)) / "top"
    (top / "d" / "e").mkdir(parents=True)
    (top / "link").symlink_to("d")
    (top / "d" / "file.db").touch()
    (top / "file").symlink_to("d/file.db")
    (top / "absolute").symlink_to(top / "d" / "e")
    (top / "dangling").symlink_to("d/new.db")
    (top / "loop").symlink_to("loop")
    monkeypatch.chdir(top)
    return top


@pytest.mark.parametrize(
    "name",
    [
        "x.db",
        "./x.db",
        "d/../x.db",
        "d//e/./x.db",
        "link/x.db",
        "link/../x.db",
        "file",
        "absolute/x.db",
        "absolute/../x.db",
        "dangling",
        "ü.db",
        "missing/../x.db",
        "../top/link/e/../../x.db",
    ],
)
def test_names_become_what_native_makes_of_them(tree: Path, name: str) -> None:
    assert path_full(os.fsencode(name)) == os.fsencode(native_name(name))
    absolute = f"{tree}/{name}"
    assert path_full(os.fsencode(absolute)) == os.fsencode(native_name(absolute))


def test_above_the_root_is_the_root(tree: Path) -> None:
    assert path_full(b"/../../x/..//y.db") == b"/y.db"
    assert path_full(b"../" * 50 + b"y.db") == b"/y.db"


def test_a_relative_name_follows_the_current_directory(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert path_full(b"x") == bytes(tree / "x")
    monkeypatch.chdir(tree / "d")
    assert path_full(b"x") == bytes(tree / "d" / "x")


def test_names_are_any_bytes(tree: Path) -> None:
    assert path_full(b"\xff\xfe") == bytes(tree) + b"/\xff\xfe"


@pytest.mark.parametrize(
    ("name", "number"),
    [
        (b"loop", errno.ELOOP),
        (b"loop/x", errno.ELOOP),
        (b"d/file.db/x", errno.ENOTDIR),
        (b"/", errno.EISDIR),
        (b"/..", errno.EISDIR),
        (b"a\0b", errno.EINVAL),
        (b"x" * 300, errno.ENAMETOOLONG),
    ],
)
def test_impossible_names_are_errors(tree: Path, name: bytes, number: int) -> None:
    with pytest.raises(OSError) as caught:
        path_full(name)
    assert caught.value.errno == number
    if b"\0" not in name:
        with pytest.raises(sqlite3.OperationalError, match="unable to open"):
            native_name(os.fsdecode(name))


def test_long_chains_of_links_are_followed_up_to_sqlites_limit(tree: Path) -> None:
    (tree / "0").touch()
    for i in range(1, MAX_SYMLINKS + 2):
        (tree / str(i)).symlink_to(str(i - 1))
    assert path_full(str(MAX_SYMLINKS).encode()) == bytes(tree / "0")
    with pytest.raises(OSError):
        path_full(str(MAX_SYMLINKS + 1).encode())


def test_a_missing_current_directory_is_an_error(tree: Path) -> None:
    (tree / "gone").mkdir()
    os.chdir(tree / "gone")
    (tree / "gone").rmdir()
    with pytest.raises(FileNotFoundError):
        path_full(b"x")
    assert path_full(bytes(tree / "x")) == bytes(tree / "x")


def test_the_temporary_directory_is_the_first_that_is_usable(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQLITE_TMPDIR", str(tree / "d"))
    monkeypatch.setenv("TMPDIR", str(tree))
    assert path_temporary() == bytes(tree / "d")
    monkeypatch.setenv("SQLITE_TMPDIR", str(tree / "missing"))
    assert path_temporary() == bytes(tree)
    monkeypatch.setenv("TMPDIR", str(tree / "d" / "file.db"))
    assert path_temporary() == os.path.realpath(b"/var/tmp")
    monkeypatch.setenv("TMPDIR", ".")
    assert path_temporary() == bytes(tree)
    monkeypatch.setenv("TMPDIR", "link/")
    assert path_temporary() == bytes(tree / "d")
    monkeypatch.setenv("TMPDIR", "/")
    assert path_temporary() == b"/."


def test_no_usable_temporary_directory_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(FileNotFoundError):
        path_temporary()


@pytest.mark.parametrize("suffix", [b"-journal", b"-wal", b"-journal12", b"-wal3", b"-shm"])
def test_journals_get_the_permissions_of_their_database(tree: Path, suffix: bytes) -> None:
    database = tree / "d-x.db"
    database.touch()
    database.chmod(0o664)
    directory = os.open(tree, os.O_RDONLY)
    try:
        found = create_mode(directory, b"d-x.db" + suffix, False)
    finally:
        os.close(directory)
    status = database.stat()
    assert found == (0o664, status.st_uid, status.st_gid)


def test_other_files_get_the_default_and_temporary_ones_are_private() -> None:
    directory = os.open("/", os.O_RDONLY)
    try:
        assert create_mode(directory, b"tmp/x.db", False) is None
        assert create_mode(directory, b"tmp/missing.db-journal", False) is None
        assert create_mode(directory, b"tmp/x.db-mj0123ABC", True) is None
        assert create_mode(directory, b"tmp/etilqs_0123", True) == (0o600, -1, -1)
    finally:
        os.close(directory)
