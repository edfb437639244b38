"""Every operation of every workload fails once, in every way: ``make faults``.

After each fault: the outcome was success or an exception of DB-API's; all files pass integrity_check and hold exactly
what was committed, seen by a fresh connection and by native SQLite; the connection goes on, or says why not.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from injector import Fault, Hang, Injector
from steps import Step
from struck import FILES, MODES, UNSAFE, WORKLOADS, Workload, fingerprint

import wasqlite
import wasqlite.connection

KINDS = [
    ("EIO", False),
    ("EIO", True),
    ("ENOSPC", False),
    ("ENOSPC", True),
    ("EACCES", False),
    ("EROFS", True),
    ("EINTR", False),
    ("short", False),
    ("short", True),
    ("done", False),
    ("BUSY", False),
    ("BUSY", True),
]
SECONDS_PER_FAULT = 30


class Wrong(Exception):
    """What must not happen."""


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder in memory where there is one: tens of thousands of files are synced."""
    memory = Path("/dev/shm")
    usable = memory.is_dir() and os.access(memory, os.W_OK)
    folder = Path(tempfile.mkdtemp(prefix="wasqlite-faults-", dir=memory if usable else None))
    temporary = folder / "tmp"
    temporary.mkdir()
    before = os.environ.get("SQLITE_TMPDIR")
    os.environ["SQLITE_TMPDIR"] = str(temporary)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if before is None:
            del os.environ["SQLITE_TMPDIR"]
        else:
            os.environ["SQLITE_TMPDIR"] = before


class Run:
    """One pass of a workload over a fresh copy of its files."""

    def __init__(self, injector: Injector, workload: Workload, mode: str, base: Path, folder: Path) -> None:
        self.injector = injector
        self.workload = workload
        self.mode = mode
        self.folder = folder
        shutil.copytree(base, folder)
        self.con: Any = None
        self.done = 0
        self.committing = False
        self.error: Exception | None = None

    def connect(self, module: Any) -> Any:
        return module.connect(self.folder / FILES[0], isolation_level=None, timeout=0)

    def schemas(self) -> list[str]:
        return ["main", "y"] if any("ATTACH" in sql for sql in self.workload.setup) else ["main"]

    def execute(self, module: Any, con: Any, step: str | Step) -> None:
        """One statement, or another step."""
        if isinstance(step, str):
            con.execute(step).fetchall()
        else:
            step(module, con, self.folder)

    def go(self) -> None:
        """Run it up to the first error, and close the connection if there was none."""
        try:
            self.con = self.connect(wasqlite)
            for sql in (*self.workload.setup, "PRAGMA journal_mode = {mode}"):
                self.con.execute(sql.format(folder=self.folder, mode=self.mode)).fetchall()
            for transaction in self.workload.transactions:
                for n, sql in enumerate(transaction):
                    self.committing = n == len(transaction) - 1
                    self.execute(wasqlite, self.con, sql)
                self.committing = False
                self.done += 1
        except wasqlite.InternalError as error:
            raise Wrong(f"the sandbox stopped: {error!r}") from error
        except wasqlite.Error as error:
            self.error = error

    def go_on(self) -> tuple[Any, ...] | None:
        """What the connection sees now that all is well again; None if it says that it cannot go on."""
        con = self.con
        try:
            if con.in_transaction:
                con.execute("ROLLBACK")
            attached = {row[1] for row in con.execute("PRAGMA database_list")}
            if not attached.issuperset(self.schemas()):
                return None  # the fault struck ATTACH
            seen = fingerprint(lambda sql: con.execute(sql).fetchall(), self.schemas())
            if con.execute("SELECT count(*) FROM main.sqlite_master WHERE name = 'probe'").fetchone()[0]:
                con.execute("INSERT INTO probe VALUES (1)")
            return seen
        except wasqlite.InternalError as error:
            raise Wrong(f"the sandbox stopped: {error!r}") from error
        except wasqlite.Error as error:
            if not str(error):
                raise Wrong("an error without a message") from error
            return None

    def read(self, module: Any) -> tuple[Any, ...]:
        """What a fresh connection sees."""
        with closing(self.connect(module)) as con:
            if len(self.schemas()) == 2:
                con.execute(f"ATTACH '{self.folder / FILES[1]}' AS y")
            for schema in self.schemas():
                check = con.execute(f"PRAGMA {schema}.integrity_check").fetchall()
                if check != [("ok",)]:
                    raise Wrong(f"{module.__name__}: integrity_check of {schema}: {check[:3]}")
            return fingerprint(lambda sql: con.execute(sql).fetchall(), self.schemas())


class Sweep:
    """All faults of one workload in one journal mode."""

    def __init__(self, injector: Injector, workload: Workload, mode: str, folder: Path) -> None:
        self.injector = injector
        self.workload = workload
        self.mode = mode
        self.folder = folder
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.base = folder / "base"
        self.base.mkdir()
        workload.prepare(self.base, mode)
        self.runs = 0
        self.states = self._states()
        self.operations = self._count()

    def _run(self) -> Run:
        self.runs += 1
        folder = self.folder / f"run{self.runs}"
        return Run(self.injector, self.workload, self.mode, self.base, folder)

    def _states(self) -> list[tuple[Any, ...]]:
        """What the files hold after 0, 1, 2... transactions, by native SQLite."""
        states = []
        for count in range(len(self.workload.transactions) + 1):
            run = self._run()
            with closing(run.connect(sqlite3)) as con:
                for sql in (*self.workload.setup, "PRAGMA journal_mode = {mode}"):
                    con.execute(sql.format(folder=run.folder, mode=self.mode)).fetchall()
                for transaction in self.workload.transactions[:count]:
                    for sql in transaction:
                        run.execute(sqlite3, con, sql)
            states.append(run.read(sqlite3))
            shutil.rmtree(run.folder)
        return states

    def _count(self) -> int:
        """How many operations there are; and that it works without faults."""
        self.injector.start(None)
        run = self._run()
        run.go()
        run.con.close()
        count = self.injector.count
        if run.error is not None:
            raise run.error
        for module in (sqlite3, wasqlite):
            if run.read(module) != self.states[-1]:
                raise Wrong("without any fault the result differs from native's")
        shutil.rmtree(run.folder)
        return count

    def fault(self, fault: Fault) -> None:
        """One fault, and all that is checked after it."""
        run = self._run()
        try:
            outcome = self._outcome(run, fault)
        except (Hang, Exception) as error:  # Exception: Wrong, or what no one has thought of
            outcome = "HANG" if isinstance(error, Hang) else "WRONG"
            said = f", after {run.error!r}" if run.error else ""
            self.wrong.append(f"{self.workload.name}, {self.mode}, {fault}: {error!r}{said}")
        finally:
            self.injector.stop()
            if run.con is not None:
                with suppress(Exception):
                    run.con.close()
        self.outcomes[outcome] += 1
        shutil.rmtree(run.folder)

    def _outcome(self, run: Run, fault: Fault) -> str:
        begin = time.monotonic()
        self.injector.start(fault)
        run.go()
        if run.error is None:
            run.con.close()
        elapsed = time.monotonic() - begin
        self.injector.stop()
        if elapsed > SECONDS_PER_FAULT:
            raise Hang(f"{elapsed:.0f} s")
        if not fault.fired:
            return "not reached"
        usable = False
        seen = None
        if run.error is not None and run.con is not None:
            seen = run.go_on()
            usable = seen is not None
            run.con.close()
        left = list((self.folder.parent / "tmp").iterdir())
        for file in left:
            file.unlink()
        # They are deleted as soon as they are open; where just that fails, native SQLite leaves them too.
        if left and not fault.names & {"path_open", "path_unlink_file"}:
            raise Wrong(f"temporary files are left behind: {left}")
        if self.mode in UNSAFE and run.error is not None:
            return "error, unsafe mode: not checked"
        allowed = [self.states[run.done]]
        if run.committing:
            allowed.append(self.states[run.done + 1])
        if usable:
            if not self._permitted(seen, allowed):
                raise Wrong("the connection sees what was never committed")
            allowed = [seen]
        modules = [sqlite3, wasqlite] if self.runs % 2 else [wasqlite, sqlite3]
        for module in modules:
            found = run.read(module)
            if not self._permitted(found, allowed):
                raise Wrong(f"{module.__name__}: {self._describe(found)} instead of {self._describe(*allowed)}")
            allowed = [found]
        if run.error is None:
            return "success"
        if run.con is None:
            return "error on opening"
        return "error, the connection goes on" if usable else "error, the connection says why not"

    def _permitted(self, found: tuple[Any, ...] | None, allowed: list[tuple[Any, ...]]) -> bool:
        """Whether it is one of the allowed states; in WAL mode a transaction over two files is atomic in each only."""
        if found is None or self.mode != "WAL":
            return found in allowed
        parts = [found[n : n + 2] for n in range(0, len(found), 2)]  # two entries for each file
        return all(any(part == one[2 * n : 2 * n + 2] for one in allowed) for n, part in enumerate(parts))

    def _describe(self, *found: tuple[Any, ...]) -> str:
        return " or ".join(
            f"state {self.states.index(one)}" if one in self.states else "no committed state" for one in found
        )


def sweep(
    folder: Path, every: int, modes: list[str], name: str = "", only: str | None = None, verbose: bool = True
) -> tuple[Counter[str], list[str]]:
    """Outcomes, and what went wrong. Every ``every``-th operation of each workload and mode."""
    injector = Injector()
    total: Counter[str] = Counter()
    wrong: list[str] = []
    original = wasqlite.connection.HostFiles
    wasqlite.connection.HostFiles = injector.host_files  # type: ignore[assignment, misc]
    turn = 0
    try:
        for workload in WORKLOADS:
            for mode in workload.modes():
                if mode not in modes or name not in ("", workload.name):
                    continue
                part = folder / f"{workload.name}-{mode}".replace(" ", "-")
                part.mkdir()
                one = Sweep(injector, workload, mode, part)
                for kind, lasting in KINDS:
                    if only not in (None, kind):
                        continue
                    turn += 1  # so that a coarse sweep does not always meet the same operations
                    for at in range(turn % every, one.operations, every):
                        one.fault(Fault(at, kind, lasting=lasting))
                total += one.outcomes
                wrong += one.wrong
                shutil.rmtree(part)
                if verbose:
                    faults = one.outcomes.total() - one.outcomes["not reached"]
                    print(f"{workload.name:24} {mode:9} {one.operations:5} operations {faults:6} faults", flush=True)
                    for line in one.wrong[:10]:
                        print("   ", line, flush=True)
    finally:
        wasqlite.connection.HostFiles = original  # type: ignore[misc]
    return total, wrong


Job = tuple[str, str, str, int]
"""Workload, journal mode, kind of fault, every n-th operation."""


def run_job(job: Job) -> tuple[Counter[str], list[str]]:
    """A part of the sweep, in a process of its own."""
    workload, mode, kind, every = job
    with scratch() as folder:
        return sweep(folder, every, [mode], workload, kind, verbose=False)


def sweep_in_parallel(jobs: list[Job], processes: int) -> tuple[Counter[str], list[str]]:
    """The same as ``sweep``, by several processes: SQLite waits for locks more than it works."""
    total: Counter[str] = Counter()
    wrong: list[str] = []
    parts = Counter(job[:2] for job in jobs)
    faults: Counter[tuple[str, str]] = Counter()
    # Spawned: a forked child could use no connection of its parent's, and has no business with its threads.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(run_job, job): job[:2] for job in jobs}
        for done in as_completed(futures):
            outcomes, lines = done.result()
            total += outcomes
            wrong += lines
            part = futures[done]
            parts[part] -= 1
            faults[part] += outcomes.total() - outcomes["not reached"]
            for line in lines[:10]:
                print("   ", line, flush=True)
            if not parts[part]:
                print(f"{part[0]:24} {part[1]:9} {faults[part]:6} faults", flush=True)
    return total, wrong


def main() -> int:
    """The full sweep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="only every n-th operation")
    parser.add_argument("--mode", action="append", help="only this journal mode")
    parser.add_argument("--kind", help="only faults of this kind")
    parser.add_argument("--workload", default="", help="only workloads whose name contains this")
    parser.add_argument("--jobs", type=int, default=4 * (os.cpu_count() or 1), help="processes that share the work")
    given = parser.parse_args()
    begin = time.monotonic()
    modes = given.mode or MODES
    kinds = sorted({kind for kind, _ in KINDS if given.kind in (None, kind)})
    jobs = [
        (workload.name, mode, kind, given.every)
        for workload in WORKLOADS
        if given.workload in workload.name
        for mode in workload.modes()
        if mode in modes
        for kind in kinds
    ]
    total, wrong = sweep_in_parallel(jobs, given.jobs)
    print(f"\n{total.total() - total['not reached']} faults in {time.monotonic() - begin:.0f} s")
    for outcome, count in sorted(total.items()):
        print(f"{count:8} {outcome}")
    print(f"{len(wrong):8} corruptions, crashes, hangs or lost data")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
