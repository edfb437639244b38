"""What a process loads to connect and run a query: every module costs start-up time, and these are the dear ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

import wasqlite
from wasqlite.bridge import cache

PROGRAM = """
import sys
sys.path[:0] = {path!r}
before = set(sys.modules)
import wasqlite
connection = wasqlite.connect(":memory:")
assert connection.execute("SELECT ?", (1,)).fetchall() == [(1,)]
connection.close()
print(*sorted(set(sys.modules) - before))
"""
NOT_LOADED = {
    "asyncio",
    "contextlib",
    "dataclasses",
    "email",
    "enum",
    "importlib.metadata",
    "importlib.util",
    "inspect",
    "json",
    "logging",
    "numpy",
    "pathlib",
    "platform",
    "platformdirs",
    "random",
    "re",
    "shutil",
    "socket",
    "sqlite3",
    "subprocess",
    "tempfile",
    "traceback",
    "typing",
    "urllib.parse",
    "wasmtime",
    # Of our own: what only some programs need.
    "wasqlite.blob",
    "wasqlite.bridge.cdef",
    "wasqlite.bridge.contract",
    "wasqlite.bridge.mapping",
    "wasqlite.bridge.selftest",
    "wasqlite.bridge.snapshot",
    "wasqlite.bulk",
    "wasqlite.callbacks",
    "wasqlite.columnar",
    "wasqlite.shared_memory",
    "wasqlite.snapshots",
    "wasqlite.uri",
}


def run(program: str) -> set[str]:
    """What a Python prints that runs without site, which may import anything itself."""
    command = [sys.executable, "-S", "-c", program]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_a_first_query_loads_no_module_that_it_does_not_need():
    wasqlite.connect(":memory:").close()  # so that the compiled module is in the cache
    path = [str(Path(wasqlite.__file__).parents[1]), *(entry for entry in sys.path if entry.endswith("-packages"))]
    loaded = run(PROGRAM.format(path=path))
    assert "wasqlite.connection" in loaded
    # From 3.12 on, what we import of the standard library imports a few of these by itself.
    bare = "import collections, ctypes, datetime, hashlib, sys, threading, warnings, weakref; print(*sys.modules)"
    theirs = set(
        subprocess.run([sys.executable, "-S", "-c", bare], check=True, capture_output=True, text=True).stdout.split()
    )
    assert loaded & NOT_LOADED <= theirs


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere platformdirs itself is asked")
@pytest.mark.parametrize("home", ["/home/somebody", "/home/somebody/", "", "relative", None])
@pytest.mark.parametrize("named", ["/caches", "/caches/", "", "relative", None])
def test_the_cache_is_where_platformdirs_says(monkeypatch, home, named):
    monkeypatch.delenv("WASQLITE_CACHE_DIR", raising=False)
    for name, value in (("HOME", home), ("XDG_CACHE_HOME", named)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    expected = os.path.join(platformdirs.user_cache_dir("wasqlite", appauthor=False), "compiled")  # noqa: PTH118
    assert cache.directory() == expected
