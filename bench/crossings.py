"""How often a transaction leaves the sandbox, per journal mode, beside native SQLite's system calls for the same.

``python bench/crossings.py [--calls] [--time]``: with ``--calls`` also which ones, with ``--time`` what asking one by
one after the lock costs, beside the fused call and native (microseconds, medians of interleaved rounds).
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODES = ("DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF", "WAL")
ACTIONS = {
    "read": "SELECT v FROM t WHERE id = 1",
    "write": "UPDATE t SET v = v + 1 WHERE id = 1",
}
# Before the counted one: the statement is compiled, the page cache filled, the journal of PERSIST there.
WARMING = 3
MARK = "crossings-mark"
# What an allocator or the interpreter does now and then is not about files.
IGNORED = {"brk", "futex", "getpid", "gettid", "rt_sigaction", "clock_gettime", "madvise"}


def prepare(module: Any, path: str, mode: str) -> Any:
    """A connection to a new database in this mode."""
    con = module.connect(path, isolation_level=None)
    con.execute(f"PRAGMA journal_mode = {mode}")
    con.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    con.execute("INSERT INTO t VALUES (1, 0)")
    return con


def run(con: Any, marked: Callable[[str], contextlib.AbstractContextManager[None]]) -> None:
    """Every action, warmed up, then once inside ``marked``."""
    for action, sql in ACTIONS.items():
        for _ in range(WARMING):
            con.execute(sql).fetchall()
        with marked(action):
            con.execute(sql).fetchall()


def host_calls(mode: str) -> dict[str, Counter[str]]:
    """The host functions that wasqlite's guest calls, by name."""
    import wasqlite
    from wasqlite.vfs.host import HostFiles

    calls: Counter[str] = Counter()
    found: dict[str, Counter[str]] = {}
    plain = HostFiles.functions

    def counting(self: HostFiles, memory: Any) -> Any:
        functions = plain(self, memory)
        for function in functions:

            def counted(*arguments: Any, call: Any = function.call, name: str = function.name) -> Any:
                calls[name] += 1
                return call(*arguments)

            function.call = counted
        return functions

    @contextlib.contextmanager
    def marked(action: str) -> Any:
        calls.clear()
        yield
        found[action] = calls.copy()

    HostFiles.functions = counting  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as folder:
            con = prepare(wasqlite, f"{folder}/x.db", mode)
            run(con, marked)
            con.close()
    finally:
        HostFiles.functions = plain  # type: ignore[method-assign]
    return found


def traced(mode: str) -> None:
    """In a process under strace: native SQLite, with a system call that cannot work as a mark around each action."""

    @contextlib.contextmanager
    def marked(action: str) -> Any:
        for word in ("start", "end"):
            with contextlib.suppress(OSError):
                Path(f"/{MARK}-{action}-{word}").rmdir()
            if word == "start":
                yield

    with tempfile.TemporaryDirectory() as folder:
        con = prepare(sqlite3, f"{folder}/x.db", mode)
        run(con, marked)
        con.close()


def system_calls(mode: str) -> dict[str, Counter[str]]:
    """The system calls of native SQLite, by name."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = ["strace", "-f", "-qq", "-o", str(log), sys.executable, __file__, "--traced", mode]
        subprocess.run(command, check=True)
        lines = log.read_text(errors="replace").splitlines()
    found: dict[str, Counter[str]] = {}
    action = ""
    for line in lines:
        mark = re.search(rf"{MARK}-(\w+)-(start|end)", line)
        if mark:
            action = mark[1] if mark[2] == "start" else ""
            found.setdefault(mark[1], Counter())
        elif action and (call := re.match(r"\d+\s+(\w+)\(", line)) and call[1] not in IGNORED:
            found[action][call[1]] += 1
    return found


def times(rounds: int = 15, repeat: int = 1000) -> None:
    """Print how long a cached read transaction takes: native, wasqlite, and wasqlite whose host only takes the lock."""
    import wasqlite
    from wasqlite.vfs.host import HostFiles

    class OneByOne(HostFiles):
        __slots__ = ()

        def functions(self, memory: Any) -> Any:
            functions = super().functions(memory)
            for function in functions:
                if function.name == "file_begin":
                    function.call = lambda fd, *others: self.file_lock(fd, 1)
            return functions

    with tempfile.TemporaryDirectory() as folder:
        native = prepare(sqlite3, f"{folder}/native.db", "DELETE")
        fused = prepare(wasqlite, f"{folder}/fused.db", "DELETE")
        wasqlite.connection.HostFiles = OneByOne  # type: ignore[attr-defined, misc]
        single = prepare(wasqlite, f"{folder}/single.db", "DELETE")
        wasqlite.connection.HostFiles = HostFiles  # type: ignore[attr-defined, misc]
        sides = {"native": native, "one by one": single, "fused": fused}
        taken: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, con in sides.items():
                execute, sql = con.execute, ACTIONS["read"]
                start = time.perf_counter()
                for _ in range(repeat):
                    execute(sql).fetchone()
                taken[name].append((time.perf_counter() - start) / repeat * 1e6)
        for con in sides.values():
            con.close()
    medians = {name: statistics.median(values) for name, values in taken.items()}
    print("cached read transaction, us: " + ", ".join(f"{name} {value:.1f}" for name, value in medians.items()))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Count host calls and system calls of transactions on files.")
    parser.add_argument("--calls", action="store_true", help="say which ones")
    parser.add_argument("--time", action="store_true", help="measure the fused begin of a transaction")
    parser.add_argument("--traced", metavar="MODE", help=argparse.SUPPRESS)
    parser.add_argument("modes", nargs="*", default=MODES)
    arguments = parser.parse_args()
    if arguments.traced:
        traced(arguments.traced)
        return
    strace = shutil.which("strace")
    if not strace:
        print("strace was not found (Debian: apt-get install strace): without native SQLite's system calls")
    print(f"{'journal mode':14}{'transaction':14}{'host calls':>12}{'native system calls':>22}")
    for mode in arguments.modes:
        ours, native = host_calls(mode), system_calls(mode) if strace else {}
        for action in ACTIONS:
            count = native[action].total() if native else "-"
            print(f"{mode:14}{action:14}{ours[action].total():12}{count:>22}")
            if arguments.calls:
                for name, calls in (("host", ours[action]), ("native", native.get(action, Counter[str]()))):
                    print(f"    {name}: " + ", ".join(f"{call} {n}" for call, n in calls.most_common()))
    if arguments.time:
        times()


if __name__ == "__main__":
    main()
