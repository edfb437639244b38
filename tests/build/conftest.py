"""Make the build scripts importable (`build/` is not a package), and give tests a private cache."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "build"))

import fetch_sqlite  # noqa: E402
from wasqlite.bridge.builder import cache  # noqa: E402


@pytest.fixture
def root() -> Path:
    """Return the root of the source tree."""
    return ROOT


@pytest.fixture
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the build an empty cache directory of its own."""
    directory = tmp_path / "cache"
    monkeypatch.setenv("WASQLITE_CACHE_DIR", str(directory))
    monkeypatch.delenv("WASQLITE_SQLITE_DIR", raising=False)
    monkeypatch.delenv("WASI_SDK_PATH", raising=False)
    cache.cache_directory.cache_clear()
    yield directory
    cache.cache_directory.cache_clear()


@pytest.fixture
def small_sqlite(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Stand-ins for SQLite's two files, which the checks accept."""
    text = f'#define SQLITE_SOURCE_ID      "{fetch_sqlite.SQLITE_SOURCE_ID}"\n'.encode()
    files = {"sqlite3.c": b"/* c */\n" + text, "sqlite3.h": b"/* h */\n" + text}
    for name, data in files.items():
        monkeypatch.setitem(fetch_sqlite.SQLITE_SHA256, name, cache.sha256(data))
    return files
