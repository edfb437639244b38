"""Native SQLite and wasqlite in four processes on one database, some of them killed: nothing is lost, nothing appears.

``python run.py [--seconds 60] [--seed N] [MODE ...]``: prints the seed and a line per journal mode, fails at the first
difference. A worker is replaced when it was killed. At most one commit per kill may be in the file without having been
acknowledged; every other number must be exact.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from worker import ACCOUNTS, COUNTERS, MONEY, PADDING

import wasqlite

MODES = ("DELETE", "TRUNCATE", "WAL")
MODULES = ("sqlite3", "wasqlite", "sqlite3", "wasqlite")
WORKER = Path(__file__).with_name("worker.py")
# After the deadline: a worker may be in a transaction, or starting.
PATIENCE = 60


class Process:
    """A worker, and what it said so far."""

    def __init__(self, module: str, path: Path, mode: str, number: int, seed: int, deadline: float) -> None:
        self.module, self.number = module, number
        self.killed = self.done = False
        self.commits: Counter[int] = Counter()
        self.errors: list[str] = []
        words = [module, str(path), mode, str(number), str(seed), str(deadline)]
        self.process = subprocess.Popen([sys.executable, str(WORKER), *words], stdout=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self) -> None:
        assert self.process.stdout
        with self.process.stdout as lines:
            for line in lines:
                word, _, rest = line.rstrip("\n").partition(" ")
                if word == "c":
                    self.commits[int(rest)] += 1
                elif word == "done":
                    self.done = True
                else:
                    self.errors.append(line)

    def kill(self) -> None:
        """SIGKILL, wherever it is."""
        self.killed = True
        self.process.kill()
        self.finish(PATIENCE)

    def finish(self, seconds: float) -> None:
        """Wait for its end and for all of its words."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.errors.append(f"{self.module} worker {self.number} hangs")
            self.process.kill()
            self.process.wait()
        self.thread.join()
        if not self.killed and not self.done and not self.errors:
            self.errors.append(f"{self.module} worker {self.number} ended with {self.process.returncode}")


def create(path: Path, mode: str) -> None:
    """The database before all transactions."""
    con = sqlite3.connect(path)
    con.execute(f"PRAGMA journal_mode = {mode}")
    con.executescript(
        "CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER);"
        "CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER, padding TEXT);"
        "CREATE INDEX richest ON account (money);"
        "CREATE TABLE worker (id INTEGER PRIMARY KEY, n INTEGER)"
    )
    con.executemany("INSERT INTO counter VALUES (?, 0)", [(i,) for i in range(COUNTERS)])
    con.executemany(
        "INSERT INTO account VALUES (?, ?, ?)", [(i, MONEY // ACCOUNTS, "x" * PADDING) for i in range(ACCOUNTS)]
    )
    con.commit()
    con.close()


def check(module: Any, path: Path, processes: list[Process]) -> list[str]:
    """What this side finds wrong with the file."""
    con = module.connect(path)
    wrong = [f"integrity_check: {row[0]}" for row in con.execute("PRAGMA integrity_check") if row != ("ok",)]
    if (money := con.execute("SELECT sum(money) FROM account").fetchone()[0]) != MONEY:
        wrong.append(f"{MONEY} became {money}")
    counters = dict(con.execute("SELECT id, n FROM counter").fetchall())
    workers = dict(con.execute("SELECT id, n FROM worker").fetchall())
    con.close()
    if sum(counters.values()) != sum(workers.values()):
        wrong.append(f"{sum(workers.values())} transactions made {sum(counters.values())} increments")
    acknowledged: Counter[int] = Counter()
    kills = 0
    for process in processes:
        said, held = process.commits.total(), workers.pop(process.number, 0)
        if not said <= held <= said + process.killed:
            wrong.append(f"{process.module} worker {process.number}: {said} acknowledged, {held} in the file")
        acknowledged += process.commits
        kills += process.killed
    if workers:
        wrong.append(f"commits of nobody: {workers}")
    for counter, held in counters.items():
        if not acknowledged[counter] <= held <= acknowledged[counter] + kills:
            wrong.append(f"counter {counter}: {acknowledged[counter]} acknowledged, {held} in the file")
    return [f"{module.__name__}: {line}" for line in wrong]


def stress(path: Path, mode: str, seconds: float, seed: int) -> list[str]:
    """One run; what went wrong."""
    create(path, mode)
    randomness = random.Random(f"{mode}-{seed}")
    deadline = time.monotonic() + seconds
    processes = [Process(name, path, mode, i, seed, deadline) for i, name in enumerate(MODULES)]
    running = list(processes)
    while time.monotonic() < deadline and not any(process.errors for process in running):
        time.sleep(min(randomness.uniform(0.1, 1.0), max(0.0, deadline - time.monotonic())))
        place = randomness.randrange(len(running))
        victim = running[place]
        # One that has done something: the others have had no chance to be in a transaction.
        if time.monotonic() < deadline and victim.commits:
            victim.kill()
            running[place] = Process(victim.module, path, mode, len(processes), seed, deadline)
            processes.append(running[place])
    limit = time.monotonic() + PATIENCE + 10
    for process in running:
        process.finish(max(1.0, limit - time.monotonic()))
    wrong = [error for process in processes for error in process.errors]
    sides = [sqlite3, wasqlite]
    randomness.shuffle(sides)  # the first one has to recover what the last kill left
    for side in sides:
        wrong += check(side, path, processes)
    commits = Counter(dict.fromkeys(MODULES, 0))
    for process in processes:
        commits[process.module] += process.commits.total()
    kills = sum(process.killed for process in processes)
    told = ", ".join(f"{name} {count}" for name, count in sorted(commits.items()))
    print(f"{mode}: {seconds:g} s, acknowledged commits: {told}; kills: {kills}; wrong: {len(wrong)}", flush=True)
    if not all(commits.values()):
        wrong.append(f"one side never committed: {told}")
    return wrong


def main() -> None:
    """All modes; exit code 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description="Stress a database from native SQLite and wasqlite at once.")
    parser.add_argument("modes", nargs="*", default=MODES)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}; native SQLite {sqlite3.sqlite_version}, wasqlite {wasqlite.sqlite_version}")
    failed = False
    for mode in arguments.modes:
        with tempfile.TemporaryDirectory(prefix="wasqlite-stress-") as folder:
            wrong = stress(Path(folder) / "stress.db", mode, arguments.seconds, arguments.seed)
        for line in wrong[:20]:
            print("  ", line.rstrip())
        failed = failed or bool(wrong)
    sys.exit(failed)


if __name__ == "__main__":
    main()
