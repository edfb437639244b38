"""One process of the stress test: transactions on a shared database until the deadline, each commit told.

``python worker.py MODULE PATH MODE ID SEED DEADLINE``; the deadline is CLOCK_MONOTONIC, which all processes share.
On standard output: ``c K`` after a commit that incremented counter K, ``error ...`` when something is wrong, ``done``
at the end.
"""

from __future__ import annotations

import importlib
import os
import random
import sys
import time
from typing import Any

COUNTERS = 8
ACCOUNTS = 200
MONEY = 1000 * ACCOUNTS
PADDING = 300
BUSY = 5
CHECKPOINTS = ("PASSIVE", "FULL", "RESTART", "TRUNCATE")


class Broken(Exception):
    """The database holds what no sequence of transactions can make."""


class Worker:
    """A connection, and the random things that are done with it."""

    def __init__(self, module: str, path: str, mode: str, number: int, seed: str) -> None:
        self.module = importlib.import_module(module)
        self.path, self.mode, self.number = path, mode, number
        self.random = random.Random(f"{seed}-{number}")
        self.timeout = self.random.choice((0.0, 0.02, 0.2, 5.0))
        self.con: Any = None
        self.acknowledged = 0

    def open(self) -> None:
        """A new connection."""
        choose = self.random.choice
        self.con = self.module.connect(self.path, timeout=self.timeout, isolation_level=None)
        # Tiny caches spill: pages get into the file before the commit, under an exclusive lock.
        self.con.execute(f"PRAGMA cache_size = {choose((5, 50, -2000))}")
        # None of these matters to a killed process, but each syncs at other moments.
        self.con.execute(f"PRAGMA synchronous = {choose(('OFF', 'NORMAL', 'FULL', 'EXTRA'))}")
        if self.mode != "WAL":  # which is a property of the file, set once
            self.con.execute(f"PRAGMA journal_mode = {self.mode}")
        elif self.random.random() < 0.5:
            self.con.execute(f"PRAGMA wal_autocheckpoint = {choose((0, 1, 20))}")

    def close(self) -> None:
        """Close the connection, if it is open."""
        if self.con is not None:
            self.con.close()
            self.con = None

    def value(self, sql: str, *parameters: object) -> Any:
        """The one value of a query."""
        return self.con.execute(sql, parameters).fetchone()[0]

    def change(self, rows: int) -> int:
        """Inside a transaction: increment a counter and move money, by values that were read before. The counter."""
        run, number = self.con.execute, self.random.randrange
        counter = number(COUNTERS)
        found = self.value("SELECT n FROM counter WHERE id = ?", counter)
        for _ in range(rows):
            giver, taker, amount = number(ACCOUNTS), number(ACCOUNTS), number(1, 100)
            if giver == taker:
                continue
            has = [self.value("SELECT money FROM account WHERE id = ?", account) for account in (giver, taker)]
            padding = "x" * number(PADDING)
            run("UPDATE account SET money = ?, padding = ? WHERE id = ?", (has[0] - amount, padding, giver))
            run("UPDATE account SET money = ? WHERE id = ?", (has[1] + amount, taker))
        run("UPDATE counter SET n = ? WHERE id = ?", (found + 1, counter))
        run("INSERT INTO worker VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET n = n + 1", (self.number,))
        return counter

    def write(self) -> None:
        """A transaction that changes something, and now and then takes it back."""
        self.con.execute(self.random.choice(("BEGIN", "BEGIN IMMEDIATE", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE")))
        counter = self.change(self.random.choice((1, 1, 1, 1, 60)))
        if self.random.random() < 0.1:
            self.con.execute("ROLLBACK")
            return
        self.con.execute("COMMIT")
        say(f"c {counter}")
        self.acknowledged += 1

    def read(self) -> None:
        """A transaction that looks at everything twice."""
        self.con.execute("BEGIN")
        first = self.look()
        time.sleep(self.random.uniform(0, 0.005))
        if self.look() != first:
            raise Broken(f"a snapshot changed: {first}")
        self.con.execute("COMMIT")
        money, increments, transactions, own = first
        if money != MONEY:
            raise Broken(f"{MONEY} became {money}")
        if increments != transactions:
            raise Broken(f"{transactions} transactions made {increments} increments")
        if own != self.acknowledged:
            raise Broken(f"own commits: {own} in the file, {self.acknowledged} acknowledged")

    def look(self) -> tuple[int, ...]:
        """What the invariants are about."""
        return (
            self.value("SELECT sum(money) FROM account"),
            self.value("SELECT sum(n) FROM counter"),
            self.value("SELECT ifnull(sum(n), 0) FROM worker"),
            self.value("SELECT ifnull(max(n), 0) FROM worker WHERE id = ?", self.number),
        )

    def checkpoint(self) -> None:
        """Any of the four kinds; that it was busy is an answer."""
        self.con.execute(f"PRAGMA wal_checkpoint({self.random.choice(CHECKPOINTS)})").fetchall()

    def step(self) -> None:
        """One random thing."""
        dice = self.random.random()
        if self.con is None:
            self.open()
        elif dice < 0.02:
            self.close()
        elif dice < 0.07 and self.mode == "WAL":
            self.checkpoint()
        elif dice < 0.25:
            self.read()
        else:
            self.write()

    def run(self, deadline: float) -> None:
        """Until the deadline; what is busy is given up."""
        while time.monotonic() < deadline:
            try:
                self.step()
            except self.module.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != BUSY:
                    raise
                if self.con is not None and self.con.in_transaction:
                    self.con.execute("ROLLBACK")
        self.close()


def say(line: str) -> None:
    """One write: a kill leaves the whole line or nothing."""
    os.write(1, line.encode() + b"\n")


def main() -> None:
    """Run, and say how it ended."""
    module, path, mode, number, seed, deadline = sys.argv[1:]
    worker = Worker(module, path, mode, int(number), seed)
    try:
        worker.run(float(deadline))
    except Exception as error:
        code = getattr(error, "sqlite_errorname", "")
        say(f"error {module} worker {number}: {type(error).__name__}: {error} {code}")
        raise
    say("done")


if __name__ == "__main__":
    main()
