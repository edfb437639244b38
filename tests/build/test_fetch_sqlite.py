"""Fetching SQLite: only the reviewed bytes get in, and every failure is one clear line."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import fetch_sqlite
from wasqlite.bridge.builder.report import BuildError

posix_only = pytest.mark.skipif(os.name != "posix", reason="the stand-in for npm is a shell script")


def run_fetch(root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WASQLITE_")}
    return subprocess.run(
        [sys.executable, str(root / "build" / "fetch_sqlite.py")],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the error, which must be the last line and the only one that is no progress line."""
    assert done.returncode == 1
    *progress, line = done.stderr.splitlines()
    assert line.startswith("wasqlite build: error: ")
    assert all(text.startswith("wasqlite build: fetch") for text in progress)
    return line


def write_sqlite(directory: Path, source_id: str) -> None:
    directory.mkdir()
    for name in fetch_sqlite.SQLITE_SHA256:
        (directory / name).write_text(f'#define SQLITE_SOURCE_ID "{source_id}"\n')


def write_npm(directory: Path, script: str) -> str:
    """Put a stand-in for npm into `directory` and return a PATH that finds only it."""
    directory.mkdir()
    npm = directory / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    return str(directory)


def write_tarball(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def test_wrong_source_id_is_one_line(root: Path, tmp_path: Path) -> None:
    write_sqlite(tmp_path / "sqlite", "2001-01-01 another")
    line = error_line(run_fetch(root, WASQLITE_SQLITE_DIR=str(tmp_path / "sqlite")))
    assert "2001-01-01 another" in line
    assert fetch_sqlite.SQLITE_SOURCE_ID in line


def test_wrong_hash_is_one_line(root: Path, tmp_path: Path) -> None:
    write_sqlite(tmp_path / "sqlite", fetch_sqlite.SQLITE_SOURCE_ID)
    line = error_line(run_fetch(root, WASQLITE_SQLITE_DIR=str(tmp_path / "sqlite")))
    assert fetch_sqlite.SQLITE_SHA256["sqlite3.c"] in line
    assert "unmodified" in line


def test_missing_local_copy_is_one_line(root: Path, tmp_path: Path) -> None:
    line = error_line(run_fetch(root, WASQLITE_SQLITE_DIR=str(tmp_path / "nowhere")))
    assert "sqlite3.c" in line and "WASQLITE_SQLITE_DIR" in line


def test_missing_npm_is_one_line(root: Path, tmp_path: Path) -> None:
    line = error_line(run_fetch(root, PATH=str(tmp_path), WASQLITE_CACHE_DIR=str(tmp_path / "cache")))
    assert "install npm" in line and "WASQLITE_SQLITE_DIR" in line


@posix_only
def test_failing_npm_is_one_line(root: Path, tmp_path: Path) -> None:
    path = write_npm(tmp_path / "bin", "echo 'npm error code ENOTFOUND' >&2; exit 1")
    line = error_line(run_fetch(root, PATH=path, WASQLITE_CACHE_DIR=str(tmp_path / "cache")))
    assert "npm error code ENOTFOUND" in line and "WASQLITE_SQLITE_DIR" in line


@posix_only
def test_wrong_bytes_from_npm_do_not_reach_the_cache(root: Path, tmp_path: Path) -> None:
    source = f'#define SQLITE_SOURCE_ID "{fetch_sqlite.SQLITE_SOURCE_ID}"\nint evil;\n'.encode()
    folder = fetch_sqlite.NPM_FOLDER
    tarball = write_tarball(tmp_path / "x.tgz", {f"{folder}/sqlite3.c": source, f"{folder}/sqlite3.h": source})
    path = write_npm(tmp_path / "bin", f"/bin/cp '{tarball}' .")
    line = error_line(run_fetch(root, PATH=path, WASQLITE_CACHE_DIR=str(tmp_path / "cache")))
    assert "SHA-256" in line
    assert not list((tmp_path / "cache").rglob("sqlite3.*"))


def test_only_the_two_files_are_read_from_a_tarball(tmp_path: Path, small_sqlite: dict[str, bytes]) -> None:
    members = {f"{fetch_sqlite.NPM_FOLDER}/{name}": data for name, data in small_sqlite.items()}
    hostile = {"../../sqlite3.c": b"x", "/sqlite3.h": b"x", "package/sqlite3.c": b"x"}
    tarball = write_tarball(tmp_path / "x.tgz", {**members, **hostile})
    assert fetch_sqlite.read_tarball(tarball) == small_sqlite


def test_links_in_a_tarball_are_not_followed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tgz", "w:gz") as archive:
        for name in fetch_sqlite.SQLITE_SHA256:
            member = tarfile.TarInfo(f"{fetch_sqlite.NPM_FOLDER}/{name}")
            member.type = tarfile.SYMTYPE
            member.linkname = "/etc/passwd"
            archive.addfile(member)
    with pytest.raises(BuildError, match="holds no"):
        fetch_sqlite.read_tarball(tmp_path / "x.tgz")


def test_broken_tarball_is_a_build_error(tmp_path: Path) -> None:
    (tmp_path / "x.tgz").write_bytes(b"not a tarball")
    with pytest.raises(BuildError, match="cannot be read"):
        fetch_sqlite.read_tarball(tmp_path / "x.tgz")


def test_damaged_cache_is_fetched_again(
    tmp_path: Path,
    private_cache: Path,
    small_sqlite: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    members = {f"{fetch_sqlite.NPM_FOLDER}/{name}": data for name, data in small_sqlite.items()}
    tarball = write_tarball(tmp_path / "x.tgz", members)
    calls: list[Path] = []

    def npm_pack(package: str, directory: Path) -> Path:
        calls.append(directory)
        return tarball

    monkeypatch.setattr(fetch_sqlite, "npm_pack", npm_pack)
    directory = fetch_sqlite.fetch()
    assert directory.is_relative_to(private_cache)
    assert fetch_sqlite.fetch() == directory
    assert len(calls) == 1
    (directory / "sqlite3.c").write_bytes(b"damaged")
    fetch_sqlite.fetch()
    assert len(calls) == 2
    assert (directory / "sqlite3.c").read_bytes() == small_sqlite["sqlite3.c"]
    assert "fetch SQLite" in capsys.readouterr().err
