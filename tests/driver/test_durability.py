"""What is written, synced, truncated and deleted, in which order: the same as native SQLite does, seen by strace.

The order is what a power failure tests: the journal is safe before the database is touched, its name in the directory
too, the database is safe before the journal goes.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

import pytest

import wasqlite
import wasqlite.connection
from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.memory import Memory
from wasqlite.vfs.host import HostFiles

Event = tuple[str, str]
"""What was done, and to which file."""

MODES = ["DELETE", "TRUNCATE", "PERSIST"]
LEVELS = ["OFF", "NORMAL", "FULL", "EXTRA"]

# One connection each. {y} is a second database.
WORKLOADS = {
    "insert": ["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"],
    "spill": ["PRAGMA cache_size = 3", "UPDATE t SET a = zeroblob(1000)"],
    "rollback": ["PRAGMA cache_size = 3", "BEGIN", "UPDATE t SET a = zeroblob(1000)", "ROLLBACK"],
    "untouched": ["BEGIN IMMEDIATE", "SELECT count(*) FROM t", "COMMIT"],
    "shrink": ["DELETE FROM t WHERE rowid > 5", "PRAGMA incremental_vacuum"],
    "attached": [
        "ATTACH '{y}' AS y",
        "PRAGMA y.synchronous = {level}",
        "PRAGMA y.journal_mode = {mode}",
        "BEGIN",
        "INSERT INTO t VALUES (1)",
        "INSERT INTO y.t VALUES (1)",
        "COMMIT",
    ],
    "exclusive": ["PRAGMA locking_mode = EXCLUSIVE", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"],
}

RUN = """
import json, sys
module = __import__(sys.argv[1])
for path, statements in json.loads(sys.argv[2]):
    con = module.connect(path, isolation_level=None)
    for sql in statements:
        con.execute(sql).fetchall()
    con.close()
"""


def plan(folder: Path, mode: str, level: str) -> list[tuple[str, list[str]]]:
    """Paths and statements of all workloads, each on files of its own."""
    found = []
    for name, statements in WORKLOADS.items():
        place = folder / name
        place.mkdir(parents=True)
        for file in ("x.db", "y.db"):
            con = sqlite3.connect(place / file)
            con.executescript(
                "PRAGMA page_size = 1024; PRAGMA auto_vacuum = 2; CREATE TABLE t(a);"
                "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 40)"
                "INSERT INTO t SELECT printf('%0800d', x) FROM n"
            )
            con.close()
        before = [f"PRAGMA synchronous = {level}", f"PRAGMA journal_mode = {mode}"]
        sql = [one.format(y=place / "y.db", mode=mode, level=level) for one in (*before, *statements)]
        found.append((str(place / "x.db"), sql))
    return found


def tidy(events: Iterable[tuple[str, str]], folder: Path) -> dict[str, list[Event]]:
    """By workload: names of files without what is random, and runs of writes to one file as one event."""
    found: dict[str, list[Event]] = {name: [] for name in WORKLOADS}
    for what, path in events:
        place = Path(path)
        if folder not in place.parents:
            continue
        name, file = place.relative_to(folder).parts[0], place.name
        if place.parent == folder:
            # The only difference that remains: a directory gets fsync here, and fdatasync from native. Its entries
            # are its data, so both are enough, and it happens once per journal.
            what, file = "sync", "directory"
        event = (what, re.sub(r"-mj[0-9A-F]+$", "-super", file))
        if found[name][-1:] != [event] or what != "write":
            found[name].append(event)
    return found


class Recorder:
    """Writes down what wasqlite asks of the host."""

    WHAT: ClassVar = {
        "fd_pwrite": "write",
        "fd_sync": "sync all",
        "fd_datasync": "sync",
        "fd_filestat_set_size": "truncate",
        "path_unlink_file": "delete",
    }

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def host_files(self) -> HostFiles:
        recorder = self

        class Files(HostFiles):
            def functions(self, memory: Memory) -> list[HostFunction]:
                functions = super().functions(memory)
                for function in functions:
                    if function.name in recorder.WHAT:
                        function.call = recorder.around(function, memory, self)
                return functions

        return Files()

    def around(self, function: HostFunction, memory: Memory, files: HostFiles) -> Callable[..., Any]:
        call, name = function.call, function.name

        def around(fd: int, *arguments: int) -> Any:
            at = arguments[:2]
            path = b"/" + memory.read(*at) if name == "path_unlink_file" else files.files._table.entries[fd].path
            result = call(fd, *arguments)
            if result == 0:  # what is not there is deleted in vain, as by native
                self.events.append((self.WHAT[name], path.decode()))
            return result

        return around


CALL = re.compile(r'^(?:\d+ +)?(\w+)\((?:\d+<([^>]*)>|AT_FDCWD[^,]*, "([^"]*)"|"([^"]*)")[^=]*.* = (-?\d+)')
NATIVE = {
    "pwrite64": "write",
    "write": "write",
    "fsync": "sync all",
    "fdatasync": "sync",
    "ftruncate": "truncate",
    "unlink": "delete",
    "unlinkat": "delete",
}


def native_events(folder: Path, mode: str, level: str, log: Path) -> dict[str, list[Event]]:
    """The same by the stdlib's SQLite, in a traced process."""
    import json

    traced = "trace=" + ",".join(NATIVE)
    command = ["strace", "-f", "-y", "-s", "0", "-o", str(log), "-e", traced, sys.executable, "-c", RUN, "sqlite3"]
    run = subprocess.run([*command, json.dumps(plan(folder, mode, level))], capture_output=True, text=True, timeout=120)
    if run.returncode and ("ptrace" in run.stderr or "PTRACE" in run.stderr):
        pytest.skip(f"strace may not trace here: {run.stderr[:100]}")
    assert run.returncode == 0, run.stderr
    events = []
    for line in log.read_text().splitlines():
        match = CALL.match(line)
        if match and match[1] in NATIVE and int(match[5]) >= 0:
            events.append((NATIVE[match[1]], match[2] or match[3] or match[4]))
    return tidy(events, folder)


def our_events(folder: Path, mode: str, level: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Event]]:
    recorder = Recorder()
    monkeypatch.setattr(wasqlite.connection, "HostFiles", recorder.host_files)
    for path, statements in plan(folder, mode, level):
        con = wasqlite.connect(path, isolation_level=None)
        for sql in statements:
            con.execute(sql).fetchall()
        con.close()
    return tidy(recorder.events, folder)


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace: native cannot be observed")
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("mode", MODES)
def test_same_order_as_native(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, level: str) -> None:
    native = native_events(tmp_path / "native", mode, level, tmp_path / "log")
    ours = our_events(tmp_path / "ours", mode, level, monkeypatch)
    assert any(native.values())
    for name in WORKLOADS:
        assert ours[name] == native[name], name
